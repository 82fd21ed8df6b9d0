//! The clocks: exchange time, which machines live in, and monotonic time, which liveness is measured in.
//!
//! The only place that reads a clock. The two never meet: no machine sees monotonic time but the HealthMonitor's ticks.
#![allow(clippy::disallowed_methods, reason = "this is the one place that reads a clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::Timestamp;

#[derive(Debug)]
struct Inner {
    started: Instant,
    /// Exchange time at `anchor_us` of monotonic time.
    anchor_ms: AtomicI64,
    anchor_us: AtomicU64,
    /// How many milliseconds of exchange time pass in 1000 of real time; zero: only events move it.
    rate: AtomicU64,
    /// The newest time that the exchange has told.
    seen_ms: AtomicI64,
}

/// Exchange time and monotonic time. Handles share one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

impl Clock {
    /// A clock whose exchange time is not known yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            anchor_ms: AtomicI64::new(0),
            anchor_us: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            seen_ms: AtomicI64::new(0),
        }))
    }

    /// Monotonic milliseconds since the process started.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        self.monotonic_us() / 1000
    }

    /// Monotonic microseconds since the process started.
    #[must_use]
    pub fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The exchange says that it is `time` now and that `rate` of its seconds pass in a real one (1 on a real exchange).
    pub fn anchor(&self, time: Timestamp, rate: f64) {
        self.0.anchor_ms.store(time.as_millis(), Relaxed);
        self.0.anchor_us.store(self.monotonic_us(), Relaxed);
        self.0.rate.store((rate.max(0.0) * 1000.0) as u64, Relaxed);
        self.saw(time);
    }

    /// An event of this time came: it is at least that late.
    pub fn saw(&self, time: Timestamp) {
        self.0.seen_ms.fetch_max(time.as_millis(), Relaxed);
    }

    /// Exchange time now. It never goes back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let rate = self.0.rate.load(Relaxed);
        let elapsed_us = self.monotonic_us().saturating_sub(self.0.anchor_us.load(Relaxed));
        let elapsed_ms = elapsed_us.saturating_mul(rate) / 1_000_000;
        let by_clock = self.0.anchor_ms.load(Relaxed).saturating_add(i64::try_from(elapsed_ms).unwrap_or(i64::MAX));
        let now = by_clock.max(self.0.seen_ms.load(Relaxed));
        self.0.seen_ms.fetch_max(now, Relaxed);
        Timestamp::from_millis(now)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Seconds since the Unix epoch by the machine's clock: for boot numbers only.
#[must_use]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// The machine's own time: for a simulated exchange whose clients stamp their requests with the machine's clock.
#[must_use]
pub fn machine_time() -> Timestamp {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
    Timestamp::from_millis(i64::try_from(passed).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_time_never_goes_back() {
        let clock = Clock::new();
        clock.anchor(Timestamp::from_millis(1_000_000), 0.0);
        assert_eq!(clock.now(), Timestamp::from_millis(1_000_000));
        clock.saw(Timestamp::from_millis(2_000_000));
        clock.saw(Timestamp::from_millis(1_500_000));
        clock.anchor(Timestamp::from_millis(1_200_000), 1.0);
        assert!(clock.now() >= Timestamp::from_millis(2_000_000));
    }
}
