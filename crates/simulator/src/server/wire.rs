//! What the protocol's answers and events look like: written by hand from its documentation, field by field.
//!
//! It must never reuse the vocabulary's own serialization, so that a misreading there is not mirrored here.

use domain::{Candle, Decimal, Quote, Trade};
use serde_json::{Value, json};

use crate::model::Balance;

/// A decimal as the exchange prints it: 8 decimals, cut off.
pub(super) fn fixed(value: Decimal) -> String {
    let mut value = value.trunc_with_scale(8);
    value.rescale(8);
    value.to_string()
}

/// Adds a field to an object.
pub(super) fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The event of changed balances.
pub(super) fn account_position<'a>(balances: impl Iterator<Item = (&'a str, Balance)>, now: i64) -> Value {
    let balances: Vec<Value> = balances
        .map(|(asset, it)| json!({"a": asset, "f": fixed(it.free.value()), "l": fixed(it.locked.value())}))
        .collect();
    json!({"e": "outboundAccountPosition", "E": now, "u": now, "B": balances})
}

/// The stream event of a candle.
pub(super) fn kline_event(candle: &Candle, is_closed: bool, last_trade: u64, now: i64) -> Value {
    let quote = candle.high.mid(candle.low).times(candle.volume).value();
    let symbol = candle.symbol.as_str();
    json!({
        "e": "kline", "E": now, "s": symbol,
        "k": {
            "t": candle.open_time.as_millis(), "T": candle.close_time().as_millis() - 1, "s": symbol,
            "i": candle.interval.as_str(), "f": last_trade.saturating_sub(3), "L": last_trade,
            "o": fixed(candle.open.value()), "c": fixed(candle.close.value()),
            "h": fixed(candle.high.value()), "l": fixed(candle.low.value()),
            "v": fixed(candle.volume.value()), "n": if candle.volume.is_positive() { 4 } else { 0 },
            "x": is_closed, "q": fixed(quote), "V": fixed(candle.volume.value() / Decimal::TWO),
            "Q": fixed(quote / Decimal::TWO), "B": "0",
        }
    })
}

/// A public trade as a query answers it.
pub(super) fn agg_trade_row(trade: &Trade) -> Value {
    json!({
        "a": trade.id, "p": fixed(trade.price.value()), "q": fixed(trade.quantity.value()), "f": trade.id, "l": trade.id,
        "T": trade.time.as_millis(), "m": trade.buyer_is_maker, "M": true,
    })
}

/// A public trade as a stream tells it.
pub(super) fn trade_event(trade: &Trade, is_aggregate: bool, now: i64) -> Value {
    let mut value = json!({
        "e": if is_aggregate { "aggTrade" } else { "trade" }, "E": now, "s": trade.symbol.as_str(),
        "p": fixed(trade.price.value()), "q": fixed(trade.quantity.value()),
        "T": trade.time.as_millis(), "m": trade.buyer_is_maker, "M": true,
    });
    if is_aggregate {
        put(&mut value, "a", json!(trade.id));
        put(&mut value, "f", json!(trade.id));
        put(&mut value, "l", json!(trade.id));
    } else {
        put(&mut value, "t", json!(trade.id));
    }
    value
}

/// The stream event of a quote.
pub(super) fn book_ticker_event(quote: &Quote, update: u64) -> Value {
    json!({
        "u": update, "s": quote.symbol.as_str(),
        "b": fixed(quote.bid.value()), "B": fixed(quote.bid_quantity.value()),
        "a": fixed(quote.ask.value()), "A": fixed(quote.ask_quantity.value()),
    })
}

/// A quote as a query answers it.
pub(super) fn book_ticker(quote: &Quote) -> Value {
    json!({
        "symbol": quote.symbol.as_str(),
        "bidPrice": fixed(quote.bid.value()), "bidQty": fixed(quote.bid_quantity.value()),
        "askPrice": fixed(quote.ask.value()), "askQty": fixed(quote.ask_quantity.value()),
    })
}
