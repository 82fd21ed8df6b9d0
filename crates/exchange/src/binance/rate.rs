//! What may leave now: the ledger of limits, the silence that the exchange asks for, and connection attempts.
//!
//! It must never let a request out while the exchange asked for silence: requests in a ban make the ban longer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Millis, ReasonCode, Timestamp};

use super::budget::{Cost, LimitKind, Priority, RateBudget, RateLimit, Reserve};
use super::codes::TOO_MANY_ORDERS;

/// The longest silence that is kept: three days, the longest ban. A mad header cannot silence us for ever.
pub(crate) const SILENCE_S_MAX: u64 = 3 * 86_400;
/// The exchange takes 300 attempts in five minutes from one address; some are left to others.
const CONNECTIONS_MAX: usize = 280;
const CONNECTIONS_WINDOW_MS: u64 = 300_000;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The exchange's time, in which windows are.
    pub exchange: Timestamp,
    /// Monotonic milliseconds, in which silence is measured.
    pub monotonic_ms: u64,
}

/// Why a request may not leave yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// For how long, in milliseconds.
    pub wait_ms: u64,
    /// Why.
    pub reason: ReasonCode,
    /// Whether the exchange asked for it, so that nobody may wait it out in line.
    pub asked_for: bool,
}

/// What the exchange said of limits, beyond its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limited {
    /// The HTTP status.
    pub status: u16,
    /// Its code.
    pub code: Option<i32>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// The end of the silence in exchange time, where it was told so.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct State {
    budget: RateBudget,
    quiet_until_ms: u64,
    banned: bool,
    orders_quiet_until_ms: u64,
    connections: VecDeque<u64>,
}

/// What all clients of one network address share. Handles share their state.
#[derive(Debug, Clone, Default)]
pub struct RateGuard(Arc<Mutex<State>>);

impl RateGuard {
    /// Nothing is used, the documented limits hold.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole in itself: a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request through and counts it.
    ///
    /// # Errors
    /// For how long it may not, and why.
    pub fn admit(&self, now: Moment, cost: Cost, priority: Priority) -> Result<(), Held> {
        let mut state = self.state();
        let left = |until_ms: u64| until_ms.checked_sub(now.monotonic_ms).filter(|left| *left > 0);
        if let Some(wait_ms) = left(state.quiet_until_ms) {
            let reason = if state.banned { ReasonCode::IpBanned } else { ReasonCode::RateLimited };
            return Err(Held { wait_ms, reason, asked_for: true });
        }
        if cost.orders > 0
            && let Some(wait_ms) = left(state.orders_quiet_until_ms)
        {
            return Err(Held { wait_ms, reason: ReasonCode::OrderLimitReached, asked_for: true });
        }
        let held = |wait_ms| Held { wait_ms, reason: ReasonCode::RateLimited, asked_for: false };
        state.budget.admit(now.exchange, cost, priority).map_err(held)
    }

    /// Lets a connection attempt through and counts it: 300 in five minutes from one address.
    ///
    /// # Errors
    /// In how many milliseconds the next one may be made.
    pub fn admit_connection(&self, monotonic_ms: u64) -> Result<(), u64> {
        let mut state = self.state();
        if let Some(left) = state.quiet_until_ms.checked_sub(monotonic_ms).filter(|left| *left > 0) {
            return Err(left);
        }
        let over = |at: &u64| at.saturating_add(CONNECTIONS_WINDOW_MS) <= monotonic_ms;
        while state.connections.front().is_some_and(over) {
            state.connections.pop_front();
        }
        if let Some(oldest) = state.connections.front().filter(|_| state.connections.len() >= CONNECTIONS_MAX) {
            return Err(oldest.saturating_add(CONNECTIONS_WINDOW_MS).saturating_sub(monotonic_ms).max(1));
        }
        state.connections.push_back(monotonic_ms);
        Ok(())
    }

    /// The exchange told its limits (`exchangeInfo.rateLimits`).
    pub fn set_limits(&self, limits: &[RateLimit]) {
        self.state().budget.set_limits(limits);
    }

    /// How much of every limit is kept back for cancels and exits.
    pub fn set_reserve(&self, reserve: Reserve) {
        self.state().budget.set_reserve(reserve);
    }

    /// What was used of the shortest window of `kind`, and its limit.
    #[must_use]
    pub fn used(&self, kind: LimitKind) -> (u32, u32) {
        self.state().budget.used(kind)
    }

    /// Until when the exchange wants no request at all, in its time: to be kept across a restart.
    #[must_use]
    pub fn ban_until(&self, now: Moment) -> Option<Timestamp> {
        let left_ms = self.state().quiet_until_ms.checked_sub(now.monotonic_ms).filter(|left| *left > 0)?;
        Some(now.exchange + Millis::new(i64::try_from(left_ms).unwrap_or(i64::MAX)))
    }

    /// A ban that an earlier life of this process was told of.
    pub fn restore_ban(&self, until: Timestamp, now: Moment) {
        let limited = Limited { status: 418, until: Some(until), ..Limited::default() };
        if until > now.exchange {
            self.note_limited(now, limited);
        }
    }

    /// The exchange's own count.
    pub(crate) fn note_used(&self, now: Moment, kind: LimitKind, interval_ms: i64, used: u32) {
        self.state().budget.note(now.exchange, kind, interval_ms, used);
    }

    /// Counts what leaves on a connection that is there already.
    pub(crate) fn charge(&self, weight: u32) {
        self.state().budget.charge(Cost { weight, orders: 0 });
    }

    /// The exchange wants silence. It is never shortened.
    pub(crate) fn note_limited(&self, now: Moment, said: Limited) {
        let mut state = self.state();
        let orders_only = said.status != 418 && said.code == Some(TOO_MANY_ORDERS);
        let default_ms = match said.status {
            // The shortest ban there is.
            418 => 120_000,
            // The firewall wants minutes.
            403 => 180_000,
            _ if orders_only => state.budget.window_left_ms(now.exchange, LimitKind::Orders).max(1000),
            _ => 60_000,
        };
        let told = said.until.map(|until| u64::try_from(until.since(now.exchange).get()).unwrap_or(0));
        let asked = said.retry_after_s.map(|seconds| seconds.saturating_mul(1000));
        let silence_ms = told.max(asked).unwrap_or(default_ms).min(SILENCE_S_MAX * 1000);
        let until_ms = now.monotonic_ms.saturating_add(silence_ms);
        if orders_only {
            state.orders_quiet_until_ms = state.orders_quiet_until_ms.max(until_ms);
        } else {
            let over = state.quiet_until_ms <= now.monotonic_ms;
            state.banned = said.status == 418 || (state.banned && !over);
            state.quiet_until_ms = state.quiet_until_ms.max(until_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Cost = Cost { weight: 1, orders: 0 };
    const ORDER: Cost = Cost { weight: 1, orders: 1 };

    fn at(ms: u64) -> Moment {
        let exchange = Timestamp::from_millis(1_700_000_040_000 + i64::try_from(ms).unwrap());
        Moment { exchange, monotonic_ms: ms }
    }

    fn wait(guard: &RateGuard, ms: u64, cost: Cost) -> Option<(u64, ReasonCode)> {
        guard.admit(at(ms), cost, Priority::Exit).err().map(|held| (held.wait_ms, held.reason))
    }

    #[test]
    fn silence_is_kept_as_long_as_asked_and_never_shortened() {
        let guard = RateGuard::new();
        let limited = |status, retry_after_s| Limited { status, code: Some(-1003), retry_after_s, until: None };
        assert_eq!(wait(&guard, 1000, ORDER), None);
        guard.note_limited(at(1000), limited(429, Some(5)));
        guard.note_limited(at(1000), limited(429, Some(1)));
        assert_eq!(wait(&guard, 1000, READ), Some((5000, ReasonCode::RateLimited)));
        assert_eq!(wait(&guard, 6000, READ), None);
        guard.note_limited(at(6000), limited(418, None));
        guard.note_limited(at(6000), limited(429, None));
        assert_eq!(wait(&guard, 6000, READ), Some((120_000, ReasonCode::IpBanned)));
        guard.note_limited(at(6000), limited(418, Some(u64::MAX)));
        assert_eq!(wait(&guard, 6000, READ), Some((SILENCE_S_MAX * 1000, ReasonCode::IpBanned)));
    }

    #[test]
    fn too_many_orders_stop_orders_only_until_their_window_ends() {
        let guard = RateGuard::new();
        let limited = Limited { status: 429, code: Some(TOO_MANY_ORDERS), ..Limited::default() };
        assert_eq!(wait(&guard, 4000, ORDER), None);
        guard.note_limited(at(4000), limited);
        assert_eq!(wait(&guard, 4000, READ), None);
        assert_eq!(wait(&guard, 4000, ORDER), Some((6000, ReasonCode::OrderLimitReached)));
    }

    #[test]
    fn a_ban_survives_a_restart() {
        let guard = RateGuard::new();
        assert_eq!(guard.ban_until(at(0)), None);
        let until = at(90_000).exchange;
        guard.note_limited(at(0), Limited { status: 418, code: Some(-1003), retry_after_s: None, until: Some(until) });
        assert_eq!(guard.ban_until(at(10_000)), Some(until));
        // The next process's monotonic clock begins anew.
        let (next, begin) = (RateGuard::new(), Moment { monotonic_ms: 0, ..at(30_000) });
        next.restore_ban(until, begin);
        assert_eq!(next.admit(begin, READ, Priority::Exit).unwrap_err().wait_ms, 60_000);
        assert_eq!(next.ban_until(begin), Some(until));
        let late = RateGuard::new();
        late.restore_ban(until, at(90_000));
        assert_eq!(late.ban_until(at(90_000)), None);
    }

    #[test]
    fn connection_attempts_are_bounded_for_all_who_share() {
        let guard = RateGuard::new();
        for attempt in 0..CONNECTIONS_MAX as u64 {
            assert_eq!(guard.clone().admit_connection(attempt), Ok(()), "{attempt}");
        }
        assert_eq!(guard.admit_connection(1000), Err(299_000));
        assert_eq!(guard.admit_connection(300_000), Ok(()));
        assert_eq!(guard.admit_connection(300_000), Err(1));
    }
}
