//! The machines together, against an exchange made of cases: what happens to money when things go wrong.

use std::sync::Arc;

use domain::{
    BootNumber, Candle, ClientOrderId, ExchangeOrderId, ExchangeOrderStatus, ExecutionEvent, Fill, Instrument,
    Interval, MarketEvent, Millis, OrderReport, OrderSpec, OrderType, Permission, Price, Quantity, Quote, ReasonCode,
    Side, SymbolStatus, TradeId,
};
use ledger::reconcile::ExchangeSnapshot;
use ledger::{OrderEnd, OrderState};
use risk::Limits;
use strategy::StrategyConfig;

use super::*;
use crate::message::{ExecutorMessage, GlobalRiskMessage, SubmitResult};
use crate::record::{JournalEntry, Record};
use crate::setup::{FamilySetup, InstanceConfig};

const START: i64 = 1_622_500_020_000;

pub(crate) fn instrument() -> Instrument {
    Instrument {
        symbol: "BTCUSDT".parse().unwrap(),
        base: "BTC".parse().unwrap(),
        quote: "USDT".parse().unwrap(),
        status: SymbolStatus::Trading,
        tick_size: "0.01".parse().unwrap(),
        step_size: "0.00001".parse().unwrap(),
        quantity_min: "0.00001".parse().unwrap(),
        quantity_max: "9000".parse().unwrap(),
        notional_min: "5".parse().unwrap(),
        order_types: vec![OrderType::Market, OrderType::Limit],
        filters: domain::Filters::default(),
    }
}

pub(crate) fn setup() -> Setup {
    let strategy: StrategyConfig = serde_json::from_str(
        r#"{"kind": "donchian", "interval": "1m", "entry_period": 3, "exit_period": 3, "atr_period": 2, "stop_atr": 2.0}"#,
    )
    .unwrap();
    Setup {
        currency: "USDT".parse().unwrap(),
        families: vec![FamilySetup { id: "breakout".parse().unwrap() }],
        instances: vec![InstanceConfig {
            id: "don-btc".parse().unwrap(),
            family: FamilyIndex(0),
            capital: "10000".parse().unwrap(),
            symbols: vec!["BTCUSDT".parse().unwrap()],
            entry_size: "0.5".parse().unwrap(),
            protection: risk::ProtectionStyle::Local,
            strategy,
        }],
        limits: Limits::default(),
        boot: BootNumber(1),
        heartbeat_timeout_ms: 3000,
        equity_sample_ms: Millis::from_secs(300),
        quote_age_ms_max: Millis::from_secs(10),
    }
}

/// How the exchange answers the next orders.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Fill,
    UnknownThenFilled,
    UnknownAndLost,
    Refuse,
    Silence,
}

struct Exchange {
    answer: Answer,
    latch: SafetyLatch,
    price: Price,
    sent: Vec<OrderSpec>,
    fills: Vec<Fill>,
    queries: usize,
    journal: Vec<JournalEntry>,
    snapshot_fails: bool,
    canceled: Vec<ClientOrderId>,
}

impl Exchange {
    fn fill(&mut self, spec: &OrderSpec, now: Timestamp) -> Fill {
        let fill = Fill {
            trade_id: TradeId(self.fills.len() as u64 + 1),
            client_order_id: spec.client_order_id.clone(),
            exchange_order_id: ExchangeOrderId(self.sent.len() as u64),
            symbol: spec.symbol.clone(),
            side: spec.side,
            price: self.price,
            quantity: spec.quantity,
            commission: Quantity::ZERO,
            commission_asset: "USDT".parse().unwrap(),
            is_maker: false,
            time: now,
        };
        self.fills.push(fill.clone());
        fill
    }

    fn report(&self, id: &ClientOrderId, now: Timestamp) -> Option<OrderReport> {
        let fill = self.fills.iter().find(|fill| fill.client_order_id == *id)?;
        Some(OrderReport {
            client_order_id: id.clone(),
            exchange_order_id: Some(fill.exchange_order_id),
            symbol: fill.symbol.clone(),
            status: ExchangeOrderStatus::Filled,
            executed_quantity: fill.quantity,
            time: now,
            detail: None,
        })
    }

    fn submit(&mut self, now: Timestamp, order: risk::ApprovedOrder, inbox: &mut VecDeque<Envelope>) {
        let mut submitted = |result| inbox.push_back(Envelope::Executor(ExecutorMessage::Submitted(result)));
        let id = order.spec().client_order_id.clone();
        let spec = match order.release(&self.latch, now) {
            Ok(released) => released.spec().clone(),
            Err(not) => return submitted(SubmitResult::NotSent(id, not.reason)),
        };
        self.sent.push(spec.clone());
        match self.answer {
            Answer::Fill => {
                let fill = self.fill(&spec, now);
                submitted(SubmitResult::Accepted(vec![self.report(&id, now).unwrap()], Vec::new()));
                inbox.push_back(Envelope::Executor(ExecutorMessage::Execution(Box::new(ExecutionEvent::Fill(fill)))));
            }
            Answer::UnknownThenFilled => {
                self.fill(&spec, now);
                submitted(SubmitResult::Unknown(id, "timeout".into()));
            }
            Answer::UnknownAndLost => submitted(SubmitResult::Unknown(id, "timeout".into())),
            Answer::Refuse => submitted(SubmitResult::Refused(id, "-2010".into())),
            Answer::Silence => {}
        }
    }

    fn snapshot(&self, now: Timestamp, request: &crate::SnapshotRequest) -> ExchangeSnapshot {
        let after = request.trades_after[0].1;
        let held: Quantity = self.fills.iter().map(|fill| fill.side.signed(fill.quantity)).sum();
        ExchangeSnapshot {
            balances: BTreeMap::from([(instrument().base, held)]),
            open_orders: Vec::new(),
            asked: request.orders.iter().map(|(_, id)| (id.clone(), self.report(id, now))).collect(),
            trades: self.fills.iter().filter(|fill| Some(fill.trade_id) > after).cloned().collect(),
            time: now,
        }
    }
}

impl Outside for Exchange {
    fn carry_out(&mut self, now: Timestamp, _: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>) {
        match effect {
            Effect::Submit(order) => self.submit(now, *order, inbox),
            Effect::QueryOrder(symbol, id) => {
                self.queries += 1;
                let answer = Ok(self.report(&id, now).map(Box::new));
                inbox.push_back(Envelope::Executor(ExecutorMessage::Queried(symbol, id, answer)));
            }
            Effect::Gather(request) => {
                let snapshot =
                    if self.snapshot_fails { Err("503".into()) } else { Ok(Box::new(self.snapshot(now, &request))) };
                inbox.push_back(Envelope::Reconciler(ReconcilerMessage::Snapshot(snapshot)));
            }
            Effect::BackfillAll => inbox.push_back(Envelope::Reconciler(ReconcilerMessage::BackfillDone)),
            Effect::Backfill(request) => {
                let message = MarketDataMessage::Backfilled(request.symbol, request.interval, Vec::new());
                inbox.push_back(Envelope::MarketData(message));
            }
            Effect::Journal(entry) => self.journal.push(*entry),
            Effect::Cancel(_, id) | Effect::CancelProtection(_, id) => self.canceled.push(id),
            Effect::Send(_) | Effect::WriteLatch(_) | Effect::SaveStrategy { .. } => {}
        }
    }
}

struct World {
    system: System,
    exchange: Exchange,
    now: Timestamp,
}

impl World {
    fn new(answer: Answer) -> Self {
        Self::continued(answer, BookState::default(), Vec::new())
    }

    fn continued(answer: Answer, mut state: BookState, fills: Vec<Fill>) -> Self {
        let latch = SafetyLatch::new(Permission::All);
        state.instruments = vec![instrument()];
        let system = System::new(&setup(), &state, latch.clone());
        let exchange = Exchange {
            answer,
            latch,
            price: "100".parse().unwrap(),
            sent: Vec::new(),
            fills,
            queries: 0,
            journal: Vec::new(),
            snapshot_fails: false,
            canceled: Vec::new(),
        };
        let mut world = Self { system, exchange, now: Timestamp::from_millis(START) };
        let instruments = MarketDataMessage::Instruments(Arc::new(vec![instrument()]));
        world.deliver(Envelope::MarketData(instruments));
        world
    }

    fn start(mut self) -> Self {
        self.system.start(self.now, &mut self.exchange);
        self
    }

    fn deliver(&mut self, envelope: Envelope) {
        self.system.deliver(self.now, envelope, &mut self.exchange);
    }

    fn market(&mut self, event: MarketEvent) {
        self.deliver(Envelope::MarketData(MarketDataMessage::Market(event)));
    }

    fn quote(&mut self, mid: &str) {
        let mid: Price = mid.parse().unwrap();
        self.exchange.price = mid;
        let half: domain::Ratio = "0.0001".parse().unwrap();
        self.market(MarketEvent::Quote(Quote {
            symbol: instrument().symbol,
            bid: mid.moved_by(-half).unwrap(),
            bid_quantity: "1".parse().unwrap(),
            ask: mid.moved_by(half).unwrap(),
            ask_quantity: "1".parse().unwrap(),
            time: self.now,
        }));
    }

    /// A minute passes and ends at `close`.
    fn minute(&mut self, close: &str) {
        let open_time = self.now;
        self.now = self.now + Millis::from_secs(60);
        self.quote(close);
        let price: Price = close.parse().unwrap();
        let candle = Candle {
            symbol: instrument().symbol,
            interval: Interval::M1,
            open_time,
            open: price,
            high: price.moved_by("0.001".parse().unwrap()).unwrap(),
            low: price.moved_by("-0.001".parse().unwrap()).unwrap(),
            close: price,
            volume: "1".parse().unwrap(),
        };
        self.market(MarketEvent::Candle(candle));
    }

    fn breakout(&mut self) {
        for close in ["100", "100.1", "100", "100.1", "105"] {
            self.minute(close);
        }
    }

    fn beat(&mut self, seconds: i64) {
        self.now = self.now + Millis::from_secs(seconds);
        self.system.beat(self.now, &mut self.exchange);
    }

    fn held(&self) -> Quantity {
        self.system.global_risk().ledger().held(&instrument().symbol)
    }

    fn states(&self) -> Vec<OrderState> {
        let ledger = self.system.global_risk().ledger();
        self.exchange.sent.iter().map(|spec| ledger.order(&spec.client_order_id).unwrap().state()).collect()
    }
}

#[test]
fn r4_nothing_is_sent_before_the_recovery_is_over() {
    let mut world = World::new(Answer::Fill);
    world.exchange.snapshot_fails = true;
    let mut world = world.start();
    world.breakout();
    assert_eq!(world.exchange.sent, []);
    // A snapshot that fails is not read as "nothing is there": the gate stays closed until one succeeds.
    world.beat(1);
    assert_eq!(world.system.latch().permission(), Permission::Nothing);
    world.exchange.snapshot_fails = false;
    world.beat(1);
    assert_eq!(world.system.latch().permission(), Permission::All);
    world.now = Timestamp::from_millis(START + 300_000);
    world.minute("112");
    assert_eq!(world.exchange.sent.len(), 1);
}

#[test]
fn an_entry_brings_its_guard_and_the_guard_exits_once() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    assert_eq!(world.states(), [OrderState::Filled]);
    let symbol = instrument().symbol;
    let protection = world.system.executor().protection(&setup().instances[0].id, &symbol).unwrap();
    assert!(protection.stop < "105".parse().unwrap());
    world.exchange.answer = Answer::Silence;
    world.quote("90");
    world.quote("89");
    world.quote("88");
    let sent = &world.exchange.sent;
    assert_eq!(sent.len(), 2, "one exit, however often the price says so");
    assert_eq!((sent[1].side, sent[1].reason, sent[1].quantity), (Side::Sell, ReasonCode::ExitStopLoss, world.held()));
}

#[test]
fn the_cause_of_an_order_is_found_in_everything_that_follows_from_it() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    world.quote("90");
    let of = |sequence: usize| {
        let id = world.exchange.sent[sequence].client_order_id.clone();
        world.system.global_risk().ledger().order(&id).unwrap().correlation_id
    };
    for cause in [of(0), of(1)] {
        assert_ne!(cause, domain::CorrelationId::default());
        let rows = world.exchange.journal.iter().filter(|entry| entry.correlation_id == cause);
        let kinds: std::collections::BTreeSet<&str> = rows.map(|entry| entry.record.kind()).collect();
        assert!(kinds.is_superset(&["order_intended", "order_changed", "fill_booked"].into()), "{cause}: {kinds:?}");
    }
    assert_ne!(of(0), of(1));
}

#[test]
fn c1_i1_an_order_of_unknown_fate_is_asked_for_and_never_sent_again() {
    let mut world = World::new(Answer::UnknownThenFilled).start();
    world.breakout();
    assert_eq!((world.exchange.sent.len(), world.exchange.queries), (1, 1));
    // The query said that it filled; the trade itself comes with the reconciliation or the stream.
    assert_eq!(world.states(), [OrderState::Filled]);
    world.minute("110");
    assert_eq!(world.exchange.sent.len(), 1, "no second entry");

    let mut world = World::new(Answer::UnknownAndLost).start();
    world.breakout();
    assert_eq!(world.states(), [OrderState::Unknown]);
    for _ in 0..4 {
        world.beat(5);
    }
    assert_eq!(world.states(), [OrderState::Ended(OrderEnd::NeverArrived)]);
    assert_eq!(world.exchange.sent.len(), 1, "never sent again");
    assert!(world.exchange.queries >= 3);
}

#[test]
fn i2_fills_told_twice_and_in_any_order_are_booked_once() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    let (held, fill) = (world.held(), world.exchange.fills[0].clone());
    for _ in 0..3 {
        world.deliver(Envelope::Executor(ExecutorMessage::Execution(Box::new(ExecutionEvent::Fill(fill.clone())))));
    }
    assert_eq!(world.held(), held);
    let booked = |entry: &&JournalEntry| matches!(entry.record, Record::FillBooked { .. });
    assert_eq!(world.exchange.journal.iter().filter(booked).count(), 1);
}

#[test]
fn r2_trades_missed_while_away_are_booked_to_their_instance() {
    let mut world = World::new(Answer::Silence).start();
    world.breakout();
    // The exchange fills it while nobody listens; then the process dies.
    let spec = world.exchange.sent[0].clone();
    world.exchange.fill(&spec, world.now);
    let state = BookState { ledger: world.system.global_risk().ledger().state(), ..BookState::default() };
    let again = World::continued(Answer::Fill, state, world.exchange.fills.clone()).start();
    assert_eq!(again.held(), spec.quantity);
    assert_eq!(again.system.latch().permission(), Permission::All);
    let alerts =
        again.exchange.journal.iter().filter(
            |entry| matches!(&entry.record, Record::AlertRaised(alert) if alert.reason == ReasonCode::MissedFills),
        );
    assert_eq!(alerts.count(), 1);
}

#[test]
fn r2_a_difference_that_nothing_explains_keeps_the_gate_closed() {
    let mut stray = World::new(Answer::Fill).start();
    stray.breakout();
    let mut fill = stray.exchange.fills[0].clone();
    fill.client_order_id = "web_17".parse().unwrap();
    let world = World::continued(Answer::Fill, BookState::default(), vec![fill]).start();
    assert_eq!(world.system.latch().permission(), Permission::Nothing);
}

#[test]
fn a_refused_order_frees_the_instance_for_the_next() {
    let mut world = World::new(Answer::Refuse).start();
    world.breakout();
    assert_eq!(world.states(), [OrderState::Ended(OrderEnd::Rejected)]);
    world.exchange.answer = Answer::Fill;
    world.minute("112");
    assert_eq!(world.exchange.sent.len(), 2);
    assert!(world.held().is_positive());
}

#[test]
fn stopping_refuses_entries_and_lets_exits_go() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    world.deliver(Envelope::GlobalRisk(GlobalRiskMessage::Command(Command::StopEntries)));
    world.quote("50");
    assert_eq!(world.exchange.sent.last().unwrap().side, Side::Sell);
    let sent = world.exchange.sent.len();
    for close in ["60", "61", "70", "80"] {
        world.minute(close);
    }
    assert_eq!(world.exchange.sent.len(), sent);
}

#[test]
fn stopping_withdraws_entries_that_are_at_work() {
    let mut world = World::new(Answer::Silence).start();
    world.breakout();
    assert_eq!(world.states(), [OrderState::InFlight]);
    world.deliver(Envelope::GlobalRisk(GlobalRiskMessage::Command(Command::StopEntries)));
    assert_eq!(world.exchange.canceled, [world.exchange.sent[0].client_order_id.clone()]);
    // Until the exchange has said so, the order counts as alive.
    assert_eq!(world.states(), [OrderState::InFlight]);
}

#[test]
fn h1_the_cycle_travels_the_whole_loop() {
    let mut world = World::new(Answer::Fill).start();
    world.beat(1);
    world.beat(1);
    assert_eq!(world.system.health_monitor.heartbeat_age_ms(), Some(0));
}

#[test]
fn bad_market_data_causes_no_order_and_is_journaled_once_for_each_kind() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    let sent = world.exchange.sent.len();
    let good = Quote {
        symbol: instrument().symbol,
        bid: "99".parse().unwrap(),
        bid_quantity: Quantity::ZERO,
        ask: "101".parse().unwrap(),
        ask_quantity: Quantity::ZERO,
        time: world.now,
    };
    for _ in 0..5 {
        world.market(MarketEvent::Quote(Quote { ask: "98".parse().unwrap(), ..good.clone() }));
        world.market(MarketEvent::Quote(Quote { symbol: "NOPEUSDT".parse().unwrap(), ..good.clone() }));
        world.market(MarketEvent::Quote(Quote { time: world.now - Millis::from_secs(9), ..good.clone() }));
    }
    for _ in 0..2 {
        let (bid, ask) = ("0.01".parse().unwrap(), "0.02".parse().unwrap());
        world.market(MarketEvent::Quote(Quote { bid, ask, ..good.clone() }));
    }
    assert_eq!(world.exchange.sent.len(), sent, "a misprint far below the stop sells nothing");
    let rejected = |entry: &&JournalEntry| matches!(entry.record, Record::InputRejected { .. });
    assert_eq!(world.exchange.journal.iter().filter(rejected).count(), 4);
    assert_eq!(world.system.market_data().rejected().values().sum::<u64>(), 17);
}

#[test]
fn a_candle_that_comes_too_late_moves_indicators_and_is_counted() {
    let mut world = World::new(Answer::Fill).start();
    for close in ["100", "100.1", "100", "100.1"] {
        world.minute(close);
    }
    // The feed stalls for a minute, and then tells the breakout.
    let open_time = world.now;
    world.now = world.now + Millis::from_secs(120);
    let price: Price = "105".parse().unwrap();
    let symbol = instrument().symbol;
    let (open, high, low, close) = (price, price, price, price);
    let volume = Quantity::ZERO;
    world.market(MarketEvent::Candle(Candle {
        symbol,
        interval: Interval::M1,
        open_time,
        open,
        high,
        low,
        close,
        volume,
    }));
    assert_eq!(world.exchange.sent, []);
    assert_eq!(world.system.market_data().rejected()[&domain::MarketInputError::Late], 1);
}

mod garbage {
    //! Whatever the feed says: no panic, no order on what cannot be true, and a book that adds up.

    use domain::{Decimal, Trade};
    use proptest::prelude::*;

    use super::*;

    fn price() -> impl Strategy<Value = Price> {
        prop_oneof![
            4 => (9_000i64..11_000).prop_map(|cents| Price::new(Decimal::new(cents, 2)).unwrap()),
            1 => (1i64..i64::MAX, 0u32..18).prop_filter_map("a price", |(m, scale)| Price::new(Decimal::new(m, scale)).ok()),
        ]
    }

    fn quantity() -> impl Strategy<Value = Quantity> {
        (-10i64..1_000_000).prop_map(|units| Quantity::new(Decimal::new(units, 3)).unwrap())
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        prop_oneof![
            8 => (-5i64..600).prop_map(|seconds| Timestamp::from_millis(START + seconds * 1000)),
            1 => any::<i32>().prop_map(|millis| Timestamp::from_millis(i64::from(millis))),
            1 => Just(Timestamp::from_millis(i64::MAX / 2)),
        ]
    }

    fn symbol() -> impl Strategy<Value = Symbol> {
        prop_oneof![9 => Just("BTCUSDT".parse().unwrap()), 1 => Just("NOPEUSDT".parse().unwrap())]
    }

    fn event() -> impl Strategy<Value = MarketEvent> {
        prop_oneof![
            (symbol(), any::<u8>(), price(), quantity(), time()).prop_map(|(symbol, id, price, quantity, time)| {
                MarketEvent::Trade(Trade { symbol, id: id.into(), price, quantity, buyer_is_maker: false, time })
            }),
            (symbol(), price(), price(), quantity(), time()).prop_map(|(symbol, bid, ask, quantity, time)| {
                MarketEvent::Quote(Quote { symbol, bid, bid_quantity: quantity, ask, ask_quantity: quantity, time })
            }),
            (symbol(), 0i64..40, [price(), price(), price(), price()], quantity(), time(), any::<bool>()).prop_map(
                |(symbol, minute, [open, high, low, close], volume, time, on_grid)| {
                    let open_time = if on_grid { Timestamp::from_millis(START + minute * 60_000) } else { time };
                    let (high, low) =
                        if on_grid { (open.max(close).max(high), open.min(close).min(low)) } else { (high, low) };
                    MarketEvent::Candle(Candle {
                        symbol,
                        interval: Interval::M1,
                        open_time,
                        open,
                        high,
                        low,
                        close,
                        volume,
                    })
                }
            ),
        ]
    }

    proptest! {
        #[test]
        fn no_feed_makes_it_panic_or_trade_on_what_cannot_be_true(events in prop::collection::vec(event(), 1..300)) {
            let mut world = World::new(Answer::Fill).start();
            world.breakout();
            for event in events {
                let sane = |time: Timestamp| time.as_millis() < START + 86_400_000 && time.as_millis() > START - 10_000;
                if sane(event.time()) {
                    world.now = world.now.max(event.time());
                }
                let true_one = match &event {
                    MarketEvent::Trade(trade) => trade.check().is_ok(),
                    MarketEvent::Quote(quote) => quote.check().is_ok(),
                    MarketEvent::Candle(candle) => candle.check().is_ok(),
                } && event.symbol() == &instrument().symbol;
                let sent = world.exchange.sent.len();
                world.market(event);
                prop_assert!(true_one || world.exchange.sent.len() == sent, "an order on what cannot be true");
            }
            let ledger = world.system.global_risk().ledger();
            for book in ledger.instances() {
                let held: domain::Notional =
                    book.positions().map(|position| position.value(ledger.mark(position.symbol()).unwrap().0)).sum();
                prop_assert_eq!(book.equity(), book.cash + held);
                prop_assert!(!ledger.held(&instrument().symbol).is_negative());
            }
        }
    }
}

fn exchange(event: crate::ExchangeEvent) -> Envelope {
    Envelope::GlobalRisk(GlobalRiskMessage::Exchange(event))
}

#[test]
fn an_entry_waits_until_what_the_account_did_unseen_is_booked() {
    let mut world = World::new(Answer::Fill).start();
    world.deliver(exchange(crate::ExchangeEvent::AccountStreamAwaited));
    assert_eq!(world.system.latch().permission(), Permission::Exits);
    world.breakout();
    assert_eq!(world.exchange.sent, [], "the account's events are not told yet");
    world.exchange.snapshot_fails = true;
    world.deliver(exchange(crate::ExchangeEvent::AccountStreamSubscribed));
    assert_eq!(world.system.latch().permission(), Permission::Exits, "nobody could say what happened meanwhile");
    world.exchange.snapshot_fails = false;
    world.beat(1);
    assert_eq!(world.system.latch().permission(), Permission::All);
    assert!(!alerted(&world, ReasonCode::AccountStreamRestored), "a start is no outage");

    world.deliver(exchange(crate::ExchangeEvent::AccountStreamLost("reset".into())));
    assert!(alerted(&world, ReasonCode::AccountStreamLost));
    assert_eq!(world.system.latch().permission(), Permission::Exits);
    // It breaks again while the gap is being closed: the first answer ends nothing.
    world.deliver(exchange(crate::ExchangeEvent::AccountStreamSubscribed));
    assert_eq!(world.system.latch().permission(), Permission::All);
    assert!(alerted(&world, ReasonCode::AccountStreamRestored));
}

#[test]
fn e3_an_unreachable_exchange_permits_exits_until_it_is_reconciled() {
    let mut world = World::new(Answer::Fill).start();
    world.breakout();
    assert_eq!(world.states(), [OrderState::Filled]);
    world.deliver(exchange(crate::ExchangeEvent::Unreachable("503".into())));
    world.deliver(exchange(crate::ExchangeEvent::Unreachable("503".into())));
    let told = world.exchange.journal.iter().filter(|entry| is_alert(entry, ReasonCode::ExchangeUnreachable)).count();
    assert_eq!((world.system.latch().permission(), told), (Permission::Exits, 1));
    world.quote("80");
    assert_eq!(world.held(), Quantity::ZERO, "what is held is still guarded");
    world.deliver(exchange(crate::ExchangeEvent::Reachable));
    assert_eq!(world.system.latch().permission(), Permission::All);
    assert!(alerted(&world, ReasonCode::ExchangeReachable));
}

#[test]
fn a_transfer_belongs_to_what_is_held_beside_the_books() {
    let mut world = World::new(Answer::Fill).start();
    let (asset, delta, time) = (instrument().base, "0.5".parse().unwrap(), world.now);
    let transfer = crate::ExchangeEvent::Transfer { asset, delta, time };
    world.deliver(exchange(transfer.clone()));
    world.deliver(exchange(transfer));
    let outside = world.exchange.journal.iter().find_map(|entry| match &entry.record {
        Record::OutsideChanged { quantity, .. } => Some(quantity.to_string()),
        _ => None,
    });
    assert_eq!(outside.as_deref(), Some("0.5"));
    // The exchange of this test holds none of it, so that the next comparison finds it missing: told when it stays.
    world.deliver(exchange(crate::ExchangeEvent::AccountStreamLost("reset".into())));
    world.deliver(exchange(crate::ExchangeEvent::AccountStreamSubscribed));
    assert!(!alerted(&world, ReasonCode::ReconciliationDrift), "one answer alone may be in the middle of a trade");
    world.beat(1);
    assert!(alerted(&world, ReasonCode::ReconciliationDrift));
    assert_eq!(world.system.latch().permission(), Permission::Exits);
}

fn is_alert(entry: &JournalEntry, reason: ReasonCode) -> bool {
    matches!(&entry.record, Record::AlertRaised(alert) if alert.reason == reason)
}

fn alerted(world: &World, reason: ReasonCode) -> bool {
    world.exchange.journal.iter().any(|entry| is_alert(entry, reason))
}

#[test]
fn an_outage_that_begins_again_is_not_ended_by_the_answer_to_the_one_before() {
    use crate::ExchangeEvent::{AccountStreamLost, AccountStreamSubscribed};
    let mut world = World::new(Answer::Fill).start();
    let mut effects = Effects::new();
    let event = |event| GlobalRiskMessage::Exchange(event);
    let now = world.now;
    // Lost and back: question 1 is asked. Lost again before its answer is there.
    for one in [AccountStreamLost("a".into()), AccountStreamSubscribed, AccountStreamLost("b".into())] {
        world.system.global_risk.handle(now, event(one), &mut effects);
    }
    world.system.global_risk.handle(now, GlobalRiskMessage::GapClosed(1), &mut effects);
    assert_eq!(world.system.latch().permission(), Permission::Exits);
    // Back: question 2. The late answer to question 1 ends nothing, and a loosening that waits for its commit is void
    // once the outage has begun again.
    world.system.global_risk.handle(now, event(AccountStreamSubscribed), &mut effects);
    world.system.global_risk.handle(now, GlobalRiskMessage::GapClosed(1), &mut effects);
    effects.drain();
    world.system.global_risk.handle(now, GlobalRiskMessage::GapClosed(2), &mut effects);
    let loosened: Vec<_> = effects
        .drain()
        .filter_map(|effect| match effect {
            Effect::Send(Envelope::GlobalRisk(loosened @ GlobalRiskMessage::Loosened { .. })) => Some(loosened),
            _ => None,
        })
        .collect();
    assert_eq!(loosened.len(), 1);
    world.system.global_risk.handle(now, event(AccountStreamLost("c".into())), &mut effects);
    world.system.global_risk.handle(now, event(AccountStreamSubscribed), &mut effects);
    world.system.global_risk.handle(now, GlobalRiskMessage::GapClosed(3), &mut effects);
    // The commit of the first loosening comes while the second one still waits for its own: it must not lift for it.
    for late in loosened {
        world.system.global_risk.handle(now, late, &mut effects);
    }
    assert_eq!(world.system.latch().permission(), Permission::Exits);
}

#[test]
fn a_symbol_that_the_exchange_no_longer_has_does_not_trade() {
    let mut world = World::new(Answer::Fill).start();
    world.deliver(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(Vec::new()))));
    world.breakout();
    assert_eq!(world.exchange.sent, []);
    let refused: Vec<_> = world.system.global_risk().refusals().keys().map(|(.., reason)| *reason).collect();
    assert_eq!(refused, [ReasonCode::SymbolNotTrading]);
}
