//! The property that matters: whatever is asked, money is neither made nor lost, and nothing fills beyond its quantity.

use std::collections::BTreeMap;

use domain::{ClientOrderId, Decimal, ExchangeOrderId, Notional, OrderType, Price, Quantity, Ratio, Side, TimeInForce};
use proptest::prelude::*;

use super::tests::{asset, at, instrument, order, q, symbol, trade};
use super::*;

#[derive(Debug, Clone)]
struct Draft {
    side: Side,
    order_type: OrderType,
    quantity: i64,
    price: i64,
    stop: i64,
    tif: TimeInForce,
    mode: StpMode,
    trailing: Option<u32>,
}

#[derive(Debug, Clone)]
enum Step {
    Place { account: usize, order: Draft },
    Oco { account: usize, side: Side, quantity: i64, high: i64, low: i64, with_limit: bool },
    Otoco { account: usize, working: Draft, high: i64, low: i64, follows_fill: bool },
    Oto { account: usize, working: Draft, pending: Draft },
    Cancel { account: usize, which: usize },
    CancelList { account: usize, which: usize },
    Amend { account: usize, which: usize, quantity: i64 },
    Trade { price: i64, quantity: i64 },
    Lose,
    Delist,
    Lock { account: usize, amount: i64 },
}

fn price() -> impl Strategy<Value = i64> {
    9_000i64..11_000
}

fn sides() -> impl Strategy<Value = Side> {
    prop::sample::select(vec![Side::Buy, Side::Sell])
}

fn draft() -> impl Strategy<Value = Draft> {
    let types = prop::sample::select(instrument().order_types);
    let tifs = prop::sample::select(vec![TimeInForce::Gtc, TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]);
    let modes = prop::sample::select(vec![
        StpMode::None,
        StpMode::ExpireMaker,
        StpMode::ExpireTaker,
        StpMode::ExpireBoth,
        StpMode::Decrement,
    ]);
    let trailing = prop::option::weighted(0.2, 10u32..500);
    (sides(), types, 50i64..9_000, price(), price(), tifs, modes, trailing).prop_map(
        |(side, order_type, quantity, price, stop, tif, mode, trailing)| Draft {
            side,
            order_type,
            quantity,
            price,
            stop,
            tif,
            mode,
            trailing: trailing.filter(|_| order_type.has_trigger()),
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = (0usize..2, draft()).prop_map(|(account, order)| Step::Place { account, order });
    let oco = (0usize..2, sides(), 50i64..9_000, price(), price(), any::<bool>()).prop_map(
        |(account, side, quantity, one, other, with_limit)| {
            let (high, low) = (one.max(other), one.min(other));
            Step::Oco { account, side, quantity, high, low, with_limit }
        },
    );
    let otoco = (0usize..2, draft(), 10_000i64..12_000, 8_000i64..10_000, any::<bool>()).prop_map(
        |(account, working, high, low, follows_fill)| Step::Otoco { account, working, high, low, follows_fill },
    );
    let oto =
        (0usize..2, draft(), draft()).prop_map(|(account, working, pending)| Step::Oto { account, working, pending });
    let cancel = (0usize..2, 0usize..5).prop_map(|(account, which)| Step::Cancel { account, which });
    let cancel_list = (0usize..2, 0usize..3).prop_map(|(account, which)| Step::CancelList { account, which });
    let amend = (0usize..2, 0usize..5, 50i64..9_000).prop_map(|(account, which, quantity)| Step::Amend {
        account,
        which,
        quantity,
    });
    let trade = (price(), 1i64..5_000).prop_map(|(price, quantity)| Step::Trade { price, quantity });
    let lock = (0usize..2, -3_000i64..3_000).prop_map(|(account, amount)| Step::Lock { account, amount });
    let rare = prop_oneof![Just(Step::Lose), Just(Step::Delist)];
    prop::collection::vec(
        prop_oneof![
            40 => place, 20 => oco, 12 => otoco, 12 => oto, 10 => cancel, 4 => cancel_list, 8 => amend, 60 => trade,
            3 => lock, 1 => rare
        ],
        1..80,
    )
}

fn cents(value: i64) -> Price {
    Price::new(Decimal::new(value, 2)).unwrap()
}

fn new_order(id: &str, draft: &Draft) -> NewOrder {
    NewOrder {
        price: Some(cents(draft.price)),
        stop_price: Some(cents(draft.stop)),
        time_in_force: Some(draft.tif),
        quantity: Some(Quantity::new(Decimal::new(draft.quantity, 3)).unwrap()),
        trailing_delta: draft.trailing,
        self_trade_prevention: Some(draft.mode),
        ..order(id, draft.side, draft.order_type, "1")
    }
}

/// A pair on the right types for its side.
fn pair(number: usize, side: Side, quantity: i64, high: i64, low: i64, with_limit: bool) -> (NewOrder, NewOrder) {
    let leg = |id: &str, order_type, at: i64| {
        let quantity = Quantity::new(Decimal::new(quantity, 3)).unwrap();
        NewOrder {
            quantity: Some(quantity),
            // A stop's limit is below the target's, so that either of a buying pair may need more.
            price: Some(cents(if order_type == OrderType::StopLossLimit { low - 100 } else { at })),
            stop_price: Some(cents(at)),
            ..order(&format!("{id}{number}"), side, order_type, "1")
        }
    };
    let target = if with_limit { OrderType::LimitMaker } else { OrderType::TakeProfit };
    let stop = if with_limit { OrderType::StopLoss } else { OrderType::StopLossLimit };
    match side {
        Side::Sell => (leg("a", target, high), leg("b", stop, low)),
        Side::Buy => (leg("a", stop, high), leg("b", target, low)),
    }
}

struct World {
    model: Model,
    accounts: [AccountId; 2],
    events: Vec<ModelEvent>,
    locked_elsewhere: [Decimal; 2],
}

impl World {
    fn new(settings: ModelSettings) -> Self {
        let accounts = [AccountId::new("one"), AccountId::new("two")];
        let mut model = Model::new(settings, vec![instrument()]);
        for account in &accounts {
            model.add_account(account);
            model.deposit(account, &asset("BTC"), q("10"), at(0)).unwrap();
            model.deposit(account, &asset("USDT"), q("10000"), at(0)).unwrap();
        }
        Self { model, accounts, events: Vec::new(), locked_elsewhere: [Decimal::ZERO; 2] }
    }

    fn unchanged<T>(&mut self, act: impl FnOnce(&mut Model, &mut Vec<ModelEvent>) -> Result<T, Refusal>) {
        let (before, told) = (self.model.clone(), self.events.len());
        if act(&mut self.model, &mut self.events).is_err() {
            assert_eq!(self.model, before, "what is refused has no effect");
            assert_eq!(self.events.len(), told, "what is refused is not told");
        }
    }

    fn apply(&mut self, number: usize, step: &Step) {
        let now = at(number as i64);
        let accounts = self.accounts.clone();
        let client = ClientOrderId::new(&format!("l{number}")).unwrap();
        match step {
            Step::Place { account, order } => {
                let order = new_order(&format!("o{number}"), order);
                self.unchanged(|model, events| model.place(&accounts[*account], &order, now, events));
            }
            Step::Oco { account, side, quantity, high, low, with_limit } => {
                let (above, below) = pair(number, *side, *quantity, *high, *low, *with_limit);
                self.unchanged(|model, events| {
                    model.place_oco(&accounts[*account], &above, &below, &client, now, events)
                });
            }
            Step::Otoco { account, working, high, low, follows_fill } => {
                let working = NewOrder {
                    order_type: OrderType::Limit,
                    side: Side::Buy,
                    trailing_delta: None,
                    ..new_order(&format!("o{number}"), working)
                };
                let (above, below) = pair(number, Side::Sell, 3_000, *high, *low, true);
                let shape = ListShape::Otoco { working: &working, above: &above, below: &below };
                let new = NewList { client_id: &client, shape, follows_fill: *follows_fill };
                self.unchanged(|model, events| model.place_list(&accounts[*account], &new, now, events));
            }
            Step::Oto { account, working, pending } => {
                let working = NewOrder {
                    order_type: OrderType::Limit,
                    trailing_delta: None,
                    ..new_order(&format!("o{number}"), working)
                };
                let pending = new_order(&format!("p{number}"), pending);
                let shape = ListShape::Oto { working: &working, pending: &pending };
                let new = NewList { client_id: &client, shape, follows_fill: false };
                self.unchanged(|model, events| model.place_list(&accounts[*account], &new, now, events));
            }
            Step::Cancel { account, which } => self.with_open(*account, *which, |model, account, id, events| {
                model.cancel(account, &symbol(), &id, now, events).unwrap();
            }),
            Step::CancelList { account, which } => {
                let lists = self.model.order_lists(&accounts[*account], OrderListId(0));
                let open: Vec<_> = lists.filter(|list| !list.is_done()).map(|list| list.id).collect();
                if let Some(id) = open.get(*which) {
                    let list = ListRef::Exchange(*id);
                    self.model.cancel_list(&accounts[*account], &symbol(), &list, now, &mut self.events).unwrap();
                }
            }
            Step::Amend { account, which, quantity } => {
                let quantity = Quantity::new(Decimal::new(*quantity, 3)).unwrap();
                self.with_open(*account, *which, |model, account, id, events| {
                    let _ = model.amend(account, &symbol(), &id, (quantity, &client), now, events);
                });
            }
            Step::Trade { price, quantity } => {
                let (price, quantity) = (Decimal::new(*price, 2).to_string(), Decimal::new(*quantity, 3).to_string());
                self.model.on_trade(&trade(number as i64, &price, &quantity), &mut self.events);
            }
            Step::Lose => {
                self.model.lose_open_orders(now);
            }
            Step::Delist => {
                self.model.delist(&symbol(), now, &mut self.events).unwrap();
                assert!(accounts.iter().all(|account| self.model.open_orders(account, None).is_empty()));
                self.model.set_status(&symbol(), SymbolStatus::Trading).unwrap();
            }
            Step::Lock { account, amount } => {
                let delta = Quantity::new(Decimal::from(*amount)).unwrap();
                let (usdt, account_id) = (asset("USDT"), &accounts[*account]);
                if self.model.external_lock(account_id, &usdt, delta, now, &mut self.events).is_ok() {
                    self.locked_elsewhere[*account] += delta.value();
                }
            }
        }
    }

    fn with_open(
        &mut self,
        account: usize,
        which: usize,
        act: impl FnOnce(&mut Model, &AccountId, OrderRef, &mut Vec<ModelEvent>),
    ) {
        let account = self.accounts[account].clone();
        if let Some(open) = self.model.open_orders(&account, None).get(which) {
            act(&mut self.model, &account, OrderRef::Exchange(open.order_id), &mut self.events);
        }
    }

    /// Deposits and fills explain every balance; what is locked is what open orders need; nothing is below zero.
    fn check(&self, index: usize) {
        let account = &self.accounts[index];
        let (mut base, mut quote) = (Decimal::TEN, Decimal::from(10_000));
        for event in self.events.iter().filter(|event| event.account() == account) {
            let ModelEvent::Fill { fill, .. } = event else { continue };
            let (quantity, notional) = (fill.side.signed(fill.quantity).value(), fill.notional().value());
            base += quantity;
            quote -= if fill.side == Side::Buy { notional } else { -notional };
            *if fill.side == Side::Buy { &mut base } else { &mut quote } -= fill.commission.value();
        }
        let (locked_base, locked_quote) = self.locked(account);
        let elsewhere = self.locked_elsewhere[index];
        for (name, total, locked) in [("BTC", base, locked_base), ("USDT", quote, locked_quote + elsewhere)] {
            let balance = self.model.balances(account)[&asset(name)];
            assert_eq!((balance.free + balance.locked).value(), total, "{name} of {account}");
            assert_eq!(balance.locked.value(), locked, "{name} locked of {account}");
            assert!(!balance.free.is_negative() && !balance.locked.is_negative());
        }
    }

    /// What open orders need: a pair the larger need once, pending ones nothing.
    fn locked(&self, account: &AccountId) -> (Decimal, Decimal) {
        let mut needs: BTreeMap<(bool, u64), (Side, Decimal)> = BTreeMap::new();
        for open in self.model.open_orders(account, None) {
            assert!(!open.status.is_final());
            if open.is_pending() {
                continue;
            }
            assert!(open.remaining().is_positive());
            let price = open.price.or(open.stop_price);
            let need = match open.side {
                Side::Sell => open.remaining().value(),
                Side::Buy => price.map_or(Notional::ZERO, |price| price.times(open.remaining())).value(),
            };
            let list = open.list_id.and_then(|id| self.model.order_list(account, &ListRef::Exchange(id)).ok());
            let is_paired = list.is_some_and(|list| list.sibling(open.order_id).is_some());
            let key = if is_paired { (true, open.list_id.unwrap().0) } else { (false, open.order_id.0) };
            let entry = needs.entry(key).or_insert((open.side, Decimal::ZERO));
            entry.1 = entry.1.max(need);
        }
        let of = |side| needs.values().filter(|(of, _)| *of == side).map(|(_, need)| *need).sum();
        (of(Side::Sell), of(Side::Buy))
    }

    /// No order fills beyond its quantity; of a pair one only; pending orders never before their working one is full.
    fn check_fills(&self) {
        let mut filled: BTreeMap<(AccountId, ExchangeOrderId), Quantity> = BTreeMap::new();
        for event in &self.events {
            let ModelEvent::Fill { account, fill, order } = event else { continue };
            *filled.entry((account.clone(), fill.exchange_order_id)).or_default() += fill.quantity;
            assert!(!order.remaining().is_negative(), "{order:?}");
        }
        for account in &self.accounts {
            let of = |id: ExchangeOrderId| filled.get(&(account.clone(), id)).copied().unwrap_or_default();
            for list in self.model.order_lists(account, OrderListId(0)) {
                if let Some((one, other)) = list.pair {
                    assert!(of(one).is_zero() || of(other).is_zero(), "both of a pair filled: {list:?}");
                }
                let Some(working) = list.working else { continue };
                let later = list.legs.iter().filter(|leg| leg.order_id != working);
                let is_later_filled = later.clone().any(|leg| !of(leg.order_id).is_zero());
                let orders = self.model.list_orders(account, list);
                let first = orders.iter().find(|order| order.order_id == working);
                if is_later_filled && let Some(first) = first {
                    assert!(!first.remaining().is_positive(), "{list:?}");
                }
            }
        }
    }

    fn waiting(&self) -> usize {
        let of = |it: &SymbolState| it.bids.len() + it.asks.len() + it.above.len() + it.below.len() + it.trailing.len();
        self.model.symbols.values().map(of).sum()
    }
}

fn settings() -> impl Strategy<Value = ModelSettings> {
    (prop::sample::select(vec!["1", "0.5", "0.1"]), prop::sample::select(vec!["0", "100", "50000"]), 1u32..5).prop_map(
        |(share, level, levels_max)| ModelSettings {
            fill_share_max: Ratio::new(share.parse().unwrap()).unwrap(),
            level_notional: level.parse().unwrap(),
            levels_max,
            ..ModelSettings::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn money_is_conserved(settings in settings(), steps in steps()) {
        let mut world = World::new(settings);
        for (number, step) in steps.iter().enumerate() {
            world.apply(number, step);
            world.check(0);
            world.check(1);
        }
        world.check_fills();
        let open = world.accounts.iter().flat_map(|account| world.model.open_orders(account, None));
        prop_assert_eq!(world.waiting(), open.filter(|order| !order.is_pending()).count());
        let text = serde_json::to_string(&world.model).unwrap();
        prop_assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), world.model);
    }
}
