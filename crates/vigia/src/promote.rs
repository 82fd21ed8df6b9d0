//! `vigia promote`: a person lets the service trade in another mode; kept in the book with who and why.
//!
//! It must never promote without the typed word of a person, nor while a service holds the book.

use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use domain::{CorrelationId, Notional, TradingMode};
use engine::{ActorId, JournalEntry, Record};
use runtime::clock::machine_time;
use store::writer::Write;
use store::{Journal, ProcessLock};

use crate::config::{self, Config};

/// How long the record may take to be durable.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of `vigia promote`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 promoted; 1 failed or not confirmed; 2 wrong call or configuration.")]
pub(crate) struct Options {
    /// The mode: live, or paper to take a promotion back.
    #[arg(long, value_name = "MODE")]
    to: TradingMode,
    /// Why; it is kept.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The data directory of the service, where it is another than the configuration's.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let mut config = config::load(file)?.config;
    if let Some(directory) = &options.data_dir {
        config.service.data_dir.clone_from(directory);
    }
    if options.reason.trim().is_empty() {
        bail!("--reason is empty: say why");
    }
    if options.to == TradingMode::Shadow {
        bail!("SHADOW sends no orders and needs no promotion");
    }
    std::fs::create_dir_all(&config.service.data_dir)
        .with_context(|| format!("{} cannot be made", config.service.data_dir.display()))?;
    let book = config.service.data_dir.join(Config::book_name(TradingMode::Live));
    let _lock = ProcessLock::take(&book, "vigia promote")?;
    let by = person();
    tell(&config, options, &book, &by);
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed).context("the confirmation cannot be read")?;
    if typed.trim() != options.to.to_string() {
        bail!("not confirmed: {} was to be typed. Nothing has changed.", options.to);
    }
    let record = Record::Promoted { to: options.to, by: by.clone(), reason: options.reason.clone() };
    keep(&book, record)?;
    println!("promoted to {} by {by}. It takes effect with the next start.", options.to);
    Ok(ExitCode::SUCCESS)
}

fn tell(config: &Config, options: &Options, book: &Path, by: &str) {
    let capital: Notional = config.instance.iter().map(|instance| instance.capital).sum();
    println!("book        {}", book.display());
    let exchange = config.exchange.endpoints(false).rest;
    println!("exchange    {}", if config.exchange.is_embedded() { "given at the start" } else { exchange.as_str() });
    println!("capital     {capital} {} in {} instances", config.portfolio.currency, config.instance.len());
    println!("by          {by}");
    println!("reason      {}", options.reason);
    if options.to == TradingMode::Live {
        println!("From the next start on orders are real, and so are losses.");
    }
    print!("Type {} to confirm: ", options.to);
    std::io::stdout().flush().ok();
}

/// Who runs this command, as the system knows it.
fn person() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).ok().filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "an unnamed user".to_owned())
}

fn keep(book: &Path, record: Record) -> anyhow::Result<()> {
    let (journal, thread) = Journal::open(book)?;
    let (time, correlation_id) = (machine_time(), CorrelationId::default());
    let entry = JournalEntry { time, actor: ActorId::GlobalRisk, correlation_id, record };
    journal.append(Write::Entry(Box::new(entry))).context("the journal takes nothing")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let flushed = runtime.block_on(journal.flushed(FLUSH_TIMEOUT));
    journal.close();
    thread.join();
    flushed.map_err(|error| anyhow::anyhow!("the promotion is not durable: {error}. Nothing has changed."))
}
