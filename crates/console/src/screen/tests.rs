//! The screen: what is on it, that it always fits, and what it writes where there is no terminal.

use std::sync::{Arc, Mutex};

use domain::Severity;
use insta::assert_snapshot;

use super::*;
use crate::samples;

#[test]
fn the_whole_service_on_one_page() {
    assert_snapshot!(render(&samples::status(), 100, 30), @r"
    PAPER_TRADING  running  permission ALL  heartbeat 412 ms ago
    2026-01-02T03:04:05Z  up 3 min 5 s  boot 3  process 4711  vigia 0.1.0
    equity 10012.35 USDT  result 12.35  day 0.00  drawdown 1.23 %
    realized 15.00  unrealized -2.50  fees 0.16  trades 12  win rate 58.33 %
    market events 123456 (2 refused)  orders 31  fills 29  wishes refused 4

    RESTRICTION   permits  reason                 age  ends by
    family trend  EXITS    FAMILY_DRAWDOWN  2 h 4 min  a person

    POSITION  instance  quantity  average   mark   value  unrealized   stop
    BTCUSDT   ema-fast      0.02  50000.1  49900  998.00       -1.00  49000
    ETHUSDT   ema-fast      0.25  50000.1  49900  850.50       -1.00  49000

    OPEN ORDER  instance  side  purpose  quantity  price  executed  state              age
    BTCUSDT     ema-fast  BUY   entry        0.02  49800     0.005  PARTIALLY_FILLED  12 s

    INSTANCE       family  strategy   permission  trades  win rate  result
    ema-fast       trend   ema-cross  ALL             12   50.00 %   12.35
    donchian-slow  trend   donchian   ALL              0         -   12.35

    2026-01-02T03:03:05Z  INFO      boot 3 is running
    2026-01-02T03:03:56Z  WARNING   the feed was silent for 30 s
    2026-01-02T03:04:03Z  CRITICAL   [2Jno heartbeat for 4 s
    ");
}

#[test]
fn a_small_screen_shows_what_matters() {
    let mut status = samples::status();
    status.heartbeat_age_ms = Some(4100);
    status.feed_connected = false;
    status.journal_failure = Some("the disk is full".to_owned());
    assert_snapshot!(render(&status, 60, 8), @r"
    PAPER_TRADING  running  permission ALL  NO HEARTBEAT for 4 s
    2026-01-02T03:04:05Z  up 3 min 5 s  boot 3  process 4711 ...
    THE JOURNAL CANNOT BE WRITTEN: the disk is full
    THE MARKET FEED IS NOT CONNECTED
    equity 10012.35 USDT  result 12.35  day 0.00  drawdown 1....
    realized 15.00  unrealized -2.50  fees 0.16  trades 12  w...
    RESTRICTION   permits  reason                 age  ends by
    family trend  EXITS    FAMILY_DRAWDOWN  2 h 4 min  a person
    ");
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut status = samples::status();
    status.positions = (1..=30).map(|n| samples::position(&format!("S{n}USDT"), "1", &n.to_string())).collect();
    (status.orders, status.events, status.instances) = (Vec::new(), Vec::new(), Vec::new());
    assert_snapshot!(render(&status, 90, 13), @r"
    PAPER_TRADING  running  permission ALL  heartbeat 412 ms ago
    2026-01-02T03:04:05Z  up 3 min 5 s  boot 3  process 4711  vigia 0.1.0
    equity 10012.35 USDT  result 12.35  day 0.00  drawdown 1.23 %
    realized 15.00  unrealized -2.50  fees 0.16  trades 12  win rate 58.33 %
    market events 123456 (2 refused)  orders 31  fills 29  wishes refused 4
    RESTRICTION   permits  reason                 age  ends by
    family trend  EXITS    FAMILY_DRAWDOWN  2 h 4 min  a person
    POSITION  instance  quantity  average   mark  value  unrealized   stop
    S30USDT   ema-fast         1  50000.1  49900  30.00       -1.00  49000
    S29USDT   ema-fast         1  50000.1  49900  29.00       -1.00  49000
    S28USDT   ema-fast         1  50000.1  49900  28.00       -1.00  49000
    S27USDT   ema-fast         1  50000.1  49900  27.00       -1.00  49000
    ... and 26 more
    ");
}

#[test]
fn it_never_exceeds_the_screen() {
    let mut status = samples::status();
    status.events =
        (0..50).map(|n| samples::event(n, Severity::High, "\u{4e2d}\u{6587} long ".repeat(20).trim())).collect();
    status.instances = (0..40).map(|n| samples::instance(&format!("i{n}"), "donchian", n)).collect();
    for width in (0..20).chain((20..130).step_by(17)) {
        for height in (0..70).step_by(5) {
            let page = layout::lines(&status, width, height);
            assert!(page.len() <= height, "{} lines on {height}", page.len());
            let widest = page.iter().map(|line| line.text.chars().count()).max().unwrap_or(0);
            assert!(widest <= width, "{widest} columns on {width}");
        }
    }
}

#[test]
fn lines_are_cut_to_the_terminal() {
    assert_eq!(cut("12345678\n1234\n\u{4e2d}", 5), "12...\n1234\n?\n");
}

#[test]
fn alarms_are_marked() {
    let mut status = samples::status();
    let alarms = |status: &Status| layout::lines(status, 100, 40).iter().filter(|line| line.alarm).count();
    assert_eq!(alarms(&status), 1, "the critical event");
    status.heartbeat_age_ms = Some(3001);
    assert_eq!(alarms(&status), 2);
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn without_a_terminal_each_event_is_written_once() {
    let written = Written::default();
    let out = Output::lines(Box::new(written.clone()));
    let mut drawing = Drawing { out, seen: Vec::new(), lines_until_summary: 0, begun: false };
    let mut status = samples::status();
    drawing.lines(&status, 3).unwrap();
    status.events.remove(0);
    status.events.push(samples::event(0, Severity::Info, "the heartbeat is back"));
    drawing.lines(&status, 3).unwrap();
    drawing.lines(&status, 3).unwrap();
    drawing.lines(&status, 3).unwrap();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_snapshot!(text, @r"
    2026-01-02T03:03:05Z  INFO      boot 3 is running
    2026-01-02T03:03:56Z  WARNING   the feed was silent for 30 s
    2026-01-02T03:04:03Z  CRITICAL   [2Jno heartbeat for 4 s
    2026-01-02T03:04:05Z  PAPER_TRADING running  permission ALL  heartbeat 412 ms ago  equity 10012.35 USDT  realized 15.00  unrealized -2.50  fees 0.16  day 0.00  positions 2  open orders 1  fills 29
    2026-01-02T03:04:05Z  INFO      the heartbeat is back
    2026-01-02T03:04:05Z  PAPER_TRADING running  permission ALL  heartbeat 412 ms ago  equity 10012.35 USDT  realized 15.00  unrealized -2.50  fees 0.16  day 0.00  positions 2  open orders 1  fills 29
    ");
}

#[test]
fn a_screen_ends_with_the_last_status() {
    let (written, board) = (Written::default(), StatusBoard::default());
    let screen =
        Screen::start(board.clone(), Output::lines(Box::new(written.clone())), Duration::from_secs(60)).unwrap();
    let mut status = samples::status();
    status.phase = "stopping".to_owned();
    board.publish(status);
    drop(screen);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("PAPER_TRADING stopping"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn new_events_are_told_from_old_ones() {
    let event = |n: i64| samples::event(n, Severity::Info, "x");
    let events: Vec<EventLine> = (0..6).map(event).collect();
    let same = vec![event(1), event(1)];
    assert_eq!(new_events(&[], &events[..2]), &events[..2]);
    assert_eq!(new_events(&events[..4], &events[1..6]), &events[4..6]);
    assert_eq!(new_events(&events[..2], &events[3..6]), &events[3..6]);
    assert_eq!(new_events(&events, &events), &[]);
    assert_eq!(new_events(&same[..1], &same), &same[1..]);
}
