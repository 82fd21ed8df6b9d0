//! The harness: warm-up, samples, and what they come to.
//!
//! It must never drop an outlier: the maximum is shown as it was.

use crate::clock::Moment;

/// What many samples of one thing came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// The smallest.
    pub(crate) min: f64,
    /// The median.
    pub(crate) p50: f64,
    /// 99 of 100 are not above it.
    pub(crate) p99: f64,
    /// The largest.
    pub(crate) max: f64,
    /// How many there were.
    pub(crate) count: usize,
}

/// Samples of one thing, in one unit.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub(crate) fn add(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// What they came to, each divided by `divisor`; `None` where there are none.
    pub(crate) fn spread(&self, divisor: f64) -> Option<Spread> {
        let mut sorted: Vec<f64> = self.0.iter().map(|sample| sample / divisor).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get(((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
        Some(Spread { min: at(0.0)?, p50: at(0.5)?, p99: at(0.99)?, max: at(1.0)?, count: sorted.len() })
    }

    /// The same as calls a second, where the samples are nanoseconds a call.
    pub(crate) fn rates(&self) -> Option<Spread> {
        Self(self.0.iter().filter(|ns| **ns > 0.0).map(|ns| 1e9 / ns).collect()).spread(1.0)
    }
}

/// What [`batches`] came to, in nanoseconds a call.
pub(crate) fn per_call(samples: usize, calls: usize, call: impl FnMut(usize)) -> Option<Spread> {
    batches(samples, calls, call).spread(1.0)
}

/// `samples` samples in nanoseconds a call, each the mean of `calls` calls, after a tenth as many to warm up. `call` is
/// told how many calls there were before.
pub(crate) fn batches(samples: usize, calls: usize, mut call: impl FnMut(usize)) -> Samples {
    let (mut all, mut number) = (Samples::default(), 0);
    let warm_up = samples / 10 + 1;
    for sample in 0..warm_up + samples {
        let begun = Moment::now();
        for _ in 0..calls {
            call(number);
            number += 1;
        }
        let elapsed = begun.elapsed_ns();
        if sample >= warm_up {
            all.add(elapsed / calls as f64);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_samples() {
        let mut samples = Samples::default();
        (1..=200).rev().for_each(|sample| samples.add(f64::from(sample) * 10.0));
        let spread = samples.spread(10.0).unwrap();
        assert_eq!((spread.min, spread.p50, spread.p99, spread.max), (1.0, 100.0, 198.0, 200.0));
        assert_eq!(spread.count, 200);
        assert!(Samples::default().spread(1.0).is_none());
    }

    #[test]
    fn the_best_rate_is_of_the_shortest_sample() {
        let mut samples = Samples::default();
        [1000.0, 100.0, 0.0, 500.0].into_iter().for_each(|sample| samples.add(sample));
        let rates = samples.rates().unwrap();
        assert_eq!((rates.min, rates.p50, rates.max, rates.count), (1e6, 2e6, 1e7, 3));
    }

    #[test]
    fn every_call_is_counted_and_the_warm_up_is_left_out() {
        let mut last = 0;
        let spread = per_call(20, 5, |number| last = number).unwrap();
        assert_eq!((spread.count, last), (20, 23 * 5 - 1));
    }
}
