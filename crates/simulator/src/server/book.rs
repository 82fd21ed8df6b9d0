//! A symbol's order book, made up around the best quote: the best level is the quote's, the levels behind it lie on a grid
//! and their quantities follow from their prices alone.
//!
//! Whoever applies the changes of a stream to a snapshot, as the exchange documents it, must come to exactly the book of
//! that moment: so a change tells every level that was touched since the last one, also those that came back.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Decimal, Instrument, Quote};
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::wire;

/// Levels of a side.
const LEVELS: usize = 500;
/// Levels of the grid from zero to the price: neighbours are half a hundredth of a percent apart.
const GRID: i64 = 20_000;

/// How often a stream tells changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Speed {
    /// Every 100 ms.
    Fast,
    /// Every second.
    Slow,
}

impl Speed {
    /// The end of the window that contains `time`, in milliseconds.
    pub(super) fn end_of(self, time: i64) -> i64 {
        let span = match self {
            Self::Fast => 100,
            Self::Slow => 1000,
        };
        time - time.rem_euclid(span) + span
    }
}

/// What was seen since the last change was told; the quote of that time comes first.
#[derive(Debug, Clone, Default)]
struct Window {
    base: u64,
    quotes: Vec<Quote>,
}

/// One symbol's book.
#[derive(Debug, Clone)]
pub(super) struct Book {
    step: Decimal,
    spacing: Decimal,
    /// The first quote's quantity, in steps.
    unit_steps: i64,
    pub(super) update: u64,
    quote: Option<Quote>,
    fast: Window,
    slow: Window,
}

type Levels = BTreeMap<Decimal, Decimal>;

impl Book {
    /// An empty book, whose grid goes with its first quote.
    pub(super) fn new(instrument: &Instrument, first: &Quote) -> Self {
        let tick = instrument.tick_size;
        let ticks = (first.bid.value() / tick / Decimal::from(GRID)).floor().max(Decimal::ONE);
        Self {
            step: instrument.step_size,
            spacing: tick * ticks,
            unit_steps: (first.bid_quantity.value() / instrument.step_size).to_i64().unwrap_or(1),
            update: 0,
            quote: None,
            fast: Window::default(),
            slow: Window::default(),
        }
    }

    /// The quote of the update with that number.
    pub(super) fn on_quote(&mut self, quote: &Quote, update: u64) {
        self.update = update;
        self.quote = Some(quote.clone());
        for window in [&mut self.fast, &mut self.slow] {
            window.quotes.push(quote.clone());
        }
    }

    /// The level of that number on the grid; its quantity is the same wherever the best price is.
    fn level(&self, number: i64) -> (Decimal, Decimal) {
        let mixed = number.unsigned_abs().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let percent = i64::try_from((mixed >> 40) % 900).unwrap_or(0) + 100;
        let steps = (self.unit_steps.saturating_mul(percent) / 100).max(1);
        (self.spacing * Decimal::from(number), self.step * Decimal::from(steps))
    }

    /// Both sides around a quote, `count` levels of each.
    fn levels(&self, quote: Option<&Quote>, count: usize) -> [Levels; 2] {
        let Some(quote) = quote else { return [Levels::new(), Levels::new()] };
        let on_grid = |price: Decimal| (price / self.spacing).to_i64().unwrap_or(0);
        let (bid, ask) = (quote.bid.value(), quote.ask.value());
        let mut bids = Levels::from([(bid, quote.bid_quantity.value())]);
        let mut asks = Levels::from([(ask, quote.ask_quantity.value())]);
        // The grid's level at the best price itself is the quote's.
        let below = (1..=on_grid(bid)).rev().map(|number| self.level(number)).filter(|(price, _)| *price < bid);
        bids.extend(below.take(count.saturating_sub(1)));
        let above = (on_grid(ask)..).map(|number| self.level(number)).filter(|(price, _)| *price > ask);
        asks.extend(above.take(count.saturating_sub(1)));
        [bids, asks]
    }

    /// The book as it is, `limit` levels of each side.
    pub(super) fn snapshot(&self, limit: usize) -> Value {
        let [bids, asks] = self.levels(self.quote.as_ref(), limit.min(LEVELS));
        json!({
            "lastUpdateId": self.update,
            "bids": bids.iter().rev().take(limit).map(row).collect::<Vec<_>>(),
            "asks": asks.iter().take(limit).map(row).collect::<Vec<_>>(),
        })
    }

    /// What changed since the last time this was called, for the diff stream; told or not, it counts as told.
    pub(super) fn changes(&mut self, symbol: &str, speed: Speed, now: i64, is_wanted: bool) -> Option<Value> {
        let window = match speed {
            Speed::Fast => &mut self.fast,
            Speed::Slow => &mut self.slow,
        };
        let next = Window { base: self.update, quotes: self.quote.iter().cloned().collect() };
        let Window { base, quotes } = std::mem::replace(window, next);
        if !is_wanted || base == self.update {
            return None;
        }
        let mut touched = [BTreeSet::new(), BTreeSet::new()];
        // A window that begins without a quote begins with an empty book.
        let mut before = self.levels(if base == 0 { None } else { quotes.first() }, LEVELS);
        for quote in &quotes[usize::from(base != 0).min(quotes.len())..] {
            let after = self.levels(Some(quote), LEVELS);
            for side in 0..2 {
                let prices = before[side].keys().chain(after[side].keys());
                let differ = prices.filter(|price| before[side].get(price) != after[side].get(price));
                touched[side].extend(differ.copied());
            }
            before = after;
        }
        let side = |at: usize| -> Vec<Value> {
            let now = |price: &Decimal| before[at].get(price).copied().unwrap_or(Decimal::ZERO);
            touched[at].iter().map(|price| row((price, &now(price)))).collect()
        };
        Some(json!({
            "e": "depthUpdate", "E": now, "s": symbol, "U": base + 1, "u": self.update, "b": side(0), "a": side(1),
        }))
    }
}

fn row((price, quantity): (&Decimal, &Decimal)) -> Value {
    json!([wire::fixed(*price), wire::fixed(*quantity)])
}

#[cfg(test)]
mod tests {
    use domain::{Symbol, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::market::{Market, SeededOptions};

    fn quote(ticks: i64) -> Quote {
        let price = |ticks: i64| Decimal::new(6_000_000 + ticks, 2).to_string().parse().unwrap();
        Quote {
            symbol: Symbol::new("BTCUSDT").unwrap(),
            bid: price(ticks),
            bid_quantity: Decimal::new(ticks.rem_euclid(7) + 1, 3).to_string().parse().unwrap(),
            ask: price(ticks + 5),
            ask_quantity: "0.5".parse().unwrap(),
            time: Timestamp::from_millis(0),
        }
    }

    fn instrument() -> Instrument {
        let symbols = vec![(Symbol::new("BTCUSDT").unwrap(), "60000".parse().unwrap())];
        Market::seeded(SeededOptions::new(1, symbols, Timestamp::EPOCH)).instruments().remove(0)
    }

    fn apply(book: &mut [BTreeMap<String, String>; 2], rows: [&Value; 2]) {
        for (side, rows) in book.iter_mut().zip(rows) {
            for row in rows.as_array().unwrap() {
                let (price, quantity) = (row[0].as_str().unwrap().to_owned(), row[1].as_str().unwrap().to_owned());
                if quantity == "0.00000000" {
                    side.remove(&price)
                } else {
                    side.insert(price, quantity)
                };
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// Whatever the quotes do within a window, and wherever in it the snapshot was taken.
        #[test]
        fn a_snapshot_and_the_changes_make_the_book(
            before in prop::collection::vec(-2000i64..2000, 1..4),
            within in prop::collection::vec(-2000i64..2000, 1..6),
            taken in 0usize..6,
        ) {
            let mut book = Book::new(&instrument(), &quote(0));
            let mut update = 0;
            for ticks in &before {
                update += 1;
                book.on_quote(&quote(*ticks), update);
            }
            book.changes("BTCUSDT", Speed::Fast, 0, false);
            let mut snapshot = book.snapshot(5000);
            let base = update;
            // There and back again: the levels in between end as they began.
            for (number, ticks) in within.iter().chain(before.last()).enumerate() {
                update += 1;
                book.on_quote(&quote(*ticks), update);
                if number == taken {
                    snapshot = book.snapshot(5000);
                }
            }
            let changes = book.changes("BTCUSDT", Speed::Fast, 100, true).unwrap();
            prop_assert_eq!((&changes["U"], &changes["u"]), (&json!(base + 1), &json!(update)));
            let (mut kept, mut asked) = Default::default();
            apply(&mut kept, [&snapshot["bids"], &snapshot["asks"]]);
            apply(&mut kept, [&changes["b"], &changes["a"]]);
            let now = book.snapshot(5000);
            apply(&mut asked, [&now["bids"], &now["asks"]]);
            prop_assert_eq!(kept, asked);
            prop_assert_eq!(book.changes("BTCUSDT", Speed::Fast, 200, true), None);
        }
    }
}
