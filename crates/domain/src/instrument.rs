//! An instrument: what may be traded on a symbol and in which steps.
//!
//! It must never round a quantity up, nor treat an unknown status as tradable.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{Asset, Notional, OrderType, Price, Quantity, ReasonCode, Side, Symbol};

/// What the exchange lets one do on a symbol. An unknown word is kept as it came and is not tradable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SmolStr", into = "SmolStr")]
pub enum SymbolStatus {
    /// Orders, cancels and market data.
    Trading,
    /// Unplanned stop: no orders, cancels allowed.
    Halt,
    /// Planned stop (maintenance), and the state delisted symbols stay in.
    Break,
    /// Only cancels and amendments.
    CancelOnly,
    /// Anything else.
    Other(SmolStr),
}

impl From<SmolStr> for SymbolStatus {
    fn from(text: SmolStr) -> Self {
        match text.as_str() {
            "TRADING" => Self::Trading,
            "HALT" => Self::Halt,
            "BREAK" => Self::Break,
            "CANCEL_ONLY" => Self::CancelOnly,
            _ => Self::Other(text),
        }
    }
}

impl From<SymbolStatus> for SmolStr {
    fn from(status: SymbolStatus) -> Self {
        match status {
            SymbolStatus::Trading => "TRADING".into(),
            SymbolStatus::Halt => "HALT".into(),
            SymbolStatus::Break => "BREAK".into(),
            SymbolStatus::CancelOnly => "CANCEL_ONLY".into(),
            SymbolStatus::Other(text) => text,
        }
    }
}

/// The rules of one symbol. A zero means that the exchange has no such rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instrument {
    /// The symbol.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: Asset,
    /// What it is paid in.
    pub quote: Asset,
    /// Whether it trades now.
    pub status: SymbolStatus,
    /// Prices are multiples of this, in quote units.
    pub tick_size: Decimal,
    /// Quantities are multiples of this, in base units.
    pub step_size: Decimal,
    /// Smallest quantity of an order, in base units.
    pub quantity_min: Quantity,
    /// Largest quantity of an order, in base units.
    pub quantity_max: Quantity,
    /// Smallest price x quantity of an order, in quote units.
    pub notional_min: Notional,
    /// The order types that the exchange takes on this symbol.
    pub order_types: Vec<OrderType>,
    /// The rules that few orders meet.
    #[serde(default)]
    pub filters: Filters,
}

/// The rules of one symbol beyond steps and smallest sizes. Zero means that the exchange has no such rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Lowest price of an order, in quote units.
    pub price_min: Decimal,
    /// Highest price of an order, in quote units.
    pub price_max: Decimal,
    /// A buy's price is at least the reference price times this.
    pub bid_multiplier_down: Decimal,
    /// A buy's price is at most the reference price times this.
    pub bid_multiplier_up: Decimal,
    /// A sell's price is at least the reference price times this.
    pub ask_multiplier_down: Decimal,
    /// A sell's price is at most the reference price times this.
    pub ask_multiplier_up: Decimal,
    /// The reference price is the average of so many minutes; 0 is the last price.
    pub average_price_minutes: u32,
    /// Market orders: quantities are multiples of this as well, in base units.
    pub market_step_size: Decimal,
    /// Market orders: smallest quantity, in base units.
    pub market_quantity_min: Quantity,
    /// Market orders: largest quantity, in base units.
    pub market_quantity_max: Quantity,
    /// Largest price x quantity of an order, in quote units.
    pub notional_max: Notional,
    /// Whether `notional_min` binds market orders.
    pub notional_min_binds_market: bool,
    /// Open orders of the account on the symbol.
    pub orders_max: u32,
    /// Open orders with a trigger of the account on the symbol: stop-loss and take-profit.
    pub algo_orders_max: u32,
    /// Open order lists of the account on the symbol.
    pub order_lists_max: u32,
    /// Largest holding of the base asset, open buys included, in base units.
    pub position_max: Quantity,
    /// Whether the exchange takes one-cancels-the-other lists on the symbol.
    pub oco_allowed: bool,
    /// Decimals of a quantity; 0 where it was not told.
    pub base_precision: u32,
    /// Decimals of a quote amount; 0 where it was not told.
    pub quote_precision: u32,
}

/// Why a quantity and a price make no order on an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeError {
    /// Below the smallest quantity, after rounding down.
    BelowQuantityMin,
    /// Above the largest quantity.
    AboveQuantityMax,
    /// price x quantity is below the smallest notional.
    BelowNotionalMin,
}

impl Instrument {
    /// The quantity rounded down to the step.
    #[must_use]
    pub fn round_quantity(&self, quantity: Quantity) -> Quantity {
        quantity.floor_to(self.step_size).normalized()
    }

    /// The quantity of an exit: rounded down to the step, and no more than one order may have. The rest exits later.
    #[must_use]
    pub fn round_exit(&self, quantity: Quantity) -> Quantity {
        let bounds = [self.quantity_max, self.filters.market_quantity_max];
        let bounded = bounds.into_iter().filter(|max| max.is_positive()).fold(quantity, Quantity::min);
        self.round_quantity(bounded.floor_to(self.filters.market_step_size))
    }

    /// Checks what few orders meet: bounds of the price, its distance from `reference`, and the bounds of market orders.
    /// `price` is the limit or the trigger, where the order has one.
    ///
    /// # Errors
    /// The first filter of the exchange that would refuse it, as its reason.
    pub fn check_filters(
        &self,
        side: Side,
        quantity: Quantity,
        price: Option<Price>,
        reference: Price,
    ) -> Result<(), ReasonCode> {
        let filters = &self.filters;
        let above = |value: Decimal, max: Decimal| !max.is_zero() && value > max;
        let below = |value: Decimal, min: Decimal| !min.is_zero() && value < min;
        if above(price.unwrap_or(reference).times(quantity).value(), filters.notional_max.value()) {
            return Err(ReasonCode::FilterNotional);
        }
        let Some(price) = price else {
            let step = quantity.floor_to(filters.market_step_size) == quantity;
            let large = above(quantity.value(), filters.market_quantity_max.value());
            let small = below(quantity.value(), filters.market_quantity_min.value());
            return if step && !large && !small { Ok(()) } else { Err(ReasonCode::FilterLotSize) };
        };
        if below(price.value(), filters.price_min) || above(price.value(), filters.price_max) {
            return Err(ReasonCode::FilterPrice);
        }
        let (down, up) = match side {
            Side::Buy => (filters.bid_multiplier_down, filters.bid_multiplier_up),
            Side::Sell => (filters.ask_multiplier_down, filters.ask_multiplier_up),
        };
        if below(price.value(), reference.value() * down) || above(price.value(), reference.value() * up) {
            return Err(ReasonCode::FilterPercentPrice);
        }
        Ok(())
    }

    /// A limit price rounded to the tick on the safe side: a buy down, a sell up.
    #[must_use]
    pub fn round_price(&self, side: Side, price: Price) -> Option<Price> {
        match side {
            Side::Buy => price.floor_to(self.tick_size),
            Side::Sell => price.ceil_to(self.tick_size),
        }
    }

    /// Checks a rounded quantity at `price` against the instrument's bounds.
    ///
    /// # Errors
    /// The bound that is broken.
    pub fn check_size(&self, quantity: Quantity, price: Price) -> Result<(), SizeError> {
        if quantity < self.quantity_min || !quantity.is_positive() {
            return Err(SizeError::BelowQuantityMin);
        }
        if self.quantity_max.is_positive() && quantity > self.quantity_max {
            return Err(SizeError::AboveQuantityMax);
        }
        if price.times(quantity) < self.notional_min {
            return Err(SizeError::BelowNotionalMin);
        }
        Ok(())
    }

    /// Whether `quantity` is too little to be sold at `price`: dust, which is reported and not fought.
    #[must_use]
    pub fn is_dust(&self, quantity: Quantity, price: Price) -> bool {
        matches!(
            self.check_size(self.round_quantity(quantity.abs()), price),
            Err(SizeError::BelowQuantityMin | SizeError::BelowNotionalMin)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btcusdt() -> Instrument {
        Instrument {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            base: Asset::new("BTC").unwrap(),
            quote: Asset::new("USDT").unwrap(),
            status: SymbolStatus::Trading,
            tick_size: "0.01".parse().unwrap(),
            step_size: "0.00001".parse().unwrap(),
            quantity_min: "0.00001".parse().unwrap(),
            quantity_max: "9000".parse().unwrap(),
            notional_min: "5".parse().unwrap(),
            order_types: vec![OrderType::Market],
            filters: Filters::default(),
        }
    }

    #[test]
    fn sizes_are_checked_after_rounding() {
        let (instrument, price) = (btcusdt(), "50000".parse().unwrap());
        let cases = [
            ("0.000009", Err(SizeError::BelowQuantityMin)),
            ("0.00009", Err(SizeError::BelowNotionalMin)),
            ("0.0001", Ok(())),
            ("9001", Err(SizeError::AboveQuantityMax)),
        ];
        for (quantity, expected) in cases {
            let rounded = instrument.round_quantity(quantity.parse().unwrap());
            assert_eq!(instrument.check_size(rounded, price), expected, "{quantity}");
        }
        assert!(instrument.is_dust("0.00009".parse().unwrap(), price));
        assert!(!instrument.is_dust("0.0002".parse().unwrap(), price));
    }

    #[test]
    fn the_rarer_filters_refuse_by_name_and_zero_is_no_rule() {
        let text = |text: &str| text.parse::<Decimal>().unwrap();
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        let price = |text: &str| text.parse::<Price>().unwrap();
        let mut instrument = btcusdt();
        let reference = price("50000");
        assert_eq!(instrument.check_filters(Side::Buy, quantity("1"), Some(price("1")), reference), Ok(()));
        instrument.filters = Filters {
            price_min: text("10"),
            price_max: text("900000"),
            bid_multiplier_up: text("5"),
            bid_multiplier_down: text("0.2"),
            ask_multiplier_up: text("5"),
            ask_multiplier_down: text("0.2"),
            market_step_size: text("0.001"),
            market_quantity_min: quantity("0.01"),
            market_quantity_max: quantity("100"),
            notional_max: "6000000".parse().unwrap(),
            ..Filters::default()
        };
        let cases = [
            (Side::Buy, "1", Some("250000"), Ok(())),
            (Side::Buy, "1", Some("250000.01"), Err(ReasonCode::FilterPercentPrice)),
            (Side::Sell, "1", Some("10000"), Ok(())),
            (Side::Sell, "1", Some("9999.99"), Err(ReasonCode::FilterPercentPrice)),
            (Side::Buy, "1", Some("9.99"), Err(ReasonCode::FilterPrice)),
            (Side::Buy, "0.1", Some("900000.01"), Err(ReasonCode::FilterPrice)),
            (Side::Buy, "120.1", None, Err(ReasonCode::FilterNotional)),
            (Side::Buy, "100", None, Ok(())),
            (Side::Buy, "100.001", None, Err(ReasonCode::FilterLotSize)),
            (Side::Buy, "0.009", None, Err(ReasonCode::FilterLotSize)),
            (Side::Buy, "0.0105", None, Err(ReasonCode::FilterLotSize)),
        ];
        for (side, size, at, expected) in cases {
            let found = instrument.check_filters(side, quantity(size), at.map(price), reference);
            assert_eq!(found, expected, "{side} {size} at {at:?}");
        }
        assert_eq!(instrument.round_exit(quantity("100.12345")), quantity("100"));
        assert_eq!(instrument.round_exit(quantity("1.23456")), quantity("1.234"));
    }

    #[test]
    fn an_unknown_status_is_kept() {
        let status: SymbolStatus = serde_json::from_str("\"AUCTION_MATCH\"").unwrap();
        assert_eq!(status, SymbolStatus::Other("AUCTION_MATCH".into()));
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"AUCTION_MATCH\"");
    }
}
