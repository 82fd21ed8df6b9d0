//! Reconciler: brings the book to what the exchange says, step by step, before anything may be sent.
//!
//! It must never read a failed or partial answer as "nothing is there": it asks again and the gate stays closed.

use std::collections::BTreeMap;

use domain::{Asset, Scope, Symbol};
use ledger::reconcile::{self, ExchangeSnapshot};

use crate::message::{BookNow, Envelope, GlobalRiskMessage, ReconcilerMessage};
use crate::recovery::{Reconciled, ReconciliationResult, Recovery, Reloaded};
use crate::{Effect, Effects, Setup, SnapshotRequest, executor};

#[derive(Debug)]
enum Step {
    Idle,
    /// The state is loaded; the book and the exchange's word are being gathered.
    Gathering(Recovery<Reloaded>, Option<Box<BookNow>>),
    /// The differences are with GlobalRisk.
    Applying(Recovery<Reloaded>),
    /// Something failed or is still open: the next cycle tries again.
    Waiting(Recovery<Reloaded>),
    /// Candles of the past are on their way.
    Backfilling(Recovery<Reconciled>),
    /// Events may have been missed; the book and the exchange's word are being gathered.
    GapGathering(Option<Box<BookNow>>),
    /// The differences of a gap are with GlobalRisk.
    GapApplying,
    /// Something of a gap is still open: the next cycle tries again.
    GapWaiting,
}

/// The Reconciler machine.
#[derive(Debug)]
pub struct Reconciler {
    step: Step,
    bases: BTreeMap<Symbol, Asset>,
    symbols: Vec<Symbol>,
    validity: domain::Millis,
    attempts: u32,
    /// Heartbeats until the next attempt.
    cycles_left: u32,
    /// Events may have been missed that nobody has asked for yet: the newest gap.
    gap: Option<u64>,
    /// The newest gap that the question under way covers.
    asked_gap: u64,
}

impl Reconciler {
    /// The machine; `bases` maps each symbol traded to its base asset.
    #[must_use]
    pub fn new(setup: &Setup, bases: BTreeMap<Symbol, Asset>) -> Self {
        let validity = domain::Millis::new(setup.limits.approval_validity_ms.get() + executor::VALIDITY_MARGIN.get());
        Self {
            step: Step::Idle,
            bases,
            symbols: setup.symbols(),
            validity,
            attempts: 0,
            cycles_left: 0,
            gap: None,
            asked_gap: 0,
        }
    }

    /// What it does now, for people.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.step {
            Step::Idle => "idle",
            Step::Gathering(..) => "asking the exchange",
            Step::Applying(_) => "booking the differences",
            Step::Waiting(_) => "waiting to ask again",
            Step::Backfilling(_) => "fetching candles",
            Step::GapGathering(_) | Step::GapApplying | Step::GapWaiting => "asking what was missed",
        }
    }

    /// Handles one message.
    pub fn handle(&mut self, message: ReconcilerMessage, effects: &mut Effects) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        self.step = match (message, step) {
            (ReconcilerMessage::Start(scope), step) => {
                if matches!(step, Step::GapGathering(_) | Step::GapApplying | Step::GapWaiting) {
                    self.gap = self.gap.max(Some(self.asked_gap));
                }
                self.start(scope, effects)
            }
            (ReconcilerMessage::CloseGap(number), step) => {
                self.gap = self.gap.max(Some(number));
                step
            }
            (ReconcilerMessage::Book(book), Step::Gathering(recovery, _)) => {
                effects.push(Effect::Gather(Box::new(self.request(&book))));
                Step::Gathering(recovery, Some(book))
            }
            (ReconcilerMessage::Book(book), Step::GapGathering(_)) => {
                effects.push(Effect::Gather(Box::new(self.request(&book))));
                Step::GapGathering(Some(book))
            }
            (ReconcilerMessage::Snapshot(Ok(snapshot)), Step::Gathering(recovery, Some(book))) => {
                self.apply(&book, &snapshot, effects);
                Step::Applying(recovery)
            }
            (ReconcilerMessage::Snapshot(Ok(snapshot)), Step::GapGathering(Some(book))) => {
                self.apply(&book, &snapshot, effects);
                Step::GapApplying
            }
            (ReconcilerMessage::Snapshot(Err(_)), Step::Gathering(recovery, _)) => Step::Waiting(recovery),
            (ReconcilerMessage::Snapshot(Err(_)), Step::GapGathering(_)) => Step::GapWaiting,
            (ReconcilerMessage::Applied { unresolved, drifting }, Step::Applying(recovery)) => {
                match recovery.reconciled(ReconciliationResult { unresolved, drifting }) {
                    Ok(recovery) => {
                        (self.attempts, self.cycles_left) = (0, 0);
                        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Reconciled(recovery.told())));
                        effects.push(Effect::BackfillAll);
                        Step::Backfilling(recovery)
                    }
                    Err(recovery) => Step::Waiting(recovery),
                }
            }
            (ReconcilerMessage::Applied { unresolved: 0, drifting: 0 }, Step::GapApplying) => {
                (self.attempts, self.cycles_left) = (0, 0);
                // A gap that was told of meanwhile has its own question.
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::GapClosed(self.asked_gap)));
                Step::Idle
            }
            (ReconcilerMessage::Applied { .. }, Step::GapApplying) => Step::GapWaiting,
            (ReconcilerMessage::BackfillDone, Step::Backfilling(recovery)) => {
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Recovered(recovery.backfilled())));
                Step::Idle
            }
            (ReconcilerMessage::Cycle(_), step @ (Step::Waiting(_) | Step::GapWaiting)) => self.wait(step, effects),
            // Answers to a question that is no longer asked.
            (
                ReconcilerMessage::Book(_)
                | ReconcilerMessage::Snapshot(_)
                | ReconcilerMessage::Applied { .. }
                | ReconcilerMessage::BackfillDone
                | ReconcilerMessage::Cycle(_),
                step,
            ) => step,
        };
        if self.gap.is_some() && matches!(self.step, Step::Idle) {
            self.step = self.ask_for_gap(effects);
        }
    }

    /// What stays open is asked for less and less often: the limits belong to others too.
    fn wait(&mut self, step: Step, effects: &mut Effects) -> Step {
        if self.cycles_left > 0 {
            self.cycles_left -= 1;
            return step;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.cycles_left = (1 << self.attempts.min(6)) - 2;
        match step {
            Step::Waiting(recovery) => self.start(recovery.scope().clone(), effects),
            _ => self.ask_for_gap(effects),
        }
    }

    fn ask_for_gap(&mut self, effects: &mut Effects) -> Step {
        self.asked_gap = self.gap.take().unwrap_or(self.asked_gap);
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::DescribeBook));
        Step::GapGathering(None)
    }

    fn apply(&self, book: &BookNow, snapshot: &ExchangeSnapshot, effects: &mut Effects) {
        let findings = reconcile::plan(&book.ledger, snapshot, &self.bases, &book.outside, self.validity);
        let mut through = book.trades_through.clone();
        for trade in &snapshot.trades {
            let newest = through.entry(trade.symbol.clone()).or_insert(trade.trade_id);
            *newest = trade.trade_id.max(*newest);
        }
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Reconcile(findings, through)));
    }

    fn start(&mut self, scope: Scope, effects: &mut Effects) -> Step {
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::DescribeBook));
        Step::Gathering(Recovery::reloaded(scope), None)
    }

    fn request(&self, book: &BookNow) -> SnapshotRequest {
        let orders = book.ledger.open_orders().map(|order| (order.spec.symbol.clone(), order.id().clone())).collect();
        let trades_after =
            self.symbols.iter().map(|symbol| (symbol.clone(), book.trades_through.get(symbol).copied())).collect();
        SnapshotRequest { orders, trades_after }
    }
}
