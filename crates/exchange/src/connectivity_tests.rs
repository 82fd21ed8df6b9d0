//! Cases of the state machine of reachability.

use proptest::prelude::*;

use super::*;
use Observation::{Answered, Failed, GaveUp, StreamLost, StreamUp};

type State = (Health, i64, Option<ReasonCode>);
type Seen<'a> = &'a [(i64, Observation<'a>)];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

fn machine() -> Connectivity {
    Connectivity::new(ConnectivitySettings::default(), at(0))
}

fn seen(machine: &mut Connectivity, what: Seen<'_>) -> State {
    for (ms, observation) in what {
        machine.observe(*observation, at(*ms));
    }
    let state = machine.reachability();
    (state.health, state.since.since(at(0)).get(), state.reason)
}

#[test]
fn c2_health_follows_what_is_seen() {
    let down = Some(ReasonCode::ExchangeUnreachable);
    let cases: &[(Seen<'_>, State)] = &[
        (&[(1, Answered)], (Health::Up, 0, None)),
        (&[(1, Failed), (2, Failed)], (Health::Degraded, 1, down)),
        (&[(1, Failed), (2, Answered)], (Health::Up, 2, None)),
        (&[(1, Failed), (2, GaveUp)], (Health::Down, 2, down)),
        (&[(1, GaveUp), (2, Failed)], (Health::Down, 1, down)),
        (&[(1, GaveUp), (2, Answered)], (Health::Degraded, 2, down)),
        (&[(1, GaveUp), (2, Answered), (3, Failed)], (Health::Down, 3, down)),
        (&[(1, GaveUp), (2, Answered), (3, Answered), (4, Answered)], (Health::Up, 4, None)),
        (&[(1, StreamLost("a"))], (Health::Degraded, 1, Some(ReasonCode::FeedLost))),
        (
            &[(1, StreamLost("a")), (2, StreamLost("b")), (3, StreamUp("a"))],
            (Health::Degraded, 1, Some(ReasonCode::FeedLost)),
        ),
        (&[(1, StreamLost("a")), (2, StreamUp("a"))], (Health::Up, 2, None)),
        // A stream alone does not make it reachable again.
        (&[(1, GaveUp), (2, StreamUp("a"))], (Health::Down, 1, down)),
    ];
    for (what, expected) in cases {
        assert_eq!(seen(&mut machine(), what), *expected, "{what:?}");
    }
}

#[test]
fn c2_exits_probe_at_once_reads_by_turns_and_entries_wait() {
    let mut machine = machine();
    let senders = [Sender::Entry, Sender::Read, Sender::Exit];
    assert_eq!(senders.map(|sender| machine.permit(sender, at(0))), [Permit::Yes; 3]);
    machine.observe(Failed, at(0));
    assert_eq!(machine.permit(Sender::Entry, at(0)), Permit::Yes);
    machine.observe(GaveUp, at(0));
    let until = at(1000);
    assert_eq!(
        senders.map(|sender| machine.permit(sender, at(999))),
        [Permit::No { until }, Permit::No { until }, Permit::Probe]
    );
    // One read probes, the next one waits for what comes of it.
    assert_eq!(machine.permit(Sender::Read, at(1000)), Permit::Probe);
    assert_eq!(machine.permit(Sender::Read, at(1001)), Permit::No { until: at(2000) });
    // The probe failed: the wait doubles.
    machine.observe(GaveUp, at(1100));
    assert_eq!(machine.permit(Sender::Read, at(3000)), Permit::No { until: at(3100) });
    // It answers: reads go, entries wait until it is trusted.
    machine.observe(Answered, at(3200));
    assert_eq!(machine.permit(Sender::Read, at(3200)), Permit::Yes);
    assert!(matches!(machine.permit(Sender::Entry, at(3200)), Permit::No { .. }));
    machine.observe(Answered, at(3201));
    machine.observe(Answered, at(3202));
    assert_eq!(machine.permit(Sender::Entry, at(3202)), Permit::Yes);
}

#[test]
fn probes_are_never_further_apart_than_the_longest_wait() {
    let mut machine = machine();
    for _ in 0..20 {
        machine.observe(GaveUp, at(0));
    }
    assert_eq!(machine.permit(Sender::Read, at(0)), Permit::No { until: at(60_000) });
}

proptest! {
    #[test]
    fn exits_always_go_and_answers_always_heal(steps in prop::collection::vec((0usize..6, 0i64..5000), 0..60)) {
        let all = [Answered, Failed, GaveUp, StreamLost("a"), StreamUp("a"), StreamLost("b")];
        let (mut machine, mut now) = (machine(), 0);
        for (which, pass) in steps {
            now += pass;
            machine.observe(all[which], at(now));
            let held_back = matches!(machine.permit(Sender::Exit, at(now)), Permit::No { .. });
            prop_assert!(!held_back);
            let state = machine.reachability();
            prop_assert_eq!(state.reason.is_none(), state.health == Health::Up);
            prop_assert!(state.since <= at(now));
        }
        for _ in 0..3 {
            machine.observe(Answered, at(now));
        }
        machine.observe(StreamUp("a"), at(now));
        machine.observe(StreamUp("b"), at(now));
        prop_assert_eq!(machine.reachability().health, Health::Up);
        prop_assert_eq!(machine.permit(Sender::Entry, at(now)), Permit::Yes);
    }
}
