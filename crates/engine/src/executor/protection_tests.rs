//! Protection that rests on the exchange: placed per fill, replaced and given up only in its sequences, and right again
//! after a death at any step of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use domain::{
    ClientOrderId, CorrelationId, ExchangeOrderId, ExchangeOrderStatus, ExecutionEvent, ExitKind, Fill, Instrument,
    MarketEvent, Millis, OrderReport, OrderSpec, OrderType, Permission, Price, Quantity, Quote, ReasonCode, Side,
    Symbol, Timestamp, TradeId,
};
use ledger::reconcile::ExchangeSnapshot;
use ledger::{InstanceBook, LedgerState, Order, SeenTrades};
use risk::{EntryIntent, ExitIntent, OrderIntent, Protection, ProtectionStyle, SafetyLatch};

use crate::executor::Sequence;
use crate::message::{
    ActorId, Envelope, ExecutorMessage, GlobalRiskMessage, MarketDataMessage, ReconcilerMessage, SubmitResult,
};
use crate::record::Record;
use crate::system::tests::{instrument as plain_instrument, setup};
use crate::{BookState, Effect, Outside, SavedProtection, System};

const START: i64 = 1_622_500_020_000;

fn instrument() -> Instrument {
    let mut instrument = plain_instrument();
    instrument.order_types.extend([OrderType::StopLoss, OrderType::LimitMaker]);
    (instrument.filters.oco_allowed, instrument.filters.algo_orders_max) = (true, 5);
    instrument
}

/// An exchange that keeps resting orders, fills market orders at its price, and can die with the service after so many
/// effects.
struct Desk {
    latch: SafetyLatch,
    price: Price,
    orders: BTreeMap<ClientOrderId, (OrderSpec, ExchangeOrderStatus, Quantity)>,
    fills: Vec<Fill>,
    journal: Vec<Record>,
    refuse_protection: bool,
    /// An answer to a list does not come, although it arrived (or did not).
    lose_answer: Option<bool>,
    /// Share of an entry that fills at once.
    entry_fill: Quantity,
    effects_left: Option<usize>,
    /// These arrive right behind the next fill that is booked.
    after_fill: Vec<Envelope>,
    /// So many market exits are refused.
    refuse_market: usize,
    /// The next market exit does not arrive, and its answer neither.
    lose_market: bool,
    queries_fail: bool,
    submits: usize,
    /// Commission of a buy, in base units.
    fee: Quantity,
}

impl Desk {
    fn report(&self, id: &ClientOrderId, now: Timestamp) -> Option<OrderReport> {
        let (spec, status, executed) = self.orders.get(id)?;
        Some(OrderReport {
            client_order_id: id.clone(),
            exchange_order_id: Some(ExchangeOrderId(1)),
            symbol: spec.symbol.clone(),
            status: status.clone(),
            executed_quantity: *executed,
            time: now,
            detail: None,
        })
    }

    fn is_open(&self, id: &ClientOrderId) -> bool {
        self.orders.get(id).is_some_and(|(_, status, _)| !status.is_final())
    }

    /// Trades `quantity` of an order at `price`; the other leg of its list ends.
    fn trade(&mut self, id: &ClientOrderId, quantity: Quantity, price: Price, now: Timestamp) -> Vec<ExecutionEvent> {
        let Some((spec, status, executed)) = self.orders.get_mut(id) else { return Vec::new() };
        *executed += quantity;
        *status =
            if *executed >= spec.quantity { ExchangeOrderStatus::Filled } else { ExchangeOrderStatus::PartiallyFilled };
        let fill = Fill {
            trade_id: TradeId(self.fills.len() as u64 + 1),
            client_order_id: id.clone(),
            exchange_order_id: ExchangeOrderId(1),
            symbol: spec.symbol.clone(),
            side: spec.side,
            price,
            quantity,
            commission: if spec.side == Side::Buy { self.fee } else { Quantity::ZERO },
            commission_asset: instrument().base,
            is_maker: false,
            time: now,
        };
        let other = spec.oco.clone();
        self.fills.push(fill.clone());
        let mut events = vec![ExecutionEvent::Fill(fill), ExecutionEvent::Report(self.report(id, now).unwrap())];
        if let Some(other) = other {
            events.extend(self.end(&other, ExchangeOrderStatus::Expired, now));
        }
        events
    }

    fn end(&mut self, id: &ClientOrderId, end: ExchangeOrderStatus, now: Timestamp) -> Vec<ExecutionEvent> {
        if !self.is_open(id) {
            return Vec::new();
        }
        self.orders.get_mut(id).unwrap().1 = end;
        vec![ExecutionEvent::Report(self.report(id, now).unwrap())]
    }

    fn submit(&mut self, now: Timestamp, order: risk::ApprovedOrder, inbox: &mut VecDeque<Envelope>) {
        self.submits += 1;
        assert!(self.submits < 300, "orders are sent without end");
        let id = order.spec().client_order_id.clone();
        let mut submitted = |result| inbox.push_back(Envelope::Executor(ExecutorMessage::Submitted(result)));
        let released = match order.release(&self.latch, now) {
            Ok(released) => released,
            Err(not) => return submitted(SubmitResult::NotSent(id, not.reason)),
        };
        let legs: Vec<OrderSpec> = [Some(released.spec()), released.oco_leg()].into_iter().flatten().cloned().collect();
        if legs[0].order_type.rests() {
            if self.refuse_protection {
                return submitted(SubmitResult::Refused(id, "-2010".into()));
            }
            assert!(legs[0].quantity <= self.held() - self.reserved(), "more is offered than is free");
            let answer = self.lose_answer.take();
            if answer != Some(false) {
                for leg in &legs {
                    let known = (leg.clone(), ExchangeOrderStatus::New, Quantity::ZERO);
                    assert!(self.orders.insert(leg.client_order_id.clone(), known).is_none(), "sent twice");
                }
            }
            if answer.is_some() {
                return submitted(SubmitResult::Unknown(id, "timeout".into()));
            }
            let reports = legs.iter().map(|leg| self.report(&leg.client_order_id, now).unwrap()).collect();
            return submitted(SubmitResult::Accepted(reports, Vec::new()));
        }
        let spec = legs[0].clone();
        if spec.side == Side::Sell && self.refuse_market > 0 {
            self.refuse_market -= 1;
            return submitted(SubmitResult::Refused(id, "-1013".into()));
        }
        if spec.side == Side::Sell && std::mem::take(&mut self.lose_market) {
            return submitted(SubmitResult::Unknown(id, "timeout".into()));
        }
        if spec.side == Side::Sell {
            assert!(spec.quantity <= self.held() - self.reserved(), "more is sold than is free");
        }
        let quantity = if spec.side == Side::Buy { spec.quantity.min(self.entry_fill) } else { spec.quantity };
        assert!(self.orders.insert(id.clone(), (spec, ExchangeOrderStatus::New, Quantity::ZERO)).is_none());
        let events = self.trade(&id, quantity, self.price, now);
        submitted(SubmitResult::Accepted(vec![self.report(&id, now).unwrap()], Vec::new()));
        inbox.extend(events.into_iter().map(told));
    }

    fn held(&self) -> Quantity {
        self.fills.iter().map(|fill| fill.side.signed(fill.quantity) - fill.commission).sum()
    }

    fn resting(&self) -> Vec<&OrderSpec> {
        let open = |(spec, status, _): &&(OrderSpec, ExchangeOrderStatus, Quantity)| {
            spec.order_type.rests() && !status.is_final()
        };
        self.orders.values().filter(open).map(|(spec, _, _)| spec).collect()
    }

    /// Reserved by stops; the target of a list reserves nothing more.
    fn reserved(&self) -> Quantity {
        self.resting().iter().filter(|spec| spec.stop_price.is_some()).map(|spec| spec.quantity).sum()
    }

    fn snapshot(&self, now: Timestamp, request: &crate::SnapshotRequest) -> ExchangeSnapshot {
        let after = request.trades_after[0].1;
        ExchangeSnapshot {
            balances: BTreeMap::from([(instrument().base, self.held())]),
            open_orders: self
                .orders
                .keys()
                .filter(|id| self.is_open(id))
                .filter_map(|id| self.report(id, now))
                .collect(),
            asked: request.orders.iter().map(|(_, id)| (id.clone(), self.report(id, now))).collect(),
            trades: self.fills.iter().filter(|fill| Some(fill.trade_id) > after).cloned().collect(),
            time: now,
        }
    }

    /// What a store would hand to the next start.
    fn durable(&self) -> BookState {
        let (mut books, mut orders) = (BTreeMap::<_, InstanceBook>::new(), BTreeMap::<_, Order>::new());
        let (mut seen, mut protections) = (BTreeMap::<Symbol, SeenTrades>::new(), BTreeMap::new());
        let mut trades_through = BTreeMap::new();
        for record in &self.journal {
            match record {
                Record::OrderIntended { order, protection } => {
                    orders.insert(order.id().clone(), (**order).clone());
                    let key = (order.spec.instance.clone(), order.spec.symbol.clone());
                    let held = books.get(&key.0).and_then(|book| book.position(&key.1));
                    let is_held = held.is_some_and(|position| position.opened_at().is_some());
                    if let Some(protection) = protection
                        && !(is_held && protections.contains_key(&key))
                    {
                        protections.insert(key, (*protection, None));
                    }
                }
                Record::OrderChanged { order, .. } => {
                    orders.insert(order.id().clone(), (**order).clone());
                }
                Record::FillBooked { fill, book, order, .. } => {
                    books.insert(book.id.clone(), (**book).clone());
                    seen.entry(fill.symbol.clone()).or_default().insert(fill.trade_id);
                    if let Some(order) = order {
                        orders.insert(order.id().clone(), (**order).clone());
                    }
                }
                Record::BooksOpened { books: opened } => {
                    books.extend(opened.iter().map(|book| (book.id.clone(), book.clone())));
                }
                Record::ProtectionSequence { instance, symbol, sequence } => {
                    if let Some(saved) = protections.get_mut(&(instance.clone(), symbol.clone())) {
                        saved.1.clone_from(sequence);
                    }
                }
                Record::ProtectionChanged { instance, symbol, protection } => {
                    if let Some(saved) = protections.get_mut(&(instance.clone(), symbol.clone())) {
                        saved.0 = *protection;
                    }
                }
                Record::ProtectionCleared { instance, symbol } => {
                    let entry = |order: &Order| {
                        order.spec.instance == *instance
                            && order.spec.symbol == *symbol
                            && order.spec.purpose == domain::Purpose::Entry
                            && !order.is_done()
                    };
                    if !orders.values().any(entry) {
                        protections.remove(&(instance.clone(), symbol.clone()));
                    }
                }
                Record::TradesReconciled { through } => trades_through.extend(through.clone()),
                _ => {}
            }
        }
        let saved =
            |((instance, symbol), (protection, sequence))| SavedProtection { instance, symbol, protection, sequence };
        BookState {
            ledger: LedgerState {
                instances: books.into_values().collect(),
                orders: orders.into_values().filter(|order| !order.is_done()).collect(),
                seen,
                ..LedgerState::default()
            },
            protections: protections.into_iter().map(saved).collect(),
            trades_through,
            instruments: vec![instrument()],
            ..BookState::default()
        }
    }
}

fn told(event: ExecutionEvent) -> Envelope {
    Envelope::Executor(ExecutorMessage::Execution(Box::new(event)))
}

impl Outside for Desk {
    fn carry_out(&mut self, now: Timestamp, _: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>) {
        if let Some(left) = &mut self.effects_left {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                // The process is dead: nothing it still wished happens, and nobody hears an answer.
                None => return inbox.clear(),
            }
        }
        match effect {
            Effect::Submit(order) => self.submit(now, *order, inbox),
            Effect::Cancel(_, id) | Effect::CancelProtection(_, id) => {
                if !self.is_open(&id) {
                    let answer = Ok(self.report(&id, now).map(Box::new));
                    let symbol = instrument().symbol;
                    inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id.clone(), answer)));
                }
                let legs = [Some(id.clone()), self.orders.get(&id).and_then(|(spec, ..)| spec.oco.clone())];
                for id in legs.into_iter().flatten() {
                    inbox.extend(self.end(&id, ExchangeOrderStatus::Canceled, now).into_iter().map(told));
                }
            }
            Effect::QueryOrder(symbol, id) => {
                let found = self.report(&id, now).map(Box::new);
                let answer = if self.queries_fail { Err("503".to_owned()) } else { Ok(found) };
                inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
            }
            Effect::Gather(request) => {
                let snapshot = Ok(Box::new(self.snapshot(now, &request)));
                inbox.push_back(Envelope::Reconciler(ReconcilerMessage::Snapshot(snapshot)));
            }
            Effect::BackfillAll => inbox.push_back(Envelope::Reconciler(ReconcilerMessage::BackfillDone)),
            Effect::Journal(entry) => {
                if matches!(entry.record, Record::FillBooked { .. }) {
                    inbox.extend(self.after_fill.drain(..));
                }
                self.journal.push(entry.record);
            }
            Effect::Backfill(_) | Effect::Send(_) | Effect::WriteLatch(_) | Effect::SaveStrategy { .. } => {}
        }
    }
}

struct World {
    system: System,
    desk: Desk,
    now: Timestamp,
    boot: u64,
}

impl World {
    fn new() -> Self {
        let desk = Desk {
            latch: SafetyLatch::new(Permission::All),
            price: "100".parse().unwrap(),
            orders: BTreeMap::new(),
            fills: Vec::new(),
            journal: Vec::new(),
            refuse_protection: false,
            lose_answer: None,
            entry_fill: "1000".parse().unwrap(),
            effects_left: None,
            after_fill: Vec::new(),
            refuse_market: 0,
            lose_market: false,
            queries_fail: false,
            submits: 0,
            fee: Quantity::ZERO,
        };
        Self::started(desk, Timestamp::from_millis(START), 1)
    }

    fn started(mut desk: Desk, now: Timestamp, boot: u64) -> Self {
        desk.latch = SafetyLatch::new(Permission::All);
        desk.effects_left = None;
        let state = BookState { instruments: vec![instrument()], ..desk.durable() };
        let setup = crate::Setup { boot: domain::BootNumber(boot), ..setup() };
        let mut world = Self { system: System::new(&setup, &state, desk.latch.clone()), desk, now, boot };
        world.deliver(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(vec![instrument()]))));
        let price = world.desk.price;
        world.price(&price.to_string());
        world.system.start(world.now, &mut world.desk);
        world
    }

    /// The process dies and starts again.
    fn restarted(self) -> Self {
        Self::started(self.desk, self.now + Millis::from_secs(60), self.boot + 1)
    }

    fn deliver(&mut self, envelope: Envelope) {
        self.system.deliver(self.now, envelope, &mut self.desk);
    }

    fn price(&mut self, mid: &str) {
        self.desk.price = mid.parse().unwrap();
        let half: domain::Ratio = "0.0001".parse().unwrap();
        let quote = Quote {
            symbol: instrument().symbol,
            bid: self.desk.price.moved_by(-half).unwrap(),
            bid_quantity: "1".parse().unwrap(),
            ask: self.desk.price.moved_by(half).unwrap(),
            ask_quantity: "1".parse().unwrap(),
            time: self.now,
        };
        self.deliver(Envelope::MarketData(MarketDataMessage::Market(MarketEvent::Quote(quote))));
    }

    fn beat(&mut self, seconds: i64) {
        self.now = self.now + Millis::from_secs(seconds);
        self.system.beat(self.now, &mut self.desk);
    }

    fn enter(&mut self, quantity: &str, stop: &str) {
        let intent = EntryIntent {
            instance: setup().instances[0].id.clone(),
            symbol: instrument().symbol,
            side: Side::Buy,
            quantity: quantity.parse().unwrap(),
            limit: None,
            protection: Protection {
                stop: stop.parse().unwrap(),
                take_profit: "120".parse().ok(),
                style: ProtectionStyle::Resting,
            },
            reason: ReasonCode::EntrySignal,
            correlation_id: CorrelationId(7),
        };
        self.deliver(Envelope::GlobalRisk(GlobalRiskMessage::Intent(OrderIntent::Entry(intent))));
    }

    fn exit(&mut self, quantity: Option<&str>) {
        let ledger = self.system.global_risk().ledger();
        let book = ledger.instance(&setup().instances[0].id).unwrap();
        let Some(position) = book.position(&instrument().symbol) else { return };
        let quantity = quantity.map(|text| text.parse().unwrap());
        let exit =
            ExitIntent::from_position(position, quantity, ExitKind::Signal, ReasonCode::ExitSignal, CorrelationId(8));
        if let Some(exit) = exit {
            self.deliver(Envelope::GlobalRisk(GlobalRiskMessage::Intent(OrderIntent::Exit(exit))));
        }
    }

    /// The exchange trades a resting order.
    fn trade(&mut self, id: &ClientOrderId, quantity: &str, price: &str) {
        let events = self.desk.trade(id, quantity.parse().unwrap(), price.parse().unwrap(), self.now);
        for event in events {
            self.deliver(told(event));
        }
    }

    fn stops(&self) -> Vec<(String, String)> {
        let stops = self.desk.resting().into_iter().filter_map(|spec| Some((spec.quantity, spec.stop_price?)));
        stops.map(|(quantity, stop)| (quantity.to_string(), stop.to_string())).collect()
    }

    fn stop_id(&self) -> ClientOrderId {
        self.desk.resting().into_iter().find(|spec| spec.stop_price.is_some()).unwrap().client_order_id.clone()
    }

    fn target_id(&self) -> ClientOrderId {
        self.desk.resting().into_iter().find(|spec| spec.stop_price.is_none()).unwrap().client_order_id.clone()
    }

    fn held(&self) -> String {
        self.desk.held().normalized().to_string()
    }

    fn has_alert(&self, reason: ReasonCode) -> bool {
        self.desk.journal.iter().any(|record| matches!(record, Record::AlertRaised(alert) if alert.reason == reason))
    }

    fn has_sequence_under_way(&self) -> bool {
        let sequence = |record: &Record| match record {
            Record::ProtectionSequence { sequence, .. } => Some(sequence.is_some()),
            _ => None,
        };
        self.desk.journal.iter().rev().find_map(sequence) == Some(true)
    }

    /// What must be true once everything has settled: held and covered, or nothing held and nothing resting; and the
    /// book says what the exchange says.
    fn settled(&self, after: &str) {
        let local = self.system.global_risk().ledger().held(&instrument().symbol);
        assert_eq!(local, self.desk.held(), "{after}");
        assert_eq!(self.desk.reserved(), self.desk.held(), "{after}: all that is held is covered by a stop, once");
        assert!(!self.desk.held().is_negative(), "{after}");
        assert!(!self.has_sequence_under_way() || self.desk.held().is_zero(), "{after}: a sequence was left open");
    }
}

fn pair(quantity: &str, stop: &str) -> (String, String) {
    (quantity.to_owned(), stop.to_owned())
}

#[test]
fn i7_a_position_is_guarded_by_a_list_that_rests_on_the_exchange() {
    let mut world = World::new();
    world.enter("10", "95");
    assert_eq!(world.stops(), [pair("10", "95")]);
    assert_eq!(world.desk.resting().len(), 2, "a stop and a target");
    world.settled("an entry");
    world.beat(1);
    world.beat(1);
    assert_eq!(world.desk.resting().len(), 2, "nothing is added to what is covered");
    // The stop trades: the target ends with it, and the guard goes.
    world.trade(&world.stop_id(), "10", "95");
    assert_eq!((world.held().as_str(), world.desk.resting().len()), ("0", 0));
    world.beat(10);
    world.settled("the stop traded");
    assert!(world.system.executor().protection(&setup().instances[0].id, &instrument().symbol).is_none());
}

#[test]
fn i7_each_fill_of_an_entry_is_covered_when_it_comes() {
    let mut world = World::new();
    world.desk.entry_fill = "4".parse().unwrap();
    world.enter("10", "95");
    assert_eq!(world.stops(), [pair("4", "95")]);
    let entry = world.desk.orders.values().find(|(spec, ..)| spec.side == Side::Buy).unwrap().0.client_order_id.clone();
    world.trade(&entry, "1", "100");
    world.trade(&entry, "1", "100");
    assert_eq!(world.stops(), [pair("4", "95"), pair("1", "95"), pair("1", "95")]);
    // A fourth part does not take a fourth slot: all of them are replaced by one.
    world.trade(&entry, "4", "100");
    assert_eq!(world.stops(), [pair("10", "95")]);
    world.settled("four fills");
}

#[test]
fn an_exit_gives_up_what_rests_and_what_is_left_is_covered_again() {
    let mut world = World::new();
    world.enter("10", "95");
    world.exit(Some("4"));
    assert_eq!((world.held().as_str(), world.stops()), ("6", vec![pair("6", "95")]));
    world.settled("a part was closed");
    world.exit(None);
    assert_eq!((world.held().as_str(), world.stops()), ("0", vec![]));
    world.settled("all was closed");
}

#[test]
fn a_refused_exit_leaves_what_rests_alone() {
    let mut world = World::new();
    world.enter("10", "95");
    let before = world.stop_id();
    let restriction = risk::Restriction {
        scope: domain::Scope::Global,
        permission: Permission::GuardedExits,
        reason: ReasonCode::SafeMode,
        since: world.now,
        release: risk::Release::OperatorOnly,
    };
    world.desk.latch.tighten(restriction.permission);
    world.exit(None);
    assert_eq!((world.stop_id(), world.held().as_str()), (before, "10"), "Safe Mode permits no exit of a strategy");
}

#[test]
fn i7_protection_is_restored_when_the_exchange_ends_it() {
    let mut world = World::new();
    world.enter("10", "95");
    for end in [ExchangeOrderStatus::ExpiredInMatch, ExchangeOrderStatus::Expired, ExchangeOrderStatus::Canceled] {
        for id in [world.stop_id(), world.target_id()] {
            for event in world.desk.end(&id, end.clone(), world.now) {
                world.deliver(told(event));
            }
        }
        world.beat(6);
        assert_eq!(world.stops(), [pair("10", "95")], "{end:?}");
        world.settled("protection ended");
    }
}

#[test]
fn what_the_exchange_does_not_take_is_watched_and_told_and_offered_again() {
    let mut world = World::new();
    world.desk.refuse_protection = true;
    world.enter("10", "95");
    assert_eq!(world.stops(), []);
    assert!(world.has_alert(ReasonCode::ProtectionRefused));
    world.beat(1);
    world.desk.refuse_protection = false;
    world.beat(5);
    assert_eq!(world.stops(), [pair("10", "95")]);

    let mut world = World::new();
    world.desk.refuse_protection = true;
    world.enter("10", "95");
    world.price("94");
    assert_eq!(world.held(), "0", "the service watches what does not rest");
}

#[test]
fn a_target_that_fills_in_part_takes_the_stop_along_and_the_rest_is_watched() {
    let mut world = World::new();
    world.enter("10", "95");
    world.trade(&world.target_id(), "3", "120");
    assert_eq!((world.held().as_str(), world.stops()), ("7", vec![]));
    assert_eq!(world.desk.resting().len(), 1, "the rest of the target");
    world.price("94");
    assert_eq!((world.held().as_str(), world.desk.resting().len()), ("0", 0), "closed at market");

    let mut world = World::new();
    world.enter("10", "95");
    world.trade(&world.target_id(), "3", "120");
    world.beat(1);
    world.beat(5);
    assert_eq!(world.stops(), [pair("7", "95")], "a target that does not go on filling gets its stop back");
    world.settled("a target filled in part");
}

#[test]
fn a_stop_that_does_not_close_in_time_is_escalated_to_market() {
    let mut world = World::new();
    world.enter("10", "95");
    world.price("94");
    assert_eq!(world.held(), "10", "the stop on the exchange has its time");
    world.beat(9);
    assert_eq!(world.held(), "10");
    world.beat(2);
    assert_eq!((world.held().as_str(), world.desk.resting().len()), ("0", 0));
    assert!(world.has_alert(ReasonCode::ProtectionEscalated));
    world.settled("escalation");
}

#[test]
fn c1_a_list_of_unknown_fate_is_asked_for_and_never_sent_again() {
    // It arrived.
    let mut world = World::new();
    world.desk.lose_answer = Some(true);
    world.enter("10", "95");
    assert_eq!(world.stops(), [pair("10", "95")]);
    world.beat(6);
    world.settled("the answer was lost");
    // It did not: only after its validity another one may be offered.
    let mut world = World::new();
    world.desk.lose_answer = Some(false);
    world.enter("10", "95");
    world.beat(6);
    assert_eq!(world.stops(), []);
    for _ in 0..4 {
        world.beat(6);
    }
    assert_eq!(world.stops(), [pair("10", "95")]);
    world.settled("the list was lost");
}

#[test]
fn what_rests_without_a_position_is_taken_away() {
    let mut world = World::new();
    world.enter("10", "95");
    let (stop, target) = (world.stop_id(), world.target_id());
    // The stop trades, and the word of the target's end is lost: it is asked for.
    let events = world.desk.trade(&stop, "10".parse().unwrap(), "95".parse().unwrap(), world.now);
    for event in events.into_iter().take(2) {
        world.deliver(told(event));
    }
    assert!(!world.system.executor().resting(&setup().instances[0].id, &instrument().symbol).is_empty());
    world.beat(1);
    world.beat(6);
    assert!(!world.desk.is_open(&target));
    assert!(world.system.executor().protection(&setup().instances[0].id, &instrument().symbol).is_none());
}

/// An entry, its protection, a partial exit, a replacement and a full exit, dead after each effect in turn.
#[test]
fn i7_a_death_at_any_step_of_a_sequence_ends_covered_or_flat() {
    let story = |world: &mut World| {
        world.enter("10", "95");
        world.exit(Some("4"));
        world.enter("5", "96");
        world.beat(1);
        world.exit(None);
    };
    let mut steps = 0;
    for deadly in 0.. {
        let mut world = World::new();
        world.desk.effects_left = Some(deadly);
        story(&mut world);
        let lived = world.desk.effects_left.is_some_and(|left| left > 0);
        // A close that was durable is gone on with, and closes no more than it was to close.
        let closing = world.desk.durable().protections.iter().find_map(|saved| match saved.sequence {
            Some(Sequence::Close { keep, .. }) => Some(keep),
            Some(Sequence::Replace) | None => None,
        });
        let mut world = world.restarted();
        for _ in 0..6 {
            world.beat(6);
        }
        assert_eq!(world.system.latch().permission(), Permission::All, "after {deadly} effects the recovery ended");
        world.settled(&format!("dead after {deadly} effects"));
        if let Some(keep) = closing {
            assert_eq!(world.desk.held(), keep, "dead after {deadly} effects");
        }
        // And once more: what a restart did not finish, the next one must not undo.
        let mut world = world.restarted();
        world.beat(6);
        world.settled(&format!("dead after {deadly} effects, and again"));
        steps = deadly;
        if lived {
            break;
        }
    }
    assert!(steps > 40, "{steps} effects are too few for this story");
}

#[test]
fn a_refused_exit_is_sent_again_with_pauses_that_grow() {
    let mut world = World::new();
    world.desk.refuse_protection = true;
    world.enter("10", "95");
    // The symbol halts: the gate refuses every exit, whatever the price says.
    let mut halted = instrument();
    halted.status = domain::SymbolStatus::Halt;
    world.deliver(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(vec![halted]))));
    for _ in 0..60 {
        world.price("90");
        world.beat(1);
    }
    let refused: u64 = world.system.global_risk().refusals().values().sum();
    assert!((5..=20).contains(&refused), "{refused} refusals in a minute");
    world.deliver(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(vec![instrument()]))));
    for _ in 0..33 {
        world.beat(1);
    }
    assert_eq!(world.held(), "0", "it exits once it can");
}

fn bid(price: &str, time: Timestamp) -> Envelope {
    let bid: Price = price.parse().unwrap();
    let ask = bid.moved_by("0.0001".parse().unwrap()).unwrap();
    let (bid_quantity, ask_quantity) = ("1".parse().unwrap(), "1".parse().unwrap());
    let quote = Quote { symbol: instrument().symbol, bid, bid_quantity, ask, ask_quantity, time };
    Envelope::MarketData(MarketDataMessage::Market(MarketEvent::Quote(quote)))
}

#[test]
fn i7_a_stop_that_is_reached_while_the_wish_to_protect_is_under_way_closes() {
    for refused in [true, false] {
        let mut world = World::new();
        world.desk.refuse_protection = refused;
        world.desk.after_fill = vec![bid("94", world.now)];
        world.enter("10", "95");
        for _ in 0..10 {
            world.beat(5);
            world.price("90");
        }
        assert_eq!(world.held(), "0", "the list was refused: {refused}");
    }
}

#[test]
fn an_exit_that_the_exchange_refuses_is_tried_with_pauses_and_told_once() {
    let mut world = World::new();
    world.desk.refuse_protection = true;
    world.enter("10", "95");
    world.desk.refuse_market = 6;
    let before = world.desk.submits;
    for _ in 0..80 {
        world.price("94");
        world.beat(1);
    }
    assert!((6..=8).contains(&(world.desk.submits - before)), "{} orders", world.desk.submits - before);
    assert_eq!(world.held(), "0");
    let told =
        |record: &&Record| matches!(record, Record::AlertRaised(alert) if alert.text.contains("did not take the exit"));
    assert_eq!(world.desk.journal.iter().filter(told).count(), 1);
}

#[test]
fn what_a_partial_exit_of_unknown_fate_leaves_is_still_guarded() {
    let mut world = World::new();
    world.enter("10", "95");
    (world.desk.lose_market, world.desk.queries_fail) = (true, true);
    world.exit(Some("4"));
    assert_eq!(world.stops(), [pair("6", "95")], "the rest is covered again");
    let mut world = World::new();
    world.desk.refuse_protection = true;
    world.enter("10", "95");
    (world.desk.lose_market, world.desk.queries_fail) = (true, true);
    world.exit(Some("4"));
    world.price("50");
    assert_eq!(world.held(), "4", "the rest is closed, and what may have been sold is not sold again");
}

#[test]
fn i2_a_trade_that_came_unseen_before_one_that_was_booked_is_found() {
    let mut world = World::new();
    world.enter("10", "95");
    let (stop, ours) = (world.stop_id(), |event| Envelope::GlobalRisk(GlobalRiskMessage::Exchange(event)));
    world.desk.trade(&stop, "4".parse().unwrap(), "95".parse().unwrap(), world.now);
    world.deliver(ours(crate::ExchangeEvent::AccountStreamLost("reset".into())));
    world.trade(&stop, "1", "95");
    world.deliver(ours(crate::ExchangeEvent::AccountStreamSubscribed));
    let booked = |world: &World| world.system.global_risk().ledger().held(&instrument().symbol);
    assert_eq!((booked(&world), world.held().as_str()), ("5".parse().unwrap(), "5"));
    let world = world.restarted();
    assert_eq!(booked(&world), "5".parse().unwrap());
}

#[test]
fn a_wish_to_protect_that_an_exit_overtook_is_repeated_for_all_that_is_held() {
    let mut probe = World::new();
    probe.desk.refuse_protection = true;
    probe.enter("10", "95");
    let book = probe.system.global_risk().ledger().instance(&setup().instances[0].id).unwrap();
    let position = book.position(&instrument().symbol).unwrap();
    let exit = ExitIntent::from_position(position, None, ExitKind::Signal, ReasonCode::ExitSignal, CorrelationId(8));
    let mut world = World::new();
    world.desk.refuse_market = 1;
    world.desk.after_fill = vec![Envelope::GlobalRisk(GlobalRiskMessage::Intent(OrderIntent::Exit(exit.unwrap())))];
    world.enter("10", "95");
    for _ in 0..10 {
        world.beat(6);
    }
    assert_eq!(world.stops(), [pair("10", "95")]);
}

#[test]
fn more_than_three_of_the_largest_orders_end_in_no_endless_replacement() {
    let mut world = World::new();
    let small = Instrument { quantity_max: "3".parse().unwrap(), ..instrument() };
    world.deliver(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(vec![small]))));
    for _ in 0..4 {
        world.enter("3", "95");
    }
    for _ in 0..20 {
        world.beat(6);
    }
    assert_eq!(world.stops().len(), 3);
    world.price("94");
    world.beat(11);
    for _ in 0..10 {
        world.beat(3);
        world.price("94");
    }
    assert_eq!(world.held(), "0", "what does not rest is watched");
}

#[test]
fn a_commission_in_base_leaves_less_than_a_step_which_is_not_fought() {
    let mut world = World::new();
    world.desk.fee = "0.000003".parse().unwrap();
    world.enter("10", "95");
    assert_eq!(world.stops(), [pair("9.99999", "95")]);
    world.desk.price = "94".parse().unwrap();
    let mut world = world.restarted();
    for _ in 0..10 {
        world.beat(6);
    }
    assert!(world.desk.held() < "0.00001".parse().unwrap(), "{}", world.held());
    assert!(world.desk.submits < 20, "{} orders", world.desk.submits);
}

#[test]
fn an_entry_that_never_left_moves_no_stop_at_a_restart() {
    let mut world = World::new();
    world.enter("10", "95");
    world.desk.effects_left = Some(1);
    world.enter("5", "90");
    let mut world = world.restarted();
    for _ in 0..6 {
        world.beat(6);
    }
    assert_eq!(world.stops(), [pair("10", "95")]);
}

#[test]
fn orders_that_the_exchange_lost_end_and_the_position_is_closed() {
    let mut world = World::new();
    world.enter("10", "95");
    world.desk.orders.retain(|_, (spec, ..)| !spec.order_type.rests());
    for _ in 0..20 {
        world.beat(5);
        world.price("80");
    }
    assert_eq!(world.held(), "0");
}

#[test]
fn an_order_that_only_the_exchange_knows_is_withdrawn_and_the_position_protected_anew() {
    let mut world = World::new();
    world.enter("10", "95");
    // The disk lost everything about the list; the exchange did not.
    let lost = [world.stop_id(), world.target_id()];
    let about = |record: &Record| match record {
        Record::OrderIntended { order, .. } | Record::OrderChanged { order, .. } => lost.contains(order.id()),
        _ => false,
    };
    world.desk.journal.retain(|record| !about(record));
    let mut world = world.restarted();
    for _ in 0..8 {
        world.beat(2);
    }
    world.settled("the list was withdrawn");
    assert!(lost.iter().all(|id| !world.desk.is_open(id)));
    assert!(world.has_alert(ReasonCode::ReconciliationDrift));
    assert_eq!(world.system.latch().permission(), Permission::All);
}
