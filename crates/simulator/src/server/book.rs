//! A symbol's order book, made up around the best quote: the best level is the quote's, the levels behind it lie on a grid
//! and their quantities follow from their prices alone.
//!
//! Whoever applies the changes of a stream to a snapshot, as the exchange documents it, must come to exactly the book of
//! that moment: so a change tells every level that was touched since the last one, also those that came back.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Decimal, Instrument, Quote};
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
    unit: Decimal,
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
            unit: first.bid_quantity.value(),
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

    /// A level's quantity: the same wherever the best price is.
    fn quantity_at(&self, price: Decimal) -> Decimal {
        let number = (price / self.spacing).floor().mantissa().unsigned_abs() as u64;
        let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let share = Decimal::new(i64::try_from((mixed >> 40) % 900).unwrap_or(0) + 100, 2);
        ((self.unit * share / self.step).floor() * self.step).max(self.step)
    }

    /// Both sides around a quote.
    fn levels(&self, quote: Option<&Quote>) -> [Levels; 2] {
        let Some(quote) = quote else { return [Levels::new(), Levels::new()] };
        let (bid, ask) = (quote.bid.value(), quote.ask.value());
        let mut bids = Levels::from([(bid, quote.bid_quantity.value())]);
        let mut price = (bid / self.spacing).ceil() * self.spacing - self.spacing;
        while bids.len() < LEVELS && price > Decimal::ZERO {
            bids.insert(price, self.quantity_at(price));
            price -= self.spacing;
        }
        let mut asks = Levels::from([(ask, quote.ask_quantity.value())]);
        let mut price = (ask / self.spacing).floor() * self.spacing + self.spacing;
        while asks.len() < LEVELS {
            asks.insert(price, self.quantity_at(price));
            price += self.spacing;
        }
        [bids, asks]
    }

    /// The book as it is, `limit` levels of each side.
    pub(super) fn snapshot(&self, limit: usize) -> Value {
        let [bids, asks] = self.levels(self.quote.as_ref());
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
        let mut before = self.levels(if base == 0 { None } else { quotes.first() });
        for quote in &quotes[usize::from(base != 0).min(quotes.len())..] {
            let after = self.levels(Some(quote));
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
