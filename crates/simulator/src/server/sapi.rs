//! The wallet's interface: what a key may do, whether the exchange works, what is delisted and listed, which coins there are.
//!
//! It must never tell a key that it may do more than the configuration says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::core::Core;
use super::endpoints::{Access, Endpoint};
use super::params::Params;
use super::wire::fixed;
use crate::model::{AccountId, Refusal};

const fn get(path: &'static str, access: Access, weight: fn(&Params) -> u32) -> Endpoint {
    Endpoint { rest: ("GET", path), method: "", access, weight, is_free: false }
}

/// The endpoints of this file.
pub(super) static ENDPOINTS: &[Endpoint] = &[
    get("sapi/v1/account/apiRestrictions", Access::OfKey(api_restrictions), |_| 1),
    get("sapi/v1/account/status", Access::Signed(|_, _, _| Ok(json!({"data": "Normal"}))), |_| 1),
    get("sapi/v1/account/apiTradingStatus", Access::Signed(trading_status), |_| 1),
    get("sapi/v1/system/status", Access::Public(system_status), |_| 1),
    get("sapi/v1/spot/delist-schedule", Access::Keyed(delist_schedule), |_| 100),
    get("sapi/v1/spot/open-symbol-list", Access::Keyed(open_symbol_list), |_| 100),
    get("sapi/v1/capital/config/getall", Access::Signed(coins), |_| 10),
    get("sapi/v1/asset/tradeFee", Access::Signed(trade_fees), |_| 1),
    // There is no margin trading here; ccxt asks for its pairs whenever it loads the markets with a key.
    get("sapi/v1/margin/allPairs", Access::Keyed(|_, _| Ok(json!([]))), |_| 1),
    get("sapi/v1/margin/isolated/allPairs", Access::Keyed(|_, _| Ok(json!([]))), |_| 10),
];

/// What the exchange has announced.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Whether `system/status` tells of maintenance, besides what the faults say.
    pub(super) is_maintenance: bool,
    /// Symbols that end, by time.
    pub(super) delistings: BTreeMap<i64, Vec<String>>,
    /// Symbols that begin, by time.
    pub(super) listings: BTreeMap<i64, Vec<String>>,
}

fn api_restrictions(core: &mut Core, key: &str, _: &Params) -> Result<Value, Refusal> {
    let key = core.keys.find(Some(key))?;
    let may = key.permissions;
    Ok(json!({
        "ipRestrict": key.is_restricted(), "createTime": key.created, "enableReading": may.reading,
        "enableWithdrawals": may.withdrawals, "enableInternalTransfer": may.internal_transfer,
        "enableMargin": may.margin, "enableFutures": may.futures,
        "permitsUniversalTransfer": may.universal_transfer, "enableVanillaOptions": false,
        "enableFixApiTrade": false, "enableFixReadOnly": false, "enableSpotAndMarginTrading": may.spot_trading,
        "enablePortfolioMarginTrading": false,
    }))
}

fn trading_status(core: &mut Core, _: &AccountId, _: &Params) -> Result<Value, Refusal> {
    let conditions = json!({"GCR": 150, "IFER": 150, "UFR": 300});
    let now = core.shown_now();
    Ok(json!({"data": {
        "isLocked": false, "plannedRecoverTime": 0, "triggerCondition": conditions, "updateTime": now,
    }}))
}

fn system_status(core: &mut Core, _: &Params) -> Result<Value, Refusal> {
    let now = core.now();
    Ok(if core.notices.is_maintenance || core.faults.is_maintenance(now) {
        json!({"status": 1, "msg": "system_maintenance"})
    } else {
        json!({"status": 0, "msg": "normal"})
    })
}

fn delist_schedule(core: &mut Core, _: &Params) -> Result<Value, Refusal> {
    let rows = core.notices.delistings.iter().map(|(time, symbols)| json!({"delistTime": time, "symbols": symbols}));
    Ok(rows.collect())
}

fn open_symbol_list(core: &mut Core, _: &Params) -> Result<Value, Refusal> {
    let rows = core.notices.listings.iter().map(|(time, symbols)| json!({"openTime": time, "symbols": symbols}));
    Ok(rows.collect())
}

/// The fees of one symbol or of all; a list either way.
fn trade_fees(core: &mut Core, _: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let asked = params.symbol_if_any()?;
    let settings = core.model.settings();
    let (maker, taker) = (settings.maker_fee.value(), settings.taker_fee.value());
    let symbols = core.model.instruments().map(|instrument| &instrument.symbol);
    let rows: Vec<Value> = symbols
        .filter(|symbol| asked.as_ref().is_none_or(|asked| asked == *symbol))
        .map(|symbol| {
            json!({
                "symbol": symbol.as_str(), "makerCommission": maker.normalize().to_string(),
                "takerCommission": taker.normalize().to_string(),
            })
        })
        .collect();
    match asked {
        Some(unknown) if rows.is_empty() => Err(Refusal::invalid_symbol(&unknown)),
        Some(_) | None => Ok(Value::Array(rows)),
    }
}

fn coins(core: &mut Core, account: &AccountId, _: &Params) -> Result<Value, Refusal> {
    let balances = core.model.balances(account).clone();
    let traded = core.model.instruments().flat_map(|instrument| [instrument.base.clone(), instrument.quote.clone()]);
    let mut coins: Vec<_> = traded.chain(balances.keys().cloned()).collect();
    coins.sort();
    coins.dedup();
    let zero = fixed(domain::Decimal::ZERO);
    let row = |coin: &domain::Asset| {
        let has = balances.get(coin).copied().unwrap_or_default();
        json!({
            "coin": coin.as_str(), "name": coin.as_str(), "depositAllEnable": true, "withdrawAllEnable": true,
            "free": fixed(has.free.value()), "locked": fixed(has.locked.value()), "freeze": zero, "withdrawing": zero,
            "storage": zero, "ipoable": zero, "ipoing": zero, "isLegalMoney": false, "trading": true,
            "networkList": [{
                "network": coin.as_str(), "coin": coin.as_str(), "name": coin.as_str(), "isDefault": true,
                "depositEnable": true, "withdrawEnable": true, "withdrawFee": zero, "withdrawMin": zero,
                "withdrawMax": "9999999.00000000", "withdrawIntegerMultiple": "0.00000001", "minConfirm": 1,
            }],
        })
    };
    Ok(coins.iter().map(row).collect())
}
