//! The order book of one symbol, kept in step with the exchange as it documents: buffered differences, a snapshot, and
//! every difference after it without a gap.
//!
//! Pure: it asks for a snapshot, it does not fetch one. It must never show a book with a hole in it: a gap, a bid at or
//! above an ask, or a market that has left the depth of the snapshot, throws the book away.

use std::collections::{BTreeMap, VecDeque};

use domain::{Price, Quantity, Symbol, Timestamp};
use serde::Deserialize;

use super::wire::{WireError, bad, price, quantity, symbol};

/// Differences that wait for a snapshot; more mean that no snapshot comes.
const BUFFERED_MAX: usize = 4096;

/// One side's levels: price and quantity; a quantity of zero removes the level.
pub type Levels = Vec<(Price, Quantity)>;

/// What changed in a book (`depthUpdate`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthDiff {
    /// The market.
    pub symbol: Symbol,
    /// The first update in it.
    pub first: u64,
    /// The last update in it.
    pub last: u64,
    /// Buyers.
    pub bids: Levels,
    /// Sellers.
    pub asks: Levels,
    /// When, in exchange time.
    pub time: Timestamp,
}

/// A book at one moment (`GET /api/v3/depth`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthSnapshot {
    /// The last update in it.
    pub last: u64,
    /// Buyers.
    pub bids: Levels,
    /// Sellers.
    pub asks: Levels,
}

/// What is to be done after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the difference was taken, is old, or waits.
    Go,
    /// A snapshot must be fetched; the book is not known until it is there.
    FetchSnapshot,
}

/// One book.
#[derive(Debug, Clone, Default)]
pub struct OrderBook {
    bids: BTreeMap<Price, Quantity>,
    asks: BTreeMap<Price, Quantity>,
    /// The last update in the book; `None` while it is not in step.
    last: Option<u64>,
    /// The lowest bid and the highest ask of the snapshot. What lies beyond is not known until it changes.
    depth: (Option<Price>, Option<Price>),
    buffered: VecDeque<DepthDiff>,
    resyncs: u64,
}

impl OrderBook {
    /// Not in step yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The last update in the book; `None` while it is not in step, and nothing of it may be used.
    #[must_use]
    pub const fn update_id(&self) -> Option<u64> {
        self.last
    }

    /// How often a book that was in step was thrown away.
    #[must_use]
    pub const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// The highest bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<(Price, Quantity)> {
        self.bids().next()
    }

    /// The lowest ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<(Price, Quantity)> {
        self.asks().next()
    }

    /// Bids, best first; none while the book is not in step. Levels deeper than the snapshot are only known once they
    /// change.
    pub fn bids(&self) -> impl Iterator<Item = (Price, Quantity)> + '_ {
        let known = self.last.is_some();
        self.bids.iter().rev().filter(move |_| known).map(|(price, quantity)| (*price, *quantity))
    }

    /// Asks, best first; none while the book is not in step.
    pub fn asks(&self) -> impl Iterator<Item = (Price, Quantity)> + '_ {
        let known = self.last.is_some();
        self.asks.iter().filter(move |_| known).map(|(price, quantity)| (*price, *quantity))
    }

    /// The connection was lost: what happened since is not known.
    pub fn lost(&mut self) {
        self.throw_away();
        self.buffered.clear();
    }

    /// Takes a difference.
    pub fn diff(&mut self, diff: DepthDiff) -> Next {
        let Some(last) = self.last else {
            let first_of_all = self.buffered.is_empty();
            if self.buffered.len() >= BUFFERED_MAX {
                self.buffered.clear();
            }
            let ask = first_of_all || self.buffered.is_empty();
            self.buffered.push_back(diff);
            return if ask { Next::FetchSnapshot } else { Next::Go };
        };
        if diff.last <= last {
            return Next::Go;
        }
        if diff.first > last.saturating_add(1) || diff.first > diff.last {
            return self.resync(diff);
        }
        self.apply(&diff.bids, &diff.asks);
        self.last = Some(diff.last);
        if self.is_crossed() || self.is_out_of_depth() { self.resync(diff) } else { Next::Go }
    }

    /// Takes a snapshot that was asked for.
    pub fn snapshot(&mut self, snapshot: &DepthSnapshot) -> Next {
        let contiguous = |diff: &DepthDiff| diff.first <= snapshot.last.saturating_add(1);
        if !self.buffered.front().is_none_or(contiguous) {
            return Next::FetchSnapshot;
        }
        self.bids.clear();
        self.asks.clear();
        self.apply(&snapshot.bids, &snapshot.asks);
        self.depth = (self.bids.keys().next().copied(), self.asks.keys().next_back().copied());
        self.last = Some(snapshot.last);
        if self.is_crossed() {
            self.throw_away();
            return Next::FetchSnapshot;
        }
        for diff in std::mem::take(&mut self.buffered) {
            // After a gap the rest is buffered anew, behind the difference that showed it.
            if self.diff(diff) == Next::FetchSnapshot {
                self.last = None;
            }
        }
        if self.last.is_some() { Next::Go } else { Next::FetchSnapshot }
    }

    fn apply(&mut self, bids: &Levels, asks: &Levels) {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for (price, quantity) in levels {
                if quantity.is_zero() {
                    // Removing a level that is not known is usual: it was deeper than the snapshot.
                    side.remove(price);
                } else {
                    side.insert(*price, *quantity);
                }
            }
        }
    }

    fn is_crossed(&self) -> bool {
        self.best_bid().zip(self.best_ask()).is_some_and(|(bid, ask)| bid.0 >= ask.0)
    }

    /// Whether a best price lies where the snapshot did not reach: a better one there may never have changed.
    fn is_out_of_depth(&self) -> bool {
        let (lowest, highest) = self.depth;
        let bid_is = lowest.is_some_and(|lowest| self.best_bid().is_none_or(|(bid, _)| bid < lowest));
        bid_is || highest.is_some_and(|highest| self.best_ask().is_none_or(|(ask, _)| ask > highest))
    }

    fn resync(&mut self, diff: DepthDiff) -> Next {
        self.throw_away();
        self.buffered.clear();
        self.buffered.push_back(diff);
        Next::FetchSnapshot
    }

    fn throw_away(&mut self) {
        if self.last.take().is_some() {
            self.resyncs = self.resyncs.saturating_add(1);
        }
        self.bids.clear();
        self.asks.clear();
    }
}

#[derive(Deserialize)]
struct DiffWire<'a> {
    #[serde(borrow)]
    s: std::borrow::Cow<'a, str>,
    #[serde(rename = "E")]
    time: i64,
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotWire<'a> {
    last_update_id: u64,
    #[serde(borrow)]
    bids: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, &'a str)>,
}

fn levels(field: &'static str, rows: &[(&str, &str)]) -> Result<Levels, WireError> {
    let level = |(at, of): &(&str, &str)| {
        let quantity = quantity(field, of)?;
        if quantity.is_negative() {
            return Err(bad(field, format_args!("{quantity} is below zero")));
        }
        Ok((price(field, at)?, quantity))
    };
    rows.iter().map(level).collect()
}

/// Reads the data of a `depthUpdate`.
///
/// # Errors
/// The field that makes no sense.
pub fn parse_depth_diff(bytes: &[u8]) -> Result<DepthDiff, WireError> {
    let wire: DiffWire<'_> = serde_json::from_slice(bytes).map_err(|error| bad("depthUpdate", error))?;
    Ok(DepthDiff {
        symbol: symbol("s", &wire.s)?,
        first: wire.first,
        last: wire.u,
        bids: levels("b", &wire.b)?,
        asks: levels("a", &wire.a)?,
        time: Timestamp::from_millis_or_micros(wire.time),
    })
}

/// Reads an answer of `GET /api/v3/depth`.
///
/// # Errors
/// The field that makes no sense.
pub fn parse_depth_snapshot(bytes: &[u8]) -> Result<DepthSnapshot, WireError> {
    let wire: SnapshotWire<'_> = serde_json::from_slice(bytes).map_err(|error| bad("depth", error))?;
    let (bids, asks) = (levels("bids", &wire.bids)?, levels("asks", &wire.asks)?);
    Ok(DepthSnapshot { last: wire.last_update_id, bids, asks })
}

#[cfg(test)]
#[path = "depth_tests.rs"]
mod tests;
