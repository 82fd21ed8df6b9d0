//! The weight of requests, counted in fixed minutes of real time.
//!
//! It must never let a request above the limit pass, nor count across minutes.

use std::time::Duration;

/// Counts the weight of the current minute.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    limit: u32,
    minute: u64,
    used: u32,
}

impl Weights {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, minute: 0, used: 0 }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The limit is reached; the seconds until the next minute.
    pub(super) fn take(&mut self, weight: u32, wall: Duration) -> Result<(), u64> {
        let seconds = wall.as_secs();
        if seconds / 60 != self.minute {
            (self.minute, self.used) = (seconds / 60, 0);
        }
        self.used = self.used.saturating_add(weight);
        if self.used > self.limit { Err(60 - seconds % 60) } else { Ok(()) }
    }

    /// Gives back what a request turned out not to cost.
    pub(super) fn give_back(&mut self, weight: u32) {
        self.used = self.used.saturating_sub(weight);
    }

    pub(super) fn used(&self) -> u32 {
        self.used
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_limit() {
        let mut weights = Weights::new(10);
        assert_eq!(weights.take(10, Duration::from_secs(59)), Ok(()));
        assert_eq!(weights.take(1, Duration::from_secs(59)), Err(1));
        assert_eq!(weights.take(1, Duration::from_secs(60)), Ok(()));
        weights.give_back(1);
        assert_eq!(weights.used(), 0);
    }
}
