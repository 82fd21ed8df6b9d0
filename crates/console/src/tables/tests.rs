//! The tables, as people see them.

use insta::assert_snapshot;

use super::*;
use crate::samples;

const NOW: Option<Timestamp> = Some(samples::NOW);

#[test]
fn the_status_in_short() {
    assert_snapshot!(status(&samples::status()), @r"
    mode        PAPER_TRADING
    version     0.1.0
    boot        3
    process     4711
    phase       running
    time        2026-01-02T03:04:05Z (the exchange's)
    uptime      3 min 5 s
    heartbeat   412 ms ago
    permission  ALL
    feed        connected
    journal     is written
    market      123456 events, 2 refused
    orders      31 sent, 4 wishes refused
    fills       29
    held        2 positions, 1 open orders
    equity      10012.35 USDT
    capital     10000.00 USDT
    result      12.35 USDT
    realized    15.00 USDT
    unrealized  -2.50 USDT
    fees        0.16 USDT
    day         0.00 USDT
    drawdown    1.23 %
    trades      12 closed, 7 of them with a profit

    restriction   permits  reason           since                             ends by
    family trend  EXITS    FAMILY_DRAWDOWN  2026-01-02T01:00:05Z (2 h 4 min)  a person
    ");
}

#[test]
fn positions_with_their_guards() {
    let mut rows = samples::status().positions;
    (rows[0].stop, rows[0].resting) = (None, Quantity::ZERO);
    assert_snapshot!(positions(&rows, NOW), @r"
    instance  symbol   quantity  average price   mark   value  unrealized   stop  take profit  resting  opened
    ema-fast  ETHUSDT      0.25        50000.1  49900  850.50       -1.00   NONE            -        -  2026-01-02T03:01:00Z (3 min 5 s)
    ema-fast  BTCUSDT      0.02        50000.1  49900  998.00       -1.00  49000            -     0.02  2026-01-02T03:01:00Z (3 min 5 s)
    ");
    assert_snapshot!(positions(&[], NOW), @"no positions");
}

#[test]
fn instances_and_actors() {
    assert_snapshot!(instances(&samples::status().instances), @r"
    instance       family  strategy   symbols  permission  trades  win rate  realized  unrealized  fees  result   equity  drawdown
    ema-fast       trend   ema-cross  BTCUSDT  ALL             12   50.00 %     15.00       -2.50  0.16   12.35  1012.35    1.23 %
    donchian-slow  trend   donchian   BTCUSDT  ALL              0         -     15.00       -2.50  0.16   12.35  1012.35    1.23 %
    ");
    assert_snapshot!(actors(&samples::status().actors), @r"
    actor     state    generation  restarts  answered in  last error
    executor  running           2         1         3 ms  a panic: here
    ");
}

#[test]
fn orders_fills_and_journal() {
    let order = OrderRow {
        client_order_id: "v1-ema-fast-3-7".into(),
        instance: "ema-fast".into(),
        symbol: "BTCUSDT".into(),
        side: "BUY".into(),
        order_type: "LIMIT".into(),
        purpose: "entry".into(),
        quantity: "0.0200".into(),
        price: None,
        executed: "0".into(),
        state: "NEW".into(),
        reason: "ENTRY_SIGNAL".into(),
        intended_at: samples::NOW.as_millis() - 850,
        updated_at: samples::NOW.as_millis(),
        correlation_id: 17,
    };
    assert_snapshot!(orders(&[order], NOW), @r"
    order            instance  symbol   side  type   purpose  quantity  price  executed  state  reason        intended                       correlation
    v1-ema-fast-3-7  ema-fast  BTCUSDT  BUY   LIMIT  entry        0.02      -         0  NEW    ENTRY_SIGNAL  2026-01-02T03:04:04Z (850 ms)           17
    ");
    let fill = FillRow {
        symbol: "BTCUSDT".into(),
        trade_id: 9,
        client_order_id: "v1-ema-fast-3-7".into(),
        instance: "ema-fast".into(),
        side: "SELL".into(),
        price: "49900.10".into(),
        quantity: "0.02".into(),
        commission: "0.998".into(),
        commission_asset: "USDT".into(),
        is_maker: false,
        time: samples::NOW.as_millis(),
        result: Some("-3.14159".into()),
    };
    assert_snapshot!(fills(&[fill], None), @r"
    time                  symbol   trade  instance  side  quantity    price  commission  role   trade's result  order
    2026-01-02T03:04:05Z  BTCUSDT      9  ema-fast  SELL      0.02  49900.1  0.998 USDT  taker           -3.14  v1-ema-fast-3-7
    ");
    let row = JournalRow {
        sequence: 7,
        time: samples::NOW.as_millis(),
        kind: "stopped".into(),
        actor: "executor".into(),
        correlation_id: 0,
        payload: "{\"kind\":\"stopped\",\"boot\":3}".into(),
    };
    assert_snapshot!(journal(std::slice::from_ref(&row), NOW), @r#"
    row  time                         kind     actor     correlation  payload
      7  2026-01-02T03:04:05Z (0 ms)  stopped  executor            0  {"kind":"stopped","boot":3}
    "#);
    assert_snapshot!(journal_line(&row), @r#"       7  2026-01-02T03:04:05Z  stopped               executor                            0  {"kind":"stopped","boot":3}"#);
}

#[test]
fn money_is_rounded_and_never_minus_nothing() {
    let shown: Vec<String> =
        ["0.005", "1.999", "-0.004", "-1.239", "1000000"].map(|text| money(text.parse().unwrap())).into();
    assert_eq!(shown, ["0.00", "2.00", "0.00", "-1.24", "1000000.00"]);
}
