//! The exponential moving average.
//!
//! It must never allocate: it runs on every trade.

use serde::{Deserialize, Serialize};

use crate::number::exact;

/// Exponential moving average of the values given.
///
/// `ema = ema + a * (value - ema)`, `a = 2 / (period + 1)`, seeded with the simple average of the first `period` values
/// (as StockCharts and TA-Lib do; yata and ta seed with the first value and so differ at first, the more the longer the
/// period, by a share `(1 - a)^updates` of the difference of the seeds). Source: StockCharts ChartSchool, "Moving
/// Averages - Simple and Exponential".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    period: usize,
    #[serde(with = "exact")]
    smoothing: f64,
    /// Values seen, counted up to `period`.
    seen: usize,
    /// The sum of the values while seeding, then the average.
    #[serde(with = "exact")]
    value: f64,
}

impl Ema {
    /// Over `period` values; 0 is taken as 1.
    #[must_use]
    pub fn new(period: usize) -> Self {
        let period = period.max(1);
        Self { period, smoothing: 2.0 / (period as f64 + 1.0), seen: 0, value: 0.0 }
    }

    /// Takes in a value, in any unit, and gives the average in the same; `None` for the first `period - 1`.
    #[inline]
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.value();
        }
        if self.seen >= self.period {
            self.value += self.smoothing * (value - self.value);
            return Some(self.value);
        }
        self.value += value;
        self.seen += 1;
        if self.seen == self.period {
            self.value /= self.period as f64;
        }
        self.value()
    }

    /// The average now; `None` before `period` values.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.seen >= self.period).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yata::prelude::Method;

    use super::*;
    use crate::testing::{self, close_to};

    #[test]
    fn it_is_seeded_with_the_simple_average() {
        let mut ema = Ema::new(3);
        let values: Vec<Option<f64>> = [1.0, 2.0, 6.0, 5.0, 4.0].into_iter().map(|value| ema.update(value)).collect();
        assert_eq!(values, [None, None, Some(3.0), Some(4.0), Some(4.0)]);
        assert_eq!(ema.update(f64::NAN), Some(4.0));
        assert_eq!(ema.update(f64::INFINITY), Some(4.0));
    }

    #[test]
    fn it_agrees_with_yata_from_the_same_seed_and_at_length_from_any() {
        for period in [1u8, 2, 10, 20, 200] {
            let series = testing::walk(7, 5000);
            let (mut ours, mut same_seed) = (Ema::new(period.into()), None);
            let mut own_seed = yata::methods::EMA::new(period, &series[0]).unwrap();
            for (index, price) in series.iter().enumerate() {
                let value = ours.update(*price);
                let theirs = own_seed.next(price);
                let Some(value) = value else { continue };
                match &mut same_seed {
                    None => same_seed = Some(yata::methods::EMA::new(period, &value).unwrap()),
                    Some(reference) => close_to(value, reference.next(price), 1e-12),
                }
                if index > 25 * usize::from(period) {
                    close_to(value, theirs, 1e-9);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition(period in 1usize..40, series in prop::collection::vec(1e-8..1e8, 1..200)) {
            let mut ema = Ema::new(period);
            let values: Vec<Option<f64>> = series.iter().map(|value| ema.update(*value)).collect();
            let largest = series.iter().copied().fold(0.0, f64::max);
            let mut expected: Option<f64> = None;
            for (index, value) in series.iter().enumerate() {
                let smoothing = 2.0 / (period as f64 + 1.0);
                expected = match expected {
                    Some(before) => Some(smoothing * value + (1.0 - smoothing) * before),
                    None if index + 1 == period => Some(series[..period].iter().sum::<f64>() / period as f64),
                    None => None,
                };
                prop_assert_eq!(values[index].is_some(), expected.is_some());
                if let (Some(ours), Some(expected)) = (values[index], expected) {
                    prop_assert!((ours - expected).abs() <= 1e-9 * largest);
                }
            }
        }
    }
}
