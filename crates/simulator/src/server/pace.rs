//! The simulator's time: the market's, at a multiple of real time, or step by step.
//!
//! It must never go back: not on a change of speed, not behind an event that was released.

use std::time::Duration;

/// How the simulator's time moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// At `speed` times real time.
    Timed {
        /// 1 is real time.
        speed: f64,
    },
    /// Only by `POST /admin/step`.
    Stepped,
}

/// The largest speed that is taken; beyond it the clock says nothing.
pub(super) const SPEED_MAX: f64 = 1_000_000.0;

/// The clock of the market, in milliseconds since the epoch.
#[derive(Debug, Clone)]
pub(super) struct MarketClock {
    pace: Pace,
    paused: bool,
    /// The time at `anchor`.
    base: i64,
    anchor: Duration,
    /// What was shown or released last.
    floor: i64,
}

impl MarketClock {
    pub(super) fn new(pace: Pace, time: i64, wall: Duration) -> Self {
        Self { pace, paused: false, base: time, anchor: wall, floor: time }
    }

    pub(super) fn now(&mut self, wall: Duration) -> i64 {
        if let Pace::Timed { speed } = self.pace
            && !self.paused
        {
            let passed = wall.saturating_sub(self.anchor).as_secs_f64() * 1000.0 * speed;
            self.floor = self.floor.max(self.base.saturating_add(passed as i64));
        }
        self.floor
    }

    /// How long until it is `time`; `None` if it never will be by itself.
    pub(super) fn until(&self, time: i64, wall: Duration) -> Option<Duration> {
        let Pace::Timed { speed } = self.pace else { return None };
        if self.paused {
            return None;
        }
        let due = self.anchor.as_secs_f64() + (time.saturating_sub(self.base)) as f64 / 1000.0 / speed;
        Some(Duration::try_from_secs_f64(due - wall.as_secs_f64()).unwrap_or(Duration::ZERO))
    }

    /// Moves a stepped clock forward.
    pub(super) fn step_to(&mut self, time: i64) {
        self.floor = self.floor.max(time);
        self.base = self.floor;
    }

    fn anchor_at(&mut self, wall: Duration) {
        self.base = self.now(wall);
        self.anchor = wall;
    }

    pub(super) fn set_paused(&mut self, paused: bool, wall: Duration) {
        self.anchor_at(wall);
        self.paused = paused;
    }

    pub(super) fn set_speed(&mut self, speed: f64, wall: Duration) {
        self.anchor_at(wall);
        self.pace = Pace::Timed { speed };
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(super) fn is_stepped(&self) -> bool {
        self.pace == Pace::Stepped
    }

    /// Market milliseconds that pass in a real one; 1 where time only steps.
    pub(super) fn speed(&self) -> f64 {
        match self.pace {
            Pace::Timed { speed } => speed,
            Pace::Stepped => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_runs_at_its_speed_and_never_back() {
        let mut clock = MarketClock::new(Pace::Timed { speed: 60.0 }, 1_000_000, s(0));
        assert_eq!(clock.now(s(1)), 1_060_000);
        assert_eq!(clock.until(1_120_000, s(1)), Some(s(1)));
        clock.set_speed(1.0, s(2));
        assert_eq!(clock.now(s(3)), 1_121_000);
        clock.set_paused(true, s(3));
        assert_eq!((clock.now(s(9)), clock.until(2_000_000, s(9))), (1_121_000, None));
        clock.set_paused(false, s(9));
        assert_eq!(clock.now(s(10)), 1_122_000);
        assert_eq!(clock.now(s(4)), 1_122_000);
    }

    #[test]
    fn a_stepped_clock_only_steps() {
        let mut clock = MarketClock::new(Pace::Stepped, 5, s(0));
        assert_eq!(clock.now(s(100)), 5);
        clock.step_to(9);
        clock.step_to(7);
        assert_eq!(clock.now(s(100)), 9);
    }
}
