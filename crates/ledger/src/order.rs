//! The lifecycle of one order, as a state that only grows.
//!
//! What is known of an order is a set of facts, and merging a fact is a maximum: so reports, fills, timeouts and answers
//! may come late, twice and in any order, and the same facts always end in the same state. It must never forget that an
//! order may be alive: `Unknown` ends only by a word of the exchange.

use std::collections::BTreeSet;

use domain::{
    ClientOrderId, CorrelationId, ExchangeOrderId, ExchangeOrderStatus, Fill, OrderReport, OrderSpec, Quantity,
    Timestamp, TradeId,
};
use serde::{Deserialize, Serialize};

/// How far an order got, as far as we know. Later variants supersede earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Journaled, not handed to the transport.
    Intended,
    /// Handed to the transport.
    Released,
    /// The transport failed: it may or may not have arrived.
    Unknown,
    /// The exchange has spoken of it.
    Acknowledged,
}

/// How an order ended. Where two ends are told, the later variant prevails; the first two are our own conclusions and
/// yield to any word of the exchange, the third yields to another end and to fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEnd {
    /// It never left the process.
    NotSent,
    /// The exchange does not know it and its validity has passed.
    NeverArrived,
    /// It was there, and the exchange does not know it any more.
    Lost,
    /// Refused by the exchange.
    Rejected,
    /// Ended by the exchange.
    Expired,
    /// Cancelled.
    Canceled,
}

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// Journaled, not yet sent.
    Intended,
    /// Sent, no word of the exchange yet.
    InFlight,
    /// Its fate is not known: it is asked for, and never sent again.
    Unknown,
    /// On the exchange, nothing filled.
    Working,
    /// On the exchange, partly filled.
    PartiallyFilled,
    /// All filled.
    Filled,
    /// Ended with the rest not filled.
    Ended(OrderEnd),
}

impl std::fmt::Display for OrderState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Intended => "INTENDED",
            Self::InFlight => "IN_FLIGHT",
            Self::Unknown => "UNKNOWN",
            Self::Working => "WORKING",
            Self::PartiallyFilled => "PARTIALLY_FILLED",
            Self::Filled => "FILLED",
            Self::Ended(OrderEnd::NotSent) => "NOT_SENT",
            Self::Ended(OrderEnd::NeverArrived) => "NEVER_ARRIVED",
            Self::Ended(OrderEnd::Lost) => "LOST",
            Self::Ended(OrderEnd::Rejected) => "REJECTED",
            Self::Ended(OrderEnd::Expired) => "EXPIRED",
            Self::Ended(OrderEnd::Canceled) => "CANCELED",
        })
    }
}

impl OrderState {
    /// Whether nothing more is expected of the order.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Ended(_))
    }
}

/// One order: what we meant, and all that is known of what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What we meant.
    pub spec: OrderSpec,
    /// The event that caused it: whatever becomes of it carries the same.
    pub correlation_id: CorrelationId,
    /// When it was intended, in exchange time.
    pub intended_at: Timestamp,
    stage: Stage,
    end: Option<OrderEnd>,
    /// The exchange's number, once told.
    pub exchange_order_id: Option<ExchangeOrderId>,
    /// The most that the exchange has said is filled, in base units.
    reported: Quantity,
    /// The trades booked, and their sum in base units.
    trades: BTreeSet<TradeId>,
    booked: Quantity,
    /// When the last fact became known, in exchange time.
    pub updated_at: Timestamp,
}

impl Order {
    /// An order that is meant and not sent.
    #[must_use]
    pub fn intended(spec: OrderSpec, correlation_id: CorrelationId, now: Timestamp) -> Self {
        Self {
            spec,
            correlation_id,
            intended_at: now,
            stage: Stage::Intended,
            end: None,
            exchange_order_id: None,
            reported: Quantity::ZERO,
            trades: BTreeSet::new(),
            booked: Quantity::ZERO,
            updated_at: now,
        }
    }

    /// Our id of it.
    #[must_use]
    pub fn id(&self) -> &ClientOrderId {
        &self.spec.client_order_id
    }

    /// Whether the exchange has ever spoken of it.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        self.stage == Stage::Acknowledged
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> OrderState {
        if self.executed() >= self.spec.quantity {
            return OrderState::Filled;
        }
        match self.end {
            Some(end) if end > OrderEnd::NeverArrived || self.stage < Stage::Acknowledged => {
                return OrderState::Ended(end);
            }
            Some(_) | None => {}
        }
        match self.stage {
            Stage::Intended => OrderState::Intended,
            Stage::Released => OrderState::InFlight,
            Stage::Unknown => OrderState::Unknown,
            Stage::Acknowledged if self.executed().is_positive() => OrderState::PartiallyFilled,
            Stage::Acknowledged => OrderState::Working,
        }
    }

    /// Filled as far as anybody has said, in base units: a report may run ahead of the trades.
    #[must_use]
    pub fn executed(&self) -> Quantity {
        self.reported.max(self.booked)
    }

    /// The sum of the trades booked, in base units.
    #[must_use]
    pub const fn booked(&self) -> Quantity {
        self.booked
    }

    /// What may still fill, in base units: nothing once the order is final, else all that is not booked.
    #[must_use]
    pub fn open_quantity(&self) -> Quantity {
        if self.state().is_final() { self.unbooked() } else { self.spec.quantity - self.booked }
    }

    /// What the exchange says is filled and no trade has told yet, in base units.
    #[must_use]
    pub fn unbooked(&self) -> Quantity {
        self.executed() - self.booked
    }

    /// Whether nothing more is expected of it: final, and every fill that was told is booked.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state().is_final() && self.unbooked().is_zero()
    }

    /// It was handed to the transport.
    pub fn released(&mut self, now: Timestamp) {
        self.reach(Stage::Released, now);
    }

    /// The transport failed after the hand-over: nobody knows.
    pub fn outcome_unknown(&mut self, now: Timestamp) {
        self.reach(Stage::Unknown, now);
    }

    /// Our own conclusion that it is not on the exchange. It yields to any word of the exchange.
    pub fn concluded(&mut self, end: OrderEnd, now: Timestamp) {
        self.end = self.end.max(Some(end));
        self.updated_at = self.updated_at.max(now);
    }

    /// The exchange said where it is.
    pub fn reported(&mut self, report: &OrderReport) {
        self.reach(Stage::Acknowledged, report.time);
        self.reported = self.reported.max(report.executed_quantity.min(self.spec.quantity));
        self.exchange_order_id = self.exchange_order_id.max(report.exchange_order_id);
        let end = match report.status {
            ExchangeOrderStatus::Canceled => Some(OrderEnd::Canceled),
            ExchangeOrderStatus::Rejected => Some(OrderEnd::Rejected),
            ExchangeOrderStatus::Expired | ExchangeOrderStatus::ExpiredInMatch => Some(OrderEnd::Expired),
            ExchangeOrderStatus::Filled => {
                self.reported = self.spec.quantity;
                None
            }
            ExchangeOrderStatus::New | ExchangeOrderStatus::PartiallyFilled | ExchangeOrderStatus::Other(_) => None,
        };
        self.end = self.end.max(end);
    }

    /// A trade of it. Returns false, and changes nothing, for a trade seen before.
    pub fn filled(&mut self, fill: &Fill) -> bool {
        if !self.trades.insert(fill.trade_id) {
            return false;
        }
        self.reach(Stage::Acknowledged, fill.time);
        self.exchange_order_id = self.exchange_order_id.max(Some(fill.exchange_order_id));
        self.booked += fill.quantity;
        true
    }

    fn reach(&mut self, stage: Stage, now: Timestamp) {
        self.stage = self.stage.max(stage);
        self.updated_at = self.updated_at.max(now);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::{Asset, ExitKind, InstanceId, OrderType, Purpose, ReasonCode, Side, Symbol, TimeInForce};
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn spec(sequence: u64, side: Side, quantity: &str) -> OrderSpec {
        OrderSpec {
            client_order_id: ClientOrderId::new(&format!("vg-a-1-{sequence}")).unwrap(),
            instance: InstanceId::new("a").unwrap(),
            symbol: Symbol::new("BTCUSDT").unwrap(),
            side,
            order_type: OrderType::Market,
            purpose: if side == Side::Buy { Purpose::Entry } else { Purpose::Exit(ExitKind::Signal) },
            quantity: quantity.parse().unwrap(),
            price: None,
            stop_price: None,
            time_in_force: TimeInForce::Gtc,
            reason: ReasonCode::EntrySignal,
            oco: None,
        }
    }

    pub(crate) fn fill_of(spec: &OrderSpec, trade: u64, quantity: &str, price: &str) -> Fill {
        Fill {
            trade_id: TradeId(trade),
            client_order_id: spec.client_order_id.clone(),
            exchange_order_id: ExchangeOrderId(7),
            symbol: spec.symbol.clone(),
            side: spec.side,
            price: price.parse().unwrap(),
            quantity: quantity.parse().unwrap(),
            commission: Quantity::ZERO,
            commission_asset: Asset::new("USDT").unwrap(),
            is_maker: false,
            time: Timestamp::from_millis(1000 + i64::try_from(trade).unwrap()),
        }
    }

    fn report(spec: &OrderSpec, status: ExchangeOrderStatus, executed: &str, at: i64) -> OrderReport {
        OrderReport {
            client_order_id: spec.client_order_id.clone(),
            exchange_order_id: Some(ExchangeOrderId(7)),
            symbol: spec.symbol.clone(),
            status,
            executed_quantity: executed.parse().unwrap(),
            time: Timestamp::from_millis(at),
            detail: None,
        }
    }

    #[derive(Debug, Clone)]
    enum Event {
        Released,
        Unknown,
        Concluded(OrderEnd),
        Report(ExchangeOrderStatus, &'static str),
        Fill(u64),
    }

    fn apply(order: &mut Order, event: &Event) {
        let now = Timestamp::from_millis(5000);
        match event {
            Event::Released => order.released(now),
            Event::Unknown => order.outcome_unknown(now),
            Event::Concluded(end) => order.concluded(*end, now),
            Event::Report(status, executed) => {
                let report = report(&order.spec, status.clone(), executed, 5000);
                order.reported(&report);
            }
            Event::Fill(trade) => {
                let fill = fill_of(&order.spec, *trade, "1", "100");
                order.filled(&fill);
            }
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        use ExchangeOrderStatus as S;
        prop_oneof![
            Just(Event::Released),
            Just(Event::Unknown),
            Just(Event::Concluded(OrderEnd::NotSent)),
            Just(Event::Concluded(OrderEnd::NeverArrived)),
            Just(Event::Report(S::New, "0")),
            Just(Event::Report(S::PartiallyFilled, "1")),
            Just(Event::Report(S::PartiallyFilled, "2")),
            Just(Event::Report(S::Canceled, "2")),
            Just(Event::Report(S::Expired, "0")),
            Just(Event::Report(S::Other("PENDING_NEW".into()), "0")),
            (1u64..4).prop_map(Event::Fill),
        ]
    }

    proptest! {
        /// Late, twice, in any order: the same facts end in the same state.
        #[test]
        fn events_in_any_order_end_in_the_same_state(
            events in prop::collection::vec(any_event(), 0..12).prop_flat_map(|events| {
                (Just(events.clone()), Just(events).prop_shuffle(), any::<prop::sample::Index>())
            })
        ) {
            let (first, second, again) = events;
            let mut a = Order::intended(spec(1, Side::Buy, "3"), CorrelationId(7), Timestamp::EPOCH);
            let mut b = a.clone();
            first.iter().for_each(|event| apply(&mut a, event));
            second.iter().for_each(|event| apply(&mut b, event));
            if !second.is_empty() {
                apply(&mut b, again.get(&second));
            }
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn unknown_ends_only_by_a_word_of_the_exchange() {
        let mut order = Order::intended(spec(1, Side::Buy, "3"), CorrelationId(7), Timestamp::EPOCH);
        assert_eq!(order.state(), OrderState::Intended);
        order.released(Timestamp::EPOCH);
        assert_eq!(order.state(), OrderState::InFlight);
        order.outcome_unknown(Timestamp::EPOCH);
        assert_eq!(order.state(), OrderState::Unknown);
        assert_eq!(order.open_quantity(), order.spec.quantity);
        order.reported(&report(&order.spec.clone(), ExchangeOrderStatus::New, "0", 1));
        assert_eq!(order.state(), OrderState::Working);
    }

    #[test]
    fn an_order_called_never_arrived_that_shows_up_is_alive() {
        let mut order = Order::intended(spec(1, Side::Buy, "3"), CorrelationId(7), Timestamp::EPOCH);
        order.outcome_unknown(Timestamp::EPOCH);
        order.concluded(OrderEnd::NeverArrived, Timestamp::EPOCH);
        assert_eq!(order.state(), OrderState::Ended(OrderEnd::NeverArrived));
        order.filled(&fill_of(&order.spec.clone(), 1, "1", "100"));
        assert_eq!(order.state(), OrderState::PartiallyFilled);
    }

    #[test]
    fn a_report_that_runs_ahead_of_its_trades_leaves_them_unbooked() {
        let mut order = Order::intended(spec(1, Side::Buy, "3"), CorrelationId(7), Timestamp::EPOCH);
        order.reported(&report(&order.spec.clone(), ExchangeOrderStatus::Filled, "3", 1));
        assert_eq!(order.state(), OrderState::Filled);
        assert_eq!(order.unbooked(), "3".parse().unwrap());
        assert!(order.filled(&fill_of(&order.spec.clone(), 1, "3", "100")));
        assert!(!order.filled(&fill_of(&order.spec.clone(), 1, "3", "100")));
        assert!(order.unbooked().is_zero());
    }
}
