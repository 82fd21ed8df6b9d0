//! Cases of the account's events, as the exchange documents them.

use domain::Side;
use proptest::prelude::*;

use super::*;

const REPORT: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"vg-a-1-1",
"S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"0.10264410","P":"0.00000000","F":"0.00000000","g":-1,"C":"",
"x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0","N":null,
"T":1499405658657,"t":-1,"I":8641984,"w":true,"m":false,"M":false,"O":1499405658657,"Z":"0.00000000",
"Y":"0.00000000","Q":"0.00000000","W":1499405658657,"V":"NONE"}}"#;

fn events(text: &str) -> Vec<ExecutionEvent> {
    match parse_user_frame(text.as_bytes()).unwrap() {
        UserFrame::Execution(events) => events,
        other => panic!("{other:?}"),
    }
}

fn traded() -> String {
    REPORT
        .replace(r#""x":"NEW","X":"NEW""#, r#""x":"TRADE","X":"PARTIALLY_FILLED""#)
        .replace(r#""l":"0.00000000","z":"0.00000000","L":"0.00000000""#, r#""l":"0.4","z":"0.4","L":"0.1026""#)
        .replace(r#""n":"0","N":null"#, r#""n":"0.0004","N":"ETH""#)
        .replace(r#""t":-1"#, r#""t":77"#)
}

#[test]
fn a_new_order_is_a_report_alone() {
    let found = events(REPORT);
    let [ExecutionEvent::Report(report)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((report.client_order_id.as_str(), &report.status), ("vg-a-1-1", &ExchangeOrderStatus::New));
    assert_eq!((report.exchange_order_id, &report.detail), (Some(ExchangeOrderId(4_293_153)), &None));
}

#[test]
fn a_trade_comes_before_its_report() {
    let found = events(&traded());
    let [ExecutionEvent::Fill(fill), ExecutionEvent::Report(report)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((fill.trade_id, fill.side, fill.price.to_string()), (TradeId(77), Side::Buy, "0.1026".into()));
    assert_eq!((fill.commission.to_string(), fill.commission_asset.as_str()), ("0.0004".into(), "ETH"));
    assert_eq!((&report.status, report.executed_quantity), (&ExchangeOrderStatus::PartiallyFilled, fill.quantity));
}

#[test]
fn a_cancel_reports_the_orders_own_id() {
    let text = REPORT
        .replace(r#""c":"vg-a-1-1""#, r#""c":"web_cancel""#)
        .replace(r#""C":"""#, r#""C":"vg-a-1-1""#)
        .replace(r#""x":"NEW","X":"NEW""#, r#""x":"CANCELED","X":"CANCELED""#);
    let found = events(&text);
    let [ExecutionEvent::Report(report)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((report.client_order_id.as_str(), &report.status), ("vg-a-1-1", &ExchangeOrderStatus::Canceled));
}

#[test]
fn reasons_are_kept_as_they_came() {
    let cases = [
        (REPORT.replace(r#""r":"NONE""#, r#""r":"INSUFFICIENT_BALANCES""#), "INSUFFICIENT_BALANCES"),
        (REPORT.replace(r#""V":"NONE""#, r#""eR":"EXCHANGE_CANCELED""#), "EXCHANGE_CANCELED"),
    ];
    for (text, expected) in cases {
        let found = events(&text);
        let [ExecutionEvent::Report(report)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(report.detail.as_deref(), Some(expected));
    }
}

#[test]
fn a_trade_that_cannot_be_read_is_an_error() {
    let cases = [
        (traded().replace(r#""t":77"#, r#""t":-1"#), "t"),
        (traded().replace(r#""N":"ETH""#, r#""N":null"#), "N"),
        (traded().replace(r#""L":"0.1026""#, r#""L":"0""#), "L"),
        (traded().replace(r#""S":"BUY""#, r#""S":"BOTH""#), "S"),
    ];
    for (text, field) in cases {
        assert_eq!(parse_user_frame(text.as_bytes()).unwrap_err().field, field);
    }
    // Nothing was charged, so the missing asset does not matter.
    let free = traded().replace(r#""n":"0.0004","N":"ETH""#, r#""n":"0","N":null"#);
    assert_eq!(events(&free).len(), 2);
}

#[test]
fn answers_and_other_events() {
    let answer = |status, code, words: &str| {
        let words = words.into();
        UserFrame::Answer(Answer { status, code, words, retry_after: None, used_weight: None })
    };
    let cases = [
        (r#"{"id":"1","status":200,"result":{"subscriptionId":0},"rateLimits":[]}"#, answer(200, None, "")),
        (
            r#"{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}"#,
            answer(401, Some(-2015), "Invalid API-key."),
        ),
        (
            r#"{"id":"1","status":200,"result":{},"rateLimits":[{"rateLimitType":"ORDERS","interval":"SECOND",
            "intervalNum":10,"limit":50,"count":3},{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE",
            "intervalNum":1,"limit":6000,"count":70}]}"#,
            UserFrame::Answer(Answer {
                status: 200,
                code: None,
                words: String::new(),
                retry_after: None,
                used_weight: Some(70),
            }),
        ),
        (
            r#"{"id":"1","status":418,"error":{"code":-1003,"msg":"banned","data":{"serverTime":1659142907531,
            "retryAfter":1659142967531}},"rateLimits":"of the future"}"#,
            UserFrame::Answer(Answer {
                status: 418,
                code: Some(-1003),
                words: "banned".into(),
                retry_after: Some(Timestamp::from_millis(1_659_142_967_531)),
                used_weight: None,
            }),
        ),
        (r#"{"subscriptionId":0,"event":{"e":"listStatus","E":1,"s":"ETHBTC","g":2,"c":"OCO"}}"#, UserFrame::Ignored),
        (r#"{"subscriptionId":0,"event":{"e":"externalLockUpdate","E":1,"a":"NEO","d":"10"}}"#, UserFrame::Ignored),
        (r#"{"subscriptionId":0,"event":{"e":"ofTheFuture"}}"#, UserFrame::Ignored),
        (r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}"#, UserFrame::Terminated),
        (r#"{"event":{"e":"serverShutdown","E":1}}"#, UserFrame::Shutdown),
        (r"{}", UserFrame::Ignored),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_user_frame(text.as_bytes()), Ok(expected), "{text}");
    }
}

#[test]
fn balances_are_absolute_and_transfers_are_signed() {
    let text = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,
        "B":[{"a":"ETH","f":"10000.000000","l":"0.500000"},{"a":"BTC","f":"0","l":"0"}]}}"#;
    let found = parse_user_frame(text.as_bytes()).unwrap();
    let UserFrame::Balances(held, time) = found else { panic!("{found:?}") };
    let eth = held[&Asset::new("ETH").unwrap()];
    assert_eq!((eth.free.to_string(), eth.locked.to_string(), held.len()), ("10000".into(), "0.5".into(), 2));
    assert_eq!(time.as_millis(), 1_564_034_571_073);
    let bad = text.replace("0.500000", "half");
    assert_eq!(parse_user_frame(bad.as_bytes()).unwrap_err().field, "l");

    let text = r#"{"subscriptionId":0,"event":{"e":"balanceUpdate","E":1573200697110,"a":"BTC","d":"-100.5","T":1573200697068}}"#;
    let found = parse_user_frame(text.as_bytes()).unwrap();
    let UserFrame::Transfer(transfer) = found else { panic!("{found:?}") };
    assert_eq!((transfer.asset.as_str(), transfer.delta.to_string()), ("BTC", "-100.5".into()));
}

#[test]
fn self_trade_prevention_is_a_status_with_its_name() {
    for (execution, status) in [("TRADE_PREVENTION", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED_IN_MATCH")] {
        let text = REPORT.replace(r#""x":"NEW","X":"NEW""#, &format!(r#""x":"{execution}","X":"{status}""#));
        let found = events(&text);
        let [ExecutionEvent::Report(report)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((&report.status, report.detail.as_deref()), (&status_of(status), Some("TRADE_PREVENTION")));
    }
}

fn status_of(word: &str) -> ExchangeOrderStatus {
    ExchangeOrderStatus::from(SmolStr::new(word))
}

proptest! {
    #[test]
    fn damaged_frames_never_panic(at in 0usize..700, byte in any::<u8>(), cut in 0usize..700) {
        let mut bytes = traded().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = parse_user_frame(&bytes);
        bytes.truncate(cut);
        let _ = parse_user_frame(&bytes);
    }
}
