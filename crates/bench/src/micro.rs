//! Single steps of the hot path: the gate, the ledger, the indicators.

use std::hint::black_box;

use domain::{
    Asset, CorrelationId, ExchangeOrderId, ExchangeOrderStatus, Instrument, OrderReport, OrderSpec, Price, Side,
};
use ledger::{InstanceSetup, Ledger, LedgerState};
use strategy::indicators::{Atr, Ema, Extremes, RollingMeanStd};

use crate::Effort;
use crate::clock::Moment;
use crate::gate;
use crate::sample::{Samples, Spread, per_call};
use crate::table::Row;
use crate::world::{self, START, instrument, known};

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let samples = effort.of(1_000, 10_000);
    let mut rows = gate::rows(samples);
    rows.extend(ledger_rows(samples));
    rows.extend(indicators(samples));
    Ok(rows)
}

/// A ledger with the instance `a`, with a position if `held`, and with `others`.
pub(crate) fn ledger(held: bool, others: Vec<InstanceSetup>) -> Ledger {
    let mut setups = vec![InstanceSetup { id: known("a"), family: known("trend"), capital: known("1000000000") }];
    setups.extend(others);
    let mut ledger = Ledger::new(known::<Asset>("USDT"), &setups, LedgerState::default());
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

fn ledger_rows(samples: usize) -> Vec<Row> {
    let prices: [Price; 2] = [known("50000"), known("50000.01")];
    let mark = |held: bool| {
        let (mut ledger, mut changed, symbol) = (ledger(held, Vec::new()), Vec::new(), instrument().symbol);
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
    let (mut ledger, instrument, mut all) = (ledger(false, Vec::new()), instrument(), Samples::default());
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
