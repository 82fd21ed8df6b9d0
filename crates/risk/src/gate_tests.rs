//! Cases of the gate: every refusal by its code, and what passes at the edge.

use domain::{Asset, CorrelationId, ExitKind, Fill, Millis, OwnOrderId, Permission, ReasonCode, Scope, TradeId};
use domain::{BootNumber, ExchangeOrderId};
use ledger::{InstanceSetup, LedgerState};
use proptest::prelude::*;

use super::*;
use crate::{ProtectIntent, Protection, ProtectionStyle, Release, Restriction};

const NOW: Timestamp = Timestamp::from_millis(1_622_500_000_000);

struct World {
    ledger: Ledger,
    restrictions: Restrictions,
    instruments: BTreeMap<Symbol, Instrument>,
    latch: SafetyLatch,
    gate: Gate,
    journal_available: bool,
    next: u64,
}

fn instrument() -> Instrument {
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

impl World {
    fn new() -> Self {
        let setup = InstanceSetup {
            id: "a".parse().unwrap(),
            family: "trend".parse().unwrap(),
            capital: "10000".parse().unwrap(),
        };
        let mut ledger = Ledger::new(Asset::new("USDT").unwrap(), &[setup], LedgerState::default());
        ledger.marked(&instrument().symbol, "50000".parse().unwrap(), NOW, &mut Vec::new());
        Self {
            ledger,
            restrictions: Restrictions::default(),
            instruments: BTreeMap::from([(instrument().symbol, instrument())]),
            latch: SafetyLatch::new(Permission::All),
            gate: Gate::new(Limits::default()),
            journal_available: true,
            next: 0,
        }
    }

    fn approve_at(&mut self, intent: &OrderIntent, now: Timestamp) -> Result<ApprovedOrder, Refusal> {
        self.next += 1;
        let own = OwnOrderId { instance: "a".parse().unwrap(), boot: BootNumber(1), sequence: self.next };
        let view = GateView {
            ledger: &self.ledger,
            restrictions: &self.restrictions,
            instruments: &self.instruments,
            latch: &self.latch,
            journal_available: self.journal_available,
        };
        let approved = self.gate.approve(intent, own.to_client_order_id().unwrap(), view, now)?;
        self.ledger.intend(approved.spec().clone(), approved.correlation_id(), now);
        Ok(approved)
    }

    fn approve(&mut self, intent: &OrderIntent) -> Result<ApprovedOrder, Refusal> {
        self.approve_at(intent, NOW)
    }

    fn reason(&mut self, intent: &OrderIntent) -> ReasonCode {
        self.approve(intent).expect_err("refused").reason
    }

    fn fill(&mut self, spec: &OrderSpec, quantity: &str) {
        self.next += 1;
        let fill = Fill {
            trade_id: TradeId(self.next),
            client_order_id: spec.client_order_id.clone(),
            exchange_order_id: ExchangeOrderId(1),
            symbol: spec.symbol.clone(),
            side: spec.side,
            price: spec.price.unwrap_or("50000".parse().unwrap()),
            quantity: quantity.parse().unwrap(),
            commission: Quantity::ZERO,
            commission_asset: "USDT".parse().unwrap(),
            is_maker: false,
            time: NOW,
        };
        self.ledger.book_fill(&fill, &instrument(), None).unwrap();
    }

    fn long(&mut self, quantity: &str) -> OrderSpec {
        let spec = self.approve(&entry(quantity, None)).unwrap().spec().clone();
        self.fill(&spec, quantity);
        spec
    }

    fn exit(&self, quantity: Option<&str>, kind: ExitKind) -> OrderIntent {
        let book = self.ledger.instance(&"a".parse().unwrap()).unwrap();
        let position = book.position(&instrument().symbol).unwrap();
        let quantity = quantity.map(|text| text.parse().unwrap());
        let reason = ReasonCode::ExitSignal;
        OrderIntent::Exit(ExitIntent::from_position(position, quantity, kind, reason, CorrelationId(1)).unwrap())
    }

    fn restrict(&mut self, scope: Scope, permission: Permission) {
        let release = Release::OperatorOnly;
        self.restrictions.raise(Restriction { scope, permission, reason: ReasonCode::SafeMode, since: NOW, release });
    }
}

fn protection(stop: &str, target: &str) -> Protection {
    let (stop, take_profit) = (stop.parse().unwrap(), Some(target.parse().unwrap()));
    Protection { stop, take_profit, style: ProtectionStyle::Local }
}

fn entry(quantity: &str, limit: Option<&str>) -> OrderIntent {
    OrderIntent::Entry(EntryIntent {
        instance: "a".parse().unwrap(),
        symbol: "BTCUSDT".parse().unwrap(),
        side: Side::Buy,
        quantity: quantity.parse().unwrap(),
        limit: limit.map(|price| price.parse().unwrap()),
        protection: protection("45000", "60000"),
        reason: ReasonCode::EntrySignal,
        correlation_id: CorrelationId(1),
    })
}

#[test]
fn o5_every_limit_refuses_with_its_reason() {
    let cases: &[(&str, Option<&str>, Result<(), ReasonCode>)] = &[
        ("0.1", None, Ok(())),
        ("0.19047", None, Ok(())), // 0.19047 x 52500 is just below 10,000
        ("0.19048", None, Err(ReasonCode::NotionalAboveLimit)),
        ("0.2", Some("50000"), Ok(())), // exactly at the limit
        ("0.20001", Some("50000"), Err(ReasonCode::NotionalAboveLimit)),
        ("0.1", Some("52500"), Ok(())), // exactly at the collar
        ("0.1", Some("52500.01"), Err(ReasonCode::PriceCollar)),
        ("0.1", Some("47499.99"), Err(ReasonCode::PriceCollar)),
        ("0.1", Some("50000.001"), Err(ReasonCode::OffStep)),
        ("0.100001", None, Err(ReasonCode::OffStep)),
        ("0", None, Err(ReasonCode::QuantityBelowMinimum)),
        ("-0.1", None, Err(ReasonCode::QuantityBelowMinimum)),
        ("0.00009", None, Err(ReasonCode::NotionalBelowMinimum)),
        ("9001", None, Err(ReasonCode::QuantityAboveLimit)),
    ];
    for (quantity, limit, expected) in cases {
        let outcome = World::new().approve(&entry(quantity, *limit)).map(|_| ()).map_err(|refusal| refusal.reason);
        assert_eq!(outcome, *expected, "{quantity} at {limit:?}");
    }
}

#[test]
fn o5_position_exposure_capital_and_rate_are_limited() {
    let mut world = World::new();
    world.gate.limits.position_notional_max = "5000".parse().unwrap();
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::PositionAboveLimit);
    let mut world = World::new();
    world.gate.limits.exposure_notional_max = "5000".parse().unwrap();
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::ExposureAboveLimit);
    let mut world = World::new();
    world.long("0.15");
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::CapitalInsufficient);
    let mut world = World::new();
    world.gate.limits.order_rate_max = 1;
    world.long("0.001");
    assert_eq!(world.reason(&entry("0.001", None)), ReasonCode::OrderRateAboveLimit);
    let later = NOW + Millis::from_secs(60);
    assert!(world.approve_at(&entry("0.001", None), later).is_ok());
}

#[test]
fn o5_a_second_entry_is_refused_while_one_works_or_is_unknown() {
    let mut world = World::new();
    let first = world.approve(&entry("0.01", None)).unwrap().spec().clone();
    assert_eq!(world.reason(&entry("0.01", None)), ReasonCode::DuplicateEntry);
    world.ledger.outcome_unknown(&first.client_order_id, NOW);
    assert_eq!(world.reason(&entry("0.01", None)), ReasonCode::OrderUnknown);
}

#[test]
fn what_is_not_known_counts_against_an_entry() {
    let mut world = World::new();
    world.instruments.clear();
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::InstrumentUnknown);
    let mut world = World::new();
    let stale = NOW + Millis::from_secs(121);
    assert_eq!(world.approve_at(&entry("0.1", None), stale).unwrap_err().reason, ReasonCode::MarkStale);
    let mut world = World::new();
    world.instruments.get_mut(&instrument().symbol).unwrap().status = SymbolStatus::Other("NEW_WORD".into());
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::SymbolNotTrading);
    let mut world = World::new();
    world.journal_available = false;
    assert_eq!(world.reason(&entry("0.1", None)), ReasonCode::JournalUnavailable);
}

#[test]
fn an_entry_whose_stop_does_not_guard_it_is_refused() {
    let OrderIntent::Entry(mut intent) = entry("0.1", None) else { unreachable!() };
    intent.protection.stop = "50000".parse().unwrap();
    assert_eq!(World::new().reason(&OrderIntent::Entry(intent.clone())), ReasonCode::ProtectionInvalid);
    intent.protection = protection("49000", "49999");
    assert_eq!(World::new().reason(&OrderIntent::Entry(intent)), ReasonCode::ProtectionInvalid);
}

#[test]
fn s2_permissions_are_the_minimum_over_all_scopes() {
    let scopes = [
        Scope::Global,
        Scope::Exchange,
        Scope::Family("trend".parse().unwrap()),
        Scope::Instance("a".parse().unwrap()),
        Scope::Symbol("BTCUSDT".parse().unwrap()),
    ];
    for scope in scopes {
        for permission in [Permission::Exits, Permission::GuardedExits, Permission::Nothing] {
            let mut world = World::new();
            world.long("0.01");
            world.restrict(scope.clone(), permission);
            assert_eq!(world.reason(&entry("0.01", None)), ReasonCode::NotPermitted, "{scope} {permission}");
            let (signal, protective) =
                (world.exit(Some("0.005"), ExitKind::Signal), world.exit(None, ExitKind::Protective));
            assert_eq!(world.approve(&signal).is_ok(), permission == Permission::Exits, "{scope} {permission}");
            assert_eq!(world.approve(&protective).is_ok(), permission != Permission::Nothing, "{scope} {permission}");
        }
    }
}

#[test]
fn an_exit_is_clamped_to_what_is_held_net_of_exits_at_work() {
    let mut world = World::new();
    world.long("0.01");
    let exit = world.exit(Some("5"), ExitKind::Signal);
    let first = world.approve(&world.exit(Some("0.004"), ExitKind::Signal)).unwrap().spec().clone();
    assert_eq!(first.quantity, "0.004".parse().unwrap());
    let second = world.approve(&exit).unwrap().spec().clone();
    assert_eq!((second.quantity, second.side), ("0.006".parse().unwrap(), Side::Sell));
    assert_eq!(world.reason(&exit), ReasonCode::NothingToExit);
    // An exit of unknown fate keeps the quantity it may have used; it does not free it for another one.
    world.ledger.outcome_unknown(&second.client_order_id, NOW);
    assert_eq!(world.reason(&exit), ReasonCode::NothingToExit);
}

#[test]
fn i4_an_approval_dies_with_a_tightening_an_expiry_or_another_executor() {
    let world = || {
        let mut world = World::new();
        let approved = world.approve(&entry("0.01", None)).unwrap();
        (world.latch.clone(), approved)
    };
    let (latch, approved) = world();
    assert!(approved.release(&latch, NOW + Millis::from_secs(5)).is_ok());
    let (latch, approved) = world();
    let late = approved.release(&latch, NOW + Millis::new(5001)).unwrap_err();
    assert_eq!(late.reason, ReasonCode::ApprovalExpired);
    let (latch, approved) = world();
    latch.tighten(Permission::Exits);
    assert_eq!(approved.release(&latch, NOW).unwrap_err().reason, ReasonCode::ApprovalStale);
    let (latch, approved) = world();
    latch.begin_executor_generation(Permission::All);
    assert_eq!(approved.release(&latch, NOW).unwrap_err().reason, ReasonCode::ApprovalStale);
}

#[test]
fn i4_a_released_order_may_leave_again_only_while_nothing_was_tightened_and_its_time_is_not_up() {
    let released = || {
        let mut world = World::new();
        let latch = world.latch.clone();
        (latch.clone(), world.approve(&entry("0.01", None)).unwrap().release(&latch, NOW).unwrap())
    };
    let (latch, order) = released();
    assert_eq!(order.still_permitted(&latch, NOW + Millis::from_secs(5)), Ok(()));
    assert_eq!(order.still_permitted(&latch, NOW + Millis::new(5001)), Err(ReasonCode::ApprovalExpired));
    latch.void_approvals();
    assert_eq!(order.still_permitted(&latch, NOW), Err(ReasonCode::ApprovalStale));
    let (latch, order) = released();
    latch.begin_executor_generation(Permission::All);
    assert_eq!(order.still_permitted(&latch, NOW), Err(ReasonCode::ApprovalStale));
    let (latch, order) = released();
    // A loosening to less than the order needs does not bump the epoch.
    latch.loosen_after_commit(Permission::Exits, latch.executor_generation());
    assert_eq!(order.still_permitted(&latch, NOW), Err(ReasonCode::NotPermitted));
}

proptest! {
    /// Whatever is asked for, with whatever is restricted: what comes out of the gate is within every limit.
    #[test]
    fn nothing_that_passes_breaks_a_limit(
        orders in prop::collection::vec((1i64..50_000, prop::option::of(4_000_000i64..6_000_000), any::<bool>()), 1..20),
        permission in prop::sample::select(vec![Permission::All, Permission::Exits, Permission::Nothing]),
    ) {
        let mut world = World::new();
        world.restrict(Scope::Global, permission);
        for (steps, limit, fills) in orders {
            let quantity = domain::Decimal::new(steps, 5).to_string();
            let limit = limit.map(|cents| domain::Decimal::new(cents, 2).to_string());
            let Ok(approved) = world.approve(&entry(&quantity, limit.as_deref())) else { continue };
            prop_assert_eq!(permission, Permission::All);
            let spec = approved.spec().clone();
            let price = spec.price.unwrap_or("52500".parse().unwrap());
            prop_assert!(price.times(spec.quantity) <= world.gate.limits().order_notional_max);
            if fills {
                world.fill(&spec, &quantity);
            }
            let book = world.ledger.instance(&spec.instance).unwrap();
            prop_assert!(!book.cash.is_negative());
            prop_assert!(world.ledger.exposure() <= world.gate.limits().exposure_notional_max);
        }
    }
}

fn with_stops(orders: &[OrderType], algo_orders_max: u32, oco_allowed: bool) -> World {
    let mut world = World::new();
    let instrument = world.instruments.values_mut().next().unwrap();
    instrument.order_types.extend_from_slice(orders);
    (instrument.filters.algo_orders_max, instrument.filters.oco_allowed) = (algo_orders_max, oco_allowed);
    world
}

impl World {
    fn protect(&mut self, quantity: &str, protection: Protection) -> Result<ApprovedOrder, Refusal> {
        let id = |sequence| {
            let own = OwnOrderId { instance: "a".parse().unwrap(), boot: BootNumber(1), sequence };
            own.to_client_order_id().unwrap()
        };
        self.next += 2;
        let ids = [id(self.next - 1), id(self.next)];
        let book = self.ledger.instance(&"a".parse().unwrap()).unwrap();
        let position = book.position(&instrument().symbol).unwrap();
        let quantity = quantity.parse().unwrap();
        let intent = ProtectIntent::from_position(position, quantity, protection, CorrelationId(1)).unwrap();
        let view = GateView {
            ledger: &self.ledger,
            restrictions: &self.restrictions,
            instruments: &self.instruments,
            latch: &self.latch,
            journal_available: self.journal_available,
        };
        let approved = self.gate.approve_protection(&intent, ids, view, NOW)?;
        for spec in [Some(approved.spec()), approved.oco_leg()].into_iter().flatten() {
            self.ledger.intend(spec.clone(), CorrelationId(1), NOW);
        }
        Ok(approved)
    }
}

#[test]
fn the_protection_of_a_position_is_a_list_that_reserves_it_once() {
    let mut world = with_stops(&[OrderType::StopLoss, OrderType::LimitMaker], 5, true);
    world.long("0.1");
    let approved = world.protect("0.1", protection("45000", "60000")).unwrap();
    let (stop, target) = (approved.spec(), approved.oco_leg().unwrap());
    assert_eq!((stop.order_type, stop.stop_price, stop.price), (OrderType::StopLoss, "45000".parse().ok(), None));
    assert_eq!((target.order_type, target.price), (OrderType::LimitMaker, "60000".parse().ok()));
    assert_eq!((stop.oco.as_ref(), target.oco.as_ref()), (Some(&target.client_order_id), Some(&stop.client_order_id)));
    assert_eq!((stop.quantity, target.quantity), ("0.1".parse().unwrap(), "0.1".parse().unwrap()));
    let (a, symbol) = ("a".parse().unwrap(), instrument().symbol);
    assert_eq!(world.ledger.reserved_by_exits(&a, &symbol), "0.1".parse().unwrap());
    // Everything is reserved: neither a second list nor a plain exit passes, until the first is given up.
    let again = world.protect("0.1", protection("45000", "60000")).unwrap_err();
    assert_eq!(again.reason, ReasonCode::QuantityBelowMinimum);
    let exit = world.exit(None, ExitKind::Signal);
    assert_eq!(world.approve(&exit).unwrap_err().reason, ReasonCode::NothingToExit);
}

#[test]
fn what_the_symbol_does_not_take_is_replaced_or_refused() {
    let mut world = with_stops(&[OrderType::StopLossLimit], 5, false);
    world.long("0.1");
    let approved = world.protect("0.1", protection("45000", "60000")).unwrap();
    let stop = approved.spec();
    assert_eq!((stop.order_type, stop.price), (OrderType::StopLossLimit, "44550".parse().ok()));
    assert!(approved.oco_leg().is_none(), "the target is watched by the Executor");

    let mut world = with_stops(&[], 5, true);
    world.long("0.1");
    let refusal = world.protect("0.1", protection("45000", "60000")).unwrap_err();
    assert_eq!(refusal.reason, ReasonCode::OrderTypeUnsupported);
}

#[test]
fn without_a_slot_for_its_stop_no_entry_passes() {
    let resting = |quantity: &str| {
        let OrderIntent::Entry(mut intent) = entry(quantity, None) else { unreachable!() };
        intent.protection.style = ProtectionStyle::Resting;
        OrderIntent::Entry(intent)
    };
    let mut world = with_stops(&[OrderType::StopLoss], 1, false);
    let spec = world.approve(&resting("0.05")).unwrap().spec().clone();
    world.fill(&spec, "0.05");
    world.protect("0.05", protection("45000", "60000")).unwrap();
    assert_eq!(world.approve(&resting("0.05")).unwrap_err().reason, ReasonCode::NoProtectionSlot);
    assert!(world.approve(&entry("0.05", None)).is_ok(), "what is watched locally needs no slot");
    // 0.00011 BTC are worth 5.5 at the entry and 4.95 at the stop: the exchange would not take the stop.
    let mut world = with_stops(&[OrderType::StopLoss], 5, false);
    assert_eq!(world.approve(&resting("0.00011")).unwrap_err().reason, ReasonCode::ProtectionInvalid);
    assert!(world.approve(&entry("0.00011", None)).is_ok());
}
