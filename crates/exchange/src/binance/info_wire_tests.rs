//! Cases of the exchange's description: every filter that is used, in both forms, and who may trade.

use super::*;

fn described(more: &str, filters: &str) -> ExchangeInfoWire {
    let text = format!(
        r#"{{"timezone":"UTC","serverTime":1,"rateLimits":[
        {{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000}},
        {{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100}},
        {{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200000}},
        {{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000}},
        {{"rateLimitType":"OF_THE_FUTURE","interval":"MINUTE","intervalNum":5,"limit":1}},
        {{"rateLimitType":"ORDERS","interval":"FORTNIGHT","intervalNum":1,"limit":1}}],
        "symbols":[{{"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","baseAssetPrecision":8,"quoteAsset":"BTC",
        "orderTypes":["LIMIT","MARKET","PEGGED_TO_MOON"],"newField":[1,2],{more}"filters":[{filters}]}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn instrument(more: &str, filters: &str) -> Result<Instrument, WireError> {
    described(more, filters).symbols[0].instrument(&["SPOT".into()])
}

#[test]
fn an_instrument_is_made_of_its_filters() {
    let found = instrument(
        r#""quoteAssetPrecision":7,"ocoAllowed":true,"#,
        r#"{"filterType":"PRICE_FILTER","minPrice":"0.00000100","maxPrice":"100000.00","tickSize":"0.00000100"},
        {"filterType":"LOT_SIZE","minQty":"0.00100000","maxQty":"100000.00000000","stepSize":"0.00100000"},
        {"filterType":"MARKET_LOT_SIZE","minQty":"0.00200000","maxQty":"63100.00000000","stepSize":"0.01000000"},
        {"filterType":"NOTIONAL","minNotional":"0.00010000","applyMinToMarket":true,"maxNotional":"9000000.0",
        "applyMaxToMarket":false,"avgPriceMins":5},
        {"filterType":"PERCENT_PRICE_BY_SIDE","bidMultiplierUp":"1.2","bidMultiplierDown":"0.2","askMultiplierUp":"5",
        "askMultiplierDown":"0.8","avgPriceMins":1},
        {"filterType":"MAX_NUM_ORDERS","maxNumOrders":200},{"filterType":"MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5},
        {"filterType":"MAX_NUM_ORDER_LISTS","maxNumOrderLists":20},
        {"filterType":"MAX_POSITION","maxPosition":"10.00"},{"filterType":"FILTER_OF_THE_FUTURE","limit":3}"#,
    )
    .unwrap();
    assert_eq!((found.tick_size.to_string(), found.step_size.to_string()), ("0.000001".into(), "0.001".into()));
    assert_eq!((found.quantity_min.to_string(), found.quantity_max.to_string()), ("0.002".into(), "63100".into()));
    assert_eq!(found.notional_min.to_string(), "0.0001");
    assert_eq!(found.order_types, [OrderType::Limit, OrderType::Market]);
    assert_eq!(found.status, SymbolStatus::Trading);
    let number = |text: &str| text.parse::<Decimal>().unwrap();
    let expected = Filters {
        price_min: number("0.000001"),
        price_max: number("100000"),
        bid_multiplier_down: number("0.2"),
        bid_multiplier_up: number("1.2"),
        ask_multiplier_down: number("0.8"),
        ask_multiplier_up: number("5"),
        average_price_minutes: 1,
        market_step_size: number("0.01"),
        market_quantity_min: "0.002".parse().unwrap(),
        market_quantity_max: "63100".parse().unwrap(),
        notional_max: "9000000".parse().unwrap(),
        notional_min_binds_market: true,
        orders_max: 200,
        algo_orders_max: 5,
        order_lists_max: 20,
        position_max: "10".parse().unwrap(),
        oco_allowed: true,
        base_precision: 8,
        quote_precision: 7,
    };
    assert_eq!(found.filters, expected);
}

#[test]
fn old_and_absent_filters() {
    let old = instrument(
        "",
        r#"{"filterType":"MIN_NOTIONAL","minNotional":"5.0","applyToMarket":true,"avgPriceMins":5},
        {"filterType":"PERCENT_PRICE","multiplierUp":"5","multiplierDown":"0.2","avgPriceMins":5}"#,
    )
    .unwrap();
    assert_eq!((old.notional_min.to_string(), old.step_size), ("5".into(), Decimal::ZERO));
    let filters = old.filters;
    assert!(filters.notional_min_binds_market && !filters.oco_allowed);
    let multipliers = [filters.bid_multiplier_up, filters.ask_multiplier_up, filters.bid_multiplier_down];
    assert_eq!(multipliers.map(|decimal| decimal.to_string()), ["5", "5", "0.2"]);
    assert_eq!(instrument("", "").unwrap().filters, Filters { base_precision: 8, ..Filters::default() });
    let error = instrument("", r#"{"filterType":"PRICE_FILTER","tickSize":"a cent"}"#).unwrap_err();
    assert_eq!(error.to_string(), "field tickSize: \"a cent\" is no decimal number");
}

#[test]
fn what_the_account_may_not_trade_is_not_tradable() {
    let not_permitted = SymbolStatus::Other(NOT_PERMITTED.into());
    let cases = [
        (r#""permissionSets":[["SPOT","MARGIN"]],"#, SymbolStatus::Trading),
        (r#""permissionSets":[["SPOT"],["TRD_GRP_004","TRD_GRP_005"]],"#, not_permitted.clone()),
        (r#""permissionSets":[["TRD_GRP_004"]],"#, not_permitted.clone()),
        (r#""permissionSets":[[]],"#, not_permitted.clone()),
        (r#""permissionSets":[],"permissions":[],"#, SymbolStatus::Trading),
        (r#""isSpotTradingAllowed":false,"#, not_permitted),
        (r#""isSpotTradingAllowed":true,"#, SymbolStatus::Trading),
    ];
    for (more, expected) in cases {
        assert_eq!(instrument(more, "").unwrap().status, expected, "{more}");
    }
    let groups: Vec<SmolStr> = vec!["SPOT".into(), "TRD_GRP_005".into()];
    let found = described(r#""permissionSets":[["SPOT"],["TRD_GRP_004","TRD_GRP_005"]],"#, "");
    assert_eq!(found.symbols[0].instrument(&groups).unwrap().status, SymbolStatus::Trading);
}

#[test]
fn the_limits_in_force_are_read() {
    let limit = |kind, interval_ms, max| RateLimit { kind, interval_ms, max };
    assert_eq!(
        described("", "").limits(),
        [
            limit(LimitKind::Weight, 60_000, 6000),
            limit(LimitKind::Orders, 10_000, 100),
            limit(LimitKind::Orders, 86_400_000, 200_000),
            limit(LimitKind::Requests, 300_000, 300_000),
        ]
    );
}
