//! The market's data: recorded candles or trades, or a market made from a seed, as one stream of events in order of time.
//!
//! Pure apart from reading files. It must never show an event before its time, and never stop on a bad row: rows that
//! cannot be true are counted by kind and skipped.
//!
//! The price inside a candle, which no candle tells, is declared to be: the open at `open_time`, the extreme nearer to the
//! open at a quarter of the span, the other extreme at half of it, the close one millisecond before the end; equal
//! distances are decided by the seed. Each of the four is a trade (a quarter of the volume, the rest to the last; ids are
//! 4 x candle number + 1 to 4) followed by a quote; without volume there is the quote alone. At the end of the candle
//! comes the candle, then longer candles that end then; a longer candle is made of those base candles that exist.
//!
//! Order of events: by time; at one time first the ends of candles, then points; then symbols in ascending order.
//!
//! Instruments of recorded data: tick and step are the smallest decimals that its prices and quantities use, the minimum
//! quantity is one step, the maximum 9,000,000,000, the minimum notional 5 (0.0001 where quoted in BTC, 0.001 in ETH, 0.01
//! in BNB). Those of a seeded market have decimals by the magnitude of the start price.

mod instrument;
mod lane;
mod load;
mod packed;
mod seeded;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use domain::{Candle, Decimal, Instrument, Interval, MarketEvent, MarketInputError, Price, Ratio, Symbol, Timestamp};

use self::lane::{Candles, Lane, LaneParts};
use self::load::{Loaded, Rejected};
use self::packed::{Fraction, Packed, PackedTrade, symbol_seed};
use self::seeded::SeededCandles;

/// Why a market cannot be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The directory cannot be listed.
    #[error("the data directory {dir} cannot be read: {source}; name a directory with SYMBOL-INTERVAL.csv[.zst] files")]
    Directory {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory has no file of the right name.
    #[error(
        "the data directory {dir} holds no SYMBOL-INTERVAL.csv[.zst] and no SYMBOL-...-trades-....csv[.zst]; \
         the intervals are 1m, 5m, 15m and 1h"
    )]
    Empty {
        /// Which.
        dir: PathBuf,
    },
    /// A symbol was asked for that the directory does not have.
    #[error("the data directory {dir} has no file of {symbol}; leave the symbol out or add SYMBOL-INTERVAL.csv[.zst]")]
    NoData {
        /// Which symbol.
        symbol: Symbol,
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// A file cannot be opened.
    #[error("{path} cannot be opened: {source}; check its permissions and that it is a whole file")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read to its end.
    #[error("{path}, line {line}: {source}; fetch the file again, or cut it before that line")]
    Read {
        /// Which.
        path: PathBuf,
        /// Where.
        line: u64,
        /// Why.
        source: csv::Error,
    },
    /// The market has no such symbol.
    #[error("the market has no symbol {0}; ask for its instruments to see which there are")]
    UnknownSymbol(Symbol),
    /// A crash must leave something.
    #[error("a crash by {0} leaves no price; the share must be above -1 (-0.3 is a fall by 30 %) and at most 100")]
    BadShare(Ratio),
}

/// How a market's price path, quotes and longer candles are made.
#[derive(Debug, Clone, PartialEq)]
pub struct PathOptions {
    /// Distance of bid and ask from the price, as a share of it; kept within 0 and 0.5.
    pub half_spread: Ratio,
    /// Decides which extreme of a candle comes first where both are equally near.
    pub seed: u64,
    /// Longer candles to tell besides the base ones; those not longer than the base are ignored.
    pub aggregate: Vec<Interval>,
}

impl Default for PathOptions {
    fn default() -> Self {
        let half_spread = Ratio::new(Decimal::new(1, 4)).unwrap_or_default();
        Self { half_spread, seed: 0, aggregate: Vec::new() }
    }
}

/// What a seeded market is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct SeededOptions {
    /// The same seed, symbols and start make the same market.
    pub seed: u64,
    /// The symbols and their prices at the start.
    pub symbols: Vec<(Symbol, Price)>,
    /// When the first event is; rounded down to the minute.
    pub start: Timestamp,
    /// Minutes before the start that can be asked for as history.
    pub history_minutes: usize,
    /// Quotes and longer candles; its seed is not used.
    pub path: PathOptions,
}

impl SeededOptions {
    /// With the default spread, no longer candles and 400 hours of history.
    #[must_use]
    pub fn new(seed: u64, symbols: Vec<(Symbol, Price)>, start: Timestamp) -> Self {
        Self { seed, symbols, start, history_minutes: 24_000, path: PathOptions::default() }
    }
}

/// A market: an iterator over its events, which is also asked for history.
#[derive(Debug, Clone)]
pub struct Market {
    lanes: Vec<Lane>,
    /// `Lane::key` of each lane, apart so that the search stays in one cache line.
    keys: Vec<i64>,
    rejected: Rejected,
}

impl Market {
    /// Reads all files of `dir` whose names say what they hold, or those of `symbols` only: `SYMBOL-INTERVAL*.csv[.zst]`
    /// with candles, or, where there are none, `SYMBOL-*trades*.csv[.zst]` with trades. Of several intervals of a symbol the
    /// shortest is read; several files of one kind are read one after the other.
    ///
    /// # Errors
    /// A directory or file that cannot be read, or a symbol without data.
    pub fn from_data(dir: &Path, symbols: Option<&[Symbol]>, options: PathOptions) -> Result<Self, MarketError> {
        let mut rejected = Rejected::new();
        let loaded = load::load(dir, symbols, &mut rejected)?;
        let make = move |(symbol, content)| recorded(symbol, content, &options);
        Ok(Self::from_lanes(loaded.into_iter().map(make).collect(), rejected))
    }

    /// An endless market of one-minute candles made from a seed.
    #[must_use]
    pub fn seeded(options: SeededOptions) -> Self {
        let SeededOptions { seed, mut symbols, start, history_minutes, path } = options;
        symbols.sort();
        symbols.dedup_by(|one, other| one.0 == other.0);
        let lanes = symbols.into_iter().map(|(symbol, price)| {
            let candles = SeededCandles::new(seed, &symbol, price, start.as_millis(), history_minutes);
            Lane::new(LaneParts {
                base: Interval::M1,
                scale: candles.scale(),
                tie_seed: symbol_seed(seed, &symbol),
                half_spread: spread(&path),
                candles: Candles::Seeded(Box::new(candles)),
                trades: None,
                aggregate: path.aggregate.clone(),
                symbol,
            })
        });
        let mut market = Self::from_lanes(lanes.collect(), Rejected::new());
        if let Some(start) = market.start() {
            market.seek(start);
            // Candles that end as the market starts are history.
            while market.keys.iter().min() == Some(&(start.as_millis() * 2)) {
                market.next();
            }
        }
        market
    }

    fn from_lanes(mut lanes: Vec<Lane>, rejected: Rejected) -> Self {
        let end = lanes.iter().map(|lane| lane.extent().map_or(0, |(_, end)| end.unwrap_or(i64::MAX))).max();
        lanes.iter_mut().for_each(|lane| lane.set_end(end.unwrap_or(i64::MAX)));
        let keys = lanes.iter().map(Lane::key).collect();
        Self { lanes, keys, rejected }
    }

    fn earliest(&self) -> Option<usize> {
        let (mut best, mut lowest) = (None, i64::MAX);
        for (at, key) in self.keys.iter().enumerate() {
            if *key < lowest {
                (best, lowest) = (Some(at), *key);
            }
        }
        best
    }

    /// When the next event is; `None` at the end.
    #[must_use]
    pub fn peek_time(&self) -> Option<Timestamp> {
        self.earliest().map(|lane| Timestamp::from_millis(self.keys[lane] / 2))
    }

    /// Goes to the first event at `to` or later, forward or back.
    pub fn seek(&mut self, to: Timestamp) {
        for (lane, key) in self.lanes.iter_mut().zip(&mut self.keys) {
            lane.seek(to.as_millis());
            *key = lane.key();
        }
    }

    /// Tells these longer candles too, from the present position on.
    pub fn aggregate(&mut self, intervals: &[Interval]) {
        for (lane, key) in self.lanes.iter_mut().zip(&mut self.keys) {
            lane.aggregate(intervals);
            *key = lane.key();
        }
    }

    /// When its first event is; `None` for a market without any.
    #[must_use]
    pub fn start(&self) -> Option<Timestamp> {
        self.lanes.iter().filter_map(|lane| Some(lane.extent()?.0)).min().map(Timestamp::from_millis)
    }

    /// When its last event is; `None` for an endless market.
    #[must_use]
    pub fn end(&self) -> Option<Timestamp> {
        let ends: Option<Vec<i64>> = self.lanes.iter().filter_map(Lane::extent).map(|(_, end)| end).collect();
        ends?.into_iter().max().map(Timestamp::from_millis)
    }

    /// Candles that open at `from` or later and ended at `to` or before, oldest first; where there are more than `limit`,
    /// the newest. Give the present as `to`: what it lies ahead of is answered too. Empty for an unknown symbol or an
    /// interval shorter than the data's.
    #[must_use]
    pub fn history(
        &self,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<Candle> {
        self.find_history(symbol, interval, from, to, limit, true)
    }

    /// As [`Market::history`], but where there are more than `limit`, the oldest.
    #[must_use]
    pub fn history_forward(
        &self,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<Candle> {
        self.find_history(symbol, interval, from, to, limit, false)
    }

    fn find_history(
        &self,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
        newest: bool,
    ) -> Vec<Candle> {
        let Some(lane) = self.lanes.iter().find(|lane| lane.symbol == *symbol) else { return Vec::new() };
        let found = lane.history(interval, from.as_millis(), to.as_millis(), limit, newest);
        found.iter().map(|packed| lane.candle(interval, packed)).collect()
    }

    /// The rules of all symbols, by symbol.
    #[must_use]
    pub fn instruments(&self) -> Vec<Instrument> {
        self.lanes.iter().map(Lane::instrument).collect()
    }

    /// The length of a symbol's base candles; a market of trades has one minute.
    #[must_use]
    pub fn base_interval(&self, symbol: &Symbol) -> Option<Interval> {
        self.lanes.iter().find(|lane| lane.symbol == *symbol).map(|lane| lane.base)
    }

    /// How many base candles, or trades, there are over all symbols; `None` for an endless market.
    #[must_use]
    pub fn len_hint(&self) -> Option<u64> {
        self.lanes.iter().map(|lane| lane.len_hint().map(|len| len as u64)).sum()
    }

    /// Multiplies all prices of a symbol from `at` on by `1 + share`, also in history. Several crashes multiply.
    ///
    /// # Errors
    /// An unknown symbol, or a share that leaves no price.
    pub fn crash(&mut self, symbol: &Symbol, share: Ratio, at: Timestamp) -> Result<(), MarketError> {
        if share.value() <= -Decimal::ONE || share.value() > Decimal::ONE_HUNDRED {
            return Err(MarketError::BadShare(share));
        }
        let lane = self.lanes.iter_mut().find(|lane| lane.symbol == *symbol);
        let lane = lane.ok_or_else(|| MarketError::UnknownSymbol(symbol.clone()))?;
        lane.crash(Fraction::new(Ratio::ONE + share, Decimal::new(1, 8), Decimal::ONE_THOUSAND), at.as_millis());
        Ok(())
    }

    /// The bad rows that were skipped, by kind.
    #[must_use]
    pub fn rejected(&self) -> &BTreeMap<MarketInputError, u64> {
        &self.rejected
    }
}

impl Iterator for Market {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        let at = self.earliest()?;
        let event = self.lanes[at].pop();
        self.keys[at] = self.lanes[at].key();
        event
    }
}

fn spread(options: &PathOptions) -> Fraction {
    Fraction::new(options.half_spread, Decimal::ZERO, Decimal::new(5, 1))
}

fn recorded(symbol: Symbol, content: Loaded, options: &PathOptions) -> Lane {
    let (base, scale, candles, trades) = match content {
        Loaded::Candles(interval, scale, candles) => (interval, scale, candles, None),
        Loaded::Trades(scale, trades) => (Interval::M1, scale, minutes(&trades), Some(trades)),
    };
    Lane::new(LaneParts {
        base,
        scale,
        tie_seed: symbol_seed(options.seed, &symbol),
        half_spread: spread(options),
        candles: Candles::Stored(candles),
        trades,
        aggregate: options.aggregate.clone(),
        symbol,
    })
}

/// The minutes in which there were trades, as candles.
fn minutes(trades: &[PackedTrade]) -> Vec<Packed> {
    let mut candles: Vec<Packed> = Vec::new();
    for trade in trades {
        let open_time = trade.time - trade.time.rem_euclid(60_000);
        let one = Packed {
            open_time,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: trade.quantity,
        };
        match candles.last_mut() {
            Some(last) if last.open_time == open_time => last.extend(&one),
            _ => candles.push(one),
        }
    }
    candles
}

#[cfg(test)]
mod tests;
