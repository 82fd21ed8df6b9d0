//! The comparison of the book with an exchange: a pure function of both, so that it can be tested, repeated and shown.
//!
//! It must never read an absent answer as "nothing is there": what was not asked is not compared.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Asset, ClientOrderId, Fill, Millis, OrderReport, OwnOrderId, Quantity, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Ledger, OrderEnd};

/// What the exchange said, gathered for one reconciliation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeSnapshot {
    /// Free plus locked, by asset.
    pub balances: BTreeMap<Asset, Quantity>,
    /// All open orders of the account.
    pub open_orders: Vec<OrderReport>,
    /// Orders of ours that were asked for one by one: `None` means that the exchange does not know the id.
    pub asked: BTreeMap<ClientOrderId, Option<OrderReport>>,
    /// Trades after the last one booked, of the symbols asked for, oldest first.
    pub trades: Vec<Fill>,
    /// The exchange's time when the snapshot was complete.
    pub time: Timestamp,
}

/// One difference between book and exchange, with what is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A trade of ours that happened unseen: book it.
    MissedFill(Fill),
    /// The exchange knows more of an order than we do: take its word.
    OrderAdvanced(OrderReport),
    /// The exchange does not know an order whose validity has passed: it never arrived.
    OrderNeverArrived(ClientOrderId, OrderEnd),
    /// The exchange does not know an order that could still be on its way: ask again later.
    OrderUnresolved(ClientOrderId),
    /// An open order of ours that the book does not have: its intent was lost with a disk. What it would do is not known,
    /// so it is withdrawn.
    OrderUnknownToBook(OrderReport),
    /// An open order that is not ours: reported and left alone.
    ForeignOrder(OrderReport),
    /// A trade that is not ours: told, not booked to an instance.
    ForeignTrade(Fill),
    /// The exchange holds another quantity of an asset than all books together.
    Drift {
        /// The asset.
        asset: Asset,
        /// By the book, trades found included, in units of the asset.
        local: Quantity,
        /// By the exchange.
        exchange: Quantity,
    },
}

/// Compares `ledger` with `snapshot`. `bases` maps each symbol to its base asset; `outside` is what is held on the account
/// beside the books. An order that the exchange does not know counts as never arrived once `validity` has passed.
#[must_use]
pub fn plan(
    ledger: &Ledger,
    snapshot: &ExchangeSnapshot,
    bases: &BTreeMap<Symbol, Asset>,
    outside: &BTreeMap<Asset, Quantity>,
    validity: Millis,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_ours = |id: &ClientOrderId| {
        ledger.order(id).is_some() || OwnOrderId::parse(id).is_some_and(|own| ledger.instance(&own.instance).is_some())
    };
    for (id, answer) in &snapshot.asked {
        findings.extend(order_finding(ledger, snapshot, id, answer.as_ref(), validity));
    }
    for report in &snapshot.open_orders {
        if !is_ours(&report.client_order_id) {
            findings.push(Finding::ForeignOrder(report.clone()));
        } else if ledger.order(&report.client_order_id).is_none() {
            findings.push(Finding::OrderUnknownToBook(report.clone()));
        } else if !snapshot.asked.contains_key(&report.client_order_id) {
            findings.push(Finding::OrderAdvanced(report.clone()));
        }
    }
    let mut moved: BTreeMap<&Symbol, Quantity> = BTreeMap::new();
    let mut charged: BTreeMap<&Asset, Quantity> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for fill in &snapshot.trades {
        if ledger.is_booked(&fill.symbol, fill.trade_id) || !told.insert((&fill.symbol, fill.trade_id)) {
            continue;
        }
        if !is_ours(&fill.client_order_id) {
            findings.push(Finding::ForeignTrade(fill.clone()));
            continue;
        }
        let base = bases.get(&fill.symbol);
        let fee = if base == Some(&fill.commission_asset) { fill.commission } else { Quantity::ZERO };
        *moved.entry(&fill.symbol).or_default() += fill.side.signed(fill.quantity) - fee;
        if base != Some(&fill.commission_asset) {
            *charged.entry(&fill.commission_asset).or_default() += fill.commission;
        }
        findings.push(Finding::MissedFill(fill.clone()));
    }
    let mut local: BTreeMap<&Asset, Quantity> = BTreeMap::new();
    for (symbol, base) in bases {
        let held = ledger.held(symbol) + moved.get(symbol).copied().unwrap_or_default();
        *local.entry(base).or_default() += held;
    }
    for (asset, held) in local {
        let beside = outside.get(asset).copied();
        // Commissions in an asset of no book come out of what is held beside them.
        let charged = beside.and_then(|_| charged.get(asset).copied()).unwrap_or_default();
        let local = held + beside.unwrap_or_default() - charged;
        let exchange = snapshot.balances.get(asset).copied().unwrap_or_default();
        if local != exchange {
            findings.push(Finding::Drift { asset: asset.clone(), local, exchange });
        }
    }
    findings
}

fn order_finding(
    ledger: &Ledger,
    snapshot: &ExchangeSnapshot,
    id: &ClientOrderId,
    answer: Option<&OrderReport>,
    validity: Millis,
) -> Option<Finding> {
    let order = ledger.order(id)?;
    match answer {
        Some(report) => {
            let mut after = order.clone();
            after.reported(report);
            (after != *order).then(|| Finding::OrderAdvanced(report.clone()))
        }
        None if order.state().is_final() => None,
        None if snapshot.time.since(order.intended_at) > validity => {
            let end = if order.is_acknowledged() { OrderEnd::Lost } else { OrderEnd::NeverArrived };
            Some(Finding::OrderNeverArrived(id.clone(), end))
        }
        None => Some(Finding::OrderUnresolved(id.clone())),
    }
}

#[cfg(test)]
mod tests {
    use domain::{ExchangeOrderStatus, Side};

    use super::*;
    use crate::book::tests::{btcusdt, ledger};
    use crate::order::tests::{fill_of, spec};

    fn bases() -> BTreeMap<Symbol, Asset> {
        BTreeMap::from([(btcusdt().symbol, btcusdt().base)])
    }

    fn compare(ledger: &Ledger, snapshot: &ExchangeSnapshot) -> Vec<Finding> {
        plan(ledger, snapshot, &bases(), &BTreeMap::new(), Millis::from_secs(10))
    }

    #[test]
    fn a_missed_fill_explains_the_balance_and_is_found_once() {
        let mut ledger = ledger();
        let spec = spec(1, Side::Buy, "1");
        ledger.intend(spec.clone(), domain::CorrelationId(7), Timestamp::EPOCH);
        let fill = fill_of(&spec, 5, "1", "100");
        let snapshot = ExchangeSnapshot {
            balances: BTreeMap::from([(btcusdt().base, "1".parse().unwrap())]),
            trades: vec![fill.clone(), fill.clone()],
            time: Timestamp::from_millis(60_000),
            ..ExchangeSnapshot::default()
        };
        assert_eq!(compare(&ledger, &snapshot), [Finding::MissedFill(fill.clone())]);
        ledger.book_fill(&fill, &btcusdt(), None).unwrap();
        assert_eq!(compare(&ledger, &snapshot), []);
    }

    #[test]
    fn an_order_nobody_knows_is_only_dead_after_its_validity() {
        let mut ledger = ledger();
        let spec = spec(1, Side::Buy, "1");
        ledger.intend(spec.clone(), domain::CorrelationId(7), Timestamp::EPOCH);
        let asked = BTreeMap::from([(spec.client_order_id.clone(), None)]);
        let at = |ms| ExchangeSnapshot { asked: asked.clone(), time: Timestamp::from_millis(ms), ..Default::default() };
        assert_eq!(compare(&ledger, &at(10_000)), [Finding::OrderUnresolved(spec.client_order_id.clone())]);
        let never = Finding::OrderNeverArrived(spec.client_order_id.clone(), OrderEnd::NeverArrived);
        assert_eq!(compare(&ledger, &at(10_001)), [never]);
    }

    #[test]
    fn foreign_orders_and_drift_are_told() {
        let report = OrderReport {
            client_order_id: "web_1".parse().unwrap(),
            exchange_order_id: None,
            symbol: btcusdt().symbol,
            status: ExchangeOrderStatus::New,
            executed_quantity: Quantity::ZERO,
            time: Timestamp::EPOCH,
            detail: None,
        };
        let snapshot = ExchangeSnapshot {
            balances: BTreeMap::from([(btcusdt().base, "2".parse().unwrap())]),
            open_orders: vec![report.clone()],
            ..ExchangeSnapshot::default()
        };
        let drift = Finding::Drift { asset: btcusdt().base, local: Quantity::ZERO, exchange: "2".parse().unwrap() };
        assert_eq!(compare(&ledger(), &snapshot), [Finding::ForeignOrder(report), drift]);
    }
}
