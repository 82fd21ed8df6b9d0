//! Recovery in GlobalRisk: booking what the reconciliation found, and opening the gate step by step.
//!
//! It must never open the gate for a scope whose book differs from the exchange.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Asset, CorrelationId, OrderReport, Permission, Quantity, ReasonCode, Scope, Severity, Symbol, Timestamp, TradeId,
};
use ledger::OrderEnd;
use ledger::reconcile::Finding;
use risk::{Release, Restriction};

use super::{GlobalRisk, ME};
use crate::Effects;
use crate::message::{Envelope, ExecutorMessage, ReconcilerMessage};
use crate::record::Record;
use crate::recovery::{Backfilled, Reconciled, Recovery};

/// A quantity that book and exchange do not agree on.
#[derive(Debug)]
pub(super) struct Drift {
    local: Quantity,
    exchange: Quantity,
    told: bool,
}

impl GlobalRisk {
    /// Puts the whole process under recovery: nothing leaves until it is reconciled.
    pub(super) fn begin_recovery(&mut self, now: Timestamp, effects: &mut Effects) {
        let restriction = Restriction {
            scope: Scope::Global,
            permission: Permission::Nothing,
            reason: ReasonCode::Recovery,
            since: now,
            release: Release::Condition,
        };
        self.tighten(restriction, effects);
        let (instances, orders) = (self.ledger.instances().count(), self.ledger.open_orders().count());
        let detail = format!("{instances} instances, {orders} open orders");
        self.step(now, &Scope::Global, "reload", detail, effects);
        let books = self.ledger.instances().cloned().collect();
        effects.journal(now, ME, CorrelationId::default(), Record::BooksOpened { books });
        self.sample(now, effects);
    }

    pub(super) fn reconcile(
        &mut self,
        now: Timestamp,
        findings: Vec<Finding>,
        through: BTreeMap<Symbol, TradeId>,
        effects: &mut Effects,
    ) {
        let (mut unresolved, mut drifting, mut missed, mut found) = (0, 0, 0, BTreeMap::new());
        let (mut foreign_orders, mut foreign_trades) = (BTreeMap::new(), BTreeMap::new());
        for finding in findings {
            match finding {
                Finding::MissedFill(fill) => {
                    missed += 1;
                    self.fill(now, &fill, effects);
                }
                Finding::OrderAdvanced(report) => self.report(now, &report, effects),
                Finding::OrderNeverArrived(id, end) => {
                    let reason = if end == OrderEnd::Lost { ReasonCode::OrderLost } else { ReasonCode::NeverArrived };
                    self.concluded(now, &id, end, reason, effects);
                }
                Finding::OrderUnresolved(_) => unresolved += 1,
                Finding::OrderUnknownToBook(report) => {
                    // Until it is gone nothing is clean.
                    unresolved += 1;
                    self.withdraw_unknown(now, report, effects);
                }
                Finding::ForeignOrder(report) => {
                    foreign_orders.insert(report.client_order_id.to_string(), report.symbol);
                }
                Finding::ForeignTrade(fill) => {
                    *foreign_trades.entry(fill.symbol).or_default() += 1;
                }
                Finding::Drift { asset, local, exchange } => {
                    drifting += 1;
                    found.insert(asset.clone(), Drift { local, exchange, told: false });
                }
            }
        }
        if through.iter().any(|(symbol, trade)| self.trades_through.get(symbol) != Some(trade)) {
            self.trades_through.extend(through);
            let through = self.trades_through.clone();
            effects.journal(now, ME, CorrelationId::default(), Record::TradesReconciled { through });
        }
        self.tell_foreign(now, foreign_orders, &foreign_trades, effects);
        self.tell_drifts(now, found, effects);
        if missed > 0 {
            let text = format!("{missed} trades that happened while the service was away are booked.");
            let correlation = CorrelationId::default();
            let reason = ReasonCode::MissedFills;
            Self::alert(now, Severity::Warning, reason, Scope::Global, text, correlation, effects);
        }
        effects.send(Envelope::Reconciler(ReconcilerMessage::Applied { unresolved, drifting }));
    }

    /// An order of ours that the book does not have was placed while the disk could not keep it.
    fn withdraw_unknown(&mut self, now: Timestamp, report: OrderReport, effects: &mut Effects) {
        let text = format!(
            "Order {} on {} is ours by its id, and the book does not have it: the disk failed when it was placed. It is \
             withdrawn, and the position is protected anew.",
            report.client_order_id, report.symbol
        );
        effects.send(Envelope::Executor(ExecutorMessage::Cancel(report.symbol.clone(), report.client_order_id)));
        self.drift_alert(now, Severity::High, Scope::Symbol(report.symbol), text, effects);
    }

    /// What others do on the account is told, once, and not row by row: an account may have years of it.
    fn tell_foreign(
        &mut self,
        now: Timestamp,
        orders: BTreeMap<String, Symbol>,
        trades: &BTreeMap<Symbol, u64>,
        effects: &mut Effects,
    ) {
        for (id, symbol) in orders.iter().filter(|(id, _)| !self.foreign.contains(*id)) {
            let text = format!("Order {id} on {symbol} is not ours. It is left alone.");
            self.drift_alert(now, Severity::Warning, Scope::Symbol(symbol.clone()), text, effects);
        }
        self.foreign = orders.into_keys().collect();
        for (symbol, count) in trades {
            let text =
                format!("{count} trades of {symbol} are not ours: somebody else trades, or traded, the account.");
            self.drift_alert(now, Severity::High, Scope::Symbol(symbol.clone()), text, effects);
        }
    }

    /// Spot has no consistent snapshot: a trade may be between two answers. What two reconciliations find alike is told,
    /// once.
    fn tell_drifts(&mut self, now: Timestamp, mut found: BTreeMap<Asset, Drift>, effects: &mut Effects) {
        for (asset, drift) in &mut found {
            let Some(before) = self.drifts.get(asset) else { continue };
            let same = (before.local, before.exchange) == (drift.local, drift.exchange);
            drift.told = same;
            if same && !before.told {
                let text = format!(
                    "The exchange holds {} {asset} and the book {}. No entry is sent until they are equal: book what \
                     is missing, or configure what is held beside the books (portfolio.outside).",
                    drift.exchange, drift.local
                );
                self.drift_alert(now, Severity::Critical, Scope::Global, text, effects);
            }
        }
        self.drifts = found;
    }

    pub(super) fn reconciled(&mut self, now: Timestamp, recovery: &Recovery<Reconciled>, effects: &mut Effects) {
        self.step(now, recovery.scope(), "reconcile", "the book equals the exchange".into(), effects);
        let scope = recovery.scope().clone();
        self.loosen(now, scope, ReasonCode::Recovery, Permission::GuardedExits, "reconciliation", effects);
        // The Executor learns what rests and places what is missing, before entries may go (R4).
        self.publish_everything(effects);
    }

    pub(super) fn recovered(&mut self, now: Timestamp, recovery: &Recovery<Backfilled>, effects: &mut Effects) {
        self.step(now, recovery.scope(), "backfill", "candles of the past are with the strategies".into(), effects);
        self.loosen(now, recovery.scope().clone(), ReasonCode::Recovery, Permission::All, "recovery", effects);
        // Every strategy learns where it stands before it may wish anything.
        self.publish_everything(effects);
    }

    pub(super) fn publish_everything(&self, effects: &mut Effects) {
        let held: BTreeSet<_> = self
            .ledger
            .instances()
            .flat_map(|book| book.positions().map(|position| (book.id.clone(), position.symbol().clone())))
            .chain(self.ledger.open_orders().map(|order| (order.spec.instance.clone(), order.spec.symbol.clone())))
            .collect();
        for (instance, symbol) in held {
            self.publish_position(&instance, &symbol, CorrelationId::default(), effects);
        }
    }

    fn step(&self, now: Timestamp, scope: &Scope, step: &str, detail: String, effects: &mut Effects) {
        let record = Record::RecoveryStep { scope: scope.clone(), step: step.to_owned(), detail };
        effects.journal(now, ME, CorrelationId::default(), record);
    }

    fn drift_alert(&self, now: Timestamp, severity: Severity, scope: Scope, text: String, effects: &mut Effects) {
        let reason = ReasonCode::ReconciliationDrift;
        Self::alert(now, severity, reason, scope, text, CorrelationId::default(), effects);
    }
}
