//! What of the exchange's model may be set: charges, the look of the book, how slowly it fills, what is not documented.
//!
//! Its defaults must never make a market that is kinder than a real one in anything but depth.

use domain::{Decimal, Notional, Ratio};
use serde::{Deserialize, Serialize};

use super::order::StpMode;

/// What the exchange charges, how its book looks, and how it answers where its documents say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Share of the received amount charged when the order rested.
    pub maker_fee: Ratio,
    /// Share of the received amount charged when the order took.
    pub taker_fee: Ratio,
    /// Distance of a derived best bid or ask from the last trade, as a share of its price.
    pub half_spread: Ratio,
    /// How much worse than the best price a market order fills, as a share of the price.
    pub slippage: Ratio,
    /// Of a resting order at most this share of its quantity fills by one trade, and at most this share of what the trade
    /// printed; 1 is no bound.
    pub fill_share_max: Ratio,
    /// What one price of the book holds, in quote units; 0 is an endless book at the best price.
    pub level_notional: Notional,
    /// How many prices the book has, a tick apart, where `level_notional` is not 0.
    pub levels_max: u32,
    /// Self-trade prevention of orders that do not say any.
    pub self_trade_prevention: StpMode,
    /// Code of "Market is closed."; documented as -2010, seen as -1013.
    pub market_closed_code: i32,
    /// Code of "Filter failure: MAX_POSITION"; documented as -1013, seen as -2010.
    pub position_max_code: i32,
    /// After so many days an order that ended without a fill is archived (-2026).
    pub archive_days: u32,
    /// Whether the filters have the names of old: `PERCENT_PRICE` and `MIN_NOTIONAL`.
    pub has_old_filters: bool,
}

impl Default for ModelSettings {
    fn default() -> Self {
        let ratio = |number, scale| Ratio::new(Decimal::new(number, scale)).unwrap_or_default();
        Self {
            maker_fee: ratio(1, 3),
            taker_fee: ratio(1, 3),
            half_spread: ratio(1, 4),
            slippage: Ratio::ZERO,
            fill_share_max: Ratio::ONE,
            level_notional: Notional::ZERO,
            levels_max: 20,
            self_trade_prevention: StpMode::None,
            market_closed_code: -1013,
            position_max_code: -2010,
            archive_days: 90,
            has_old_filters: false,
        }
    }
}
