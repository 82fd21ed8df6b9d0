//! Tests of the trading endpoints by their WebSocket names: answers, refusals and events, field by field.

use std::collections::BTreeSet;

use domain::{Asset, Symbol, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;

use super::core::Core;
use super::endpoints::Access;
use super::hub::{Parcel, Wishes};
use super::params::Params;
use super::routes;
use super::shared::{error_body, status_of};
use super::{AccountConfig, KeyConfig, KeyMaterial, Pace, ServerConfig};
use crate::market::{Market, SeededOptions};
use crate::model::{AccountId, ModelSettings, Refusal};

/// A server's state with one account that listens, asked without HTTP.
struct Desk {
    core: Core,
    frames: Receiver<Parcel>,
}

fn account() -> AccountId {
    AccountId::new("desk")
}

fn symbol() -> Symbol {
    Symbol::new("BTCUSDT").unwrap()
}

impl Desk {
    /// BTCUSDT near 60,000; 100,000 USDT and 1 BTC.
    fn new() -> Self {
        let symbols = vec![(symbol(), "60000".parse().unwrap())];
        let options = SeededOptions::new(1, symbols, Timestamp::from_millis(1_699_999_200_000));
        let deposits = [("USDT", "100000"), ("BTC", "1")];
        let deposits = deposits.map(|(asset, amount)| (Asset::new(asset).unwrap(), amount.parse().unwrap()));
        let key = KeyConfig::new("key", KeyMaterial::Hmac("secret".into()));
        let market = Market::seeded(SeededOptions { history_minutes: 100, ..options });
        let config = ServerConfig {
            pace: Pace::Stepped,
            accounts: vec![AccountConfig::new("desk", key).with_deposits(deposits.to_vec())],
            ..ServerConfig::new(market, "seeded 1")
        };
        let mut core = Core::new(config).unwrap();
        let (id, frames) = core.hub.connect(Wishes { is_api: true, ..Wishes::default() });
        core.hub.subscribe_user(id, &account(), "key", false).unwrap();
        core.release(i64::MAX, 4);
        core.commit().unwrap();
        Self { core, frames }
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Refusal> {
        let endpoint = routes::by_method(method).expect("a known method");
        let params = Params::from_json(&params);
        match endpoint.access {
            Access::Public(answer) | Access::Keyed(answer) => answer(&mut self.core, &params),
            Access::OfKey(answer) => answer(&mut self.core, "key", &params),
            Access::Signed(answer) => answer(&mut self.core, &account(), &params),
        }
    }

    fn get(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params).unwrap()
    }

    fn code(&mut self, method: &str, params: Value) -> i32 {
        self.ask(method, params).unwrap_err().code
    }

    /// The events of the account since the last time.
    fn events(&mut self) -> Vec<Value> {
        self.core.commit().unwrap();
        let mut events = Vec::new();
        while let Ok(parcel) = self.frames.try_recv() {
            let frame: Value = serde_json::from_str(&parcel.frame).unwrap();
            events.push(frame["event"].clone());
        }
        events
    }

    /// As [`Desk::events`], in a few words each, without balances.
    fn told(&mut self) -> Vec<String> {
        let short = |event: &Value| match event["e"].as_str()? {
            "executionReport" => Some(format!("{} {} {}", event["C"], event["x"], event["X"]).replace('"', "")),
            "listStatus" => Some(format!("{} {}", event["l"], event["L"]).replace('"', "")),
            _ => None,
        };
        self.events().iter().filter_map(short).collect()
    }

    /// Prints a trade at the last price moved by a share.
    fn shock(&mut self, share: &str) {
        let now = Timestamp::from_millis(self.core.now());
        let mut events = Vec::new();
        self.core.model.shock(&symbol(), share.parse().unwrap(), 1, now, &mut events).unwrap();
        self.core.tell(&events, None);
    }
}

fn limit(id: &str, side: &str, quantity: &str, price: &str) -> Value {
    json!({
        "symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": quantity,
        "price": price, "newClientOrderId": id,
    })
}

fn oco() -> Value {
    json!({
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5", "listClientOrderId": "pair",
        "aboveType": "LIMIT_MAKER", "abovePrice": "70000", "aboveClientOrderId": "tp",
        "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": "50000", "belowPrice": "49000",
        "belowTimeInForce": "GTC", "belowClientOrderId": "sl", "belowStrategyId": 7, "belowStrategyType": 1_000_001,
    })
}

/// `value` with some fields of another.
fn with(mut value: Value, fields: Value) -> Value {
    for (name, field) in fields.as_object().unwrap() {
        value[name] = field.clone();
    }
    value
}

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_request_has_its_twin() {
    for method in
        "ping time exchangeInfo depth klines uiKlines trades.recent trades.historical trades.aggregate avgPrice \
         ticker.24hr ticker.price ticker.book order.place order.test \
         order.cancel order.cancelReplace order.amend.keepPriority order.status openOrders.status openOrders.cancelAll \
         allOrders orderList.place orderList.place.oco orderList.place.oto orderList.place.otoco orderList.place.opo \
         orderList.place.opoco orderList.cancel orderList.status openOrderLists.status allOrderLists account.status \
         account.commission account.rateLimits.orders myTrades myFilters myPreventedMatches"
            .split_whitespace()
    {
        assert!(routes::by_method(method).is_some(), "{method}");
    }
}

#[test]
fn an_oco_is_answered_queried_and_cancelled_as_documented() {
    let mut desk = Desk::new();
    let placed = desk.get("orderList.place.oco", oco());
    assert_eq!(placed["contingencyType"], "OCO");
    assert_eq!((&placed["listStatusType"], &placed["listOrderStatus"]), (&json!("EXEC_STARTED"), &json!("EXECUTING")));
    assert_eq!(placed["orders"][0], json!({"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": "sl"}));
    let stop = &placed["orderReports"][0];
    assert_eq!((&stop["stopPrice"], &stop["workingTime"]), (&json!("50000.00000000"), &json!(-1)));
    assert_eq!((&stop["orderListId"], &stop["strategyId"]), (&json!(1), &json!(7)));
    assert!(names(&placed["orderReports"][1]).contains("workingTime"));
    assert_eq!(desk.told(), ["EXEC_STARTED EXECUTING", " NEW NEW", " NEW NEW"]);
    let found = desk.get("orderList.status", json!({"orderListId": 1}));
    assert_eq!(found, desk.get("orderList.status", json!({"origClientOrderId": "pair"})));
    assert_eq!(desk.get("openOrderLists.status", json!({})), json!([found.clone()]));
    assert_eq!(desk.get("allOrderLists", json!({"fromId": 1})), json!([found]));
    assert_eq!(desk.code("allOrderLists", json!({"fromId": 1, "startTime": 1})), -1128);
    assert_eq!(desk.code("orderList.status", json!({"orderListId": 9})), -2013);
    assert_eq!(desk.code("orderList.status", json!({})), -1102);
    let order = desk.get("order.status", json!({"symbol": "BTCUSDT", "origClientOrderId": "tp"}));
    assert_eq!(order["orderListId"], 1);
    let canceled =
        desk.get("orderList.cancel", json!({"symbol": "BTCUSDT", "orderListId": 1, "newClientOrderId": "x"}));
    assert_eq!(
        (&canceled["listStatusType"], &canceled["orderReports"][1]["status"]),
        (&json!("ALL_DONE"), &json!("CANCELED"))
    );
    assert_eq!(canceled["orderReports"][0]["origClientOrderId"], "sl");
    assert_eq!(canceled["orderReports"][0]["clientOrderId"], "x");
    assert_eq!(desk.told(), ["sl CANCELED CANCELED", "tp CANCELED CANCELED", "ALL_DONE ALL_DONE"]);
    assert_eq!(desk.code("orderList.cancel", json!({"symbol": "BTCUSDT", "orderListId": 1})), -2011);
    assert_eq!(desk.get("openOrderLists.status", json!({})), json!([]));
}

#[test]
fn a_pair_that_triggers_tells_why_the_other_expired() {
    let mut desk = Desk::new();
    desk.get("orderList.place.oco", oco());
    desk.events();
    desk.shock("-0.3");
    let events = desk.events();
    let expired = events.iter().find(|event| event["x"] == "EXPIRED").unwrap();
    assert_eq!((&expired["c"], &expired["eR"], &expired["g"]), (&json!("tp"), &json!("OCO_TRIGGER"), &json!(1)));
    let triggered = events.iter().find(|event| event["i"] == 1 && event["x"] == "NEW").unwrap();
    assert_eq!((&triggered["w"], &triggered["j"], &triggered["J"]), (&json!(true), &json!(7), &json!(1_000_001)));
    assert!(triggered["W"].is_number());
    let order = desk.get("order.status", json!({"symbol": "BTCUSDT", "orderId": 2}));
    assert_eq!((&order["status"], &order["expiryReason"]), (&json!("EXPIRED"), &json!("OCO_TRIGGER")));
}

#[test]
fn the_deprecated_oco_is_the_same() {
    let mut desk = Desk::new();
    let old = json!({
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5", "price": "70000", "stopPrice": "50000",
        "stopLimitPrice": "49000", "stopLimitTimeInForce": "GTC", "listClientOrderId": "pair",
        "limitClientOrderId": "tp", "stopClientOrderId": "sl", "stopStrategyId": 7, "stopStrategyType": 1_000_001,
    });
    let placed = desk.get("orderList.place", old.clone());
    let mut other = Desk::new();
    assert_eq!(placed, other.get("orderList.place.oco", oco()));
    let buy = with(old, json!({"side": "BUY", "price": "50000", "stopPrice": "70000", "stopLimitPrice": "71000"}));
    let buy = with(buy, json!({"listClientOrderId": "b", "limitClientOrderId": "b1", "stopClientOrderId": "b2"}));
    assert_eq!(desk.get("orderList.place", buy)["orderReports"][1]["type"], "LIMIT_MAKER");
}

#[test]
fn an_entry_with_its_bracket_goes_through_its_phases() {
    let mut desk = Desk::new();
    let bracket = json!({
        "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "58000",
        "workingQuantity": "0.1", "workingTimeInForce": "GTC", "pendingSide": "SELL", "pendingQuantity": "0.1",
        "pendingAboveType": "TAKE_PROFIT", "pendingAboveStopPrice": "65000",
        "pendingBelowType": "STOP_LOSS", "pendingBelowTrailingDelta": 500, "newOrderRespType": "FULL",
    });
    let placed = desk.get("orderList.place.otoco", bracket.clone());
    assert_eq!((&placed["contingencyType"], &placed["orders"][2]["orderId"]), (&json!("OTO"), &json!(3)));
    assert_eq!(
        (&placed["orderReports"][1]["status"], &placed["orderReports"][1]["workingTime"]),
        (&json!("PENDING_NEW"), &json!(-1))
    );
    assert_eq!(placed["orderReports"][0]["fills"], json!([]));
    desk.events();
    desk.shock("-0.05");
    assert_eq!(desk.told(), [" TRADE FILLED", "EXEC_STARTED EXECUTING", " NEW NEW", " NEW NEW"]);
    let trailing = desk.get("order.status", json!({"symbol": "BTCUSDT", "orderId": 2}));
    assert_eq!(trailing["trailingDelta"], 500);
    assert!(trailing["trailingTime"].as_i64().unwrap() > 0);
    assert_eq!(desk.get("myTrades", json!({"symbol": "BTCUSDT"}))[0]["orderListId"], 1);
    let missing = |desk: &mut Desk, name: &str| {
        let mut params = bracket.clone();
        params.as_object_mut().unwrap().remove(name);
        desk.ask("orderList.place.otoco", params).unwrap_err()
    };
    for name in ["workingType", "pendingSide", "pendingQuantity", "pendingAboveStopPrice", "workingTimeInForce"] {
        let refused = missing(&mut desk, name);
        assert!(refused.code == -1102 && refused.message.contains(name), "{refused}");
    }
    let mut sized = bracket;
    sized.as_object_mut().unwrap().remove("pendingQuantity");
    assert_eq!(desk.get("orderList.place.opoco", sized)["orderReports"][1]["origQty"], "0.00000000");
}

#[test]
fn cancelling_all_shows_lists_as_lists() {
    let mut desk = Desk::new();
    desk.get("order.place", limit("one", "BUY", "0.1", "50000"));
    desk.get("orderList.place.oco", oco());
    let canceled = desk.get("openOrders.cancelAll", json!({"symbol": "BTCUSDT"}));
    assert_eq!(canceled.as_array().unwrap().len(), 2);
    assert_eq!(canceled[0]["origClientOrderId"], "one");
    assert_eq!(
        (&canceled[1]["listClientOrderId"], &canceled[1]["listOrderStatus"]),
        (&json!("pair"), &json!("ALL_DONE"))
    );
    assert_eq!(canceled[1]["orderReports"].as_array().unwrap().len(), 2);
}

#[test]
fn a_cancel_replace_says_which_half_failed() {
    let replace = |mode: &str, cancel: &str, order: Value| {
        with(
            order,
            json!({"cancelReplaceMode": mode, "cancelOrigClientOrderId": cancel, "cancelNewClientOrderId": "end"}),
        )
    };
    let (good, poor) = (limit("new", "BUY", "0.1", "51000"), limit("new", "BUY", "5", "51000"));
    for (mode, cancel, order, result) in [
        ("STOP_ON_FAILURE", "old", &good, Ok(("SUCCESS", "SUCCESS"))),
        ("STOP_ON_FAILURE", "none", &good, Err((-2022, 400, "FAILURE", "NOT_ATTEMPTED"))),
        ("STOP_ON_FAILURE", "old", &poor, Err((-2021, 409, "SUCCESS", "FAILURE"))),
        ("ALLOW_FAILURE", "none", &good, Err((-2021, 409, "FAILURE", "SUCCESS"))),
        ("ALLOW_FAILURE", "none", &poor, Err((-2022, 400, "FAILURE", "FAILURE"))),
        ("ALLOW_FAILURE", "old", &good, Ok(("SUCCESS", "SUCCESS"))),
    ] {
        let mut desk = Desk::new();
        desk.get("order.place", limit("old", "BUY", "0.1", "50000"));
        desk.events();
        let answer = desk.ask("order.cancelReplace", replace(mode, cancel, order.clone()));
        let data = match (&answer, result) {
            (Ok(data), Ok((canceled, placed))) => {
                assert_eq!((&data["cancelResult"], &data["newOrderResult"]), (&json!(canceled), &json!(placed)));
                assert_eq!(data["newOrderResponse"]["fills"], json!([]));
                assert_eq!(desk.told(), ["old CANCELED CANCELED", " NEW NEW"]);
                data.clone()
            }
            (Err(refusal), Err((code, status, canceled, placed))) => {
                assert_eq!((refusal.code, status_of(refusal)), (code, status));
                let data = error_body(refusal)["data"].clone();
                assert_eq!((&data["cancelResult"], &data["newOrderResult"]), (&json!(canceled), &json!(placed)));
                data
            }
            other => panic!("{mode} {cancel}: {other:?}"),
        };
        assert_eq!(data["cancelResult"] == "FAILURE", data["cancelResponse"]["code"] == -2011, "{data}");
        assert_eq!(data["newOrderResult"] == "FAILURE", data["newOrderResponse"]["code"] == -2010, "{data}");
        assert_eq!(data["newOrderResult"] == "NOT_ATTEMPTED", data["newOrderResponse"].is_null(), "{data}");
    }
    let mut desk = Desk::new();
    desk.get("order.place", limit("old", "BUY", "0.1", "50000"));
    let unfit = replace("ALLOW_FAILURE", "old", limit("new", "BUY", "0.000001", "51000"));
    assert_eq!(desk.code("order.cancelReplace", unfit), -1013, "filters are judged before anything is done");
    assert_eq!(desk.get("openOrders.status", json!({})).as_array().unwrap().len(), 1);
    assert_eq!(desk.code("order.cancelReplace", replace("SOMEHOW", "old", good)), -1130);
}

#[test]
fn an_amendment_is_answered_and_told() {
    let mut desk = Desk::new();
    desk.get("order.place", limit("old", "BUY", "0.5", "50000"));
    desk.events();
    let amend = json!({"symbol": "BTCUSDT", "orderId": 1, "newQty": "0.2", "newClientOrderId": "new"});
    let amended = desk.get("order.amend.keepPriority", amend.clone());
    let order = &amended["amendedOrder"];
    assert_eq!((&order["qty"], &order["origClientOrderId"]), (&json!("0.20000000"), &json!("old")));
    assert_eq!((&order["clientOrderId"], &order["preventedQty"]), (&json!("new"), &json!("0.00000000")));
    let events = desk.events();
    assert_eq!((&events[0]["x"], &events[0]["c"], &events[0]["C"]), (&json!("REPLACED"), &json!("new"), &json!("old")));
    assert_eq!(events[0]["I"], amended["executionId"]);
    assert_eq!(events[1]["B"][1]["l"], "10000.00000000");
    assert_eq!(desk.code("order.amend.keepPriority", amend), -2038);
    assert_eq!(desk.code("order.amend.keepPriority", json!({"symbol": "BTCUSDT", "orderId": 1})), -1102);
}

#[test]
fn an_order_is_echoed_with_all_that_was_asked() {
    let mut desk = Desk::new();
    let extra = json!({
        "icebergQty": "0.05", "strategyId": 3, "strategyType": 1_000_000, "selfTradePreventionMode": "EXPIRE_BOTH",
    });
    let placed = desk.get("order.place", with(limit("one", "BUY", "0.1", "50000"), extra));
    assert_eq!((&placed["icebergQty"], &placed["strategyType"]), (&json!("0.05000000"), &json!(1_000_000)));
    let report = &desk.events()[0];
    assert_eq!((&report["F"], &report["V"], &report["j"]), (&json!("0.05000000"), &json!("EXPIRE_BOTH"), &json!(3)));
    let required = "e E s c S o f q p P F g C x X r i l z L n N T t I w m M O Z Y Q V";
    let names = names(report);
    assert!(required.split(' ').all(|name| names.contains(name)), "{names:?}");
    for (fields, code) in [
        (json!({"selfTradePreventionMode": "TRANSFER"}), -1013),
        (json!({"strategyType": 5}), -1128),
        (json!({"trailingDelta": 100}), -1106),
        (json!({"newOrderRespType": "ALL"}), -1130),
    ] {
        assert_eq!(
            desk.code("order.test", with(limit("two", "BUY", "0.1", "50000"), fields.clone())),
            code,
            "{fields}"
        );
    }
    let restricted = json!({"symbol": "BTCUSDT", "orderId": 1, "cancelRestrictions": "ONLY_PARTIALLY_FILLED"});
    assert_eq!(desk.code("order.cancel", restricted.clone()), -2011);
    assert_eq!(desk.code("order.cancel", with(restricted, json!({"cancelRestrictions": "NEVER"}))), -1145);
    assert_eq!(desk.code("order.cancel", json!({"symbol": "BTCUSDT", "orderId": 1, "origClientOrderId": "x"})), -2039);
}

#[test]
fn a_prevented_trade_is_told_in_full() {
    let mut desk = Desk::new();
    desk.get("order.place", limit("maker", "SELL", "0.2", "70000"));
    let taker = with(limit("taker", "BUY", "0.5", "80000"), json!({"selfTradePreventionMode": "DECREMENT"}));
    // The best ask is far below, so the book is thinned out first.
    let settings = ModelSettings { level_notional: "60".parse().unwrap(), levels_max: 1, ..ModelSettings::default() };
    desk.core.model.set_settings(settings);
    desk.events();
    let placed = desk.get("order.place", taker);
    assert_eq!((&placed["status"], &placed["preventedQuantity"]), (&json!("PARTIALLY_FILLED"), &json!("0.20000000")));
    let matches = json!([{
        "preventedMatchId": 0, "makerOrderId": 1, "price": "70000.00000000",
        "takerPreventedQuantity": "0.20000000", "makerPreventedQuantity": "0.20000000",
    }]);
    assert_eq!(placed["preventedMatches"], matches);
    let events = desk.events();
    let maker = events.iter().find(|event| event["x"] == "TRADE_PREVENTION" && event["i"] == 1).unwrap();
    assert_eq!(
        (&maker["X"], &maker["A"], &maker["B"]),
        (&json!("EXPIRED_IN_MATCH"), &json!("0.20000000"), &json!("0.20000000"))
    );
    assert_eq!((&maker["U"], &maker["Cs"], &maker["pL"]), (&json!(2), &json!("BTCUSDT"), &json!("70000.00000000")));
    assert_eq!((&maker["pl"], &maker["pY"]), (&json!("0.20000000"), &json!("14000.00000000")));
    let found = desk.get("myPreventedMatches", json!({"symbol": "BTCUSDT", "orderId": 1}));
    assert_eq!((&found[0]["takerOrderId"], &found[0]["selfTradePreventionMode"]), (&json!(2), &json!("DECREMENT")));
    assert_eq!(desk.code("myPreventedMatches", json!({"symbol": "BTCUSDT"})), -1128);
}

#[test]
fn charges_filters_and_limits_can_be_read() {
    let mut desk = Desk::new();
    let rates = desk.get("account.commission", json!({"symbol": "BTCUSDT"}));
    assert_eq!(rates["standardCommission"]["taker"], "0.00100000");
    let test = with(limit("a", "BUY", "0.1", "50000"), json!({"computeCommissionRates": true}));
    let tested = desk.get("order.test", test);
    assert_eq!(tested["standardCommissionForOrder"], json!({"maker": "0.00100000", "taker": "0.00100000"}));
    assert_eq!(desk.get("order.test", limit("a", "BUY", "9", "50000")), json!({}), "a test does not look at balances");
    assert_eq!(desk.get("account.status", json!({}))["takerCommission"], 10);
    assert_eq!(desk.get("account.rateLimits.orders", json!({}))[0]["count"], 0);
    let info = desk.get("exchangeInfo", json!({"symbol": "BTCUSDT"}));
    let shown = &info["symbols"][0];
    assert_eq!((&shown["ocoAllowed"], &shown["amendAllowed"]), (&json!(true), &json!(true)));
    let kinds: Vec<&str> =
        shown["filters"].as_array().unwrap().iter().map(|filter| filter["filterType"].as_str().unwrap()).collect();
    let expected = [
        "PRICE_FILTER",
        "LOT_SIZE",
        "ICEBERG_PARTS",
        "MARKET_LOT_SIZE",
        "TRAILING_DELTA",
        "PERCENT_PRICE_BY_SIDE",
        "NOTIONAL",
        "MAX_NUM_ORDERS",
        "MAX_NUM_ORDER_LISTS",
        "MAX_NUM_ALGO_ORDERS",
        "MAX_NUM_ORDER_AMENDS",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(desk.get("myFilters", json!({"symbol": "BTCUSDT"}))["symbolFilters"], shown["filters"]);
    desk.core.model.change_instrument(&symbol(), |it| it.tick_size = "0.5".parse().unwrap()).unwrap();
    assert_eq!(desk.code("order.place", limit("a", "BUY", "0.1", "50000.1")), -1013);
}

#[test]
fn trades_are_asked_for_by_the_documented_combinations_only() {
    let mut desk = Desk::new();
    let market = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "1000"});
    let bought = desk.get("order.place", market);
    assert_eq!((&bought["status"], &bought["origQuoteOrderQty"]), (&json!("FILLED"), &json!("1000.00000000")));
    let now = desk.core.now();
    let mut ask = |fields: Value| {
        let answer = desk.ask("myTrades", with(json!({"symbol": "BTCUSDT"}), fields));
        answer.map(|trades| trades.as_array().unwrap().len()).map_err(|refusal| refusal.code)
    };
    assert_eq!(ask(json!({})), Ok(1));
    assert_eq!(ask(json!({"orderId": 1, "fromId": 1})), Ok(1));
    assert_eq!(ask(json!({"startTime": now, "endTime": now})), Ok(1));
    assert_eq!(ask(json!({"fromId": 2})), Ok(0));
    assert_eq!(ask(json!({"orderId": 1, "startTime": now})), Err(-1128));
    assert_eq!(ask(json!({"fromId": 1, "endTime": now})), Err(-1128));
    assert_eq!(ask(json!({"startTime": now - 86_400_001, "endTime": now})), Err(-1127));
}

#[test]
fn what_is_archived_is_neither_found_nor_listed() {
    let mut desk = Desk::new();
    desk.get("order.place", limit("one", "BUY", "0.1", "50000"));
    desk.get("order.cancel", json!({"symbol": "BTCUSDT", "orderId": 1}));
    assert_eq!(desk.get("allOrders", json!({"symbol": "BTCUSDT"})).as_array().unwrap().len(), 1);
    let later = desk.core.now() + 91 * 86_400_000;
    desk.core.clock.step_to(later);
    assert_eq!(desk.code("order.status", json!({"symbol": "BTCUSDT", "orderId": 1})), -2026);
    assert_eq!(desk.get("allOrders", json!({"symbol": "BTCUSDT"})), json!([]));
}

#[test]
fn what_the_exchange_does_to_an_account_is_told() {
    let mut desk = Desk::new();
    let (usdt, now) = (Asset::new("USDT").unwrap(), Timestamp::from_millis(desk.core.now()));
    let mut events = Vec::new();
    desk.core.model.transfer(&account(), &usdt, "-5".parse().unwrap(), now, &mut events).unwrap();
    desk.core.model.external_lock(&account(), &usdt, "7".parse().unwrap(), now, &mut events).unwrap();
    desk.core.tell(&events, None);
    let told = desk.events();
    let time = now.as_millis();
    assert_eq!(told[0], json!({"e": "balanceUpdate", "E": time, "a": "USDT", "d": "-5.00000000", "T": time}));
    assert_eq!(told[2], json!({"e": "externalLockUpdate", "E": time, "a": "USDT", "d": "7.00000000", "T": time}));
    assert_eq!(told[3]["B"], json!([{"a": "USDT", "f": "99988.00000000", "l": "7.00000000"}]));
}
