//! Tests of market data over real sockets: depth and its synchronisation, tickers, averages, candles of every length.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod kit;

use std::collections::BTreeMap;

use awc::ws::Message;
use futures_util::SinkExt;
use kit::*;
use serde_json::{Value, json};
use simulator::server::{Pace, start};

/// A book as a client keeps it.
#[derive(Default, PartialEq, Debug)]
struct Book {
    update: u64,
    sides: [BTreeMap<String, String>; 2],
}

impl Book {
    fn of(snapshot: &Value) -> Self {
        let mut book = Self { update: snapshot["lastUpdateId"].as_u64().unwrap(), ..Self::default() };
        book.put([&snapshot["bids"], &snapshot["asks"]]);
        book
    }

    fn put(&mut self, rows: [&Value; 2]) {
        for (side, rows) in self.sides.iter_mut().zip(rows) {
            for row in rows.as_array().unwrap() {
                let (price, quantity) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
                if quantity == "0.00000000" {
                    side.remove(price);
                } else {
                    side.insert(price.into(), quantity.into());
                }
            }
        }
    }

    /// As the exchange documents it; false where there is a gap.
    fn apply(&mut self, event: &Value) -> bool {
        let (first, last) = (event["U"].as_u64().unwrap(), event["u"].as_u64().unwrap());
        if last <= self.update {
            return true;
        }
        if first > self.update + 1 {
            return false;
        }
        self.put([&event["b"], &event["a"]]);
        self.update = last;
        true
    }
}

/// How many frames a connection has had.
fn count(step: &Value, connection: &Connection) -> u64 {
    step["frames"][&connection.id].as_u64().unwrap()
}

async fn frames(connection: &mut Connection, count: u64) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(connection.next().await.unwrap());
    }
    all
}

#[test]
fn a_book_that_is_kept_by_changes_is_the_book_that_is_asked_for() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        for stream in ["btcusdt@depth@100ms", "btcusdt@depth"] {
            let from = client.time().await;
            client.step(json!({"until": from + 20_000})).await;
            let mut changes = client.connect(&format!("/ws/{stream}")).await;
            let mut book: Option<Book> = None;
            let mut applied = 0;
            let mut seen = 0;
            for number in 0..40 {
                let step = client.step(json!({"events": 3})).await;
                let now = step["time"].as_i64().unwrap();
                if number == 5 {
                    book = Some(Book::of(&client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").await));
                }
                let all = count(&step, &changes);
                let new = frames(&mut changes, all - seen).await;
                seen = all;
                for event in &new {
                    assert!(event["E"].as_i64().unwrap() <= now);
                    if let Some(book) = &mut book {
                        assert!(book.apply(event), "{event}");
                        applied += 1;
                    }
                }
            }
            let step = client.step(json!({"until": client.time().await + 1000})).await;
            let rest = count(&step, &changes) - seen;
            for event in frames(&mut changes, rest).await {
                assert!(book.as_mut().unwrap().apply(&event));
            }
            assert!(applied > 5, "{applied}");
            assert_eq!(book.unwrap(), Book::of(&client.get("/api/v3/depth?symbol=BTCUSDT&limit=5000").await));
        }
        let depth = client.get("/api/v3/depth?symbol=BTCUSDT&limit=9999").await;
        assert_eq!(depth["bids"].as_array().unwrap().len(), 500);
        let number = |row: &Value| row[0].as_str().unwrap().parse::<f64>().unwrap();
        let bids: Vec<f64> = depth["bids"].as_array().unwrap().iter().map(number).collect();
        assert!(bids.is_sorted_by(|one, next| one > next) && bids[0] < number(&depth["asks"][0]));
    });
}

#[test]
fn a_lost_change_is_seen_by_its_numbers() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut changes = client.connect("/ws/btcusdt@depth@100ms").await;
        client.step(json!({"until": START + 20_000})).await;
        let mut book = Book::of(&client.get("/api/v3/depth?symbol=BTCUSDT").await);
        client.fault(json!({"kind": "depth_gap", "symbol": "BTCUSDT", "count": 1})).await;
        let step = client.step(json!({"until": START + 120_000})).await;
        let told = count(&step, &changes);
        let events = frames(&mut changes, told).await;
        assert!(events.iter().any(|event| !book.apply(event)));
    });
}

#[test]
fn tickers_and_averages_are_told_and_answered() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let kinds =
            "btcusdt@ticker/btcusdt@miniTicker/!miniTicker@arr/btcusdt@avgPrice/btcusdt@depth5/btcusdt@depth10@100ms";
        let mut all = client.connect(&format!("/stream?streams={kinds}")).await;
        let step = client.step(json!({"until": START + 60_000})).await;
        let mut last = BTreeMap::new();
        let told = count(&step, &all);
        for frame in frames(&mut all, told).await {
            last.insert(frame["stream"].as_str().unwrap().to_owned(), frame["data"].clone());
        }
        assert_eq!(last.len(), 6);
        let ticker = &last["btcusdt@ticker"];
        assert_eq!((&ticker["e"], ticker["E"].as_i64().unwrap() % 1000), (&json!("24hrTicker"), 0));
        assert_eq!(last["!miniTicker@arr"].as_array().unwrap().len(), 2);
        assert_eq!(last["btcusdt@miniTicker"]["c"], ticker["c"]);
        assert_eq!(last["btcusdt@avgPrice"]["i"], "5m");
        assert_eq!(last["btcusdt@depth5"]["bids"].as_array().unwrap().len(), 5);
        assert_eq!(last["btcusdt@depth10@100ms"]["asks"].as_array().unwrap().len(), 10);
        let day = client.get("/api/v3/ticker/24hr?symbol=BTCUSDT").await;
        assert_eq!(day["lastPrice"], client.get("/api/v3/ticker/price?symbol=BTCUSDT").await["price"]);
        let number = |name: &str| day[name].as_str().unwrap().parse::<f64>().unwrap();
        assert!(number("lowPrice") <= number("openPrice") && number("openPrice") <= number("highPrice"));
        assert!(number("volume") > 0.0 && day["count"].as_u64().unwrap() > 5000);
        let rows = client.get("/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=2").await;
        assert_eq!(rows.as_array().unwrap().len(), 2);
        let two = client.get("/api/v3/ticker/24hr?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D&type=MINI").await;
        assert_eq!((two.as_array().unwrap().len(), &two[0]["bidPrice"]), (2, &Value::Null));
        let average = client.get("/api/v3/avgPrice?symbol=BTCUSDT").await;
        assert_eq!(average["mins"], 5);
        let trades = client.get("/api/v3/trades?symbol=BTCUSDT&limit=2").await;
        let from = trades[0]["id"].as_u64().unwrap();
        let path = format!("/api/v3/historicalTrades?symbol=BTCUSDT&fromId={from}");
        assert_eq!(client.get(&path).await, trades);
        for (path, code) in [
            ("ticker/24hr?symbol=NOPE", -1121),
            ("avgPrice?symbol=NOPE", -1121),
            ("ticker/24hr?type=X", -1130),
            ("klines?symbol=BTCUSDT&interval=1d&timeZone=99", -1130),
            ("trades?symbol=NOPE", -1121),
        ] {
            assert_eq!(client.get(&format!("/api/v3/{path}")).await["code"], code, "{path}");
        }
    });
}

#[test]
fn candles_of_other_lengths_are_built_from_minutes() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut stream = client.connect("/ws/btcusdt@kline_3m").await;
        let step = client.step(json!({"until": START + 180_000})).await;
        let told = count(&step, &stream);
        let events = frames(&mut stream, told).await;
        let closed: Vec<&Value> = events.iter().map(|event| &event["k"]).filter(|k| k["x"] == true).collect();
        assert_eq!(closed.len(), 1);
        assert!(events.len() > 5);
        let path = |interval: &str, rest: &str| format!("/api/v3/klines?symbol=BTCUSDT&interval={interval}{rest}");
        let row = client.get(&path("3m", &format!("&startTime={START}&limit=1"))).await[0].clone();
        let minutes = client.get(&path("1m", &format!("&startTime={START}&limit=3"))).await;
        assert_eq!((&row[1], &row[4]), (&minutes[0][1], &minutes[2][4]));
        assert_eq!((&row[0], &row[6]), (&json!(START), &json!(START + 179_999)));
        assert_eq!((&closed[0]["t"], &closed[0]["c"], &closed[0]["v"]), (&row[0], &row[4], &row[5]));
        let days = client.get(&path("1d", "&timeZone=8")).await;
        let hour = 3_600_000;
        let opens: Vec<i64> = days.as_array().unwrap().iter().map(|day| day[0].as_i64().unwrap()).collect();
        assert!(opens.len() >= 2 && opens.iter().all(|open| (open + 8 * hour) % (24 * hour) == 0), "{opens:?}");
        assert_eq!(client.get(&path("1s", "")).await, json!([]));
        let newest = client.get(&path("30m", "&limit=2")).await;
        assert_eq!(newest[1][0], START);
        assert_eq!(newest[0][0], START - 1_800_000);
        assert_eq!(client.get("/api/v3/uiKlines?symbol=BTCUSDT&interval=30m&limit=2").await, newest);
    });
}

#[test]
fn a_connection_has_properties_and_a_unit_of_time() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut stream = client.connect("/ws/btcusdt@trade?timeUnit=MICROSECOND").await;
        let mut control = client.connect("/ws").await;
        let ask = |method: &str, params: Value| json!({"method": method, "params": params, "id": 1});
        assert_eq!(control.ask(&ask("GET_PROPERTY", json!(["combined"]))).await["result"], false);
        assert_eq!(control.ask(&ask("SET_PROPERTY", json!(["combined", true]))).await["result"], Value::Null);
        assert_eq!(control.ask(&ask("GET_PROPERTY", json!(["combined"]))).await["result"], true);
        assert_eq!(control.ask(&ask("SET_PROPERTY", json!(["combined", 5]))).await["code"], 1);
        let mut control = client.connect("/ws/ethusdt@trade").await;
        assert_eq!(control.ask(&ask("GET_PROPERTY", json!(["other"]))).await["code"], 0);
        assert_eq!(control.ask(&ask("MAGIC", json!([]))).await["code"], 2);
        assert_eq!(control.ask(&ask("SUBSCRIBE", json!([5]))).await["code"], 2);
        let mut broken = client.connect("/ws").await;
        broken.framed.send(Message::Text("{".into())).await.unwrap();
        assert_eq!(broken.next().await.unwrap()["code"], 3);
        client.step(json!({"events": 4})).await;
        assert_eq!(stream.next().await.unwrap()["T"], START * 1000);
        let url = format!("http://{}/api/v3/time", client.address);
        let timed = |unit: &'static str| client.http.get(&url).insert_header(("x-mbx-time-unit", unit)).send();
        let body = timed("MICROSECOND").await.unwrap().body().await.unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["serverTime"], START * 1000);
        assert_eq!(timed("DAY").await.unwrap().status().as_u16(), 400);
        let mut api = client.connect("/ws-api/v3?timeUnit=microsecond").await;
        assert_eq!(api.ask(&json!({"id": 1, "method": "time"})).await["result"]["serverTime"], START * 1000);
    });
}

#[test]
fn everybody_is_told_that_the_server_goes_away() {
    let server = start(config(Pace::Stepped, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut raw = client.connect("/ws/btcusdt@trade").await;
        let mut combined = client.connect("/stream?streams=btcusdt@trade").await;
        let mut api = client.connect("/ws-api/v3").await;
        assert_eq!(client.admin("shutdown-notice", json!({})).await.status, 200);
        let event = json!({"e": "serverShutdown", "E": START});
        assert_eq!(raw.next().await.unwrap(), event);
        assert_eq!(combined.next().await.unwrap(), json!({"stream": "!serverShutdown", "data": event}));
        assert_eq!(api.next().await.unwrap(), json!({"event": event}));
    });
}

#[test]
fn what_is_told_at_times_comes_without_an_event_of_the_market() {
    // At this speed the market has an event every quarter of a second, and a window ends every two milliseconds.
    let server = start(config(Pace::Timed { speed: 60.0 }, None)).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut changes = client.connect("/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker").await;
        let mut quoted = None;
        let event = loop {
            let frame = changes.next().await.unwrap();
            match frame["stream"].as_str().unwrap() {
                "btcusdt@bookTicker" => quoted = frame["data"]["u"].as_u64(),
                _ => break frame["data"].clone(),
            }
        };
        assert_eq!(event["u"].as_u64(), quoted, "the window of a quote ends before the next quote");
        client.fault(json!({"kind": "server_shutdown", "at_ms": 1000})).await;
        while changes.next().await.unwrap()["stream"] != "!serverShutdown" {}
    });
}
