//! Tests of limits over real sockets: weight, orders, bans, and what WebSocket connections may do.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod kit;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use awc::ws::{Frame, Message};
use futures_util::{SinkExt, StreamExt};
use kit::*;
use serde_json::{Value, json};
use simulator::server::{Limits, Pace, ServerConfig, start};

fn limited(limits: Limits) -> ServerConfig {
    ServerConfig { limits, ..config(Pace::Stepped, None) }
}

#[test]
fn who_goes_on_after_a_429_is_banned_and_others_are_not() {
    let limits = Limits { request_weight_max: 41, limited_requests_max: 1, ..Limits::default() };
    let server = start(limited(limits)).unwrap();
    run(async {
        let client = Client::new(&server);
        let connector = awc::Connector::new().local_address(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
        let other = awc::Client::builder().connector(connector).finish();
        let ask = async || client.send("GET", "/api/v3/exchangeInfo", None, String::new()).await;
        let mut api = client.connect("/ws-api/v3").await;
        let info = ask().await;
        assert_eq!((info.status, info.used.as_deref()), (200, Some("22")));
        assert_eq!(info.body["rateLimits"][0]["limit"], 41);
        for _ in 0..2 {
            let refused = ask().await;
            let seconds = refused.retry_after.as_deref();
            assert_eq!((refused.status, refused.body["code"].as_i64(), seconds), (429, Some(-1003), Some("60")));
        }
        let frame = api.ask(&json!({"id": 1, "method": "time"})).await;
        let until = START + 120_000;
        assert_eq!(frame["status"], 418);
        assert_eq!(frame["error"]["data"], json!({"serverTime": START, "retryAfter": until}));
        assert!(frame["error"]["msg"].as_str().unwrap().contains(&until.to_string()), "{frame}");
        assert_eq!(api.next().await, None, "who is banned is disconnected");
        let banned = ask().await;
        assert_eq!((banned.status, banned.retry_after.as_deref()), (418, Some("120")));
        let url = format!("http://{}/api/v3/time", client.address);
        assert_eq!(other.get(url).send().await.unwrap().status().as_u16(), 200);
        client.step(json!({"until": until})).await;
        assert_eq!(ask().await.status, 200);
    });
}

#[test]
fn orders_are_counted_until_they_fill_and_cost_no_weight() {
    let server = start(limited(Limits { orders_10s_max: 2, ..Limits::default() })).unwrap();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.1&price=50000";
        let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1";
        let before = client.send("GET", "/api/v3/ping", None, String::new()).await.used.unwrap();
        let first = client.signed("POST", "order", limit).await;
        let counts = |reply: &Reply| {
            ["x-mbx-order-count-10s", "x-mbx-order-count-1d"].map(|name| reply.headers.get(name).cloned())
        };
        assert_eq!((first.status, counts(&first)), (200, [Some("1".into()), Some("1".into())]));
        let weight = before.parse::<u32>().unwrap() + 1; // the time that was asked for, for the signature
        assert_eq!(first.used, Some(weight.to_string()));
        assert_eq!(counts(&client.signed("POST", "order", market).await), [Some("1".into()), Some("1".into())]);
        assert_eq!(counts(&client.signed("POST", "order", limit).await)[0], Some("2".into()));
        let refused = client.signed("POST", "order", limit).await;
        assert_eq!((refused.status, refused.body["code"].as_i64()), (429, Some(-1015)));
        let window = 10 - (client.time().await / 1000) % 10;
        assert_eq!(refused.retry_after, Some(window.to_string()));
        assert_eq!(client.signed("DELETE", "openOrders", "symbol=BTCUSDT").await.status, 200);
        assert_eq!(client.signed("POST", "order", limit).await.status, 429, "a cancel gives nothing back");
        client.step(json!({"until": client.time().await + 10_000})).await;
        assert_eq!(client.signed("POST", "order", limit).await.status, 200);
        let failed = client.signed("POST", "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=99").await;
        assert_eq!((failed.status, counts(&failed)), (400, [None, None]));
        let mut api = client.connect("/ws-api/v3").await;
        let order = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"});
        let params = signed_params(order, "key-hmac", client.time().await);
        let answer = api.ask(&json!({"id": 1, "method": "order.place", "params": params})).await;
        let shown: Vec<&Value> =
            answer["rateLimits"].as_array().unwrap().iter().map(|it| &it["rateLimitType"]).collect();
        assert_eq!(shown, ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]);
        let quiet = api.ask(&json!({"id": 2, "method": "ping", "params": {"returnRateLimits": false}})).await;
        assert_eq!(quiet, json!({"id": 2, "status": 200, "result": {}}));
        let mut quiet = client.connect("/ws-api/v3?returnRateLimits=false").await;
        assert_eq!(quiet.ask(&json!({"id": 3, "method": "ping"})).await["rateLimits"], Value::Null);
    });
}

#[test]
fn a_list_counts_its_orders() {
    let server = start(limited(Limits { orders_10s_max: 3, ..Limits::default() })).unwrap();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        let pair = "symbol=BTCUSDT&side=SELL&quantity=0.1&aboveType=LIMIT_MAKER&abovePrice=90000&belowType=STOP_LOSS&\
                    belowStopPrice=30000";
        let placed = client.signed("POST", "orderList/oco", pair).await;
        assert_eq!((placed.status, placed.headers["x-mbx-order-count-10s"].as_str()), (200, "2"), "{}", placed.body);
        assert_eq!(client.signed("POST", "orderList/oco", pair).await.body["code"], -1015);
        let nothing =
            "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=99";
        assert_eq!(client.signed("POST", "order/cancelReplace", nothing).await.body["code"], -2022);
        let counts = client.signed("GET", "rateLimit/order", "").await.body;
        assert_eq!((&counts[0]["limit"], &counts[0]["count"], &counts[1]["count"]), (&json!(3), &json!(3), &json!(3)));
    });
}

#[test]
fn a_connection_has_its_limits() {
    let limits = Limits { messages_1s_max: 3, streams_max: 2, connections_max: 3, ..Limits::default() };
    let server = start(limited(limits)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut loud = client.connect("/ws").await;
        let many = json!({"method": "SUBSCRIBE", "params": ["a@trade", "b@trade", "c@trade"], "id": 1});
        assert_eq!(loud.ask(&many).await["code"], 2);
        let list = json!({"method": "LIST_SUBSCRIPTIONS", "id": 2});
        for _ in 0..20 {
            // It may be cut before all of them are sent.
            let _ = loud.framed.send(Message::Text(list.to_string().into())).await;
        }
        while loud.next().await.is_some() {}
        let url = |path: &str| format!("http://{}{path}", client.address);
        assert!(client.http.ws(url("/stream?streams=a@trade/b@trade/c@trade")).connect().await.is_err());
        assert!(client.http.ws(url("/ws/a@trade")).connect().await.is_ok());
        assert!(client.http.ws(url("/ws/a@trade")).connect().await.is_err());
    });
}

#[test]
fn who_does_not_answer_pings_is_cut_and_nobody_stays_for_ever() {
    let fast = Duration::from_millis(30);
    let limits = Limits { ping_every: fast, pong_within: fast * 3, messages_1s_max: 10_000, ..Limits::default() };
    let server = start(limited(limits)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut deaf = client.connect("/ws/btcusdt@trade").await;
        let mut pings = 0;
        while let Some(Ok(frame)) = deaf.framed.next().await {
            match frame {
                Frame::Ping(payload) => {
                    pings += 1;
                    // A pong that nobody asked for.
                    let _ = deaf.framed.send(Message::Pong(format!("not {payload:?}").into())).await;
                }
                Frame::Close(_) => break,
                _ => {}
            }
        }
        assert_eq!(pings, 3);
        let mut polite = client.connect("/ws/btcusdt@trade").await;
        for _ in 0..12 {
            match polite.framed.next().await.unwrap().unwrap() {
                Frame::Ping(payload) => polite.framed.send(Message::Pong(payload)).await.unwrap(),
                other => panic!("{other:?}"),
            }
        }
    });
    let server = start(limited(Limits { connection_life: fast, ..Limits::default() })).unwrap();
    run(async {
        assert_eq!(Client::new(&server).connect("/ws/btcusdt@trade").await.next().await, None);
    });
}
