//! The whole process: started, stopped, killed, started twice; what it acknowledged is there afterwards.
#![allow(clippy::disallowed_methods, reason = "a test of a process waits in real time")]
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use domain::Quantity;
use ledger::Ledger;
use runtime::paper::PaperAccount;
use store::read::FillRow;

fn vigia(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
    command.args(arguments).arg("--data-dir").arg(directory).stdin(Stdio::null());
    command
}

fn up(directory: &Path, speed: &str) -> Child {
    vigia(directory, &["up", "--no-screen", "--speed", speed])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

fn stop(mut child: Child, name: &str) {
    signal(&child, name);
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{name} gave {status}");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} did not stop it within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn book(directory: &Path) -> PathBuf {
    directory.join("seed-1").join("paper.db")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn fills(directory: &Path) -> Vec<FillRow> {
    wait(async {
        match store::Reader::open(&book(directory)).await {
            Ok(mut reader) => reader.fills(1_000_000).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    })
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(180), "waited three minutes for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The chain verifies, no fill is there twice, and the book holds what the paper account holds.
fn check_book(directory: &Path) {
    let path = book(directory);
    let report = wait(store::verify_chain(&path)).unwrap();
    assert_eq!(report.broken, None);
    let loaded = wait(store::book::load(&path)).unwrap();
    let account = PaperAccount::restore(&loaded.paper_account.expect("a paper account")).unwrap();
    let ledger = Ledger::new("USDT".parse().unwrap(), &[], loaded.book.ledger);
    let balances = account.balances();
    for base in ["BTC", "ETH", "XRP", "ADA", "LINK"] {
        let symbol = format!("{base}USDT").parse().unwrap();
        let of_account = balances.get(&base.parse().unwrap()).copied().unwrap_or(Quantity::ZERO);
        assert_eq!(ledger.held(&symbol), of_account, "{base}");
    }
    let cash: domain::Notional = ledger.instances().map(|book| book.cash).sum();
    assert_eq!(cash.value(), balances[&"USDT".parse().unwrap()].value(), "cash");
}

#[test]
fn signals_stop_it_in_order_and_the_next_start_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen: BTreeSet<(String, i64)> = BTreeSet::new();
    for name in ["INT", "TERM"] {
        let child = up(directory.path(), "300");
        let before = seen.len();
        until("a fill", || fills(directory.path()).len() > before);
        stop(child, name);
        let open = wait(async { store::Reader::open(&book(directory.path())).await.unwrap().orders(true, 100).await });
        let entries: Vec<_> = open.unwrap().into_iter().filter(|order| order.purpose == "entry").collect();
        assert_eq!(entries, [], "nobody guards what fills while the service is away");
        let now: BTreeSet<_> = fills(directory.path()).into_iter().map(|fill| (fill.symbol, fill.trade_id)).collect();
        assert!(now.is_superset(&seen), "fills of the first run are gone");
        seen = now;
        check_book(directory.path());
    }
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_book() {
    let directory = tempfile::tempdir().unwrap();
    let first = up(directory.path(), "60");
    until("the book", || book(directory.path()).exists());
    let second: Output = vigia(directory.path(), &["up", "--no-screen"]).output().unwrap();
    let error = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    assert!(error.contains(&format!("in use by process {} (vigia up)", first.id())), "{error}");
    until("the control socket", || directory.path().join("seed-1").join("control.sock").exists());
    stop(first, "TERM");
}

#[test]
fn a_feed_that_is_older_than_the_book_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let child = up(directory.path(), "300");
    until("a fill", || !fills(directory.path()).is_empty());
    stop(child, "TERM");
    // The market begins again, and the book does not.
    std::fs::remove_file(directory.path().join("seed-1").join("simulator.json")).unwrap();
    let again = vigia(directory.path(), &["up", "--no-screen"]).output().unwrap();
    let error = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1));
    assert!(error.contains("FEED_BEHIND_BOOK") && error.contains("move its directory away"), "{error}");
}

/// SIGKILL at 50 moments, from before the first order to deep in trading: what was acknowledged is there, nothing is booked
/// twice, the chain verifies, and at the end book and account are equal to the last decimal.
#[test]
fn i2_i8_r1_fifty_kills_lose_nothing_and_double_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut random = 0x9e37_79b9_u64;
    for kill in 0..50 {
        let mut child = up(directory.path(), "300");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(250 + (random >> 33) % 900));
        // Whatever a reader has seen is durable: it must be there after the kill.
        let seen: BTreeSet<_> = fills(directory.path()).into_iter().map(|fill| (fill.symbol, fill.trade_id)).collect();
        assert!(seen.is_superset(&acknowledged), "kill {kill}: {:?} are gone", acknowledged.difference(&seen));
        acknowledged = seen;
        assert!(child.try_wait().unwrap().is_none(), "kill {kill}: it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        if book(directory.path()).exists() && wait(store::Reader::open(&book(directory.path()))).is_ok() {
            assert_eq!(
                wait(store::verify_chain(&book(directory.path()))).map(|report| report.broken).ok().flatten(),
                None
            );
        }
    }
    // However slow the machine was: it goes on trading, until there is enough to prove anything with.
    let child = up(directory.path(), "300");
    let before = fills(directory.path()).len();
    until("fills after the kills", || fills(directory.path()).len() > before.max(20));
    stop(child, "TERM");
    let all: BTreeSet<_> = fills(directory.path()).into_iter().map(|fill| (fill.symbol, fill.trade_id)).collect();
    assert!(all.is_superset(&acknowledged), "fills of before the kills are gone");
    check_book(directory.path());
}
