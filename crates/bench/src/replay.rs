//! The replay: events a second through all machines on one thread, with every fill booked.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::Setup;
use runtime::replay::Replay;
use runtime::results::ReplayReport;
use simulator::market::{Market, PathOptions};
use simulator::model::ModelSettings;

use crate::Effort;
use crate::clock::Moment;
use crate::proc;
use crate::sample::Samples;
use crate::table::Row;
use crate::world::{self, known};

/// Trades of the made-up day.
const TRADES: u32 = 1_000_000;
/// Recorded candles that are replayed where they are there.
const CANDLES: &str = "klines-1m-2021-05-crash";

/// Fees small against the capital: the orders must not end for want of cash.
fn settings() -> ModelSettings {
    ModelSettings {
        maker_fee: known("0.0001"),
        taker_fee: known("0.0001"),
        half_spread: known("0.000001"),
        ..ModelSettings::default()
    }
}

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let mut rows = trades(effort)?;
    match data_directory() {
        Some(directory) => rows.extend(candles(effort, &directory)?),
        None => rows.push(Row::left_out(
            "replay of recorded candles",
            format!("no directory {CANDLES} in VIGIA_DATA or ../shared/data"),
        )),
    }
    Ok(rows)
}

fn data_directory() -> Option<PathBuf> {
    Some(crate::recorded::data().join(CANDLES)).filter(|directory| directory.is_dir())
}

/// Reads a market, with how long it took in seconds.
fn load(directory: &Path, setup: &Setup) -> anyhow::Result<(Market, f64)> {
    let begun = Moment::now();
    let path = PathOptions { half_spread: settings().half_spread, ..PathOptions::default() };
    let market = Market::from_data(directory, Some(&setup.symbols()), path)?;
    Ok((market, begun.elapsed_s()))
}

/// One run, with its seconds and those of the processor. What goes into `journal` is flushed within them.
fn run(setup: &Setup, market: &Market, journal: Option<&Path>) -> anyhow::Result<(ReplayReport, f64, Option<f64>)> {
    let replay = Replay::new(setup.clone(), market.clone(), settings())?;
    let (begun, used) = (Moment::now(), proc::cpu_seconds(std::process::id()));
    let report = match journal {
        None => replay.run(None, |_| {})?,
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
            let mut out = BufWriter::new(file);
            let report = replay.run(Some(&mut out), |_| {})?;
            out.flush()?;
            report
        }
    };
    let seconds = begun.elapsed_s();
    let processor = proc::cpu_seconds(std::process::id()).zip(used).map(|(after, before)| after - before);
    anyhow::ensure!(report.reconciles(), "the figures of a replay do not reconcile");
    Ok((report, seconds, processor))
}

fn refused(report: &ReplayReport) -> u64 {
    report.refused.values().sum()
}

fn described(report: &ReplayReport) -> String {
    let (events, orders, fills) = (report.events, report.orders, report.fills);
    format!("{events} events, {orders} orders, {fills} fills booked, {} refused", refused(report))
}

fn trades(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let directory = world::temp_dir()?;
    let file = crate::data::write_trades(directory.path(), TRADES)?;
    let setup = world::trades_setup(10, 20)?;
    let (market, seconds) = load(directory.path(), &setup)?;
    let megabytes = std::fs::metadata(&file).map_or(0.0, |found| found.len() as f64 / 1e6);
    let mut rows = vec![
        Row::one("load 1M trades from CSV", "trades/s", f64::from(TRADES) / seconds)
            .note(format!("{megabytes:.0} MB plain CSV; not part of the rows below")),
    ];
    rows.extend(measured("replay 1M trades", effort.of(4, 15), &setup, &market, None)?);
    let journal = directory.path().join("journal.jsonl");
    rows.extend(measured("replay 1M trades + journal", effort.of(2, 5), &setup, &market, Some(&journal))?);
    drop(market);
    rows.push(memory("replay 1M trades: peak memory"));
    Ok(rows)
}

/// Trades (where there are any by themselves) and events a second over `times` runs.
fn measured(
    name: &str,
    times: usize,
    setup: &Setup,
    market: &Market,
    journal: Option<&Path>,
) -> anyhow::Result<Vec<Row>> {
    let rows = market.len_hint().unwrap_or_default();
    let (mut all, mut inputs, mut processors) = (Samples::default(), Samples::default(), Samples::default());
    let mut last = None;
    for _ in 0..times {
        let (report, seconds, processor) = run(setup, market, journal)?;
        all.add(report.events as f64 / seconds);
        inputs.add(rows as f64 / seconds);
        if let Some(processor) = processor.filter(|seconds| *seconds > 0.0) {
            processors.add(report.events as f64 / processor);
        }
        last = Some(report);
    }
    let mut note = last.as_ref().map(described).unwrap_or_default();
    if let Some(path) = journal {
        let size = std::fs::metadata(path).map_or(0.0, |found| found.len() as f64 / 1e6);
        note.push_str(&format!("; journal of {size:.0} MB, hash-chained"));
    }
    let target = if journal.is_none() { ">= 1M" } else { "" };
    Ok(vec![
        Row::new(name, "events/s", all.spread(1.0)).target(target).note(note),
        Row::new("  the same, by processor time", "events/s", processors.spread(1.0))
            .note("events in a second of processor time: less moved by neighbours on the machine"),
        Row::new(format!("  the same, by {rows} rows of input"), "rows/s", inputs.spread(1.0))
            .note("each row is one to nine events: trade, quote, candle"),
    ])
}

fn memory(name: &str) -> Row {
    match proc::peak_mib().zip(proc::resident_mib(None)) {
        Some((peak, now)) => Row::one(name, "MiB", peak)
            .note(format!("VmHWM of this process, with two copies of the market; {now:.0} MiB when they are dropped")),
        None => Row::left_out(name, "needs /proc"),
    }
}

fn candles(effort: Effort, directory: &Path) -> anyhow::Result<Vec<Row>> {
    let setup = candles_setup()?;
    let (market, seconds) = load(directory, &setup)?;
    let count = market.len_hint().unwrap_or_default() as f64;
    let mut rows = vec![Row::one("load recorded candles", "candles/s", count / seconds).note("zstd; from VIGIA_DATA")];
    rows.extend(measured("replay recorded 1m candles", effort.of(2, 5), &setup, &market, None)?);
    Ok(rows)
}

/// The eight instances that the service ships with, on five symbols of the recorded data.
fn candles_setup() -> anyhow::Result<Setup> {
    use serde_json::json;
    let ema = |interval: &str, fast: u32, slow: u32| json!({ "kind": "ema-cross", "interval": interval, "fast": fast, "slow": slow });
    let bollinger = |period: u32, width: f64| json!({ "kind": "bollinger", "interval": "1m", "period": period, "width": width, "stop_width": 3.0 });
    let donchian = |interval: &str, entry: u32, exit: u32| json!({ "kind": "donchian", "interval": interval, "entry_period": entry, "exit_period": exit });
    let all: [(&str, u16, &[&str], serde_json::Value); 8] = [
        ("ema-btc", 0, &["BTCUSDT"], ema("1m", 10, 20)),
        ("ema-eth", 0, &["ETHUSDT"], ema("1m", 8, 21)),
        ("ema-alts", 0, &["XRPUSDT", "ADAUSDT"], ema("5m", 12, 26)),
        ("boll-btc", 1, &["BTCUSDT"], bollinger(20, 2.0)),
        ("boll-link", 1, &["LINKUSDT"], bollinger(20, 2.2)),
        ("boll-ada", 1, &["ADAUSDT"], bollinger(30, 2.0)),
        ("don-eth", 2, &["ETHUSDT"], donchian("1m", 20, 10)),
        ("don-all", 2, &["BTCUSDT", "ETHUSDT", "XRPUSDT", "LINKUSDT"], donchian("5m", 30, 15)),
    ];
    let instances = all
        .into_iter()
        .map(|(id, family, symbols, json)| Ok(world::instance(id, family, symbols, "0.01", world::strategy(json)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(world::setup(&["trend", "reversion", "breakout"], instances))
}
