//! A whole service in this process: real actors, journal and paper account, fed event by event by the test.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::{BootNumber, Candle, Instrument, MarketEvent, Millis, Notional, Symbol, Timestamp, TradingMode};
use engine::{BackfillRequest, FamilyIndex, FamilySetup, InstanceConfig, Setup};
use exchange::trading::LocalFuture;
use risk::Limits;
use runtime::clock::Clock;
use runtime::life::Composition;
use runtime::paper::PaperAccount;
use runtime::paper_mode::hand_over;
use runtime::service::{Assembly, Parts, Service};
use runtime::supervisor::{Fatal, Timing};
use runtime::venue::{MarketSource, PaperExchange, Venue};
use runtime::wiring::{Identity, Wiring};
use simulator::market::{Market, SeededOptions};
use simulator::model::ModelSettings;

/// A synthetic market of `symbols` from a fixed start.
pub(crate) fn market(seed: u64, symbols: &[&str]) -> Market {
    let prices = symbols.iter().map(|symbol| (symbol.parse().unwrap(), "100".parse().unwrap())).collect();
    Market::seeded(SeededOptions::new(seed, prices, Timestamp::from_millis(1_767_225_600_000)))
}

/// One instance of each kind of strategy on each of `symbols`.
pub(crate) fn setup(symbols: &[&str]) -> Setup {
    let kinds = [
        ("ema", r#"{"kind": "ema-cross", "interval": "1m", "fast": 3, "slow": 8}"#),
        ("boll", r#"{"kind": "bollinger", "interval": "1m", "period": 10, "width": 1.5}"#),
        ("don", r#"{"kind": "donchian", "interval": "1m", "entry_period": 8, "exit_period": 4}"#),
    ];
    let mut instances = Vec::new();
    for (family, (kind, strategy)) in kinds.iter().enumerate() {
        for symbol in symbols {
            instances.push(InstanceConfig {
                id: format!("{kind}-{}", symbol.to_lowercase()).parse().unwrap(),
                family: FamilyIndex(family as u16),
                capital: "10000".parse().unwrap(),
                symbols: vec![symbol.parse().unwrap()],
                entry_size: "0.5".parse().unwrap(),
                protection: risk::ProtectionStyle::Local,
                strategy: serde_json::from_str(strategy).unwrap(),
            });
        }
    }
    Setup {
        currency: "USDT".parse().unwrap(),
        families: kinds.iter().map(|(kind, _)| FamilySetup { id: kind.parse().unwrap() }).collect(),
        instances,
        limits: Limits { order_rate_max: 1000, ..Limits::default() },
        boot: BootNumber(1),
        heartbeat_timeout_ms: 3000,
        equity_sample_ms: Millis::from_secs(300),
        quote_age_ms_max: Millis::from_secs(10),
    }
}

struct Recorded(Arc<Mutex<Market>>);

impl MarketSource for Recorded {
    fn time(&self) -> LocalFuture<Result<Timestamp, String>> {
        Box::pin(std::future::ready(Err("the test moves time".to_owned())))
    }

    fn instruments(&self, _: Vec<Symbol>) -> LocalFuture<Result<Vec<Instrument>, String>> {
        Box::pin(std::future::ready(Ok(self.0.lock().unwrap().instruments())))
    }

    fn candles(&self, request: BackfillRequest, limit: u16) -> LocalFuture<Result<Vec<Candle>, String>> {
        let BackfillRequest { symbol, interval, from, to } = request;
        let market = self.0.lock().unwrap();
        // As in a replay there is nothing before the beginning, although the market could make it up.
        let from = from.max(market.start().unwrap());
        let candles = market.history_forward(&symbol, interval, from, to, usize::from(limit));
        Box::pin(std::future::ready(Ok(candles)))
    }
}

struct Stepped {
    market: Arc<Mutex<Market>>,
    account: PaperExchange,
}

impl Composition for Stepped {
    fn venue(&self, _: &Wiring) -> Venue {
        Venue { exchange: Rc::new(self.account.clone()), market: Rc::new(Recorded(self.market.clone())) }
    }

    fn feed(&self, _: &Wiring) -> Box<dyn Any> {
        Box::new(())
    }
}

/// A service under test.
pub(crate) struct Kit {
    pub(crate) service: Service,
    pub(crate) account: PaperExchange,
    #[allow(dead_code, reason = "not every test waits for an end")]
    pub(crate) fatal: Receiver<Fatal>,
    pub(crate) book: PathBuf,
}

impl Kit {
    /// Starts a service on `market` with its book in `directory`. Nothing of the past is in its history.
    pub(crate) fn start(directory: &Path, setup: Setup, market: &Market, timing: Timing) -> Self {
        let (book, clock) = (directory.join("paper.db"), Clock::new());
        clock.anchor(market.peek_time().unwrap(), 0.0);
        let instruments = market.instruments();
        let loaded = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(store::book::load(&book))
            .unwrap();
        let capital: Notional = setup.instances.iter().map(|instance| instance.capital).sum();
        let account = match loaded.paper_account {
            Some(state) => PaperAccount::restore(&state).unwrap(),
            None => PaperAccount::open(ModelSettings::default(), instruments.clone(), &setup.currency, capital),
        };
        let (fatal, fatal_out) = channel();
        let parts = Parts {
            setup,
            identity: Identity { mode: TradingMode::Paper, version: "test".into(), config_hash: String::new() },
            book: book.clone(),
            clock,
            instruments,
            history: runtime::history::History::none(),
            timing,
            on_fatal: Box::new(move |reason| {
                let _ = fatal.send(reason.clone());
            }),
        };
        let assembly = Assembly::new(parts).unwrap();
        let wiring = assembly.wiring();
        let account = PaperExchange::new(account, wiring.journal.clone(), wiring.router.clone(), wiring.clock.clone());
        let market = Arc::new(Mutex::new(market.clone()));
        let service = assembly.start(Arc::new(Stepped { market, account: account.clone() })).unwrap();
        Self { service, account, fatal: fatal_out, book }
    }

    /// One market event, and everything that follows from it.
    pub(crate) fn step(&self, event: MarketEvent) {
        hand_over(&self.account, self.service.wiring(), event);
        self.quiet();
    }

    /// Waits until nothing is on its way.
    pub(crate) fn quiet(&self) {
        self.wait("everything to be quiet", |kit| kit.service.wiring().router.is_quiet());
    }

    /// Waits until `condition` holds, and fails after a long time.
    pub(crate) fn wait(&self, what: &str, condition: impl Fn(&Kit) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
            std::thread::yield_now();
        }
    }

    /// Reads the book.
    pub(crate) fn read<T>(&self, read: impl AsyncFnOnce(&mut store::Reader) -> T) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut reader = store::Reader::open(&self.book).await.unwrap();
            read(&mut reader).await
        })
    }
}

/// No pings, no beats: the test drives everything.
#[allow(dead_code, reason = "not every test drives everything itself")]
pub(crate) const STILL: Timing = Timing { cycle_ms: 0, hang_timeout_ms: 600_000, drain_timeout_ms: 5000 };
