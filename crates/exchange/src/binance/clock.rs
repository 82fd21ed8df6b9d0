//! The exchange's clock: the time that is given from outside, and how far the exchange's clock is from it.
//!
//! It reads no clock, and must never take a measurement whose answer was so long on its way that it says little.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use domain::{Millis, Timestamp};

use crate::TimeSource;

/// The longest round trip of a measurement that is taken, in milliseconds: half of it is the error, and the exchange
/// takes an error of some seconds into the past, but not more.
const ROUND_TRIP_MS_MAX: i64 = 5000;

/// Why a measurement says too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the exchange's time took {round_trip_ms} ms to come: taken are 0 to 5000 ms")]
pub struct ClockError {
    /// Between question and answer; below zero if the base was set back in between.
    pub round_trip_ms: i64,
}

/// The exchange's clock. Handles share one offset.
#[derive(Clone)]
pub struct ServerClock {
    base: TimeSource,
    offset_ms: Arc<AtomicI64>,
}

impl std::fmt::Debug for ServerClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerClock").field("offset_ms", &self.offset().get()).finish_non_exhaustive()
    }
}

impl ServerClock {
    /// On `base`, with no offset until one is measured. Whoever moves the base must call [`ServerClock::reset`].
    #[must_use]
    pub fn new(base: TimeSource) -> Self {
        Self { base, offset_ms: Arc::default() }
    }

    /// The time that was given from outside: the one that approvals expire in.
    #[must_use]
    pub fn base_now(&self) -> Timestamp {
        (self.base)()
    }

    /// The exchange's time, as far as it is known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.base_now() + self.offset()
    }

    /// How far the exchange's clock is ahead of the base.
    #[must_use]
    pub fn offset(&self) -> Millis {
        Millis::new(self.offset_ms.load(Relaxed))
    }

    /// Takes a measurement: the exchange's clock was at `server` between `sent` and `received` of the base. Returns the
    /// offset.
    ///
    /// # Errors
    /// Where the answer took too long to say anything; the offset stays as it was.
    pub fn note(&self, sent: Timestamp, received: Timestamp, server: Timestamp) -> Result<Millis, ClockError> {
        let round_trip_ms = received.as_millis().saturating_sub(sent.as_millis());
        if !(0..=ROUND_TRIP_MS_MAX).contains(&round_trip_ms) {
            return Err(ClockError { round_trip_ms });
        }
        let middle = sent + Millis::new(round_trip_ms / 2);
        let offset = Millis::new(server.as_millis().saturating_sub(middle.as_millis()));
        self.offset_ms.store(offset.get(), Relaxed);
        Ok(offset)
    }

    /// The base was moved: what was measured against it says nothing any more.
    pub fn reset(&self) {
        self.offset_ms.store(0, Relaxed);
    }

    /// The exchange's time for others.
    #[must_use]
    pub fn time_source(&self) -> TimeSource {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn at(ms: i64) -> Timestamp {
        BASE + Millis::new(ms)
    }

    #[test]
    fn the_offset_is_measured_against_the_middle_of_the_round_trip() {
        let clock = ServerClock::new(Arc::new(|| BASE));
        assert_eq!(clock.now(), BASE);
        // Asked at 0, answered at 200: the exchange said 1360 when it was about 100 here.
        assert_eq!(clock.note(at(0), at(200), at(1360)), Ok(Millis::new(1260)));
        assert_eq!((clock.now(), clock.base_now()), (at(1260), BASE));
        let shared = clock.clone();
        assert_eq!(shared.note(at(0), at(10), at(-995)), Ok(Millis::new(-1000)));
        assert_eq!(clock.time_source()(), at(-1000));
        clock.reset();
        assert_eq!(shared.now(), BASE);
    }

    #[test]
    fn a_measurement_that_says_little_changes_nothing() {
        let clock = ServerClock::new(Arc::new(|| BASE));
        clock.note(at(0), at(0), at(7)).unwrap();
        for (received, round_trip_ms) in [(5001, 5001), (-1, -1)] {
            assert_eq!(clock.note(at(0), at(received), at(0)), Err(ClockError { round_trip_ms }));
        }
        assert_eq!(clock.offset(), Millis::new(7));
    }
}
