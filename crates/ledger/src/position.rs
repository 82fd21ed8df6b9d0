//! A position: what one instance holds of one symbol, at which cost, with what result.
//!
//! Exact by construction: cost is kept as a total, so that realized + unrealized - fees always equals the cash that
//! moved plus the value that is held, to the last digit. It must never be made anywhere but here.

use domain::{Fill, InstanceId, Instrument, Notional, Price, Quantity, Side, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

/// What a fill's commission comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    /// Its value in the quote currency, at the price of the fill where it was charged in base.
    pub value: Notional,
    /// How much base it took, in base units.
    pub base: Quantity,
    /// Whether it came out of the quote cash; a third asset does not.
    pub from_cash: bool,
}

impl Fee {
    /// The fee of `fill` on `instrument`; a third asset needs its price in the quote currency.
    ///
    /// # Errors
    /// `None` where the commission is in a third asset whose price is not known.
    #[must_use]
    pub fn of(fill: &Fill, instrument: &Instrument, third_asset_price: Option<Price>) -> Option<Fee> {
        if fill.commission_asset == instrument.quote {
            let value = Notional::new(fill.commission.value()).ok()?;
            return Some(Fee { value, base: Quantity::ZERO, from_cash: true });
        }
        if fill.commission_asset == instrument.base {
            return Some(Fee { value: fill.price.times(fill.commission), base: fill.commission, from_cash: false });
        }
        if fill.commission.is_zero() {
            return Some(Fee { value: Notional::ZERO, base: Quantity::ZERO, from_cash: false });
        }
        third_asset_price.map(|price| Fee {
            value: price.times(fill.commission),
            base: Quantity::ZERO,
            from_cash: false,
        })
    }
}

/// A closed trade: from flat to flat (or to dust), net of fees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// When the first fill came.
    pub opened_at: Timestamp,
    /// When the last fill came.
    pub closed_at: Timestamp,
    /// Result in the quote currency, net of fees.
    pub result: Notional,
}

/// What one instance holds of one symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    instance: InstanceId,
    symbol: Symbol,
    /// Signed: above zero is long, in base units.
    quantity: Quantity,
    /// What is held cost, in quote units; the sign is the quantity's.
    cost: Notional,
    realized: Notional,
    fees: Notional,
    opened_at: Option<Timestamp>,
    /// Result of the round trip that is under way, net of fees.
    trip_result: Notional,
}

impl Position {
    pub(crate) fn flat(instance: InstanceId, symbol: Symbol) -> Self {
        Self {
            instance,
            symbol,
            quantity: Quantity::ZERO,
            cost: Notional::ZERO,
            realized: Notional::ZERO,
            fees: Notional::ZERO,
            opened_at: None,
            trip_result: Notional::ZERO,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Of which market.
    #[must_use]
    pub const fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// Held, in base units; above zero is long.
    #[must_use]
    pub const fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// What is held cost, in quote units.
    #[must_use]
    pub const fn cost(&self) -> Notional {
        self.cost
    }

    /// Profit and loss of what was closed, before fees, in quote units.
    #[must_use]
    pub const fn realized(&self) -> Notional {
        self.realized
    }

    /// Fees paid, valued in quote units.
    #[must_use]
    pub const fn fees(&self) -> Notional {
        self.fees
    }

    /// When the round trip under way began.
    #[must_use]
    pub const fn opened_at(&self) -> Option<Timestamp> {
        self.opened_at
    }

    /// Average price of what is held; `None` when flat.
    #[must_use]
    pub fn average_price(&self) -> Option<Price> {
        let average = self.cost.value().checked_div(self.quantity.value())?;
        Price::new(average.round_dp(domain::money::PRECISION_MAX)).ok()
    }

    /// What is held is worth so much at `mark`, in quote units.
    #[must_use]
    pub fn value(&self, mark: Price) -> Notional {
        mark.times(self.quantity)
    }

    /// Profit and loss of what is held at `mark`, in quote units.
    #[must_use]
    pub fn unrealized(&self, mark: Price) -> Notional {
        self.value(mark) - self.cost
    }

    /// Whether there is nothing that could be sold or bought back: zero or dust.
    #[must_use]
    pub fn is_flat(&self, instrument: &Instrument, mark: Price) -> bool {
        self.quantity.is_zero() || instrument.is_dust(self.quantity, mark)
    }

    /// The side that closes it; `None` when there is nothing.
    #[must_use]
    pub fn closing_side(&self) -> Option<Side> {
        if self.quantity.is_zero() {
            return None;
        }
        Some(if self.quantity.is_positive() { Side::Sell } else { Side::Buy })
    }

    /// Books one fill. The caller has made sure that it is new and of this instance and symbol.
    pub(crate) fn book(&mut self, fill: &Fill, fee: Fee, instrument: &Instrument) -> Option<RoundTrip> {
        let realized_before = self.realized;
        let opened_at = *self.opened_at.get_or_insert(fill.time);
        self.trade(fill.side.signed(fill.quantity), fill.price);
        if !fee.base.is_zero() {
            // Base charged as a fee is gone at the price of the fill: it leaves the position as if it were sold, and
            // its value is counted once, as the fee.
            self.trade(-fee.base, fill.price);
        }
        self.fees += fee.value;
        self.trip_result += self.realized - realized_before - fee.value;
        if !self.is_flat(instrument, fill.price) {
            return None;
        }
        self.opened_at = None;
        let result = std::mem::take(&mut self.trip_result);
        Some(RoundTrip { opened_at, closed_at: fill.time, result })
    }

    /// Moves the position by `delta` (signed) at `price`: closes what is opposite first, then opens the rest.
    fn trade(&mut self, delta: Quantity, price: Price) {
        let opposite = (self.quantity.is_positive() && delta.is_negative())
            || (self.quantity.is_negative() && delta.is_positive());
        let closing = match opposite {
            false => Quantity::ZERO,
            true if delta.abs() <= self.quantity.abs() => delta,
            true => -self.quantity,
        };
        if !closing.is_zero() {
            let cost = self.cost.portion(closing.abs(), self.quantity.abs());
            self.realized += -price.times(closing) - cost;
            self.cost -= cost;
            self.quantity += closing;
        }
        let opening = delta - closing;
        self.cost += price.times(opening);
        self.quantity += opening;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::tests::btcusdt;
    use crate::order::tests::{fill_of, spec};

    fn position() -> Position {
        Position::flat("a".parse().unwrap(), "BTCUSDT".parse().unwrap())
    }

    fn n(text: &str) -> Notional {
        text.parse().unwrap()
    }

    #[test]
    fn average_cost_and_result_of_a_round_trip() {
        let (mut position, instrument) = (position(), btcusdt());
        let (buy, sell) = (spec(1, Side::Buy, "3"), spec(2, Side::Sell, "3"));
        let no_fee = Fee { value: n("0"), base: Quantity::ZERO, from_cash: true };
        assert_eq!(position.book(&fill_of(&buy, 1, "1", "100"), no_fee, &instrument), None);
        assert_eq!(position.book(&fill_of(&buy, 2, "2", "130"), no_fee, &instrument), None);
        assert_eq!(position.average_price(), Some("120".parse().unwrap()));
        assert_eq!(position.unrealized("125".parse().unwrap()), n("15"));
        assert_eq!(position.book(&fill_of(&sell, 3, "1", "150"), no_fee, &instrument), None);
        assert_eq!(position.realized(), n("30"));
        let trip = position.book(&fill_of(&sell, 4, "2", "90"), no_fee, &instrument).unwrap();
        assert_eq!((trip.result, position.cost()), (n("-30"), n("0")));
    }

    #[test]
    fn a_fee_in_base_makes_the_position_smaller_and_counts_once() {
        let (mut position, instrument) = (position(), btcusdt());
        let mut fill = fill_of(&spec(1, Side::Buy, "1"), 1, "1", "50000");
        fill.commission = "0.001".parse().unwrap();
        fill.commission_asset = instrument.base.clone();
        let fee = Fee::of(&fill, &instrument, None).unwrap();
        position.book(&fill, fee, &instrument);
        assert_eq!(position.quantity(), "0.999".parse().unwrap());
        assert_eq!((position.fees(), position.realized()), (n("50"), n("0")));
        assert_eq!(position.average_price(), Some("50000".parse().unwrap()));
    }

    #[test]
    fn dust_ends_a_round_trip() {
        let (mut position, instrument) = (position(), btcusdt());
        let fee = Fee { value: n("1"), base: Quantity::ZERO, from_cash: true };
        position.book(&fill_of(&spec(1, Side::Buy, "1"), 1, "1.000009", "50000"), fee, &instrument);
        let trip = position.book(&fill_of(&spec(2, Side::Sell, "1"), 2, "1", "50010"), fee, &instrument).unwrap();
        assert_eq!(trip.result, n("8"));
        assert_eq!(position.quantity(), "0.000009".parse().unwrap());
        assert_eq!(position.opened_at(), None);
    }

    #[test]
    fn a_third_asset_without_a_price_is_not_guessed() {
        let mut fill = fill_of(&spec(1, Side::Buy, "1"), 1, "1", "50000");
        fill.commission = "0.01".parse().unwrap();
        fill.commission_asset = "BNB".parse().unwrap();
        assert_eq!(Fee::of(&fill, &btcusdt(), None), None);
        assert_eq!(Fee::of(&fill, &btcusdt(), Some("600".parse().unwrap())).unwrap().value, n("6"));
    }
}
