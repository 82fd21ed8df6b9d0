//! Cases of the REST answers, as the exchange documents them.

use proptest::prelude::*;

use super::*;

#[test]
fn candle_rows() {
    let text = r#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,
        "2434.19055334",308,"1756.87402397","28.46694368","17928899.62484339"]]"#;
    let rows: Vec<CandleRow> = serde_json::from_str(text).unwrap();
    let candle = rows[0].candle(&"ETHBTC".parse().unwrap(), Interval::M1).unwrap();
    assert_eq!((candle.open_time.as_millis(), candle.close.to_string()), (1_499_040_000_000, "0.01577100".into()));
    let crossed = text.replace("0.80000000", "0.01000000");
    let rows: Vec<CandleRow> = serde_json::from_str(&crossed).unwrap();
    let error = rows[0].candle(&"ETHBTC".parse().unwrap(), Interval::M1).unwrap_err();
    assert_eq!(error.field, "candle");
    assert!(serde_json::from_str::<Vec<CandleRow>>(r#"[[1499040000000,"1"]]"#).is_err());
}

#[test]
fn order_answers_of_every_kind() {
    let ack =
        r#"{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"vg-a-1-1","transactTime":1507725176595}"#;
    let report = serde_json::from_str::<OrderWire>(ack).unwrap().report().unwrap();
    assert_eq!((report.status, report.executed_quantity), (ExchangeOrderStatus::New, Quantity::ZERO));

    let full = r#"{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"vg-a-1-1",
        "transactTime":1507725176595,"price":"0.00000000","origQty":"10.00000000","executedQty":"10.00000000",
        "origQuoteOrderQty":"0.000000","cummulativeQuoteQty":"10.00000000","status":"FILLED","timeInForce":"GTC",
        "type":"MARKET","side":"SELL","workingTime":1507725176595,"selfTradePreventionMode":"NONE","fills":[
        {"price":"4000.00000000","qty":"1.00000000","commission":"4.00000000","commissionAsset":"USDT","tradeId":56},
        {"price":"3999.00000000","qty":"9.00000000","commission":"19.99500000","commissionAsset":"USDT","tradeId":57}]}"#;
    let order: OrderWire = serde_json::from_str(full).unwrap();
    let (report, fills) = (order.report().unwrap(), order.fills().unwrap());
    assert_eq!((report.status, report.executed_quantity.to_string()), (ExchangeOrderStatus::Filled, "10".into()));
    assert_eq!(fills.len(), 2);
    assert_eq!((fills[1].trade_id, fills[1].side, fills[1].is_maker), (TradeId(57), Side::Sell, false));
    assert_eq!(fills[1].commission.to_string(), "19.995");

    let canceled = r#"{"symbol":"LTCBTC","origClientOrderId":"vg-a-1-2","orderId":4,"orderListId":-1,
        "clientOrderId":"cancelMyOrder1","transactTime":1684804350068,"price":"2.00000000","origQty":"1.00000000",
        "executedQty":"0.25000000","cummulativeQuoteQty":"0.00000000","status":"CANCELED","timeInForce":"GTC",
        "type":"LIMIT","side":"BUY","selfTradePreventionMode":"NONE"}"#;
    let report = serde_json::from_str::<OrderWire>(canceled).unwrap().report().unwrap();
    assert_eq!((report.client_order_id.as_str(), report.status), ("vg-a-1-2", ExchangeOrderStatus::Canceled));
}

#[test]
fn expiry_reasons_and_unknown_words_are_kept() {
    let text = r#"{"symbol":"BTCUSDT","orderId":1,"clientOrderId":"x","status":"FROZEN","executedQty":"0",
        "time":5,"updateTime":9,"expiryReason":"EXCHANGE_CANCELED"}"#;
    let report = serde_json::from_str::<OrderWire>(text).unwrap().report().unwrap();
    assert_eq!(report.status, ExchangeOrderStatus::Other("FROZEN".into()));
    assert_eq!((report.detail.as_deref(), report.time.as_millis()), (Some("EXCHANGE_CANCELED"), 9));
}

#[test]
fn a_foreign_id_that_ours_cannot_be_does_not_hide_the_order() {
    let text = r#"{"symbol":"BTCUSDT","orderId":77,"clientOrderId":"and/roid:1.2","status":"NEW","executedQty":"0"}"#;
    let report = serde_json::from_str::<OrderWire>(text).unwrap().report().unwrap();
    assert_eq!(report.client_order_id.as_str(), "foreign-77");
}

#[test]
fn trades() {
    let text = r#"{"symbol":"BNBBTC","id":28457,"orderId":100234,"orderListId":-1,"price":"4.00000100",
        "qty":"12.00000000","quoteQty":"48.000012","commission":"10.10000000","commissionAsset":"BNB",
        "time":1499865549590,"isBuyer":true,"isMaker":false,"isBestMatch":true}"#;
    let trade: TradeWire = serde_json::from_str(text).unwrap();
    let fill = trade.fill(&"BNBBTC".parse().unwrap(), "vg-a-1-1".parse().unwrap()).unwrap();
    assert_eq!((fill.side, fill.quantity.to_string()), (Side::Buy, "12".into()));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,20}") {
        let _ = serde_json::from_slice::<OrderWire>(&bytes).map(|order| (order.report(), order.fills()));
        let order = serde_json::json!({"symbol": text, "orderId": 1, "clientOrderId": text, "executedQty": text});
        let _ = serde_json::from_value::<OrderWire>(order).unwrap().report();
        let row = serde_json::json!([i64::MAX, text, text, text, text, text]);
        let _ = serde_json::from_value::<CandleRow>(row).unwrap().candle(&"A".parse().unwrap(), Interval::M1);
    }
}
