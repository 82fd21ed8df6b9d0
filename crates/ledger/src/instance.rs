//! The book of one instance: its cash, positions and results.
//!
//! It must never mix the cash of two instances, nor lose a digit: equity is cash plus value, and also capital +
//! realized + unrealized - fees, and the two are equal to the last decimal.

use std::collections::BTreeMap;

use domain::{FamilyId, Fill, InstanceId, Instrument, Millis, Notional, Price, Side, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{EquityTracker, Fee, Position, RoundTrip};

/// What closed trades came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeStats {
    /// Closed with a profit, net of fees.
    pub wins: u64,
    /// Closed with a loss, net of fees.
    pub losses: u64,
    /// Closed at exactly zero.
    pub even: u64,
    /// Losing trades in a row, up to now; a result of zero neither extends nor resets it.
    pub losing_streak: u32,
    /// Time in the market, summed over closed trades.
    pub exposed: Millis,
}

impl TradeStats {
    /// Closed trades.
    #[must_use]
    pub const fn trades(&self) -> u64 {
        self.wins + self.losses + self.even
    }

    fn add(&mut self, trip: &RoundTrip) {
        self.exposed = Millis::new(self.exposed.get() + trip.closed_at.since(trip.opened_at).get());
        if trip.result.is_positive() {
            self.wins += 1;
            self.losing_streak = 0;
        } else if trip.result.is_negative() {
            self.losses += 1;
            self.losing_streak += 1;
        } else {
            self.even += 1;
        }
    }
}

/// The book of one instance. Amounts in the portfolio's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceBook {
    /// Whose it is.
    pub id: InstanceId,
    /// Its family.
    pub family: FamilyId,
    /// Capital given to it, with later flows.
    pub capital: Notional,
    /// Cash: capital less what was bought, plus what was sold, less fees that were charged in the quote currency.
    pub cash: Notional,
    /// Profit and loss of what was closed, before fees.
    pub realized: Notional,
    /// Profit and loss of what is held, at the last marks.
    pub unrealized: Notional,
    /// Fees, valued in the portfolio's currency.
    pub fees: Notional,
    /// Of these, what was paid in a third asset and so did not touch cash or position.
    pub fees_elsewhere: Notional,
    /// Peaks and bases.
    pub tracker: EquityTracker,
    /// What closed trades came to.
    pub stats: TradeStats,
    pub(crate) positions: BTreeMap<Symbol, Position>,
}

impl InstanceBook {
    pub(crate) fn new(id: InstanceId, family: FamilyId, capital: Notional) -> Self {
        Self {
            id,
            family,
            capital,
            cash: capital,
            realized: Notional::ZERO,
            unrealized: Notional::ZERO,
            fees: Notional::ZERO,
            fees_elsewhere: Notional::ZERO,
            tracker: EquityTracker::new(capital),
            stats: TradeStats::default(),
            positions: BTreeMap::new(),
        }
    }

    /// capital + realized + unrealized - fees.
    #[must_use]
    pub fn equity(&self) -> Notional {
        self.capital + self.realized + self.unrealized - self.fees
    }

    /// Its positions, by symbol.
    pub fn positions(&self) -> impl Iterator<Item = &Position> {
        self.positions.values()
    }

    /// Its position on `symbol`; `None` if it never had one.
    #[must_use]
    pub fn position(&self, symbol: &Symbol) -> Option<&Position> {
        self.positions.get(symbol)
    }

    /// Its position on `symbol`, flat where it never had one.
    #[must_use]
    pub fn position_or_flat(&self, symbol: &Symbol) -> Position {
        self.position(symbol).cloned().unwrap_or_else(|| Position::flat(self.id.clone(), symbol.clone()))
    }

    pub(crate) fn book(&mut self, fill: &Fill, fee: Fee, instrument: &Instrument, mark: Price) -> Option<RoundTrip> {
        let (id, symbol) = (&self.id, &fill.symbol);
        let position =
            self.positions.entry(symbol.clone()).or_insert_with(|| Position::flat(id.clone(), symbol.clone()));
        let (realized, unrealized) = (position.realized(), position.unrealized(mark));
        let trip = position.book(fill, fee, instrument);
        self.realized += position.realized() - realized;
        self.unrealized += position.unrealized(mark) - unrealized;
        self.fees += fee.value;
        match fill.side {
            Side::Buy => self.cash -= fill.notional(),
            Side::Sell => self.cash += fill.notional(),
        }
        if fee.from_cash {
            self.cash -= fee.value;
        } else if fee.base.is_zero() {
            self.fees_elsewhere += fee.value;
        }
        if let Some(trip) = &trip {
            self.stats.add(trip);
        }
        trip
    }

    /// Values what is held anew; without a mark at its cost.
    pub(crate) fn revalue(&mut self, mark: impl Fn(&Symbol) -> Option<Price>) {
        let value = |position: &Position| mark(position.symbol()).map(|mark| position.unrealized(mark));
        self.unrealized = self.positions.values().filter_map(value).sum();
        self.tracker.resume(self.equity());
    }

    /// The mark of `symbol` moved; returns by how much the equity changed.
    pub(crate) fn marked(&mut self, symbol: &Symbol, from: Option<Price>, to: Price, now: Timestamp) -> Notional {
        let Some(position) = self.positions.get(symbol) else { return Notional::ZERO };
        // What it cost cancels out, so only the values are needed.
        let change = match from {
            Some(from) => position.value(to) - position.value(from),
            None => position.unrealized(to),
        };
        self.unrealized += change;
        self.tracker.update(self.equity(), now);
        change
    }

    pub(crate) fn flow(&mut self, amount: Notional) {
        self.capital += amount;
        self.cash += amount;
        self.tracker.flow(amount);
    }
}
