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
use domain::{BootNumber, TradingMode};
use exchange::binance::install_crypto_provider;
use runtime::outbox::Outbox;
use simulator::server::{Pace, ServerHandle};
use store::ProcessLock;

use crate::config::{self, Config, ExchangeName};
use crate::{embedded, logging, modes};

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
    /// How it trades: paper, shadow or live.
    #[arg(long, value_name = "MODE")]
    mode: Option<TradingMode>,
    /// Which exchange. The simulator in this process serves paper trading only.
    #[arg(long, value_name = "NAME")]
    exchange: Option<ExchangeName>,
    /// Address of an exchange that speaks the same protocol, such as `vigia simulator`.
    #[arg(long, value_name = "URL")]
    exchange_url: Option<String>,
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
        config.service.mode = self.mode.unwrap_or(config.service.mode);
        config.exchange.name = self.exchange.unwrap_or(config.exchange.name);
        if let Some(url) = &self.exchange_url {
            config.exchange.rest_url.clone_from(url);
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
    config::check(config, &loaded.place)?;
    let home = config.begin_home()?;
    let book = home.join(Config::book_name(config.service.mode));
    let lock = ProcessLock::take(&book, "vigia up")?;
    config.begin_book(&home)?;
    let on_screen = !options.no_screen && std::io::stdout().is_terminal();
    let logs = logging::start(&home.join("logs"), !on_screen);
    install_crypto_provider();
    let simulator = begin_simulator(config, &home)?;
    let speed = options.speed.is_some() || simulator.is_some();
    let address = simulator.as_ref().map(ServerHandle::address);
    let service = modes::begin(&loaded, &home, address, if speed { config.simulator.speed } else { 1.0 })?;
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
    if !config.exchange.is_embedded() {
        return Ok(None);
    }
    let symbols = config.setup(BootNumber(0)).symbols();
    let pace =
        if config.simulator.speed == 0.0 { Pace::Stepped } else { Pace::Timed { speed: config.simulator.speed } };
    Ok(Some(embedded::begin(config, &symbols, home, pace, 0)?))
}
