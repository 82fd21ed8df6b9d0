//! The public part of REST: time, instruments, candles.
//!
//! It needs no keys, and must never hand out a candle that is not finished.

use std::collections::BTreeSet;

use domain::{Candle, Instrument, Interval, Millis, Symbol, Timestamp};
use smol_str::SmolStr;

use super::account_wire::SystemStatus;
use super::codes::INVALID_SYMBOL;
use super::depth::{DepthSnapshot, parse_depth_snapshot};
use super::info_wire::ExchangeInfoWire;
use super::rest::RestClient;
use super::sign::Query;
use super::transport::{bad_answer, decode};
use super::wire::{CandleRow, TimeWire};
use crate::RequestError;

/// The most candles of one answer.
pub const CANDLES_MAX: u16 = 1000;

/// The exchange's public interface, on the arbiter that made it.
#[derive(Clone)]
pub struct MarketClient {
    rest: RestClient,
    permissions: Vec<SmolStr>,
}

impl MarketClient {
    /// Through `rest`, whose clock tells which candles are finished.
    #[must_use]
    pub fn new(rest: RestClient) -> Self {
        Self { rest, permissions: vec![SmolStr::new_static("SPOT")] }
    }

    /// For an account with `permissions` (`GET /api/v3/account`), where it has others than SPOT alone: they decide which
    /// symbols are tradable.
    #[must_use]
    pub fn with_permissions(self, permissions: Vec<SmolStr>) -> Self {
        Self { permissions, ..self }
    }

    /// What the requests go through.
    #[must_use]
    pub const fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Whether the exchange answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), RequestError> {
        self.rest.get("/api/v3/ping", &Query::new()).await.map(drop)
    }

    /// The exchange's clock.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn server_time(&self) -> Result<Timestamp, RequestError> {
        let path = "/api/v3/time";
        let answer = self.rest.get(path, &Query::new()).await?;
        let wire: TimeWire = decode(&label(path), &answer)?;
        Ok(Timestamp::from_millis_or_micros(wire.server_time))
    }

    /// The order book of `symbol`, the best `levels` (at most 5000) of each side.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn depth(&self, symbol: &Symbol, levels: u16) -> Result<DepthSnapshot, RequestError> {
        let path = "/api/v3/depth";
        let answer = self.rest.get(path, &Query::new().with("symbol", symbol).with("limit", levels)).await?;
        parse_depth_snapshot(&answer).map_err(|error| bad_answer(&label(path), &error))
    }

    /// Whether the exchange is under maintenance. Not on the test network.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn system_status(&self) -> Result<SystemStatus, RequestError> {
        let path = "/sapi/v1/system/status";
        decode(&label(path), &self.rest.get(path, &Query::new()).await?)
    }

    /// The rules of `symbols`. One that the exchange does not have is left out. The limits that the exchange tells with
    /// them are in force from then on.
    ///
    /// # Errors
    /// Why they are not known, or which field makes no sense.
    pub async fn instruments(&self, symbols: &[Symbol]) -> Result<Vec<Instrument>, RequestError> {
        let path = "/api/v3/exchangeInfo";
        let wanted: BTreeSet<&str> = symbols.iter().map(Symbol::as_str).collect();
        let list = serde_json::to_string(&wanted).map_err(|error| bad_answer(&label(path), &error))?;
        let answer = match self.rest.get(path, &Query::new().with("symbols", list)).await {
            // One unknown symbol fails the whole call, so all are asked for.
            Err(error) if error.code == Some(INVALID_SYMBOL) => self.rest.get(path, &Query::new()).await,
            other => other,
        }?;
        let wire: ExchangeInfoWire = decode(&label(path), &answer)?;
        self.rest.guard().set_limits(&wire.limits());
        let asked = wire.symbols.iter().filter(|symbol| wanted.contains(symbol.symbol.as_str()));
        asked
            .map(|symbol| {
                symbol
                    .instrument(&self.permissions)
                    .map_err(|error| bad_answer(&label(path), &format_args!("symbol {}: {error}", symbol.symbol)))
            })
            .collect()
    }

    /// Finished candles that begin in `from..to`, oldest first: the first `limit` of them, at most [`CANDLES_MAX`]. One
    /// that cannot be true is left out, which makes a gap that is noticed.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn candles(
        &self,
        symbol: &Symbol,
        interval: Interval,
        from: Timestamp,
        to: Timestamp,
        limit: u16,
    ) -> Result<Vec<Candle>, RequestError> {
        let path = "/api/v3/klines";
        let query = Query::new()
            .with("symbol", symbol)
            .with("interval", interval)
            .with("startTime", from.as_millis())
            .with("endTime", (to - Millis::new(1)).as_millis())
            .with("limit", limit.clamp(1, CANDLES_MAX));
        let answer = self.rest.get(path, &query).await?;
        let rows: Vec<CandleRow> = decode(&label(path), &answer)?;
        let now = self.rest.clock().now();
        let candle = |row: &CandleRow| match row.candle(symbol, interval) {
            Ok(candle) => Some(candle),
            Err(error) => {
                tracing::warn!(%symbol, %interval, %error, "a candle of the history is left out");
                None
            }
        };
        let within = |candle: &Candle| (from..to).contains(&candle.open_time) && candle.close_time() <= now;
        Ok(rows.iter().filter_map(candle).filter(within).collect())
    }
}

fn label(path: &str) -> String {
    format!("GET {path}")
}
