//! Frames of the market streams: bytes in, one market event out.
//!
//! A hot path: nothing is copied before it is in its domain type. It must never panic, and never let through what cannot
//! be true.

use std::borrow::Cow;

use domain::{Candle, Interval, MarketEvent, MarketInputError, Price, Quantity, Quote, Symbol, Timestamp, Trade};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::depth::{DepthDiff, parse_depth_diff};
use super::errors::shortened;

/// What a frame is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Something happened on a market.
    Market(MarketEvent),
    /// What changed in an order book.
    Depth(Box<DepthDiff>),
    /// A candle that is not finished: it tells only that candles come.
    RunningCandle,
    /// A market frame with nothing to tell: a kind that is not used here.
    Ignored,
    /// The answer to a command; no market frame.
    Control,
    /// The exchange is about to close the connection; no market frame.
    Shutdown,
}

/// Why a frame tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FrameError {
    /// Why it cannot be true; `None` if it could not be read at all.
    pub kind: Option<MarketInputError>,
    /// What is wrong, with the values.
    pub detail: String,
}

fn untrue(kind: MarketInputError, detail: impl std::fmt::Display) -> FrameError {
    FrameError { kind: Some(kind), detail: shortened(&detail.to_string()) }
}

fn unreadable(error: &serde_json::Error) -> FrameError {
    FrameError { kind: None, detail: shortened(&error.to_string()) }
}

/// Both forms of a frame: the combined one has `stream` and `data`, the raw one is the data itself.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    u: Option<u64>,
}

enum Kind {
    AggTrade,
    BookTicker,
    Candle,
    Depth,
    Shutdown,
    Control,
    Other,
}

impl Kind {
    fn of_stream(name: &str) -> Self {
        match name.split_once('@').map(|(_, kind)| kind) {
            Some("aggTrade") => Self::AggTrade,
            Some("bookTicker") => Self::BookTicker,
            Some(kind) if kind.starts_with("kline_") => Self::Candle,
            Some(kind) if kind == "depth" || kind.starts_with("depth@") => Self::Depth,
            None if name == "!serverShutdown" => Self::Shutdown,
            _ => Self::Other,
        }
    }

    fn of_event(event: Option<&str>, has_update_id: bool) -> Self {
        match event {
            Some("aggTrade") => Self::AggTrade,
            Some("kline") => Self::Candle,
            Some("depthUpdate") => Self::Depth,
            Some("serverShutdown") => Self::Shutdown,
            Some(_) => Self::Other,
            // The best bid and ask are the only event without a name.
            None if has_update_id => Self::BookTicker,
            None => Self::Control,
        }
    }
}

/// Reads one frame, combined or raw. `now` stamps what comes without a time.
///
/// # Errors
/// Why the frame cannot be read, or cannot be true.
pub fn parse_market_frame(bytes: &[u8], now: Timestamp) -> Result<Frame, FrameError> {
    parse_numbered(bytes, now).map(|(frame, _)| frame)
}

/// The same, with the number of the book's update that a quote belongs to.
pub(crate) fn parse_numbered(bytes: &[u8], now: Timestamp) -> Result<(Frame, Option<u64>), FrameError> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let (kind, data) = match (&envelope.stream, envelope.data) {
        (Some(stream), Some(data)) => (Kind::of_stream(stream), data.get().as_bytes()),
        _ => (Kind::of_event(envelope.e.as_deref(), envelope.u.is_some()), bytes),
    };
    if let Kind::BookTicker = kind {
        let (quote, update_id) = book_ticker(data, now)?;
        return Ok((Frame::Market(MarketEvent::Quote(quote)), Some(update_id)));
    }
    let frame = match kind {
        Kind::AggTrade => agg_trade(data).map(|trade| Frame::Market(MarketEvent::Trade(trade))),
        Kind::Candle => kline(data),
        Kind::Depth => match parse_depth_diff(data) {
            Ok(diff) => Ok(Frame::Depth(Box::new(diff))),
            Err(error) => Err(FrameError { kind: None, detail: shortened(&error.to_string()) }),
        },
        Kind::Shutdown => Ok(Frame::Shutdown),
        Kind::Control => Ok(Frame::Control),
        Kind::BookTicker | Kind::Other => Ok(Frame::Ignored),
    };
    Ok((frame?, None))
}

#[derive(Deserialize)]
struct AggTradeWire<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    a: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

fn agg_trade(bytes: &[u8]) -> Result<Trade, FrameError> {
    let wire: AggTradeWire<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let trade = Trade {
        symbol: symbol(&wire.s)?,
        id: wire.a,
        price: price(wire.p)?,
        quantity: quantity(wire.q)?,
        buyer_is_maker: wire.m,
        time: Timestamp::from_millis_or_micros(wire.time),
    };
    trade.check().map_err(|kind| untrue(kind, format_args!("trade {} of {}: {kind}", trade.id, trade.symbol)))?;
    Ok(trade)
}

#[derive(Deserialize)]
struct BookTickerWire<'a> {
    u: u64,
    #[serde(borrow)]
    s: Cow<'a, str>,
    b: &'a str,
    #[serde(rename = "B")]
    bid_quantity: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_quantity: &'a str,
}

fn book_ticker(bytes: &[u8], now: Timestamp) -> Result<(Quote, u64), FrameError> {
    let wire: BookTickerWire<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let quote = Quote {
        symbol: symbol(&wire.s)?,
        bid: price(wire.b)?,
        bid_quantity: quantity(wire.bid_quantity)?,
        ask: price(wire.a)?,
        ask_quantity: quantity(wire.ask_quantity)?,
        time: now,
    };
    quote.check().map_err(|kind| untrue(kind, format_args!("quote of {}: {kind}", quote.symbol)))?;
    Ok((quote, wire.u))
}

#[derive(Deserialize)]
struct KlineEventWire<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    k: KlineWire<'a>,
}

#[derive(Deserialize)]
struct KlineWire<'a> {
    t: i64,
    i: &'a str,
    o: &'a str,
    h: &'a str,
    l: &'a str,
    c: &'a str,
    v: &'a str,
    /// Whether this is the last word on the candle.
    x: bool,
}

fn kline(bytes: &[u8]) -> Result<Frame, FrameError> {
    let wire: KlineEventWire<'_> = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
    let Ok(interval) = wire.k.i.parse::<Interval>() else { return Ok(Frame::Ignored) };
    if !wire.k.x {
        return Ok(Frame::RunningCandle);
    }
    let candle = Candle {
        symbol: symbol(&wire.s)?,
        interval,
        open_time: Timestamp::from_millis_or_micros(wire.k.t),
        open: price(wire.k.o)?,
        high: price(wire.k.h)?,
        low: price(wire.k.l)?,
        close: price(wire.k.c)?,
        volume: quantity(wire.k.v)?,
    };
    candle.check().map_err(|kind| {
        untrue(kind, format_args!("{interval} candle of {} at {}: {kind}", candle.symbol, candle.open_time))
    })?;
    Ok(Frame::Market(MarketEvent::Candle(candle)))
}

fn symbol(text: &str) -> Result<Symbol, FrameError> {
    Symbol::new(text).map_err(|error| untrue(MarketInputError::UnknownSymbol, error))
}

fn price(text: &str) -> Result<Price, FrameError> {
    text.parse().map_err(|error| untrue(MarketInputError::BadPrice, error))
}

fn quantity(text: &str) -> Result<Quantity, FrameError> {
    text.parse().map_err(|error| untrue(MarketInputError::BadQuantity, error))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
