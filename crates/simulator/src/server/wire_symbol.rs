//! What a symbol looks like in `exchangeInfo` and in `myFilters`: written by hand from the protocol's documentation.
//!
//! It must never show a rule that the model does not hold.

use domain::{Decimal, Instrument, SymbolStatus};
use serde_json::{Value, json};

use super::params::{text_of, type_text};
use super::wire::fixed;
use crate::model::{AMENDS_MAX, ICEBERG_PARTS_MAX, ModelSettings, StpMode, TRAILING_DELTA_MAX, TRAILING_DELTA_MIN};

/// The precision of an asset that the instrument does not say.
const PRECISION: u32 = 8;

fn symbol_status_text(status: &SymbolStatus) -> &str {
    match status {
        SymbolStatus::Trading => "TRADING",
        SymbolStatus::Halt => "HALT",
        SymbolStatus::Break => "BREAK",
        SymbolStatus::CancelOnly => "CANCEL_ONLY",
        SymbolStatus::Other(text) => text,
    }
}

/// A symbol of `exchangeInfo`.
pub(super) fn symbol_info(instrument: &Instrument, settings: &ModelSettings) -> Value {
    let types: Vec<&str> = instrument.order_types.iter().map(|order_type| type_text(*order_type)).collect();
    let has_stops = instrument.order_types.iter().any(|order_type| order_type.has_trigger());
    let precision = |told: u32| if told == 0 { PRECISION } else { told };
    let (base, quote) = (precision(instrument.filters.base_precision), precision(instrument.filters.quote_precision));
    let lists = instrument.filters.oco_allowed;
    let modes = [StpMode::None, StpMode::ExpireTaker, StpMode::ExpireMaker, StpMode::ExpireBoth, StpMode::Decrement]
        .map(text_of);
    json!({
        "symbol": instrument.symbol.as_str(), "status": symbol_status_text(&instrument.status),
        "baseAsset": instrument.base.as_str(), "baseAssetPrecision": base,
        "quoteAsset": instrument.quote.as_str(), "quotePrecision": quote, "quoteAssetPrecision": quote,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": types, "icebergAllowed": true, "ocoAllowed": lists, "otoAllowed": lists, "opoAllowed": lists,
        "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": has_stops, "cancelReplaceAllowed": true,
        "amendAllowed": true, "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true, "isMarginTradingAllowed": false,
        "filters": filters(instrument, settings),
        "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": text_of(settings.self_trade_prevention),
        "allowedSelfTradePreventionModes": modes,
    })
}

/// The filters of a symbol; a rule that is off is left out, but for the two that every symbol has.
pub(super) fn filters(instrument: &Instrument, settings: &ModelSettings) -> Vec<Value> {
    let filters = &instrument.filters;
    let mut all = vec![
        json!({
            "filterType": "PRICE_FILTER", "minPrice": fixed(filters.price_min), "maxPrice": fixed(filters.price_max),
            "tickSize": fixed(instrument.tick_size),
        }),
        json!({
            "filterType": "LOT_SIZE", "minQty": fixed(instrument.quantity_min.value()),
            "maxQty": fixed(instrument.quantity_max.value()), "stepSize": fixed(instrument.step_size),
        }),
        json!({"filterType": "ICEBERG_PARTS", "limit": ICEBERG_PARTS_MAX}),
        json!({
            "filterType": "MARKET_LOT_SIZE", "minQty": fixed(filters.market_quantity_min.value()),
            "maxQty": fixed(filters.market_quantity_max.value()), "stepSize": fixed(filters.market_step_size),
        }),
        json!({
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": TRAILING_DELTA_MIN, "maxTrailingAboveDelta": TRAILING_DELTA_MAX,
            "minTrailingBelowDelta": TRAILING_DELTA_MIN, "maxTrailingBelowDelta": TRAILING_DELTA_MAX,
        }),
    ];
    all.extend(percent_price(instrument, settings));
    all.push(notional(instrument, settings));
    for (name, field, max) in [
        ("MAX_NUM_ORDERS", "maxNumOrders", filters.orders_max),
        ("MAX_NUM_ORDER_LISTS", "maxNumOrderLists", filters.order_lists_max),
        ("MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", filters.algo_orders_max),
        ("MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends", AMENDS_MAX),
    ] {
        if max > 0 {
            all.push(json!({"filterType": name, field: max}));
        }
    }
    if filters.position_max.is_positive() {
        all.push(json!({"filterType": "MAX_POSITION", "maxPosition": fixed(filters.position_max.value())}));
    }
    all
}

fn percent_price(instrument: &Instrument, settings: &ModelSettings) -> Option<Value> {
    let filters = &instrument.filters;
    if filters.bid_multiplier_up <= Decimal::ZERO && filters.ask_multiplier_up <= Decimal::ZERO {
        return None;
    }
    Some(if settings.has_old_filters {
        json!({
            "filterType": "PERCENT_PRICE", "multiplierUp": filters.bid_multiplier_up.normalize().to_string(),
            "multiplierDown": filters.bid_multiplier_down.normalize().to_string(),
            "avgPriceMins": filters.average_price_minutes,
        })
    } else {
        json!({
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": filters.bid_multiplier_up.normalize().to_string(),
            "bidMultiplierDown": filters.bid_multiplier_down.normalize().to_string(),
            "askMultiplierUp": filters.ask_multiplier_up.normalize().to_string(),
            "askMultiplierDown": filters.ask_multiplier_down.normalize().to_string(),
            "avgPriceMins": filters.average_price_minutes,
        })
    })
}

fn notional(instrument: &Instrument, settings: &ModelSettings) -> Value {
    let filters = &instrument.filters;
    let min = fixed(instrument.notional_min.value());
    let binds_market = filters.notional_min_binds_market;
    if settings.has_old_filters {
        return json!({
            "filterType": "MIN_NOTIONAL", "minNotional": min, "applyToMarket": binds_market,
            "avgPriceMins": filters.average_price_minutes,
        });
    }
    json!({
        "filterType": "NOTIONAL", "minNotional": min, "applyMinToMarket": binds_market,
        "maxNotional": fixed(filters.notional_max.value()), "applyMaxToMarket": false,
        "avgPriceMins": filters.average_price_minutes,
    })
}
