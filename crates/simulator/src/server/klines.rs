//! Candles of any length the exchange knows, built from those that the market has, also in another time zone.
//!
//! It must never build a candle from longer ones: what is shorter than the market's own candles does not exist.

use domain::{Candle, Decimal, Interval, Symbol, Timestamp};
use serde_json::{Value, json};

use super::core::Core;
use super::params::Params;
use super::wire::fixed;
use crate::model::Refusal;

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// The length of a candle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// A part or a multiple of a day, from 1970 on.
    Fixed(i64),
    /// From Monday.
    Week,
    /// Of the calendar.
    Month,
}

/// The exchange's intervals.
const LENGTHS: &[(&str, Length)] = &[
    ("1s", Length::Fixed(1000)),
    ("1m", Length::Fixed(MINUTE)),
    ("3m", Length::Fixed(3 * MINUTE)),
    ("5m", Length::Fixed(5 * MINUTE)),
    ("15m", Length::Fixed(15 * MINUTE)),
    ("30m", Length::Fixed(30 * MINUTE)),
    ("1h", Length::Fixed(60 * MINUTE)),
    ("2h", Length::Fixed(120 * MINUTE)),
    ("4h", Length::Fixed(240 * MINUTE)),
    ("6h", Length::Fixed(360 * MINUTE)),
    ("8h", Length::Fixed(480 * MINUTE)),
    ("12h", Length::Fixed(720 * MINUTE)),
    ("1d", Length::Fixed(DAY)),
    ("3d", Length::Fixed(3 * DAY)),
    ("1w", Length::Week),
    ("1M", Length::Month),
];

/// An interval and the time zone that its days begin in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    name: &'static str,
    length: Length,
    offset: i64,
}

/// A candle of any length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) open_time: i64,
    /// The last millisecond.
    pub(super) close_time: i64,
    pub(super) open: Decimal,
    pub(super) high: Decimal,
    pub(super) low: Decimal,
    pub(super) close: Decimal,
    pub(super) volume: Decimal,
    /// The files have no quote volume, so it is the volume at the middle of each part's range.
    pub(super) quote: Decimal,
    /// Four for each part that has volume.
    pub(super) trades: u64,
}

impl Bar {
    fn new(candle: &Candle, open_time: i64, close_time: i64) -> Self {
        let (open, volume) = (candle.open.value(), candle.volume.value());
        let mut bar = Self {
            open_time,
            close_time,
            open,
            high: open,
            low: open,
            close: open,
            volume: Decimal::ZERO,
            quote: Decimal::ZERO,
            trades: 0,
        };
        bar.add(candle, volume);
        bar
    }

    fn add(&mut self, candle: &Candle, volume: Decimal) {
        self.high = self.high.max(candle.high.value());
        self.low = self.low.min(candle.low.value());
        self.close = candle.close.value();
        self.volume += volume;
        self.quote += candle.high.mid(candle.low).times(candle.volume).value();
        self.trades += if candle.volume.is_positive() { 4 } else { 0 };
    }

    fn row(&self) -> Value {
        json!([
            self.open_time,
            fixed(self.open),
            fixed(self.high),
            fixed(self.low),
            fixed(self.close),
            fixed(self.volume),
            self.close_time,
            fixed(self.quote),
            self.trades,
            fixed(self.volume / Decimal::TWO),
            fixed(self.quote / Decimal::TWO),
            "0",
        ])
    }

    /// The event of a stream.
    pub(super) fn event(&self, symbol: &Symbol, frame: Frame, is_closed: bool, last_trade: u64, now: i64) -> Value {
        json!({
            "e": "kline", "E": now, "s": symbol.as_str(),
            "k": {
                "t": self.open_time, "T": self.close_time, "s": symbol.as_str(), "i": frame.name,
                "f": (last_trade + 1).saturating_sub(self.trades), "L": last_trade,
                "o": fixed(self.open), "c": fixed(self.close), "h": fixed(self.high), "l": fixed(self.low),
                "v": fixed(self.volume), "n": self.trades, "x": is_closed, "q": fixed(self.quote),
                "V": fixed(self.volume / Decimal::TWO), "Q": fixed(self.quote / Decimal::TWO), "B": "0",
            }
        })
    }
}

/// Days since 1970 of the first of a month, and of the next one, by a day in it.
fn month_of(day: i64) -> (i64, i64) {
    // Years are counted from March, so that leap days come last.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let begin = |month: i64| (153 * month + 2) / 5;
    let first = day - (of_year - begin(month));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        11 => 28 + i64::from(is_leap(era * 400 + year + 1)),
        _ => begin(month + 1) - begin(month),
    };
    (first, first + days)
}

impl Frame {
    /// An interval by its name and a time zone like `8`, `-1:30` or `+05:45`.
    pub(super) fn parse(interval: &str, zone: Option<&str>) -> Option<Self> {
        let (name, length) = LENGTHS.iter().copied().find(|(name, _)| *name == interval)?;
        Some(Self { name, length, offset: zone.map_or(Some(0), parse_zone)? })
    }

    /// A stream's name after `@kline_`, with or without `@` and a zone.
    pub(super) fn of_stream(text: &str) -> Option<Self> {
        let (interval, zone) = text.split_once('@').map_or((text, None), |(interval, zone)| (interval, Some(zone)));
        Self::parse(interval, zone)
    }

    /// Whether the market tells these candles by itself.
    pub(super) fn is_native(self) -> bool {
        self.offset == 0 && self.name.parse::<Interval>().is_ok()
    }

    /// When the candle opens that contains `time`, and when the next one does.
    pub(super) fn around(self, time: i64) -> (i64, i64) {
        let local = time + self.offset;
        let fixed = |span: i64, shift: i64| {
            let open = local - (local - shift).rem_euclid(span);
            (open, open + span)
        };
        let (open, end) = match self.length {
            Length::Fixed(span) => fixed(span, 0),
            // 1970-01-01 was a Thursday.
            Length::Week => fixed(7 * DAY, 4 * DAY),
            Length::Month => {
                let (first, next) = month_of(local.div_euclid(DAY));
                (first * DAY, next * DAY)
            }
        };
        (open - self.offset, end - self.offset)
    }

    fn span_max(self) -> i64 {
        match self.length {
            Length::Fixed(span) => span,
            Length::Week => 7 * DAY,
            Length::Month => 31 * DAY,
        }
    }

    /// The longest candles of the market that this one is made of; none where it is shorter than they are.
    fn part(self, base: Interval) -> Option<Interval> {
        let fits = |part: &Interval| {
            let span = part.span().get();
            *part >= base && self.offset % span == 0 && self.span_max() % span == 0
        };
        Interval::ALL.into_iter().rev().find(fits)
    }
}

fn parse_zone(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let number = |text: &str| text.parse::<u8>().ok().map(i64::from);
    let offset = sign * (number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?) * MINUTE;
    (-12 * 60 * MINUTE..=14 * 60 * MINUTE).contains(&offset).then_some(offset)
}

/// Puts parts together.
fn fold(frame: Frame, parts: impl Iterator<Item = Candle>) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for part in parts {
        let (open, end) = frame.around(part.open_time.as_millis());
        match bars.last_mut() {
            Some(last) if last.open_time == open => last.add(&part, part.volume.value()),
            _ => bars.push(Bar::new(&part, open, end - 1)),
        }
    }
    bars
}

/// Which candles are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// The first opens here or later; without it the newest are meant.
    pub(super) start: Option<i64>,
    /// The last opens here or earlier.
    pub(super) end: Option<i64>,
    pub(super) limit: usize,
}

impl Core {
    /// The candles that are meant, the open one included, oldest first.
    pub(super) fn bars(&mut self, symbol: &Symbol, frame: Frame, wanted: Wanted) -> Vec<Bar> {
        let now = self.now();
        let Some(part) = self.market.base_interval(symbol).and_then(|base| frame.part(base)) else { return Vec::new() };
        let ratio = usize::try_from(frame.span_max() / part.span().get()).unwrap_or(1);
        let parts_max = wanted.limit.saturating_add(2).saturating_mul(ratio);
        let to = Timestamp::from_millis(wanted.end.map_or(now, |end| now.min(frame.around(end).1)));
        let mut parts = match wanted.start {
            Some(start) => {
                let from = Timestamp::from_millis(frame.around(start).0);
                self.market.history_forward(symbol, part, from, to, parts_max)
            }
            None => self.market.history(symbol, part, Timestamp::EPOCH, to, parts_max),
        };
        let open = self.tapes.get(symbol).and_then(|tape| tape.open_candle(part, Timestamp::from_millis(now)));
        let follows = |open: &&Candle| {
            let at_end = parts.len() < parts_max || wanted.start.is_none();
            at_end && parts.last().is_none_or(|last| last.open_time < open.open_time) && open.open_time < to
        };
        parts.extend(open.filter(follows).cloned());
        let is_first_whole = wanted.start.is_some() || parts.len() < parts_max;
        let mut bars = fold(frame, parts.into_iter());
        if !is_first_whole {
            bars.remove(0);
        }
        bars.retain(|bar| {
            wanted.start.is_none_or(|start| bar.open_time >= start) && wanted.end.is_none_or(|end| bar.open_time <= end)
        });
        match wanted.start {
            Some(_) => bars.truncate(wanted.limit),
            None => drop(bars.drain(..bars.len().saturating_sub(wanted.limit))),
        }
        bars
    }
}

/// `klines` and `uiKlines`.
pub(super) fn klines(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    let interval = params.need("interval")?;
    let frame = Frame::parse(interval, None).ok_or_else(|| Refusal::new(-1120, "Invalid interval."))?;
    let zone = |zone| Frame::parse(interval, Some(zone)).ok_or_else(|| Refusal::new(-1130, "Invalid timeZone."));
    let frame = params.get("timeZone").map(zone).transpose()?.unwrap_or(frame);
    core.model.instrument(&symbol).ok_or_else(|| Refusal::invalid_symbol(&symbol))?;
    let time =
        |name| Ok::<_, Refusal>(params.integer(name)?.map(|it| Timestamp::from_millis_or_micros(it).as_millis()));
    let wanted = Wanted { start: time("startTime")?, end: time("endTime")?, limit };
    Ok(core.bars(&symbol, frame, wanted).iter().map(Bar::row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candles_open_where_the_calendar_says() {
        // 2024-02-29T13:14:15Z, a Thursday of a leap year.
        let at = 1_709_212_455_000;
        for (name, zone, open, end) in [
            ("3m", None, 1_709_212_320_000, 1_709_212_500_000),
            ("8h", None, 1_709_193_600_000, 1_709_222_400_000),
            ("1d", None, 1_709_164_800_000, 1_709_251_200_000),
            ("1d", Some("8"), 1_709_136_000_000, 1_709_222_400_000),
            ("1d", Some("-1:30"), 1_709_170_200_000, 1_709_256_600_000),
            ("3d", None, 1_709_164_800_000, 1_709_424_000_000),
            ("1w", None, 1_708_905_600_000, 1_709_510_400_000),
            ("1M", None, 1_706_745_600_000, 1_709_251_200_000),
        ] {
            assert_eq!(Frame::parse(name, zone).unwrap().around(at), (open, end), "{name} {zone:?}");
        }
        let january = Frame::parse("1M", None).unwrap().around(1_704_067_200_000);
        assert_eq!(january, (1_704_067_200_000, 1_706_745_600_000));
        for (name, zone) in [("7m", None), ("1d", Some("15")), ("1d", Some("x")), ("1d", Some("1:60"))] {
            assert_eq!(Frame::parse(name, zone), None, "{name} {zone:?}");
        }
        assert_eq!(Frame::of_stream("1d@+08:00"), Frame::parse("1d", Some("8")));
    }

    #[test]
    fn a_candle_is_made_of_shorter_ones_only() {
        let part = |name: &str, zone, base| Frame::parse(name, zone).unwrap().part(base);
        assert_eq!(part("1s", None, Interval::M1), None);
        assert_eq!(part("3m", None, Interval::M1), Some(Interval::M1));
        assert_eq!(part("3m", None, Interval::M5), None);
        assert_eq!(part("30m", None, Interval::M1), Some(Interval::M15));
        assert_eq!(part("1M", None, Interval::M1), Some(Interval::H1));
        assert_eq!(part("1d", Some("5:45"), Interval::M1), Some(Interval::M15));
    }
}
