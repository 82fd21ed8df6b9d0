//! What all clients of one exchange share on one machine: its clock, our monotonic one, the limits, and whether it can
//! be reached.
//!
//! It must never be made twice for one network address: the limits are the address's.

use domain::Timestamp;

use super::clock::ServerClock;
use super::rate::{Moment, RateGuard};
use crate::connectivity::{ConnectivityHandle, ConnectivitySettings};
use crate::{MonotonicMs, TimeSource};

/// Shared by the clients of one exchange. Clones share everything.
#[derive(Clone)]
pub struct Link {
    /// The exchange's clock.
    pub clock: ServerClock,
    /// For deadlines, and for silence that the exchange asks for.
    pub monotonic: MonotonicMs,
    /// What may leave.
    pub guard: RateGuard,
    /// Whether the exchange can be reached.
    pub connectivity: ConnectivityHandle,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (clock, reachability) = (&self.clock, self.connectivity.reachability());
        f.debug_struct("Link").field("clock", clock).field("reachability", &reachability).finish_non_exhaustive()
    }
}

impl Link {
    /// On the time that is given from outside; it may be the exchange's already, or near it.
    #[must_use]
    pub fn new(time: TimeSource, monotonic: MonotonicMs) -> Self {
        let connectivity = ConnectivityHandle::new(ConnectivitySettings::default(), time());
        Self { clock: ServerClock::new(time), monotonic, guard: RateGuard::new(), connectivity }
    }

    /// Now, on both clocks.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment { exchange: self.clock.now(), monotonic_ms: self.monotonic_ms() }
    }

    /// Until when the exchange wants no request at all: to be kept across a restart.
    #[must_use]
    pub fn ban_until(&self) -> Option<Timestamp> {
        self.guard.ban_until(self.moment())
    }

    /// A ban that an earlier life of this process was told of, in exchange time.
    pub fn restore_ban(&self, until: Timestamp) {
        self.guard.restore_ban(until, self.moment());
    }

    pub(crate) fn monotonic_ms(&self) -> u64 {
        (self.monotonic)()
    }
}
