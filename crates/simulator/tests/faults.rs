//! Tests of faults over real sockets: what a client sees, and what was done all the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod kit;

use std::path::Path;
use std::time::Duration;

use kit::*;
use serde_json::{Value, json};
use simulator::Scenario;
use simulator::server::{Pace, ServerConfig, ServerHandle, start};

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=50000";

fn stepped() -> ServerHandle {
    start(config(Pace::Stepped, None)).unwrap()
}

/// How many orders there are, whatever the client was told.
async fn orders(client: &Client) -> usize {
    client.signed("GET", "allOrders", "symbol=BTCUSDT").await.body.as_array().unwrap().len()
}

#[test]
fn the_scenarios_that_are_shipped_can_be_loaded() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let scenario = Scenario::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(scenario.faults.len() > 3, "{}", path.display());
        drop(start(ServerConfig { scenario: Some(scenario), ..config(Pace::Stepped, None) }).unwrap());
        count += 1;
    }
    assert!(count >= 2);
    assert!(Scenario::load(&dir.join("none.toml")).unwrap_err().to_string().contains("none.toml"));
}

#[test]
fn an_order_is_broken_before_or_after_it_is_done() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let mut expected = 0;
        for (kind, status, code, is_done) in [
            (json!({"kind": "error_before", "status": 503}), 503, Some(-1000), false),
            (json!({"kind": "error_after", "status": 502}), 502, Some(-1000), true),
            (json!({"kind": "unknown_after"}), 400, Some(-1007), true),
            (json!({"kind": "limited", "retry_after_s": 7}), 429, Some(-1003), false),
            (json!({"kind": "limited", "retry_after_s": 7, "status": 418}), 418, Some(-1003), false),
            (json!({"kind": "forbidden"}), 403, None, false),
            (json!({"kind": "gone"}), 410, None, false),
        ] {
            let mut fault = kind.clone();
            fault["endpoint"] = json!("order");
            fault["method"] = json!("POST");
            fault["count"] = json!(1);
            client.fault(fault).await;
            let reply = client.signed("POST", "order", ORDER).await;
            assert_eq!((reply.status, reply.body["code"].as_i64()), (status, code), "{kind}: {}", reply.body);
            assert_eq!(reply.retry_after.is_some(), kind["kind"] == "limited");
            assert_eq!(reply.headers["content-type"].starts_with("text/html"), code.is_none());
            expected += usize::from(is_done);
            assert_eq!(orders(&client).await, expected, "{kind}");
        }
        let listed = client.get("/admin/faults").await["faults"].clone();
        assert!(listed.as_array().unwrap().iter().all(|fault| fault["hits"] == 1), "{listed}");
    });
}

#[test]
fn a_connection_ends_or_says_nothing() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let mut expected = 0;
        for (kind, is_done, is_silent) in [
            ("reset_before", false, false),
            ("reset_after", true, false),
            ("silent_after", true, true),
            ("half_open", false, true),
        ] {
            client.fault(json!({"kind": kind, "endpoint": "order", "method": "POST", "count": 1})).await;
            let query = format!("{ORDER}&timestamp={}", client.time().await);
            let url = format!("http://{}/api/v3/order?{query}&signature={}", client.address, hmac(&query));
            let request = client.http.post(url).insert_header(("X-MBX-APIKEY", "key-hmac"));
            let sent = tokio::time::timeout(Duration::from_millis(100), request.send()).await;
            assert_eq!(sent.is_err(), is_silent, "{kind}");
            assert!(!matches!(sent, Ok(Ok(_))), "{kind}");
            expected += usize::from(is_done);
            assert_eq!(orders(&client).await, expected, "{kind}");
        }
        client.fault(json!({"kind": "half_open", "protocol": "ws_api"})).await;
        let mut api = client.connect("/ws-api/v3").await;
        api.send(&json!({"id": 1, "method": "ping"})).await;
        assert!(tokio::time::timeout(Duration::from_millis(50), api.next()).await.is_err());
        assert_eq!(client.send("DELETE", "/admin/faults", None, String::new()).await.body["faults"], json!([]));
        assert_eq!(api.ask(&json!({"id": 2, "method": "ping"})).await["status"], 200);
    });
}

#[test]
fn the_same_seed_breaks_the_same_requests() {
    let broken = || {
        let text = "seed = 5\n[[fault]]\nkind = \"error_before\"\nendpoint = \"ping\"\nprobability = 0.4";
        let scenario = Scenario::parse(text, Path::new("x")).unwrap();
        let server = start(ServerConfig { scenario: Some(scenario), ..config(Pace::Stepped, None) }).unwrap();
        run(async {
            let client = Client::new(&server);
            let mut seen = Vec::new();
            for _ in 0..40 {
                seen.push(client.send("GET", "/api/v3/ping", None, String::new()).await.status);
            }
            seen
        })
    };
    let first = broken();
    assert_eq!(first, broken());
    assert!(first.contains(&200) && first.contains(&500));
}

#[test]
fn an_order_that_was_just_taken_is_not_found_for_a_while() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        client.fault(json!({"kind": "order_not_found", "within_ms": 2000})).await;
        assert_eq!(client.signed("POST", "order", ORDER).await.status, 200);
        let ask = async || client.signed("GET", "order", "symbol=BTCUSDT&orderId=1").await;
        assert_eq!(ask().await.body["code"], -2013);
        assert_eq!(client.signed("GET", "openOrders", "").await.body.as_array().unwrap().len(), 1);
        client.step(json!({"until": client.time().await + 2000})).await;
        assert_eq!(ask().await.body["status"], "NEW");
    });
}

#[test]
fn events_of_an_account_are_lost_doubled_and_swapped() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        let time = client.step(json!({"events": 4})).await["time"].as_i64().unwrap();
        let mut user = client.connect("/ws-api/v3").await;
        let params = signed_params(json!({}), "key-hmac", time);
        user.ask(&json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})).await;
        let deposit = json!({"account": "hmac", "asset": "USDT", "amount": "5"});
        for (kind, expected) in [
            (None, &["balanceUpdate", "outboundAccountPosition"][..]),
            (Some("events_lost"), &["outboundAccountPosition"]),
            (Some("events_duplicated"), &["balanceUpdate", "balanceUpdate", "outboundAccountPosition"]),
            (Some("events_reordered"), &["outboundAccountPosition", "balanceUpdate"]),
        ] {
            if let Some(kind) = kind {
                client.fault(json!({"kind": kind, "account": "hmac", "count": 1})).await;
            }
            assert_eq!(client.admin("deposit", deposit.clone()).await.status, 200);
            for expected in expected {
                assert_eq!(user.next().await.unwrap()["event"]["e"], **expected, "{kind:?}");
            }
        }
        let fault = json!({"kind": "events_delayed", "distribution": "constant", "ms": 60, "count": 1});
        client.fault(fault).await;
        assert_eq!(client.admin("deposit", deposit).await.status, 200);
        assert!(tokio::time::timeout(Duration::from_millis(20), user.next()).await.is_err());
        assert_eq!(user.next().await.unwrap()["event"]["e"], "balanceUpdate");
        assert_eq!(user.next().await.unwrap()["event"]["e"], "outboundAccountPosition");
    });
}

#[test]
fn streams_fall_silent_and_are_cut() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        let mut trades = client.connect("/ws/btcusdt@trade").await;
        let mut quotes = client.connect("/ws/btcusdt@bookTicker").await;
        client.fault(json!({"kind": "streams_stalled", "stream": "*@trade", "for_ms": 30_000})).await;
        let stalled = client.step(json!({"until": START + 20_000})).await;
        assert_eq!(stalled["frames"][&trades.id], 0);
        assert!(stalled["frames"][&quotes.id].as_u64().unwrap() > 0);
        client.step(json!({"until": START + 60_000})).await;
        assert!(trades.next().await.unwrap()["T"].as_i64().unwrap() >= START + 30_000);
        client.fault(json!({"kind": "streams_cut", "stream": "*@bookTicker"})).await;
        while quotes.next().await.is_some() {}
        client.step(json!({"until": START + 90_000})).await;
        assert_eq!(trades.next().await.unwrap()["e"], "trade");
    });
}

#[test]
fn the_exchange_itself_changes_by_a_script() {
    let text = r#"
        [[fault]]
        kind = "symbol_status"
        symbol = "BTCUSDT"
        status = "CANCEL_ONLY"
        at_ms = 1000
        for_ms = 4000
        [[fault]]
        kind = "clock_skew"
        offset_ms = 3000
        at_ms = 10_000
        for_ms = 5000
        [[fault]]
        kind = "key_revoked"
        api_key = "key-ed"
        at_ms = 20_000
        [[fault]]
        kind = "price_crash"
        symbol = "BTCUSDT"
        share = -0.5
        at_ms = 30_000
        [[fault]]
        kind = "transfer"
        account = "hmac"
        asset = "USDT"
        amount = -1000
        at_ms = 31_000
        [[fault]]
        kind = "delisting"
        symbol = "ETHUSDT"
        at_ms = 40_000
        notice_ms = 5000
        [[fault]]
        kind = "server_shutdown"
        at_ms = 50_000
        cut_after_ms = 1000
    "#;
    let scenario = Scenario::parse(text, Path::new("x")).unwrap();
    let server = start(ServerConfig { scenario: Some(scenario), ..config(Pace::Stepped, None) }).unwrap();
    run(async {
        let client = Client::new(&server);
        let at = async |ms: i64| client.step(json!({"until": START + ms})).await;
        at(1000).await;
        let status = async |symbol: &str| {
            let info = client.get(&format!("/api/v3/exchangeInfo?symbol={symbol}")).await;
            info["symbols"][0]["status"].as_str().unwrap().to_owned()
        };
        assert_eq!(status("BTCUSDT").await, "CANCEL_ONLY");
        assert_ne!(client.signed("POST", "order", ORDER).await.status, 200);
        at(5000).await;
        assert_eq!(status("BTCUSDT").await, "TRADING");
        at(10_000).await;
        assert_eq!(client.time().await, START + 13_000);
        let query = format!("timestamp={}", START + 7999);
        let url = format!("/api/v3/account?{query}&signature={}", hmac(&query));
        assert_eq!(client.send("GET", &url, Some("key-hmac"), String::new()).await.body["code"], -1021);
        at(15_000).await;
        assert_eq!(client.time().await, START + 15_000);
        at(20_000).await;
        let mut api = client.connect("/ws-api/v3").await;
        let params = signed_params(json!({}), "key-ed", START + 20_000);
        assert_eq!(
            api.ask(&json!({"id": 1, "method": "session.logon", "params": params})).await["error"]["code"],
            -2015
        );
        let price = async || {
            client.get("/api/v3/ticker/price?symbol=BTCUSDT").await["price"].as_str().unwrap().parse::<f64>().unwrap()
        };
        let before = price().await;
        at(39_000).await;
        assert!(price().await < 0.6 * before);
        let account = client.signed("GET", "account", "").await.body;
        assert_eq!(account["balances"][1]["free"], "99000.00000000");
        at(40_000).await;
        let schedule = client.send("GET", "/sapi/v1/spot/delist-schedule", Some("key-hmac"), String::new()).await.body;
        assert_eq!(schedule, json!([{"delistTime": START + 45_000, "symbols": ["ETHUSDT"]}]));
        assert_eq!(status("ETHUSDT").await, "TRADING");
        at(45_000).await;
        assert_eq!(status("ETHUSDT").await, "BREAK");
        let mut stream = client.connect("/ws").await;
        at(50_000).await;
        assert_eq!(stream.next().await.unwrap()["e"], "serverShutdown");
        at(51_000).await;
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn orders_and_rules_change_by_faults() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let open = async || client.signed("GET", "openOrders", "").await.body.as_array().unwrap().len();
        let balance = async |asset: &str| {
            let account = client.signed("GET", "account", "").await.body;
            let balances = account["balances"].as_array().unwrap().clone();
            balances.into_iter().find(|balance| balance["asset"] == asset).unwrap()
        };
        assert_eq!(client.signed("POST", "order", ORDER).await.status, 200);
        assert_eq!((open().await, &balance("USDT").await["locked"]), (1, &json!("5000.00000000")));
        client.fault(json!({"kind": "orders_lost"})).await;
        assert_eq!((open().await, &balance("USDT").await["locked"]), (0, &json!("0.00000000")));
        assert_eq!(client.signed("GET", "order", "symbol=BTCUSDT&orderId=1").await.body["code"], -2013);

        let trade =
            json!({"kind": "manual_trade", "account": "hmac", "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.4"});
        client.fault(trade).await;
        assert_eq!(balance("BTC").await["free"], "0.60000000");
        let all = client.signed("GET", "allOrders", "symbol=BTCUSDT").await.body;
        assert!(all[0]["clientOrderId"].as_str().unwrap().starts_with("web_"), "{all}");

        let rules = json!({"kind": "filter_change", "symbol": "BTCUSDT", "step_size": "0.1", "notional_min": 50});
        client.fault(rules).await;
        let info = client.get("/api/v3/exchangeInfo?symbol=BTCUSDT").await;
        let filters = info["symbols"][0]["filters"].as_array().unwrap().clone();
        let filter = |name: &str| filters.iter().find(|filter| filter["filterType"] == name).unwrap().clone();
        assert_eq!(filter("LOT_SIZE")["stepSize"], "0.10000000");
        assert_eq!(filter("NOTIONAL")["minNotional"], "50.00000000");
        let odd = ORDER.replace("quantity=0.1", "quantity=0.15");
        assert_eq!(client.signed("POST", "order", &odd).await.body["code"], -1013);

        assert_eq!(client.signed("POST", "order", ORDER).await.status, 200);
        let time = client.time().await;
        let mut user = client.connect("/ws-api/v3").await;
        let params = signed_params(json!({}), "key-hmac", time);
        user.ask(&json!({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})).await;
        client.fault(json!({"kind": "delisting", "symbol": "BTCUSDT", "notice_ms": 0})).await;
        let event = user.next().await.unwrap()["event"].clone();
        assert_eq!((&event["x"], &event["eR"]), (&json!("EXPIRED"), &json!("EXCHANGE_CANCELED")));
        assert_eq!(open().await, 0);
        let unknown = json!({"kind": "transfer", "account": "nobody", "asset": "USDT", "amount": 1});
        client.fault(unknown).await;
        let faults = client.get("/admin/faults").await["faults"].clone();
        let errors: Vec<&Value> = faults.as_array().unwrap().iter().map(|fault| &fault["error"]).collect();
        assert_eq!(errors[..4], [&Value::Null; 4]);
        assert!(errors[4].as_str().unwrap().contains("-2015"), "{faults}");
    });
}

#[test]
fn a_resting_order_fills_slowly_and_in_parts() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        client.fault(json!({"kind": "slow_fills", "share": "0.25"})).await;
        assert_eq!(client.signed("POST", "order", ORDER).await.status, 200);
        client.fault(json!({"kind": "price_crash", "symbol": "BTCUSDT", "share": "-0.3"})).await;
        client.step(json!({"until": START + 31_000})).await;
        let order = client.signed("GET", "order", "symbol=BTCUSDT&orderId=1").await.body;
        assert_eq!(order["status"], "PARTIALLY_FILLED", "{order}");
        let trades = client.signed("GET", "myTrades", "symbol=BTCUSDT").await.body;
        let parts: Vec<&Value> = trades.as_array().unwrap().iter().map(|trade| &trade["qty"]).collect();
        assert!(parts.len() > 1 && parts.iter().all(|part| **part == "0.02500000"), "{parts:?}");
        assert_eq!(client.send("DELETE", "/admin/faults", None, String::new()).await.status, 200);
    });
}

#[test]
fn requests_and_answers_are_slow_as_they_are_told() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        let slow = |protocol: &str| json!({"kind": "latency", "protocol": protocol, "distribution": "constant", "ms": 80, "count": 1});
        client.fault(slow("rest")).await;
        let ping = client.send("GET", "/api/v3/ping", None, String::new());
        let mut ping = std::pin::pin!(ping);
        assert!(tokio::time::timeout(Duration::from_millis(30), &mut ping).await.is_err());
        assert_eq!(ping.await.status, 200);
        let mut api = client.connect("/ws-api/v3").await;
        client.fault(slow("ws_api")).await;
        api.send(&json!({"id": 1, "method": "ping"})).await;
        api.send(&json!({"id": 2, "method": "ping"})).await;
        assert_eq!([api.next().await.unwrap()["id"].clone(), api.next().await.unwrap()["id"].clone()], [2, 1]);
        client.fault(slow("stream")).await;
        let mut stream = client.connect("/ws/btcusdt@trade").await;
        client.step(json!({"until": START + 60_000})).await;
        assert!(tokio::time::timeout(Duration::from_millis(30), stream.next()).await.is_err());
        let first = stream.next().await.unwrap()["t"].as_u64().unwrap();
        assert_eq!(stream.next().await.unwrap()["t"], first + 1, "a line keeps its order");
    });
}

#[test]
fn bad_faults_are_refused_whole() {
    let server = stepped();
    run(async {
        let client = Client::new(&server);
        let reply = client.admin("faults", json!({"faults": [{"kind": "gone"}, {"kind": "magic"}]})).await;
        assert_eq!(reply.status, 400);
        let error = reply.body["error"].as_str().unwrap();
        assert!(error.contains("fault 2") && error.contains("allowed are latency"), "{error}");
        assert_eq!(client.get("/admin/faults").await["faults"], Value::Array(Vec::new()));
        assert_eq!(client.send("DELETE", "/admin/faults", None, "{\"id\": 9}".into()).await.status, 400);
    });
}
