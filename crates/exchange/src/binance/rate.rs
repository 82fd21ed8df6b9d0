//! When the exchange wants silence: `Retry-After`, bans, and the used weight that it reports.
//!
//! It must never let a request out while the exchange asked for silence: requests in a ban make the ban longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Too many orders; cancels and reads are allowed all the same.
const TOO_MANY_ORDERS: i32 = -1015;

#[derive(Debug, Default)]
struct Inner {
    quiet_until_ms: AtomicU64,
    orders_quiet_until_ms: AtomicU64,
    used_weight: AtomicU64,
}

/// What all clients of one network address share. Handles share their state. Times are monotonic milliseconds.
#[derive(Debug, Clone, Default)]
pub struct RateGuard(Arc<Inner>);

impl RateGuard {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The request weight used in the current minute, as the exchange last said.
    #[must_use]
    pub fn used_weight(&self) -> u64 {
        self.0.used_weight.load(Relaxed)
    }

    /// How long no request may leave, in milliseconds; `None` if it may. A new order waits for more than a read does.
    #[must_use]
    pub fn quiet_for_ms(&self, now_ms: u64, new_order: bool) -> Option<u64> {
        let mut until = self.0.quiet_until_ms.load(Relaxed);
        if new_order {
            until = until.max(self.0.orders_quiet_until_ms.load(Relaxed));
        }
        until.checked_sub(now_ms).filter(|left| *left > 0)
    }

    pub(crate) fn note_used_weight(&self, weight: u64) {
        self.0.used_weight.store(weight, Relaxed);
    }

    /// The exchange answered `status` and asked for `retry_after_s` of silence, or did not say how long.
    pub(crate) fn note_limited(&self, now_ms: u64, status: u16, code: Option<i32>, retry_after_s: Option<u64>) {
        let default_s = match status {
            // The shortest ban there is.
            418 => 120,
            // The firewall wants minutes.
            403 => 180,
            _ if code == Some(TOO_MANY_ORDERS) => 10,
            _ => 60,
        };
        let until = now_ms.saturating_add(retry_after_s.unwrap_or(default_s).saturating_mul(1000));
        let orders_only = status != 418 && code == Some(TOO_MANY_ORDERS);
        let slot = if orders_only { &self.0.orders_quiet_until_ms } else { &self.0.quiet_until_ms };
        slot.fetch_max(until, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_kept_as_long_as_asked_and_never_shortened() {
        let guard = RateGuard::new();
        assert_eq!(guard.quiet_for_ms(1000, true), None);
        guard.note_limited(1000, 429, Some(-1003), Some(5));
        guard.note_limited(1000, 429, Some(-1003), Some(1));
        assert_eq!(guard.quiet_for_ms(1000, false), Some(5000));
        assert_eq!(guard.quiet_for_ms(6000, false), None);
        guard.note_limited(6000, 418, None, None);
        assert_eq!(guard.quiet_for_ms(6000, false), Some(120_000));
    }

    #[test]
    fn too_many_orders_stop_orders_only() {
        let guard = RateGuard::new();
        guard.note_limited(0, 429, Some(TOO_MANY_ORDERS), None);
        assert_eq!((guard.quiet_for_ms(0, false), guard.quiet_for_ms(0, true)), (None, Some(10_000)));
    }
}
