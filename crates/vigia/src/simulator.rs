//! `vigia simulator`: the exchange simulator alone, for any client that speaks the exchange's protocol.
//!
//! It must never show a secret that it was given, and never be reachable from another machine unless that is asked for.
//!
//! Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 could not start, 2 wrong call or configuration.

mod accounts;

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::Context;
use domain::{Price, Symbol, Timestamp};
use runtime::clock::machine_time;
use simulator::Scenario;
use simulator::market::{Market, PathOptions, SeededOptions};
use simulator::server::{AccountConfig, Limits, Pace, ServerConfig, ServerHandle, peek_state, start};

use self::accounts::{AccountOption, KeyOption, TestKey};
use crate::config::{self, Config};
use crate::logging;

/// How often the time is told on a terminal, and elsewhere.
const SCREEN_EVERY: Duration = Duration::from_secs(1);
const LINE_EVERY: Duration = Duration::from_secs(60);
/// How often the process looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Options of `vigia simulator`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 could not start, 2 wrong call or configuration.\n\
                        See docs/simulator.md for how ccxt, the official SDK and curl are pointed at it."
)]
pub(crate) struct Options {
    /// Directory with recorded candles or trades (SYMBOL-INTERVAL.csv.zst). Without it: a made-up market.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["seed", "symbol", "start"])]
    data: Option<PathBuf>,
    /// Seed of the made-up market [default: that of the configuration].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A symbol of the made-up market and its price at the start; may be repeated [default: those of the configuration].
    #[arg(long, value_name = "SYMBOL=PRICE")]
    symbol: Vec<SymbolOption>,
    /// When the made-up market starts: `now`, or a moment like 2026-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = start_time)]
    start: StartTime,
    /// How many times faster than real time it runs, or `stepped` to move only by POST /admin/step.
    #[arg(long, value_name = "N|stepped", default_value = "1", value_parser = pace)]
    speed: Pace,
    /// Port; 0 takes any free one.
    #[arg(long, value_name = "N", default_value_t = 9080)]
    port: u16,
    /// Address to listen on. Whoever reaches it can trade on its accounts.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Directory that keeps accounts, orders and time over restarts. Without it everything is forgotten.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// An account with what it has at first; may be repeated [default: test:USDT=100000,BTC=1].
    #[arg(long, value_name = "NAME:ASSET=AMOUNT,...")]
    account: Vec<AccountOption>,
    /// A key of an account, instead of the test key that is made for it; may be repeated. hmac: the secret; ed25519 and
    /// rsa: a file with the public key.
    #[arg(long, value_name = "NAME:KIND=APIKEY:SECRET|FILE")]
    // Texts, because clap repeats a wrong value in its message, and this one may hold a secret.
    key: Vec<String>,
    /// A limit other than the exchange's; may be repeated. request-weight (a minute), raw-requests (5 minutes), orders-10s,
    /// orders-1d: all in the market's time; messages-1s: frames of a client on a stream.
    #[arg(long, value_name = "NAME=N")]
    limit: Vec<LimitOption>,
    /// What shall go wrong, and when: a scenario file (TOML).
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

/// Puts a value where a limit is.
type PutLimit = fn(&mut Limits, u32);

/// A limit and its value.
#[derive(Debug, Clone, Copy)]
struct LimitOption {
    put: PutLimit,
    value: u32,
}

impl FromStr for LimitOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: [(&str, PutLimit); 5] = [
            ("request-weight", |limits, value| limits.request_weight_max = value),
            ("raw-requests", |limits, value| limits.raw_requests_max = value),
            ("orders-10s", |limits, value| limits.orders_10s_max = value),
            ("orders-1d", |limits, value| limits.orders_1d_max = value),
            ("messages-1s", |limits, value| limits.messages_1s_max = value),
        ];
        let remedy = || {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is no limit; write NAME=N with one of {}", known.join(", "))
        };
        let (name, value) = text.split_once('=').ok_or_else(remedy)?;
        let put = names.iter().find(|(known, _)| *known == name).map(|(_, put)| *put).ok_or_else(remedy)?;
        Ok(Self { put, value: value.parse().map_err(|_| remedy())? })
    }
}

/// The call is wrong in a way that clap did not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadCall(String);

/// When a made-up market starts.
#[derive(Debug, Clone, Copy)]
enum StartTime {
    Now,
    At(Timestamp),
}

/// A symbol and its first price.
#[derive(Debug, Clone)]
struct SymbolOption {
    symbol: Symbol,
    price: Price,
}

impl FromStr for SymbolOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let remedy = || format!("{text:?} is no symbol with a price; write BTCUSDT=50000");
        let (symbol, price) = text.split_once('=').ok_or_else(remedy)?;
        let price: Price = price.parse().map_err(|_| remedy())?;
        Ok(Self { symbol: Symbol::new(symbol).map_err(|_| remedy())?, price })
    }
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let config = config::load(file)?.config;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stopping.clone()).context("signals cannot be watched")?;
    }
    logging::start_console();
    let keys = options.key.iter().map(|text| text.parse::<KeyOption>());
    let keys: Vec<KeyOption> = keys.collect::<Result<_, _>>().map_err(|error| BadCall(format!("--key: {error}")))?;
    let (accounts, test_keys) = accounts::resolve(&options.account, &keys)?;
    let state = options.state.as_deref().map(begin_state).transpose()?;
    let mut limits = Limits::default();
    options.limit.iter().for_each(|limit| (limit.put)(&mut limits, limit.value));
    let market = market(&config, options, state.as_deref())?;
    let server = ServerConfig {
        bind: SocketAddr::from((options.listen, options.port)),
        settings: config.paper.clone(),
        pace: options.speed,
        accounts: accounts.clone(),
        state_path: state,
        limits,
        scenario: options.scenario.as_deref().map(Scenario::load).transpose()?,
        machine_time: Some(machine_time()),
        ..ServerConfig::new(market, market_name(&config, options))
    };
    let handle = start(server)?;
    introduce(&handle, options, &accounts, &test_keys);
    tell_time(&handle, &shown(options.speed), &stopping);
    handle.stop();
    println!("stopped");
    std::io::stdout().flush().ok();
    Ok(ExitCode::SUCCESS)
}

/// The state's file in `directory`, which is made where it is not there.
fn begin_state(directory: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("{} cannot be made; give another --state", directory.display()))?;
    Ok(directory.join("simulator.json"))
}

fn pace(speed: &str) -> Result<Pace, String> {
    match (speed, speed.parse::<f64>()) {
        ("stepped", _) => Ok(Pace::Stepped),
        (_, Ok(speed)) if (0.1..=100_000.0).contains(&speed) => Ok(Pace::Timed { speed }),
        (_, Ok(_) | Err(_)) => Err("0.1 to 100000, or stepped".to_owned()),
    }
}

fn start_time(text: &str) -> Result<StartTime, String> {
    match (text, Timestamp::from_rfc3339(text)) {
        ("now", _) => Ok(StartTime::Now),
        (_, Some(moment)) => Ok(StartTime::At(moment)),
        (_, None) => Err("now, or a moment like 2026-01-01T00:00:00Z".to_owned()),
    }
}

fn shown(pace: Pace) -> String {
    match pace {
        Pace::Timed { speed } => format!("{speed} x"),
        Pace::Stepped => "steps".to_owned(),
    }
}

fn market_name(config: &Config, options: &Options) -> String {
    match &options.data {
        Some(data) => data.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned()),
        None => format!("seed-{}", options.seed.unwrap_or(config.simulator.seed)),
    }
}

/// What is served: recorded data, or a made-up market that starts where its state says it started.
fn market(config: &Config, options: &Options, state: Option<&Path>) -> anyhow::Result<Market> {
    let seed = options.seed.unwrap_or(config.simulator.seed);
    let path = PathOptions { half_spread: config.paper.half_spread, seed, aggregate: Vec::new() };
    if let Some(data) = &options.data {
        return Ok(Market::from_data(data, None, path)?);
    }
    let asked = match options.start {
        StartTime::Now => machine_time(),
        StartTime::At(moment) => moment,
    };
    let start = match state {
        Some(state) => peek_state(state)?.map_or(asked, |summary| summary.market_start),
        None => asked,
    };
    let given = options.symbol.iter().map(|option| (option.symbol.clone(), option.price));
    let mut symbols: Vec<(Symbol, Price)> = given.collect();
    if symbols.is_empty() {
        symbols = config.simulator.symbols.iter().map(|(symbol, price)| (symbol.clone(), *price)).collect();
    }
    Ok(Market::seeded(SeededOptions { path, ..SeededOptions::new(seed, symbols, start) }))
}

/// Says where it listens and with which keys.
fn introduce(handle: &ServerHandle, options: &Options, accounts: &[AccountConfig], test_keys: &[TestKey]) {
    let address = handle.address();
    println!("exchange simulator, vigia {}", env!("CARGO_PKG_VERSION"));
    println!("  REST            http://{address}/api/v3");
    println!("  market streams  ws://{address}/ws and ws://{address}/stream");
    println!("  WebSocket API   ws://{address}/ws-api/v3");
    println!("  administration  http://{address}/admin/state");
    println!("  time            {} at {}", handle.time(), shown(options.speed));
    for account in accounts {
        let has: Vec<String> = account.deposits.iter().map(|(asset, amount)| format!("{amount} {asset}")).collect();
        let has = if has.is_empty() { String::new() } else { format!(", begun with {}", has.join(", ")) };
        println!("  account {}{has}", account.id);
        for key in &account.keys {
            println!("    api key  {}", key.api_key);
            if let Some(made) = test_keys.iter().find(|made| made.api_key == key.api_key) {
                println!("    secret   {}  (SIMULATOR TEST KEY: worth nothing on any exchange)", made.secret);
            }
        }
    }
    if !options.listen.is_loopback() {
        println!("  it listens on {}: whoever reaches it can trade on these accounts", options.listen);
    }
    println!("Ctrl-C stops it.");
    std::io::stdout().flush().ok();
}

/// Tells the time until it is to stop: one line that stays on a terminal, a line a minute elsewhere.
fn tell_time(handle: &ServerHandle, speed: &str, stopping: &AtomicBool) {
    let on_screen = std::io::stdout().is_terminal();
    let every = if on_screen { SCREEN_EVERY } else { LINE_EVERY };
    let mut waited = Duration::ZERO;
    while !stopping.load(SeqCst) {
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
        if waited >= every {
            waited = Duration::ZERO;
            let line = format!("{} at {speed}", handle.time());
            if on_screen {
                print!("\r{line} ");
            } else {
                println!("{line}");
            }
            std::io::stdout().flush().ok();
        }
    }
    if on_screen {
        println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_checked() {
        assert_eq!(pace("stepped").unwrap(), Pace::Stepped);
        assert_eq!(pace("60").unwrap(), Pace::Timed { speed: 60.0 });
        for bad in ["0", "-1", "nan", "inf", "fast", "100001"] {
            assert!(pace(bad).unwrap_err().contains("0.1 to 100000, or stepped"), "{bad}");
        }
    }

    #[test]
    fn limits_have_names() {
        let mut limits = Limits::default();
        let option: LimitOption = "orders-10s=3".parse().unwrap();
        (option.put)(&mut limits, option.value);
        assert_eq!(limits, Limits { orders_10s_max: 3, ..Limits::default() });
        for bad in ["orders-10s", "orders-10s=-1", "weight=5"] {
            assert!(bad.parse::<LimitOption>().unwrap_err().contains("one of request-weight"), "{bad}");
        }
    }

    #[test]
    fn symbols_have_prices() {
        let option: SymbolOption = "BTCUSDT=50000".parse().unwrap();
        assert_eq!((option.symbol.as_str(), option.price.to_string().as_str()), ("BTCUSDT", "50000"));
        for bad in ["BTCUSDT", "=5", "BTCUSDT=", "BTCUSDT=-1", "BTCUSDT=x"] {
            assert!(bad.parse::<SymbolOption>().is_err(), "{bad}");
        }
    }
}
