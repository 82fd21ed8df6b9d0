//! Every parser of bytes from outside, with arbitrary bytes and with damaged documents of every kind: whatever comes, none
//! panics.

use domain::{Interval, Timestamp};
use proptest::prelude::*;

use super::account_wire::{
    AccountWire, ApiRestrictions, CanceledWire, CommissionWire, DelistingWire, OrderListStatusWire, SystemStatus,
};
use super::depth::{parse_depth_diff, parse_depth_snapshot};
use super::errors::{banned_until, classify, refusal};
use super::events::parse_user_frame;
use super::frame::parse_market_frame;
use super::info_wire::ExchangeInfoWire;
use super::keys::KeySourceError;
use super::sign::{Credentials, Secret};
use super::transport::ErrorWire;
use super::wire::{CandleRow, OrderListWire, OrderWire, TimeWire, TradeWire};

/// Documents of every kind that comes in, with every field that is read.
const DOCUMENTS: &[&str] = &[
    r#"{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":1,"l":5,"T":1672515782136,"m":true}"#,
    r#"{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}"#,
    r#"{"stream":"bnbbtc@kline_1m","data":{"e":"kline","E":1,"s":"BNBBTC","k":{"t":1672515780000,"i":"1m","o":"1","c":"2","h":"3","l":"1","v":"9","x":true}}}"#,
    r#"{"stream":"bnbbtc@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}"#,
    r#"{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}"#,
    r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1,"s":"ETHBTC","c":"vg-a-1-1","S":"BUY","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","eR":"NONE","i":4293153,"l":"0.4","z":"0.4","L":"0.1","n":"0.1","N":"ETH","T":1499405658657,"t":7,"m":false}}"#,
    r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1,"u":1,"B":[{"a":"ETH","f":"10000.0","l":"0.5"}]}}"#,
    r#"{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1,"a":"BTC","d":"-100.5","T":1}}"#,
    r#"{"id":"1","status":418,"error":{"code":-1003,"msg":"IP banned until 1659146400000.","data":{"serverTime":1,"retryAfter":2}},"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":70}]}"#,
    r#"{"symbol":"BTCUSDT","orderId":28,"orderListId":-1,"clientOrderId":"vg-a-1-1","origClientOrderId":"x","transactTime":1,"executedQty":"10","status":"FILLED","side":"SELL","expiryReason":"NONE","fills":[{"price":"4000","qty":"1","commission":"4","commissionAsset":"USDT","tradeId":56}]}"#,
    r#"{"orderListId":1,"listOrderStatus":"EXECUTING","symbol":"BTCUSDT","orders":[{"symbol":"B","orderId":4,"clientOrderId":"x"}],"orderReports":[{"symbol":"B","orderId":4,"clientOrderId":"x"}]}"#,
    r#"{"symbol":"BNBBTC","id":28457,"orderId":100234,"price":"4","qty":"12","commission":"10","commissionAsset":"BNB","time":1499865549590,"isBuyer":true,"isMaker":false}"#,
    r#"{"canTrade":true,"permissions":["SPOT"],"balances":[{"asset":"BTC","free":"1","locked":"2"}]}"#,
    r#"{"standardCommission":{"maker":"0.1","taker":"0.2","buyer":"0","seller":"0"},"discount":{"enabledForAccount":true,"enabledForSymbol":true,"discountAsset":"BNB","discount":"0.75"}}"#,
    r#"{"ipRestrict":true,"enableReading":true,"enableWithdrawals":false,"enableSpotAndMarginTrading":true}"#,
    r#"{"status":1,"msg":"system_maintenance"}"#,
    r#"{"delistTime":1686161202000,"symbols":["ADAUSDT"]}"#,
    r#"{"serverTime":1499827319559}"#,
    r#"{"rateLimits":[{"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":9}],"symbols":[{"symbol":"A","status":"TRADING","baseAsset":"A","quoteAsset":"B","baseAssetPrecision":8,"orderTypes":["LIMIT"],"permissionSets":[["SPOT"]],"filters":[{"filterType":"LOT_SIZE","minQty":"0.1","maxQty":"9","stepSize":"0.1"},{"filterType":"PERCENT_PRICE","multiplierUp":"5","multiplierDown":"0.2","avgPriceMins":5},{"filterType":"MAX_NUM_ORDERS","maxNumOrders":200}]}]}"#,
    r#"[1499040000000,"0.01","0.8","0.01","0.01","148976",1499644799999,"2434",308,"1756","28","17928899"]"#,
    r#"{"code":-2010,"msg":"Account has insufficient balance for requested action."}"#,
    "<html>\n<head><title>410 Gone</title></head>\n<body><center>nginx</center></body></html>",
];

/// What a document may be damaged with: values that other documents have in other places.
const VALUES: &[&str] = &[
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "18446744073709551616",
    "9223372036854775807",
    "-9223372036854775808",
    "\"\"",
    "\"NaN\"",
    "\"-1\"",
    "\"1e9\"",
    "\"79228162514264337593543950336\"",
    "\"0.00000000000000000000000000001\"",
    "[]",
    "{}",
    "[[[[]]]]",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"这是测试币\"",
];

fn parse_all(bytes: &[u8]) {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let _ = parse_market_frame(bytes, now);
    let _ = parse_user_frame(bytes);
    let _ = (parse_depth_diff(bytes), parse_depth_snapshot(bytes));
    let _ = serde_json::from_slice::<OrderWire>(bytes).map(|order| (order.report(), order.fills()));
    let _ = serde_json::from_slice::<OrderListWire>(bytes).map(|list| list.order_reports.len());
    let _ = serde_json::from_slice::<OrderListStatusWire>(bytes).map(|list| list.list());
    let _ = serde_json::from_slice::<CanceledWire>(bytes).map(|canceled| canceled.orders().len());
    let (symbol, id) = ("A".parse().unwrap(), "vg-a-1-1".parse().unwrap());
    let _ = serde_json::from_slice::<TradeWire>(bytes).map(|trade| trade.fill(&symbol, id));
    let _ = serde_json::from_slice::<CandleRow>(bytes).map(|row| row.candle(&symbol, Interval::M1));
    let _ = serde_json::from_slice::<TimeWire>(bytes).map(|time| Timestamp::from_millis_or_micros(time.server_time));
    let _ = serde_json::from_slice::<AccountWire>(bytes).map(AccountWire::status);
    let _ = serde_json::from_slice::<CommissionWire>(bytes).map(|wire| wire.commission());
    let _ = serde_json::from_slice::<ApiRestrictions>(bytes).map(|restrictions| restrictions.check().is_ok());
    let _ = serde_json::from_slice::<SystemStatus>(bytes).map(|status| status.is_maintenance());
    let _ = serde_json::from_slice::<DelistingWire>(bytes).map(|wire| wire.delisting());
    let info = serde_json::from_slice::<ExchangeInfoWire>(bytes);
    let _ =
        info.map(|info| (info.limits(), info.symbols.iter().filter(|symbol| symbol.instrument(&[]).is_ok()).count()));
    let said = serde_json::from_slice::<ErrorWire<'_>>(bytes).ok();
    let (code, words) = (said.as_ref().map(|said| said.code), said.as_ref().map(|said| said.msg.as_ref()));
    for status in [200, 307, 400, 403, 410, 418, 429, 503] {
        let _ = (classify(status, code, words.unwrap_or_default()), refusal("GET /", status, code, words));
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (banned_until(&text), Secret::from_text(&text));
    let variable = |_: &str| Ok(text.clone().into_owned());
    let _: Result<Credentials, KeySourceError> = Credentials::from_variables("A", "B", variable);
}

/// Where values begin and end in a document: after a colon, a comma or a bracket.
fn damaged(document: &str, at: usize, value: &str) -> String {
    let begins: Vec<usize> = document.match_indices([':', ',', '[']).map(|(index, _)| index + 1).collect();
    let Some(begin) = begins.get(at % begins.len().max(1)) else { return value.to_owned() };
    let rest = &document[*begin..];
    let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
    format!("{}{value}{}", &document[..*begin], &rest[end..])
}

#[test]
fn every_document_is_read_by_somebody() {
    for document in DOCUMENTS {
        parse_all(document.as_bytes());
    }
    assert!(damaged(r#"{"a":1,"b":2}"#, 0, "null") == r#"{"a":null,"b":2}"#);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&bytes);
    }

    #[test]
    fn documents_with_other_values_never_panic(
        document in prop::sample::select(DOCUMENTS),
        damage in prop::collection::vec((any::<usize>(), prop::sample::select(VALUES)), 1..4),
    ) {
        let text = damage.iter().fold(document.to_owned(), |text, (at, value)| damaged(&text, *at, value));
        parse_all(text.as_bytes());
    }

    #[test]
    fn documents_with_other_bytes_never_panic(
        document in prop::sample::select(DOCUMENTS),
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4),
        cut in any::<usize>(),
    ) {
        let mut bytes = document.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        parse_all(&bytes);
        bytes.truncate(cut % (bytes.len() + 1));
        parse_all(&bytes);
    }
}
