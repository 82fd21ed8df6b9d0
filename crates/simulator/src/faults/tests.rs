//! Tests of reading, of chance and of times.

use std::path::Path;

use super::*;
use crate::faults::Scenario;

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, Path::new("x.toml")).map_err(|error| error.to_string())
}

fn faults(text: &str) -> Faults {
    let scenario = parse(text).unwrap();
    let mut faults = Faults::new(scenario.seed);
    for fault in scenario.faults {
        faults.add(fault, 1000);
    }
    faults
}

fn order() -> RequestFacts<'static> {
    RequestFacts { verb: "POST", path: "order", method: "order.place", symbol: Some("BTCUSDT"), ..Default::default() }
}

#[test]
fn a_bad_word_refuses_the_scenario_and_is_named() {
    for (text, expected) in [
        ("sed = 1", &["`sed`", "`seed`"][..]),
        ("[[fault]]\nkind = \"magic\"", &["\"magic\"", "latency, error_before"]),
        ("[[fault]]\nname = \"a\"", &["(a)", "`kind` is missing"]),
        ("[[fault]]\nkind = \"gone\"\nsymbl = \"X\"", &["`symbl`", "symbol"]),
        ("[[fault]]\nkind = \"gone\"\nstatus = 410", &["`status` does not go with"]),
        ("[[fault]]\nkind = \"limited\"", &["`retry_after_s` is missing"]),
        ("[[fault]]\nkind = \"limited\"\nretry_after_s = 1\nstatus = 430", &["430", "429 and 418"]),
        ("[[fault]]\nkind = \"error_after\"\nstatus = 200", &["200", "500 to 599"]),
        ("[[fault]]\nkind = \"gone\"\nprobability = 1.5", &["1.5", "0 to 1"]),
        ("[[fault]]\nkind = \"gone\"\nprotocol = \"fix\"", &["fix", "rest, ws_api, stream"]),
        ("[[fault]]\nkind = \"gone\"\nat_ms = -1", &["`at_ms`", "below zero"]),
        ("[[fault]]\nkind = \"gone\"\nfor_ms = 10\nevery_ms = 5", &["`every_ms`", "at least"]),
        ("[[fault]]\nkind = \"latency\"\ndistribution = \"x\"", &["constant, uniform, lognormal"]),
        ("[[fault]]\nkind = \"latency\"\ndistribution = \"constant\"\nms = 1\nsigma = 1", &["`sigma`", "it has ms"]),
        ("[[fault]]\nkind = \"symbol_status\"\nsymbol = \"A\"\nstatus = \"X\"", &["TRADING, HALT, BREAK, CANCEL_ONLY"]),
        ("[[fault]]\nkind = \"orders_lost\"\nsymbol = \"BTCUSDT\"", &["`symbol` does not go with"]),
        ("seed = ", &["no TOML"]),
    ] {
        let error = parse(text).unwrap_err();
        assert!(expected.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
}

#[test]
fn every_kind_can_be_written() {
    let rest = "distribution = \"constant\"\nms = 5|retry_after_s = 1|within_ms = 9|offset_ms = -5|symbol = \"BTCUSDT\"|\
                status = \"BREAK\"|notice_ms = 5|share = \"0.5\"|account = \"a\"|side = \"BUY\"|quantity = 1|\
                asset = \"USDT\"|amount = -5|api_key = \"k\"";
    for (kind, needed, _) in crate::faults::KINDS {
        let keys = rest.split('|').filter(|line| needed.iter().any(|key| line.starts_with(&format!("{key} "))));
        let text = format!("[[fault]]\nkind = \"{kind}\"\n{}", keys.collect::<Vec<_>>().join("\n"));
        assert!(parse(&text).is_ok(), "{text}: {:?}", parse(&text));
    }
}

#[test]
fn the_same_seed_hits_the_same_requests() {
    let text =
        |seed| format!("seed = {seed}\n[[fault]]\nkind = \"error_after\"\nendpoint = \"order\"\nprobability = 0.3");
    let hits = |seed| {
        let mut faults = faults(&text(seed));
        (0..200).map(|_| faults.on_request(&order(), 1000).after.is_some()).collect::<Vec<_>>()
    };
    let first = hits(1);
    assert_eq!(first, hits(1));
    assert_ne!(first, hits(2));
    let count = first.iter().filter(|hit| **hit).count();
    assert!((30..90).contains(&count), "{count}");
}

#[test]
fn a_target_and_a_window_bound_a_fault() {
    let mut faults = faults(
        "[[fault]]\nkind = \"gone\"\nendpoint = \"order*\"\nmethod = \"POST\"\nsymbol = \"BTCUSDT\"\nat_ms = 10\nfor_ms = 5\n\
         every_ms = 100\ncount = 3",
    );
    let ask = |faults: &mut Faults, request: RequestFacts<'_>, now| faults.on_request(&request, now).before.is_some();
    assert!(!ask(&mut faults, order(), 1009));
    assert!(ask(&mut faults, order(), 1010));
    assert!(!ask(&mut faults, RequestFacts { verb: "DELETE", ..order() }, 1010));
    assert!(!ask(&mut faults, RequestFacts { path: "account", method: "account.status", ..order() }, 1010));
    assert!(!ask(&mut faults, RequestFacts { symbol: Some("ETHUSDT"), ..order() }, 1010));
    assert!(!ask(&mut faults, order(), 1015));
    assert!(ask(&mut faults, RequestFacts { is_ws_api: true, ..order() }, 1110));
    assert!(ask(&mut faults, order(), 1210));
    assert!(!ask(&mut faults, order(), 1310), "three hits are all");
    assert_eq!(faults.list(1310)[0]["hits"], 3);
}

#[test]
fn delays_keep_their_bounds() {
    let mut faults = faults(
        "[[fault]]\nkind = \"latency\"\ndistribution = \"uniform\"\nms_min = 5\nms_max = 7\nprotocol = \"rest\"\n\
         [[fault]]\nkind = \"latency\"\ndistribution = \"lognormal\"\nms_median = 100\nsigma = 1.0\nms_max = 400\nprotocol = \"ws_api\"",
    );
    let rest: Vec<u64> = (0..100).map(|_| faults.on_request(&order(), 1000).latency_ms).collect();
    assert!(rest.iter().all(|ms| (5..=7).contains(ms)) && rest.contains(&5) && rest.contains(&7));
    let api = RequestFacts { is_ws_api: true, ..order() };
    let mut api: Vec<u64> = (0..301).map(|_| faults.on_request(&api, 1000).latency_ms).collect();
    api.sort_unstable();
    assert!((70..140).contains(&api[150]), "{}", api[150]);
    assert_eq!(api[300], 400);
}

#[test]
fn frames_meet_the_faults_of_their_stream() {
    let mut faults = faults(
        "[[fault]]\nkind = \"depth_gap\"\nsymbol = \"BTCUSDT\"\ncount = 1\n\
         [[fault]]\nkind = \"events_duplicated\"\naccount = \"a\"\n\
         [[fault]]\nkind = \"streams_stalled\"\nstream = \"*@trade\"\nat_ms = 5",
    );
    let mut fate = |stream, account, now| faults.on_frame(&FrameFacts { stream, account, connection: 1 }, now).copies;
    assert_eq!(fate(Some("btcusdt@bookTicker"), None, 1000), 1);
    assert_eq!(fate(Some("btcusdt@depth20"), None, 1000), 1);
    assert_eq!(fate(Some("ethusdt@depth"), None, 1000), 1);
    assert_eq!(fate(Some("btcusdt@depth@100ms"), None, 1000), 0);
    assert_eq!(fate(Some("btcusdt@depth@100ms"), None, 1000), 1);
    assert_eq!(fate(None, Some("a"), 1000), 2);
    assert_eq!(fate(None, Some("b"), 1000), 1);
    assert_eq!((fate(Some("btcusdt@trade"), None, 1004), fate(Some("btcusdt@trade"), None, 1005)), (1, 0));
}

#[test]
fn what_happens_at_the_exchange_has_a_beginning_and_an_end() {
    let mut faults = faults(
        "[[fault]]\nkind = \"symbol_status\"\nsymbol = \"BTCUSDT\"\nstatus = \"HALT\"\nat_ms = 10\nfor_ms = 5\nevery_ms = 50\ncount = 2\n\
         [[fault]]\nkind = \"key_revoked\"\napi_key = \"k\"\nat_ms = 12",
    );
    let mut seen = Vec::new();
    while let Some(at) = faults.next_due().filter(|at| *at < 10_000) {
        assert!(faults.take_due(at - 1).is_none());
        let due = faults.take_due(at).unwrap();
        seen.push((at - 1000, due.id, due.phase));
    }
    let (begin, end) = (Phase::Begin, Phase::End);
    assert_eq!(seen, [(10, 1, begin), (12, 2, begin), (15, 1, end), (60, 1, begin), (65, 1, end)]);
    let text =
        "[[fault]]\nkind = \"clock_skew\"\noffset_ms = -500\nfor_ms = 5\n[[fault]]\nkind = \"maintenance\"\nat_ms = 3";
    let faults = self::faults(text);
    assert_eq!((faults.skew_ms(1004), faults.skew_ms(1005)), (-500, 0));
    assert_eq!((faults.is_maintenance(1002), faults.is_maintenance(1003)), (false, true));
}
