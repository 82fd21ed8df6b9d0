//! The endpoints that tell an account what it has and did: balances, charges, orders, trades, limits.
//!
//! They must never change anything.

use domain::{ExchangeOrderId, Instrument, Ratio, Symbol, Timestamp, TradeId};
use serde_json::{Value, json};

use super::core::Core;
use super::endpoints::{in_time, instrument};
use super::params::Params;
use super::trading::meant;
use super::wire_orders::{my_trade, order_query, prevented_match};
use super::{wire, wire_symbol};
use crate::model::{AccountId, ModelSettings, OrderRef, OrderView, Refusal};

pub(super) fn account(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let omit_zero = params.flag("omitZeroBalances")?;
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
        "makerCommission": bips(settings.maker_fee), "takerCommission": bips(settings.taker_fee),
        "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": {"maker": maker, "taker": taker, "buyer": zero, "seller": zero},
        "canTrade": true, "canWithdraw": false, "canDeposit": true, "brokered": false,
        "requireSelfTradePrevention": false, "preventSor": false,
        "updateTime": core.now(), "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"], "uid": 1,
    }))
}

/// A share as whole basis points, as the exchange's old fields have it.
fn bips(share: Ratio) -> i64 {
    let bips = share.value().saturating_mul(domain::Decimal::from(10_000)).round();
    bips.to_string().parse().unwrap_or_default()
}

/// Standard, special and tax commission; the longer form says what buyer and seller pay as well.
pub(super) fn commission_rates(settings: &ModelSettings, is_long: bool) -> [Value; 3] {
    let zero = || wire::fixed(domain::Decimal::ZERO);
    let rates = |maker: String, taker: String| {
        if is_long {
            json!({"maker": maker, "taker": taker, "buyer": zero(), "seller": zero()})
        } else {
            json!({"maker": maker, "taker": taker})
        }
    };
    let standard = rates(wire::fixed(settings.maker_fee.value()), wire::fixed(settings.taker_fee.value()));
    [standard, rates(zero(), zero()), rates(zero(), zero())]
}

/// The discount for paying in BNB, which nobody has here.
pub(super) fn discount() -> Value {
    json!({
        "enabledForAccount": false, "enabledForSymbol": false, "discountAsset": "BNB", "discount": "0.75000000",
    })
}

pub(super) fn commission(core: &mut Core, _: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol()?;
    instrument(core, &symbol)?;
    let [standard, special, tax] = commission_rates(core.model.settings(), true);
    Ok(json!({
        "symbol": symbol.as_str(), "standardCommission": standard, "specialCommission": special, "taxCommission": tax,
        "discount": discount(),
    }))
}

/// `rateLimit/order`: the limits of orders, each with how many count against it now.
pub(super) fn order_limits_used(core: &mut Core, account: &AccountId, _: &Params) -> Result<Value, Refusal> {
    let now = core.now();
    let (ten_seconds, day) = core.meter.orders(account, now);
    let limits = core.meter.limits();
    Ok(json!([
        {
            "rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10,
            "limit": limits.orders_10s_max, "count": ten_seconds,
        },
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": limits.orders_1d_max, "count": day},
    ]))
}

pub(super) fn my_filters(core: &mut Core, _: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol()?;
    let instrument: Instrument = instrument(core, &symbol)?;
    Ok(json!({
        "exchangeFilters": [], "symbolFilters": wire_symbol::filters(&instrument, core.model.settings()),
        "assetFilters": [],
    }))
}

pub(super) fn order(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, order) = meant(core, account, params)?;
    let view = core.model.order(account, &symbol, &order)?;
    let now = Timestamp::from_millis(core.now());
    if core.model.is_archived(&view, now) { Err(Refusal::archived()) } else { Ok(order_query(&view)) }
}

pub(super) fn open_orders(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol_if_any()?;
    if let Some(symbol) = &symbol {
        instrument(core, symbol)?;
    }
    Ok(core.model.open_orders(account, symbol.as_ref()).iter().map(order_query).collect())
}

pub(super) fn all_orders(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let now = Timestamp::from_millis(core.now());
    let from = params.id("orderId")?.map(ExchangeOrderId);
    let mut views = core.model.orders_from(account, &symbol, from, usize::MAX);
    views.retain(|view| !core.model.is_archived(view, now));
    let views = match from {
        Some(_) => views.into_iter().take(limit).collect(),
        None => in_time(params, views, limit, |view: &OrderView| view.created.as_millis())?,
    };
    Ok(views.iter().map(order_query).collect())
}

/// `myTrades` takes these optional parameters together, and no others.
const TRADE_COMBINATIONS: [&[&str]; 7] =
    [&[], &["orderId"], &["startTime"], &["endTime"], &["fromId"], &["startTime", "endTime"], &["orderId", "fromId"]];

pub(super) fn my_trades(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let sent: Vec<&str> =
        ["orderId", "startTime", "endTime", "fromId"].into_iter().filter(|name| params.get(name).is_some()).collect();
    if !TRADE_COMBINATIONS.contains(&sent.as_slice()) {
        return Err(Refusal::new(-1128, "Combination of optional parameters invalid."));
    }
    let (from, of_order) = (params.id("fromId")?.map(TradeId), params.id("orderId")?);
    let mut trades = core.model.trades(account, &symbol, from, usize::MAX);
    trades.retain(|trade| of_order.is_none_or(|id| trade.exchange_order_id.0 == id));
    let found = match from {
        Some(_) => trades.into_iter().take(limit).collect(),
        None => in_time(params, trades, limit, |trade| trade.time.as_millis())?,
    };
    let list = |symbol: &Symbol, id| {
        let order = core.model.order(account, symbol, &OrderRef::Exchange(id));
        order.ok().and_then(|order| order.list_id)
    };
    Ok(found.iter().map(|fill| my_trade(fill, list(&fill.symbol, fill.exchange_order_id))).collect())
}

pub(super) fn prevented(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, limit) = (params.symbol()?, params.limit(500, 1000)?);
    instrument(core, &symbol)?;
    let (one, order, from) =
        (params.id("preventedMatchId")?, params.id("orderId")?, params.id("fromPreventedMatchId")?);
    if one.is_some() == order.is_some() || (one.is_some() && from.is_some()) {
        return Err(Refusal::new(-1128, "Combination of optional parameters invalid."));
    }
    let found = core.model.prevented_matches(account, &symbol).filter(|it| {
        one.is_none_or(|id| it.match_id == id)
            && order.is_none_or(|id| it.taker.0 == id || it.maker.0 == id)
            && from.is_none_or(|from| it.match_id >= from)
    });
    Ok(found.take(limit).map(prevented_match).collect())
}
