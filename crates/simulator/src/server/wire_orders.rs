//! What the protocol's answers and events about orders look like: written by hand from its documentation.
//!
//! It must never reuse the vocabulary's own serialization, so that a misreading there is not mirrored here.

use domain::{Decimal, ExchangeOrderStatus, Fill, Notional, Price, Quantity, Side};
use serde_json::{Value, json};

use super::params::{side_text, text_of, time_in_force_text, type_text};
use super::wire::{fixed, put};
use crate::model::{ExecutionKind, ExpiryReason, OrderListId, OrderView, PreventedMatch};

fn price_or_zero(price: Option<Price>) -> String {
    fixed(price.map_or(Decimal::ZERO, Price::value))
}

/// The number of an order's list, or -1.
pub(super) fn list_number(list: Option<OrderListId>) -> Value {
    list.map_or(json!(-1), |id| json!(id.0))
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

fn expiry_text(reason: ExpiryReason) -> &'static str {
    match reason {
        ExpiryReason::Rejected => "REJECTED",
        ExpiryReason::ExchangeCanceled => "EXCHANGE_CANCELED",
        ExpiryReason::OcoTrigger => "OCO_TRIGGER",
        ExpiryReason::OtoPhaseOneExpired => "OTO_PHASE_ONE_EXPIRED",
        ExpiryReason::UnfilledIocQuantityExpired => "UNFILLED_IOC_QUANTITY_EXPIRED",
        ExpiryReason::UnfilledFokOrderExpired => "UNFILLED_FOK_ORDER_EXPIRED",
        ExpiryReason::InsufficientLiquidity => "INSUFFICIENT_LIQUIDITY",
    }
}

/// Why an order expired; one of a state file of old does not say, so it is told by what the order was.
fn expiry_of(order: &OrderView) -> ExpiryReason {
    use domain::TimeInForce as T;
    order.expiry_reason.unwrap_or(match (order.order_type.has_limit(), order.time_in_force) {
        (false, _) => ExpiryReason::InsufficientLiquidity,
        (true, T::Ioc) => ExpiryReason::UnfilledIocQuantityExpired,
        (true, T::Fok) => ExpiryReason::UnfilledFokOrderExpired,
        (true, T::Gtc) => ExpiryReason::Rejected,
    })
}

/// What all answers about an order share, with the fields that appear only under conditions.
fn order_base(order: &OrderView) -> Value {
    let mut value = json!({
        "symbol": order.symbol.as_str(),
        "orderId": order.order_id.0,
        "orderListId": list_number(order.list_id),
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
        "selfTradePreventionMode": text_of(order.self_trade_prevention),
    });
    put_conditional(&mut value, order);
    value
}

fn put_conditional(value: &mut Value, order: &OrderView) {
    if order.order_type.has_trigger() {
        put(value, "stopPrice", json!(price_or_zero(order.stop_price)));
    }
    if let Some(shown) = order.iceberg_quantity {
        put(value, "icebergQty", json!(fixed(shown.value())));
    }
    if let Some(trailing) = order.trailing {
        put(value, "trailingDelta", json!(trailing.delta_bips));
        put(value, "trailingTime", json!(trailing.since.map_or(-1, domain::Timestamp::as_millis)));
    }
    if let Some(number) = order.strategy_id {
        put(value, "strategyId", json!(number));
    }
    if let Some(number) = order.strategy_type {
        put(value, "strategyType", json!(number));
    }
    if let Some(number) = order.prevented_match {
        put(value, "preventedMatchId", json!(number));
        put(value, "preventedQuantity", json!(fixed(order.prevented_quantity.value())));
    }
    if order.status == ExchangeOrderStatus::Expired {
        put(value, "expiryReason", json!(expiry_text(expiry_of(order))));
    }
}

fn working_time(order: &OrderView) -> Value {
    json!(order.working_time.map_or(-1, domain::Timestamp::as_millis))
}

/// An order as a query answers it.
pub(super) fn order_query(order: &OrderView) -> Value {
    let mut value = order_base(order);
    put(&mut value, "stopPrice", json!(price_or_zero(order.stop_price)));
    put(&mut value, "icebergQty", json!(fixed(order.iceberg_quantity.map_or(Decimal::ZERO, Quantity::value))));
    put(&mut value, "time", json!(order.created.as_millis()));
    put(&mut value, "updateTime", json!(order.updated.as_millis()));
    put(&mut value, "isWorking", json!(order.working));
    put(&mut value, "workingTime", working_time(order));
    value
}

/// The short answer to a placement.
pub(super) fn order_ack(order: &OrderView) -> Value {
    json!({
        "symbol": order.symbol.as_str(),
        "orderId": order.order_id.0,
        "orderListId": list_number(order.list_id),
        "clientOrderId": order.client_order_id.as_str(),
        "transactTime": order.updated.as_millis(),
    })
}

/// The longer answer to a placement; the longest with its fills and what self-trade prevention kept from filling.
pub(super) fn order_result(order: &OrderView, full: Option<(&[Fill], &[PreventedMatch])>) -> Value {
    let mut value = order_base(order);
    put(&mut value, "transactTime", json!(order.updated.as_millis()));
    put(&mut value, "workingTime", working_time(order));
    if let Some((fills, prevented)) = full {
        put(&mut value, "fills", fills.iter().map(fill_row).collect());
        if !prevented.is_empty() {
            put(&mut value, "preventedMatches", prevented.iter().map(prevented_row).collect());
        }
    }
    value
}

fn fill_row(fill: &Fill) -> Value {
    json!({
        "price": fixed(fill.price.value()),
        "qty": fixed(fill.quantity.value()),
        "commission": fixed(fill.commission.value()),
        "commissionAsset": fill.commission_asset.as_str(),
        "tradeId": fill.trade_id.0,
    })
}

fn prevented_row(prevented: &PreventedMatch) -> Value {
    let mut value = json!({
        "preventedMatchId": prevented.match_id,
        "makerOrderId": prevented.maker.0,
        "price": fixed(prevented.price.value()),
    });
    put_prevented(&mut value, prevented);
    value
}

fn put_prevented(value: &mut Value, prevented: &PreventedMatch) {
    for (name, quantity) in
        [("takerPreventedQuantity", prevented.taker_prevented), ("makerPreventedQuantity", prevented.maker_prevented)]
    {
        if quantity.is_positive() {
            put(value, name, json!(fixed(quantity.value())));
        }
    }
}

/// One row of `myPreventedMatches`.
pub(super) fn prevented_match(prevented: &PreventedMatch) -> Value {
    let mut value = json!({
        "symbol": prevented.symbol.as_str(),
        "preventedMatchId": prevented.match_id,
        "takerOrderId": prevented.taker.0,
        "makerSymbol": prevented.symbol.as_str(),
        "makerOrderId": prevented.maker.0,
        "tradeGroupId": -1,
        "selfTradePreventionMode": text_of(prevented.mode),
        "price": fixed(prevented.price.value()),
        "transactTime": prevented.time.as_millis(),
    });
    put_prevented(&mut value, prevented);
    value
}

/// The answer to a cancel: `clientOrderId` is the cancel's id.
pub(super) fn order_canceled(order: &OrderView, cancel_id: &str) -> Value {
    let mut value = order_base(order);
    put(&mut value, "origClientOrderId", json!(order.client_order_id.as_str()));
    put(&mut value, "clientOrderId", json!(cancel_id));
    put(&mut value, "transactTime", json!(order.updated.as_millis()));
    value
}

/// The order of an answer to an amendment, whose fields have names of their own.
pub(super) fn order_amended(order: &OrderView, original: &str) -> Value {
    let mut value = json!({
        "symbol": order.symbol.as_str(),
        "orderId": order.order_id.0,
        "orderListId": list_number(order.list_id),
        "origClientOrderId": original,
        "clientOrderId": order.client_order_id.as_str(),
        "price": price_or_zero(order.price),
        "qty": fixed(order.orig_quantity.value()),
        "executedQty": fixed(order.executed_quantity.value()),
        "preventedQty": fixed(order.prevented_quantity.value()),
        "quoteOrderQty": fixed(order.quote_quantity.map_or(Decimal::ZERO, Notional::value)),
        "cumulativeQuoteQty": fixed(order.cumulative_quote.value()),
        "status": status_text(&order.status),
        "timeInForce": time_in_force_text(order.time_in_force),
        "type": type_text(order.order_type),
        "side": side_text(order.side),
        "selfTradePreventionMode": text_of(order.self_trade_prevention),
    });
    put_conditional(&mut value, order);
    if order.working_time.is_some() {
        put(&mut value, "workingTime", working_time(order));
    }
    value
}

/// One of the account's trades.
pub(super) fn my_trade(fill: &Fill, list: Option<OrderListId>) -> Value {
    json!({
        "symbol": fill.symbol.as_str(),
        "id": fill.trade_id.0,
        "orderId": fill.exchange_order_id.0,
        "orderListId": list_number(list),
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

/// What an execution report tells beyond the order itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Detail<'a> {
    /// Where it traded.
    pub(super) fill: Option<&'a Fill>,
    /// Where a trade with itself was prevented.
    pub(super) prevented: Option<&'a PreventedMatch>,
    /// The ids to tell as `c` and `C`: those of a cancel or an amendment.
    pub(super) ids: Option<(&'a str, &'a str)>,
}

/// The event of an order.
pub(super) fn execution_report(
    order: &OrderView,
    execution: ExecutionKind,
    detail: Detail<'_>,
    execution_id: u64,
) -> Value {
    let fill = detail.fill;
    let (client, original) = detail.ids.unwrap_or((order.client_order_id.as_str(), ""));
    let time = order.updated.as_millis();
    let last = |pick: fn(&Fill) -> Decimal| fixed(fill.map_or(Decimal::ZERO, pick));
    let mut value = json!({
        "e": "executionReport", "E": time, "s": order.symbol.as_str(),
        "c": client, "C": original,
        "S": side_text(order.side), "o": type_text(order.order_type), "f": time_in_force_text(order.time_in_force),
        "q": fixed(order.orig_quantity.value()), "p": price_or_zero(order.price), "P": price_or_zero(order.stop_price),
        "F": fixed(order.iceberg_quantity.map_or(Decimal::ZERO, Quantity::value)), "g": list_number(order.list_id),
        "x": execution_text(execution), "X": status_text(&order.status), "r": "NONE", "i": order.order_id.0,
        "l": last(|fill| fill.quantity.value()), "L": last(|fill| fill.price.value()),
        "Y": last(|fill| fill.notional().value()),
        "z": fixed(order.executed_quantity.value()), "Z": fixed(order.cumulative_quote.value()),
        "n": last(|fill| fill.commission.value()), "N": fill.map(|fill| fill.commission_asset.as_str()),
        "T": time, "t": fill.map_or(json!(-1), |fill| json!(fill.trade_id.0)), "I": execution_id,
        "w": order.working && !order.status.is_final(), "m": fill.is_some_and(|fill| fill.is_maker), "M": false,
        "O": order.created.as_millis(),
        "Q": fixed(order.quote_quantity.map_or(Decimal::ZERO, Notional::value)),
        "V": text_of(order.self_trade_prevention),
    });
    put_report_conditional(&mut value, order, detail.prevented);
    if execution == ExecutionKind::Expired {
        put(&mut value, "eR", json!(expiry_text(expiry_of(order))));
    }
    value
}

fn put_report_conditional(value: &mut Value, order: &OrderView, prevented: Option<&PreventedMatch>) {
    if order.working_time.is_some() {
        put(value, "W", working_time(order));
    }
    if let Some(trailing) = order.trailing {
        put(value, "d", json!(trailing.delta_bips));
        put(value, "D", json!(trailing.since.map_or(-1, domain::Timestamp::as_millis)));
    }
    if let Some(number) = order.strategy_id {
        put(value, "j", json!(number));
    }
    if let Some(number) = order.strategy_type {
        put(value, "J", json!(number));
    }
    if let Some(number) = order.prevented_match {
        put(value, "v", json!(number));
        put(value, "A", json!(fixed(order.prevented_quantity.value())));
    }
    let Some(prevented) = prevented else { return };
    let is_taker = prevented.taker == order.order_id;
    let (lost, counter) = if is_taker {
        (prevented.taker_prevented, prevented.maker)
    } else {
        (prevented.maker_prevented, prevented.taker)
    };
    put(value, "B", json!(fixed(lost.value())));
    put(value, "u", json!(-1));
    put(value, "U", json!(counter.0));
    put(value, "Cs", json!(prevented.symbol.as_str()));
    put(value, "pl", json!(fixed(prevented.quantity.value())));
    put(value, "pL", json!(fixed(prevented.price.value())));
    put(value, "pY", json!(fixed(prevented.price.times(prevented.quantity).value())));
}

fn execution_text(execution: ExecutionKind) -> &'static str {
    match execution {
        ExecutionKind::New => "NEW",
        ExecutionKind::Canceled => "CANCELED",
        ExecutionKind::Replaced => "REPLACED",
        ExecutionKind::Expired => "EXPIRED",
        ExecutionKind::Trade => "TRADE",
        ExecutionKind::TradePrevention => "TRADE_PREVENTION",
        ExecutionKind::Rejected => "REJECTED",
    }
}
