//! What a symbol's streams and queries need besides the model: recent trades, candles that are open, names of streams.
//!
//! It must never grow with time.

use std::collections::{BTreeMap, VecDeque};

use domain::{Candle, Interval, Symbol, Timestamp, Trade};

use crate::market::Market;

/// Public trades that can be asked for.
const RECENT: usize = 1000;
/// Updates of an open candle are told at most this often, in market milliseconds.
const KLINE_EVERY: i64 = 2000;

/// The names of a symbol's streams.
#[derive(Debug, Clone)]
pub(super) struct StreamNames {
    pub(super) aggregate_trade: String,
    pub(super) trade: String,
    pub(super) book_ticker: String,
    pub(super) kline: BTreeMap<Interval, String>,
}

impl StreamNames {
    fn new(symbol: &Symbol) -> Self {
        let symbol = symbol.as_str().to_lowercase();
        Self {
            aggregate_trade: format!("{symbol}@aggTrade"),
            trade: format!("{symbol}@trade"),
            book_ticker: format!("{symbol}@bookTicker"),
            kline: Interval::ALL.into_iter().map(|interval| (interval, format!("{symbol}@kline_{interval}"))).collect(),
        }
    }
}

/// A candle that has not ended.
#[derive(Debug, Clone)]
struct Open {
    candle: Candle,
    told: i64,
}

/// One symbol's tape.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    pub(super) names: StreamNames,
    pub(super) recent: VecDeque<Trade>,
    pub(super) update: u64,
    open: BTreeMap<Interval, Open>,
}

impl Tape {
    /// A tape whose open candles begin with what the market has of them.
    pub(super) fn new(symbol: &Symbol, market: &Market, now: Timestamp) -> Self {
        let mut tape =
            Self { names: StreamNames::new(symbol), recent: VecDeque::new(), update: 0, open: BTreeMap::new() };
        let Some(base) = market.base_interval(symbol) else { return tape };
        for interval in Interval::ALL.into_iter().filter(|interval| *interval > base) {
            let from = now.floor_to(interval.span());
            for part in market.history_forward(symbol, base, from, now, usize::MAX / 2) {
                tape.extend(interval, &part);
            }
        }
        tape
    }

    fn extend(&mut self, interval: Interval, part: &Candle) {
        let open_time = part.open_time.floor_to(interval.span());
        match self.open.get_mut(&interval) {
            Some(open) if open.candle.open_time == open_time => {
                let candle = &mut open.candle;
                candle.high = candle.high.max(part.high);
                candle.low = candle.low.min(part.low);
                candle.close = part.close;
                candle.volume += part.volume;
            }
            _ => {
                let candle = Candle { interval, open_time, ..part.clone() };
                self.open.insert(interval, Open { candle, told: i64::MIN });
            }
        }
    }

    pub(super) fn on_trade(&mut self, trade: &Trade) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(trade.clone());
        for interval in Interval::ALL {
            let part = Candle {
                symbol: trade.symbol.clone(),
                interval,
                open_time: trade.time,
                open: trade.price,
                high: trade.price,
                low: trade.price,
                close: trade.price,
                volume: trade.quantity,
            };
            self.extend(interval, &part);
        }
    }

    pub(super) fn on_candle(&mut self, candle: &Candle) {
        let is_ended = self.open.get(&candle.interval).is_some_and(|open| open.candle.open_time <= candle.open_time);
        if is_ended {
            self.open.remove(&candle.interval);
        }
    }

    /// The candle that is open now, if any trade made one.
    pub(super) fn open_candle(&self, interval: Interval, now: Timestamp) -> Option<&Candle> {
        let open = self.open.get(&interval)?;
        (open.candle.open_time == now.floor_to(interval.span())).then_some(&open.candle)
    }

    /// The open candle if an update of it is due.
    pub(super) fn due_update(&mut self, interval: Interval, now: i64) -> Option<Candle> {
        let open = self.open.get_mut(&interval)?;
        if now.saturating_sub(open.told) < KLINE_EVERY && open.told != i64::MIN {
            return None;
        }
        open.told = now;
        Some(open.candle.clone())
    }

    pub(super) fn last_trade_id(&self) -> u64 {
        self.recent.back().map_or(0, |trade| trade.id)
    }
}
