//! `vigia up`: starts the service, with the embedded simulator where no exchange is configured, and shows it.
//!
//! Exit codes: 0 stopped in order, 1 could not start or had to end, 2 wrong configuration.

use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context, bail};
use console::{ControlServer, Output, Screen};
use domain::{BootNumber, Notional, TradingMode};
use engine::Setup;
use exchange::binance::{Endpoints, install_crypto_provider};
use runtime::clock::{Clock, unix_seconds};
use runtime::history::History;
use runtime::outbox::Outbox;
use runtime::paper::PaperAccount;
use runtime::paper_mode::{PaperMode, ask_exchange};
use runtime::service::{Assembly, Parts};
use runtime::supervisor::{Fatal, Timing};
use runtime::venue::PaperExchange;
use runtime::wiring::Identity;
use simulator::server::{Pace, ServerHandle};
use store::ProcessLock;
use store::book::Loaded;

use crate::config::{self, Config};
use crate::{embedded, logging};

/// The process ended because it had to: its own supervisor starts it again.
const EXIT_FATAL: i32 = 70;
/// How far the exchange's clock may be behind the book's head: clocks are read at different moments.
const CLOCK_TOLERANCE_MS: i64 = 5_000;

/// Options of `vigia up`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Directory with recorded candles that the embedded simulator plays.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many times faster than real time the embedded simulator runs, or `max`.
    #[arg(long, value_name = "N|max")]
    speed: Option<String>,
    /// Seed of the synthetic market.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where databases, latch, lock, socket and logs live.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Logs to the terminal instead of the live screen.
    #[arg(long)]
    no_screen: bool,
}

impl Options {
    fn apply(&self, config: &mut Config) -> anyhow::Result<()> {
        if let Some(data) = &self.data {
            config.simulator.data.clone_from(data);
        }
        if let Some(seed) = self.seed {
            config.simulator.seed = seed;
        }
        if let Some(directory) = &self.data_dir {
            config.service.data_dir.clone_from(directory);
        }
        match self.speed.as_deref() {
            None => {}
            Some("max") => config.simulator.speed = 0.0,
            Some(text) => match text.parse::<f64>() {
                Ok(speed) if (0.1..=100_000.0).contains(&speed) => config.simulator.speed = speed,
                Ok(_) | Err(_) => bail!("--speed {text} is not allowed: 0.1 to 100000, or max"),
            },
        }
        Ok(())
    }
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    eprintln!("vigia {}: starting", env!("CARGO_PKG_VERSION"));
    let mut loaded = config::load(file)?;
    options.apply(&mut loaded.config)?;
    let config = &loaded.config;
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stopping.clone()).context("signals cannot be watched")?;
    }
    let home = config.begin_home()?;
    let book = home.join(config::BOOK);
    let lock = ProcessLock::take(&book, "vigia up")?;
    let on_screen = !options.no_screen && std::io::stdout().is_terminal();
    let logs = logging::start(&home.join("logs"), !on_screen);
    install_crypto_provider();
    let simulator = begin_simulator(config, &home)?;
    let service = begin_service(&loaded, &home, simulator.as_ref())?;
    let outbox =
        Outbox::start(&book, home.join("alerts.jsonl"), service.wiring().journal.clone(), service.board().clone())?;
    let asked = stopping.clone();
    let control = ControlServer::start(
        &home.join(config::SOCKET),
        service.board().clone(),
        book,
        Box::new(move || asked.store(true, SeqCst)),
    )?;
    let output = if options.no_screen { Output::lines(Box::new(std::io::stdout())) } else { Output::stdout() };
    let screen = Screen::start(service.board().clone(), output, Duration::from_millis(100))?;
    while !stopping.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(screen);
    eprintln!("stopping: no new entries, waiting for what is on its way ...");
    drop(control);
    service.stop();
    outbox.join();
    if let Some(simulator) = simulator {
        simulator.stop();
    }
    drop(logs);
    drop(lock);
    eprintln!("stopped in order; the next start goes on from here");
    std::io::stdout().flush().ok();
    Ok(ExitCode::SUCCESS)
}

fn begin_simulator(config: &Config, home: &Path) -> anyhow::Result<Option<ServerHandle>> {
    if !config.exchange.rest_url.is_empty() {
        return Ok(None);
    }
    let symbols = config.setup(BootNumber(0)).symbols();
    let pace =
        if config.simulator.speed == 0.0 { Pace::Stepped } else { Pace::Timed { speed: config.simulator.speed } };
    Ok(Some(embedded::begin(config, &symbols, home, pace, 0)?))
}

fn endpoints(config: &Config, simulator: Option<&ServerHandle>) -> Endpoints {
    match simulator {
        Some(simulator) => Endpoints::at(&simulator.address().to_string()),
        None => Endpoints {
            rest: config.exchange.rest_url.clone(),
            stream: config.exchange.stream_url.clone(),
            ws_api: String::new(),
        },
    }
}

fn begin_service(
    loaded: &config::Loaded,
    home: &Path,
    simulator: Option<&ServerHandle>,
) -> anyhow::Result<runtime::service::Service> {
    let config = &loaded.config;
    let (book, clock) = (home.join(config::BOOK), Clock::new());
    let endpoints = endpoints(config, simulator);
    let rate = if simulator.is_some() { config.simulator.speed } else { 1.0 };
    let symbols = config.setup(BootNumber(0)).symbols();
    let (time, instruments) = ask_exchange(&endpoints, &clock, &symbols).map_err(anyhow::Error::msg)?;
    clock.anchor(time, rate);
    let kept = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime to read the book")?
        .block_on(store::book::load(&book))?;
    check_head(&kept, time, &book)?;
    let setup = config.setup(BootNumber(unix_seconds().max(kept.last_boot.0 + 1)));
    let account = paper_account(config, &setup, &kept, &instruments)?;
    // Its thread ends with the last handle; what is in it can be fetched again, so nobody waits for it.
    let (history, _) = History::open(&home.join(config::MARKET))?;
    let parts = Parts {
        setup,
        identity: Identity {
            mode: TradingMode::Paper,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: loaded.hash.clone(),
        },
        book,
        clock,
        instruments,
        history,
        timing: Timing {
            cycle_ms: config.service.cycle_ms,
            hang_timeout_ms: config.service.hang_timeout_ms,
            drain_timeout_ms: config.service.drain_timeout_ms,
        },
        on_fatal: Box::new(end_process),
    };
    let assembly = Assembly::new(parts)?;
    let wiring = assembly.wiring();
    let exchange = PaperExchange::new(account, wiring.journal.clone(), wiring.router.clone(), wiring.clock.clone());
    let mode = PaperMode::new(endpoints, exchange, config.exchange.stream_silence_ms);
    let mode = if rate == 0.0 { mode.stepped() } else { mode };
    Ok(assembly.start(Arc::new(mode))?)
}

fn end_process(fatal: &Fatal) {
    eprintln!("vigia: {fatal}");
    std::process::exit(EXIT_FATAL);
}

/// A feed that is older than the head of the book would trade the past.
fn check_head(kept: &Loaded, time: domain::Timestamp, book: &Path) -> anyhow::Result<()> {
    match kept.book.head {
        Some(head) if time.as_millis() + CLOCK_TOLERANCE_MS < head.as_millis() => bail!(
            "FEED_BEHIND_BOOK: the exchange's clock is at {time} and the book {} at {head}. A book cannot go back: move its \
             directory away to begin a new one, or let the market catch up.",
            book.display()
        ),
        Some(_) | None => Ok(()),
    }
}

/// The account as it was kept, with the capital of instances that are new.
fn paper_account(
    config: &Config,
    setup: &Setup,
    kept: &Loaded,
    instruments: &[domain::Instrument],
) -> anyhow::Result<PaperAccount> {
    let known = |id: &domain::InstanceId| kept.book.ledger.instances.iter().any(|book| book.id == *id);
    let new: Notional =
        setup.instances.iter().filter(|instance| !known(&instance.id)).map(|instance| instance.capital).sum();
    match &kept.paper_account {
        Some(state) => {
            let mut account = PaperAccount::restore(state)
                .context("the paper account's state is damaged; keep the file and restore the newest backup")?;
            if new.is_positive() {
                account.deposit(&setup.currency, new, domain::Timestamp::EPOCH);
            }
            Ok(account)
        }
        None if kept.book.ledger.instances.is_empty() => {
            Ok(PaperAccount::open(config.paper.clone(), instruments.to_vec(), &setup.currency, new))
        }
        None => bail!("the book has instances and no paper account: it is damaged; restore the newest backup"),
    }
}
