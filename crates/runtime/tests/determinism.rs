//! The same machines everywhere: two replays are byte-identical, and the actors do what the replay does.
#![allow(clippy::disallowed_methods, reason = "a test may wait in real time")]
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

mod kit;

use std::collections::BTreeSet;

use domain::{Millis, Permission, Timestamp};
use engine::{Cycle, Envelope, MarketDataMessage, ReconcilerMessage};
use kit::{Kit, STILL, market, setup};
use runtime::replay::{CYCLE_EVERY, Replay};
use simulator::model::ModelSettings;

const SYMBOLS: [&str; 3] = ["AAAUSDT", "BBBUSDT", "CCCUSDT"];

fn end(market: &simulator::market::Market, minutes: i64) -> Timestamp {
    market.peek_time().unwrap() + Millis::from_secs(60 * minutes)
}

fn replay(minutes: i64) -> (Vec<u8>, runtime::results::ReplayReport) {
    let market = market(7, &SYMBOLS);
    let until = end(&market, minutes);
    let mut journal = Vec::new();
    let replay = Replay::new(setup(&SYMBOLS), market, ModelSettings::default()).unwrap().until(until);
    let report = replay.run(Some(&mut journal), |_| {}).unwrap();
    (journal, report)
}

#[test]
fn two_replays_of_the_same_input_give_byte_identical_journals() {
    let ((first, report), (second, _)) = (replay(2000), replay(2000));
    assert!(report.fills > 200, "{} fills are too few to prove anything", report.fills);
    assert!(first == second, "the journals differ");
    assert!(report.reconciles(), "{:?} and {:?}", report.portfolio, report.account_value);
}

/// (order id, symbol, side, quantity, price, when)
type OrderKey = (String, String, String, String, Option<String>, i64);
/// (order id, symbol, side, price, quantity, commission, when)
type FillKey = (String, String, String, String, String, String, i64);

fn of_replay(journal: &[u8]) -> (BTreeSet<OrderKey>, BTreeSet<FillKey>) {
    let (mut orders, mut fills) = (BTreeSet::new(), BTreeSet::new());
    for line in journal.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let row: serde_json::Value = serde_json::from_slice(line).unwrap();
        let (record, text) =
            (&row["record"], |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned());
        match record["kind"].as_str().unwrap() {
            "order_intended" => {
                let spec = &record["order"]["spec"];
                orders.insert((
                    text(&spec["client_order_id"]),
                    text(&spec["symbol"]),
                    text(&spec["side"]),
                    text(&spec["quantity"]),
                    spec["price"].as_str().map(str::to_owned),
                    record["order"]["intended_at"].as_i64().unwrap(),
                ));
            }
            "fill_booked" => {
                let fill = &record["fill"];
                fills.insert((
                    text(&fill["client_order_id"]),
                    text(&fill["symbol"]),
                    text(&fill["side"]),
                    text(&fill["price"]),
                    text(&fill["quantity"]),
                    text(&fill["commission"]),
                    fill["time"].as_i64().unwrap(),
                ));
            }
            _ => {}
        }
    }
    (orders, fills)
}

fn of_book(kit: &Kit) -> (BTreeSet<OrderKey>, BTreeSet<FillKey>) {
    let (orders, fills) = kit
        .read(async |reader| (reader.orders(false, 1_000_000).await.unwrap(), reader.fills(1_000_000).await.unwrap()));
    let orders = orders
        .into_iter()
        .map(|row| (row.client_order_id, row.symbol, row.side, row.quantity, row.price, row.intended_at))
        .collect();
    let fills = fills
        .into_iter()
        .map(|row| (row.client_order_id, row.symbol, row.side, row.price, row.quantity, row.commission, row.time))
        .collect();
    (orders, fills)
}

/// The first few that only one side has.
fn first_differences<T: Ord + Clone>(left: &BTreeSet<T>, right: &BTreeSet<T>) -> (Vec<T>, Vec<T>) {
    (left.difference(right).take(4).cloned().collect(), right.difference(left).take(4).cloned().collect())
}

#[test]
fn the_actors_send_the_same_orders_and_book_the_same_fills_as_the_replay() {
    let minutes = 400;
    let (journal, report) = replay(minutes);
    assert!(report.fills > 40, "{} fills are too few to prove anything", report.fills);

    let directory = tempfile::tempdir().unwrap();
    let mut market = market(7, &SYMBOLS);
    let until = end(&market, minutes);
    let kit = Kit::start(directory.path(), setup(&SYMBOLS), &market, STILL);
    kit.wait("the recovery", |kit| kit.service.wiring().latch.permission() == Permission::All);
    kit.quiet();
    let mut next_cycle = market.peek_time().unwrap() + CYCLE_EVERY;
    let mut sequence = 0;
    while market.peek_time().unwrap() < until {
        let event = market.next().unwrap();
        let now = event.time();
        if now >= next_cycle {
            next_cycle = now.floor_to(CYCLE_EVERY) + CYCLE_EVERY;
            kit.service.wiring().clock.saw(now);
            sequence += 1;
            kit.service.send(Envelope::MarketData(MarketDataMessage::Cycle(Cycle { sequence })));
            kit.quiet();
            kit.service.send(Envelope::Reconciler(ReconcilerMessage::Cycle(Cycle { sequence })));
            kit.quiet();
        }
        kit.step(event);
    }
    let (orders, fills) = of_replay(&journal);
    let (actor_orders, actor_fills) = of_book(&kit);
    assert_eq!(first_differences(&actor_orders, &orders), (vec![], vec![]));
    assert_eq!(first_differences(&actor_fills, &fills), (vec![], vec![]));
    kit.service.stop();
}
