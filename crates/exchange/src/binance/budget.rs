//! The ledger of the exchange's limits: what was used in which window, and what may still leave.
//!
//! Pure: the time comes in. It must never let more through in one window than the exchange takes, nor count less than
//! the exchange itself says.

use domain::Timestamp;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKind {
    /// Request weight of the network address.
    Weight,
    /// Orders of the account.
    Orders,
    /// Requests of the network address.
    Requests,
}

/// One limit of the exchange: so many in each window. Windows are aligned to the exchange's clock, they do not slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted.
    pub kind: LimitKind,
    /// The length of a window, in milliseconds.
    pub interval_ms: i64,
    /// So many in a window.
    pub max: u32,
}

/// The limits that the exchange documents, until it tells those in force (`exchangeInfo.rateLimits`).
pub const DOCUMENTED_LIMITS: &[RateLimit] = &[
    RateLimit { kind: LimitKind::Weight, interval_ms: 60_000, max: 6000 },
    RateLimit { kind: LimitKind::Orders, interval_ms: 10_000, max: 50 },
    RateLimit { kind: LimitKind::Orders, interval_ms: 86_400_000, max: 160_000 },
    RateLimit { kind: LimitKind::Requests, interval_ms: 300_000, max: 61_000 },
];

/// Who asks. The order is that of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A new order that may add exposure: refused at once where there is no room.
    Entry,
    /// A read: waits for a while where there is no room.
    Read,
    /// A cancel, an exit, or what they need: may use the reserve, up to the true limit.
    Exit,
}

/// What one request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Request weight.
    pub weight: u32,
    /// New orders: a list counts one for each leg.
    pub orders: u32,
}

/// What is kept back of every limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    /// For other users of the address and for clocks that differ, in percent of a limit. Exits may use it.
    pub margin_percent: u32,
    /// For cancels and exits alone, in percent of a limit.
    pub exits_percent: u32,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { margin_percent: 5, exits_percent: 20 }
    }
}

#[derive(Debug, Clone)]
struct Window {
    limit: RateLimit,
    start_ms: i64,
    used: u32,
}

impl Window {
    /// A clock that is set back does not begin an old window again.
    fn roll(&mut self, now_ms: i64) {
        let start_ms = now_ms - now_ms.rem_euclid(self.limit.interval_ms);
        if start_ms > self.start_ms {
            self.start_ms = start_ms;
            self.used = 0;
        }
    }

    fn cost(&self, cost: Cost) -> u32 {
        match self.limit.kind {
            LimitKind::Weight => cost.weight,
            LimitKind::Orders => cost.orders,
            LimitKind::Requests => 1,
        }
    }

    fn bound(&self, reserve: Reserve, priority: Priority) -> u32 {
        let max = u64::from(self.limit.max);
        let kept = match priority {
            Priority::Exit => 0,
            Priority::Entry | Priority::Read => {
                u64::from(reserve.margin_percent.saturating_add(reserve.exits_percent).min(100))
            }
        };
        // Rounded in favour of the reserve.
        let bound = max - (max * kept).div_ceil(100);
        u32::try_from(bound).expect("invariant: a part of a u32 is one")
    }
}

/// The windows of all limits.
#[derive(Debug, Clone)]
pub struct RateBudget {
    windows: Vec<Window>,
    reserve: Reserve,
}

impl Default for RateBudget {
    fn default() -> Self {
        Self::new(DOCUMENTED_LIMITS, Reserve::default())
    }
}

impl RateBudget {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(limits: &[RateLimit], reserve: Reserve) -> Self {
        let mut budget = Self { windows: Vec::new(), reserve };
        budget.set_limits(limits);
        budget
    }

    /// The exchange told its limits. What was used stays used; a kind that is not told keeps the limits it had.
    pub fn set_limits(&mut self, limits: &[RateLimit]) {
        let sound = |limit: &&RateLimit| limit.interval_ms > 0 && limit.max > 0;
        let told: Vec<RateLimit> = limits.iter().filter(sound).copied().collect();
        let old = std::mem::take(&mut self.windows);
        let used = |limit: &RateLimit| {
            let same =
                |window: &&Window| window.limit.kind == limit.kind && window.limit.interval_ms == limit.interval_ms;
            old.iter().find(same).map_or((0, 0), |window| (window.start_ms, window.used))
        };
        self.windows = told
            .iter()
            .map(|limit| {
                let (start_ms, used) = used(limit);
                Window { limit: *limit, start_ms, used }
            })
            .collect();
        let silent = |window: &Window| !told.iter().any(|limit| limit.kind == window.limit.kind);
        self.windows.extend(old.into_iter().filter(silent));
    }

    /// How much is kept back.
    pub fn set_reserve(&mut self, reserve: Reserve) {
        self.reserve = reserve;
    }

    /// Lets a request through and counts it, in exchange time.
    ///
    /// # Errors
    /// In how many milliseconds there may be room again. Nothing was counted then.
    pub fn admit(&mut self, now: Timestamp, cost: Cost, priority: Priority) -> Result<(), u64> {
        let now_ms = now.as_millis();
        let mut wait_ms: Option<i64> = None;
        for window in &mut self.windows {
            window.roll(now_ms);
            let more = window.cost(cost);
            if more > 0 && window.used.saturating_add(more) > window.bound(self.reserve, priority) {
                let end_ms = window.start_ms.saturating_add(window.limit.interval_ms);
                wait_ms = wait_ms.max(Some(end_ms.saturating_sub(now_ms)));
            }
        }
        if let Some(wait_ms) = wait_ms {
            return Err(u64::try_from(wait_ms).unwrap_or(0).max(1));
        }
        self.charge(cost);
        Ok(())
    }

    /// Counts what leaves without being asked about, in the windows as they are.
    pub fn charge(&mut self, cost: Cost) {
        for window in &mut self.windows {
            window.used = window.used.saturating_add(window.cost(cost));
        }
    }

    /// The exchange says what it counted in its present window; ours is never corrected downward, because requests of
    /// ours may still be on their way.
    pub fn note(&mut self, now: Timestamp, kind: LimitKind, interval_ms: i64, used: u32) {
        for window in &mut self.windows {
            if window.limit.kind == kind && window.limit.interval_ms == interval_ms {
                window.roll(now.as_millis());
                window.used = window.used.max(used);
            }
        }
    }

    /// How long until the shortest window of `kind` ends, in milliseconds.
    #[must_use]
    pub fn window_left_ms(&self, now: Timestamp, kind: LimitKind) -> u64 {
        let left = |window: &Window| {
            let end_ms = window.start_ms.saturating_add(window.limit.interval_ms);
            u64::try_from(end_ms.saturating_sub(now.as_millis())).unwrap_or(0)
        };
        // The exchange names the window that is full only in its words.
        self.windows.iter().filter(|window| window.limit.kind == kind).map(left).min().unwrap_or(0)
    }

    /// What was used of the shortest window of `kind`, and its limit.
    #[must_use]
    pub fn used(&self, kind: LimitKind) -> (u32, u32) {
        let of_kind = self.windows.iter().filter(|window| window.limit.kind == kind);
        of_kind.min_by_key(|window| window.limit.interval_ms).map_or((0, 0), |window| (window.used, window.limit.max))
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
