//! Trend following: long while the fast average is above the slow one.
//!
//! It must never allocate on a trade, nor enter because two equal averages differ in their last bits.

use domain::{Candle, Interval, Price, Trade};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{self, ConfigError, PERIOD, STOP_MULTIPLE, TARGET_MULTIPLE, within};
use crate::indicators::{Atr, Ema};
use crate::number::price_to_f64;
use crate::{Entry, EntryKind, PositionView, Requirements, Signal, StateError, Strategy, StrategyConfig, state};

/// What the averages run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmaInput {
    /// The closes of the candles.
    #[default]
    Candles,
    /// The price of each public trade; the candles give the ATR only.
    Trades,
}

/// Configuration of `ema-cross`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmaCrossConfig {
    /// The length of the candles: `1m`, `5m`, `15m` or `1h`. Default `1m`.
    pub interval: Interval,
    /// What the averages run on: `candles` or `trades`. Default `candles`.
    pub input: EmaInput,
    /// Period of the fast average, in candles or trades. Default 10; 1 to 1000 and below `slow`.
    pub fast: usize,
    /// Period of the slow average, in candles or trades. Default 20; 2 to 1000.
    pub slow: usize,
    /// Period of the average true range, in candles. Default 14; 1 to 1000.
    pub atr_period: usize,
    /// How far below the price the stop is, in multiples of the ATR. Default 2; 0.1 to 50.
    pub stop_atr: f64,
    /// How far above the price the target is, in multiples of the ATR. Default 4; 0.1 to 100, 0 for no target.
    pub take_profit_atr: Option<f64>,
    /// With `trades`, while the candles give no ATR above zero: how far below the price the stop is, as a share of the
    /// price (the target keeps its ratio to the stop). Default 0.02; 0.0001 to 0.5.
    pub stop_fallback: f64,
}

impl Default for EmaCrossConfig {
    fn default() -> Self {
        Self {
            interval: Interval::M1,
            input: EmaInput::Candles,
            fast: 10,
            slow: 20,
            atr_period: 14,
            stop_atr: 2.0,
            take_profit_atr: Some(4.0),
            stop_fallback: 0.02,
        }
    }
}

impl EmaCrossConfig {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        within("fast", self.fast, &PERIOD)?;
        within("slow", self.slow, &(2..=*PERIOD.end()))?;
        if self.fast >= self.slow {
            let allowed = format!("below slow = {}", self.slow);
            return Err(ConfigError { key: "fast", value: self.fast.to_string(), allowed });
        }
        within("atr_period", self.atr_period, &PERIOD)?;
        within("stop_atr", self.stop_atr, &STOP_MULTIPLE)?;
        config::target("take_profit_atr", self.take_profit_atr, &TARGET_MULTIPLE)?;
        within("stop_fallback", self.stop_fallback, &(0.0001..=0.5))
    }
}

/// How near two averages count as equal, as a share: far below any tick, far above the rounding of f64.
const EQUAL_SHARE: f64 = 1e-10;

/// The strategy.
///
/// It enters, with a Market order, when the fast average crosses above the slow one: the crossing, not the state after
/// it, so a refused entry is not tried again. It exits, or withdraws a working entry, when the fast one crosses below; as
/// an exit must not be missed, it is asked for again at the end of every candle while the fast average is below.
pub(crate) struct EmaCross {
    config: EmaCrossConfig,
    state: State,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    fast: Ema,
    slow: Ema,
    atr: Atr,
    /// Where the fast average was last, when the two were not equal; `None` before both are warm.
    trend: Option<Trend>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Trend {
    Up,
    Down,
}

impl State {
    /// Takes in a price, in quote units, and gives the trend if it just turned.
    #[inline]
    fn turn(&mut self, price: f64) -> Option<Trend> {
        let (fast, slow) = (self.fast.update(price), self.slow.update(price));
        let (fast, slow) = (fast?, slow?);
        let (gap, equal) = (fast - slow, slow * EQUAL_SHARE);
        let now = if gap > equal {
            Trend::Up
        } else if gap < -equal {
            Trend::Down
        } else {
            self.trend.unwrap_or(Trend::Down)
        };
        let before = self.trend.replace(now)?;
        (before != now).then_some(now)
    }
}

impl EmaCross {
    pub(crate) fn new(config: &EmaCrossConfig) -> Self {
        let state = State {
            fast: Ema::new(config.fast),
            slow: Ema::new(config.slow),
            atr: Atr::new(config.atr_period),
            trend: None,
        };
        Self { config: config.clone(), state }
    }

    /// What stop and target are multiples of, in quote units.
    fn unit(&self, price: f64) -> Option<f64> {
        let atr = self.state.atr.value().filter(|atr| *atr > 0.0);
        match self.config.input {
            EmaInput::Candles => atr,
            EmaInput::Trades => atr.or(Some(price * self.config.stop_fallback / self.config.stop_atr)),
        }
    }

    fn enter(&self, price: Price) -> Option<Signal> {
        let value = price_to_f64(price);
        let unit = self.unit(value)?;
        let target = self.config.take_profit_atr.filter(|multiple| *multiple != 0.0);
        let target = target.map(|multiple| value + multiple * unit);
        Entry::buy(EntryKind::Market, price, value - self.config.stop_atr * unit, target).map(Signal::Enter)
    }

    fn on_turn(&self, turned: Option<Trend>, price: Price, position: &PositionView) -> Option<Signal> {
        match turned? {
            Trend::Up if position.may_enter() => self.enter(price),
            Trend::Up => None,
            Trend::Down => leave(position),
        }
    }
}

/// What ends the engagement: the position first, then what still works.
fn leave(position: &PositionView) -> Option<Signal> {
    if position.is_long() {
        return Some(Signal::Exit);
    }
    position.entry_working.then_some(Signal::CancelEntry)
}

impl Strategy for EmaCross {
    /// With `trades` no candle has to pass before the first signal.
    fn requirements(&self) -> Requirements {
        let (warm_up, uses_trades) = match self.config.input {
            EmaInput::Candles => (self.config.slow.max(self.config.atr_period.saturating_sub(1)), false),
            EmaInput::Trades => (0, true),
        };
        Requirements { interval: self.config.interval, warm_up, uses_trades, uses_quotes: false }
    }

    fn on_candle(&mut self, candle: &Candle, position: &PositionView) -> Option<Signal> {
        if candle.interval != self.config.interval {
            return None;
        }
        let close = price_to_f64(candle.close);
        let atr = self.state.atr.update(price_to_f64(candle.high), price_to_f64(candle.low), close);
        let turned = match self.config.input {
            EmaInput::Candles => {
                let was_warm = self.state.trend.is_some();
                let turned = self.state.turn(close);
                if !was_warm || atr.is_none() {
                    return None;
                }
                turned
            }
            EmaInput::Trades => None,
        };
        match self.state.trend? {
            Trend::Up => self.on_turn(turned, candle.close, position),
            Trend::Down => leave(position),
        }
    }

    fn on_trade(&mut self, trade: &Trade, position: &PositionView) -> Option<Signal> {
        match self.config.input {
            EmaInput::Candles => None,
            EmaInput::Trades => {
                let turned = self.state.turn(price_to_f64(trade.price));
                self.on_turn(turned, trade.price, position)
            }
        }
    }

    fn save(&self) -> Value {
        state::save(&StrategyConfig::EmaCross(self.config.clone()), &self.state)
    }

    fn restore(&mut self, saved: &Value) -> Result<(), StateError> {
        self.state = state::restore(&StrategyConfig::EmaCross(self.config.clone()), saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FLAT, WORKING, flat_candle, long, trade};

    fn small() -> EmaCrossConfig {
        EmaCrossConfig { fast: 2, slow: 4, atr_period: 3, ..EmaCrossConfig::default() }
    }

    /// Down, then up at the sixth and seventh, then down again.
    const CLOSES: [f64; 10] = [100.0, 99.0, 98.0, 97.0, 96.0, 97.0, 101.0, 102.0, 95.0, 90.0];

    fn run(position: PositionView) -> Vec<Option<Signal>> {
        let mut strategy = EmaCross::new(&small());
        let candle = |(index, close)| strategy.on_candle(&testing::candle(index, close), &position);
        CLOSES.into_iter().enumerate().map(candle).collect()
    }

    #[test]
    fn it_enters_once_on_the_crossing_with_protection() {
        let signals = run(FLAT);
        let entries: Vec<usize> = (0..signals.len()).filter(|index| signals[*index].is_some()).collect();
        assert_eq!(entries, [6]);
        let Some(Signal::Enter(entry)) = &signals[6] else { panic!("{signals:?}") };
        // The true ranges are 2, and 5 (from 97 to a high of 102) in the end, so that the ATR is 2 + (5 - 2) / 3.
        assert_eq!(entry.kind, EntryKind::Market);
        assert_eq!((entry.stop, entry.take_profit), (testing::price(95.0), Some(testing::price(113.0))));
    }

    #[test]
    fn it_leaves_while_the_trend_is_down_and_only_then() {
        let indices = |signals: &[Option<Signal>], wanted: &Signal| {
            (0..signals.len()).filter(|index| signals[*index].as_ref() == Some(wanted)).collect::<Vec<_>>()
        };
        let signals = run(long());
        // The trend is known with the fourth candle, and what is held against it is given up with the fifth.
        assert_eq!(indices(&signals, &Signal::Exit), [4, 5, 8, 9]);
        assert_eq!(signals.iter().flatten().count(), 4);
        let signals = run(WORKING);
        assert_eq!(indices(&signals, &Signal::CancelEntry), [4, 5, 8, 9]);
        assert_eq!(signals.iter().flatten().count(), 4);
    }

    #[test]
    fn candles_of_another_interval_are_ignored() {
        let config = EmaCrossConfig { interval: Interval::H1, ..small() };
        let mut strategy = EmaCross::new(&config);
        for (index, close) in CLOSES.into_iter().enumerate() {
            assert_eq!(strategy.on_candle(&testing::candle(index, close), &long()), None);
        }
    }

    #[test]
    fn equal_prices_never_cross() {
        let trades = EmaCrossConfig { input: EmaInput::Trades, ..EmaCrossConfig::default() };
        for config in [EmaCrossConfig::default(), trades] {
            let mut strategy = EmaCross::new(&config);
            for index in 0..500 {
                assert_eq!(strategy.on_candle(&flat_candle(index, 0.1), &FLAT), None);
                assert_eq!(strategy.on_trade(&trade(index, 0.1), &FLAT), None);
            }
        }
    }

    #[test]
    fn on_trades_the_stop_is_the_fallback_until_candles_give_an_atr() {
        let config = EmaCrossConfig { input: EmaInput::Trades, ..small() };
        let signals = |with_candles: bool| -> Vec<Signal> {
            let mut strategy = EmaCross::new(&config);
            assert_eq!(strategy.requirements().warm_up, 0);
            assert!(strategy.requirements().uses_trades);
            for index in 0..3 {
                let candle = if with_candles { testing::candle(index, 100.0) } else { flat_candle(index, 100.0) };
                assert_eq!(strategy.on_candle(&candle, &FLAT), None);
            }
            let on_trade = |(index, price)| strategy.on_trade(&trade(index, price), &FLAT);
            CLOSES.into_iter().enumerate().filter_map(on_trade).collect()
        };
        let entry = |stop: &str, target: &str| {
            let (stop, take_profit) = (stop.parse().unwrap(), Some(target.parse().unwrap()));
            vec![Signal::Enter(Entry { side: domain::Side::Buy, kind: EntryKind::Market, stop, take_profit })]
        };
        assert_eq!(signals(false), entry("98.98", "105.04")); // 101 less 2 %, and twice that above
        assert_eq!(signals(true), entry("97", "109")); // the ATR is 2
    }

    #[test]
    fn on_trades_an_exit_is_asked_for_at_the_turn_and_then_once_a_candle() {
        let mut strategy = EmaCross::new(&EmaCrossConfig { input: EmaInput::Trades, ..small() });
        let mut prices = CLOSES.into_iter().enumerate();
        let exits: Vec<usize> = prices
            .by_ref()
            .filter_map(|(index, price)| strategy.on_trade(&trade(index, price), &long()).map(|signal| (index, signal)))
            .map(|(index, signal)| {
                assert_eq!(signal, Signal::Exit);
                index
            })
            .collect();
        assert_eq!(exits, [8]);
        assert_eq!(strategy.on_candle(&testing::candle(0, 90.0), &long()), Some(Signal::Exit));
        assert_eq!(strategy.on_candle(&testing::candle(1, 90.0), &FLAT), None);
    }
}
