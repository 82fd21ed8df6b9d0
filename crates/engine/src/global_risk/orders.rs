//! Orders and fills in GlobalRisk: approval, what the exchange tells, what it means for positions.
//!
//! It must never send what is not journaled, nor tell of a position before the fill behind it is booked.

use domain::{
    ClientOrderId, CorrelationId, ExecutionEvent, ExitKind, Fill, InstanceId, OrderReport, OwnOrderId, Permission,
    Purpose, Quantity, ReasonCode, Scope, Severity, Symbol, Timestamp,
};
use ledger::{BookError, Order, OrderEnd, OrderState};
use risk::{ExitIntent, Gate, GateView, OrderIntent, ProtectIntent, Refusal};

use super::{GlobalRisk, ME};
use crate::Effects;
use crate::message::{Envelope, ExecutorMessage, PositionUpdate, RestingExit, StrategyMessage};
use crate::record::Record;

/// Whether an order closes a position by waiting on the exchange.
fn is_resting_exit(order: &Order) -> bool {
    matches!(order.spec.purpose, Purpose::Exit(_)) && order.spec.order_type.rests()
}

impl GlobalRisk {
    /// The next id of an order of `instance`; `None` once they are used up.
    fn next_id(&mut self, instance: &InstanceId) -> Option<ClientOrderId> {
        let sequence = self.sequences.entry(instance.clone()).or_default();
        *sequence += 1;
        OwnOrderId { instance: instance.clone(), boot: self.boot, sequence: *sequence }.to_client_order_id().ok()
    }

    /// Asks the gate, which looks at everything else of this machine and changes nothing of it.
    fn at_gate<T>(&mut self, ask: impl FnOnce(&mut Gate, GateView<'_>) -> T) -> T {
        let view = GateView {
            ledger: &self.ledger,
            restrictions: &self.restrictions,
            instruments: &self.instruments,
            latch: &self.latch,
            journal_available: self.journal_available,
        };
        ask(&mut self.gate, view)
    }

    pub(super) fn intent(&mut self, now: Timestamp, intent: &OrderIntent, effects: &mut Effects) {
        let Some(id) = self.next_id(intent.instance()) else {
            let reason = ReasonCode::NotPermitted;
            return self.refuse(now, intent, Refusal { reason, detail: "order ids are used up".into() }, effects);
        };
        if let OrderIntent::Exit(exit) = intent
            && self.is_reserved(exit)
        {
            return match self.at_gate(|gate, view| gate.check_exit(exit, view)) {
                Ok(()) => effects.send(Envelope::Executor(ExecutorMessage::Close(exit.clone()))),
                Err(refusal) => self.refuse(now, intent, refusal, effects),
            };
        }
        let approved = match self.at_gate(|gate, view| gate.approve(intent, id, view, now)) {
            Ok(approved) => approved,
            Err(refusal) => return self.refuse(now, intent, refusal, effects),
        };
        let order = Box::new(self.ledger.intend(approved.spec().clone(), approved.correlation_id(), now).clone());
        let record = Record::OrderIntended { order, protection: approved.protection() };
        effects.journal(now, ME, approved.correlation_id(), record);
        effects.send(Envelope::Executor(ExecutorMessage::Approved(Box::new(approved))));
        self.publish_position(intent.instance(), intent.symbol(), intent.correlation_id(), effects);
    }

    /// Whether orders that rest on the exchange hold a part of what `exit` is to close.
    fn is_reserved(&self, exit: &ExitIntent) -> bool {
        let rests = |order: &Order| {
            order.spec.instance == *exit.instance()
                && order.spec.symbol == *exit.symbol()
                && is_resting_exit(order)
                && !order.state().is_final()
        };
        let held = self.ledger.instance(exit.instance()).and_then(|book| book.position(exit.symbol()));
        let left = held.map_or(Quantity::ZERO, |position| position.quantity().abs())
            - self.ledger.reserved_by_exits(exit.instance(), exit.symbol());
        exit.quantity() > left && self.ledger.open_orders().any(rests)
    }

    /// The protective exit of a position is to rest on the exchange.
    pub(super) fn protect(&mut self, now: Timestamp, intent: &ProtectIntent, effects: &mut Effects) {
        let (Some(stop), Some(target)) = (self.next_id(intent.instance()), self.next_id(intent.instance())) else {
            return;
        };
        let approved = match self.at_gate(|gate, view| gate.approve_protection(intent, [stop, target], view, now)) {
            Ok(approved) => approved,
            Err(refusal) => return self.refuse_protection(now, intent, refusal, effects),
        };
        for spec in [Some(approved.spec()), approved.oco_leg()].into_iter().flatten() {
            let order = Box::new(self.ledger.intend(spec.clone(), approved.correlation_id(), now).clone());
            let record = Record::OrderIntended { order, protection: None };
            effects.journal(now, ME, approved.correlation_id(), record);
        }
        effects.send(Envelope::Executor(ExecutorMessage::Approved(Box::new(approved))));
        self.publish_position(intent.instance(), intent.symbol(), intent.correlation_id(), effects);
    }

    fn refuse_protection(&mut self, now: Timestamp, intent: &ProtectIntent, refusal: Refusal, effects: &mut Effects) {
        let (instance, symbol) = (intent.instance().clone(), intent.symbol().clone());
        // What is too small to rest is watched, and will be part of a larger one or dust: that is no news.
        if !matches!(refusal.reason, ReasonCode::QuantityBelowMinimum | ReasonCode::NotionalBelowMinimum) {
            let purpose = Purpose::Exit(ExitKind::Protective);
            let first =
                self.count_refusal(now, (&instance, &symbol), purpose, &refusal, intent.correlation_id(), effects);
            // A recovery refuses everything for a while, and says so itself.
            if first && refusal.reason != ReasonCode::NotPermitted {
                let text = format!(
                    "The protective exit of {instance} on {symbol} may not rest on the exchange: {}. The price is watched \
                     by the service alone.",
                    refusal.detail
                );
                let (reason, scope) = (ReasonCode::ProtectionRefused, Scope::Instance(instance.clone()));
                Self::alert(now, Severity::High, reason, scope, text, intent.correlation_id(), effects);
            }
        }
        let held = self.ledger.instance(&instance).and_then(|book| book.position(&symbol));
        let left = held.map_or(Quantity::ZERO, |position| position.quantity().abs())
            - self.ledger.reserved_by_exits(&instance, &symbol);
        let offered = intent.quantity().min(left).max(Quantity::ZERO);
        let refused = ExecutorMessage::ProtectionRefused(instance, symbol, refusal.reason, offered);
        effects.send(Envelope::Executor(refused));
    }

    fn refuse(&mut self, now: Timestamp, intent: &OrderIntent, refusal: Refusal, effects: &mut Effects) {
        let (instance, symbol) = (intent.instance().clone(), intent.symbol().clone());
        self.count_refusal(now, (&instance, &symbol), intent.purpose(), &refusal, intent.correlation_id(), effects);
        let refused = StrategyMessage::Refused(symbol.clone(), refusal.reason);
        self.tell_strategy(&instance, refused, effects);
        if matches!(intent, OrderIntent::Exit(_)) {
            effects.send(Envelope::Executor(ExecutorMessage::ExitRefused(instance, symbol, refusal.reason)));
        }
    }

    /// Who keeps asking must not fill the journal: the first refusal of a kind is journaled, then every thousandth. True
    /// for the first.
    fn count_refusal(
        &mut self,
        now: Timestamp,
        (instance, symbol): (&InstanceId, &Symbol),
        purpose: Purpose,
        refusal: &Refusal,
        correlation_id: CorrelationId,
        effects: &mut Effects,
    ) -> bool {
        let count = self.refusals.entry((instance.clone(), symbol.clone(), refusal.reason)).or_default();
        *count += 1;
        if *count % 1000 == 1 {
            let record = Record::IntentRefused {
                instance: instance.clone(),
                symbol: symbol.clone(),
                purpose,
                reason: refusal.reason,
                detail: refusal.detail.clone(),
            };
            effects.journal(now, ME, correlation_id, record);
        }
        *count == 1
    }

    pub(super) fn cancel(
        &mut self,
        now: Timestamp,
        symbol: Symbol,
        id: ClientOrderId,
        reason: ReasonCode,
        correlation_id: CorrelationId,
        effects: &mut Effects,
    ) {
        if let Some(order) = self.ledger.order(&id).filter(|order| !order.state().is_final()) {
            let record = Record::CancelRequested { order: order.spec.clone(), reason };
            effects.send(Envelope::Executor(ExecutorMessage::Cancel(symbol, id)));
            effects.journal(now, ME, correlation_id, record);
        }
    }

    /// Withdraws every entry that is at work: nobody would guard what fills while the service is away.
    pub(super) fn cancel_entries(&mut self, now: Timestamp, reason: ReasonCode, effects: &mut Effects) {
        let at_work = |order: &&Order| order.spec.purpose == Purpose::Entry && !order.state().is_final();
        let entries: Vec<_> = self
            .ledger
            .open_orders()
            .filter(at_work)
            .map(|order| (order.spec.symbol.clone(), order.id().clone(), order.correlation_id))
            .collect();
        for (symbol, id, correlation_id) in entries {
            self.cancel(now, symbol, id, reason, correlation_id, effects);
        }
    }

    pub(super) fn execution(&mut self, now: Timestamp, event: ExecutionEvent, effects: &mut Effects) {
        match event {
            ExecutionEvent::Report(report) => self.report(now, &report, effects),
            ExecutionEvent::Fill(fill) => self.fill(now, &fill, effects),
        }
    }

    pub(super) fn report(&mut self, now: Timestamp, report: &OrderReport, effects: &mut Effects) {
        let before = self.ledger.order(&report.client_order_id).cloned();
        let Some(order) = self.ledger.reported(report).cloned() else { return };
        if before.as_ref() == Some(&order) {
            return;
        }
        let (id, symbol, correlation) = (order.spec.instance.clone(), order.spec.symbol.clone(), order.correlation_id);
        let rests = is_resting_exit(&order);
        let before = before.map(|before| before.state());
        let was_final = before.is_some_and(OrderState::is_final);
        let (state, refused) = (order.state(), order.state() == OrderState::Ended(OrderEnd::Rejected));
        let reason = refused.then_some(ReasonCode::ExchangeRejected);
        effects.journal(now, ME, correlation, Record::OrderChanged { order: Box::new(order), reason });
        if (state.is_final() && !was_final) || (rests && before != Some(state)) {
            self.publish_position(&id, &symbol, correlation, effects);
        }
    }

    pub(super) fn fill(&mut self, now: Timestamp, fill: &Fill, effects: &mut Effects) {
        let third_price = self.third_asset_price(fill);
        let Some(instrument) = self.instruments.get(&fill.symbol) else {
            return not_booked(now, fill, "the rules of its symbol are not known".into(), effects);
        };
        let booked = match self.ledger.book_fill(fill, instrument, third_price) {
            // What is held must be right and guarded, whatever the commission was worth.
            Err(BookError::FeeUnpriced { .. }) => {
                tell_unpriced(now, fill, effects);
                self.ledger.book_fill(fill, instrument, Some(domain::Price::SMALLEST))
            }
            booked => booked,
        };
        let booking = match booked {
            Ok(None) => return,
            Ok(Some(booking)) => booking,
            Err(error @ (BookError::Foreign { .. } | BookError::FeeUnpriced { .. })) => {
                return not_booked(now, fill, error.to_string(), effects);
            }
        };
        let in_third = fill.commission_asset != instrument.base && fill.commission_asset != instrument.quote;
        if in_third && !fill.commission.is_zero() {
            self.charge_outside(now, fill, effects);
        }
        let book =
            self.ledger.instance(&booking.instance).expect("invariant: a booking names an instance of the ledger");
        let order = self.ledger.order(&fill.client_order_id).cloned().map(Box::new);
        let correlation = order.as_ref().map_or_else(CorrelationId::default, |order| order.correlation_id);
        let record =
            Record::FillBooked { fill: fill.clone(), book: Box::new(book.clone()), closed: booking.closed, order };
        effects.journal(now, ME, correlation, record);
        self.tell_strategy(&booking.instance, StrategyMessage::Fill(Box::new(fill.clone())), effects);
        self.publish_position(&booking.instance, &fill.symbol, correlation, effects);
        self.publish_equity(&booking.instance, effects);
    }

    /// The price of a commission's third asset, by the symbol that trades it against the portfolio's currency.
    fn third_asset_price(&self, fill: &Fill) -> Option<domain::Price> {
        let currency = self.ledger.currency();
        let instrument = self
            .instruments
            .values()
            .find(|instrument| instrument.base == fill.commission_asset && instrument.quote == *currency)?;
        self.ledger.mark(&instrument.symbol).map(|(price, _)| price)
    }

    pub(super) fn outcome_unknown(&mut self, now: Timestamp, id: &ClientOrderId, effects: &mut Effects) {
        let Some(order) = self.ledger.outcome_unknown(id, now).cloned() else { return };
        if order.state() != OrderState::Unknown {
            return;
        }
        let scope = Scope::Instance(order.spec.instance.clone());
        let text = format!(
            "Order {id} ({} {} {}) was sent and its fate is not known. It is being asked for and never sent again; \
             entries of {} on {} wait for the answer.",
            order.spec.side, order.spec.quantity, order.spec.symbol, order.spec.instance, order.spec.symbol
        );
        let reason = Some(ReasonCode::OutcomeUnknown);
        let correlation = order.correlation_id;
        effects.journal(now, ME, correlation, Record::OrderChanged { order: Box::new(order), reason });
        Self::alert(now, Severity::High, ReasonCode::OutcomeUnknown, scope, text, correlation, effects);
    }

    pub(super) fn concluded(
        &mut self,
        now: Timestamp,
        id: &ClientOrderId,
        end: OrderEnd,
        reason: ReasonCode,
        effects: &mut Effects,
    ) {
        let Some(order) = self.ledger.concluded(id, end, now).cloned() else { return };
        let (instance, symbol) = (order.spec.instance.clone(), order.spec.symbol.clone());
        let correlation = order.correlation_id;
        if end == OrderEnd::Lost {
            let text = format!(
                "The exchange has lost order {id} ({} of {instance} on {symbol}). It is given up; what it guarded is \
                 protected anew.",
                order.spec.purpose
            );
            let scope = Scope::Instance(instance.clone());
            Self::alert(now, Severity::High, ReasonCode::OrderLost, scope, text, correlation, effects);
        }
        let record = Record::OrderChanged { order: Box::new(order), reason: Some(reason) };
        effects.journal(now, ME, correlation, record);
        self.publish_position(&instance, &symbol, correlation, effects);
    }

    /// Tells the strategy and the Executor where the instance stands on the symbol.
    pub(super) fn publish_position(
        &self,
        instance: &InstanceId,
        symbol: &Symbol,
        correlation_id: CorrelationId,
        effects: &mut Effects,
    ) {
        let Some(update) = self.position_update(instance, symbol, correlation_id) else { return };
        let update = Box::new(update);
        effects.send(Envelope::Executor(ExecutorMessage::Position(update.clone())));
        self.tell_strategy(instance, StrategyMessage::Position(update), effects);
    }

    fn position_update(
        &self,
        instance: &InstanceId,
        symbol: &Symbol,
        correlation_id: CorrelationId,
    ) -> Option<PositionUpdate> {
        let book = self.ledger.instance(instance)?;
        let position = book.position_or_flat(symbol);
        let mine = |order: &&Order| order.spec.instance == *instance && order.spec.symbol == *symbol;
        let open = || self.ledger.open_orders().filter(mine).filter(|order| !order.is_done());
        let entry = open().find(|order| order.spec.purpose == Purpose::Entry).map(|order| order.id().clone());
        let at_once = |order: &Order| matches!(order.spec.purpose, Purpose::Exit(_)) && !is_resting_exit(order);
        let exit_working = open().any(at_once);
        let exit_open = open().filter(|order| at_once(order)).map(Order::open_quantity).sum();
        let resting = open().filter(|order| is_resting_exit(order)).map(resting_exit).collect();
        let mark = self.ledger.mark(symbol).map(|(mark, _)| mark);
        let flat = match (self.instruments.get(symbol), mark.or_else(|| position.average_price())) {
            (Some(instrument), Some(mark)) => position.is_flat(instrument, mark),
            (None, _) | (_, None) => position.quantity().is_zero(),
        };
        let permission = self.restrictions.tightest(instance, &book.family, symbol).map(|found| found.permission);
        let permission = permission.unwrap_or(Permission::All).min(self.latch.permission());
        let exits_permitted = permission >= Permission::Exits;
        let equity = book.equity();
        Some(PositionUpdate {
            position,
            flat,
            entry,
            exit_working,
            exit_open,
            resting,
            exits_permitted,
            equity,
            correlation_id,
        })
    }
}

fn resting_exit(order: &Order) -> RestingExit {
    RestingExit {
        id: order.id().clone(),
        oco: order.spec.oco.clone(),
        stop_price: order.spec.stop_price,
        open_quantity: order.open_quantity(),
        acknowledged: matches!(order.state(), OrderState::Working | OrderState::PartiallyFilled),
    }
}

fn tell_unpriced(now: Timestamp, fill: &Fill, effects: &mut Effects) {
    let text = format!(
        "The commission of trade {} of {} is {} {}, whose price is not known: the trade is booked and its commission \
         counts as nothing. Let the service trade a symbol of that asset, or switch the discount off.",
        fill.trade_id, fill.symbol, fill.commission, fill.commission_asset
    );
    let (reason, scope) = (ReasonCode::FeeUnpriced, Scope::Symbol(fill.symbol.clone()));
    GlobalRisk::alert(now, Severity::High, reason, scope, text, CorrelationId::default(), effects);
}

fn not_booked(now: Timestamp, fill: &Fill, detail: String, effects: &mut Effects) {
    let text = format!(
        "Trade {} of {} ({} {} at {}) by order {} is not booked: {detail}. Compare the account with the book.",
        fill.trade_id, fill.symbol, fill.side, fill.quantity, fill.price, fill.client_order_id
    );
    let scope = Scope::Symbol(fill.symbol.clone());
    let correlation = CorrelationId::default();
    effects.journal(now, ME, correlation, Record::FillNotBooked { fill: fill.clone(), detail });
    GlobalRisk::alert(now, Severity::Critical, ReasonCode::ForeignFill, scope, text, correlation, effects);
}
