//! The clock of the benchmarks: the only file here that reads one.
#![allow(clippy::disallowed_methods, reason = "benchmarks measure real time")]

use std::time::Instant;

/// A moment of monotonic time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Instant);

impl Moment {
    /// Now.
    #[inline]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since `earlier`; zero if it is not earlier.
    pub(crate) fn ns_since(self, earlier: Moment) -> f64 {
        self.0.saturating_duration_since(earlier.0).as_nanos() as f64
    }

    /// Nanoseconds since then.
    #[inline]
    pub(crate) fn elapsed_ns(self) -> f64 {
        self.0.elapsed().as_nanos() as f64
    }

    /// Seconds since then.
    pub(crate) fn elapsed_s(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
