//! Mean reversion: buys below the lower band, sells at the middle.
//!
//! It must never leave its limit order on the book longer than configured without asking for it back.

use domain::{Candle, Interval};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{ConfigError, PERIOD, STOP_MULTIPLE, within};
use crate::indicators::{MeanStd, RollingMeanStd};
use crate::number::price_to_f64;
use crate::{Entry, EntryKind, PositionView, Requirements, Signal, StateError, Strategy, StrategyConfig, state};

/// Configuration of `bollinger`. The bands are the mean of the last `period` closes, the current one among them, and
/// `width` standard deviations (of the population) around it. Source: John Bollinger, "Bollinger on Bollinger Bands".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BollingerConfig {
    /// The length of the candles: `1m`, `5m`, `15m` or `1h`. Default `1m`.
    pub interval: Interval,
    /// Closes in mean and deviation. Default 20; 2 to 1000.
    pub period: usize,
    /// How far the lower band is below the mean, in standard deviations. Default 2; 0.1 to 10.
    pub width: f64,
    /// Candles after which an entry that still works is withdrawn. Default 3; 1 to 1000.
    pub cancel_after: u32,
    /// How far the stop is below the entry, in standard deviations. Default 3; 0.1 to 50.
    pub stop_width: f64,
}

impl Default for BollingerConfig {
    fn default() -> Self {
        Self { interval: Interval::M1, period: 20, width: 2.0, cancel_after: 3, stop_width: 3.0 }
    }
}

impl BollingerConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        within("period", self.period, &(2..=*PERIOD.end()))?;
        within("width", self.width, &(0.1..=10.0))?;
        within("cancel_after", self.cancel_after, &(1..=1000))?;
        within("stop_width", self.stop_width, &STOP_MULTIPLE)
    }
}

/// The strategy.
///
/// Flat and the close below the lower band: a Limit Buy at the close. Long and the close at the mean or above: exit, asked
/// for again with every such candle. An entry still working after `cancel_after` candles: withdrawn, likewise asked for
/// again. Of an exit and a withdrawal at once, the exit comes first and the withdrawal with the next candle.
pub(crate) struct Bollinger {
    config: BollingerConfig,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    closes: RollingMeanStd,
    /// Candles that ended while an entry worked, without a break.
    working_candles: u32,
}

impl Bollinger {
    pub(crate) fn new(config: &BollingerConfig) -> Self {
        let state = State { closes: RollingMeanStd::new(config.period), working_candles: 0 };
        Self { config: config.clone(), state }
    }

    fn enter(&self, candle: &Candle, bands: MeanStd) -> Option<Signal> {
        let close = price_to_f64(candle.close);
        if close < bands.mean - self.config.width * bands.std {
            let stop = close - self.config.stop_width * bands.std;
            return Entry::buy(EntryKind::Limit { price: candle.close }, candle.close, stop, None).map(Signal::Enter);
        }
        None
    }
}

impl Strategy for Bollinger {
    fn requirements(&self) -> Requirements {
        let warm_up = self.config.period.saturating_sub(1);
        Requirements { interval: self.config.interval, warm_up, uses_trades: false, uses_quotes: false }
    }

    fn on_candle(&mut self, candle: &Candle, position: &PositionView) -> Option<Signal> {
        if candle.interval != self.config.interval {
            return None;
        }
        let working = &mut self.state.working_candles;
        *working = if position.entry_working { working.saturating_add(1) } else { 0 };
        let close = price_to_f64(candle.close);
        let bands = self.state.closes.update(close)?;
        if position.is_long() && close >= bands.mean {
            return Some(Signal::Exit);
        }
        if position.entry_working && self.state.working_candles >= self.config.cancel_after {
            return Some(Signal::CancelEntry);
        }
        if position.may_enter() { self.enter(candle, bands) } else { None }
    }

    fn save(&self) -> Value {
        state::save(&StrategyConfig::Bollinger(self.config.clone()), &self.state)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), StateError> {
        self.state = state::restore(&StrategyConfig::Bollinger(self.config.clone()), saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FLAT, WORKING, long, long_and_working};

    /// Warm after four closes of mean 100 and deviation 1.
    fn warm() -> Bollinger {
        let config = BollingerConfig { period: 4, width: 1.2, ..BollingerConfig::default() };
        let mut strategy = Bollinger::new(&config);
        for (index, close) in [99.0, 101.0, 99.0, 101.0].into_iter().enumerate() {
            assert_eq!(strategy.on_candle(&testing::candle(index, close), &FLAT), None);
        }
        strategy
    }

    #[test]
    fn it_bids_at_the_close_below_the_band() {
        let mut strategy = warm();
        // 101, 99, 101, 97: mean 99.5, deviation sqrt(2.75) = 1.658, lower band 97.51.
        let signal = strategy.on_candle(&testing::candle(4, 97.0), &FLAT);
        let Some(Signal::Enter(entry)) = signal else { panic!("{signal:?}") };
        assert_eq!(entry.kind, EntryKind::Limit { price: "97".parse().unwrap() });
        assert_eq!(entry.stop.to_string(), "92.02506281"); // 97 - 3 * sqrt(2.75)
        assert_eq!(entry.take_profit, None);
        // 101, 99, 101, 98.9: lower band 98.74.
        assert_eq!(warm().on_candle(&testing::candle(4, 98.9), &FLAT), None);
    }

    #[test]
    fn it_withdraws_the_bid_after_three_candles_and_until_it_is_gone() {
        let mut strategy = warm();
        let positions = [WORKING, WORKING, WORKING, WORKING, FLAT, WORKING, WORKING, WORKING];
        let signals: Vec<bool> = positions
            .iter()
            .enumerate()
            .map(|(index, position)| match strategy.on_candle(&testing::candle(index, 100.0), position) {
                Some(signal) => signal == Signal::CancelEntry,
                None => false,
            })
            .collect();
        assert_eq!(signals, [false, false, true, true, false, false, false, true]);
    }

    #[test]
    fn it_exits_at_the_middle_before_anything_else() {
        assert_eq!(warm().on_candle(&testing::candle(4, 99.0), &long()), None);
        assert_eq!(warm().on_candle(&testing::candle(4, 101.0), &long()), Some(Signal::Exit));
        let mut strategy = warm();
        for (index, close) in [98.0, 97.0, 101.0].into_iter().enumerate() {
            let signal = strategy.on_candle(&testing::candle(index, close), &long_and_working());
            assert_eq!(signal, (close > 100.0).then_some(Signal::Exit));
        }
        assert_eq!(strategy.on_candle(&testing::candle(3, 101.0), &WORKING), Some(Signal::CancelEntry));
    }

    #[test]
    fn equal_closes_have_no_band_to_be_below_of() {
        let mut strategy = Bollinger::new(&BollingerConfig::default());
        for index in 0..200 {
            assert_eq!(strategy.on_candle(&testing::flat_candle(index, 0.1), &FLAT), None);
        }
    }
}
