//! Real recorded candles through the machines: the outage of 2023-03-24 and the crash of 2021-05-19.
//!
//! The data is not part of the project: `VIGIA_DATA`, or `../shared/data`. Where it is absent, these tests say so loudly.
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::path::PathBuf;

use domain::{BootNumber, Millis, Timestamp};
use engine::{FamilyIndex, FamilySetup, InstanceConfig, Setup};
use risk::Limits;
use runtime::replay::Replay;
use runtime::results::ReplayReport;
use simulator::market::{Market, PathOptions};
use simulator::model::ModelSettings;

fn data(set: &str) -> Option<PathBuf> {
    let root = std::env::var_os("VIGIA_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let directory = root.join(set);
    if directory.is_dir() {
        return Some(directory);
    }
    eprintln!(
        "\n*** NOT TESTED: {} is not there; set VIGIA_DATA to the directory of the recorded data ***\n",
        directory.display()
    );
    None
}

fn setup(symbols: &[&str]) -> Setup {
    let kinds = [
        ("ema", r#"{"kind": "ema-cross", "interval": "1m"}"#),
        ("boll", r#"{"kind": "bollinger", "interval": "1m"}"#),
        ("don", r#"{"kind": "donchian", "interval": "5m"}"#),
    ];
    let instance = |(family, (kind, strategy)): (usize, &(&str, &str))| InstanceConfig {
        id: kind.parse().unwrap(),
        family: FamilyIndex(family as u16),
        capital: "50000".parse().unwrap(),
        symbols: symbols.iter().map(|symbol| symbol.parse().unwrap()).collect(),
        entry_size: "0.15".parse().unwrap(),
        protection: risk::ProtectionStyle::Local,
        strategy: serde_json::from_str(strategy).unwrap(),
    };
    Setup {
        currency: "USDT".parse().unwrap(),
        families: kinds.iter().map(|(kind, _)| FamilySetup { id: kind.parse().unwrap() }).collect(),
        instances: kinds.iter().enumerate().map(instance).collect(),
        limits: Limits::default(),
        boot: BootNumber(1),
        heartbeat_timeout_ms: 3000,
        equity_sample_ms: Millis::from_secs(3600),
        quote_age_ms_max: Millis::from_secs(10),
    }
}

/// `2023-03-24T12:40`, UTC.
fn at(text: &str) -> Timestamp {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day, hour, minute) = (number(0..4), number(5..7), number(8..10), number(11..13), number(14..16));
    // Days from civil, H. Hinnant, http://howardhinnant.github.io/date_algorithms.html
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let of_era = year - era * 400;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Timestamp::from_millis((days * 1440 + hour * 60 + minute) * 60_000)
}

fn replay(set: &str, symbols: &[&str], from: &str, until: &str) -> Option<(ReplayReport, Vec<serde_json::Value>)> {
    let symbols_wanted: Vec<_> = symbols.iter().map(|symbol| symbol.parse().unwrap()).collect();
    let mut market = Market::from_data(&data(set)?, Some(&symbols_wanted), PathOptions::default()).unwrap();
    market.seek(at(from));
    let replay = Replay::new(setup(symbols), market, ModelSettings::default()).unwrap().until(at(until));
    let mut journal = Vec::new();
    let report = replay.run(Some(&mut journal), |_| {}).unwrap();
    let rows = journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Some((report, rows.map(|line| serde_json::from_slice(line).unwrap()).collect()))
}

fn count(rows: &[serde_json::Value], kind: &str, from: Timestamp, to: Timestamp) -> usize {
    let within = |row: &&serde_json::Value| (from.as_millis()..to.as_millis()).contains(&row["time"].as_i64().unwrap());
    rows.iter().filter(within).filter(|row| row["record"]["kind"] == kind).count()
}

#[test]
fn the_outage_of_2023_03_24_causes_no_order_and_no_panic() {
    let symbols = ["BTCUSDT", "ETHUSDT", "ADAUSDT", "SOLUSDT"];
    let set = "klines-1m-2023-03-outage";
    let Some((report, rows)) = replay(set, &symbols, "2023-03-23T12:00", "2023-03-25T00:00") else { return };
    assert!(report.reconciles());
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    // 72 flat candles from 11:28, then 80 absent ones until 14:00.
    let (flat, absent, back) = (at("2023-03-24T11:28"), at("2023-03-24T12:40"), at("2023-03-24T14:00"));
    assert_eq!(count(&rows, "order_intended", absent + Millis::from_secs(60), back), 0);
    assert_eq!(count(&rows, "fill_booked", absent + Millis::from_secs(60), back), 0);
    assert!(count(&rows, "fill_booked", at("2023-03-23T12:00"), flat) > 20);
    assert!(count(&rows, "fill_booked", back, at("2023-03-25T00:00")) > 20, "it goes on after the outage");
}

#[test]
fn the_crash_of_2021_05_19_reconciles_from_both_sides() {
    let symbols = ["BTCUSDT", "ETHUSDT", "DOGEUSDT", "XRPUSDT"];
    let set = "klines-1m-2021-05-crash";
    let Some((report, rows)) = replay(set, &symbols, "2021-05-18T12:00", "2021-05-20T00:00") else { return };
    assert!(report.reconciles(), "{:?} and {}", report.portfolio, report.account_value);
    assert!(report.fills > 100);
    // Every entry was guarded, and guards fired in the crash.
    let stops = rows.iter().filter(|row| row["record"]["order"]["spec"]["reason"] == "EXIT_STOP_LOSS").count();
    assert!(stops > 10, "{stops} stops fired");
}

#[test]
fn the_days_of_the_calendar_are_counted_right() {
    assert_eq!(at("2023-03-24T12:40").to_string(), "2023-03-24T12:40:00.000Z");
    assert_eq!(at("2021-05-19T00:00").to_string(), "2021-05-19T00:00:00.000Z");
}
