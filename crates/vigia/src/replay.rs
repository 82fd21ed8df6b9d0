//! `vigia replay`: the strategies over recorded market data. It touches no book and no exchange.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use domain::{BootNumber, Timestamp};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use runtime::replay::Replay;
use simulator::market::{Market, PathOptions};

use crate::{config, report};

/// Options of `vigia replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Directory with recorded candles or trades (SYMBOL-INTERVAL.csv.zst).
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where the equity curve goes: FILE.csv and FILE.svg.
    #[arg(long, value_name = "FILE", default_value = "replay")]
    output: PathBuf,
    /// Writes the journal, one JSON object a line, hash-chained.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let loaded = config::load(file)?;
    // The boot is part of every order id; a fixed one keeps two runs alike.
    let setup = loaded.config.setup(BootNumber(1));
    let symbols = setup.symbols();
    let path = PathOptions { half_spread: loaded.config.paper.half_spread, ..PathOptions::default() };
    eprintln!("reading {} ...", options.data.display());
    let market = Market::from_data(&options.data, Some(&symbols), path)?;
    let replay = Replay::new(setup, market, loaded.config.paper.clone())?;
    let bar = progress_bar(replay.extent());
    let mut journal = match &options.journal {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
            Some(BufWriter::new(file))
        }
        None => None,
    };
    let writer = journal.as_mut().map(|writer| writer as &mut dyn Write);
    let report = replay.run(writer, |now| {
        bar.set_position(u64::try_from(now.as_millis()).unwrap_or_default().saturating_sub(bar_origin(&bar)));
        bar.set_message(now.to_string());
    })?;
    if let Some(mut journal) = journal {
        journal.flush().context("the journal cannot be written")?;
    }
    bar.finish_and_clear();
    let (csv, svg) = (options.output.with_extension("csv"), options.output.with_extension("svg"));
    report::write_csv(&csv, &report).with_context(|| format!("{} cannot be written", csv.display()))?;
    report::write_svg(&svg, &report).with_context(|| format!("{} cannot be written", svg.display()))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report::text(&report));
        println!("equity curve: {} and {}", csv.display(), svg.display());
        if let (Some(path), Some(hash)) = (&options.journal, &report.journal_hash) {
            println!("journal: {} (last hash {hash})", path.display());
        }
    }
    anyhow::ensure!(
        report.reconciles(),
        "the figures do not reconcile: start {} + realized {} + unrealized {} - fees {} should be {}, and the account is \
         worth {}. This is a defect; please report it with the data and the configuration.",
        report.portfolio.start,
        report.portfolio.realized,
        report.portfolio.unrealized,
        report.portfolio.fees,
        report.portfolio.end,
        report.account_value
    );
    Ok(ExitCode::SUCCESS)
}

/// A bar over the time of the data. Its prefix keeps where the data begins.
fn progress_bar((start, end): (Option<Timestamp>, Option<Timestamp>)) -> ProgressBar {
    let millis = |moment: Option<Timestamp>| moment.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or_default());
    let bar = ProgressBar::new(millis(end).saturating_sub(millis(start)));
    bar.set_prefix(millis(start).to_string());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}  elapsed {elapsed}, left {eta}") {
        bar.set_style(style);
    }
    bar
}

fn bar_origin(bar: &ProgressBar) -> u64 {
    bar.prefix().parse().unwrap_or_default()
}
