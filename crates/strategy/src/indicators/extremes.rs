//! The highest high and the lowest low of a sliding window.
//!
//! It must never look through the whole window on an update.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::number::exact;

/// Highest high and lowest low of the last `period` candles: the Donchian channel, with the current candle in it.
///
/// Two monotonic deques: each candle enters and leaves each at most once, so the work per update is constant, amortised.
/// Source of the channel: Richard Donchian's four-week rule; of the deques: D. Lemire, "Streaming Maximum-Minimum Filter
/// Using No More than Three Comparisons per Element", 2006.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extremes {
    period: u64,
    /// Candles seen.
    seen: u64,
    /// Falling values: the front is the highest of the window, each other the highest after the one before it.
    highs: VecDeque<Point>,
    /// Rising values, likewise for the lowest.
    lows: VecDeque<Point>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    /// The number of the candle, from 1.
    at: u64,
    #[serde(with = "exact")]
    value: f64,
}

impl Extremes {
    /// Over `period` candles; 0 is taken as 1.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period: period.max(1) as u64, seen: 0, highs: VecDeque::new(), lows: VecDeque::new() }
    }

    /// Takes in a candle's high and low, in quote units.
    pub fn update(&mut self, high: f64, low: f64) {
        if !(high.is_finite() && low.is_finite()) {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        let gone = self.seen.saturating_sub(self.period);
        push(&mut self.highs, Point { at: self.seen, value: high }, gone, |kept, new| kept > new);
        push(&mut self.lows, Point { at: self.seen, value: low }, gone, |kept, new| kept < new);
    }

    /// The highest high of the last `period` candles; `None` before as many.
    #[must_use]
    pub fn highest(&self) -> Option<f64> {
        self.highs.front().filter(|_| self.seen >= self.period).map(|point| point.value)
    }

    /// The lowest low of the last `period` candles; `None` before as many.
    #[must_use]
    pub fn lowest(&self) -> Option<f64> {
        self.lows.front().filter(|_| self.seen >= self.period).map(|point| point.value)
    }
}

/// Adds `new`, dropping what it makes irrelevant and what came at `gone` or before.
fn push(points: &mut VecDeque<Point>, new: Point, gone: u64, stays: fn(f64, f64) -> bool) {
    while points.back().is_some_and(|last| !stays(last.value, new.value)) {
        points.pop_back();
    }
    points.push_back(new);
    while points.front().is_some_and(|first| first.at <= gone) {
        points.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yata::prelude::Method;

    use super::*;
    use crate::testing;

    #[test]
    fn it_agrees_with_yata() {
        for period in [2u8, 10, 20, 200] {
            let candles = testing::candles(5, 3000);
            let [_, high, low, _] = testing::ohlc(&candles[0]);
            let mut highest = yata::methods::Highest::new(period, &high).unwrap();
            let mut lowest = yata::methods::Lowest::new(period, &low).unwrap();
            let mut ours = Extremes::new(period.into());
            for [_, high, low, _] in candles.iter().map(testing::ohlc) {
                ours.update(high, low);
                let theirs = (highest.next(&high), lowest.next(&low));
                if let (Some(high), Some(low)) = (ours.highest(), ours.lowest()) {
                    assert_eq!((high, low), theirs);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition_and_restores_to_the_bit(
            period in 1usize..30, series in prop::collection::vec((0u8..20, 0u8..20), 1..200), stop_at in 0usize..200,
        ) {
            let (mut extremes, mut restored) = (Extremes::new(period), Extremes::new(period));
            for index in 0..series.len() {
                if index == stop_at {
                    restored = serde_json::from_str(&serde_json::to_string(&extremes).unwrap()).unwrap();
                }
                let (high, low) = (f64::from(series[index].0), f64::from(series[index].1));
                extremes.update(high, low);
                extremes.update(f64::NAN, low);
                restored.update(high, low);
                prop_assert!(extremes.highs.len() <= period && extremes.lows.len() <= period);
                let window = (index + 1 >= period).then(|| &series[index + 1 - period..=index]);
                let highest = window.and_then(|window| window.iter().map(|pair| pair.0).max()).map(f64::from);
                let lowest = window.and_then(|window| window.iter().map(|pair| pair.1).min()).map(f64::from);
                prop_assert_eq!((extremes.highest(), extremes.lowest()), (highest, lowest));
                if index >= stop_at {
                    prop_assert_eq!(&restored, &extremes);
                }
            }
        }
    }
}
