//! Tests of the server by a plain client: REST and WebSocket round trips, signatures, steps, restarts, kills.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod kit;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use simulator::server::{Limits, Pace, ServerConfig, peek_state, start};

use kit::*;

#[test]
fn public_requests_are_answered_from_the_market() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        assert_eq!(client.time().await, START);
        client.step(json!({"until": START + 90_000})).await;
        let reply = client.send("GET", "/api/v3/exchangeInfo?symbol=BTCUSDT", None, String::new()).await;
        assert_eq!((reply.status, reply.used.as_deref()), (200, Some("20")));
        let symbol = &reply.body["symbols"][0];
        assert_eq!((&symbol["baseAsset"], &symbol["status"]), (&json!("BTC"), &json!("TRADING")));
        assert_eq!(symbol["filters"][1]["stepSize"], "0.00001000");
        let klines = client.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=3").await;
        let rows = klines.as_array().unwrap();
        assert_eq!(
            rows.iter().map(|row| row[0].as_i64().unwrap()).collect::<Vec<_>>(),
            [START - 600_000, START - 300_000, START]
        );
        let from = START - 120_000;
        let minutes = client.get(&format!("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={from}")).await;
        assert_eq!(minutes.as_array().unwrap().len(), 4);
        assert_eq!(minutes[2][6], START + 59_999);
        let book = client.get("/api/v3/ticker/bookTicker?symbol=BTCUSDT").await;
        let depth = client.get("/api/v3/depth?symbol=BTCUSDT&limit=5").await;
        assert_eq!(depth["bids"][0][0], book["bidPrice"]);
        assert_eq!(depth["asks"].as_array().unwrap().len(), 5);
        assert_eq!(client.get("/api/v3/ticker/price").await.as_array().unwrap().len(), 2);
        assert_eq!(client.get("/api/v3/aggTrades?symbol=BTCUSDT&limit=2").await.as_array().unwrap().len(), 2);
        assert_eq!(client.get("/api/v3/klines?symbol=BTCUSDT&interval=7m").await["code"], -1120);
        assert_eq!(client.get("/api/v3/depth?symbol=NOPE").await["code"], -1121);
        assert_eq!(client.send("POST", "/api/v3/userDataStream", None, String::new()).await.status, 410);
        assert_eq!(client.send("GET", "/api/v3/nothing", None, String::new()).await.status, 404);
    });
    server.stop();
}

#[test]
fn an_order_lives_over_rest() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let test = client.signed("POST", "order/test", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1").await;
        assert_eq!((test.status, test.body), (200, json!({})));
        let bought = client.signed("POST", "order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1").await.body;
        assert_eq!((&bought["status"], &bought["executedQty"]), (&json!("FILLED"), &json!("0.10000000")));
        assert_eq!(bought["fills"][0]["commission"], "0.00010000");
        let rest = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=50000&newClientOrderId=mine";
        assert_eq!(client.signed("POST", "order", rest).await.body["status"], "NEW");
        let twice = client.signed("POST", "order", rest).await;
        assert_eq!((twice.status, twice.body), (400, json!({"code": -2010, "msg": "Duplicate order sent."})));
        assert_eq!(client.signed("GET", "openOrders", "").await.body[0]["clientOrderId"], "mine");
        let account = client.signed("GET", "account", "").await.body;
        assert_eq!(account["balances"][1]["locked"], "5000.00000000");
        let found = client.signed("GET", "order", "symbol=BTCUSDT&origClientOrderId=mine").await.body;
        assert_eq!((&found["orderId"], &found["isWorking"]), (&json!(2), &json!(true)));
        let cancel = client.signed("DELETE", "order", "symbol=BTCUSDT&orderId=2&newClientOrderId=end").await.body;
        assert_eq!((&cancel["origClientOrderId"], &cancel["clientOrderId"]), (&json!("mine"), &json!("end")));
        assert_eq!(client.signed("DELETE", "order", "symbol=BTCUSDT&orderId=2").await.body["code"], -2011);
        assert_eq!(client.signed("DELETE", "openOrders", "symbol=BTCUSDT").await.body["code"], -2011);
        assert_eq!(client.signed("GET", "order", "symbol=BTCUSDT&orderId=9").await.body["code"], -2013);
        assert_eq!(client.signed("GET", "allOrders", "symbol=BTCUSDT").await.body.as_array().unwrap().len(), 2);
        assert_eq!(client.signed("GET", "myTrades", "symbol=BTCUSDT").await.body[0]["orderId"], 1);
    });
}

#[test]
fn bad_orders_get_the_exchanges_codes() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        for (query, code) in [
            ("side=BUY&type=MARKET&quantity=1", -1102),
            ("symbol=BTCUSDT&side=UP&type=MARKET&quantity=1", -1117),
            ("symbol=BTCUSDT&side=BUY&type=MAGIC&quantity=1", -1116),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=1&timeInForce=X", -1115),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timeInForce=GTC", -1106),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=-1", -1100),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.123456789", -1111),
            ("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0", -1013),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=99999999999999999999999999", -1013),
            ("symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&newClientOrderId=a b", -1100),
            ("symbol=BTCUSDT&side=SELL&type=MARKET&quantity=2", -2010),
        ] {
            let reply = client.signed("POST", "order", &query.replace(' ', "%20")).await;
            assert_eq!((reply.status, reply.body["code"].as_i64()), (400, Some(code)), "{query}: {}", reply.body);
        }
        let reply = client.admin("status", json!({"symbol": "BTCUSDT", "status": "BREAK"})).await;
        assert_eq!(reply.status, 200);
        let closed = client.signed("POST", "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.5").await.body;
        assert_eq!(closed, json!({"code": -1013, "msg": "Market is closed."}));
    });
}

#[test]
fn signatures_keys_and_times_are_checked() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let ask = async |query: &str, key: Option<&str>| {
            let url = format!("/api/v3/account?{query}&signature={}", hmac(query));
            let reply = client.send("GET", &url, key, String::new()).await;
            (reply.status, reply.body["code"].as_i64())
        };
        let good = format!("timestamp={START}");
        assert_eq!(ask(&good, Some("key-hmac")).await, (200, None));
        assert_eq!(ask(&good, None).await, (401, Some(-2014)));
        assert_eq!(ask(&good, Some("key-none")).await, (401, Some(-2015)));
        assert_eq!(ask(&good, Some("key-ed")).await, (400, Some(-1022)));
        assert_eq!(ask("x=1", Some("key-hmac")).await, (400, Some(-1102)));
        assert_eq!(ask(&format!("timestamp={}", START - 5001), Some("key-hmac")).await, (400, Some(-1021)));
        assert_eq!(ask(&format!("timestamp={}", START + 1000), Some("key-hmac")).await, (400, Some(-1021)));
        let query = format!("timestamp={START}");
        let signature = STANDARD.encode(SigningKey::from_bytes(&ED_SEED).sign(query.as_bytes()).to_bytes());
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let url = format!("/api/v3/account?{query}&signature={signature}");
        assert_eq!(client.send("GET", &url, Some("key-ed"), String::new()).await.status, 200);
    });
}

#[test]
fn requests_may_be_stamped_with_the_machines_clock_where_that_is_told() {
    // The market stands in 2023, the machine is in 2026.
    let machine = Timestamp::from_millis(1_790_000_000_000);
    let server = start(ServerConfig { machine_time: Some(machine), ..config(Pace::Stepped, None) }).unwrap();
    run(async {
        let client = Client::new(&server);
        for (stamp, expected) in
            [(machine.as_millis(), 200), (START, 200), (machine.as_millis() - 600_000, 400), (START - 600_000, 400)]
        {
            let query = format!("timestamp={stamp}&recvWindow=60000");
            let url = format!("/api/v3/account?{query}&signature={}", hmac(&query));
            let reply = client.send("GET", &url, Some("key-hmac"), String::new()).await;
            assert_eq!(reply.status, expected, "{stamp}: {}", reply.body);
        }
    });
}

#[test]
fn the_weight_limit_holds() {
    let server = start(ServerConfig {
        limits: Limits { request_weight_max: 30, ..Limits::default() },
        ..config(Pace::Stepped, None)
    })
    .unwrap();
    run(async {
        let client = Client::new(&server);
        assert_eq!(client.send("GET", "/api/v3/exchangeInfo", None, String::new()).await.status, 200);
        let refused = client.send("GET", "/api/v3/exchangeInfo", None, String::new()).await;
        assert_eq!((refused.status, refused.body["code"].as_i64()), (429, Some(-1003)));
        assert!((1..=60).contains(&refused.retry_after.unwrap().parse::<u64>().unwrap()));
    });
}

#[test]
fn a_stepped_market_streams_every_frame() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut combined = client.connect("/stream?streams=btcusdt@trade/btcusdt@kline_1m/nothing@trade").await;
        let mut raw = client.connect("/ws/1").await;
        let answer = raw.ask(&json!({"method": "SUBSCRIBE", "params": ["ethusdt@bookTicker"], "id": 5})).await;
        assert_eq!(answer, json!({"result": null, "id": 5}));
        let listed = raw.ask(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 6})).await;
        assert_eq!(listed["result"], json!(["1", "ethusdt@bookTicker"]));
        assert_eq!(client.step(json!({})).await["time"], START);
        let stepped = client.step(json!({"until": START + 60_000})).await;
        assert_eq!((&stepped["time"], &stepped["done"]), (&json!(START + 60_000), &json!(false)));
        let frames = stepped["frames"][&combined.id].as_u64().unwrap();
        let mut closed = None;
        for _ in 0..frames {
            let frame = combined.next().await.unwrap();
            assert!(frame["stream"].as_str().unwrap().starts_with("btcusdt@"));
            if frame["data"]["k"]["x"] == true {
                closed = Some(frame["data"]["k"].clone());
            }
        }
        let closed = closed.unwrap();
        assert_eq!((&closed["t"], &closed["T"]), (&json!(START), &json!(START + 59_999)));
        let row = client.get(&format!("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={START}&limit=1")).await;
        assert_eq!((&row[0][4], &row[0][2]), (&closed["c"], &closed["h"]));
        let quote = raw.next().await.unwrap();
        assert_eq!((&quote["s"], &quote["e"]), (&json!("ETHUSDT"), &Value::Null));
        assert_eq!(client.step(json!({"events": 3})).await["done"], false);
        assert_eq!(client.admin("step", json!({"events": 1, "until": 5})).await.status, 400);
        assert_eq!(client.admin("speed", json!({"speed": 5})).await.status, 400);
    });
}

#[test]
fn an_account_hears_of_its_orders_on_the_websocket_api() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let time = client.step(json!({"events": 4})).await["time"].as_i64().unwrap();
        let mut user = client.connect("/ws-api/v3").await;
        let subscribe = json!({"id": "1", "method": "userDataStream.subscribe.signature", "params": signed_params(json!({}), "key-hmac", time)});
        let answer = user.ask(&subscribe).await;
        assert_eq!((&answer["status"], &answer["result"]), (&json!(200), &json!({"subscriptionId": 0})));
        assert_eq!(answer["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
        assert_eq!(user.ask(&subscribe).await["error"]["code"], -2035);
        let order = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.10000000", "newClientOrderId": "mine"});
        user.send(&json!({"id": "2", "method": "order.place", "params": signed_params(order, "key-hmac", time)})).await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let frame = user.next().await.unwrap();
            let event = &frame["event"];
            seen.push(match event["e"].as_str() {
                Some("executionReport") => format!("{} {} {}", event["x"], event["X"], event["n"]).replace('"', ""),
                Some(other) => other.to_owned(),
                None => format!("answer {}", frame["result"]["status"]).replace('"', ""),
            });
        }
        seen.sort();
        let expected = ["NEW NEW 0.00000000", "TRADE FILLED 0.00010000", "answer FILLED", "outboundAccountPosition"];
        assert_eq!(seen, expected);
        let hmac_logon =
            json!({"id": 3, "method": "session.logon", "params": signed_params(json!({}), "key-hmac", time)});
        assert_ne!(user.ask(&hmac_logon).await["status"], 200);
        let logon = json!({"id": 4, "method": "session.logon", "params": signed_params(json!({}), "key-ed", time)});
        assert_eq!(user.ask(&logon).await["status"], 200);
        let account = user.ask(&json!({"id": 5, "method": "account.status", "params": {"timestamp": time}})).await;
        assert_eq!(account["result"]["balances"][0]["free"], "1.00000000");
        assert_eq!(
            user.ask(&json!({"id": 6, "method": "userDataStream.subscribe"})).await["result"]["subscriptionId"],
            1
        );
        let deposit = json!({"account": "ed", "asset": "USDT", "amount": "5"});
        assert_eq!(client.admin("deposit", deposit).await.status, 200);
        assert_eq!(user.next().await.unwrap()["event"]["e"], "balanceUpdate");
        assert_eq!(
            user.next().await.unwrap(),
            json!({
                "subscriptionId": 1,
                "event": {"e": "outboundAccountPosition", "E": time, "u": time, "B": [{"a": "USDT", "f": "100005.00000000", "l": "0.00000000"}]},
            })
        );
        assert_eq!(user.ask(&json!({"id": 7, "method": "no.such"})).await["status"], 400);
    });
}

#[test]
fn a_timed_market_runs_at_its_speed_and_can_be_paused_and_crashed() {
    let server = start(config(Pace::Timed { speed: 600.0 }, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut stream = client.connect("/ws/btcusdt@kline_1m").await;
        let before = client.get("/api/v3/ticker/price?symbol=BTCUSDT").await;
        while stream.next().await.unwrap()["k"]["x"] != true {}
        assert!(client.time().await >= START + 60_000);
        let paused = client.admin("pause", json!({})).await.body["time"].as_i64().unwrap();
        assert_eq!(client.time().await, paused);
        let crashed = client.admin("crash", json!({"symbol": "BTCUSDT", "share": -0.5})).await;
        assert_eq!(crashed.status, 200, "{}", crashed.body);
        client.admin("resume", json!({})).await;
        client.admin("speed", json!({"speed": 6000})).await;
        let price = async || {
            let body = client.get("/api/v3/ticker/price?symbol=BTCUSDT").await;
            body["price"].as_str().unwrap().parse::<f64>().unwrap()
        };
        while price().await > 0.7 * before["price"].as_str().unwrap().parse::<f64>().unwrap() {
            tokio::task::yield_now().await;
        }
        let state = client.get("/admin/state").await;
        assert_eq!(
            (&state["mode"], &state["speed"], &state["paused"]),
            (&json!("timed"), &json!(6000.0), &json!(false))
        );
    });
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=50000&newClientOrderId=mine";
    let server = start(config(Pace::Stepped, Some(&path))).unwrap();
    let (time, next) = run(async {
        let client = Client::new(&server);
        client.step(json!({"until": START + 600_000})).await;
        client.admin("crash", json!({"symbol": "ETHUSDT", "share": "-0.5"})).await;
        assert_eq!(client.signed("POST", "order", limit).await.status, 200);
        client.step(json!({"events": 3})).await;
        (client.time().await, client.get("/admin/state").await["next"].clone())
    });
    server.stop();
    let summary = peek_state(&path).unwrap().unwrap();
    assert_eq!((summary.market_start.as_millis(), summary.clock.as_millis()), (START, time));
    let server = start(config(Pace::Stepped, Some(&path))).unwrap();
    run(async {
        let client = Client::new(&server);
        assert_eq!((client.time().await, client.get("/admin/state").await["next"].clone()), (time, next));
        assert_eq!(client.signed("GET", "openOrders", "").await.body[0]["clientOrderId"], "mine");
        client.step(json!({"until": time + 300_000})).await;
        let price = client.get("/api/v3/ticker/price?symbol=ETHUSDT").await["price"].as_str().unwrap().parse::<f64>();
        assert!(price.unwrap() < 1500.0);
    });
    server.stop();
    let error = start(ServerConfig { market_name: "other".into(), ..config(Pace::Stepped, Some(&path)) }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("state.json") && text.contains("move it away"), "{text}");
    std::fs::write(&path, "{").unwrap();
    assert!(start(config(Pace::Stepped, Some(&path))).unwrap_err().to_string().contains("is damaged"));
}

#[test]
fn after_a_kill_no_time_is_served_twice() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    let fast = Pace::Timed { speed: 300.0 };
    let server = start(config(fast, Some(&path))).unwrap();
    let (seen, killed) = run(async {
        let client = Client::new(&server);
        let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1";
        assert_eq!(client.signed("POST", "order", market).await.body["status"], "FILLED");
        while client.time().await < START + 120_000 {}
        // What a kill leaves is what is on the disk now.
        let seen = client.time().await;
        (seen, std::fs::read(&path).unwrap())
    });
    server.stop();
    std::fs::write(&path, killed).unwrap();
    assert!(peek_state(&path).unwrap().unwrap().clock.as_millis() > seen);
    let server = start(config(fast, Some(&path))).unwrap();
    run(async {
        let client = Client::new(&server);
        assert!(client.time().await > seen);
        assert_eq!(client.signed("GET", "myTrades", "symbol=BTCUSDT").await.body.as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let server = start(config(Pace::Timed { speed: 1.0 }, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let _silent = client
            .connect("/stream?streams=btcusdt@trade/btcusdt@bookTicker/ethusdt@bookTicker/btcusdt@kline_1m")
            .await;
        assert_eq!(client.get("/admin/state").await["connections"], 1);
        client.admin("speed", json!({"speed": 500_000})).await;
        while client.get("/admin/state").await["connections"] != 0 {}
    });
}
