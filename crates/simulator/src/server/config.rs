//! What a server is made of: its market, accounts with their keys, limits, and what shall go wrong.
//!
//! It must never show a secret.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::{Asset, Quantity, Timestamp};

use super::auth::KeyMaterial;
use super::pace::Pace;
use crate::faults::Scenario;
use crate::market::Market;
use crate::model::ModelSettings;

/// What the owner of a key may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPermissions {
    /// Ask for balances, orders and trades.
    pub reading: bool,
    /// Place and cancel orders.
    pub spot_trading: bool,
    /// Take money away.
    pub withdrawals: bool,
    /// Move money between accounts of one owner.
    pub internal_transfer: bool,
    /// Move money between products.
    pub universal_transfer: bool,
    /// Trade on margin.
    pub margin: bool,
    /// Trade futures.
    pub futures: bool,
}

impl Default for KeyPermissions {
    /// What a key of a spot bot has.
    fn default() -> Self {
        Self {
            reading: true,
            spot_trading: true,
            withdrawals: false,
            internal_transfer: false,
            universal_transfer: false,
            margin: false,
            futures: false,
        }
    }
}

/// A key of an account.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// What clients send.
    pub api_key: String,
    /// What their signatures are checked with.
    pub secret: KeyMaterial,
    /// What may be done with it.
    pub permissions: KeyPermissions,
    /// From where it may be used; from everywhere if empty.
    pub addresses: Vec<IpAddr>,
}

impl KeyConfig {
    /// A key of a spot bot that may be used from everywhere.
    #[must_use]
    pub fn new(api_key: impl Into<String>, secret: KeyMaterial) -> Self {
        Self { api_key: api_key.into(), secret, permissions: KeyPermissions::default(), addresses: Vec::new() }
    }
}

/// An account that the server opens.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// Its name in the model.
    pub id: String,
    /// Its keys.
    pub keys: Vec<KeyConfig>,
    /// What it has when it is opened the first time.
    pub deposits: Vec<(Asset, Quantity)>,
}

impl AccountConfig {
    /// An account without money and with one key.
    #[must_use]
    pub fn new(id: impl Into<String>, key: KeyConfig) -> Self {
        Self { id: id.into(), keys: vec![key], deposits: Vec::new() }
    }

    /// The same with what it has when it is opened the first time.
    #[must_use]
    pub fn with_deposits(self, deposits: Vec<(Asset, Quantity)>) -> Self {
        Self { deposits, ..self }
    }
}

/// How much clients may ask. The defaults are the exchange's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Request weight of an address in a minute of the exchange's time.
    pub request_weight_max: u32,
    /// Requests of an address in five minutes of the exchange's time.
    pub raw_requests_max: u32,
    /// Orders of an account in ten seconds of the exchange's time, less those that were filled.
    pub orders_10s_max: u32,
    /// Orders of an account in a day of the exchange's time, less those that were filled.
    pub orders_1d_max: u32,
    /// Requests that an address may send after a 429, in the same minute, before it is banned.
    pub limited_requests_max: u32,
    /// The first ban, in seconds of the exchange's time; each further one is twice as long.
    pub ban_seconds_min: u32,
    /// The longest ban, in seconds.
    pub ban_seconds_max: u32,
    /// Frames that a client may send on a stream connection in a second of real time, pings and pongs included.
    pub messages_1s_max: u32,
    /// Streams of a connection.
    pub streams_max: usize,
    /// WebSocket connections that an address may open in five minutes of real time.
    pub connections_max: u32,
    /// How often the server pings, in real time.
    pub ping_every: Duration,
    /// A client that does not answer a ping for so long is cut.
    pub pong_within: Duration,
    /// A connection is cut after so long.
    pub connection_life: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_weight_max: 6000,
            raw_requests_max: 300_000,
            orders_10s_max: 50,
            orders_1d_max: 160_000,
            limited_requests_max: 10,
            ban_seconds_min: 120,
            ban_seconds_max: 259_200,
            messages_1s_max: 5,
            streams_max: 1024,
            connections_max: 300,
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_secs(60),
            connection_life: Duration::from_secs(86_400),
        }
    }
}

/// What a server needs.
#[derive(Debug)]
pub struct ServerConfig {
    /// Where it listens; port 0 takes any free one. It speaks no TLS: loopback, or behind a proxy.
    pub bind: SocketAddr,
    /// What it replays.
    pub market: Market,
    /// What the market is called: a state file goes with one market.
    pub market_name: String,
    /// Fees, spread and slippage.
    pub settings: ModelSettings,
    /// How time moves.
    pub pace: Pace,
    /// The accounts.
    pub accounts: Vec<AccountConfig>,
    /// Where it keeps what must outlive it; without it everything is forgotten.
    pub state_path: Option<PathBuf>,
    /// How much clients may ask.
    pub limits: Limits,
    /// What shall go wrong; its times count from the start.
    pub scenario: Option<Scenario>,
    /// The machine's time at the start, where clients stamp their requests with the machine's clock: then a request is
    /// good if it is of now by that clock or by the market's. Without it only the market's counts.
    pub machine_time: Option<Timestamp>,
}

impl ServerConfig {
    /// On any free port of the loopback, in real time, without accounts, memory or faults, with the exchange's limits.
    #[must_use]
    pub fn new(market: Market, market_name: impl Into<String>) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            market,
            market_name: market_name.into(),
            settings: ModelSettings::default(),
            pace: Pace::Timed { speed: 1.0 },
            accounts: Vec::new(),
            state_path: None,
            limits: Limits::default(),
            scenario: None,
            machine_time: None,
        }
    }
}
