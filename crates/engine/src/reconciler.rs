//! Reconciler: brings the book to what the exchange says, step by step, before anything may be sent.
//!
//! It must never read a failed or partial answer as "nothing is there": it asks again and the gate stays closed.

use std::collections::BTreeMap;

use domain::{Asset, Quantity, Scope, Symbol};
use ledger::{Ledger, reconcile};

use crate::message::{Envelope, GlobalRiskMessage, ReconcilerMessage};
use crate::recovery::{Reconciled, ReconciliationResult, Recovery, Reloaded};
use crate::{Effect, Effects, Setup, SnapshotRequest, executor};

#[derive(Debug)]
enum Step {
    Idle,
    /// The state is loaded; the book and the exchange's word are being gathered.
    Gathering(Recovery<Reloaded>, Option<Box<Ledger>>),
    /// The differences are with GlobalRisk.
    Applying(Recovery<Reloaded>),
    /// Something failed or is still open: the next cycle tries again.
    Waiting(Recovery<Reloaded>),
    /// Candles of the past are on their way.
    Backfilling(Recovery<Reconciled>),
}

/// The Reconciler machine.
#[derive(Debug)]
pub struct Reconciler {
    step: Step,
    bases: BTreeMap<Symbol, Asset>,
    symbols: Vec<Symbol>,
    outside: BTreeMap<Asset, Quantity>,
    validity: domain::Millis,
    attempts: u32,
}

impl Reconciler {
    /// The machine; `bases` maps each symbol traded to its base asset.
    #[must_use]
    pub fn new(setup: &Setup, bases: BTreeMap<Symbol, Asset>) -> Self {
        let validity = domain::Millis::new(setup.limits.approval_validity_ms.get() + executor::VALIDITY_MARGIN.get());
        let (symbols, outside) = (setup.symbols(), setup.outside.clone());
        Self { step: Step::Idle, bases, symbols, outside, validity, attempts: 0 }
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
        }
    }

    /// Handles one message.
    pub fn handle(&mut self, message: ReconcilerMessage, effects: &mut Effects) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        self.step = match (message, step) {
            (ReconcilerMessage::Start(scope), _) => self.start(scope, effects),
            (ReconcilerMessage::Book(book), Step::Gathering(recovery, _)) => {
                effects.push(Effect::Gather(Box::new(self.request(&book))));
                Step::Gathering(recovery, Some(book))
            }
            (ReconcilerMessage::Snapshot(Ok(snapshot)), Step::Gathering(recovery, Some(book))) => {
                let findings = reconcile::plan(&book, &snapshot, &self.bases, &self.outside, self.validity);
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Reconcile(findings)));
                Step::Applying(recovery)
            }
            (ReconcilerMessage::Snapshot(Err(_)), Step::Gathering(recovery, _)) => Step::Waiting(recovery),
            (ReconcilerMessage::Applied { unresolved, drifting }, Step::Applying(recovery)) => {
                match recovery.reconciled(ReconciliationResult { unresolved, drifting }) {
                    Ok(recovery) => {
                        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Reconciled(recovery.told())));
                        effects.push(Effect::BackfillAll);
                        Step::Backfilling(recovery)
                    }
                    Err(recovery) => Step::Waiting(recovery),
                }
            }
            (ReconcilerMessage::BackfillDone, Step::Backfilling(recovery)) => {
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Recovered(recovery.backfilled())));
                Step::Idle
            }
            (ReconcilerMessage::Cycle(_), Step::Waiting(recovery)) => {
                self.attempts += 1;
                self.start(recovery.scope().clone(), effects)
            }
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
    }

    fn start(&mut self, scope: Scope, effects: &mut Effects) -> Step {
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::DescribeBook));
        Step::Gathering(Recovery::reloaded(scope), None)
    }

    fn request(&self, book: &Ledger) -> SnapshotRequest {
        let orders = book.open_orders().map(|order| (order.spec.symbol.clone(), order.id().clone())).collect();
        let trades_after = self.symbols.iter().map(|symbol| (symbol.clone(), book.trade_watermark(symbol))).collect();
        SnapshotRequest { orders, trades_after }
    }
}
