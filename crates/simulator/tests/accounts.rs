//! Tests of keys, sessions and the wallet's interface over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]

mod kit;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kit::*;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use simulator::server::{KeyConfig, KeyMaterial, KeyPermissions, Pace, ServerConfig, start};

/// Made for this test and for nothing else.
const RSA_PRIVATE: &str = include_str!("keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("keys/rsa.pub.pem");

fn keys() -> ServerConfig {
    let mut config = config(Pace::Stepped, None);
    let hmac = || KeyMaterial::Hmac(SECRET.into());
    let none = KeyPermissions { reading: false, spot_trading: false, ..KeyPermissions::default() };
    let all = KeyPermissions {
        reading: true,
        spot_trading: false,
        withdrawals: true,
        internal_transfer: true,
        universal_transfer: true,
        margin: true,
        futures: true,
    };
    config.accounts[0].keys.extend([
        KeyConfig::new("key-rsa", KeyMaterial::RsaPublic(RSA_PUBLIC.into())),
        KeyConfig { permissions: KeyPermissions { reading: true, ..none }, ..KeyConfig::new("key-read", hmac()) },
        KeyConfig { permissions: KeyPermissions { spot_trading: true, ..none }, ..KeyConfig::new("key-trade", hmac()) },
        KeyConfig { addresses: vec!["10.0.0.1".parse().unwrap()], ..KeyConfig::new("key-away", hmac()) },
        KeyConfig {
            addresses: vec!["127.0.0.1".parse().unwrap()],
            permissions: all,
            ..KeyConfig::new("key-home", hmac())
        },
    ]);
    config
}

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01";

async fn ask(client: &Client, verb: &str, path: &str, query: &str, key: &str) -> (u16, Value) {
    let query = format!("{query}&timestamp={}", client.time().await);
    let query = query.trim_start_matches('&');
    let path = if path.starts_with("sapi") { path.to_owned() } else { format!("api/v3/{path}") };
    let url = format!("/{path}?{query}&signature={}", hmac(query));
    let reply = client.send(verb, &url, Some(key), String::new()).await;
    (reply.status, reply.body)
}

#[test]
fn a_key_may_do_what_it_may_from_where_it_may() {
    let server = start(keys()).unwrap();
    run(async {
        let client = Client::new(&server);
        client.step(json!({"events": 4})).await;
        for (key, read, trade) in [
            ("key-hmac", 200, 200),
            ("key-read", 200, 401),
            ("key-trade", 401, 200),
            ("key-away", 401, 401),
            ("key-home", 200, 401),
            ("no such key!", 401, 401),
        ] {
            let (status, body) = ask(&client, "GET", "account", "", key).await;
            assert_eq!(status, read, "{key}: {body}");
            let (status, body) = ask(&client, "POST", "order", ORDER, key).await;
            assert_eq!(status, trade, "{key}: {body}");
        }
        assert_eq!(ask(&client, "GET", "account", "", "no such key!").await.1["code"], -2014);
        assert_eq!(ask(&client, "GET", "account", "", "key-away").await.1["code"], -2015);
        let trades = ask(&client, "GET", "myTrades", "symbol=BTCUSDT", "key-hmac").await.1;
        assert_eq!(trades.as_array().unwrap().len(), 2, "both keys are of one account");
    });
}

#[test]
fn an_rsa_key_signs() {
    let server = start(keys()).unwrap();
    run(async {
        let client = Client::new(&server);
        let body: String = RSA_PRIVATE.lines().filter(|line| !line.starts_with("-----")).collect();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        let query = format!("timestamp={START}");
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), query.as_bytes(), &mut signature).unwrap();
        let sent =
            |signature: &[u8]| STANDARD.encode(signature).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let url = format!("/api/v3/account?{query}&signature={}", sent(&signature));
        assert_eq!(client.send("GET", &url, Some("key-rsa"), String::new()).await.status, 200);
        signature[5] ^= 1;
        let url = format!("/api/v3/account?{query}&signature={}", sent(&signature));
        assert_eq!(client.send("GET", &url, Some("key-rsa"), String::new()).await.body["code"], -1022);
    });
    let mut bad = keys();
    bad.accounts[0].keys[1].secret = KeyMaterial::RsaPublic(STANDARD.encode([1; 300]));
    assert!(start(bad).unwrap_err().to_string().contains("2048"));
    let mut twice = keys();
    twice.accounts[1].keys[0].api_key = "key-rsa".into();
    assert!(start(twice).unwrap_err().to_string().contains("name of another"));
}

#[test]
fn a_session_has_a_beginning_and_an_end() {
    let server = start(keys()).unwrap();
    run(async {
        let client = Client::new(&server);
        let mut api = client.connect("/ws-api/v3").await;
        let status = api.ask(&json!({"id": 1, "method": "session.status"})).await["result"].clone();
        assert_eq!((&status["apiKey"], &status["connectedSince"]), (&Value::Null, &json!(START)));
        let subscribe = json!({"id": 2, "method": "userDataStream.subscribe"});
        assert_ne!(api.ask(&subscribe).await["status"], 200);
        let logon = json!({"id": 3, "method": "session.logon", "params": signed_params(json!({}), "key-ed", START)});
        assert_eq!(api.ask(&logon).await["result"]["apiKey"], "key-ed");
        assert_eq!(api.ask(&subscribe).await["result"], json!({"subscriptionId": 0}));
        assert_eq!(api.ask(&subscribe).await["error"]["code"], -2035);
        let params = signed_params(json!({}), "key-hmac", START);
        let signed = json!({"id": 4, "method": "userDataStream.subscribe.signature", "params": params});
        assert_eq!(api.ask(&signed).await["result"], json!({"subscriptionId": 1}));
        let list = json!({"id": 5, "method": "session.subscriptions"});
        assert_eq!(api.ask(&list).await["result"], json!([{"subscriptionId": 0}, {"subscriptionId": 1}]));
        let end = json!({"id": 6, "method": "userDataStream.unsubscribe", "params": {"subscriptionId": 7}});
        assert_eq!(api.ask(&end).await["error"]["code"], -2036);
        api.send(&json!({"id": 7, "method": "session.logout"})).await;
        let mut seen = [api.next().await.unwrap(), api.next().await.unwrap()];
        seen.sort_by_key(|frame| frame["id"].is_null());
        assert_eq!(seen[0]["result"]["apiKey"], Value::Null);
        let ended = json!({"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": START}});
        assert_eq!(seen[1], ended);
        assert_eq!(api.ask(&list).await["result"], json!([{"subscriptionId": 1}]));
        assert_eq!(client.admin("revoke", json!({"apiKey": "key-hmac"})).await.status, 200);
        assert_eq!(api.next().await.unwrap()["subscriptionId"], 1);
        assert_eq!(api.ask(&signed).await["status"], 401);
        assert_eq!(ask(&client, "GET", "account", "", "key-hmac").await.1["code"], -2015);
        assert_eq!(client.admin("revoke", json!({"apiKey": "key-none"})).await.status, 400);
    });
}

#[test]
fn the_wallet_tells_what_a_key_may_and_what_ends() {
    let server = start(keys()).unwrap();
    run(async {
        let client = Client::new(&server);
        let may = ask(&client, "GET", "sapi/v1/account/apiRestrictions", "", "key-home").await.1;
        for name in ["ipRestrict", "enableReading", "enableWithdrawals", "enableInternalTransfer", "enableFutures"] {
            assert_eq!(may[name], true, "{name}");
        }
        assert_eq!(may["enableSpotAndMarginTrading"], false);
        let may = ask(&client, "GET", "sapi/v1/account/apiRestrictions", "", "key-hmac").await.1;
        assert_eq!((&may["ipRestrict"], &may["enableWithdrawals"]), (&json!(false), &json!(false)));
        assert_eq!(client.get("/sapi/v1/system/status").await["status"], 0);
        client.admin("maintenance", json!({"on": true})).await;
        assert_eq!(client.get("/sapi/v1/system/status").await, json!({"status": 1, "msg": "system_maintenance"}));
        assert_eq!(client.get("/sapi/v1/spot/delist-schedule").await["code"], -2014);
        client.admin("delistings", json!({"symbols": ["ETHUSDT"], "time": START + 5})).await;
        client.admin("listings", json!({"symbols": ["NEWUSDT"], "time": START + 9})).await;
        let keyed = async |path: &str| client.send("GET", path, Some("key-hmac"), String::new()).await.body;
        let expected = json!([{"delistTime": START + 5, "symbols": ["ETHUSDT"]}]);
        assert_eq!(keyed("/sapi/v1/spot/delist-schedule").await, expected);
        assert_eq!(keyed("/sapi/v1/spot/open-symbol-list").await[0]["symbols"][0], "NEWUSDT");
        client.admin("delistings", json!({"symbols": ["ETHUSDT"]})).await;
        assert_eq!(keyed("/sapi/v1/spot/delist-schedule").await, json!([]));
        let coins = ask(&client, "GET", "sapi/v1/capital/config/getall", "", "key-hmac").await.1;
        let names: Vec<&Value> = coins.as_array().unwrap().iter().map(|coin| &coin["coin"]).collect();
        assert_eq!(names, ["BTC", "ETH", "USDT"]);
        assert_eq!(coins[0]["free"], "1.00000000");
        let status = ask(&client, "GET", "sapi/v1/account/apiTradingStatus", "", "key-hmac").await.1;
        assert_eq!(status["data"]["isLocked"], false);
    });
}
