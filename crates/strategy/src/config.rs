//! Configuration of the strategies: kinds, defaults, bounds.
//!
//! It must never accept an unknown key, nor a value that the indicators could not work with.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Strategy;
use crate::bollinger::{Bollinger, BollingerConfig};
use crate::donchian::{Donchian, DonchianConfig};
use crate::ema_cross::{EmaCross, EmaCrossConfig};

/// Configuration of a strategy, told apart by `kind`. Every field has a default, unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StrategyConfig {
    /// `ema-cross`: trend following.
    EmaCross(EmaCrossConfig),
    /// `bollinger`: mean reversion.
    Bollinger(BollingerConfig),
    /// `donchian`: breakout.
    Donchian(DonchianConfig),
}

/// A value that is out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value} is not allowed: {allowed}")]
pub struct ConfigError {
    /// The key, without its table.
    pub key: &'static str,
    /// The value as configured.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl StrategyConfig {
    /// Checks every value against its bounds.
    ///
    /// # Errors
    /// The first value out of bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::EmaCross(config) => config.validate(),
            Self::Bollinger(config) => config.validate(),
            Self::Donchian(config) => config.validate(),
        }
    }

    /// A fresh strategy: one object per instance and symbol. From a configuration that is not valid it does no harm, but
    /// is of no use: validate first.
    #[must_use]
    pub fn build(&self) -> Box<dyn Strategy> {
        match self {
            Self::EmaCross(config) => Box::new(EmaCross::new(config)),
            Self::Bollinger(config) => Box::new(Bollinger::new(config)),
            Self::Donchian(config) => Box::new(Donchian::new(config)),
        }
    }

    /// The kind as it is configured.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EmaCross(_) => "ema-cross",
            Self::Bollinger(_) => "bollinger",
            Self::Donchian(_) => "donchian",
        }
    }
}

/// `value` must be in `range`; a NaN is in none.
pub(crate) fn within<T: PartialOrd + Display + Copy>(
    key: &'static str,
    value: T,
    range: &RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let allowed = format!("{} to {}", range.start(), range.end());
    Err(ConfigError { key, value: value.to_string(), allowed })
}

/// A target multiple must be in `range`, or 0 for none (TOML has no way to say nothing).
pub(crate) fn target(key: &'static str, value: Option<f64>, range: &RangeInclusive<f64>) -> Result<(), ConfigError> {
    within(key, value.filter(|multiple| *multiple != 0.0).unwrap_or(*range.start()), range)
        .map_err(|error| ConfigError { allowed: format!("{}, or 0 for none", error.allowed), ..error })
}

/// The bounds of a period, in candles or trades.
pub(crate) const PERIOD: RangeInclusive<usize> = 1..=1000;
/// The bounds of a distance to a stop, in multiples of the ATR or of the standard deviation.
pub(crate) const STOP_MULTIPLE: RangeInclusive<f64> = 0.1..=50.0;
/// The bounds of a distance to a target, in multiples of the ATR.
pub(crate) const TARGET_MULTIPLE: RangeInclusive<f64> = 0.1..=100.0;
