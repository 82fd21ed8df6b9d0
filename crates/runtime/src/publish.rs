//! What the machines show of themselves on the status board, a few times a second.
//!
//! It only reads; it must never slow the loop: each part is rate-limited by the board's age.

use domain::{Notional, Permission, Severity, Timestamp};
use engine::executor::Executor;
use engine::global_risk::GlobalRisk;
use engine::health_monitor::HealthMonitor;
use engine::market_data::MarketData;
use engine::{JournalEntry, Record};
use ledger::{EquityTracker, InstanceBook, Order, Position};
use risk::Release;

use crate::status::{EventLine, Figures, InstanceStatus, OrderStatus, PositionStatus, RestrictionStatus, Status};
use crate::wiring::Wiring;

/// How often GlobalRisk puts up a new status, in monotonic milliseconds.
const EVERY_MS: u64 = 200;

pub(crate) fn market_data(machine: &MarketData, _: Timestamp, wiring: &Wiring) {
    wiring.counters.market(machine.events(), machine.rejected().values().sum());
}

pub(crate) fn health_monitor(machine: &HealthMonitor, _: Timestamp, wiring: &Wiring) {
    wiring.board.update(|status| status.heartbeat_age_ms = machine.heartbeat_age_ms());
}

pub(crate) fn executor(machine: &Executor, _: Timestamp, wiring: &Wiring) {
    if !wiring.board.is_due("executor", wiring.clock.monotonic_ms(), EVERY_MS) {
        return;
    }
    wiring.board.update(|status| {
        for position in &mut status.positions {
            let (Ok(instance), Ok(symbol)) = (position.instance.parse(), position.symbol.parse()) else { continue };
            let protection = machine.protection(&instance, &symbol);
            position.stop = protection.map(|protection| protection.stop);
            position.take_profit = protection.and_then(|protection| protection.take_profit);
            let stops = machine.resting(&instance, &symbol).iter().filter(|exit| exit.stop_price.is_some());
            position.resting = stops.filter(|stop| stop.acknowledged).map(|stop| stop.open_quantity).sum();
        }
    });
}

pub(crate) fn global_risk(machine: &GlobalRisk, now: Timestamp, wiring: &Wiring) {
    let monotonic_ms = wiring.clock.monotonic_ms();
    // A change of phase is told at once; everything else waits for its turn.
    let phase = phase(machine, wiring);
    if !wiring.board.is_due("global-risk", monotonic_ms, EVERY_MS) && wiring.board.is_in_phase(phase) {
        return;
    }
    let last = wiring.board.latest();
    let ledger = machine.ledger();
    let mut portfolio = figures(ledger.portfolio());
    let mut instances = Vec::new();
    for config in &wiring.setup.instances {
        let Some(book) = ledger.instance(&config.id) else { continue };
        let figures = book_figures(book);
        portfolio.capital += figures.capital;
        portfolio.realized += figures.realized;
        portfolio.unrealized += figures.unrealized;
        portfolio.fees += figures.fees;
        portfolio.trades += figures.trades;
        portfolio.wins += figures.wins;
        instances.push(InstanceStatus {
            id: book.id.to_string(),
            family: book.family.to_string(),
            strategy: config.strategy.kind().to_owned(),
            symbols: config.symbols.iter().map(ToString::to_string).collect(),
            permission: permission(machine, book, wiring),
            figures,
        });
    }
    let positions = ledger.instances().flat_map(InstanceBook::positions);
    let held = positions.filter(|position| !position.quantity().is_zero());
    let status = Status {
        mode: wiring.identity.mode,
        version: wiring.identity.version.clone(),
        boot: wiring.setup.boot.0,
        process: std::process::id(),
        phase: phase.to_owned(),
        time: now,
        uptime_ms: monotonic_ms,
        heartbeat_age_ms: last.as_ref().and_then(|last| last.heartbeat_age_ms),
        permission: wiring.latch.permission().min(machine.restrictions().global_permission()),
        currency: ledger.currency().to_string(),
        portfolio,
        instances,
        positions: held.map(|position| position_status(machine, position, last.as_ref())).collect(),
        orders: ledger.open_orders().map(order_status).collect(),
        restrictions: restrictions(machine),
        actors: last.as_ref().map(|last| last.actors.clone()).unwrap_or_default(),
        events: Vec::new(), // The board adds them.
        counters: wiring.counters.read(ledger.booked(), machine.refusals().values().sum()),
        journal_failure: wiring.journal.state().borrow().failure.clone(),
        feed_connected: wiring.counters.feed_connected(),
    };
    wiring.board.publish(status);
}

/// What a journal entry says to somebody who watches; `None` where it says nothing new. Alerts come by the outbox.
pub(crate) fn event_line(entry: &JournalEntry) -> Option<EventLine> {
    let text = match &entry.record {
        Record::OrderIntended { order, .. } => {
            let spec = &order.spec;
            let price = match (spec.stop_price, spec.price) {
                (Some(stop), _) => format!("stop at {}", stop.value().normalize()),
                (None, Some(limit)) => format!("at {}", limit.value().normalize()),
                (None, None) => "market".to_owned(),
            };
            format!(
                "{}: {} {} {} {price}, {} ({})",
                spec.instance, spec.side, spec.quantity, spec.symbol, spec.purpose, spec.reason
            )
        }
        Record::FillBooked { fill, book, closed, .. } => {
            let result = closed.as_ref().map(|trip| format!(", closed with {:.2}", trip.result.value().round_dp(2)));
            let price = fill.price.value().normalize();
            let filled = format!("{}: {} {} filled at {price}", book.id, fill.quantity.normalized(), fill.symbol);
            filled + &result.unwrap_or_default()
        }
        Record::ProtectionSequence { instance, symbol, sequence } => match sequence {
            Some(engine::Sequence::Replace) => format!("{instance}: the exits that rest on {symbol} are replaced"),
            Some(engine::Sequence::Close { reason, .. }) => {
                format!("{instance}: the exits that rest on {symbol} make way for a close ({reason})")
            }
            None => return None,
        },
        Record::RestrictionRaised { restriction } => {
            format!("{} permits no more than {} ({})", restriction.scope, restriction.permission, restriction.reason)
        }
        Record::RestrictionLoosened { scope, reason, to, by } => {
            format!("{scope} permits {to} again ({reason}, by {by})")
        }
        Record::RecoveryStep { scope, step, detail } => format!("recovery of {scope}: {step}: {detail}"),
        Record::OutsideChanged { asset, quantity, cause } => {
            format!("{quantity} {asset} are held beside the books ({cause})")
        }
        Record::Promoted { to, by, reason } => format!("{by} promoted the service to {to}: {reason}"),
        Record::OrderValidated { order, refusal: Some(refusal), .. } => {
            format!("the exchange would refuse {order}: {refusal}")
        }
        Record::Started { .. }
        | Record::OrderValidated { refusal: None, .. }
        | Record::BooksOpened { .. }
        | Record::Stopped { .. }
        | Record::IntentRefused { .. }
        | Record::OrderChanged { .. }
        | Record::CancelRequested { .. }
        | Record::FillNotBooked { .. }
        | Record::TradesReconciled { .. }
        | Record::ProtectionChanged { .. }
        | Record::ProtectionCleared { .. }
        | Record::EquitySampled { .. }
        | Record::AlertRaised(_)
        | Record::InputRejected { .. }
        | Record::Commanded { .. } => return None,
    };
    Some(EventLine { time: entry.time, severity: Severity::Info, text })
}

fn phase(machine: &GlobalRisk, wiring: &Wiring) -> &'static str {
    if wiring.counters.stopping() {
        "stopping"
    } else if machine.restrictions().iter().any(|found| found.reason == domain::ReasonCode::Recovery) {
        "recovering"
    } else {
        "running"
    }
}

fn permission(machine: &GlobalRisk, book: &InstanceBook, wiring: &Wiring) -> Permission {
    let symbols =
        wiring.setup.instances.iter().filter(|config| config.id == book.id).flat_map(|config| &config.symbols);
    let of = |symbol| machine.restrictions().tightest(&book.id, &book.family, symbol).map(|found| found.permission);
    symbols.filter_map(of).min().unwrap_or(Permission::All).min(wiring.latch.permission())
}

fn figures(tracker: &EquityTracker) -> Figures {
    Figures {
        equity: tracker.equity,
        day_result: tracker.equity - tracker.day_open,
        drawdown: tracker.drawdown(),
        ..Figures::default()
    }
}

fn book_figures(book: &InstanceBook) -> Figures {
    Figures {
        capital: book.capital,
        realized: book.realized,
        unrealized: book.unrealized,
        fees: book.fees,
        trades: book.stats.trades(),
        wins: book.stats.wins,
        ..figures(&book.tracker)
    }
}

fn position_status(machine: &GlobalRisk, position: &Position, last: Option<&Status>) -> PositionStatus {
    let (instance, symbol) = (position.instance().to_string(), position.symbol().to_string());
    let mark = machine.ledger().mark(position.symbol()).map(|(mark, _)| mark);
    let instrument = machine.instruments().get(position.symbol());
    let dust = match (instrument, mark) {
        (Some(instrument), Some(mark)) => position.is_flat(instrument, mark),
        (None, _) | (_, None) => false,
    };
    let known =
        last.and_then(|last| last.positions.iter().find(|known| known.instance == instance && known.symbol == symbol));
    PositionStatus {
        stop: known.and_then(|known| known.stop),
        take_profit: known.and_then(|known| known.take_profit),
        resting: known.map(|known| known.resting).unwrap_or_default(),
        instance,
        symbol,
        quantity: position.quantity(),
        average_price: position.average_price(),
        mark,
        value: mark.map_or(Notional::ZERO, |mark| position.value(mark)),
        unrealized: mark.map_or(Notional::ZERO, |mark| position.unrealized(mark)),
        dust,
        opened_at: position.opened_at(),
    }
}

fn order_status(order: &Order) -> OrderStatus {
    OrderStatus {
        id: order.id().to_string(),
        instance: order.spec.instance.to_string(),
        symbol: order.spec.symbol.to_string(),
        side: order.spec.side.to_string(),
        purpose: order.spec.purpose.to_string(),
        quantity: order.spec.quantity,
        executed: order.executed(),
        price: order.spec.price.or(order.spec.stop_price),
        state: order.state().to_string(),
        intended_at: order.intended_at,
    }
}

fn restrictions(machine: &GlobalRisk) -> Vec<RestrictionStatus> {
    let status = |found: &risk::Restriction| RestrictionStatus {
        scope: found.scope.to_string(),
        permission: found.permission,
        reason: found.reason.to_string(),
        since: found.since,
        release: match found.release {
            Release::At(at) => format!("at {at}"),
            Release::Condition => "when its condition is over".to_owned(),
            Release::OperatorOnly => "by an operator".to_owned(),
        },
    };
    machine.restrictions().iter().map(status).collect()
}
