//! The exchange's endpoints: one table for REST and for the WebSocket API, and what each of them answers.
//!
//! It must never touch a balance but through the model.

use domain::{ExchangeOrderId, Instrument, OrderType, Symbol, Timestamp, TradeId};
use serde_json::{Value, json};

use super::core::Core;
use super::params::Params;
use super::wire;
use crate::model::{AccountId, ModelEvent, OrderRef, OrderView, Refusal};

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
    endpoint!("GET" "account", "account.status", Access::Signed(account), |_| 20),
    endpoint!("POST" "order", "order.place", Access::Signed(place), |_| 1, true),
    endpoint!("POST" "order/test", "order.test", Access::Signed(test), |_| 1),
    endpoint!("GET" "order", "order.status", Access::Signed(order), |_| 4),
    endpoint!("DELETE" "order", "order.cancel", Access::Signed(cancel), |_| 1, true),
    endpoint!("GET" "openOrders", "openOrders.status", Access::Signed(open_orders), open_orders_weight),
    endpoint!("DELETE" "openOrders", "openOrders.cancelAll", Access::Signed(cancel_all), |_| 1, true),
    endpoint!("GET" "allOrders", "allOrders", Access::Signed(all_orders), |_| 20),
    endpoint!("GET" "myTrades", "myTrades", Access::Signed(my_trades), my_trades_weight),
];

fn ticker_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 2 } else { 4 }
}

fn open_orders_weight(params: &Params) -> u32 {
    if params.get("symbol").is_some() { 6 } else { 80 }
}

fn my_trades_weight(params: &Params) -> u32 {
    if params.get("orderId").is_some() { 5 } else { 20 }
}

fn time(core: &mut Core, _: &Params) -> Result<Value, Refusal> {
    Ok(json!({"serverTime": core.shown_now()}))
}

fn instrument(core: &Core, symbol: &Symbol) -> Result<Instrument, Refusal> {
    core.model.instrument(symbol).cloned().ok_or_else(|| Refusal::invalid_symbol(symbol))
}

fn exchange_info(core: &mut Core, params: &Params) -> Result<Value, Refusal> {
    let symbols: Vec<Value> = match params.symbols()? {
        Some(symbols) => {
            let infos = symbols.iter().map(|symbol| Ok(wire::symbol_info(&instrument(core, symbol)?)));
            infos.collect::<Result<_, Refusal>>()?
        }
        None => core.model.instruments().map(wire::symbol_info).collect(),
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

fn account(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let omit_zero = params.get("omitZeroBalances") == Some("true");
    let balances = core.model.balances(account).iter();
    let balances: Vec<Value> = balances
        .filter(|(_, it)| !(omit_zero && it.free.is_zero() && it.locked.is_zero()))
        .map(|(asset, it)| {
            json!({"asset": asset.as_str(), "free": wire::fixed(it.free.value()), "locked": wire::fixed(it.locked.value())})
        })
        .collect();
    let settings = core.model.settings();
    let (maker, taker) = (wire::fixed(settings.maker_fee.value()), wire::fixed(settings.taker_fee.value()));
    let zero = wire::fixed(domain::Decimal::ZERO);
    Ok(json!({
        "makerCommission": 0, "takerCommission": 0, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": {"maker": maker, "taker": taker, "buyer": zero, "seller": zero},
        "canTrade": true, "canWithdraw": false, "canDeposit": true, "brokered": false,
        "requireSelfTradePrevention": false, "preventSor": false,
        "updateTime": core.now(), "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"], "uid": 1,
    }))
}

fn place(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let generated = core.generate_id();
    let order = params.new_order(|| generated)?;
    let default = if matches!(order.order_type, OrderType::Limit | OrderType::Market) { "FULL" } else { "ACK" };
    let kind = params.get("newOrderRespType").unwrap_or(default).to_owned();
    if !["ACK", "RESULT", "FULL"].contains(&kind.as_str()) {
        return Err(Refusal::new(-1130, "Data sent for parameter 'newOrderRespType' is not valid."));
    }
    let now = Timestamp::from_millis(core.now());
    let mut events = Vec::new();
    let view = core.model.place(account, &order, now, &mut events)?;
    core.tell(&events, None);
    let fills: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event {
            ModelEvent::Fill { fill, .. } => Some(fill),
            ModelEvent::Order { .. } | ModelEvent::Balances { .. } => None,
        })
        .collect();
    Ok(match kind.as_str() {
        "ACK" => wire::order_ack(&view),
        "RESULT" => wire::order_result(&view, None),
        _ => wire::order_result(&view, Some(&fills)),
    })
}

fn test(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let generated = core.generate_id();
    let order = params.new_order(|| generated)?;
    core.model.test(account, &order).map(|()| json!({}))
}

/// The order that is meant; where both ids are given they must agree.
fn meant(core: &Core, account: &AccountId, params: &Params) -> Result<(Symbol, OrderRef), Refusal> {
    let (symbol, order) = (params.symbol()?, params.order_ref()?);
    if let (OrderRef::Exchange(_), Some(client)) = (&order, params.client_id("origClientOrderId")?)
        && core.model.order(account, &symbol, &order).is_ok_and(|found| found.client_order_id != client)
    {
        return Err(Refusal::new(-2039, "Client order ID is not correct for this order ID."));
    }
    Ok((symbol, order))
}

fn order(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, order) = meant(core, account, params)?;
    core.model.order(account, &symbol, &order).map(|view| wire::order_query(&view))
}

fn cancel(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, order) = meant(core, account, params)?;
    let generated = core.generate_id();
    let cancel_id = params.client_id("newClientOrderId")?.unwrap_or(generated);
    let now = Timestamp::from_millis(core.now());
    let mut events = Vec::new();
    let view = core.model.cancel(account, &symbol, &order, now, &mut events)?;
    core.tell(&events, Some(cancel_id.as_str()));
    Ok(wire::order_canceled(&view, cancel_id.as_str()))
}

fn cancel_all(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol()?;
    let now = Timestamp::from_millis(core.now());
    let mut events = Vec::new();
    let views = core.model.cancel_all(account, &symbol, now, &mut events)?;
    let cancel_id = core.generate_id();
    core.tell(&events, Some(cancel_id.as_str()));
    Ok(views.iter().map(|view| wire::order_canceled(view, cancel_id.as_str())).collect())
}

fn open_orders(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol_if_any()?;
    if let Some(symbol) = &symbol {
        instrument(core, symbol)?;
    }
    Ok(core.model.open_orders(account, symbol.as_ref()).iter().map(wire::order_query).collect())
}

/// The part of `all` that lies in the asked time: from the start on the oldest, else the newest.
fn in_time<T>(params: &Params, all: Vec<T>, limit: usize, time: impl Fn(&T) -> i64) -> Result<Vec<T>, Refusal> {
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

fn all_orders(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let from = params.id("orderId")?.map(ExchangeOrderId);
    let views = match from {
        Some(from) => core.model.orders_from(account, &symbol, Some(from), limit),
        None => {
            let all = core.model.orders_from(account, &symbol, None, usize::MAX);
            in_time(params, all, limit, |view: &OrderView| view.created.as_millis())?
        }
    };
    Ok(views.iter().map(wire::order_query).collect())
}

fn my_trades(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let (from, of_order) = (params.id("fromId")?.map(TradeId), params.id("orderId")?);
    let mut trades = core.model.trades(account, &symbol, from, usize::MAX);
    trades.retain(|trade| of_order.is_none_or(|id| trade.exchange_order_id.0 == id));
    let found = match from {
        Some(_) => trades.into_iter().take(limit).collect(),
        None => in_time(params, trades, limit, |trade| trade.time.as_millis())?,
    };
    Ok(found.iter().map(wire::my_trade).collect())
}
