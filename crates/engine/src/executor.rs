//! Executor: orders in flight and the protection of positions.
//!
//! It must never send an order twice, forget one whose fate is unknown, or leave a position without its guard: guards
//! belong here and not to strategies, so that a failed strategy does not take its stop along.

use std::collections::BTreeMap;

use domain::{ClientOrderId, CorrelationId, ExitKind, InstanceId, Millis, Price, ReasonCode, Symbol, Timestamp};
use ledger::{OrderEnd, Position};
use risk::{ApprovedOrder, ExitIntent, OrderIntent, Protection};

use crate::message::{
    ActorId, Envelope, ExecutorMessage, GlobalRiskMessage, HealthMessage, PositionUpdate, SubmitResult,
};
use crate::record::Record;
use crate::{BookState, Effect, Effects, Setup};

/// How long after its validity an order that the exchange does not know is given up, in exchange time.
pub const VALIDITY_MARGIN: Millis = Millis::from_secs(10);
/// An order of which nothing was heard for so long is asked for, in exchange time.
const SILENCE_MAX: Millis = Millis::from_secs(5);

/// One order that is not known to be done.
#[derive(Debug)]
struct InFlight {
    symbol: Symbol,
    expires_at: Timestamp,
    asked_at: Timestamp,
    /// Only what the exchange has not acknowledged is asked for again and again.
    acknowledged: bool,
    unknown: bool,
}

/// What guards one position.
#[derive(Debug)]
struct Guard {
    protection: Protection,
    position: Option<Position>,
    /// The exit is on its way; it is not sent twice.
    exiting: bool,
    /// The entry that brought the guard is at work.
    entry: Option<ClientOrderId>,
}

/// The Executor machine.
#[derive(Debug, Default)]
pub struct Executor {
    in_flight: BTreeMap<ClientOrderId, InFlight>,
    guards: BTreeMap<Symbol, BTreeMap<InstanceId, Guard>>,
    marks: BTreeMap<Symbol, Price>,
}

impl Executor {
    /// The machine, continued from `state`: every order that is not done is asked for, every guard stands again.
    #[must_use]
    pub fn new(setup: &Setup, state: &BookState) -> Self {
        let mut executor = Self::default();
        for order in state.ledger.orders.iter().filter(|order| !order.is_done()) {
            let in_flight = InFlight {
                symbol: order.spec.symbol.clone(),
                expires_at: order.intended_at + setup.limits.approval_validity_ms,
                asked_at: Timestamp::EPOCH,
                acknowledged: false,
                unknown: true,
            };
            executor.in_flight.insert(order.id().clone(), in_flight);
        }
        for (instance, symbol, protection) in &state.protections {
            let position = state
                .ledger
                .instances
                .iter()
                .find(|book| book.id == *instance)
                .and_then(|book| book.position(symbol).cloned());
            let guard = Guard { protection: *protection, position, exiting: false, entry: None };
            executor.guards.entry(symbol.clone()).or_default().insert(instance.clone(), guard);
        }
        executor
    }

    /// Orders that are not known to be done.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What guards the position of `instance` on `symbol`.
    #[must_use]
    pub fn protection(&self, instance: &InstanceId, symbol: &Symbol) -> Option<Protection> {
        Some(self.guards.get(symbol)?.get(instance)?.protection)
    }

    /// Handles one message.
    pub fn handle(&mut self, now: Timestamp, message: ExecutorMessage, effects: &mut Effects) {
        match message {
            ExecutorMessage::Mark { symbol, price, correlation_id } => {
                self.mark(&symbol, price, correlation_id, effects);
            }
            ExecutorMessage::Approved(order) => self.approved(now, order, effects),
            ExecutorMessage::Cancel(symbol, id) => effects.push(Effect::Cancel(symbol, id)),
            ExecutorMessage::Submitted(result) => self.submitted(now, result, effects),
            ExecutorMessage::Execution(event) => {
                if let domain::ExecutionEvent::Report(report) = &*event {
                    self.acknowledge(report);
                }
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Execution(event)));
            }
            ExecutorMessage::Queried(symbol, id, answer) => self.queried(now, &symbol, &id, answer, effects),
            ExecutorMessage::Position(update) => self.position(now, *update, effects),
            ExecutorMessage::Refused(instance, symbol, _) => {
                if let Some(guard) = self.guard(&symbol, &instance) {
                    guard.exiting = false;
                }
            }
            ExecutorMessage::Cycle(cycle) => {
                self.ask_for_silent(now, effects);
                effects.send(Envelope::HealthMonitor(HealthMessage::Heartbeat(cycle)));
            }
        }
    }

    fn guard(&mut self, symbol: &Symbol, instance: &InstanceId) -> Option<&mut Guard> {
        self.guards.get_mut(symbol)?.get_mut(instance)
    }

    fn approved(&mut self, now: Timestamp, order: Box<ApprovedOrder>, effects: &mut Effects) {
        let spec = order.spec();
        if let Some(protection) = order.protection() {
            let (instance, symbol, entry) = (&spec.instance, &spec.symbol, Some(spec.client_order_id.clone()));
            let guards = self.guards.entry(symbol.clone()).or_default();
            let position = guards.get(instance).and_then(|guard| guard.position.clone());
            guards.insert(instance.clone(), Guard { protection, position, exiting: false, entry });
        }
        let in_flight = InFlight {
            symbol: spec.symbol.clone(),
            expires_at: order.expires_at(),
            asked_at: now,
            acknowledged: false,
            unknown: false,
        };
        self.in_flight.insert(spec.client_order_id.clone(), in_flight);
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Released(spec.client_order_id.clone())));
        effects.push(Effect::Submit(order));
    }

    fn submitted(&mut self, now: Timestamp, result: SubmitResult, effects: &mut Effects) {
        let tell = |message| Envelope::GlobalRisk(message);
        match result {
            SubmitResult::NotSent(id, reason) => {
                self.in_flight.remove(&id);
                effects.send(tell(GlobalRiskMessage::Concluded(id, OrderEnd::NotSent, reason)));
            }
            SubmitResult::Refused(id, _) => {
                self.in_flight.remove(&id);
                let reason = ReasonCode::ExchangeRejected;
                effects.send(tell(GlobalRiskMessage::Concluded(id, OrderEnd::Rejected, reason)));
            }
            SubmitResult::Accepted(reports, fills) => {
                for fill in fills {
                    effects.send(tell(GlobalRiskMessage::Execution(Box::new(domain::ExecutionEvent::Fill(fill)))));
                }
                for report in reports {
                    self.acknowledge(&report);
                    effects.send(tell(GlobalRiskMessage::Execution(Box::new(domain::ExecutionEvent::Report(report)))));
                }
            }
            SubmitResult::Unknown(id, _) => {
                if let Some(in_flight) = self.in_flight.get_mut(&id).filter(|order| !order.acknowledged) {
                    (in_flight.unknown, in_flight.asked_at) = (true, now);
                    effects.push(Effect::QueryOrder(in_flight.symbol.clone(), id.clone()));
                }
                effects.send(tell(GlobalRiskMessage::OutcomeUnknown(id)));
            }
        }
    }

    fn acknowledge(&mut self, report: &domain::OrderReport) {
        if report.status.is_final() {
            self.in_flight.remove(&report.client_order_id);
        } else if let Some(in_flight) = self.in_flight.get_mut(&report.client_order_id) {
            in_flight.acknowledged = true;
        }
    }

    fn queried(
        &mut self,
        now: Timestamp,
        symbol: &Symbol,
        id: &ClientOrderId,
        answer: Result<Option<Box<domain::OrderReport>>, String>,
        effects: &mut Effects,
    ) {
        match answer {
            Ok(Some(report)) => {
                self.acknowledge(&report);
                let event = Box::new(domain::ExecutionEvent::Report(*report));
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Execution(event)));
            }
            Ok(None) => {
                let gone = self
                    .in_flight
                    .get(id)
                    .is_some_and(|order| order.symbol == *symbol && now > order.expires_at + VALIDITY_MARGIN);
                if gone {
                    self.in_flight.remove(id);
                    let (id, reason) = (id.clone(), ReasonCode::NeverArrived);
                    let concluded = GlobalRiskMessage::Concluded(id, OrderEnd::NeverArrived, reason);
                    effects.send(Envelope::GlobalRisk(concluded));
                }
            }
            // It is asked again with a later cycle.
            Err(_) => {}
        }
    }

    fn ask_for_silent(&mut self, now: Timestamp, effects: &mut Effects) {
        for (id, order) in &mut self.in_flight {
            if !order.acknowledged && now.since(order.asked_at) >= SILENCE_MAX {
                order.asked_at = now;
                effects.push(Effect::QueryOrder(order.symbol.clone(), id.clone()));
            }
        }
    }

    fn position(&mut self, now: Timestamp, update: PositionUpdate, effects: &mut Effects) {
        let (symbol, instance) = (update.position.symbol().clone(), update.position.instance().clone());
        let update_correlation = update.correlation_id;
        let Some(guards) = self.guards.get_mut(&symbol) else { return };
        let Some(guard) = guards.get_mut(&instance) else { return };
        guard.exiting = update.exit_working;
        if update.flat && update.entry.is_none() {
            guards.remove(&instance);
            let record = Record::ProtectionCleared { instance, symbol };
            effects.journal(now, ActorId::Executor, update_correlation, record);
            return;
        }
        guard.entry = update.entry;
        guard.position = (!update.flat).then_some(update.position);
        // The price may have passed the stop while the fill was on its way.
        if let Some(price) = self.marks.get(&symbol).copied() {
            self.mark(&symbol, price, update_correlation, effects);
        }
    }

    fn mark(&mut self, symbol: &Symbol, price: Price, correlation_id: CorrelationId, effects: &mut Effects) {
        match self.marks.get_mut(symbol) {
            Some(mark) => *mark = price,
            None => {
                self.marks.insert(symbol.clone(), price);
            }
        }
        let Some(guards) = self.guards.get_mut(symbol) else { return };
        for guard in guards.values_mut().filter(|guard| !guard.exiting) {
            let Some(position) = &guard.position else { continue };
            let Some(closing) = position.closing_side() else { continue };
            let Some(reason) = guard.protection.reached(closing, price) else { continue };
            let kind = ExitKind::Protective;
            let exit = ExitIntent::from_position(position, None, kind, reason, correlation_id);
            if let Some(exit) = exit {
                guard.exiting = true;
                effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Intent(OrderIntent::Exit(exit))));
            }
        }
    }
}
