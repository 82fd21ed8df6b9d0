//! The embedded exchange simulator: the market that `vigia up` trades where no exchange is configured.
//!
//! It must never begin another market on the state of an earlier one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::{Symbol, Timestamp};
use simulator::market::{Market, PathOptions, SeededOptions};
use simulator::server::{Limits, Pace, ServerConfig, ServerHandle, peek_state, start};

use crate::config::Config;

/// When a synthetic market begins: 2026-01-01T00:00Z.
const SEEDED_START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Request weight a minute; a backfill of many symbols at once must not meet the real limit in a demo.
const WEIGHT_MAX: u32 = 60_000;

/// What a market is called; its book lives in a directory of that name.
pub(crate) fn market_name(config: &Config) -> String {
    let data = &config.simulator.data;
    if data.as_os_str().is_empty() {
        return format!("seed-{}", config.simulator.seed);
    }
    let name = data.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

fn market(config: &Config, symbols: &[Symbol], state: &Path) -> anyhow::Result<Market> {
    let path =
        PathOptions { half_spread: config.paper.half_spread, seed: config.simulator.seed, aggregate: Vec::new() };
    let data = &config.simulator.data;
    if !data.as_os_str().is_empty() {
        return Ok(Market::from_data(data, Some(symbols), path)?);
    }
    let prices = symbols.iter().map(|symbol| {
        let price = config.simulator.symbols.get(symbol).copied();
        price.map(|price| (symbol.clone(), price)).with_context(|| {
            format!("simulator.symbols has no price for {symbol}; add `{symbol} = \"100\"` to the configuration")
        })
    });
    let start = peek_state(state)?.map_or(SEEDED_START, |summary| summary.market_start);
    let options = SeededOptions::new(config.simulator.seed, prices.collect::<anyhow::Result<_>>()?, start);
    Ok(Market::seeded(SeededOptions { path, ..options }))
}

/// Starts the simulator for `symbols`, with its state in `home`.
pub(crate) fn begin(
    config: &Config,
    symbols: &[Symbol],
    home: &Path,
    pace: Pace,
    port: u16,
) -> anyhow::Result<ServerHandle> {
    let state: PathBuf = home.join("simulator.json");
    let server = ServerConfig {
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        settings: config.paper.clone(),
        pace,
        limits: Limits { request_weight_max: WEIGHT_MAX, ..Limits::default() },
        state_path: Some(state.clone()),
        ..ServerConfig::new(market(config, symbols, &state)?, market_name(config))
    };
    Ok(start(server)?)
}
