//! The streams that are told at times rather than with each event: depth, tickers, averages, and candles that the market
//! does not tell by itself.
//!
//! What was seen in a window is told at its end, in the exchange's time. It must never tell a window twice.

use std::collections::{BTreeMap, BTreeSet};

use domain::{MarketEvent, Symbol};
use serde_json::Value;

use super::book::{Book, Speed};
use super::core::Core;
use super::klines::{Frame, Wanted};

/// Updates of an open candle are told at most this often, in milliseconds of the exchange's time.
const KLINE_EVERY: i64 = 2000;

/// What is due, and the books.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    pub(super) books: BTreeMap<Symbol, Book>,
    due: BTreeSet<(i64, Speed, Symbol)>,
    /// When each candle stream was told last.
    told: BTreeMap<String, i64>,
}

impl Core {
    /// Takes note of an event of the market, after it was told where it is told at once.
    pub(super) fn feed(&mut self, event: &MarketEvent, update: u64) {
        let (symbol, now) = (event.symbol(), event.time().as_millis());
        match event {
            MarketEvent::Quote(quote) => {
                let Some(instrument) = self.model.instrument(symbol) else { return };
                let books = &mut self.feeds.books;
                let book = books.entry(symbol.clone()).or_insert_with(|| Book::new(instrument, quote));
                book.on_quote(quote, update);
            }
            MarketEvent::Trade(_) => self.tell_bars(symbol, now, None),
            MarketEvent::Candle(candle) => {
                if self.market.base_interval(symbol) == Some(candle.interval) {
                    self.tell_bars(symbol, now, Some(candle.open_time.as_millis()));
                }
                return;
            }
        }
        for speed in [Speed::Fast, Speed::Slow] {
            self.feeds.due.insert((speed.end_of(now), speed, symbol.clone()));
        }
    }

    /// When the next window ends in which something was seen.
    pub(super) fn next_beat(&self) -> Option<i64> {
        self.feeds.due.first().map(|(due, ..)| *due)
    }

    /// Tells all windows that have ended at `now`.
    pub(super) fn beat(&mut self, now: i64) {
        let mut minis: Vec<Value> = Vec::new();
        while let Some((due, speed, symbol)) = self.feeds.due.pop_first() {
            if due > now {
                self.feeds.due.insert((due, speed, symbol));
                break;
            }
            self.tell_window(&symbol, speed, due);
            if speed == Speed::Slow && self.hub.is_wanted("!miniTicker@arr") {
                minis.extend(self.ticker(&symbol).map(|ticker| ticker.mini_event(due)));
                let goes_on = self.feeds.due.first().is_some_and(|next| (next.0, next.1) == (due, speed));
                if !goes_on {
                    self.hub.publish("!miniTicker@arr", &Value::Array(std::mem::take(&mut minis)));
                }
            }
        }
    }

    fn tell_window(&mut self, symbol: &Symbol, speed: Speed, due: i64) {
        let lower = symbol.as_str().to_lowercase();
        let (diff, ending) = match speed {
            Speed::Fast => (format!("{lower}@depth@100ms"), "@100ms"),
            Speed::Slow => (format!("{lower}@depth"), ""),
        };
        if let Some(book) = self.feeds.books.get_mut(symbol) {
            let is_wanted = self.hub.is_wanted(&diff);
            if let Some(changes) = book.changes(symbol.as_str(), speed, due, is_wanted) {
                self.hub.publish(&diff, &changes);
            }
            for limit in [5, 10, 20] {
                let name = format!("{lower}@depth{limit}{ending}");
                if self.hub.is_wanted(&name) {
                    self.hub.publish(&name, &book.snapshot(limit));
                }
            }
        }
        if speed == Speed::Fast {
            return;
        }
        let names = ["miniTicker", "ticker", "avgPrice"].map(|kind| format!("{lower}@{kind}"));
        for (number, name) in names.iter().enumerate().filter(|(_, name)| self.hub.is_wanted(name)).collect::<Vec<_>>()
        {
            let event = match number {
                0 => self.ticker(symbol).map(|ticker| ticker.mini_event(due)),
                1 => self.ticker(symbol).map(|ticker| ticker.event(due)),
                _ => self.average(symbol).map(|average| average.event(due)),
            };
            if let Some(event) = event {
                self.hub.publish(name, &event);
            }
        }
    }

    /// Tells the candles that the market does not tell by itself; `ended` is the opening of a part that has ended.
    fn tell_bars(&mut self, symbol: &Symbol, now: i64, ended: Option<i64>) {
        let head = format!("{}@kline_", symbol.as_str().to_lowercase());
        for name in self.hub.wanted(&head) {
            let Some(frame) = name.strip_prefix(&head).and_then(Frame::of_stream).filter(|frame| !frame.is_native())
            else {
                continue;
            };
            let (open, end) = frame.around(ended.unwrap_or(now));
            let is_closed = ended.is_some() && end == now;
            let is_due = self.feeds.told.get(&name).is_none_or(|told| now - told >= KLINE_EVERY);
            if !is_closed && (ended.is_some() || !is_due) {
                continue;
            }
            let wanted = Wanted { start: Some(open), end: Some(open), limit: 1 };
            if let Some(bar) = self.bars(symbol, frame, wanted).first() {
                let last = self.tapes.get(symbol).map_or(0, super::tape::Tape::last_trade_id);
                let event = bar.event(symbol, frame, is_closed, last, now);
                self.hub.publish(&name, &event);
                self.feeds.told.insert(name, now);
            }
        }
    }
}
