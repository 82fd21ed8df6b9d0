//! Cases of the order book, and its replay of recorded frames against the recorded best bids and asks.

use std::io::Read;
use std::path::PathBuf;

use domain::MarketEvent;
use proptest::prelude::*;

use super::*;
use crate::binance::frame::{Frame, parse_market_frame, parse_numbered};

fn levels_of(rows: &[(&str, &str)]) -> Levels {
    levels("b", rows).unwrap()
}

fn diff(first: u64, last: u64, bids: &[(&str, &str)], asks: &[(&str, &str)]) -> DepthDiff {
    let (symbol, time) = ("BTCUSDT".parse().unwrap(), Timestamp::from_millis(1_700_000_000_000));
    DepthDiff { symbol, first, last, bids: levels_of(bids), asks: levels_of(asks), time }
}

fn snapshot(last: u64) -> DepthSnapshot {
    let bids = levels_of(&[("100", "1"), ("99", "2")]);
    DepthSnapshot { last, bids, asks: levels_of(&[("101", "1"), ("102", "2")]) }
}

fn best(book: &OrderBook) -> (String, String) {
    let text =
        |level: Option<(Price, Quantity)>| level.map_or_else(String::new, |(price, of)| format!("{price} x {of}"));
    (text(book.best_bid()), text(book.best_ask()))
}

#[test]
fn a_snapshot_and_the_differences_around_it_make_the_book() {
    let mut book = OrderBook::new();
    assert_eq!(book.diff(diff(5, 9, &[("100", "7")], &[])), Next::FetchSnapshot);
    assert_eq!(book.diff(diff(10, 12, &[("100.5", "3")], &[])), Next::Go);
    assert_eq!(book.diff(diff(13, 14, &[], &[("101", "0")])), Next::Go);
    assert_eq!((book.update_id(), book.best_bid()), (None, None));
    // The first difference is in the snapshot already, the second is across it.
    assert_eq!(book.snapshot(&snapshot(10)), Next::Go);
    assert_eq!(book.update_id(), Some(14));
    assert_eq!(best(&book), ("100.5 x 3".into(), "102 x 2".into()));
    assert_eq!(book.diff(diff(1, 14, &[("100.5", "0")], &[])), Next::Go);
    assert_eq!(book.diff(diff(14, 15, &[("100.5", "0"), ("3", "0")], &[])), Next::Go);
    assert_eq!(best(&book), ("100 x 1".into(), "102 x 2".into()));
}

#[test]
fn a_snapshot_that_is_too_old_is_fetched_again() {
    let mut book = OrderBook::new();
    book.diff(diff(12, 14, &[], &[]));
    assert_eq!(book.snapshot(&snapshot(10)), Next::FetchSnapshot);
    assert_eq!(book.snapshot(&snapshot(11)), Next::Go);
    assert_eq!(book.update_id(), Some(14));
}

#[test]
fn a_gap_or_a_crossed_book_is_thrown_away() {
    let cases = [diff(13, 14, &[], &[]), diff(11, 12, &[("101", "1")], &[])];
    for case in cases {
        let mut book = OrderBook::new();
        book.diff(diff(10, 11, &[], &[]));
        assert_eq!(book.snapshot(&snapshot(11)), Next::Go);
        assert_eq!(book.diff(case), Next::FetchSnapshot);
        assert_eq!((book.update_id(), book.best_ask(), book.resyncs()), (None, None, 1));
        assert_eq!(book.snapshot(&snapshot(20)), Next::Go);
    }
    // A gap among those that waited.
    let mut book = OrderBook::new();
    book.diff(diff(10, 11, &[], &[]));
    book.diff(diff(14, 15, &[], &[]));
    assert_eq!(book.snapshot(&snapshot(11)), Next::FetchSnapshot);
    assert_eq!(book.update_id(), None);
    assert_eq!(book.snapshot(&snapshot(14)), Next::Go);
    assert_eq!(book.update_id(), Some(15));
}

#[test]
fn without_a_snapshot_the_buffer_stays_bounded() {
    let mut book = OrderBook::new();
    let asked = (0..10_000).filter(|id| book.diff(diff(*id, *id, &[], &[])) == Next::FetchSnapshot).count();
    assert_eq!(asked, 3);
    assert!(book.buffered.len() <= BUFFERED_MAX);
    book.lost();
    assert!(book.buffered.is_empty());
}

/// The recorded frames, or `None` where they are not on this machine.
fn recorded() -> Option<String> {
    let root = std::env::var_os("VIGIA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join("l2/BTCUSDT-spot-frames-2024-08-08_09.jsonl.zst");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("\n*** NOT TESTED: no recorded frames at {}; set VIGIA_DATA ***\n", path.display());
        return None;
    };
    let mut text = String::new();
    zstd::stream::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    Some(text)
}

/// What the recorded frames tell: differences, snapshots and best prices, with the update id of each of the latter.
enum Told {
    Diff(DepthDiff),
    Snapshot(DepthSnapshot),
    Best(u64, (Price, Quantity), (Price, Quantity)),
}

fn told(text: &str) -> Vec<Told> {
    let frames = text.lines().map(|line| line.split_once(' ').unwrap().1);
    let now = Timestamp::from_millis(1_723_161_254_000);
    frames
        .filter_map(|frame| {
            if frame.starts_with("{\"lastUpdateId\"") {
                return Some(Told::Snapshot(parse_depth_snapshot(frame.as_bytes()).unwrap()));
            }
            match parse_numbered(frame.as_bytes(), now).unwrap() {
                (Frame::Depth(diff), _) => Some(Told::Diff(*diff)),
                (Frame::Market(MarketEvent::Quote(quote)), Some(id)) => {
                    let (bid, ask) = ((quote.bid, quote.bid_quantity), (quote.ask, quote.ask_quantity));
                    Some(Told::Best(id, bid, ask))
                }
                _ => None,
            }
        })
        .collect()
}

#[test]
fn recorded_differences_give_the_recorded_best_bids_and_asks() {
    let Some(text) = recorded() else { return };
    let told = told(&text);
    let best: BTreeMap<u64, _> = told
        .iter()
        .filter_map(|told| match told {
            Told::Best(id, bid, ask) => Some((*id, (*bid, *ask))),
            Told::Diff(_) | Told::Snapshot(_) => None,
        })
        .collect();
    let (mut book, mut compared, mut previous, mut diffs) = (OrderBook::new(), 0, None, 0);
    for told in &told {
        match told {
            Told::Best(..) => continue,
            Told::Snapshot(snapshot) => assert_eq!(book.snapshot(snapshot), Next::Go),
            Told::Diff(diff) => {
                diffs += 1;
                assert!(previous.is_none_or(|last| diff.first == last + 1), "the record has no gap");
                previous = Some(diff.last);
                book.diff(diff.clone());
            }
        }
        // The best prices that held at the book's last update: they are told whenever they change.
        let Some(id) = book.update_id() else { continue };
        let Some((_, (bid, ask))) = best.range(..=id).next_back() else { continue };
        assert_eq!((book.best_bid(), book.best_ask()), (Some(*bid), Some(*ask)), "at {id}");
        compared += 1;
    }
    // In the end the market leaves the 1000 levels of the one snapshot that was recorded; from there on the book says so.
    assert_eq!((book.resyncs(), book.update_id(), diffs), (1, None, 6495));
    assert!(compared > 2500, "{compared}");
}

#[test]
fn a_recorded_difference_that_is_lost_is_noticed_and_healed() {
    let Some(text) = recorded() else { return };
    let diffs = told(&text).into_iter().filter_map(|told| match told {
        Told::Diff(diff) => Some(diff),
        Told::Best(..) | Told::Snapshot(_) => None,
    });
    let mut book = OrderBook::new();
    let mut asked = Vec::new();
    for (at, diff) in diffs.take(1000).enumerate() {
        if at == 500 {
            continue;
        }
        let here = DepthSnapshot { last: diff.last, ..snapshot(0) };
        // Its levels alone: the snapshot that heals is whatever the exchange says.
        if book.diff(DepthDiff { bids: Levels::new(), asks: Levels::new(), ..diff }) == Next::FetchSnapshot {
            asked.push(at);
            assert_eq!(book.snapshot(&here), Next::Go);
        }
    }
    assert_eq!((asked, book.resyncs()), (vec![0, 501], 1));
}

proptest! {
    #[test]
    fn a_book_in_step_is_never_crossed_and_never_goes_back(
        steps in prop::collection::vec((0u64..4, 1u64..4, 95u32..106, 0u32..3, any::<bool>(), any::<bool>()), 1..100),
    ) {
        let (mut book, mut at, mut seen) = (OrderBook::new(), 100, 0);
        for (skip, len, price, quantity, bid, fetch) in steps {
            let (price, quantity) = (price.to_string(), quantity.to_string());
            let row = [(price.as_str(), quantity.as_str())];
            let (bids, asks): (&[_], &[_]) = if bid { (&row, &[]) } else { (&[], &row) };
            // Mostly without a gap, some with one, some again.
            let first = at + skip.saturating_sub(2) + 1;
            at = first + len;
            let next = book.diff(diff(first, at, bids, asks));
            prop_assert_eq!(next == Next::FetchSnapshot && book.update_id().is_some(), false);
            if fetch && book.update_id().is_none() {
                book.snapshot(&snapshot(at));
            }
            if let Some(id) = book.update_id() {
                prop_assert!(id >= seen);
                seen = id;
                let crossed = book.best_bid().zip(book.best_ask()).is_some_and(|(bid, ask)| bid.0 >= ask.0);
                prop_assert!(!crossed);
            } else {
                prop_assert_eq!(book.bids().count() + book.asks().count(), 0);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (parse_depth_diff(&bytes), parse_depth_snapshot(&bytes));
        let _ = parse_market_frame(&bytes, Timestamp::EPOCH);
    }
}
