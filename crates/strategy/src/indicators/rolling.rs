//! Mean and standard deviation of a sliding window.
//!
//! It must never subtract what leaves the window from a running sum: that is how such sums drift.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::number::exact;

/// Mean and standard deviation of the last `period` values, in their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanStd {
    /// The simple average.
    pub mean: f64,
    /// The standard deviation of the population (divided by `period`, as Bollinger's bands have it; yata's `StDev` is
    /// that of a sample, divided by `period - 1`).
    pub std: f64,
}

/// Mean and standard deviation over a sliding window, amortised constant work per value.
///
/// The window is a queue of two stacks, each with the moments of its values, and only merging is ever done (Chan, Golub,
/// LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979), never removing. So the
/// error is that of a fresh computation over the window, however long it has run and whatever has left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct RollingMeanStd {
    period: usize,
    /// Oldest first; at most `period`.
    values: VecDeque<f64>,
    /// For the oldest values: moments from each to the last of them, the oldest's at the end.
    front: Vec<Moments>,
    /// Moments of the values after those.
    back: Moments,
}

/// Count, mean and sum of squared distances from the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    const NONE: Moments = Moments { count: 0.0, mean: 0.0, squares: 0.0 };

    const fn of(value: f64) -> Self {
        Self { count: 1.0, mean: value, squares: 0.0 }
    }

    fn merge(self, later: Self) -> Self {
        if self.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return self;
        }
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        Self {
            count,
            mean: self.mean + distance * (later.count / count),
            squares: self.squares + later.squares + distance * distance * (self.count * later.count / count),
        }
    }
}

impl RollingMeanStd {
    /// Over `period` values; 0 is taken as 1.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period: period.max(1), values: VecDeque::new(), front: Vec::new(), back: Moments::NONE }
    }

    /// Takes in a value and gives mean and deviation of the last `period`; `None` for the first `period - 1`.
    pub fn update(&mut self, value: f64) -> Option<MeanStd> {
        if !value.is_finite() {
            return self.value();
        }
        if self.values.len() >= self.period {
            if self.front.is_empty() {
                self.turn(self.values.len());
            }
            self.values.pop_front();
            self.front.pop();
        }
        self.values.push_back(value);
        self.back = self.back.merge(Moments::of(value));
        self.value()
    }

    /// Mean and deviation now; `None` before `period` values.
    #[must_use]
    pub fn value(&self) -> Option<MeanStd> {
        if self.values.len() < self.period {
            return None;
        }
        let all = self.front.last().map_or(self.back, |front| front.merge(self.back));
        Some(MeanStd { mean: all.mean, std: (all.squares / all.count).sqrt() })
    }

    /// Makes the `front_count` oldest values the front stack, and the others the back.
    fn turn(&mut self, front_count: usize) {
        let mut moments = Moments::NONE;
        self.front.clear();
        for value in self.values.range(..front_count).rev() {
            moments = Moments::of(*value).merge(moments);
            self.front.push(moments);
        }
        let newer = self.values.range(front_count..);
        self.back = newer.fold(Moments::NONE, |moments, value| moments.merge(Moments::of(*value)));
    }
}

/// All that is needed: the moments follow from the values and where the front ends.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    period: usize,
    front_count: usize,
    values: Vec<SavedValue>,
}

#[derive(Serialize, Deserialize)]
struct SavedValue(#[serde(with = "exact")] f64);

impl From<RollingMeanStd> for Saved {
    fn from(rolling: RollingMeanStd) -> Self {
        let values = rolling.values.iter().copied().map(SavedValue).collect();
        Saved { period: rolling.period, front_count: rolling.front.len(), values }
    }
}

impl TryFrom<Saved> for RollingMeanStd {
    type Error = String;
    fn try_from(saved: Saved) -> Result<Self, String> {
        let (count, period) = (saved.values.len(), saved.period);
        if period == 0 || count > period || saved.front_count > count {
            let front_count = saved.front_count;
            return Err(format!("a window of {period} cannot have {count} values with {front_count} in front"));
        }
        let mut rolling = RollingMeanStd::new(period);
        rolling.values = saved.values.into_iter().map(|SavedValue(value)| value).collect();
        rolling.turn(saved.front_count);
        Ok(rolling)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yata::prelude::Method;

    use super::*;
    use crate::testing::{self, close_to};

    fn naive(window: &[f64]) -> MeanStd {
        let count = window.len() as f64;
        let mean = window.iter().sum::<f64>() / count;
        let variance = window.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        MeanStd { mean, std: variance.sqrt() }
    }

    #[test]
    fn it_agrees_with_yata_but_for_the_divisor() {
        for period in [2u8, 5, 20, 200] {
            let series = testing::walk(11, 3000);
            let mut ours = RollingMeanStd::new(period.into());
            let mut mean = yata::methods::SMA::new(period, &series[0]).unwrap();
            let mut std = yata::methods::StDev::new(period, &series[0]).unwrap();
            let to_population = ((f64::from(period) - 1.0) / f64::from(period)).sqrt();
            for price in &series {
                let (mean, std) = (mean.next(price), std.next(price) * to_population);
                if let Some(value) = ours.update(*price) {
                    close_to(value.mean, mean, 1e-10);
                    assert!((value.std - std).abs() < 1e-4 * value.mean, "{value:?} {std}"); // yata's running sums drift
                }
            }
        }
    }

    #[test]
    fn a_million_updates_do_not_drift() {
        let mut rolling = RollingMeanStd::new(50);
        let series = testing::walk(13, 1_000_000);
        for (index, price) in series.iter().enumerate() {
            // Now and then something absurd passes through the window.
            let value = rolling.update(if index % 100_000 == 77 { 1e12 } else { *price });
            if index % 9973 == 0 && index % 100_000 > 200 {
                let (value, exact) = (value.unwrap(), naive(&series[index - 49..=index]));
                close_to(value.mean, exact.mean, 1e-13);
                close_to(value.std, exact.std, 1e-11);
            }
        }
    }

    #[test]
    fn equal_values_have_no_deviation_at_all() {
        let mut rolling = RollingMeanStd::new(7);
        for _ in 0..100 {
            if let Some(value) = rolling.update(0.1) {
                assert_eq!((value.mean, value.std), (0.1, 0.0));
            }
        }
        assert_eq!(rolling.update(f64::NAN).unwrap().mean, 0.1);
    }

    #[test]
    fn states_that_cannot_be_are_refused() {
        for text in [
            r#"{"period":0,"front_count":0,"values":[]}"#,
            r#"{"period":1,"front_count":0,"values":["1","2"]}"#,
            r#"{"period":2,"front_count":2,"values":["1"]}"#,
            r#"{"period":2,"front_count":0,"values":["NaN"]}"#,
        ] {
            assert!(serde_json::from_str::<RollingMeanStd>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition_and_restores_to_the_bit(
            period in 1usize..30, series in prop::collection::vec(1e-8..1e6, 1..200), stop_at in 0usize..200,
        ) {
            let (mut rolling, mut restored) = (RollingMeanStd::new(period), RollingMeanStd::new(period));
            for (index, value) in series.iter().enumerate() {
                if index == stop_at {
                    restored = serde_json::from_str(&serde_json::to_string(&rolling).unwrap()).unwrap();
                    prop_assert_eq!(&restored, &rolling);
                }
                let now = rolling.update(*value);
                prop_assert_eq!(restored.update(*value), now);
                prop_assert_eq!(now.is_some(), index + 1 >= period);
                if let Some(now) = now {
                    let exact = naive(&series[index + 1 - period..=index]);
                    prop_assert!((now.mean - exact.mean).abs() <= 1e-12 * 1e6);
                    prop_assert!((now.std - exact.std).abs() <= 1e-9 * 1e6);
                }
            }
        }
    }
}
