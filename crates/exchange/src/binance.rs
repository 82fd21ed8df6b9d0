//! Binance Spot: REST and WebSocket, market data and one account.
//!
//! It must never let the exchange's words further than this module: what leaves is made of domain types.

pub mod account;
pub mod account_wire;
mod body;
pub mod budget;
pub mod clock;
pub mod codes;
pub mod depth;
pub mod errors;
pub mod events;
pub mod frame;
pub mod info_wire;
mod keep;
pub mod keys;
pub mod link;
pub mod market;
mod parameters;
pub mod queries;
pub mod rate;
pub mod rest;
mod session;
pub mod sign;
mod socket;
pub mod stream;
mod submit;
mod transport;
pub mod user;
pub mod weights;
pub mod wire;

pub use account::BinanceAccount;
pub use account_wire::{
    AccountStatus, ApiRestrictions, Balance, Commission, CommissionRates, Delisting, OrderList, SystemStatus,
};
pub use budget::{Cost, LimitKind, Priority, RateLimit, Reserve};
pub use clock::ServerClock;
pub use depth::{DepthDiff, DepthSnapshot, Next, OrderBook};
pub use events::Transfer;
pub use frame::{Frame, FrameError, parse_market_frame};
pub use keys::KeySourceError;
pub use link::Link;
pub use market::MarketClient;
pub use queries::OrdersFrom;
pub use rate::{Moment, RateGuard};
pub use rest::{RestClient, RestConfig};
pub use sign::{Credentials, KeyError, Secret};
pub use stream::{MarketStream, StreamConfig, StreamEvent, StreamHandle};
pub use user::{UserStream, UserStreamConfig, UserStreamEvent, UserStreamHandle};

/// Where one environment of the exchange is reached. No address ends with a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// REST, without `/api/v3`.
    pub rest: String,
    /// Market streams, without `/stream`.
    pub stream: String,
    /// The WebSocket API, whole.
    pub ws_api: String,
}

impl Endpoints {
    /// The real exchange.
    #[must_use]
    pub fn production() -> Self {
        Self {
            rest: "https://api.binance.com".into(),
            stream: "wss://stream.binance.com:9443".into(),
            ws_api: "wss://ws-api.binance.com:443/ws-api/v3".into(),
        }
    }

    /// The exchange's test network, which is reset about monthly.
    #[must_use]
    pub fn testnet() -> Self {
        Self {
            rest: "https://testnet.binance.vision".into(),
            stream: "wss://stream.testnet.binance.vision".into(),
            ws_api: "wss://ws-api.testnet.binance.vision/ws-api/v3".into(),
        }
    }

    /// A server that has all of it under one plain address, such as the simulator: `127.0.0.1:8080`.
    #[must_use]
    pub fn at(authority: &str) -> Self {
        Self {
            rest: format!("http://{authority}"),
            stream: format!("ws://{authority}"),
            ws_api: format!("ws://{authority}/ws-api/v3"),
        }
    }
}

/// Makes `ring` the process's TLS cryptography. Every client here calls it, because awc panics without; calling it again,
/// or after somebody else chose one, changes nothing.
pub fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only where another thread was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

#[cfg(test)]
#[path = "binance/fuzz_tests.rs"]
mod fuzz_tests;
