//! GlobalRisk: the single writer of the ledger and the restrictions, and the owner of the gate.
//!
//! It must never book a fill twice, approve what the gate refuses, lift a restriction before the lifting is durable, or let
//! a start clear anything.

mod exchange;
mod orders;
mod recovering;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use domain::{
    Alert, Asset, BootNumber, CorrelationId, InstanceId, Instrument, Millis, Permission, Price, Quantity, ReasonCode,
    Scope, Severity, Symbol, SymbolStatus, Timestamp, TradeId,
};
use ledger::{InstanceBook, Ledger};
use risk::{Gate, Release, Restriction, Restrictions, SafetyLatch};

use self::exchange::Outage;
use self::recovering::Drift;
use crate::message::{
    ActorId, BookNow, Command, Envelope, ExecutorMessage, FamilyIndex, FamilyRiskMessage, GlobalRiskMessage,
    InstanceEquity, InstanceIndex, ReconcilerMessage, StrategyMessage,
};
use crate::record::Record;
use crate::{BookState, Cycle, Effect, Effects, Setup};

const ME: ActorId = ActorId::GlobalRisk;

/// The GlobalRisk machine.
#[derive(Debug)]
pub struct GlobalRisk {
    ledger: Ledger,
    restrictions: Restrictions,
    gate: Gate,
    latch: SafetyLatch,
    /// The life that this machine belongs to: it loosens the latch in no other.
    generation: u64,
    instruments: BTreeMap<Symbol, Instrument>,
    members: BTreeMap<InstanceId, (InstanceIndex, FamilyIndex)>,
    families: usize,
    boot: BootNumber,
    sequences: BTreeMap<InstanceId, u64>,
    journal_available: bool,
    /// Held on the account beside the books.
    outside: BTreeMap<Asset, Quantity>,
    /// The newest transfers.
    transfers: VecDeque<(Asset, Quantity, Timestamp)>,
    /// Open orders of others that were told of.
    foreign: BTreeSet<String>,
    /// Up to which trade of each symbol nothing can be missing.
    trades_through: BTreeMap<Symbol, TradeId>,
    /// What keeps the exchange from being known, and whether it is over.
    outages: BTreeMap<ReasonCode, Outage>,
    /// Questions after what an outage hid, so far.
    gaps: u64,
    /// Loosenings so far, and the newest one that a tightening of its kind has outdated: it may still wait for its commit.
    loosenings: u64,
    outdated: BTreeMap<(Scope, ReasonCode), u64>,
    /// Differences that the last reconciliation found, so that only what stays is told.
    drifts: BTreeMap<Asset, Drift>,
    equity_sequence: u64,
    equity_sample: Millis,
    sampled_at: Timestamp,
    refusals: BTreeMap<(InstanceId, Symbol, ReasonCode), u64>,
    changed: Vec<InstanceId>,
    cycle: u64,
    arrived: usize,
}

impl GlobalRisk {
    /// The machine of `setup`, continued from `state`. `latch` is the one latch of the process.
    #[must_use]
    pub fn new(setup: &Setup, state: &BookState, latch: SafetyLatch) -> Self {
        let members = setup
            .instances
            .iter()
            .filter_map(|instance| Some((instance.id.clone(), (setup.index_of(&instance.id)?, instance.family))))
            .collect();
        let instruments =
            state.instruments.iter().map(|instrument| (instrument.symbol.clone(), instrument.clone())).collect();
        Self {
            ledger: Ledger::new(setup.currency.clone(), &setup.ledger_setups(), state.ledger.clone()),
            restrictions: Restrictions::new(state.restrictions.iter().cloned()),
            gate: Gate::new(setup.limits.clone()),
            generation: latch.executor_generation(),
            latch,
            instruments,
            members,
            // The heartbeat waits for families that have somebody to pass it on.
            families: setup.instances.iter().map(|instance| instance.family).collect::<BTreeSet<_>>().len(),
            boot: setup.boot,
            sequences: BTreeMap::new(),
            journal_available: true,
            outside: state.outside.clone(),
            transfers: VecDeque::new(),
            foreign: BTreeSet::new(),
            trades_through: state.trades_through.clone(),
            outages: BTreeMap::new(),
            gaps: 0,
            loosenings: 0,
            outdated: BTreeMap::new(),
            drifts: BTreeMap::new(),
            equity_sequence: 0,
            equity_sample: setup.equity_sample_ms,
            sampled_at: Timestamp::EPOCH,
            refusals: BTreeMap::new(),
            changed: Vec::new(),
            cycle: 0,
            arrived: 0,
        }
    }

    /// The ledger, to look at.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The restrictions in force, to look at.
    #[must_use]
    pub const fn restrictions(&self) -> &Restrictions {
        &self.restrictions
    }

    /// The exchange's rules, by symbol, to look at.
    #[must_use]
    pub const fn instruments(&self) -> &BTreeMap<Symbol, Instrument> {
        &self.instruments
    }

    /// Wishes refused in this boot, by instance, symbol and reason.
    #[must_use]
    pub const fn refusals(&self) -> &BTreeMap<(InstanceId, Symbol, ReasonCode), u64> {
        &self.refusals
    }

    /// Handles one message.
    pub fn handle(&mut self, now: Timestamp, message: GlobalRiskMessage, effects: &mut Effects) {
        match message {
            GlobalRiskMessage::Mark { symbol, price } => self.mark(now, &symbol, price, effects),
            GlobalRiskMessage::Intent(intent) => self.intent(now, &intent, effects),
            GlobalRiskMessage::Protect(intent) => self.protect(now, &intent, effects),
            GlobalRiskMessage::Cancel { symbol, id, reason, correlation_id } => {
                self.cancel(now, symbol, id, reason, correlation_id, effects);
            }
            GlobalRiskMessage::Execution(event) => self.execution(now, *event, effects),
            GlobalRiskMessage::Released(id) => {
                self.ledger.released(&id, now);
            }
            GlobalRiskMessage::OutcomeUnknown(id) => self.outcome_unknown(now, &id, effects),
            GlobalRiskMessage::Concluded(id, end, reason) => self.concluded(now, &id, end, reason, effects),
            GlobalRiskMessage::Instruments(instruments) => self.learn_instruments(&instruments),
            GlobalRiskMessage::Alert(alert) => effects.alert(ME, alert),
            GlobalRiskMessage::DescribeBook => {
                let (ledger, outside) = (self.ledger.clone(), self.outside.clone());
                let now = BookNow { ledger, outside, trades_through: self.trades_through.clone() };
                effects.send(Envelope::Reconciler(ReconcilerMessage::Book(Box::new(now))));
            }
            GlobalRiskMessage::Exchange(event) => self.exchange(now, event, effects),
            GlobalRiskMessage::GapClosed(number) => self.gap_closed(now, number, effects),
            GlobalRiskMessage::Reconcile(findings, through) => self.reconcile(now, findings, through, effects),
            GlobalRiskMessage::Reconciled(recovery) => self.reconciled(now, &recovery, effects),
            GlobalRiskMessage::Recovered(recovery) => self.recovered(now, &recovery, effects),
            GlobalRiskMessage::Loosened { number, scope, reason, to } => {
                self.loosened(now, number, (scope, reason), to, effects);
            }
            GlobalRiskMessage::JournalAvailable(available) => self.journal_available = available,
            GlobalRiskMessage::Command(command) => self.command(now, &command, effects),
            GlobalRiskMessage::FamilyIdle(_) => self.families = self.families.saturating_sub(1),
            GlobalRiskMessage::Save => self.sample(now, effects),
            GlobalRiskMessage::Cycle(cycle, _) => self.cycle(now, cycle, effects),
        }
    }

    fn mark(&mut self, now: Timestamp, symbol: &Symbol, price: Price, effects: &mut Effects) {
        let mut changed = std::mem::take(&mut self.changed);
        self.ledger.marked(symbol, price, now, &mut changed);
        for instance in changed.drain(..) {
            self.publish_equity(&instance, effects);
        }
        self.changed = changed;
    }

    fn publish_equity(&mut self, instance: &InstanceId, effects: &mut Effects) {
        let (Some((index, family)), Some(book)) = (self.members.get(instance), self.ledger.instance(instance)) else {
            return;
        };
        self.equity_sequence += 1;
        let equity = InstanceEquity { instance: *index, sequence: self.equity_sequence, equity: book.equity() };
        effects.send(Envelope::FamilyRisk(*family, FamilyRiskMessage::Equity(equity)));
    }

    fn learn_instruments(&mut self, instruments: &Arc<Vec<Instrument>>) {
        // The list is whole: a symbol that it lacks has gone, and what has gone does not trade.
        for instrument in self.instruments.values_mut() {
            instrument.status = SymbolStatus::Other("GONE".into());
        }
        for instrument in instruments.iter() {
            self.instruments.insert(instrument.symbol.clone(), instrument.clone());
        }
    }

    fn cycle(&mut self, now: Timestamp, cycle: Cycle, effects: &mut Effects) {
        if cycle.sequence != self.cycle {
            (self.cycle, self.arrived) = (cycle.sequence, 0);
            self.expire(now, effects);
        }
        self.arrived += 1;
        if self.arrived == self.families {
            effects.send(Envelope::Executor(ExecutorMessage::Cycle(cycle)));
            if now.since(self.sampled_at) >= self.equity_sample {
                self.sample(now, effects);
            }
        }
    }

    fn sample(&mut self, now: Timestamp, effects: &mut Effects) {
        self.sampled_at = now;
        let keep = |book: &InstanceBook| (book.id.clone(), (book.unrealized, book.tracker.clone()));
        let record = Record::EquitySampled {
            portfolio: Box::new(self.ledger.portfolio().clone()),
            families: self.ledger.families().clone(),
            instances: self.ledger.instances().map(keep).collect(),
            marks: self
                .instruments
                .keys()
                .filter_map(|symbol| Some((symbol.clone(), self.ledger.mark(symbol)?)))
                .collect(),
        };
        effects.journal(now, ME, CorrelationId::default(), record);
    }

    fn expire(&mut self, now: Timestamp, effects: &mut Effects) {
        for restriction in self.restrictions.expired(now) {
            self.loosen(now, restriction.scope, restriction.reason, Permission::All, "its time", effects);
        }
    }

    fn command(&mut self, now: Timestamp, command: &Command, effects: &mut Effects) {
        let (scope, permission, reason, release) = match command {
            Command::StopEntries => {
                self.cancel_entries(now, ReasonCode::Shutdown, effects);
                (Scope::Global, Permission::Exits, ReasonCode::Shutdown, Release::Condition)
            }
            Command::BeginRecovery => return self.begin_recovery(now, effects),
            Command::ActorFailed(instance) => {
                if let Some((index, family)) = self.members.get(instance) {
                    effects.send(Envelope::FamilyRisk(*family, FamilyRiskMessage::MemberFailed(*index)));
                }
                let scope = Scope::Instance(instance.clone());
                (scope, Permission::Exits, ReasonCode::ActorFailed, Release::OperatorOnly)
            }
        };
        self.tighten(Restriction { scope, permission, reason, since: now, release }, effects);
        effects.journal(now, ME, CorrelationId::default(), Record::Commanded { command: command.clone() });
    }

    /// Memory first, then the latch file, then the journal.
    fn tighten(&mut self, restriction: Restriction, effects: &mut Effects) {
        self.outdated.insert((restriction.scope.clone(), restriction.reason), self.loosenings);
        let Some(restriction) = self.restrictions.raise(restriction).cloned() else { return };
        match restriction.scope {
            Scope::Global | Scope::Exchange => {
                self.latch.tighten(restriction.permission);
                // A recovery, a stop and what ends by itself need no file: a start begins with a recovery anyway.
                if restriction.release == Release::OperatorOnly {
                    effects.push(Effect::WriteLatch(restriction.permission));
                }
            }
            Scope::Family(_) | Scope::Instance(_) | Scope::Symbol(_) => self.latch.void_approvals(),
        }
        let since = restriction.since;
        effects.journal(since, ME, CorrelationId::default(), Record::RestrictionRaised { restriction });
    }

    /// Ends a restriction, or lets it permit more. It comes into force when `Loosened` arrives: after the commit of this
    /// record.
    fn loosen(
        &mut self,
        now: Timestamp,
        scope: Scope,
        reason: ReasonCode,
        to: Permission,
        by: &str,
        effects: &mut Effects,
    ) {
        self.loosenings += 1;
        let record = Record::RestrictionLoosened { scope: scope.clone(), reason, to, by: by.to_owned() };
        effects.journal(now, ME, CorrelationId::default(), record);
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Loosened { number: self.loosenings, scope, reason, to }));
    }

    /// Loosening `number` is durable. One that was outdated meanwhile is void: the tightening came after it.
    fn loosened(
        &mut self,
        now: Timestamp,
        number: u64,
        (scope, reason): (Scope, ReasonCode),
        to: Permission,
        effects: &mut Effects,
    ) {
        let kind = (scope, reason);
        if self.outdated.get(&kind).is_some_and(|outdated| number <= *outdated) {
            return;
        }
        let (scope, reason) = kind;
        if let Some(lifted) = self.restrictions.lift(&scope, reason)
            && to != Permission::All
        {
            self.restrictions.raise(Restriction { permission: to, since: now, ..lifted });
        }
        self.latch.loosen_after_commit(self.restrictions.global_permission(), self.generation);
        // What waited for the permission goes on.
        self.publish_everything(effects);
    }

    fn alert(
        now: Timestamp,
        severity: Severity,
        reason: ReasonCode,
        scope: Scope,
        text: String,
        correlation_id: CorrelationId,
        effects: &mut Effects,
    ) {
        effects.alert(ME, Alert { time: now, severity, reason, scope, text, correlation_id });
    }

    fn strategy_of(&self, instance: &InstanceId) -> Option<InstanceIndex> {
        self.members.get(instance).map(|(index, _)| *index)
    }

    fn tell_strategy(&self, instance: &InstanceId, message: StrategyMessage, effects: &mut Effects) {
        if let Some(index) = self.strategy_of(instance) {
            effects.send(Envelope::Strategy(index, message));
        }
    }
}
