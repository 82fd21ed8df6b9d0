//! Time as the exchange tells it: milliseconds since the Unix epoch, UTC.
//!
//! It must never read a clock: `now` is always an argument.

use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A span of time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(i64);

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// The epoch; earlier than anything a market says.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From a number that may be milliseconds (13 digits) or microseconds (16 digits), as the exchange's public dumps
    /// have both.
    #[must_use]
    pub const fn from_millis_or_micros(number: i64) -> Self {
        if number >= 100_000_000_000_000 { Self(number / 1000) } else { Self(number) }
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Days since the epoch: the UTC day this moment is in.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// The UTC month this moment is in, counted from year 0.
    #[must_use]
    pub fn month(self) -> i64 {
        self.to_chrono().map_or(0, |moment| i64::from(moment.year()) * 12 + i64::from(moment.month0()))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Timestamp) -> Millis {
        if self.0 > earlier.0 { Millis(self.0 - earlier.0) } else { Millis(0) }
    }

    /// From RFC 3339 (`2026-01-01T00:00:00Z`), to the millisecond; `None` where the text is no such moment.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|moment| Self(moment.timestamp_millis()))
    }

    /// As chrono has it; `None` beyond the years it knows.
    #[must_use]
    pub fn to_chrono(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }

    /// Rounded down to a multiple of `span`, counted from the epoch.
    #[must_use]
    pub const fn floor_to(self, span: Millis) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_chrono() {
            Some(moment) => f.pad(&moment.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Millis = Millis(0);

    /// A span of `millis` milliseconds.
    #[must_use]
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// A span of `seconds` seconds.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// For people: `850 ms`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 d 1 h`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, text) = (self.0 / 1000, |a: i64, x: &str, b: i64, y: &str| format!("{a} {x} {b} {y}"));
        let shown = match seconds {
            0 => format!("{} ms", self.0),
            1..=59 => format!("{seconds} s"),
            60..=3599 => text(seconds / 60, "min", seconds % 60, "s"),
            3600..=86_399 => text(seconds / 3600, "h", seconds % 3600 / 60, "min"),
            _ => text(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
        };
        f.pad(&shown)
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_begin_at_utc_midnight() {
        let before = Timestamp::from_millis(1_622_505_599_999); // 2021-05-31T23:59:59.999Z
        let after = before + Millis::new(1);
        assert_eq!(before.to_string(), "2021-05-31T23:59:59.999Z");
        assert_eq!(after.day(), before.day() + 1);
        assert_eq!(after.month(), before.month() + 1);
    }

    #[test]
    fn micros_are_told_from_millis() {
        assert_eq!(Timestamp::from_millis_or_micros(1_735_689_600_000_000), Timestamp::from_millis(1_735_689_600_000));
        assert_eq!(Timestamp::from_millis_or_micros(1_735_689_600_000), Timestamp::from_millis(1_735_689_600_000));
    }

    #[test]
    fn spans_read_well() {
        let shown: Vec<String> =
            [850, 12_000, 185_000, 7_440_000, 262_800_000].iter().map(|ms| Millis::new(*ms).to_string()).collect();
        assert_eq!(shown, ["850 ms", "12 s", "3 min 5 s", "2 h 4 min", "3 d 1 h"]);
    }
}
