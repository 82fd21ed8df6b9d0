//! Breakout: buys above the highest high of the candles before, sells below their lowest low.
//!
//! It must never compare a candle with a channel that the candle itself is part of.

use domain::{Candle, Interval, Price};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{self, ConfigError, PERIOD, STOP_MULTIPLE, TARGET_MULTIPLE, within};
use crate::indicators::{Atr, Extremes};
use crate::number::price_to_f64;
use crate::{Entry, EntryKind, PositionView, Requirements, Signal, StateError, Strategy, StrategyConfig, state};

/// Configuration of `donchian`. Source: the Turtle rules (Curtis Faith, "The Original Turtle Trading Rules"), system 1,
/// with closes in place of touches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DonchianConfig {
    /// The length of the candles: `1m`, `5m`, `15m` or `1h`. Default `1m`.
    pub interval: Interval,
    /// Candles whose highest high a close must exceed for an entry. Default 20; 1 to 1000.
    pub entry_period: usize,
    /// Candles whose lowest low a close must undercut for an exit. Default 10; 1 to 1000.
    pub exit_period: usize,
    /// Period of the average true range, in candles. Default 14; 1 to 1000.
    pub atr_period: usize,
    /// How far below the price the stop is, in multiples of the ATR. Default 2; 0.1 to 50.
    pub stop_atr: f64,
    /// How far above the price the target is, in multiples of the ATR. Default none; 0.1 to 100, 0 for no target.
    pub take_profit_atr: Option<f64>,
}

impl Default for DonchianConfig {
    fn default() -> Self {
        Self {
            interval: Interval::M1,
            entry_period: 20,
            exit_period: 10,
            atr_period: 14,
            stop_atr: 2.0,
            take_profit_atr: None,
        }
    }
}

impl DonchianConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        within("entry_period", self.entry_period, &PERIOD)?;
        within("exit_period", self.exit_period, &PERIOD)?;
        within("atr_period", self.atr_period, &PERIOD)?;
        within("stop_atr", self.stop_atr, &STOP_MULTIPLE)?;
        config::target("take_profit_atr", self.take_profit_atr, &TARGET_MULTIPLE)
    }
}

/// The strategy: enters with a Market order when flat and the close is above the channel, exits when long and the close
/// is below it; either is asked for again with every such candle.
pub(crate) struct Donchian {
    config: DonchianConfig,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    entry: Extremes,
    exit: Extremes,
    atr: Atr,
}

impl Donchian {
    pub(crate) fn new(config: &DonchianConfig) -> Self {
        let state = State {
            entry: Extremes::new(config.entry_period),
            exit: Extremes::new(config.exit_period),
            atr: Atr::new(config.atr_period),
        };
        Self { config: config.clone(), state }
    }

    fn enter(&self, price: Price, atr: f64) -> Option<Signal> {
        let value = price_to_f64(price);
        let target = self.config.take_profit_atr.filter(|multiple| *multiple != 0.0);
        let target = target.map(|multiple| value + multiple * atr);
        Entry::buy(EntryKind::Market, price, value - self.config.stop_atr * atr, target).map(Signal::Enter)
    }
}

impl Strategy for Donchian {
    fn requirements(&self) -> Requirements {
        let config = &self.config;
        let warm_up = config.entry_period.max(config.exit_period).max(config.atr_period.saturating_sub(1));
        Requirements { interval: config.interval, warm_up, uses_trades: false, uses_quotes: false }
    }

    fn on_candle(&mut self, candle: &Candle, position: &PositionView) -> Option<Signal> {
        if candle.interval != self.config.interval {
            return None;
        }
        let [high, low, close] = [candle.high, candle.low, candle.close].map(price_to_f64);
        let (highest, lowest) = (self.state.entry.highest(), self.state.exit.lowest());
        self.state.entry.update(high, low);
        self.state.exit.update(high, low);
        let atr = self.state.atr.update(high, low, close);
        let (highest, lowest, atr) = (highest?, lowest?, atr?);
        if position.is_long() && close < lowest {
            return Some(Signal::Exit);
        }
        if position.may_enter() && close > highest { self.enter(candle.close, atr) } else { None }
    }

    fn save(&self) -> Value {
        state::save(&StrategyConfig::Donchian(self.config.clone()), &self.state)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), StateError> {
        self.state = state::restore(&StrategyConfig::Donchian(self.config.clone()), saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FLAT, WORKING, long};

    /// Warm after four candles: highest high of the last three 101, lowest low of the last two 97.
    fn warm(take_profit_atr: Option<f64>) -> Donchian {
        let periods = DonchianConfig { entry_period: 3, exit_period: 2, atr_period: 4, ..DonchianConfig::default() };
        let mut strategy = Donchian::new(&DonchianConfig { take_profit_atr, ..periods });
        for (index, close) in [100.0, 100.0, 98.0, 100.0].into_iter().enumerate() {
            assert_eq!(strategy.on_candle(&testing::candle(index, close), &FLAT), None);
        }
        strategy
    }

    #[test]
    fn it_enters_above_the_channel_of_the_candles_before() {
        assert_eq!(warm(None).on_candle(&testing::candle(4, 101.0), &FLAT), None);
        // True ranges: 2, 2, 3, 3, then 2.5 (from 100 to a high of 102.5): ATR(4) is 2.5 throughout.
        let signal = warm(None).on_candle(&testing::candle(4, 101.5), &FLAT);
        let entry = Entry {
            side: domain::Side::Buy,
            kind: EntryKind::Market,
            stop: "96.5".parse().unwrap(),
            take_profit: None,
        };
        assert_eq!(signal, Some(Signal::Enter(entry.clone())));
        for (multiple, target) in [(0.0, None), (3.0, Some("109".parse().unwrap()))] {
            let signal = warm(Some(multiple)).on_candle(&testing::candle(4, 101.5), &FLAT);
            assert_eq!(signal, Some(Signal::Enter(Entry { take_profit: target, ..entry.clone() })));
        }
        for position in [long(), WORKING] {
            assert_eq!(warm(None).on_candle(&testing::candle(4, 101.5), &position), None);
        }
    }

    #[test]
    fn it_exits_below_the_channel_of_the_candles_before() {
        assert_eq!(warm(None).on_candle(&testing::candle(4, 97.0), &long()), None);
        assert_eq!(warm(None).on_candle(&testing::candle(4, 96.9), &long()), Some(Signal::Exit));
        assert_eq!(warm(None).on_candle(&testing::candle(4, 96.9), &FLAT), None);
    }
}
