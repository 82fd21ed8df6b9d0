//! One symbol's stream of events: points of the price path, and candles as they end.
//!
//! It must never tell a candle before it ended, nor an event out of the order of time.

use domain::{Instrument, Interval, MarketEvent, Quote, Symbol, Timestamp, Trade};

use super::instrument::instrument;
use super::packed::{Fraction, Packed, PackedTrade, Point, Scale};
use super::seeded::SeededCandles;

/// Where candles come from.
#[derive(Debug, Clone)]
pub(super) enum Candles {
    Stored(Vec<Packed>),
    Seeded(Box<SeededCandles>),
}

impl Candles {
    fn at(&mut self, index: usize) -> Option<Packed> {
        match self {
            Self::Stored(candles) => candles.get(index).copied(),
            Self::Seeded(candles) => Some(candles.at(index)),
        }
    }

    /// The index of the first candle that opens at `time` or later.
    fn index_from(&self, time: i64) -> usize {
        match self {
            Self::Stored(candles) => candles.partition_point(|candle| candle.open_time < time),
            Self::Seeded(candles) => candles.index_from(time),
        }
    }

    /// The candles that exist now with indices in `range`.
    fn existing(&self, from: usize, to: usize) -> Vec<Packed> {
        match self {
            Self::Stored(candles) => candles.get(from..to.min(candles.len())).unwrap_or_default().to_vec(),
            Self::Seeded(candles) => candles.existing(from, to),
        }
    }
}

/// A longer candle that is being made.
#[derive(Debug, Clone)]
struct Aggregate {
    interval: Interval,
    open: Option<Packed>,
}

impl Aggregate {
    fn end(&self) -> i64 {
        self.open.map_or(i64::MAX, |open| open.open_time + self.interval.span().get())
    }

    fn add(&mut self, base: &Packed) {
        match &mut self.open {
            Some(open) => open.extend(base),
            None => self.open = Some(Packed { open_time: bucket(base.open_time, self.interval), ..*base }),
        }
    }
}

fn bucket(time: i64, interval: Interval) -> i64 {
    Timestamp::from_millis(time).floor_to(interval.span()).as_millis()
}

/// A crash: from `at` on, prices are this share of what they were.
#[derive(Debug, Clone, Copy)]
struct Crash {
    at: i64,
    left: Fraction,
}

/// One symbol's stream.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) symbol: Symbol,
    pub(super) base: Interval,
    scale: Scale,
    tie_seed: u64,
    half_spread: Fraction,
    candles: Candles,
    trades: Option<Vec<PackedTrade>>,
    crashes: Vec<Crash>,
    /// Until when the whole market has data; candles that end later are never complete.
    end: i64,
    aggregates: Vec<Aggregate>,
    /// The points of the current candle or trade.
    points: [Point; 4],
    points_len: usize,
    point: usize,
    is_quote_next: bool,
    next_points: usize,
    next_base: usize,
    point_time: i64,
    close_time: i64,
}

/// What a lane is made of.
pub(super) struct LaneParts {
    pub(super) symbol: Symbol,
    pub(super) base: Interval,
    pub(super) scale: Scale,
    pub(super) tie_seed: u64,
    pub(super) half_spread: Fraction,
    pub(super) candles: Candles,
    pub(super) trades: Option<Vec<PackedTrade>>,
    pub(super) aggregate: Vec<Interval>,
}

impl Lane {
    pub(super) fn new(parts: LaneParts) -> Self {
        let mut lane = Self {
            symbol: parts.symbol,
            base: parts.base,
            scale: parts.scale,
            tie_seed: parts.tie_seed,
            half_spread: parts.half_spread,
            candles: parts.candles,
            trades: parts.trades,
            crashes: Vec::new(),
            end: i64::MAX,
            aggregates: Vec::new(),
            points: [Point::default(); 4],
            points_len: 0,
            point: 0,
            is_quote_next: false,
            next_points: 0,
            next_base: 0,
            point_time: i64::MAX,
            close_time: i64::MAX,
        };
        lane.load_points();
        lane.aggregate(&parts.aggregate);
        lane
    }

    /// Tells longer candles of these intervals too; those that are open now are made from their beginning.
    pub(super) fn aggregate(&mut self, intervals: &[Interval]) {
        let told = |lane: &Self, interval| lane.aggregates.iter().any(|aggregate| aggregate.interval == interval);
        for interval in intervals.iter().copied().filter(|interval| *interval > self.base) {
            if told(self, interval) {
                continue;
            }
            let mut aggregate = Aggregate { interval, open: None };
            let next = self.candles.at(self.next_base).map_or(i64::MAX, |next| next.open_time);
            let first = self.candles.index_from(bucket(next.min(self.point_time), interval));
            for base in self.candles.existing(first, self.next_base) {
                aggregate.add(&self.crashed_candle(base, self.base));
            }
            self.aggregates.push(aggregate);
        }
        self.aggregates.sort_by_key(|aggregate| aggregate.interval);
        self.find_close();
    }

    /// The order of the next event among all lanes: by time, ends of candles first. `i64::MAX` when there is none.
    pub(super) fn key(&self) -> i64 {
        (self.close_time.saturating_mul(2)).min(self.point_time.saturating_mul(2).saturating_add(1))
    }

    /// The first and the last moment of a stored lane.
    pub(super) fn extent(&self) -> Option<(i64, Option<i64>)> {
        let span = self.base.span().get();
        match (&self.candles, &self.trades) {
            (_, Some(trades)) => Some((trades.first()?.time, trades.last().map(|last| last.time))),
            (Candles::Stored(all), None) => {
                Some((all.first()?.open_time, all.last().map(|last| last.open_time + span)))
            }
            (Candles::Seeded(all), None) => Some((all.start(), None)),
        }
    }

    pub(super) fn set_end(&mut self, end: i64) {
        self.end = end;
        self.find_close();
    }

    pub(super) fn len_hint(&self) -> Option<usize> {
        match (&self.candles, &self.trades) {
            (_, Some(trades)) => Some(trades.len()),
            (Candles::Stored(candles), None) => Some(candles.len()),
            (Candles::Seeded(_), None) => None,
        }
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<MarketEvent> {
        if self.close_time <= self.point_time { self.pop_close() } else { Some(self.pop_point()) }
    }

    fn pop_point(&mut self) -> MarketEvent {
        let mut point = self.points[self.point];
        point.price = self.crashed(point.price, point.time);
        if !self.is_quote_next && point.quantity > 0 {
            self.is_quote_next = true;
            return MarketEvent::Trade(Trade {
                symbol: self.symbol.clone(),
                id: point.id,
                price: self.scale.price(point.price),
                quantity: self.scale.quantity(point.quantity),
                buyer_is_maker: point.buyer_is_maker,
                time: Timestamp::from_millis(point.time),
            });
        }
        let quote = self.quote(&point);
        self.is_quote_next = false;
        self.point += 1;
        if self.point == self.points_len {
            self.load_points();
        } else {
            self.point_time = self.points[self.point].time;
        }
        MarketEvent::Quote(quote)
    }

    /// Bid and ask around a point: the half spread away, rounded outward, at least one tick apart.
    fn quote(&self, point: &Point) -> Quote {
        let half = self.half_spread.of_rounded_up(point.price);
        let bid = (point.price - half).max(1);
        let ask = (point.price + half).max(bid + 1);
        let quantity = self.scale.quantity(point.quantity.max(1));
        Quote {
            symbol: self.symbol.clone(),
            bid: self.scale.price(bid),
            bid_quantity: quantity,
            ask: self.scale.price(ask),
            ask_quantity: quantity,
            time: Timestamp::from_millis(point.time),
        }
    }

    fn pop_close(&mut self) -> Option<MarketEvent> {
        let base_close = self.base_close();
        if base_close == self.close_time
            && let Some(packed) = self.candles.at(self.next_base)
        {
            self.next_base += 1;
            let packed = self.crashed_candle(packed, self.base);
            for aggregate in &mut self.aggregates {
                aggregate.add(&packed);
            }
            self.find_close();
            return Some(MarketEvent::Candle(self.scale.candle(&self.symbol, self.base, &packed)));
        }
        let ended = self.aggregates.iter_mut().find(|aggregate| aggregate.end() == self.close_time)?;
        let (interval, packed) = (ended.interval, ended.open.take()?);
        self.find_close();
        Some(MarketEvent::Candle(self.scale.candle(&self.symbol, interval, &packed)))
    }

    fn base_close(&mut self) -> i64 {
        let span = self.base.span().get();
        self.candles.at(self.next_base).map_or(i64::MAX, |next| next.open_time + span)
    }

    fn find_close(&mut self) {
        let longer = self.aggregates.iter().map(Aggregate::end).min().unwrap_or(i64::MAX);
        let earliest = self.base_close().min(longer);
        self.close_time = if earliest <= self.end { earliest } else { i64::MAX };
    }

    fn load_points(&mut self) {
        self.point = 0;
        self.is_quote_next = false;
        let index = self.next_points;
        self.next_points += 1;
        self.points_len = match &self.trades {
            Some(trades) => trades.get(index).map_or(0, |trade| {
                self.points[0] = Point {
                    time: trade.time,
                    price: trade.price,
                    quantity: trade.quantity,
                    id: trade.id,
                    buyer_is_maker: trade.buyer_is_maker,
                };
                1
            }),
            None => self.candles.at(index).map_or(0, |candle| {
                self.points = candle.path(index as u64, self.base.span().get(), self.tie_seed);
                4
            }),
        };
        self.point_time = if self.points_len == 0 { i64::MAX } else { self.points[0].time };
    }

    /// Goes to the first event at `to` or later. Longer candles that contain `to` are made from their beginning.
    pub(super) fn seek(&mut self, to: i64) {
        let longest = self.aggregates.last().map_or(self.base, |aggregate| aggregate.interval);
        let index = self.candles.index_from(bucket(to - 1, longest)); // what ends at `to` began before it
        for aggregate in &mut self.aggregates {
            aggregate.open = None;
        }
        self.next_base = index;
        self.next_points = match &self.trades {
            Some(trades) => trades.partition_point(|trade| trade.time < to),
            None => index,
        };
        self.load_points();
        self.find_close();
        while self.close_time.min(self.point_time) < to {
            self.pop();
        }
    }

    /// Multiplies all prices from `at` on by `left`.
    pub(super) fn crash(&mut self, left: Fraction, at: i64) {
        self.crashes.push(Crash { at, left });
    }

    fn crashed(&self, price: i64, time: i64) -> i64 {
        if self.crashes.is_empty() {
            return price;
        }
        let hit = self.crashes.iter().filter(|crash| crash.at <= time);
        hit.fold(price, |price, crash| crash.left.of_rounded(price)).clamp(1, self.scale.units_max())
    }

    /// The candle as its crashed path makes it.
    fn crashed_candle(&self, candle: Packed, interval: Interval) -> Packed {
        if self.crashes.is_empty() {
            return candle;
        }
        let path = candle.path(0, interval.span().get(), self.tie_seed);
        let prices = path.map(|point| self.crashed(point.price, point.time));
        let (high, low) = prices.iter().fold((prices[0], prices[0]), |(high, low), at| (high.max(*at), low.min(*at)));
        Packed { open: prices[0], high, low, close: prices[3], ..candle }
    }

    /// Complete candles with `from <= open time` and end at or before `to`, oldest first.
    fn candles_between(&self, interval: Interval, from: i64, to: i64) -> Vec<Packed> {
        let first = self.candles.index_from(from.max(0));
        let last = self.candles.index_from(to.saturating_sub(self.base.span().get()).saturating_add(1));
        let base = self.candles.existing(first, last).into_iter().map(|candle| self.crashed_candle(candle, self.base));
        if interval == self.base {
            return base.collect();
        }
        let span = interval.span().get();
        let mut longer: Vec<Packed> = Vec::new();
        for candle in base {
            let start = bucket(candle.open_time, interval);
            match longer.last_mut() {
                Some(last) if last.open_time == start => last.extend(&candle),
                _ => longer.push(Packed { open_time: start, ..candle }),
            }
        }
        longer.retain(|candle| candle.open_time >= from && candle.open_time + span <= to);
        longer
    }

    /// See [`super::Market::history`] and [`super::Market::history_forward`].
    pub(super) fn history(&self, interval: Interval, from: i64, to: i64, limit: usize, newest: bool) -> Vec<Packed> {
        if interval < self.base || limit == 0 || to <= from {
            return Vec::new();
        }
        // Windows from the wanted end, growing over gaps, so that a short answer never walks a long history.
        let mut window =
            i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(2).saturating_mul(interval.span().get());
        loop {
            let (start, stop) = if newest {
                (bucket(to.saturating_sub(window).max(from), interval).max(from), to)
            } else {
                (from, from.saturating_add(window).min(to))
            };
            let mut found = self.candles_between(interval, start, stop);
            if found.len() >= limit || (start <= from && stop >= to) {
                if newest {
                    found.drain(..found.len().saturating_sub(limit));
                } else {
                    found.truncate(limit);
                }
                return found;
            }
            window = window.saturating_mul(4);
        }
    }

    pub(super) fn candle(&self, interval: Interval, packed: &Packed) -> domain::Candle {
        self.scale.candle(&self.symbol, interval, packed)
    }

    /// The rules of the symbol; see [`super::Market::instruments`].
    pub(super) fn instrument(&self) -> Instrument {
        instrument(&self.symbol, self.scale)
    }
}
