//! Cases of the ledger of limits, and that no sequence gets more through than a window takes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: i64 = 1_700_000_040_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms)
}

fn budget(max: u32) -> RateBudget {
    let limits = [
        RateLimit { kind: LimitKind::Weight, interval_ms: 60_000, max },
        RateLimit { kind: LimitKind::Orders, interval_ms: 10_000, max: 10 },
    ];
    RateBudget::new(&limits, Reserve { margin_percent: 5, exits_percent: 20 })
}

fn read(weight: u32) -> Cost {
    Cost { weight, orders: 0 }
}

#[test]
fn reads_and_entries_leave_the_reserve_to_exits() {
    let mut budget = budget(100);
    assert_eq!(budget.admit(at(0), read(75), Priority::Read), Ok(()));
    assert_eq!(budget.admit(at(1000), read(1), Priority::Read), Err(59_000));
    assert_eq!(budget.admit(at(1000), Cost { weight: 1, orders: 1 }, Priority::Entry), Err(59_000));
    assert_eq!(budget.admit(at(1000), read(25), Priority::Exit), Ok(()));
    assert_eq!(budget.admit(at(1000), read(1), Priority::Exit), Err(59_000));
    assert_eq!(budget.admit(at(60_000), read(75), Priority::Read), Ok(()));
}

#[test]
fn orders_have_windows_of_their_own_and_cancels_do_not_count() {
    let mut budget = budget(6000);
    let list = Cost { weight: 1, orders: 2 };
    for _ in 0..3 {
        assert_eq!(budget.admit(at(0), list, Priority::Entry), Ok(()));
    }
    // 7 of 10 for entries: 6 are used, a list needs two.
    assert_eq!(budget.admit(at(4000), list, Priority::Entry), Err(6000));
    assert_eq!(budget.admit(at(4000), list, Priority::Exit), Ok(()));
    assert_eq!(budget.admit(at(4000), read(1), Priority::Exit), Ok(()));
    assert_eq!(budget.window_left_ms(at(4000), LimitKind::Orders), 6000);
}

#[test]
fn what_the_exchange_counts_corrects_upward_only() {
    let mut budget = budget(100);
    budget.admit(at(0), read(40), Priority::Read).unwrap();
    budget.note(at(0), LimitKind::Weight, 60_000, 10);
    assert_eq!(budget.used(LimitKind::Weight), (40, 100));
    budget.note(at(0), LimitKind::Weight, 60_000, 74);
    assert_eq!(budget.admit(at(0), read(2), Priority::Read), Err(60_000));
    budget.note(at(0), LimitKind::Weight, 1_000, 100);
    budget.note(at(60_000), LimitKind::Weight, 60_000, 3);
    assert_eq!(budget.used(LimitKind::Weight), (3, 100));
}

#[test]
fn new_limits_keep_what_was_used_and_limits_that_were_not_told() {
    let mut budget = budget(100);
    budget.admit(at(0), Cost { weight: 30, orders: 5 }, Priority::Exit).unwrap();
    budget.set_limits(&[
        RateLimit { kind: LimitKind::Weight, interval_ms: 60_000, max: 40 },
        RateLimit { kind: LimitKind::Weight, interval_ms: 0, max: 40 },
    ]);
    assert_eq!((budget.used(LimitKind::Weight), budget.used(LimitKind::Orders)), ((30, 40), (5, 10)));
    assert_eq!(budget.admit(at(0), read(11), Priority::Exit), Err(60_000));
}

#[test]
fn a_clock_that_is_set_back_does_not_empty_a_window() {
    let mut budget = budget(100);
    budget.admit(at(61_000), read(70), Priority::Read).unwrap();
    assert!(budget.admit(at(0), read(10), Priority::Read).is_err());
}

proptest! {
    #[test]
    fn no_sequence_gets_more_through_than_a_window_takes(
        steps in prop::collection::vec((0i64..20_000, 0u32..60, 0u32..3, 0usize..3, prop::option::of(0u32..120)), 1..200),
    ) {
        let mut budget = budget(100);
        let priorities = [Priority::Entry, Priority::Read, Priority::Exit];
        let mut now_ms = 0;
        let mut through: BTreeMap<(LimitKind, i64), u32> = BTreeMap::new();
        for (pass_ms, weight, orders, priority, said) in steps {
            now_ms += pass_ms;
            let now = at(now_ms);
            if let Some(used) = said {
                budget.note(now, LimitKind::Weight, 60_000, used);
            }
            let priority = priorities[priority];
            if budget.admit(now, Cost { weight, orders }, priority).is_ok() {
                let weights = through.entry((LimitKind::Weight, now.as_millis() / 60_000)).or_default();
                *weights += weight;
                let bound = if priority == Priority::Exit || weight == 0 { 100 } else { 75 };
                prop_assert!(*weights <= bound);
                let placed = through.entry((LimitKind::Orders, now.as_millis() / 10_000)).or_default();
                *placed += orders;
                prop_assert!(*placed <= 10);
            }
        }
    }
}
