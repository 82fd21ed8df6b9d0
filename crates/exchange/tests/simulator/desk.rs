//! What tests trade with: a gate that approves, a simulator that is stepped, and clients of both.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use domain::{
    Asset, BootNumber, CorrelationId, Instrument, OrderType, OwnOrderId, Permission, Price, Quantity, ReasonCode, Side,
    Symbol, SymbolStatus, Timestamp,
};
use exchange::binance::{BinanceAccount, Credentials, Endpoints, Link, MarketClient, RestClient, RestConfig, Secret};
use exchange::retry::RetryPolicy;
use exchange::{MonotonicMs, TimeSource};
use ledger::{InstanceSetup, Ledger, LedgerState};
use risk::{ApprovedOrder, EntryIntent, Gate, GateView, Limits, OrderIntent, Protection, Restrictions, SafetyLatch};
use serde_json::Value;
use simulator::market::{Market, SeededOptions};
use simulator::server::{AccountConfig, KeyConfig, KeyMaterial, Pace, ServerConfig, ServerHandle, start};

/// On the grid of an hour.
pub(crate) const START: i64 = 1_699_999_200_000;
pub(crate) const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
pub(crate) const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";

/// Runs a test on an arbiter of its own, and ends it where it hangs.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    exchange::binance::install_crypto_provider();
    actix_rt::System::new()
        .block_on(async { actix_rt::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") })
}

/// Waits until `what` is there.
pub(crate) async fn until<T>(mut what: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = what() {
            return found;
        }
        actix_rt::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn btcusdt() -> Symbol {
    Symbol::new("BTCUSDT").unwrap()
}

pub(crate) fn monotonic() -> MonotonicMs {
    let begin = tokio::time::Instant::now();
    Arc::new(move || u64::try_from(begin.elapsed().as_millis()).unwrap())
}

pub(crate) fn hmac() -> Credentials {
    Credentials::new("key-hmac", Secret::hmac(SECRET).unwrap()).unwrap()
}

pub(crate) fn ed25519() -> Credentials {
    Credentials::new("key-ed", Secret::ed25519(ED25519).unwrap()).unwrap()
}

/// Approves orders.
pub(crate) struct Desk {
    gate: Gate,
    ledger: Ledger,
    instruments: BTreeMap<Symbol, Instrument>,
    pub(crate) latch: SafetyLatch,
    sequence: u64,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let setup = InstanceSetup {
            id: "a".parse().unwrap(),
            family: "trend".parse().unwrap(),
            capital: "10000".parse().unwrap(),
        };
        let instrument = Instrument {
            symbol: btcusdt(),
            base: Asset::new("BTC").unwrap(),
            quote: Asset::new("USDT").unwrap(),
            status: SymbolStatus::Trading,
            tick_size: "0.01".parse().unwrap(),
            step_size: "0.00001".parse().unwrap(),
            quantity_min: "0.00001".parse().unwrap(),
            quantity_max: "9000".parse().unwrap(),
            notional_min: "5".parse().unwrap(),
            order_types: vec![OrderType::Market, OrderType::Limit],
            filters: domain::Filters::default(),
        };
        Self {
            gate: Gate::new(Limits::default()),
            ledger: Ledger::new(Asset::new("USDT").unwrap(), &[setup], LedgerState::default()),
            instruments: BTreeMap::from([(btcusdt(), instrument)]),
            latch: SafetyLatch::new(Permission::All),
            sequence: 0,
        }
    }

    /// An approved buy of 0.01 BTC at `mark`, or at a limit.
    pub(crate) fn buy(&mut self, limit: Option<Price>, mark: Price, now: Timestamp) -> ApprovedOrder {
        self.ledger.marked(&btcusdt(), mark, now, &mut Vec::new());
        self.sequence += 1;
        let own = OwnOrderId { instance: "a".parse().unwrap(), boot: BootNumber(1), sequence: self.sequence };
        let intent = OrderIntent::Entry(EntryIntent {
            instance: own.instance.clone(),
            symbol: btcusdt(),
            side: Side::Buy,
            quantity: "0.01".parse().unwrap(),
            limit,
            protection: Protection {
                stop: "1".parse().unwrap(),
                take_profit: None,
                style: risk::ProtectionStyle::Local,
            },
            reason: ReasonCode::EntrySignal,
            correlation_id: CorrelationId(1),
        });
        let view = GateView {
            ledger: &self.ledger,
            restrictions: &Restrictions::default(),
            instruments: &self.instruments,
            latch: &self.latch,
            journal_available: true,
        };
        self.gate.approve(&intent, own.to_client_order_id().unwrap(), view, now).unwrap()
    }
}

/// A simulator that is stepped.
pub(crate) struct Exchange {
    pub(crate) server: ServerHandle,
    pub(crate) endpoints: Endpoints,
    http: awc::Client,
    time: Arc<AtomicI64>,
}

fn accounts() -> Vec<AccountConfig> {
    let Secret::Ed25519(key) = Secret::ed25519(ED25519).unwrap() else { unreachable!() };
    let public = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.verifying_key().to_bytes());
    let deposits = [("USDT", "100000"), ("BTC", "1")]
        .map(|(asset, amount)| (Asset::new(asset).unwrap(), amount.parse::<Quantity>().unwrap()));
    [("hmac", KeyMaterial::Hmac(SECRET.into())), ("ed", KeyMaterial::Ed25519Public(public))]
        .map(|(id, secret)| {
            AccountConfig::new(id, KeyConfig::new(format!("key-{id}"), secret)).with_deposits(deposits.to_vec())
        })
        .into()
}

pub(crate) fn serve(bind: SocketAddr) -> ServerHandle {
    let symbols = [("BTCUSDT", "60000"), ("ETHUSDT", "2000")];
    let symbols = symbols.map(|(symbol, price)| (Symbol::new(symbol).unwrap(), price.parse().unwrap()));
    let options = SeededOptions::new(1, symbols.to_vec(), Timestamp::from_millis(START));
    let market = Market::seeded(SeededOptions { history_minutes: 2000, ..options });
    start(ServerConfig { bind, pace: Pace::Stepped, accounts: accounts(), ..ServerConfig::new(market, "seeded 1") })
        .unwrap()
}

impl Exchange {
    /// Started, with a quote of every symbol.
    pub(crate) async fn start() -> Self {
        let server = serve("127.0.0.1:0".parse().unwrap());
        let endpoints = Endpoints::at(&server.address().to_string());
        let http = awc::Client::default();
        let exchange = Self { server, endpoints, http, time: Arc::new(AtomicI64::new(START)) };
        exchange.step(serde_json::json!({"events": 20})).await;
        exchange
    }

    pub(crate) async fn step(&self, how_far: Value) -> Value {
        let url = format!("{}/admin/step", self.endpoints.rest);
        let mut answer = self.http.post(url).send_body(how_far.to_string()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.body().await.unwrap()).unwrap();
        self.time.store(answer["time"].as_i64().unwrap(), SeqCst);
        answer
    }

    pub(crate) fn time(&self) -> TimeSource {
        let time = Arc::clone(&self.time);
        Arc::new(move || Timestamp::from_millis(time.load(SeqCst)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.load(SeqCst))
    }

    pub(crate) fn link(&self) -> Link {
        Link::new(self.time(), monotonic())
    }

    pub(crate) fn rest(&self) -> RestClient {
        let config = RestConfig { retry: RetryPolicy::never(), ..RestConfig::new(&self.endpoints.rest) };
        RestClient::new(config, self.link())
    }

    pub(crate) fn market(&self) -> MarketClient {
        MarketClient::new(self.rest())
    }

    pub(crate) fn account(&self, credentials: Credentials) -> BinanceAccount {
        BinanceAccount::new(self.rest(), credentials)
    }

    /// The close of the last finished minute.
    pub(crate) async fn price(&self) -> Price {
        let from = self.now() - domain::Millis::from_secs(600);
        let candles = self.market().candles(&btcusdt(), domain::Interval::M1, from, self.now(), 1000).await.unwrap();
        candles.last().unwrap().close
    }
}
