//! Single steps of the hot path: the gate, the ledger, the indicators, reading frames, signing.

use std::collections::BTreeMap;
use std::hint::black_box;

use domain::{
    Asset, CorrelationId, ExchangeOrderId, ExchangeOrderStatus, ExitKind, Instrument, Millis, OrderReport, OrderSpec,
    Permission, Price, ReasonCode, Side, Symbol, Timestamp,
};
use exchange::binance::{Secret, parse_market_frame};
use ledger::{InstanceSetup, Ledger, LedgerState};
use risk::{EntryIntent, ExitIntent, Gate, GateView, OrderIntent, Protection, Restrictions, SafetyLatch};
use strategy::indicators::{Atr, Ema, Extremes, RollingMeanStd};

use crate::Effort;
use crate::clock::Moment;
use crate::sample::{Samples, Spread, per_call};
use crate::table::Row;
use crate::world::{self, START, instrument, known};

const TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1767225600123,"s":"BTCUSDT","a":4744868157,"p":"87232.01000000","q":"0.02026000","f":4744868157,"l":4744868157,"T":1767225600120,"m":true,"M":true}}"#;
const QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"87232.00000000","B":"3.12100000","a":"87232.01000000","A":"4.06600000"}}"#;
const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1767225660002,"s":"BTCUSDT","k":{"t":1767225600000,"T":1767225659999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"87232.00000000","c":"87240.10000000","h":"87250.00000000","l":"87200.00000000","v":"12.34500000","n":100,"x":true,"q":"1076000.00000000","V":"5.00000000","Q":"436000.00000000","B":"0"}}}"#;
const QUERY: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.02026&newClientOrderId=a-1-12345&newOrderRespType=RESULT&recvWindow=5000&timestamp=1767225600123";

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let samples = effort.of(1_000, 10_000);
    let mut rows = gate(samples);
    rows.extend(ledger_rows(samples));
    rows.extend(indicators(samples));
    rows.extend(frames(samples));
    let secret = Secret::hmac("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")?;
    let sign = per_call(samples, 50, |_| {
        black_box(secret.sign(black_box(QUERY.as_bytes())));
    });
    let sign =
        sign.map(|ns| Spread { min: ns.min / 1e3, p50: ns.p50 / 1e3, p99: ns.p99 / 1e3, max: ns.max / 1e3, ..ns });
    rows.push(
        Row::new("sign: HMAC-SHA256", "us", sign).note(format!("a market order's query of {} bytes", QUERY.len())),
    );
    Ok(rows)
}

/// A ledger with one instance and, if `held`, a position.
fn ledger(held: bool) -> Ledger {
    let setup = InstanceSetup { id: known("a"), family: known("trend"), capital: known("1000000000") };
    let mut ledger = Ledger::new(known::<Asset>("USDT"), &[setup], LedgerState::default());
    ledger.marked(&instrument().symbol, known("50000"), START, &mut Vec::new());
    if held {
        let spec = world::order(1, Side::Buy, known("0.1"));
        ledger.intend(spec.clone(), CorrelationId(1), START);
        book(&mut ledger, &spec, 1, &instrument());
        ledger.reported(&done(&spec));
    }
    ledger
}

fn book(ledger: &mut Ledger, spec: &OrderSpec, trade: u64, instrument: &Instrument) {
    let fill = world::fill(spec, trade, known("50000"), START);
    ledger.book_fill(&fill, instrument, None).expect("invariant: the benchmark's fill is its own");
}

fn done(spec: &OrderSpec) -> OrderReport {
    OrderReport {
        client_order_id: spec.client_order_id.clone(),
        exchange_order_id: Some(ExchangeOrderId(1)),
        symbol: spec.symbol.clone(),
        status: ExchangeOrderStatus::Filled,
        executed_quantity: spec.quantity,
        time: START,
        detail: None,
    }
}

fn gate(samples: usize) -> Vec<Row> {
    let entry = OrderIntent::Entry(EntryIntent {
        instance: known("a"),
        symbol: known(world::SYMBOL),
        side: Side::Buy,
        quantity: known("0.1"),
        limit: None,
        protection: Protection {
            stop: known("49000"),
            take_profit: Some(known("52000")),
            style: risk::ProtectionStyle::Local,
        },
        reason: ReasonCode::EntrySignal,
        correlation_id: CorrelationId(1),
    });
    let flat = ledger(false);
    let held = ledger(true);
    let position = held.instances().next().and_then(|book| book.positions().next());
    let exit = position.and_then(|position| {
        let (kind, reason) = (ExitKind::Signal, ReasonCode::ExitSignal);
        ExitIntent::from_position(position, None, kind, reason, CorrelationId(1)).map(OrderIntent::Exit)
    });
    let exit = exit.expect("invariant: the benchmark's ledger holds a position");
    vec![
        Row::new("gate: approve an entry", "ns", approvals(samples, &flat, &entry)).note("all checks pass; 1 instance"),
        Row::new("gate: approve an exit", "ns", approvals(samples, &held, &exit)),
    ]
}

/// Every approval is of one second later than the one before, so that the window of the order rate stays short.
fn approvals(samples: usize, ledger: &Ledger, intent: &OrderIntent) -> Option<Spread> {
    let limits = risk::Limits { mark_age_ms_max: Millis::new(i64::MAX), ..world::limits() };
    let (mut gate, latch, restrictions) =
        (Gate::new(limits), SafetyLatch::new(Permission::All), Restrictions::default());
    let instruments: BTreeMap<Symbol, Instrument> = BTreeMap::from([(instrument().symbol, instrument())]);
    let view = GateView {
        ledger,
        restrictions: &restrictions,
        instruments: &instruments,
        latch: &latch,
        journal_available: true,
    };
    let id = world::order_id(7);
    per_call(samples, 100, |number| {
        let now = Timestamp::from_millis(START.as_millis() + i64::try_from(number).unwrap_or_default() * 1_000);
        let approved = gate.approve(black_box(intent), id.clone(), view, now);
        black_box(approved.expect("invariant: the benchmark's wish passes the gate"));
    })
}

fn ledger_rows(samples: usize) -> Vec<Row> {
    let prices: [Price; 2] = [known("50000"), known("50000.01")];
    let mark = |held: bool| {
        let (mut ledger, mut changed, symbol) = (ledger(held), Vec::new(), instrument().symbol);
        per_call(samples, 200, |number| {
            ledger.marked(&symbol, prices[number % 2], START, &mut changed);
            changed.clear();
        })
    };
    vec![
        Row::new("ledger: book a fill", "ns", fills(samples))
            .note("position, cash, fees, equity of 3 levels, order, duplicates"),
        Row::new("ledger: mark, one holder", "ns", mark(true)),
        Row::new("ledger: mark, nobody holds", "ns", mark(false)),
    ]
}

/// Buys and sells in turn; what comes before and after the booking is not counted.
fn fills(samples: usize) -> Option<Spread> {
    const BATCH: u64 = 64;
    let (mut ledger, instrument, mut all) = (ledger(false), instrument(), Samples::default());
    let warm_up = samples / 10 + 1;
    for sample in 0..warm_up + samples {
        let first = sample as u64 * BATCH + 1;
        let side = |number: u64| if number.is_multiple_of(2) { Side::Sell } else { Side::Buy };
        let specs: Vec<OrderSpec> =
            (first..first + BATCH).map(|number| world::order(number, side(number), known("0.1"))).collect();
        let fills: Vec<_> =
            (first..).zip(&specs).map(|(trade, spec)| world::fill(spec, trade, known("50000.01"), START)).collect();
        specs.iter().for_each(|spec| {
            ledger.intend(spec.clone(), CorrelationId(1), START);
        });
        let begun = Moment::now();
        for fill in &fills {
            black_box(ledger.book_fill(fill, &instrument, None).expect("invariant: the fill is the benchmark's own"));
        }
        let elapsed = begun.elapsed_ns();
        specs.iter().for_each(|spec| {
            ledger.reported(&done(spec));
        });
        if sample >= warm_up {
            all.add(elapsed / BATCH as f64);
        }
    }
    all.spread(1.0)
}

fn indicators(samples: usize) -> Vec<Row> {
    let value = |number: usize| 50_000.0 + ((number * 7_919) % 1_000) as f64;
    let (mut ema, mut atr) = (Ema::new(20), Atr::new(14));
    let (mut rolling, mut extremes) = (RollingMeanStd::new(20), Extremes::new(20));
    let ema = per_call(samples, 1_000, |number| {
        black_box(ema.update(black_box(value(number))));
    });
    let atr = per_call(samples, 1_000, |number| {
        let price = value(number);
        black_box(atr.update(price + 10.0, price - 10.0, price));
    });
    let rolling = per_call(samples, 1_000, |number| {
        black_box(rolling.update(black_box(value(number))));
    });
    let extremes = per_call(samples, 1_000, |number| {
        let price = value(number);
        extremes.update(price + 10.0, price - 10.0);
        black_box(extremes.highest());
    });
    vec![
        Row::new("indicator: Ema(20) update", "ns", ema),
        Row::new("indicator: Atr(14) update", "ns", atr),
        Row::new("indicator: RollingMeanStd(20) update", "ns", rolling),
        Row::new("indicator: Extremes(20) update", "ns", extremes),
    ]
}

fn frames(samples: usize) -> Vec<Row> {
    let parse = |name: &str, frame: &'static str| {
        let spread = per_call(samples, 50, |_| {
            let event = parse_market_frame(black_box(frame.as_bytes()), START);
            black_box(event.expect("invariant: the benchmark's frame is valid"));
        });
        Row::new(name, "ns", spread).note(format!("{} bytes, combined stream", frame.len()))
    };
    vec![
        parse("frame: bookTicker to event", QUOTE),
        parse("frame: aggTrade to event", TRADE),
        parse("frame: kline to event", KLINE),
    ]
}
