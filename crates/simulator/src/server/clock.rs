//! The only place of the simulator that reads a clock: how long the process runs, for pacing and for rate windows.
//!
//! It must never be asked what time it is: the simulator's time is the market's.

use std::time::{Duration, Instant};

/// A stopwatch that starts with the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall(Instant);

#[allow(
    clippy::disallowed_methods,
    reason = "the one clock read of the simulator; everything else takes it as an argument"
)]
fn read() -> Instant {
    Instant::now()
}

impl Wall {
    pub(super) fn start() -> Self {
        Self(read())
    }

    /// Since the start.
    pub(super) fn elapsed(self) -> Duration {
        read().duration_since(self.0)
    }
}
