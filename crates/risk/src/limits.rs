//! Pre-trade limits (O5): bounds of one order, one position and the portfolio, and the rate of orders.
//!
//! It must never be able to switch a limit off by leaving it out: every limit has a value.

use std::collections::{BTreeMap, VecDeque};

use domain::{InstanceId, Millis, Notional, Quantity, Ratio, Timestamp};
use serde::{Deserialize, Serialize};

/// The limits that the gate holds every order to. Amounts in the portfolio's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest price x quantity of one entry order.
    pub order_notional_max: Notional,
    /// Largest quantity of one entry order, in base units.
    pub order_quantity_max: Quantity,
    /// How far an order's price may be from the last mark, as a share of it; also the worst case of a market order.
    pub price_collar: Ratio,
    /// Largest value of a position of one instance on one symbol.
    pub position_notional_max: Notional,
    /// Largest value of all positions and working entries together.
    pub exposure_notional_max: Notional,
    /// How much worse than the stop the limit of a stop-limit order is, as a share of the stop's price. It is used where
    /// a symbol has no stop that becomes a market order.
    pub stop_limit_slack: Ratio,
    /// Entry orders of one instance within `order_rate_window_ms`.
    pub order_rate_max: u32,
    /// The window of the order rate, in milliseconds of exchange time.
    pub order_rate_window_ms: Millis,
    /// How old the last mark may be for an order to be checked against it, in milliseconds of exchange time.
    pub mark_age_ms_max: Millis,
    /// How long an approval is good for, in milliseconds of exchange time.
    pub approval_validity_ms: Millis,
}

fn amount(value: i64) -> Notional {
    Notional::new(value.into()).unwrap_or_default()
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            order_notional_max: amount(10_000),
            order_quantity_max: Quantity::new(100_000_000.into()).unwrap_or_default(),
            price_collar: Ratio::from_percent(5),
            position_notional_max: amount(20_000),
            exposure_notional_max: amount(100_000),
            stop_limit_slack: Ratio::from_percent(1),
            order_rate_max: 10,
            order_rate_window_ms: Millis::from_secs(60),
            mark_age_ms_max: Millis::from_secs(120),
            approval_validity_ms: Millis::from_secs(5),
        }
    }
}

/// Entry orders of the recent past, by instance.
#[derive(Debug, Default)]
pub(crate) struct OrderRate {
    recent: BTreeMap<InstanceId, VecDeque<Timestamp>>,
}

impl OrderRate {
    /// Whether one more order at `now` keeps within the limit.
    pub(crate) fn allows(&mut self, instance: &InstanceId, limits: &Limits, now: Timestamp) -> bool {
        let Some(recent) = self.recent.get_mut(instance) else { return limits.order_rate_max > 0 };
        while recent.front().is_some_and(|first| now.since(*first) >= limits.order_rate_window_ms) {
            recent.pop_front();
        }
        recent.len() < limits.order_rate_max as usize
    }

    /// An order was approved at `now`.
    pub(crate) fn count(&mut self, instance: &InstanceId, now: Timestamp) {
        self.recent.entry(instance.clone()).or_default().push_back(now);
    }
}
