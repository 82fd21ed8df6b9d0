//! Frames of the WebSocket API connection: answers, and what happens to the account's orders.
//!
//! It must never drop a trade: an execution report that cannot be read is an error that the reader must act upon.

use std::borrow::Cow;

use domain::{
    Asset, ExchangeOrderId, ExchangeOrderStatus, ExecutionEvent, Fill, OrderReport, Quantity, Timestamp, TradeId,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

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
    /// Balances and other things that are asked for instead.
    Ignored,
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
}

#[derive(Deserialize)]
struct Envelope<'a> {
    status: Option<u16>,
    #[serde(borrow)]
    error: Option<ErrorWire<'a>>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
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
        let (code, words) =
            envelope.error.map_or((None, String::new()), |said| (Some(said.code), super::errors::shortened(&said.msg)));
        return Ok(UserFrame::Answer(Answer { status, code, words }));
    };
    let name: EventName<'_> = serde_json::from_str(event.get()).map_err(|error| bad("event", error))?;
    match name.e.as_deref() {
        Some("executionReport") => execution(event.get()).map(UserFrame::Execution),
        Some("eventStreamTerminated") => Ok(UserFrame::Terminated),
        Some("serverShutdown") => Ok(UserFrame::Shutdown),
        _ => Ok(UserFrame::Ignored),
    }
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
    let reasons = [wire.r.as_deref(), wire.expiry_reason.as_deref()];
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
