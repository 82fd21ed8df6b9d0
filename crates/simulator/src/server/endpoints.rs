//! The exchange's endpoints: one table for REST and for the WebSocket API, and what each of them answers.
//!
//! It must never touch a balance but through the model.

use domain::{Instrument, Symbol};
use serde_json::{Value, json};

use super::core::Core;
use super::params::Params;
use super::{account_reads, order_lists, trading, wire, wire_symbol};
use crate::model::{AccountId, Refusal};

/// How an endpoint is called and what it costs.
pub(super) struct Endpoint {
    /// HTTP verb and path below `/api/v3/`.
    pub(super) rest: (&'static str, &'static str),
    /// Name in the WebSocket API.
    pub(super) method: &'static str,
    pub(super) access: Access,
    pub(super) weight: fn(&Params) -> u32,
    /// Whether a success costs nothing, as placing and cancelling do.
    pub(super) is_free: bool,
}

/// What an endpoint needs and does.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// Anybody may ask.
    Public(fn(&mut Core, &Params) -> Result<Value, Refusal>),
    /// Anybody who names a key.
    Keyed(fn(&mut Core, &Params) -> Result<Value, Refusal>),
    /// The key that signed.
    OfKey(fn(&mut Core, &str, &Params) -> Result<Value, Refusal>),
    /// The account that signed.
    Signed(fn(&mut Core, &AccountId, &Params) -> Result<Value, Refusal>),
}

macro_rules! endpoint {
    ($verb:literal $path:literal, $method:literal, $access:expr, $weight:expr) => {
        endpoint!($verb $path, $method, $access, $weight, false)
    };
    ($verb:literal $path:literal, $method:literal, $access:expr, $weight:expr, $is_free:literal) => {
        Endpoint { rest: ($verb, $path), method: $method, access: $access, weight: $weight, is_free: $is_free }
    };
}

/// All endpoints.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    endpoint!("GET" "ping", "ping", Access::Public(|_, _| Ok(json!({}))), |_| 1),
    endpoint!("GET" "time", "time", Access::Public(time), |_| 1),
    endpoint!("GET" "exchangeInfo", "exchangeInfo", Access::Public(exchange_info), |_| 20),
    endpoint!("GET" "aggTrades", "trades.aggregate", Access::Public(agg_trades), |_| 4),
    endpoint!("GET" "ticker/bookTicker", "ticker.book", Access::Public(ticker_book), ticker_weight),
    endpoint!("GET" "ticker/price", "ticker.price", Access::Public(ticker_price), ticker_weight),
    endpoint!("GET" "account", "account.status", Access::Signed(account_reads::account), |_| 20),
    endpoint!("GET" "account/commission", "account.commission", Access::Signed(account_reads::commission), |_| 20),
    endpoint!("GET" "rateLimit/order", "account.rateLimits.orders", Access::Signed(account_reads::order_limits_used), |_| 40),
    endpoint!("GET" "myFilters", "myFilters", Access::Signed(account_reads::my_filters), |_| 40),
    endpoint!("POST" "order", "order.place", Access::Signed(trading::place), |_| 1, true),
    endpoint!("POST" "order/test", "order.test", Access::Signed(trading::test), test_weight),
    endpoint!("GET" "order", "order.status", Access::Signed(account_reads::order), |_| 4),
    endpoint!("DELETE" "order", "order.cancel", Access::Signed(trading::cancel), |_| 1, true),
    endpoint!("POST" "order/cancelReplace", "order.cancelReplace", Access::Signed(trading::cancel_replace), |_| 1, true),
    endpoint!("PUT" "order/amend/keepPriority", "order.amend.keepPriority", Access::Signed(trading::amend), |_| 4),
    endpoint!("GET" "openOrders", "openOrders.status", Access::Signed(account_reads::open_orders), open_orders_weight),
    endpoint!("DELETE" "openOrders", "openOrders.cancelAll", Access::Signed(trading::cancel_all), |_| 1, true),
    endpoint!("POST" "orderList/oco", "orderList.place.oco", Access::Signed(order_lists::oco), |_| 1, true),
    endpoint!("POST" "order/oco", "orderList.place", Access::Signed(order_lists::old_oco), |_| 1, true),
    endpoint!("POST" "orderList/oto", "orderList.place.oto", Access::Signed(order_lists::oto), |_| 1, true),
    endpoint!("POST" "orderList/otoco", "orderList.place.otoco", Access::Signed(order_lists::otoco), |_| 1, true),
    endpoint!("POST" "orderList/opo", "orderList.place.opo", Access::Signed(order_lists::opo), |_| 1, true),
    endpoint!("POST" "orderList/opoco", "orderList.place.opoco", Access::Signed(order_lists::opoco), |_| 1, true),
    endpoint!("DELETE" "orderList", "orderList.cancel", Access::Signed(order_lists::cancel), |_| 1, true),
    endpoint!("GET" "orderList", "orderList.status", Access::Signed(order_lists::one), |_| 4),
    endpoint!("GET" "openOrderList", "openOrderLists.status", Access::Signed(order_lists::open), |_| 6),
    endpoint!("GET" "allOrderList", "allOrderLists", Access::Signed(order_lists::all), |_| 20),
    endpoint!("GET" "allOrders", "allOrders", Access::Signed(account_reads::all_orders), |_| 20),
    endpoint!("GET" "myTrades", "myTrades", Access::Signed(account_reads::my_trades), my_trades_weight),
    endpoint!("GET" "myPreventedMatches", "myPreventedMatches", Access::Signed(account_reads::prevented), prevented_weight),
];

fn ticker_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 2 } else { 4 }
}

fn open_orders_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 6 } else { 80 }
}

fn test_weight(params: &Params) -> u32 {
    if params.get("computeCommissionRates") == Some("true") { 20 } else { 1 }
}

fn prevented_weight(params: &Params) -> u32 {
    if params.get("preventedMatchId").is_some() { 2 } else { 20 }
}

fn my_trades_weight(params: &Params) -> u32 {
    if params.get("orderId").is_some() { 5 } else { 20 }
}

fn time(core: &mut Core, _: &Params) -> Result<Value, Refusal> {
    Ok(json!({"serverTime": core.shown_now()}))
}

pub(super) fn instrument(core: &Core, symbol: &Symbol) -> Result<Instrument, Refusal> {
    core.model.instrument(symbol).cloned().ok_or_else(|| Refusal::invalid_symbol(symbol))
}

fn exchange_info(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let symbols: Vec<Value> = match params.symbols()? {
        Some(symbols) => {
            let infos = symbols
                .iter()
                .map(|symbol| Ok(wire_symbol::symbol_info(&instrument(core, symbol)?, core.model.settings())));
            infos.collect::<Result<_, Refusal>>()?
        }
        None => core.model.instruments().map(|one| wire_symbol::symbol_info(one, core.model.settings())).collect(),
    };
    Ok(json!({
        "timezone": "UTC",
        "serverTime": core.shown_now(),
        "rateLimits": core.meter.shown(),
        "exchangeFilters": [],
        "symbols": symbols,
    }))
}

fn agg_trades(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let (from, start, end) = (params.id("fromId")?, params.integer("startTime")?, params.integer("endTime")?);
    let Some(tape) = core.tapes.get(&symbol) else { return Ok(json!([])) };
    let found: Vec<_> = tape
        .recent
        .iter()
        .filter(|trade| from.is_none_or(|from| trade.id >= from))
        .filter(|trade| start.is_none_or(|start| trade.time.as_millis() >= start))
        .filter(|trade| end.is_none_or(|end| trade.time.as_millis() <= end))
        .collect();
    let skip = if from.is_none() && start.is_none() { found.len().saturating_sub(limit) } else { 0 };
    Ok(found.into_iter().skip(skip).take(limit).map(wire::agg_trade_row).collect())
}

/// One object for `symbol`, an array otherwise.
fn per_symbol(core: &Core, params: &Params, shown: impl Fn(&Core, &Symbol) -> Option<Value>) -> Result<Value, Refusal> {
    if let Some(symbol) = params.symbol_if_any()? {
        instrument(core, &symbol)?;
        return Ok(shown(core, &symbol).unwrap_or_else(|| json!({"symbol": symbol.as_str()})));
    }
    let symbols = match params.symbols()? {
        Some(symbols) => symbols,
        None => core.model.instruments().map(|instrument| instrument.symbol.clone()).collect(),
    };
    symbols.iter().try_for_each(|symbol| instrument(core, symbol).map(|_| ()))?;
    Ok(symbols.iter().filter_map(|symbol| shown(core, symbol)).collect())
}

fn ticker_book(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    per_symbol(core, params, |core, symbol| core.model.quote(symbol).as_ref().map(wire::book_ticker))
}

fn ticker_price(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    per_symbol(core, params, |core, symbol| {
        let price = core.model.last_price(symbol)?;
        Some(json!({"symbol": symbol.as_str(), "price": wire::fixed(price.value())}))
    })
}

/// The part of `all` that lies in the asked time: from the start on the oldest, else the newest.
pub(super) fn in_time<T>(
    params: &Params,
    all: Vec<T>,
    limit: usize,
    time: impl Fn(&T) -> i64,
) -> Result<Vec<T>, Refusal> {
    let (start, end) = (params.integer("startTime")?, params.integer("endTime")?);
    if start.zip(end).is_some_and(|(start, end)| end.saturating_sub(start) > 86_400_000) {
        return Err(Refusal::new(-1127, "More than 24 hours between startTime and endTime."));
    }
    let is_in = |it: &T| start.is_none_or(|start| time(it) >= start) && end.is_none_or(|end| time(it) <= end);
    let mut found: Vec<T> = all.into_iter().filter(is_in).collect();
    if start.is_none() {
        found.drain(..found.len().saturating_sub(limit));
    }
    found.truncate(limit);
    Ok(found)
}
