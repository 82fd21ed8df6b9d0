//! Tickers of other windows than the last 24 hours: rolling ones, and the trading day.
//!
//! They must never begin but at a full minute. Source: the official SDK's documentation of `ticker` and
//! `ticker/tradingDay`.

use serde_json::Value;

use super::core::Core;
use super::endpoints::{Access, Endpoint};
use super::params::Params;
use super::quotes::is_mini;
use crate::model::Refusal;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Symbols of one request.
const SYMBOLS_MAX: usize = 100;
/// Weight of each symbol, and the most that a request costs.
const WEIGHT: u32 = 4;
const WEIGHT_MAX: u32 = 200;

/// The endpoints of this file.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        rest: ("GET", "ticker"),
        method: "ticker",
        access: Access::Public(rolling),
        weight: symbols_weight,
        is_free: false,
    },
    Endpoint {
        rest: ("GET", "ticker/tradingDay"),
        method: "ticker.tradingDay",
        access: Access::Public(trading_day),
        weight: symbols_weight,
        is_free: false,
    },
];

fn symbols_weight(params: &Params) -> u32 {
    let symbols = params.symbols().ok().flatten().map_or(1, |symbols| symbols.len());
    u32::try_from(symbols).unwrap_or(WEIGHT_MAX).saturating_mul(WEIGHT).min(WEIGHT_MAX)
}

/// `5m`, `23h`, `7d`.
fn window(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let (span, max) = match unit {
        "m" => (MINUTE, 59),
        "h" => (HOUR, 23),
        "d" => (DAY, 7),
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|number| (1..=max).contains(number)).map(|number| number * span)
}

/// `0`, `8`, `-1:00`, `05:45`: milliseconds ahead of UTC, from 12 hours behind to 14 ahead.
fn zone(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
    let part = |text: &str, max: i64| text.parse::<i64>().ok().filter(|number| (0..=max).contains(number));
    let ahead = sign * (part(hours, 14)? * HOUR + part(minutes, 59)? * MINUTE);
    (-12 * HOUR..=14 * HOUR).contains(&ahead).then_some(ahead)
}

fn rolling(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let span = window(params.get("windowSize").unwrap_or("1d"))
        .ok_or_else(|| Refusal::new(-1130, "Data sent for parameter 'windowSize' is not valid."))?;
    let from = core.now() - span;
    rows(core, params, from - from.rem_euclid(MINUTE))
}

fn trading_day(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let ahead = zone(params.get("timeZone").unwrap_or("0"))
        .ok_or_else(|| Refusal::new(-1130, "Data sent for parameter 'timeZone' is not valid."))?;
    let now = core.now();
    rows(core, params, now - (now + ahead).rem_euclid(DAY))
}

fn rows(core: &mut Core, params: &Params, from: i64) -> Result<Value, Refusal> {
    let is_mini = is_mini(params)?;
    let symbols = params.symbols()?.ok_or_else(|| Refusal::missing("symbol"))?;
    if symbols.is_empty() || symbols.len() > SYMBOLS_MAX {
        return Err(Refusal::new(-1130, "Data sent for parameter 'symbols' is not valid."));
    }
    if let Some(unknown) = symbols.iter().find(|symbol| core.model.instrument(symbol).is_none()) {
        return Err(Refusal::invalid_symbol(unknown));
    }
    let tickers = symbols.iter().filter_map(|symbol| core.ticker_since(symbol, from));
    let mut rows: Vec<Value> = tickers.map(|ticker| ticker.window_row(is_mini)).collect();
    match params.get("symbols") {
        Some(_) => Ok(Value::Array(rows)),
        // Before the first trade there is nothing to tell of.
        None => Ok(rows.pop().unwrap_or_else(|| serde_json::json!({"symbol": symbols[0].as_str()}))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_bounded() {
        for (text, expected) in [("1m", MINUTE), ("59m", 59 * MINUTE), ("23h", 23 * HOUR), ("7d", 7 * DAY)] {
            assert_eq!(window(text), Some(expected), "{text}");
        }
        for text in ["", "m", "0m", "60m", "24h", "8d", "1d2h", "1w", "-1m", "1€"] {
            assert_eq!(window(text), None, "{text}");
        }
    }

    #[test]
    fn zones_are_bounded() {
        for (text, expected) in [("0", 0), ("8", 480), ("-1:00", -60), ("05:45", 345)] {
            assert_eq!(zone(text), Some(expected * MINUTE), "{text}");
        }
        for text in ["", "15", "-13", "1:60", "x", "14:30", "--1"] {
            assert_eq!(zone(text), None, "{text}");
        }
    }
}
