//! The gate: what one approval costs, alone and with many orders open.
//!
//! It must never measure a refusal: an approval that fails ends the benchmark.

use std::collections::BTreeMap;
use std::hint::black_box;

use domain::{
    BootNumber, CorrelationId, ExitKind, Filters, Instrument, Millis, OrderSpec, OrderType, OwnOrderId, Permission,
    Purpose, ReasonCode, Side, Symbol, TimeInForce, Timestamp,
};
use ledger::{InstanceSetup, Ledger, Position};
use risk::{
    ApprovedOrder, EntryIntent, ExitIntent, Gate, GateView, OrderIntent, ProtectIntent, Protection, ProtectionStyle,
    Refusal, Restrictions, SafetyLatch,
};

use crate::micro::ledger;
use crate::sample::{Spread, per_call};
use crate::table::Row;
use crate::world::{self, START, instrument, known};

/// Orders that are open in the crowd.
const OPEN: u64 = 500;
/// Instances that they belong to.
const OTHERS: u64 = 100;
/// Symbols that they are on, beside the one that is traded.
const SYMBOLS: u64 = 49;

/// The rows of the gate.
pub(crate) fn rows(samples: usize) -> Vec<Row> {
    let all = (Measured::of(samples, &ledger(false, Vec::new())), Measured::of(samples, &ledger(true, Vec::new())));
    let few = (samples / 5).max(20);
    let (flat, held) = all;
    let (crowded_flat, crowded_held) = (Measured::of(few, &crowd(false)), Measured::of(few, &crowd(true)));
    vec![
        Row::new("gate: approve an entry", "ns", flat.entry).note("all checks pass; 1 instance"),
        Row::new("  with 500 orders open", "ns", crowded_flat.entry)
            .note("of 100 instances on 50 symbols: half entries at a limit, half stops that rest"),
        Row::new("gate: approve an exit", "ns", held.exit),
        Row::new("  with 500 orders open", "ns", crowded_held.exit),
        Row::new("gate: approve protection", "ns", held.protection).note("a stop and a target, as one list"),
        Row::new("  with 500 orders open", "ns", crowded_held.protection),
    ]
}

/// What the gate takes with one ledger; without a position there is nothing to exit and nothing to protect.
struct Measured {
    entry: Option<Spread>,
    exit: Option<Spread>,
    protection: Option<Spread>,
}

impl Measured {
    fn of(samples: usize, ledger: &Ledger) -> Self {
        let held = ledger.instance(&known("a")).and_then(|book| book.position(&known(world::SYMBOL)));
        let Some(position) = held else {
            let entry = approvals(samples, ledger, &entry());
            return Self { entry, exit: None, protection: None };
        };
        let (exit, protect) = intents(position).expect("invariant: the benchmark's ledger holds a position");
        Self {
            entry: None,
            exit: approvals(samples, ledger, &OrderIntent::Exit(exit)),
            protection: protections(samples, ledger, &protect),
        }
    }
}

fn guard() -> Protection {
    Protection { stop: known("49000"), take_profit: Some(known("52000")), style: ProtectionStyle::Resting }
}

fn entry() -> OrderIntent {
    OrderIntent::Entry(EntryIntent {
        instance: known("a"),
        symbol: known(world::SYMBOL),
        side: Side::Buy,
        quantity: known("0.1"),
        limit: None,
        protection: guard(),
        reason: ReasonCode::EntrySignal,
        correlation_id: CorrelationId(1),
    })
}

fn intents(position: &Position) -> Option<(ExitIntent, ProtectIntent)> {
    let (kind, reason) = (ExitKind::Signal, ReasonCode::ExitSignal);
    let exit = ExitIntent::from_position(position, None, kind, reason, CorrelationId(1))?;
    Some((exit, ProtectIntent::from_position(position, position.quantity(), guard(), CorrelationId(1))?))
}

fn approvals(samples: usize, ledger: &Ledger, intent: &OrderIntent) -> Option<Spread> {
    let id = world::order_id(7);
    approved(samples, ledger, |gate, view, now| gate.approve(black_box(intent), id.clone(), view, now))
}

fn protections(samples: usize, ledger: &Ledger, intent: &ProtectIntent) -> Option<Spread> {
    let ids = [world::order_id(7), world::order_id(8)];
    approved(samples, ledger, |gate, view, now| gate.approve_protection(black_box(intent), ids.clone(), view, now))
}

/// Every approval is of one second later than the one before, so that the window of the order rate stays short.
fn approved(
    samples: usize,
    ledger: &Ledger,
    mut approve: impl FnMut(&mut Gate, GateView<'_>, Timestamp) -> Result<ApprovedOrder, Refusal>,
) -> Option<Spread> {
    let limits = risk::Limits { mark_age_ms_max: Millis::new(i64::MAX), ..world::limits() };
    let (mut gate, latch) = (Gate::new(limits), SafetyLatch::new(Permission::All));
    let (restrictions, rules) = (Restrictions::default(), rules());
    let instruments: BTreeMap<Symbol, Instrument> = BTreeMap::from([(rules.symbol.clone(), rules)]);
    let view = GateView {
        ledger,
        restrictions: &restrictions,
        instruments: &instruments,
        latch: &latch,
        journal_available: true,
    };
    per_call(samples, 100, |number| {
        let now = Timestamp::from_millis(START.as_millis() + i64::try_from(number).unwrap_or_default() * 1_000);
        black_box(approve(&mut gate, view, now).expect("invariant: the benchmark's wish passes the gate"));
    })
}

/// The market with stops and lists, and so many slots for them that they are counted and never full.
fn rules() -> Instrument {
    Instrument {
        order_types: vec![OrderType::Market, OrderType::Limit, OrderType::LimitMaker, OrderType::StopLoss],
        filters: Filters { oco_allowed: true, algo_orders_max: 1_000, ..Filters::default() },
        ..instrument()
    }
}

/// The benchmark's ledger with [`OPEN`] orders of others.
fn crowd(held: bool) -> Ledger {
    let other = |number: u64| InstanceSetup {
        id: known(&format!("b{number}")),
        family: known("breakout"),
        capital: known("1000000000"),
    };
    let mut ledger = ledger(held, (0..OTHERS).map(other).collect());
    for number in 0..SYMBOLS {
        ledger.marked(&symbol(number + 1), known("50000"), START, &mut Vec::new());
    }
    for number in 0..OPEN {
        ledger.intend(resting(number), CorrelationId(1), START);
    }
    assert_eq!(ledger.open_orders().count() as u64, OPEN, "the crowd is open");
    ledger
}

fn symbol(number: u64) -> Symbol {
    match number % (SYMBOLS + 1) {
        0 => known(world::SYMBOL),
        other => known(&format!("ALT{other}USDT")),
    }
}

/// An order of the crowd: each instance has entries and stops, on several symbols.
fn resting(number: u64) -> OrderSpec {
    let own = OwnOrderId { instance: known(&format!("b{}", number % OTHERS)), boot: BootNumber(1), sequence: number };
    let is_entry = (number / OTHERS).is_multiple_of(2) == number.is_multiple_of(2);
    OrderSpec {
        client_order_id: own.to_client_order_id().expect("invariant: a short instance leaves room for the number"),
        instance: own.instance,
        symbol: symbol(number * 7 + number / OTHERS),
        side: if is_entry { Side::Buy } else { Side::Sell },
        order_type: if is_entry { OrderType::Limit } else { OrderType::StopLoss },
        purpose: if is_entry { Purpose::Entry } else { Purpose::Exit(ExitKind::Protective) },
        quantity: known("0.1"),
        price: is_entry.then(|| known("49500")),
        stop_price: (!is_entry).then(|| known("49000")),
        time_in_force: TimeInForce::Gtc,
        reason: if is_entry { ReasonCode::EntrySignal } else { ReasonCode::ExitStopLoss },
        oco: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_passes_the_gate_with_the_crowd_too() {
        let (flat, held) = (Measured::of(1, &crowd(false)), Measured::of(1, &crowd(true)));
        assert!(flat.entry.is_some() && held.exit.is_some() && held.protection.is_some());
    }

    #[test]
    fn half_of_the_crowd_are_entries_and_every_symbol_has_some() {
        let ledger = crowd(false);
        let entries = ledger.open_orders().filter(|order| order.spec.purpose == Purpose::Entry).count() as u64;
        assert_eq!(entries, OPEN / 2);
        for number in 0..=SYMBOLS {
            let of = symbol(number);
            assert!(ledger.open_orders().any(|order| order.spec.symbol == of), "{of}");
        }
    }
}
