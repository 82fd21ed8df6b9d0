//! Executor: orders in flight and the protection of positions.
//!
//! It must never send an order twice, forget one whose fate is unknown, or leave a position without its guard: guards
//! belong here and not to strategies, so that a failed strategy does not take its stop along.

mod guard;

use std::collections::BTreeMap;

use domain::{
    Alert, ClientOrderId, CorrelationId, ExecutionEvent, InstanceId, Millis, OrderReport, OrderSpec, Price, Purpose,
    ReasonCode, Scope, Severity, Symbol, Timestamp,
};
use ledger::OrderEnd;
use risk::{ApprovedOrder, Protection};

use self::guard::Guard;
pub use self::guard::{ESCALATION, Sequence};
use crate::message::{
    ActorId, Envelope, ExecutorMessage, GlobalRiskMessage, HealthMessage, PositionUpdate, RestingExit, SubmitResult,
};
use crate::{BookState, Effect, Effects, Setup};

/// How long after its validity an order that the exchange does not know is given up, in exchange time.
pub const VALIDITY_MARGIN: Millis = Millis::from_secs(10);
/// An order of which nothing was heard for so long is asked for, in exchange time.
const SILENCE_MAX: Millis = Millis::from_secs(5);

/// One order that is not known to be done.
#[derive(Debug)]
struct InFlight {
    symbol: Symbol,
    instance: InstanceId,
    /// The other leg, which left in the same request.
    oco: Option<ClientOrderId>,
    is_exit: bool,
    /// Since when the exchange does not know it, although it once did.
    missing_since: Option<Timestamp>,
    expires_at: Timestamp,
    asked_at: Timestamp,
    /// Only what the exchange has not acknowledged is asked for again and again.
    acknowledged: bool,
    unknown: bool,
}

/// The Executor machine.
#[derive(Debug, Default)]
pub struct Executor {
    in_flight: BTreeMap<ClientOrderId, InFlight>,
    guards: BTreeMap<Symbol, BTreeMap<InstanceId, Guard>>,
    marks: BTreeMap<Symbol, Price>,
}

fn in_flight(spec: &OrderSpec, expires_at: Timestamp, asked_at: Timestamp, unknown: bool) -> InFlight {
    InFlight {
        symbol: spec.symbol.clone(),
        instance: spec.instance.clone(),
        oco: spec.oco.clone(),
        is_exit: spec.purpose != Purpose::Entry,
        missing_since: None,
        expires_at,
        asked_at,
        acknowledged: false,
        unknown,
    }
}

fn tell(message: GlobalRiskMessage) -> Envelope {
    Envelope::GlobalRisk(message)
}

impl Executor {
    /// The machine, continued from `state`: every order that is not done is asked for, every guard stands again.
    #[must_use]
    pub fn new(setup: &Setup, state: &BookState) -> Self {
        let mut executor = Self::default();
        for order in state.ledger.orders.iter().filter(|order| !order.is_done()) {
            let expires_at = order.intended_at + setup.limits.approval_validity_ms;
            let in_flight = in_flight(&order.spec, expires_at, Timestamp::EPOCH, true);
            executor.in_flight.insert(order.id().clone(), in_flight);
        }
        for saved in &state.protections {
            let book = state.ledger.instances.iter().find(|book| book.id == saved.instance);
            let position = book.and_then(|book| book.position(&saved.symbol).cloned());
            let guard = Guard::new(saved.instance.clone(), saved.symbol.clone(), saved.protection)
                .restored(position, saved.sequence.clone());
            executor.guards.entry(saved.symbol.clone()).or_default().insert(saved.instance.clone(), guard);
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

    /// What rests on the exchange for the position of `instance` on `symbol`.
    #[must_use]
    pub fn resting(&self, instance: &InstanceId, symbol: &Symbol) -> &[RestingExit] {
        self.guards.get(symbol).and_then(|guards| guards.get(instance)).map_or(&[], Guard::resting)
    }

    /// Handles one message.
    pub fn handle(&mut self, now: Timestamp, message: ExecutorMessage, effects: &mut Effects) {
        match message {
            ExecutorMessage::Mark { symbol, price, correlation_id } => {
                self.mark(now, &symbol, price, correlation_id, effects);
            }
            ExecutorMessage::Approved(order) => self.approved(now, order, effects),
            ExecutorMessage::Cancel(symbol, id) => effects.push(Effect::Cancel(symbol, id)),
            ExecutorMessage::Submitted(result) => self.submitted(now, result, effects),
            ExecutorMessage::Execution(event) => {
                if let ExecutionEvent::Report(report) = &*event {
                    self.acknowledge(report);
                }
                effects.send(tell(GlobalRiskMessage::Execution(event)));
            }
            ExecutorMessage::Queried(symbol, id, answer) => self.queried(now, &symbol, &id, answer, effects),
            ExecutorMessage::Position(update) => self.position(now, *update, effects),
            ExecutorMessage::ExitRefused(instance, symbol, reason) => {
                self.on_guard(now, &instance, &symbol, effects, |guard, effects| {
                    guard.exit_refused(now, reason, effects);
                });
            }
            ExecutorMessage::ProtectionRefused(instance, symbol, reason, offered) => {
                self.on_guard(now, &instance, &symbol, effects, |guard, effects| {
                    guard.protection_refused(now, reason, offered, effects);
                });
            }
            ExecutorMessage::Close(exit) => {
                let (instance, symbol) = (exit.instance().clone(), exit.symbol().clone());
                self.tell_unguarded(now, &instance, &symbol, effects);
                self.on_guard(now, &instance, &symbol, effects, |guard, effects| guard.close(&exit, now, effects));
            }
            ExecutorMessage::Cycle(cycle) => {
                self.ask_for_silent(now, effects);
                for (symbol, guards) in &mut self.guards {
                    let mark = self.marks.get(symbol).copied();
                    guards.values_mut().for_each(|guard| guard.tend(now, mark, effects));
                }
                effects.send(Envelope::HealthMonitor(HealthMessage::Heartbeat(cycle)));
            }
        }
    }

    /// Something happened to a guard: it takes it in and does what is to be done then.
    fn on_guard(
        &mut self,
        now: Timestamp,
        instance: &InstanceId,
        symbol: &Symbol,
        effects: &mut Effects,
        happened: impl FnOnce(&mut Guard, &mut Effects),
    ) {
        let mark = self.marks.get(symbol).copied();
        if let Some(guard) = self.guards.get_mut(symbol).and_then(|guards| guards.get_mut(instance)) {
            happened(guard, effects);
            guard.tend(now, mark, effects);
        }
    }

    /// Orders rest for a position that nothing guards: that cannot be, and a person must look.
    fn tell_unguarded(&self, now: Timestamp, instance: &InstanceId, symbol: &Symbol, effects: &mut Effects) {
        if self.guards.get(symbol).is_some_and(|guards| guards.contains_key(instance)) {
            return;
        }
        let text = format!(
            "{instance} holds {symbol} without a guard, and orders rest for it. Nothing was closed: start the service \
             again, and close the position by hand if that does not help."
        );
        let (severity, reason, scope) =
            (Severity::Critical, ReasonCode::ProtectionRefused, Scope::Instance(instance.clone()));
        let correlation_id = CorrelationId::default();
        effects.alert(ActorId::Executor, Alert { time: now, severity, reason, scope, text, correlation_id });
    }

    fn approved(&mut self, now: Timestamp, order: Box<ApprovedOrder>, effects: &mut Effects) {
        let spec = order.spec();
        if let Some(protection) = order.protection() {
            let (instance, symbol) = (&spec.instance, &spec.symbol);
            let guards = self.guards.entry(symbol.clone()).or_default();
            let new = || Guard::new(instance.clone(), symbol.clone(), protection);
            guards.entry(instance.clone()).or_insert_with(new).begin(protection, spec.client_order_id.clone());
        }
        for leg in [Some(spec), order.oco_leg()].into_iter().flatten() {
            let in_flight = in_flight(leg, order.expires_at(), now, false);
            self.in_flight.insert(leg.client_order_id.clone(), in_flight);
            effects.send(tell(GlobalRiskMessage::Released(leg.client_order_id.clone())));
        }
        effects.push(Effect::Submit(order));
    }

    /// The order and the other leg of its list: what becomes of the request becomes of both.
    fn legs(&self, id: ClientOrderId) -> Vec<ClientOrderId> {
        let other = self.in_flight.get(&id).and_then(|order| order.oco.clone());
        std::iter::once(id).chain(other).collect()
    }

    fn submitted(&mut self, now: Timestamp, result: SubmitResult, effects: &mut Effects) {
        match result {
            SubmitResult::NotSent(id, reason) => self.conclude(id, OrderEnd::NotSent, reason, effects),
            SubmitResult::Refused(id, detail) => {
                self.tell_refused_exit(now, &id, &detail, effects);
                self.conclude(id, OrderEnd::Rejected, ReasonCode::ExchangeRejected, effects);
            }
            SubmitResult::Accepted(reports, fills) => {
                for fill in fills {
                    effects.send(tell(GlobalRiskMessage::Execution(Box::new(ExecutionEvent::Fill(fill)))));
                }
                for report in reports {
                    self.acknowledge(&report);
                    effects.send(tell(GlobalRiskMessage::Execution(Box::new(ExecutionEvent::Report(report)))));
                }
            }
            SubmitResult::Unknown(id, _) => {
                for id in self.legs(id) {
                    if let Some(in_flight) = self.in_flight.get_mut(&id).filter(|order| !order.acknowledged) {
                        (in_flight.unknown, in_flight.asked_at) = (true, now);
                        effects.push(Effect::QueryOrder(in_flight.symbol.clone(), id.clone()));
                    }
                    effects.send(tell(GlobalRiskMessage::OutcomeUnknown(id)));
                }
            }
        }
    }

    fn conclude(&mut self, id: ClientOrderId, end: OrderEnd, reason: ReasonCode, effects: &mut Effects) {
        for id in self.legs(id) {
            self.in_flight.remove(&id);
            effects.send(tell(GlobalRiskMessage::Concluded(id, end, reason)));
        }
    }

    /// The exchange did not take an exit: the operator must know that the service alone watches the position.
    fn tell_refused_exit(&mut self, now: Timestamp, id: &ClientOrderId, detail: &str, effects: &mut Effects) {
        let Some(order) = self.in_flight.get(id) else { return };
        let (instance, symbol, is_list) = (order.instance.clone(), order.symbol.clone(), order.oco.is_some());
        let Some(guard) = self.guards.get_mut(&symbol).and_then(|guards| guards.get_mut(&instance)) else { return };
        let rests = guard.resting().iter().any(|exit| exit.id == *id);
        if !order.is_exit || !(if rests { guard.list_refused(now, is_list) } else { guard.is_first_refusal() }) {
            return;
        }
        let what = if rests { "let the protective exit rest" } else { "take the exit" };
        let text = format!(
            "The exchange did not {what} of {instance} on {symbol}: {detail}. The price is watched by the service, and \
             the exit is tried again."
        );
        let (severity, scope) = (if rests { Severity::High } else { Severity::Critical }, Scope::Instance(instance));
        let (reason, correlation_id) = (ReasonCode::ProtectionRefused, CorrelationId::default());
        effects.alert(ActorId::Executor, Alert { time: now, severity, reason, scope, text, correlation_id });
    }

    fn acknowledge(&mut self, report: &OrderReport) {
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
        answer: Result<Option<Box<OrderReport>>, String>,
        effects: &mut Effects,
    ) {
        match answer {
            Ok(Some(report)) => {
                self.acknowledge(&report);
                effects.send(tell(GlobalRiskMessage::Execution(Box::new(ExecutionEvent::Report(*report)))));
            }
            Ok(None) => {
                let Some(order) = self.in_flight.get_mut(id).filter(|order| order.symbol == *symbol) else { return };
                if now <= order.expires_at + VALIDITY_MARGIN {
                    return;
                }
                let (end, reason) = if order.acknowledged {
                    // It was there. One answer may be wrong; two that lie apart are not.
                    let since = *order.missing_since.get_or_insert(now);
                    if now.since(since) < SILENCE_MAX {
                        return;
                    }
                    (OrderEnd::Lost, ReasonCode::OrderLost)
                } else {
                    (OrderEnd::NeverArrived, ReasonCode::NeverArrived)
                };
                self.in_flight.remove(id);
                effects.send(tell(GlobalRiskMessage::Concluded(id.clone(), end, reason)));
            }
            // It is asked again with a later cycle.
            Err(_) => {}
        }
    }

    fn ask_for_silent(&mut self, now: Timestamp, effects: &mut Effects) {
        for (id, order) in &mut self.in_flight {
            let open = !order.acknowledged || order.missing_since.is_some();
            if open && now.since(order.asked_at) >= SILENCE_MAX {
                order.asked_at = now;
                effects.push(Effect::QueryOrder(order.symbol.clone(), id.clone()));
            }
        }
    }

    fn position(&mut self, now: Timestamp, update: PositionUpdate, effects: &mut Effects) {
        let (symbol, instance) = (update.position.symbol().clone(), update.position.instance().clone());
        let correlation_id = update.correlation_id;
        // The price may have passed the stop while the fill was on its way.
        let mark = self.marks.get(&symbol).copied();
        let Some(guards) = self.guards.get_mut(&symbol) else { return };
        let Some(guard) = guards.get_mut(&instance) else { return };
        if guard.position(now, update, effects) {
            effects.journal(now, ActorId::Executor, correlation_id, guard.cleared());
            guards.remove(&instance);
        } else {
            guard.tend(now, mark, effects);
        }
    }

    fn mark(&mut self, now: Timestamp, symbol: &Symbol, price: Price, cause: CorrelationId, effects: &mut Effects) {
        match self.marks.get_mut(symbol) {
            Some(mark) => *mark = price,
            None => {
                self.marks.insert(symbol.clone(), price);
            }
        }
        if let Some(guards) = self.guards.get_mut(symbol) {
            guards.values_mut().for_each(|guard| guard.marked(now, price, cause, effects));
        }
    }
}

#[cfg(test)]
mod protection_tests;
