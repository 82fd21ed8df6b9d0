//! Cases of the account's answers.

use super::*;

#[test]
fn an_account_with_its_balances() {
    let text = r#"{"makerCommission":15,"canTrade":true,"canWithdraw":true,"accountType":"SPOT","balances":[
        {"asset":"BTC","free":"4723846.89208129","locked":"1.00000000"},
        {"asset":"LTC","free":"0.00000000","locked":"0.00000000"}],"permissions":["SPOT","TRD_GRP_004"]}"#;
    let read = |text: &str| serde_json::from_str::<AccountWire>(text).unwrap().status();
    let status = read(text).unwrap();
    assert!(status.can_trade);
    assert_eq!((status.permissions.len(), status.balances.len()), (2, 1));
    let balance = status.balances[&Asset::new("BTC").unwrap()];
    assert_eq!((balance.free.to_string(), balance.locked.to_string()), ("4723846.89208129".into(), "1".into()));
    assert_eq!(read(&text.replace("\"1.00000000\"", "\"one\"")).unwrap_err().field, "locked");
    assert_eq!(read(&text.replace("canTrade", "mayTrade")).unwrap_err().field, "canTrade");
}

#[test]
fn commission_of_a_symbol() {
    let text = r#"{"symbol":"BTCUSDT","standardCommission":{"maker":"0.00000010","taker":"0.00000020",
        "buyer":"0.00000030","seller":"0.00000040"},"taxCommission":{"maker":"0.00000112","taker":"0.00000114",
        "buyer":"0.00000118","seller":"0.00000116"},"discount":{"enabledForAccount":true,"enabledForSymbol":true,
        "discountAsset":"BNB","discount":"0.75000000"}}"#;
    let read = |text: &str| serde_json::from_str::<CommissionWire>(text).unwrap().commission();
    let found = read(text).unwrap();
    assert_eq!((found.standard.seller.to_string(), found.special), ("0.0000004".into(), CommissionRates::default()));
    assert_eq!(found.discount, Some((Asset::new("BNB").unwrap(), "0.75".parse().unwrap())));
    assert_eq!(read(&text.replace("ForSymbol\":true", "ForSymbol\":false")).unwrap().discount, None);
    assert_eq!(read(&text.replace("0.00000020", "free")).unwrap_err().field, "taker");
}

#[test]
fn lists_and_what_a_cancel_ended() {
    let text = r#"{"orderListId":27,"contingencyType":"OCO","listStatusType":"EXEC_STARTED",
        "listOrderStatus":"EXECUTING","listClientOrderId":"h2","transactionTime":1565245656253,"symbol":"LTCBTC",
        "orders":[{"symbol":"LTCBTC","orderId":4,"clientOrderId":"vg-a-1-1"},
        {"symbol":"LTCBTC","orderId":5,"clientOrderId":"vg-a-1-2"}]}"#;
    let read = |text: &str| serde_json::from_str::<OrderListStatusWire>(text).unwrap().list().unwrap();
    let list = read(text);
    assert_eq!((list.id, list.is_open, list.legs.len(), list.legs[1].as_str()), (27, true, 2, "vg-a-1-2"));
    for (word, is_open) in [("ALL_DONE", false), ("REJECT", false), ("OF_THE_FUTURE", true)] {
        assert_eq!(read(&text.replace("EXECUTING", word)).is_open, is_open, "{word}");
    }

    let order = r#"{"symbol":"LTCBTC","origClientOrderId":"vg-a-1-1","orderId":4,"clientOrderId":"cancel",
        "executedQty":"0","status":"CANCELED"}"#;
    let both = format!(r#"[{order},{{"orderListId":27,"orders":[],"orderReports":[{order},{order}]}}]"#);
    let canceled: Vec<CanceledWire> = serde_json::from_str(&both).unwrap();
    let counts: Vec<usize> = canceled.iter().map(|canceled| canceled.orders().len()).collect();
    assert_eq!(counts, [1, 2]);
    assert_eq!(canceled[1].orders()[0].client_id().as_str(), "vg-a-1-1");
}

#[test]
fn a_key_that_may_withdraw_is_refused_and_surplus_permissions_are_told() {
    let text = r#"{"ipRestrict":true,"createTime":1,"enableReading":true,"enableWithdrawals":false,
        "enableInternalTransfer":false,"enableMargin":false,"enableFutures":false,"permitsUniversalTransfer":false,
        "enableSpotAndMarginTrading":true}"#;
    let read = |text: &str| serde_json::from_str::<ApiRestrictions>(text);
    assert_eq!(read(text).unwrap().check(), Ok(vec![]));
    let switched = |name: &str, to: &str| {
        let from = if to == "true" { "false" } else { "true" };
        read(&text.replace(&format!("\"{name}\":{from}"), &format!("\"{name}\":{to}"))).unwrap().check()
    };
    assert!(switched("enableWithdrawals", "true").unwrap_err().contains("withdraw"));
    assert!(switched("enableReading", "false").is_err() && switched("enableSpotAndMarginTrading", "false").is_err());
    for name in ["enableInternalTransfer", "permitsUniversalTransfer", "enableMargin", "enableFutures"] {
        assert_eq!(switched(name, "true").unwrap().len(), 1, "{name}");
    }
    assert_eq!(switched("ipRestrict", "false").unwrap().len(), 1);
    // Absent is not false.
    assert!(read(&text.replace("enableWithdrawals", "enableOther")).is_err());
}

#[test]
fn maintenance_and_delistings() {
    let status = |text: &str| serde_json::from_str::<SystemStatus>(text).unwrap().is_maintenance();
    assert!(!status(r#"{"status":0,"msg":"normal"}"#) && status(r#"{"status":1,"msg":"system_maintenance"}"#));
    let text = r#"[{"delistTime":1686161202000,"symbols":["ADAUSDT","BNBUSDT"]},{"delistTime":1,"symbols":[""]}]"#;
    let wires: Vec<DelistingWire> = serde_json::from_str(text).unwrap();
    assert_eq!(wires[0].delisting().unwrap().symbols.len(), 2);
    assert!(wires[1].delisting().is_err());
}
