//! Reads one fault from TOML or JSON.
//!
//! It must never guess: an unknown key, a missing one or a value out of its range is an error that names the key and what is
//! allowed.

use std::collections::BTreeSet;
use std::str::FromStr;

use domain::{Side, SymbolStatus};
use serde_json::{Map, Value};

use super::kind::{Fault, FaultKind, Latency, Protocol, Target, Timing, WorldFault};

/// A kind, the keys it needs and the keys it may have besides those that all have.
pub type KindWords = (&'static str, &'static [&'static str], &'static [&'static str]);

/// Keys that every fault may have.
const COMMON: &[&str] = &["kind", "name", "probability", "seed", "at_ms", "for_ms", "every_ms", "count"];

/// Keys of faults that are aimed at requests, frames or connections.
const TARGETS: &[&str] = &["protocol", "endpoint", "method", "symbol", "stream", "account", "connection"];

/// The first of the kinds that are aimed at nothing: they concern the whole exchange.
const FIRST_UNTARGETED: &str = "clock_skew";

const DELAY: &[&str] = &["distribution", "ms", "ms_min", "ms_max", "ms_median", "sigma"];

/// All kinds, as files and the administrator write them.
pub const KINDS: &[KindWords] = &[
    ("latency", &["distribution"], DELAY),
    ("error_before", &[], &["status"]),
    ("error_after", &[], &["status"]),
    ("unknown_after", &[], &["status"]),
    ("silent_after", &[], &[]),
    ("reset_before", &[], &[]),
    ("reset_after", &[], &[]),
    ("limited", &["retry_after_s"], &["status"]),
    ("forbidden", &[], &[]),
    ("gone", &[], &[]),
    ("order_not_found", &["within_ms"], &[]),
    ("streams_stalled", &[], &[]),
    ("streams_cut", &[], &[]),
    ("half_open", &[], &[]),
    ("events_lost", &[], &[]),
    ("events_duplicated", &[], &[]),
    ("events_reordered", &[], &[]),
    ("events_delayed", &["distribution"], DELAY),
    ("depth_gap", &[], &[]),
    ("clock_skew", &["offset_ms"], &[]),
    ("maintenance", &[], &[]),
    ("symbol_status", &["symbol", "status"], &[]),
    ("delisting", &["symbol", "notice_ms"], &[]),
    ("filter_change", &["symbol"], &["tick_size", "step_size", "notional_min"]),
    ("price_crash", &["symbol", "share"], &[]),
    ("orders_lost", &[], &[]),
    ("manual_trade", &["account", "symbol", "side", "quantity"], &[]),
    ("transfer", &["account", "asset", "amount"], &[]),
    ("key_revoked", &["api_key"], &[]),
    ("server_shutdown", &[], &["cut_after_ms"]),
    ("slow_fills", &["share"], &[]),
];

/// Reads a fault; `number` is its place, for the errors.
///
/// # Errors
/// A text that names the key and what is allowed.
pub fn fault_from_json(value: &Value, number: usize) -> Result<Fault, String> {
    let map = value.as_object().ok_or_else(|| format!("fault {number} must be a table"))?;
    let name = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    read(&Reader(map), name.clone()).map_err(|message| {
        if name.is_empty() {
            format!("fault {number}: {message}")
        } else {
            format!("fault {number} ({name}): {message}")
        }
    })
}

fn read(keys: &Reader<'_>, name: String) -> Result<Fault, String> {
    let all = || KINDS.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>().join(", ");
    let kind = keys.text("kind").map_err(|_| format!("`kind` is missing; allowed are {}", all()))?;
    let words = KINDS.iter().find(|(known, ..)| *known == kind);
    let (_, needed, optional) = words.ok_or_else(|| format!("`kind` is {kind:?}; allowed are {}", all()))?;
    let place = |name: &str| KINDS.iter().position(|(known, ..)| *known == name);
    let targets = if place(&kind) < place(FIRST_UNTARGETED) { TARGETS } else { &[] };
    let allowed: BTreeSet<&str> = [COMMON, targets, needed, optional].into_iter().flatten().copied().collect();
    if let Some(key) = keys.0.keys().find(|key| !allowed.contains(key.as_str())) {
        let list = allowed.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!("`{key}` does not go with kind {kind:?}; allowed are {list}"));
    }
    if let Some(key) = needed.iter().find(|key| !keys.0.contains_key(**key)) {
        return Err(format!("`{key}` is missing; kind {kind:?} needs {}", needed.join(", ")));
    }
    let probability = keys.number("probability")?.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&probability) {
        return Err(format!("`probability` is {probability}; allowed is 0 to 1"));
    }
    let fault = Fault {
        name: if name.is_empty() { kind.clone() } else { name },
        kind: kind_of(&kind, keys)?,
        target: target(keys)?,
        timing: Timing {
            at_ms: keys.whole("at_ms")?.unwrap_or(0),
            for_ms: keys.whole("for_ms")?,
            every_ms: keys.whole("every_ms")?.map(|every| every.max(1)),
            count: keys.whole("count")?.map(i64::unsigned_abs),
        },
        probability,
        seed: keys.whole("seed")?.map(i64::unsigned_abs),
    };
    match (fault.timing.every_ms, fault.ends_after_ms()) {
        (Some(every), Some(ends)) if ends > every => {
            Err(format!("`every_ms` is {every}; it must be at least as long as the fault lasts ({ends})"))
        }
        _ => Ok(fault),
    }
}

fn kind_of(kind: &str, keys: &Reader<'_>) -> Result<FaultKind, String> {
    Ok(match kind {
        "latency" => FaultKind::Latency(latency(keys)?),
        "error_before" => FaultKind::ErrorBefore { status: keys.status("status", 500, 500..=599)? },
        "error_after" => FaultKind::ErrorAfter { status: keys.status("status", 500, 500..=599)? },
        "unknown_after" => FaultKind::UnknownAfter { status: keys.status("status", 400, 400..=599)? },
        "silent_after" => FaultKind::SilentAfter,
        "reset_before" => FaultKind::ResetBefore,
        "reset_after" => FaultKind::ResetAfter,
        "limited" => {
            let status = keys.status("status", 429, 400..=499)?;
            if status != 429 && status != 418 {
                return Err(format!("`status` is {status}; allowed are 429 and 418"));
            }
            FaultKind::Limited { status, retry_after_seconds: keys.unsigned("retry_after_s")? }
        }
        "forbidden" => FaultKind::Forbidden,
        "gone" => FaultKind::Gone,
        "order_not_found" => FaultKind::OrderNotFound { within_ms: keys.duration("within_ms")? },
        "streams_stalled" => FaultKind::StreamsStalled,
        "streams_cut" => FaultKind::StreamsCut,
        "half_open" => FaultKind::HalfOpen,
        "events_lost" => FaultKind::EventsLost,
        "events_duplicated" => FaultKind::EventsDuplicated,
        "events_reordered" => FaultKind::EventsReordered,
        "events_delayed" => FaultKind::EventsDelayed(latency(keys)?),
        "depth_gap" => FaultKind::DepthGap,
        "clock_skew" => FaultKind::ClockSkew { offset_ms: keys.signed("offset_ms")?.unwrap_or_default() },
        "maintenance" => FaultKind::Maintenance,
        _ => FaultKind::World(world(kind, keys)?),
    })
}

fn world(kind: &str, keys: &Reader<'_>) -> Result<WorldFault, String> {
    let symbol = || keys.parsed("symbol", "a symbol, for example \"BTCUSDT\"");
    Ok(match kind {
        "symbol_status" => {
            let words = ["TRADING", "HALT", "BREAK", "CANCEL_ONLY"];
            let status = keys.one_of("status", &words)?;
            WorldFault::SymbolStatus { symbol: symbol()?, status: SymbolStatus::from(smol_str::SmolStr::new(status)) }
        }
        "delisting" => WorldFault::Delisting { symbol: symbol()?, notice_ms: keys.duration("notice_ms")? },
        "filter_change" => WorldFault::FilterChange {
            symbol: symbol()?,
            tick_size: keys.parsed_if_any("tick_size", "a number above zero")?,
            step_size: keys.parsed_if_any("step_size", "a number above zero")?,
            notional_min: keys.parsed_if_any("notional_min", "a number")?,
        },
        "price_crash" => WorldFault::PriceCrash {
            symbol: symbol()?,
            share: keys.parsed("share", "a number: -0.3 is a fall by 30 %")?,
        },
        "orders_lost" => WorldFault::OrdersLost,
        "manual_trade" => WorldFault::ManualTrade {
            account: keys.text("account")?,
            symbol: symbol()?,
            side: if keys.one_of("side", &["BUY", "SELL"])? == "BUY" { Side::Buy } else { Side::Sell },
            quantity: keys.parsed("quantity", "a number above zero")?,
        },
        "transfer" => WorldFault::Transfer {
            account: keys.text("account")?,
            asset: keys.parsed("asset", "an asset, for example \"USDT\"")?,
            amount: keys.parsed("amount", "a number; below zero it is taken away")?,
        },
        "key_revoked" => WorldFault::KeyRevoked { api_key: keys.text("api_key")? },
        "server_shutdown" => WorldFault::ServerShutdown { cut_after_ms: keys.whole("cut_after_ms")? },
        "slow_fills" => WorldFault::SlowFills { share: keys.parsed("share", "a number above 0, at most 1")? },
        _ => return Err(format!("kind {kind:?} is not carried out")),
    })
}

fn latency(keys: &Reader<'_>) -> Result<Latency, String> {
    let (name, own): (_, &[&str]) = match keys.one_of("distribution", &["constant", "uniform", "lognormal"])?.as_str() {
        "constant" => (Latency::Constant { ms: keys.unsigned("ms")? }, &["ms"]),
        "uniform" => {
            let (ms_min, ms_max) = (keys.unsigned("ms_min")?, keys.unsigned("ms_max")?);
            if ms_min > ms_max {
                return Err(format!("`ms_min` is {ms_min}; allowed is at most `ms_max`, {ms_max}"));
            }
            (Latency::Uniform { ms_min, ms_max }, &["ms_min", "ms_max"])
        }
        _ => {
            let sigma = keys.number("sigma")?.unwrap_or(0.5);
            if !(0.0..=5.0).contains(&sigma) {
                return Err(format!("`sigma` is {sigma}; allowed is 0 to 5"));
            }
            let (ms_median, ms_max) = (keys.unsigned("ms_median")?, keys.unsigned("ms_max")?);
            (Latency::Lognormal { ms_median, sigma, ms_max }, &["ms_median", "sigma", "ms_max"])
        }
    };
    match DELAY[1..].iter().find(|key| keys.0.contains_key(**key) && !own.contains(key)) {
        Some(key) => Err(format!("`{key}` does not go with this distribution; it has {}", own.join(", "))),
        None => Ok(name),
    }
}

fn target(keys: &Reader<'_>) -> Result<Target, String> {
    let protocol = match keys.text_if_any("protocol")?.as_deref() {
        None => None,
        Some("rest") => Some(Protocol::Rest),
        Some("ws_api") => Some(Protocol::WsApi),
        Some("stream") => Some(Protocol::Stream),
        Some(other) => return Err(format!("`protocol` is {other:?}; allowed are rest, ws_api, stream")),
    };
    let method = match keys.0.contains_key("method") {
        true => Some(keys.one_of("method", &["GET", "POST", "PUT", "DELETE"])?),
        false => None,
    };
    Ok(Target {
        protocol,
        endpoint: keys.text_if_any("endpoint")?,
        method,
        symbol: keys.parsed_if_any("symbol", "a symbol, for example \"BTCUSDT\"")?,
        stream: keys.text_if_any("stream")?,
        account: keys.text_if_any("account")?,
        connection: keys.whole("connection")?.map(i64::unsigned_abs),
    })
}

/// The keys of one fault.
struct Reader<'a>(&'a Map<String, Value>);

impl Reader<'_> {
    fn text_if_any(&self, key: &str) -> Result<Option<String>, String> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(other) => Err(format!("`{key}` is {other}; it must be a text")),
        }
    }

    fn text(&self, key: &str) -> Result<String, String> {
        self.text_if_any(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    fn one_of(&self, key: &str, words: &[&str]) -> Result<String, String> {
        let allowed = || format!("allowed are {}", words.join(", "));
        let text = self.text(key).map_err(|error| format!("{error}; {}", allowed()))?;
        if words.contains(&text.as_str()) { Ok(text) } else { Err(format!("`{key}` is {text:?}; {}", allowed())) }
    }

    fn signed(&self, key: &str) -> Result<Option<i64>, String> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| format!("`{key}` is {value}; it must be a whole number"))
    }

    /// A whole number that is not below zero.
    fn whole(&self, key: &str) -> Result<Option<i64>, String> {
        match self.signed(key)? {
            Some(number) if number < 0 => Err(format!("`{key}` is {number}; it must not be below zero")),
            other => Ok(other),
        }
    }

    fn duration(&self, key: &str) -> Result<i64, String> {
        self.whole(key)?.ok_or_else(|| format!("`{key}` is missing"))
    }

    fn unsigned(&self, key: &str) -> Result<u64, String> {
        self.duration(key).map(i64::unsigned_abs)
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| format!("`{key}` is {value}; it must be a number"))
    }

    fn status(&self, key: &str, default: u16, range: std::ops::RangeInclusive<u16>) -> Result<u16, String> {
        let Some(number) = self.signed(key)? else { return Ok(default) };
        let status = u16::try_from(number).ok().filter(|status| range.contains(status));
        status.ok_or_else(|| format!("`{key}` is {number}; allowed is {} to {}", range.start(), range.end()))
    }

    fn parsed_if_any<T: FromStr>(&self, key: &str, allowed: &str) -> Result<Option<T>, String> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.parse().map(Some).map_err(|_| format!("`{key}` is {value}; it must be {allowed}"))
    }

    fn parsed<T: FromStr>(&self, key: &str, allowed: &str) -> Result<T, String> {
        self.parsed_if_any(key, allowed)?.ok_or_else(|| format!("`{key}` is missing; it must be {allowed}"))
    }
}
