//! The average true range: how far a price moves in one candle.
//!
//! It must never be below zero.

use serde::{Deserialize, Serialize};

use crate::number::exact;

/// Average true range by Wilder.
///
/// True range = max(high, close before) - min(low, close before), for the first candle high - low. The average of the
/// first `period` true ranges seeds `atr = atr + (true range - atr) / period`. Source: J. Welles Wilder, "New Concepts in
/// Technical Trading Systems", 1978. (yata's RMA seeds with its first value; TA-Lib leaves out the first candle. Both
/// differences fade with `(1 - 1/period)^candles`.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Atr {
    period: usize,
    close: Option<Close>,
    /// Candles seen, counted up to `period`.
    seen: usize,
    /// The sum of the true ranges while seeding, then the average.
    #[serde(with = "exact")]
    value: f64,
}

/// The close of the candle before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Close(#[serde(with = "exact")] f64);

impl Atr {
    /// Over `period` candles; 0 is taken as 1.
    #[must_use]
    pub fn new(period: usize) -> Self {
        Self { period: period.max(1), close: None, seen: 0, value: 0.0 }
    }

    /// Takes in a candle and gives the average true range, both in quote units; `None` for the first `period - 1`.
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return self.value();
        }
        let range = match self.close.replace(Close(close)) {
            Some(Close(before)) => high.max(before) - low.min(before),
            None => high - low,
        }
        .max(0.0);
        if self.seen >= self.period {
            self.value += (range - self.value) / self.period as f64;
            return Some(self.value);
        }
        self.value += range;
        self.seen += 1;
        if self.seen == self.period {
            self.value /= self.period as f64;
        }
        self.value()
    }

    /// The average true range now, in quote units; `None` before `period` candles.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.seen >= self.period).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use yata::prelude::{Candle, Method};

    use super::*;
    use crate::testing::{self, close_to};

    #[test]
    fn gaps_count_and_the_first_candle_has_none() {
        let mut atr = Atr::new(2);
        assert_eq!(atr.update(12.0, 10.0, 11.0), None);
        assert_eq!(atr.update(21.0, 20.0, 20.0), Some(6.0)); // (2 + (21 - 11)) / 2
        assert_eq!(atr.update(15.0, 14.0, 14.5), Some(6.0)); // 6 + ((20 - 14) - 6) / 2
        assert_eq!(atr.update(f64::NAN, 1.0, 1.0), Some(6.0));
    }

    #[test]
    fn it_agrees_with_yata_from_the_same_seed() {
        for period in [1u8, 2, 14, 100] {
            let candles = testing::candles(3, 2000);
            let mut ours = Atr::new(period.into());
            let mut reference = None;
            let mut ranges: Option<yata::methods::TR> = None;
            for [open, high, low, close] in candles.iter().map(testing::ohlc) {
                let candle = Candle { open, high, low, close, volume: 1.0 };
                let range = match &mut ranges {
                    Some(ranges) => ranges.next(&candle),
                    None => {
                        ranges = Some(yata::methods::TR::new(&candle).unwrap());
                        high - low
                    }
                };
                let Some(value) = ours.update(high, low, close) else { continue };
                match &mut reference {
                    None => reference = Some(yata::methods::RMA::new(period, &value).unwrap()),
                    Some(reference) => close_to(value, reference.next(&range), 1e-11),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_equals_the_definition(
            period in 1usize..30, candles in prop::collection::vec((1.0..1e6, 0.0..1e5, 0.0..1.0), 1..150),
        ) {
            let candles: Vec<[f64; 3]> =
                candles.into_iter().map(|(low, range, share)| [low + range, low, low + range * share]).collect();
            let ranges: Vec<f64> = candles.iter().enumerate().map(|(index, [high, low, _])| {
                let before = index.checked_sub(1).map_or(*high, |before| candles[before][2]);
                if index == 0 { high - low } else { (high - low).max((high - before).abs()).max((low - before).abs()) }
            }).collect();
            let mut atr = Atr::new(period);
            let mut expected = 0.0;
            for (index, [high, low, close]) in candles.iter().enumerate() {
                let value = atr.update(*high, *low, *close);
                if index + 1 < period {
                    prop_assert_eq!(value, None);
                    continue;
                }
                expected = if index + 1 == period {
                    ranges[..period].iter().sum::<f64>() / period as f64
                } else {
                    (expected * (period as f64 - 1.0) + ranges[index]) / period as f64
                };
                prop_assert!((value.unwrap() - expected).abs() <= 1e-9 * (1.0 + expected));
            }
        }
    }
}
