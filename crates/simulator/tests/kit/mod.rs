//! What the tests of the server share: a small market, a plain client, connections.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking, their helpers too")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use awc::ws::{Frame, Message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Asset, Symbol, Timestamp};
use ed25519_dalek::{Signer, SigningKey};
use futures_util::{SinkExt, StreamExt};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use simulator::market::{Market, SeededOptions};
use simulator::server::{AccountConfig, KeyConfig, KeyMaterial, Pace, ServerConfig, ServerHandle};

/// On the grid of an hour.
pub(crate) const START: i64 = 1_699_999_200_000;
pub(crate) const SECRET: &str = "a secret";
pub(crate) const ED_SEED: [u8; 32] = [7; 32];

pub(crate) fn market(seed: u64) -> Market {
    let symbols = [("BTCUSDT", "60000"), ("ETHUSDT", "2000")];
    let symbols = symbols.map(|(symbol, price)| (Symbol::new(symbol).unwrap(), price.parse().unwrap()));
    let options = SeededOptions::new(seed, symbols.to_vec(), Timestamp::from_millis(START));
    Market::seeded(SeededOptions { history_minutes: 2000, ..options })
}

pub(crate) fn config(pace: Pace, state: Option<&Path>) -> ServerConfig {
    let deposits = vec![
        (Asset::new("USDT").unwrap(), "100000".parse().unwrap()),
        (Asset::new("BTC").unwrap(), "1".parse().unwrap()),
    ];
    let public = STANDARD.encode(SigningKey::from_bytes(&ED_SEED).verifying_key().to_bytes());
    let account = |id: &str, secret| {
        AccountConfig::new(id, KeyConfig::new(format!("key-{id}"), secret)).with_deposits(deposits.clone())
    };
    let accounts =
        vec![account("hmac", KeyMaterial::Hmac(SECRET.into())), account("ed", KeyMaterial::Ed25519Public(public))];
    ServerConfig { pace, accounts, state_path: state.map(Into::into), ..ServerConfig::new(market(1), "seeded 1") }
}

pub(crate) fn hmac(payload: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    actix_rt::System::new()
        .block_on(async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("no hang") })
}

pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) http: awc::Client,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) used: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
}

/// A WebSocket connection with its number.
pub(crate) struct Connection {
    pub(crate) id: String,
    pub(crate) framed: std::pin::Pin<Box<dyn Duplex>>,
}

pub(crate) trait Duplex:
    futures_util::Stream<Item = Result<Frame, awc::error::WsProtocolError>>
    + futures_util::Sink<Message, Error = awc::error::WsProtocolError>
{
}

impl<T> Duplex for T where
    T: futures_util::Stream<Item = Result<Frame, awc::error::WsProtocolError>>
        + futures_util::Sink<Message, Error = awc::error::WsProtocolError>
{
}

impl Connection {
    pub(crate) async fn send(&mut self, value: &Value) {
        self.framed.send(Message::Text(value.to_string().into())).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match self.framed.next().await?.ok()? {
                Frame::Text(text) => return serde_json::from_slice(&text).ok(),
                Frame::Close(_) => return None,
                _ => {}
            }
        }
    }

    pub(crate) async fn ask(&mut self, value: &Value) -> Value {
        self.send(value).await;
        loop {
            let frame = self.next().await.unwrap();
            if frame["id"] == value["id"] {
                return frame;
            }
        }
    }
}

impl Client {
    pub(crate) fn new(server: &ServerHandle) -> Self {
        Self { address: server.address(), http: awc::Client::builder().timeout(Duration::from_secs(10)).finish() }
    }

    pub(crate) async fn send(&self, verb: &str, path_and_query: &str, key: Option<&str>, body: String) -> Reply {
        let url = format!("http://{}{path_and_query}", self.address);
        let mut request = self.http.request(verb.parse().unwrap(), url);
        if let Some(key) = key {
            request = request.insert_header(("X-MBX-APIKEY", key));
        }
        let mut reply = request.send_body(body).await.unwrap();
        let text = |value: &awc::http::header::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = reply.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let headers: std::collections::BTreeMap<_, _> = headers.collect();
        let (used, retry_after) = (headers.get("x-mbx-used-weight-1m").cloned(), headers.get("retry-after").cloned());
        let bytes = reply.body().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status: reply.status().as_u16(), body, used, retry_after, headers }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.send("GET", path, None, String::new()).await.body
    }

    pub(crate) async fn time(&self) -> i64 {
        self.get("/api/v3/time").await["serverTime"].as_i64().unwrap()
    }

    pub(crate) async fn signed(&self, verb: &str, path: &str, query: &str) -> Reply {
        let query = format!("{query}&recvWindow=60000&timestamp={}", self.time().await);
        let query = query.trim_start_matches('&');
        let url = format!("/api/v3/{path}?{query}&signature={}", hmac(query));
        self.send(verb, &url, Some("key-hmac"), String::new()).await
    }

    pub(crate) async fn admin(&self, path: &str, body: Value) -> Reply {
        self.send("POST", &format!("/admin/{path}"), None, body.to_string()).await
    }

    pub(crate) async fn fault(&self, fault: Value) {
        let reply = self.admin("faults", fault).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    pub(crate) async fn step(&self, body: Value) -> Value {
        let reply = self.admin("step", body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    pub(crate) async fn connect(&self, path: &str) -> Connection {
        let url = format!("http://{}{path}", self.address);
        let (response, framed) = self.http.ws(url).connect().await.unwrap();
        let id = response.headers().get("x-simulator-connection").unwrap().to_str().unwrap().to_owned();
        Connection { id, framed: Box::pin(framed) }
    }
}

pub(crate) fn signed_params(mut params: Value, key: &str, time: i64) -> Value {
    params["apiKey"] = json!(key);
    params["timestamp"] = json!(time);
    let object = params.as_object().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut pairs: Vec<String> = object.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    pairs.sort();
    let payload = pairs.join("&");
    params["signature"] = json!(if key == "key-hmac" {
        hmac(&payload)
    } else {
        STANDARD.encode(SigningKey::from_bytes(&ED_SEED).sign(payload.as_bytes()).to_bytes())
    });
    params
}
