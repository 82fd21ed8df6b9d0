//! Waiting times between attempts: exponential, bounded, with jitter.
//!
//! The only module that knows the `backoff` crate. It must never be used for an order: an order is sent once. Only reads,
//! which change nothing, and connections are tried again.

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// How often and how fast something is tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The first waiting time, before jitter.
    pub initial: Duration,
    /// The longest waiting time, before jitter.
    pub longest: Duration,
    /// Repetitions after the first attempt; `None` is for ever.
    pub repeats_max: Option<u32>,
}

impl RetryPolicy {
    /// For reads: two repetitions within about a second.
    #[must_use]
    pub const fn reads() -> Self {
        Self { initial: Duration::from_millis(250), longest: Duration::from_secs(2), repeats_max: Some(2) }
    }

    /// For connections: for ever, at most one attempt in about half a minute after a while.
    #[must_use]
    pub const fn connections() -> Self {
        Self { initial: Duration::from_millis(500), longest: Duration::from_secs(30), repeats_max: None }
    }

    /// No repetition at all.
    #[must_use]
    pub const fn never() -> Self {
        Self { initial: Duration::ZERO, longest: Duration::ZERO, repeats_max: Some(0) }
    }
}

/// The waiting times of one series of attempts.
#[derive(Debug)]
pub struct Schedule {
    waits: ExponentialBackoff,
    repeats_max: Option<u32>,
    repeats: u32,
}

impl Schedule {
    /// A new series.
    #[must_use]
    pub fn new(policy: &RetryPolicy) -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(policy.initial)
            .with_max_interval(policy.longest)
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            // Bounded by the number of repetitions, so that no clock has to be asked.
            .with_max_elapsed_time(None)
            .build();
        Self { waits, repeats_max: policy.repeats_max, repeats: 0 }
    }

    /// How long to wait before the next attempt; `None` means that there is none.
    pub fn next_wait(&mut self) -> Option<Duration> {
        if self.repeats_max.is_some_and(|max| self.repeats >= max) {
            return None;
        }
        self.repeats = self.repeats.saturating_add(1);
        self.waits.next_backoff()
    }

    /// The last attempt went well: begins from the first waiting time.
    pub fn reset(&mut self) {
        self.repeats = 0;
        self.waits.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_and_stay_bounded() {
        let policy =
            RetryPolicy { initial: Duration::from_millis(100), longest: Duration::from_secs(1), repeats_max: None };
        let mut schedule = Schedule::new(&policy);
        let mut expected: f64 = 100.0;
        for _ in 0..20 {
            let wait = schedule.next_wait().unwrap().as_secs_f64() * 1000.0;
            assert!((expected * 0.49..=expected * 1.51).contains(&wait), "{wait} ms, expected about {expected} ms");
            expected = (expected * 2.0).min(1000.0);
        }
        schedule.reset();
        assert!(schedule.next_wait().unwrap() <= Duration::from_millis(151));
    }

    #[test]
    fn a_bounded_series_ends_and_begins_again_after_a_reset() {
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: Some(2), ..RetryPolicy::reads() });
        let waits = std::iter::from_fn(|| schedule.next_wait()).count();
        assert_eq!(waits, 2);
        schedule.reset();
        assert!(schedule.next_wait().is_some());
        assert_eq!(Schedule::new(&RetryPolicy::never()).next_wait(), None);
    }
}
