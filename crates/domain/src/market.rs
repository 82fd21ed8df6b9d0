//! Market data: candles, quotes, trades, and the checks that they could be true.
//!
//! Nothing enters the machines unchecked: a candle or quote that cannot be true is refused here, with its kind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Millis, Notional, Price, Quantity, Symbol, Timestamp};

/// The length of a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Interval {
    /// One minute.
    #[serde(rename = "1m")]
    M1,
    /// Five minutes.
    #[serde(rename = "5m")]
    M5,
    /// Fifteen minutes.
    #[serde(rename = "15m")]
    M15,
    /// One hour.
    #[serde(rename = "1h")]
    H1,
}

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Interval; 4] = [Self::M1, Self::M5, Self::M15, Self::H1];

    /// Its length.
    #[must_use]
    pub const fn span(self) -> Millis {
        Millis::from_secs(match self {
            Self::M1 => 60,
            Self::M5 => 300,
            Self::M15 => 900,
            Self::H1 => 3600,
        })
    }

    /// As the exchange writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::H1 => "1h",
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Interval {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no interval: 1m, 5m, 15m or 1h"))
    }
}

/// Why market data cannot be true. Each kind is counted and logged once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum MarketInputError {
    /// A price is missing, zero, negative or no number.
    #[error("a price is missing, not above zero, or no number")]
    BadPrice,
    /// A quantity is negative or no number.
    #[error("a quantity is negative or no number")]
    BadQuantity,
    /// The high is not the highest or the low not the lowest.
    #[error("high and low do not enclose open and close")]
    BadRange,
    /// The time is not on the interval's grid.
    #[error("the time is not on the grid of the interval")]
    OffGrid,
    /// The time is before any market or after anything sane.
    #[error("the time cannot be true")]
    BadTime,
    /// The bid is not below the ask.
    #[error("bid and ask are crossed")]
    Crossed,
    /// Seen already.
    #[error("it came before")]
    Duplicate,
    /// Older than what came before.
    #[error("it is older than what came before")]
    OutOfOrder,
    /// The price jumped further from the one before than any market does.
    #[error("the price is absurdly far from the one before")]
    AbsurdJump,
    /// A candle came so late that it only moves indicators.
    #[error("it came too late to act on; the service or its feed does not keep up")]
    Late,
    /// The symbol was never asked for.
    #[error("the symbol is not configured")]
    UnknownSymbol,
}

/// One finished candle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candle {
    /// The market.
    pub symbol: Symbol,
    /// Its length.
    pub interval: Interval,
    /// When it began; it ends at `open_time + interval`.
    pub open_time: Timestamp,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Traded, in base units.
    pub volume: Quantity,
}

/// The first moment any market data can be from: 2009-01-01.
const TIME_MIN: Timestamp = Timestamp::from_millis(1_230_768_000_000);
/// The last moment any market data can be from: 2100-01-01.
const TIME_MAX: Timestamp = Timestamp::from_millis(4_102_444_800_000);

fn check_time(time: Timestamp) -> Result<(), MarketInputError> {
    if (TIME_MIN..TIME_MAX).contains(&time) { Ok(()) } else { Err(MarketInputError::BadTime) }
}

impl Candle {
    /// The first moment after the candle.
    #[must_use]
    pub fn close_time(&self) -> Timestamp {
        self.open_time + self.interval.span()
    }

    /// Whether the candle could be true.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), MarketInputError> {
        check_time(self.open_time)?;
        if self.open_time.floor_to(self.interval.span()) != self.open_time {
            return Err(MarketInputError::OffGrid);
        }
        if self.volume.is_negative() {
            return Err(MarketInputError::BadQuantity);
        }
        let (top, bottom) = (self.open.max(self.close), self.open.min(self.close));
        if self.high < top || self.low > bottom {
            return Err(MarketInputError::BadRange);
        }
        Ok(())
    }

    /// high - low, in quote units.
    #[must_use]
    pub fn range(&self) -> Notional {
        let one = Quantity::new(crate::Decimal::ONE).unwrap_or_default();
        self.high.times(one) - self.low.times(one)
    }
}

/// The best bid and ask of a market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// The market.
    pub symbol: Symbol,
    /// Best price that somebody pays.
    pub bid: Price,
    /// In base units.
    pub bid_quantity: Quantity,
    /// Best price that somebody asks.
    pub ask: Price,
    /// In base units.
    pub ask_quantity: Quantity,
    /// When it was known, in exchange time.
    pub time: Timestamp,
}

impl Quote {
    /// The middle.
    #[must_use]
    pub fn mid(&self) -> Price {
        self.bid.mid(self.ask)
    }

    /// Whether the quote could be true.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), MarketInputError> {
        check_time(self.time)?;
        if self.bid_quantity.is_negative() || self.ask_quantity.is_negative() {
            return Err(MarketInputError::BadQuantity);
        }
        if self.bid >= self.ask { Err(MarketInputError::Crossed) } else { Ok(()) }
    }
}

/// One public trade (or an aggregate of trades at one price).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// The market.
    pub symbol: Symbol,
    /// The exchange's number, ascending within the symbol.
    pub id: u64,
    /// In quote units.
    pub price: Price,
    /// In base units.
    pub quantity: Quantity,
    /// Whether the buyer rested on the book, so that the seller took.
    pub buyer_is_maker: bool,
    /// When, in exchange time.
    pub time: Timestamp,
}

impl Trade {
    /// Whether the trade could be true.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self) -> Result<(), MarketInputError> {
        check_time(self.time)?;
        if self.quantity.is_negative() { Err(MarketInputError::BadQuantity) } else { Ok(()) }
    }
}

/// Anything a market tells, in the order of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketEvent {
    /// A public trade.
    Trade(Trade),
    /// The best bid and ask changed.
    Quote(Quote),
    /// A candle ended.
    Candle(Candle),
}

impl MarketEvent {
    /// The market.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        match self {
            Self::Trade(trade) => &trade.symbol,
            Self::Quote(quote) => &quote.symbol,
            Self::Candle(candle) => &candle.symbol,
        }
    }

    /// When it happened: a candle happens when it ends.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Trade(trade) => trade.time,
            Self::Quote(quote) => quote.time,
            Self::Candle(candle) => candle.close_time(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(open: &str, high: &str, low: &str, close: &str) -> Candle {
        Candle {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            interval: Interval::M1,
            open_time: Timestamp::from_millis(1_618_951_320_000),
            open: open.parse().unwrap(),
            high: high.parse().unwrap(),
            low: low.parse().unwrap(),
            close: close.parse().unwrap(),
            volume: Quantity::ZERO,
        }
    }

    #[test]
    fn candles_that_cannot_be_true_are_named() {
        let good = candle("10", "12", "9", "11");
        assert_eq!(good.check(), Ok(()));
        assert_eq!(candle("10", "10.5", "9", "11").check(), Err(MarketInputError::BadRange));
        assert_eq!(candle("10", "12", "10.5", "11").check(), Err(MarketInputError::BadRange));
        let off_grid = Candle { open_time: good.open_time + Millis::new(1), ..good.clone() };
        assert_eq!(off_grid.check(), Err(MarketInputError::OffGrid));
        let ancient = Candle { open_time: Timestamp::EPOCH, ..good.clone() };
        assert_eq!(ancient.check(), Err(MarketInputError::BadTime));
        let negative = Candle { volume: "-1".parse().unwrap(), ..good };
        assert_eq!(negative.check(), Err(MarketInputError::BadQuantity));
    }
}
