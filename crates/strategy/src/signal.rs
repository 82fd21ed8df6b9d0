//! What passes between a strategy and its engine: signals, the view of the own position, requirements.
//!
//! It must never let an entry exist here without a stop on the losing side of its price.

use domain::{Interval, Price, Quantity, Side};
use serde::{Deserialize, Serialize};

use crate::number;

/// What a strategy asks for. Whether and how large it is done is decided by risk and engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Open a position.
    Enter(Entry),
    /// Close the whole position.
    Exit,
    /// Withdraw the working entry order, if any.
    CancelEntry,
}

/// An entry, with the protective exit that it cannot be without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which way.
    pub side: Side,
    /// How it meets the book.
    pub kind: EntryKind,
    /// Where the loss is cut, in quote units: below the price of a Buy. Not yet rounded to the tick.
    pub stop: Price,
    /// Where the profit is taken, in quote units: above the price of a Buy. Not yet rounded to the tick.
    pub take_profit: Option<Price>,
}

/// How an entry meets the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// At the best price there is.
    Market,
    /// At `price` or better.
    Limit {
        /// In quote units, not yet rounded to the tick.
        price: Price,
    },
}

impl Entry {
    /// A Buy seen at `price`, with stop and target in quote units (rounded to 8 decimals); `None` where the stop is no
    /// price below it, or the target no price above it.
    pub(crate) fn buy(kind: EntryKind, price: Price, stop: f64, take_profit: Option<f64>) -> Option<Entry> {
        let stop = number::price_from_f64(stop).filter(|stop| *stop < price)?;
        let take_profit = match take_profit {
            Some(target) => Some(number::price_from_f64(target).filter(|target| *target > price)?),
            None => None,
        };
        Some(Entry { side: Side::Buy, kind, stop, take_profit })
    }
}

/// What the strategy may know of its own position on the symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PositionView {
    /// Held, in base units: above zero is long. A rest too small to be sold is to be shown as zero.
    pub quantity: Quantity,
    /// Whether an entry order is on its way or on the book.
    pub entry_working: bool,
    /// What the position cost on average, in quote units; `None` while flat.
    pub average_price: Option<Price>,
}

impl PositionView {
    /// Whether something is held.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.quantity.is_positive()
    }

    /// Whether an entry would be the first: nothing is held and none is working.
    #[must_use]
    pub fn may_enter(&self) -> bool {
        self.quantity.is_zero() && !self.entry_working
    }
}

/// What a strategy must be fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirements {
    /// The length of the candles.
    pub interval: Interval,
    /// How many candles pass before the first one that can bring a signal.
    pub warm_up: usize,
    /// Whether public trades are wanted.
    pub uses_trades: bool,
    /// Whether quotes are wanted.
    pub uses_quotes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_valid_protection_does_not_exist() {
        let price: Price = "100".parse().unwrap();
        let buy = |stop, target| Entry::buy(EntryKind::Market, price, stop, target);
        let good = buy(98.123_456_789, Some(104.0)).unwrap();
        assert_eq!(
            (good.stop.to_string(), good.take_profit.unwrap().to_string()),
            ("98.12345679".into(), "104".into())
        );
        assert!(buy(99.0, None).is_some());
        for stop in [100.0, 101.0, 0.0, -1.0, 1e-12, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(buy(stop, None), None, "stop {stop}");
        }
        for target in [100.0, 99.0, -1.0, 1e13, f64::NAN, f64::INFINITY] {
            assert_eq!(buy(99.0, Some(target)), None, "target {target}");
        }
    }
}
