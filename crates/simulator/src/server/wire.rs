//! What the protocol's answers and events look like: written by hand from its documentation, field by field.
//!
//! It must never reuse the vocabulary's own serialization, so that a misreading there is not mirrored here.

use domain::{Candle, Decimal, ExchangeOrderStatus, Fill, Instrument, Notional, OrderType, Price, Quote, Side};
use domain::{SymbolStatus, Trade};
use serde_json::{Value, json};

use super::params::{side_text, time_in_force_text, type_text};
use crate::model::{Balance, ExecutionKind, OrderView};

/// A decimal as the exchange prints it: 8 decimals, cut off.
pub(super) fn fixed(value: Decimal) -> String {
    let mut value = value.trunc_with_scale(8);
    value.rescale(8);
    value.to_string()
}

fn price_or_zero(price: Option<Price>) -> String {
    fixed(price.map_or(Decimal::ZERO, Price::value))
}

/// The wire's word of an order's status.
pub(super) fn status_text(status: &ExchangeOrderStatus) -> &str {
    match status {
        ExchangeOrderStatus::New => "NEW",
        ExchangeOrderStatus::PartiallyFilled => "PARTIALLY_FILLED",
        ExchangeOrderStatus::Filled => "FILLED",
        ExchangeOrderStatus::Canceled => "CANCELED",
        ExchangeOrderStatus::Rejected => "REJECTED",
        ExchangeOrderStatus::Expired => "EXPIRED",
        ExchangeOrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH",
        ExchangeOrderStatus::Other(text) => text,
    }
}

fn symbol_status_text(status: &SymbolStatus) -> &str {
    match status {
        SymbolStatus::Trading => "TRADING",
        SymbolStatus::Halt => "HALT",
        SymbolStatus::Break => "BREAK",
        SymbolStatus::CancelOnly => "CANCEL_ONLY",
        SymbolStatus::Other(text) => text,
    }
}

/// Why an order expired, by what it was.
fn expiry_reason(order: &OrderView) -> &'static str {
    use domain::TimeInForce as T;
    match (order.order_type, order.time_in_force) {
        (OrderType::Market | OrderType::StopLoss | OrderType::TakeProfit, _) => "INSUFFICIENT_LIQUIDITY",
        (_, T::Ioc) => "UNFILLED_IOC_QUANTITY_EXPIRED",
        (_, T::Fok) => "UNFILLED_FOK_ORDER_EXPIRED",
        (_, T::Gtc) => "REJECTED",
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// What all answers about an order share.
fn order_base(order: &OrderView) -> Value {
    let mut value = json!({
        "symbol": order.symbol.as_str(),
        "orderId": order.order_id.0,
        "orderListId": -1,
        "clientOrderId": order.client_order_id.as_str(),
        "price": price_or_zero(order.price),
        "origQty": fixed(order.orig_quantity.value()),
        "executedQty": fixed(order.executed_quantity.value()),
        "origQuoteOrderQty": fixed(order.quote_quantity.map_or(Decimal::ZERO, Notional::value)),
        "cummulativeQuoteQty": fixed(order.cumulative_quote.value()),
        "status": status_text(&order.status),
        "timeInForce": time_in_force_text(order.time_in_force),
        "type": type_text(order.order_type),
        "side": side_text(order.side),
        "selfTradePreventionMode": "NONE",
    });
    if order.stop_price.is_some() {
        put(&mut value, "stopPrice", json!(price_or_zero(order.stop_price)));
    }
    if order.status == ExchangeOrderStatus::Expired {
        put(&mut value, "expiryReason", json!(expiry_reason(order)));
    }
    value
}

/// An order as a query answers it.
pub(super) fn order_query(order: &OrderView) -> Value {
    let mut value = order_base(order);
    put(&mut value, "stopPrice", json!(price_or_zero(order.stop_price)));
    put(&mut value, "icebergQty", json!(fixed(Decimal::ZERO)));
    put(&mut value, "time", json!(order.created.as_millis()));
    put(&mut value, "updateTime", json!(order.updated.as_millis()));
    put(&mut value, "isWorking", json!(order.working));
    put(&mut value, "workingTime", json!(order.working_time.map_or(-1, domain::Timestamp::as_millis)));
    value
}

/// The short answer to a placement.
pub(super) fn order_ack(order: &OrderView) -> Value {
    json!({
        "symbol": order.symbol.as_str(),
        "orderId": order.order_id.0,
        "orderListId": -1,
        "clientOrderId": order.client_order_id.as_str(),
        "transactTime": order.updated.as_millis(),
    })
}

/// The longer answers to a placement: RESULT, or FULL with the fills.
pub(super) fn order_result(order: &OrderView, fills: Option<&[Fill]>) -> Value {
    let mut value = order_base(order);
    put(&mut value, "transactTime", json!(order.updated.as_millis()));
    put(&mut value, "workingTime", json!(order.working_time.map_or(-1, domain::Timestamp::as_millis)));
    if let Some(fills) = fills {
        let fills: Vec<Value> = fills
            .iter()
            .map(|fill| {
                json!({
                    "price": fixed(fill.price.value()),
                    "qty": fixed(fill.quantity.value()),
                    "commission": fixed(fill.commission.value()),
                    "commissionAsset": fill.commission_asset.as_str(),
                    "tradeId": fill.trade_id.0,
                })
            })
            .collect();
        put(&mut value, "fills", json!(fills));
    }
    value
}

/// The answer to a cancel: its `clientOrderId` is the cancel's own.
pub(super) fn order_canceled(order: &OrderView, cancel_id: &str) -> Value {
    let mut value = order_base(order);
    put(&mut value, "origClientOrderId", json!(order.client_order_id.as_str()));
    put(&mut value, "clientOrderId", json!(cancel_id));
    put(&mut value, "transactTime", json!(order.updated.as_millis()));
    value
}

/// One of an account's trades.
pub(super) fn my_trade(fill: &Fill) -> Value {
    json!({
        "symbol": fill.symbol.as_str(),
        "id": fill.trade_id.0,
        "orderId": fill.exchange_order_id.0,
        "orderListId": -1,
        "price": fixed(fill.price.value()),
        "qty": fixed(fill.quantity.value()),
        "quoteQty": fixed(fill.notional().value()),
        "commission": fixed(fill.commission.value()),
        "commissionAsset": fill.commission_asset.as_str(),
        "time": fill.time.as_millis(),
        "isBuyer": fill.side == Side::Buy,
        "isMaker": fill.is_maker,
        "isBestMatch": true,
    })
}

/// The event of an order: `fill` where it traded, `cancel_id` where it was cancelled.
pub(super) fn execution_report(
    order: &OrderView,
    execution: ExecutionKind,
    fill: Option<&Fill>,
    cancel_id: Option<&str>,
    execution_id: u64,
) -> Value {
    let (client, original) = match cancel_id {
        Some(cancel_id) => (cancel_id, order.client_order_id.as_str()),
        None => (order.client_order_id.as_str(), ""),
    };
    let time = order.updated.as_millis();
    let last = |pick: fn(&Fill) -> Decimal| fixed(fill.map_or(Decimal::ZERO, pick));
    let mut value = json!({
        "e": "executionReport", "E": time, "s": order.symbol.as_str(),
        "c": client, "C": original,
        "S": side_text(order.side), "o": type_text(order.order_type), "f": time_in_force_text(order.time_in_force),
        "q": fixed(order.orig_quantity.value()), "p": price_or_zero(order.price), "P": price_or_zero(order.stop_price),
        "F": fixed(Decimal::ZERO), "g": -1,
        "x": execution_text(execution), "X": status_text(&order.status), "r": "NONE", "i": order.order_id.0,
        "l": last(|fill| fill.quantity.value()), "L": last(|fill| fill.price.value()),
        "Y": last(|fill| fill.notional().value()),
        "z": fixed(order.executed_quantity.value()), "Z": fixed(order.cumulative_quote.value()),
        "n": last(|fill| fill.commission.value()), "N": fill.map(|fill| fill.commission_asset.as_str()),
        "T": time, "t": fill.map_or(json!(-1), |fill| json!(fill.trade_id.0)), "I": execution_id,
        "w": order.working && !order.status.is_final(), "m": fill.is_some_and(|fill| fill.is_maker), "M": false,
        "O": order.created.as_millis(),
        "Q": fixed(order.quote_quantity.map_or(Decimal::ZERO, Notional::value)), "V": "NONE",
    });
    if let Some(working) = order.working_time {
        put(&mut value, "W", json!(working.as_millis()));
    }
    if execution == ExecutionKind::Expired {
        put(&mut value, "eR", json!(expiry_reason(order)));
    }
    value
}

fn execution_text(execution: ExecutionKind) -> &'static str {
    match execution {
        ExecutionKind::New => "NEW",
        ExecutionKind::Canceled => "CANCELED",
        ExecutionKind::Expired => "EXPIRED",
        ExecutionKind::Trade => "TRADE",
        ExecutionKind::Rejected => "REJECTED",
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

/// A symbol of `exchangeInfo`.
pub(super) fn symbol_info(instrument: &Instrument) -> Value {
    let types: Vec<&str> = instrument.order_types.iter().map(|order_type| type_text(*order_type)).collect();
    json!({
        "symbol": instrument.symbol.as_str(), "status": symbol_status_text(&instrument.status),
        "baseAsset": instrument.base.as_str(), "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote.as_str(), "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": types, "icebergAllowed": false, "ocoAllowed": false, "otoAllowed": false, "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": false, "cancelReplaceAllowed": false,
        "amendAllowed": false, "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": filters(instrument),
        "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE", "allowedSelfTradePreventionModes": ["NONE"],
    })
}

fn filters(instrument: &Instrument) -> Value {
    let tick = fixed(instrument.tick_size);
    json!([
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "100000000000.00000000", "tickSize": tick},
        {
            "filterType": "LOT_SIZE", "minQty": fixed(instrument.quantity_min.value()),
            "maxQty": fixed(instrument.quantity_max.value()), "stepSize": fixed(instrument.step_size),
        },
        {
            "filterType": "NOTIONAL", "minNotional": fixed(instrument.notional_min.value()), "applyMinToMarket": true,
            "maxNotional": "900000000000.00000000", "applyMaxToMarket": false, "avgPriceMins": 0,
        },
    ])
}
