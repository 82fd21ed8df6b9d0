//! The replay: the machines over recorded market data, as fast as they go, on one thread.
//!
//! Deterministic: the same input gives the same journal, byte for byte. It must never read a clock or draw a random number.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use domain::{ExecutionEvent, Permission, ReasonCode};
use domain::{InstanceId, Interval, MarketEvent, Millis, Notional, Timestamp};
use engine::{
    ActorId, BookState, Effect, Envelope, ExecutorMessage, MarketDataMessage, Outside, ReconcilerMessage, Setup,
    SubmitResult, System,
};
use exchange::{CancelOutcome, SubmitOutcome};
use ledger::Ledger;
use risk::SafetyLatch;
use simulator::market::Market;
use simulator::model::ModelSettings;
use store::chain::Chain;

use crate::paper::PaperAccount;
use crate::results::{ReplayReport, results, value_of};

/// How often the equity curve is sampled, in exchange time.
const CURVE_EVERY: Millis = Millis::from_secs(3600);
/// How often the heartbeat goes round, in exchange time.
pub const CYCLE_EVERY: Millis = Millis::from_secs(60);
/// Candles of one answer to a gap.
const BACKFILL_MAX: usize = 1000;

/// Why a replay cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A symbol of the configuration is not in the data.
    #[error("instance {instance} trades {symbol}, of which the data has nothing; it has {available}")]
    NoData {
        /// The instance.
        instance: InstanceId,
        /// The symbol.
        symbol: domain::Symbol,
        /// What there is.
        available: String,
    },
    /// The candles of the data are longer than a strategy needs.
    #[error(
        "instance {instance} needs candles of {needed} of {symbol} and the data has {found}; choose a longer interval in the configuration"
    )]
    TooCoarse {
        /// The instance.
        instance: InstanceId,
        /// The symbol.
        symbol: domain::Symbol,
        /// What the strategy needs.
        needed: Interval,
        /// What there is.
        found: Interval,
    },
    /// The journal file cannot be written.
    #[error("the journal cannot be written: {0}; check that the disk has room")]
    Journal(#[from] std::io::Error),
}

/// The world outside of the machines in a replay.
struct ReplayWorld<'a> {
    account: PaperAccount,
    latch: SafetyLatch,
    market: Market,
    told: Vec<ExecutionEvent>,
    chain: Chain,
    journal: Option<&'a mut dyn Write>,
    journal_error: Option<std::io::Error>,
    orders: u64,
}

impl ReplayWorld<'_> {
    fn flush_told(&mut self, inbox: &mut VecDeque<Envelope>) {
        inbox.extend(self.told.drain(..).map(|event| Envelope::Executor(ExecutorMessage::Execution(Box::new(event)))));
    }

    fn write(&mut self, entry: &engine::JournalEntry) {
        let Some(journal) = &mut self.journal else { return };
        let row = self.chain.link(entry);
        let line = format!(
            "{{\"sequence\":{},\"time\":{},\"actor\":\"{}\",\"correlation_id\":{},\"record\":{},\"hash\":\"{}\"}}\n",
            row.sequence,
            row.time.as_millis(),
            row.actor,
            row.correlation_id,
            row.payload,
            row.hash
        );
        if let Err(error) = journal.write_all(line.as_bytes()) {
            self.journal_error.get_or_insert(error);
        }
    }
}

/// What an exchange's answer to an order means for the Executor.
#[must_use]
pub fn submit_result(outcome: SubmitOutcome, id: domain::ClientOrderId) -> SubmitResult {
    match outcome {
        SubmitOutcome::NotReleased(not) => SubmitResult::NotSent(id, not.reason),
        SubmitOutcome::Accepted(reports, fills) => SubmitResult::Accepted(reports, fills),
        SubmitOutcome::Refused(error) => SubmitResult::Refused(id, error.to_string()),
        SubmitOutcome::Unknown(error) => SubmitResult::Unknown(id, error.to_string()),
    }
}

impl Outside for ReplayWorld<'_> {
    fn carry_out(&mut self, now: Timestamp, _: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>) {
        match effect {
            Effect::Journal(entry) => self.write(&entry),
            Effect::Submit(order) => {
                self.orders += 1;
                let id = order.spec().client_order_id.clone();
                let outcome = self.account.submit(*order, &self.latch, now, &mut self.told);
                inbox.push_back(Envelope::Executor(ExecutorMessage::Submitted(submit_result(outcome, id))));
                self.flush_told(inbox);
            }
            Effect::Cancel(symbol, id) | Effect::CancelProtection(symbol, id) => {
                if let CancelOutcome::NotOpen = self.account.cancel(&symbol, &id, now, &mut self.told) {
                    let answer = Ok(self.account.order(&symbol, &id).map(Box::new));
                    inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
                }
                self.flush_told(inbox);
            }
            Effect::QueryOrder(symbol, id) => {
                let answer = Ok(self.account.order(&symbol, &id).map(Box::new));
                inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
            }
            Effect::Gather(request) => {
                let snapshot = Ok(Box::new(self.account.snapshot(&request, now)));
                inbox.push_back(Envelope::Reconciler(ReconcilerMessage::Snapshot(snapshot)));
            }
            Effect::Backfill(request) => {
                let (symbol, interval) = (request.symbol, request.interval);
                let candles = self.market.history_forward(&symbol, interval, request.from, request.to, BACKFILL_MAX);
                let filled = MarketDataMessage::Backfilled(symbol, interval, candles);
                inbox.push_back(Envelope::MarketData(filled));
            }
            // A replay begins cold: there is nothing before its first candle.
            Effect::BackfillAll => inbox.push_back(Envelope::Reconciler(ReconcilerMessage::BackfillDone)),
            Effect::Send(envelope) => inbox.push_back(envelope),
            Effect::WriteLatch(_) | Effect::SaveStrategy { .. } => {}
        }
    }
}

/// A replay that is ready to run.
#[derive(Debug)]
pub struct Replay {
    setup: Setup,
    market: Market,
    settings: ModelSettings,
    until: Option<Timestamp>,
}

impl Replay {
    /// Checks that `market` has what the instances of `setup` need.
    ///
    /// # Errors
    /// Names the first instance that could not trade.
    pub fn new(setup: Setup, mut market: Market, settings: ModelSettings) -> Result<Self, ReplayError> {
        let mut intervals = Vec::new();
        for instance in &setup.instances {
            let needed = instance.strategy.build().requirements().interval;
            intervals.push(needed);
            for symbol in &instance.symbols {
                let (instance, symbol) = (instance.id.clone(), symbol.clone());
                match market.base_interval(&symbol) {
                    None => {
                        let names: Vec<String> =
                            market.instruments().iter().map(|found| found.symbol.to_string()).collect();
                        return Err(ReplayError::NoData { instance, symbol, available: names.join(", ") });
                    }
                    Some(found) if found > needed => {
                        return Err(ReplayError::TooCoarse { instance, symbol, needed, found });
                    }
                    Some(_) => {}
                }
            }
        }
        market.aggregate(&intervals);
        Ok(Self { setup, market, settings, until: None })
    }

    /// Ends before the first event at `until` or later.
    #[must_use]
    pub fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// How many base candles or trades there are, for a progress bar.
    #[must_use]
    pub fn len_hint(&self) -> Option<u64> {
        self.market.len_hint()
    }

    /// First and last moment of the data.
    #[must_use]
    pub fn extent(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.market.start(), self.market.end())
    }

    /// Runs to the end of the data. `progress` is told the time reached now and then.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub fn run(
        self,
        journal: Option<&mut dyn Write>,
        mut progress: impl FnMut(Timestamp),
    ) -> Result<ReplayReport, ReplayError> {
        let instruments = self.market.instruments();
        let capital: Notional = self.setup.instances.iter().map(|instance| instance.capital).sum();
        let latch = SafetyLatch::new(Permission::All);
        let mut world = ReplayWorld {
            account: PaperAccount::open(self.settings.clone(), instruments.clone(), &self.setup.currency, capital),
            latch: latch.clone(),
            market: self.market,
            told: Vec::new(),
            chain: Chain::default(),
            journal,
            journal_error: None,
            orders: 0,
        };
        let state = BookState { instruments: instruments.clone(), ..BookState::default() };
        let mut system = System::new(&self.setup, &state, latch);
        let from = world.market.peek_time().unwrap_or_default();
        system.deliver(from, Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(instruments))), &mut world);
        system.start(from, &mut world);
        let (mut next_cycle, mut next_point) = (from + CYCLE_EVERY, from);
        let (mut curve, mut now) = (Vec::new(), from);
        while let Some(event) = world.market.next() {
            if self.until.is_some_and(|until| event.time() >= until) {
                break;
            }
            now = event.time();
            if now >= next_cycle {
                next_cycle = now.floor_to(CYCLE_EVERY) + CYCLE_EVERY;
                system.beat(now, &mut world);
                if now >= next_point {
                    next_point = now.floor_to(CURVE_EVERY) + CURVE_EVERY;
                    curve.push(point(now, system.global_risk().ledger()));
                    progress(now);
                }
            }
            step(&mut system, &mut world, now, event);
        }
        curve.push(point(now, system.global_risk().ledger()));
        if let Some(error) = world.journal_error.take() {
            return Err(error.into());
        }
        Ok(report(&system, &world, (from, now), curve))
    }
}

fn report(
    system: &System,
    world: &ReplayWorld<'_>,
    (from, to): (Timestamp, Timestamp),
    curve: Vec<(Timestamp, Notional, Vec<Notional>)>,
) -> ReplayReport {
    let ledger = system.global_risk().ledger();
    let balances = world.account.balances();
    let account_value = value_of(&balances, ledger, &world.market.instruments());
    let mut refused: BTreeMap<ReasonCode, u64> = BTreeMap::new();
    for ((_, _, reason), count) in system.global_risk().refusals() {
        *refused.entry(*reason).or_default() += count;
    }
    let mut rejected = world.market.rejected().clone();
    for (error, count) in system.market_data().rejected() {
        *rejected.entry(*error).or_default() += count;
    }
    let (instances, families, portfolio) = results(ledger, from, to);
    ReplayReport {
        from,
        to,
        events: system.market_data().events(),
        orders: world.orders,
        fills: ledger.booked(),
        rejected,
        refused,
        instances,
        families,
        portfolio,
        balances,
        account_value,
        curve,
        journal_hash: world.journal.is_some().then(|| world.chain.hash().to_string()),
    }
}

/// One market event: first the account's orders meet it, then the machines learn of both.
fn step(system: &mut System, world: &mut ReplayWorld<'_>, now: Timestamp, event: MarketEvent) {
    world.account.market(&event, &mut world.told);
    if !world.told.is_empty() {
        for told in std::mem::take(&mut world.told) {
            system.deliver(now, Envelope::Executor(ExecutorMessage::Execution(Box::new(told))), world);
        }
    }
    system.deliver(now, Envelope::MarketData(MarketDataMessage::Market(event)), world);
}

fn point(now: Timestamp, ledger: &Ledger) -> (Timestamp, Notional, Vec<Notional>) {
    (now, ledger.portfolio().equity, ledger.families().values().map(|family| family.equity).collect())
}
