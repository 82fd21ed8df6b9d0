//! Tick to order on the wire: LIVE_TRADING on a simulator in this process, over real sockets on the loopback.
//!
//! The simulator is stepped from trade to trade, and a tap between the two stamps the trade's frame as it leaves for the
//! service and the signed order as it comes. It must never step on before the last order is filled and booked: a
//! distribution of single ticks, not of a queue.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::Context;
use domain::{Permission, Quantity, TradingMode};
use exchange::binance::{Credentials, Endpoints, Secret};
use exchange::stepping::Stepper;
use runtime::clock::Clock;
use runtime::live_mode::LiveMode;
use runtime::market_feed::{MarketFeed, ask_exchange};
use runtime::service::{Assembly, Parts, Service};
use runtime::supervisor::Timing;
use runtime::wiring::Identity;
use simulator::market::{Market, PathOptions};
use simulator::model::ModelSettings;
use simulator::server::{AccountConfig, KeyConfig, KeyMaterial, Limits, Pace, ServerConfig, ServerHandle, start};

use crate::Effort;
use crate::clock::Moment;
use crate::sample::{Samples, Spread};
use crate::table::Row;
use crate::tap::{Passed, Tap};
use crate::world::{self, START, SYMBOL, known};

/// Trades that are not counted: caches, connections and the database's files get warm.
const WARM_UP: usize = 50;
/// Trades that may pass while the service recovers.
const STARTING_MAX: usize = 400;
/// How long anything may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where there is a file system in memory.
const MEMORY: &str = "/dev/shm";
/// Exchange time from trade to trade: orders stay below the exchange's limits.
const SPACING_MS: i64 = 1_000;
/// A connected stream that says nothing for so long is dropped.
const SILENCE_MS: u64 = 60_000;
/// Bytes that go there and back: about those of a trade's frame.
const ECHO: usize = 200;
/// The key of the account, and its secret: it exists in this process only.
const KEY: (&str, &str) = ("bench", "a secret of no account");

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let orders = effort.of(1_000, 5_000);
    let disk = world::temp_dir()?;
    let found = measured(disk.path(), orders)?;
    let mut rows = vec![
        Row::new("wire to wire: trade to order, on the disk", "us", found.to_order)
            .note("LIVE over sockets: the trade's frame leaves for the service until its signed order has come whole"),
        Row::new("  after it: order to answer", "us", found.to_answer)
            .note("the simulator's own part, and the way there"),
        Row::new("  trade to the fill's report", "us", found.to_fill).note("on the account's stream"),
    ];
    rows.push(
        Row::new("  loopback: there and back", "us", loopback(orders)?.spread(1e3))
            .note("plain sockets and a thread that echoes, for scale: the kernel's part of wire to wire"),
    );
    let memory = tempfile::tempdir_in(MEMORY).context("no directory");
    let name = "wire to wire: trade to order, in memory";
    rows.push(match memory {
        Ok(directory) => Row::new(name, "us", measured(directory.path(), orders)?.to_order)
            .note("the same with the journal on tmpfs: without the disk's part of the commit"),
        Err(error) => Row::left_out(name, format!("{MEMORY}: {error:#}")),
    });
    Ok(rows)
}

/// What it takes to wake a thread by a socket, and to be woken by its answer.
fn loopback(samples: usize) -> anyhow::Result<Samples> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; ECHO];
        while far.read_exact(&mut bytes).and_then(|()| far.write_all(&bytes)).is_ok() {}
    });
    let (mut bytes, mut all) = ([7; ECHO], Samples::default());
    for sample in 0..WARM_UP + samples {
        let begun = Moment::now();
        near.write_all(&bytes)?;
        near.read_exact(&mut bytes)?;
        if sample >= WARM_UP {
            all.add(begun.elapsed_ns());
        }
    }
    drop(near);
    anyhow::ensure!(echo.join().is_ok(), "the thread that echoes died");
    Ok(all)
}

/// What one run came to, in microseconds.
struct Found {
    to_order: Option<Spread>,
    to_answer: Option<Spread>,
    to_fill: Option<Spread>,
}

fn settings() -> ModelSettings {
    ModelSettings { maker_fee: known("0.0001"), taker_fee: known("0.0001"), ..ModelSettings::default() }
}

/// A market whose averages of one and two trades cross on every trade.
fn market(directory: &Path, trades: usize) -> anyhow::Result<Market> {
    let directory = directory.join("market");
    std::fs::create_dir_all(&directory).with_context(|| format!("{} cannot be made", directory.display()))?;
    let mut file = std::fs::File::create(directory.join(format!("{SYMBOL}-trades-made-up.csv")))?;
    for number in 1..=i64::try_from(trades)? {
        let price = if number % 2 == 0 { "50100.00" } else { "50000.01" };
        let time = START.as_millis() + number * SPACING_MS;
        writeln!(file, "{number},{price},0.50001,25000.00,{time},false,true")?;
    }
    drop(file);
    Ok(Market::from_data(&directory, Some(&[known(SYMBOL)]), PathOptions::default())?)
}

fn serve(market: Market) -> anyhow::Result<ServerHandle> {
    let (key, secret) = KEY;
    let capital: Quantity = known("10000000");
    let account = AccountConfig::new("bench", KeyConfig::new(key, KeyMaterial::Hmac(secret.into())))
        .with_deposits(vec![(known("USDT"), capital)]);
    let limits = Limits { request_weight_max: 60_000, ..Limits::default() };
    let config = ServerConfig::new(market, "bench");
    Ok(start(ServerConfig { settings: settings(), pace: Pace::Stepped, accounts: vec![account], limits, ..config })?)
}

/// The service, as the program puts it together for LIVE_TRADING.
fn begin(directory: &Path, endpoints: &Endpoints) -> anyhow::Result<Service> {
    let (clock, setup) = (Clock::new(), world::trades_setup(1, 2)?);
    let (time, instruments) = ask_exchange(endpoints, &clock, &setup.symbols()).map_err(anyhow::Error::msg)?;
    clock.anchor(time, 0.0);
    let (key, secret) = KEY;
    let credentials = Credentials::new(key, Secret::hmac(secret)?)?;
    let market = MarketFeed::new(endpoints.clone(), &clock, SILENCE_MS);
    let parts = Parts {
        setup,
        identity: Identity { mode: TradingMode::Live, version: "bench".into(), config_hash: "bench".into() },
        book: directory.join("bench.db"),
        clock,
        instruments,
        history: runtime::history::History::none(),
        timing: Timing { cycle_ms: 1_000, hang_timeout_ms: 60_000, drain_timeout_ms: 5_000 },
        on_fatal: Box::new(|fatal| eprintln!("the benchmark's service ended: {fatal}")),
    };
    Ok(Assembly::new(parts)?.start(Arc::new(LiveMode { market, credentials }))?)
}

fn measured(directory: &Path, orders: usize) -> anyhow::Result<Found> {
    exchange::binance::install_crypto_provider();
    let simulator = serve(market(directory, STARTING_MAX + WARM_UP + orders + 10)?)?;
    let (stamps, stamped) = channel();
    let tap = Tap::before(simulator.address(), &stamps)?;
    let service = begin(directory, &Endpoints::at(&tap.address().to_string()))?;
    let run = Run::new(&simulator, &service, &stamped)?;
    let outcome = run.recovered().and_then(|()| run.ticks(orders));
    drop(run);
    service.stop();
    drop(tap);
    simulator.stop();
    outcome
}

/// The harness of one run.
struct Run<'a> {
    service: &'a Service,
    stamped: &'a Receiver<(Passed, Moment)>,
    stepper: Stepper,
    local: tokio::task::LocalSet,
    waiting: tokio::runtime::Runtime,
}

impl<'a> Run<'a> {
    fn new(
        simulator: &ServerHandle,
        service: &'a Service,
        stamped: &'a Receiver<(Passed, Moment)>,
    ) -> anyhow::Result<Self> {
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = tokio::task::LocalSet::new();
        // Steps do not go through the tap: they are the market's, not the service's.
        let url = Endpoints::at(&simulator.address().to_string()).rest;
        let stepper = local.block_on(&waiting, async { Stepper::new(&url) });
        Ok(Self { service, stamped, stepper, local, waiting })
    }

    /// The next trade.
    fn step(&self) -> anyhow::Result<()> {
        let step = self
            .local
            .block_on(&self.waiting, self.stepper.step(&std::collections::BTreeMap::new()))
            .map_err(anyhow::Error::msg)?;
        anyhow::ensure!(!step.done, "the benchmark's market has ended");
        Ok(())
    }

    /// Lets the market go on until entries are allowed, and everything that it caused is done.
    fn recovered(&self) -> anyhow::Result<()> {
        for _ in 0..STARTING_MAX {
            let wiring = self.service.wiring();
            if wiring.counters.feed_connected() && wiring.latch.permission() == Permission::All {
                return self.settle();
            }
            self.step()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        anyhow::bail!("the benchmark's service did not recover")
    }

    fn ticks(&self, orders: usize) -> anyhow::Result<Found> {
        let (mut to_order, mut to_answer, mut to_fill) = (Samples::default(), Samples::default(), Samples::default());
        for tick in 0..WARM_UP + orders {
            while self.stamped.try_recv().is_ok() {}
            self.step()?;
            // The slow average needs two trades, and the first crossing may be a fall, which is no order.
            if tick > 3 {
                let at = self.order().with_context(|| format!("trade {tick}"))?;
                if tick >= WARM_UP {
                    to_order.add(at.order.ns_since(at.trade));
                    to_answer.add(at.answer.ns_since(at.order));
                    to_fill.add(at.filled.ns_since(at.trade));
                }
            }
            self.settle()?;
        }
        Ok(Found { to_order: to_order.spread(1e3), to_answer: to_answer.spread(1e3), to_fill: to_fill.spread(1e3) })
    }

    /// The moments of the order that the last trade caused. Answer and report race.
    fn order(&self) -> anyhow::Result<Moments> {
        let mut first: [Option<Moment>; 4] = [None; 4];
        while first.iter().any(Option::is_none) {
            let (passed, at) = self.stamped.recv_timeout(PATIENCE).with_context(|| {
                let found = first.map(|moment| moment.is_some());
                format!("it did not go its way; trade, order, answer, fill were seen: {found:?}")
            })?;
            first[passed as usize].get_or_insert(at);
        }
        let [Some(trade), Some(order), Some(answer), Some(filled)] = first else {
            anyhow::bail!("a moment is missing")
        };
        Ok(Moments { trade, order, answer, filled })
    }

    /// Waits until nothing is on its way, nothing has come for a while, and everything is durable.
    fn settle(&self) -> anyhow::Result<()> {
        let (begun, wiring) = (Moment::now(), self.service.wiring());
        loop {
            let before = wiring.router.delivered();
            std::thread::sleep(Duration::from_millis(2));
            self.waiting.block_on(wiring.journal.flushed(PATIENCE)).map_err(anyhow::Error::msg)?;
            if wiring.router.is_quiet() && wiring.router.delivered() == before {
                return Ok(());
            }
            let patience = PATIENCE.as_secs_f64();
            anyhow::ensure!(begun.elapsed_s() < patience, "the benchmark's service does not come to rest");
        }
    }
}

/// When what passed the tap.
struct Moments {
    trade: Moment,
    order: Moment,
    answer: Moment,
    filled: Moment,
}
