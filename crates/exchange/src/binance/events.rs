//! Frames of the WebSocket API connection: answers, and what happens to the account's orders.
//!
//! It must never drop a trade: an execution report that cannot be read is an error that the reader must act upon.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{
    Asset, ExchangeOrderId, ExchangeOrderStatus, ExecutionEvent, Fill, OrderReport, Quantity, Timestamp, TradeId,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::account_wire::Balance;
use super::transport::ErrorWire;
use super::wire::{WireError, asset, bad, client_id, price, quantity, side, symbol};

/// What a frame of the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserFrame {
    /// The answer to a request of ours.
    Answer(Answer),
    /// Events of one execution report: the trade, if there was one, before the report.
    Execution(Vec<ExecutionEvent>),
    /// The subscription ended.
    Terminated,
    /// The exchange is about to close the connection.
    Shutdown,
    /// Balances that may have changed: absolute, so that the last one counts.
    Balances(BTreeMap<Asset, Balance>, Timestamp),
    /// A deposit, a withdrawal or a transfer.
    Transfer(Transfer),
    /// What tells nothing that is not told elsewhere: lists of orders, locks of other products, kinds of the future.
    Ignored,
}

/// A deposit, a withdrawal or a transfer: money that came or went without a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What.
    pub asset: Asset,
    /// How much; below zero went.
    pub delta: Quantity,
    /// When, in exchange time.
    pub time: Timestamp,
}

/// The answer to a request on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As HTTP has it.
    pub status: u16,
    /// The exchange's code, where it refused.
    pub code: Option<i32>,
    /// The exchange's words, where it refused.
    pub words: String,
    /// Until when it wants silence, where it said so: in exchange time.
    pub retry_after: Option<Timestamp>,
    /// Request weight that it counted in the present minute, where it said so.
    pub used_weight: Option<u32>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    status: Option<u16>,
    #[serde(borrow)]
    error: Option<ErrorWire<'a>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(rename = "rateLimits", borrow)]
    rate_limits: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorEnvelope {
    error: Option<ErrorData>,
}

#[derive(Deserialize)]
struct ErrorData {
    data: Option<SilenceWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SilenceWire {
    /// An epoch in milliseconds, not a span as in HTTP.
    retry_after: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimitWire {
    rate_limit_type: SmolStr,
    interval: SmolStr,
    interval_num: u32,
    count: Option<u32>,
}

#[derive(Deserialize)]
struct PositionWire<'a> {
    u: Option<i64>,
    #[serde(rename = "E")]
    time: i64,
    #[serde(rename = "B", borrow)]
    balances: Vec<HeldWire<'a>>,
}

#[derive(Deserialize)]
struct HeldWire<'a> {
    #[serde(borrow)]
    a: Cow<'a, str>,
    f: &'a str,
    l: &'a str,
}

#[derive(Deserialize)]
struct TransferWire<'a> {
    #[serde(borrow)]
    a: Cow<'a, str>,
    d: &'a str,
    #[serde(rename = "T")]
    time: i64,
}

#[derive(Deserialize)]
struct EventName<'a> {
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ExecutionReportWire<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    c: Cow<'a, str>,
    #[serde(rename = "C", borrow)]
    original: Option<Cow<'a, str>>,
    #[serde(rename = "S", borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    x: Cow<'a, str>,
    #[serde(rename = "X", borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    r: Option<Cow<'a, str>>,
    #[serde(rename = "eR", borrow)]
    expiry_reason: Option<Cow<'a, str>>,
    i: u64,
    l: &'a str,
    #[serde(rename = "L")]
    last_price: &'a str,
    z: &'a str,
    n: Option<&'a str>,
    #[serde(rename = "N", borrow)]
    commission_asset: Option<Cow<'a, str>>,
    #[serde(rename = "T")]
    time: i64,
    t: i64,
    m: bool,
}

/// Reads one frame.
///
/// # Errors
/// What cannot be read. The account must be asked then, because a trade may have been in it.
pub fn parse_user_frame(bytes: &[u8]) -> Result<UserFrame, WireError> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|error| bad("frame", error))?;
    let Some(event) = envelope.event else {
        // A failed request may come without an id, so answers are not told apart: only one is awaited at a time.
        let Some(status) = envelope.status else { return Ok(UserFrame::Ignored) };
        return Ok(UserFrame::Answer(answer(bytes, status, envelope.error, envelope.rate_limits)));
    };
    let name: EventName<'_> = serde_json::from_str(event.get()).map_err(|error| bad("event", error))?;
    match name.e.as_deref() {
        Some("executionReport") => execution(event.get()).map(UserFrame::Execution),
        Some("outboundAccountPosition") => balances(event.get()),
        Some("balanceUpdate") => transfer(event.get()).map(UserFrame::Transfer),
        Some("eventStreamTerminated") => Ok(UserFrame::Terminated),
        Some("serverShutdown") => Ok(UserFrame::Shutdown),
        _ => Ok(UserFrame::Ignored),
    }
}

/// What is not told, or told in a form that nobody knows, is absent: an answer is never lost over it.
fn answer(bytes: &[u8], status: u16, error: Option<ErrorWire<'_>>, rate_limits: Option<&RawValue>) -> Answer {
    let silence = serde_json::from_slice::<ErrorEnvelope>(bytes).ok().and_then(|envelope| envelope.error?.data);
    let retry_after = silence.and_then(|data| data.retry_after).map(Timestamp::from_millis_or_micros);
    let limits = rate_limits.and_then(|limits| serde_json::from_str::<Vec<RateLimitWire>>(limits.get()).ok());
    let is_minute = |limit: &&RateLimitWire| {
        (limit.rate_limit_type.as_str(), limit.interval.as_str(), limit.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1)
    };
    let used_weight = limits.unwrap_or_default().iter().find(is_minute).and_then(|limit| limit.count);
    let code = error.as_ref().map(|said| said.code);
    let words = error.map_or_else(String::new, |said| super::errors::shortened(&said.msg));
    Answer { status, code, words, retry_after, used_weight }
}

fn balances(text: &str) -> Result<UserFrame, WireError> {
    let wire: PositionWire<'_> = serde_json::from_str(text).map_err(|error| bad("outboundAccountPosition", error))?;
    let mut held = BTreeMap::new();
    for row in &wire.balances {
        let balance = Balance { free: quantity("f", row.f)?, locked: quantity("l", row.l)? };
        held.insert(asset("a", &row.a)?, balance);
    }
    Ok(UserFrame::Balances(held, Timestamp::from_millis_or_micros(wire.u.unwrap_or(wire.time))))
}

fn transfer(text: &str) -> Result<Transfer, WireError> {
    let wire: TransferWire<'_> = serde_json::from_str(text).map_err(|error| bad("balanceUpdate", error))?;
    let time = Timestamp::from_millis_or_micros(wire.time);
    Ok(Transfer { asset: asset("a", &wire.a)?, delta: quantity("d", wire.d)?, time })
}

fn execution(text: &str) -> Result<Vec<ExecutionEvent>, WireError> {
    let wire: ExecutionReportWire<'_> = serde_json::from_str(text).map_err(|error| bad("executionReport", error))?;
    let report = report(&wire)?;
    let mut events = Vec::with_capacity(2);
    if wire.x == "TRADE" {
        events.push(ExecutionEvent::Fill(fill(&wire, &report)?));
    }
    events.push(ExecutionEvent::Report(report));
    Ok(events)
}

fn report(wire: &ExecutionReportWire<'_>) -> Result<OrderReport, WireError> {
    // On a cancel the usual place has the cancel's own id, and the order's id is here.
    let original = wire.original.as_deref().filter(|id| !id.is_empty());
    // Self-trade prevention has no reason of its own: its name is one.
    let prevented = (wire.x == "TRADE_PREVENTION" || wire.status == "EXPIRED_IN_MATCH").then_some("TRADE_PREVENTION");
    let reasons = [wire.r.as_deref(), wire.expiry_reason.as_deref(), prevented];
    let detail = reasons.into_iter().flatten().find(|reason| !matches!(*reason, "NONE" | ""));
    Ok(OrderReport {
        client_order_id: client_id(original.unwrap_or(&wire.c), wire.i),
        exchange_order_id: Some(ExchangeOrderId(wire.i)),
        symbol: symbol("s", &wire.s)?,
        status: ExchangeOrderStatus::from(SmolStr::new(&wire.status)),
        executed_quantity: quantity("z", wire.z)?,
        time: Timestamp::from_millis_or_micros(wire.time),
        detail: detail.map(SmolStr::new),
    })
}

fn fill(wire: &ExecutionReportWire<'_>, report: &OrderReport) -> Result<Fill, WireError> {
    let trade_id = u64::try_from(wire.t).map_err(|_| bad("t", format!("{} is no trade number", wire.t)))?;
    let (commission, commission_asset) = commission(wire)?;
    Ok(Fill {
        trade_id: TradeId(trade_id),
        client_order_id: report.client_order_id.clone(),
        exchange_order_id: ExchangeOrderId(wire.i),
        symbol: report.symbol.clone(),
        side: side("S", &wire.side)?,
        price: price("L", wire.last_price)?,
        quantity: quantity("l", wire.l)?,
        commission,
        commission_asset,
        is_maker: wire.m,
        time: report.time,
    })
}

/// The exchange names no asset where it charged nothing.
fn commission(wire: &ExecutionReportWire<'_>) -> Result<(Quantity, Asset), WireError> {
    let charged = quantity("n", wire.n.unwrap_or("0"))?;
    match wire.commission_asset.as_deref() {
        Some(name) => Ok((charged, asset("N", name)?)),
        None if charged.is_zero() => Ok((charged, asset("N", "NONE")?)),
        None => Err(bad("N", format!("a commission of {charged} without its asset"))),
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
