//! Tests of the model: what orders meet, what is refused, and that money is conserved.

use domain::{
    ClientOrderId, Decimal, ExchangeOrderStatus, Notional, OrderType, Price, Ratio, Side, TimeInForce, TradeId,
};

use super::*;

pub(super) fn symbol() -> Symbol {
    Symbol::new("BTCUSDT").unwrap()
}

pub(super) fn asset(text: &str) -> Asset {
    Asset::new(text).unwrap()
}

pub(super) fn account() -> AccountId {
    AccountId::new("main")
}

pub(super) fn p(text: &str) -> Price {
    text.parse().unwrap()
}

pub(super) fn q(text: &str) -> Quantity {
    text.parse().unwrap()
}

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

pub(super) fn instrument() -> Instrument {
    Instrument {
        symbol: symbol(),
        base: asset("BTC"),
        quote: asset("USDT"),
        status: SymbolStatus::Trading,
        tick_size: "0.01".parse().unwrap(),
        step_size: "0.001".parse().unwrap(),
        quantity_min: q("0.001"),
        quantity_max: q("1000"),
        notional_min: "5".parse().unwrap(),
        order_types: vec![
            OrderType::Market,
            OrderType::Limit,
            OrderType::LimitMaker,
            OrderType::StopLoss,
            OrderType::StopLossLimit,
            OrderType::TakeProfit,
            OrderType::TakeProfitLimit,
        ],
        filters: domain::Filters { notional_min_binds_market: true, oco_allowed: true, ..domain::Filters::default() },
    }
}

pub(super) fn trade(ms: i64, price: &str, quantity: &str) -> Trade {
    Trade { symbol: symbol(), id: 1, price: p(price), quantity: q(quantity), buyer_is_maker: false, time: at(ms) }
}

pub(super) fn order(client: &str, side: Side, order_type: OrderType, quantity: &str) -> NewOrder {
    NewOrder {
        time_in_force: Some(TimeInForce::Gtc),
        ..NewOrder::new(ClientOrderId::new(client).unwrap(), symbol(), side, order_type, q(quantity))
    }
}

pub(super) fn limit(client: &str, side: Side, quantity: &str, price: &str) -> NewOrder {
    NewOrder { price: Some(p(price)), ..order(client, side, OrderType::Limit, quantity) }
}

/// An exchange at 100.00 with 10,000 USDT and 10 BTC on the account; bid 99.99, ask 100.01.
pub(super) fn exchange() -> Model {
    let mut model = Model::new(ModelSettings::default(), vec![instrument()]);
    model.add_account(&account());
    model.deposit(&account(), &asset("USDT"), q("10000"), at(0)).unwrap();
    model.deposit(&account(), &asset("BTC"), q("10"), at(0)).unwrap();
    model.on_trade(&trade(0, "100", "1"), &mut Vec::new());
    model
}

pub(super) fn balance(model: &Model, of: &str) -> (String, String) {
    let balance = model.balances(&account()).get(&asset(of)).copied().unwrap_or_default();
    (balance.free.normalized().to_string(), balance.locked.normalized().to_string())
}

pub(super) fn pair(free: &str, locked: &str) -> (String, String) {
    (free.into(), locked.into())
}

#[test]
fn a_market_order_fills_at_the_opposite_best_price_moved_by_slippage() {
    let mut model = exchange();
    model.settings.slippage = Ratio::new(Decimal::new(1, 3)).unwrap();
    let mut events = Vec::new();
    let bought = model.place(&account(), &order("a", Side::Buy, OrderType::Market, "2"), at(1), &mut events).unwrap();
    assert_eq!(bought.status, ExchangeOrderStatus::Filled);
    assert_eq!(bought.cumulative_quote, "200.24".parse::<Notional>().unwrap()); // 100.01 x 1.001, up to the tick
    assert_eq!(balance(&model, "BTC"), pair("11.998", "0"));
    assert_eq!(balance(&model, "USDT"), pair("9799.76", "0"));
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            ModelEvent::Order { .. } => "order",
            ModelEvent::Fill { .. } => "fill",
            ModelEvent::Balances { .. } => "balances",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["order", "fill", "balances"]);
}

#[test]
fn without_a_price_a_market_order_expires() {
    let mut model = Model::new(ModelSettings::default(), vec![instrument()]);
    model.add_account(&account());
    let placed =
        model.place(&account(), &order("a", Side::Buy, OrderType::Market, "2"), at(1), &mut Vec::new()).unwrap();
    assert_eq!(placed.status, ExchangeOrderStatus::Expired);
    assert!(placed.executed_quantity.is_zero());
}

#[test]
fn a_quote_quantity_buys_what_it_can_on_the_step() {
    let mut model = exchange();
    let spend = NewOrder {
        quantity: None,
        quote_quantity: Some("150".parse().unwrap()),
        ..order("a", Side::Buy, OrderType::Market, "1")
    };
    let bought = model.place(&account(), &spend, at(1), &mut Vec::new()).unwrap();
    assert_eq!(bought.executed_quantity, q("1.499"));
}

#[test]
fn a_resting_order_fills_as_maker_in_part_at_its_price_and_in_full_beyond_it() {
    let mut model = exchange();
    let mut events = Vec::new();
    model.place(&account(), &limit("first", Side::Buy, "1", "99"), at(1), &mut events).unwrap();
    model.place(&account(), &limit("second", Side::Buy, "1", "99"), at(2), &mut events).unwrap();
    assert_eq!(balance(&model, "USDT"), pair("9802", "198"));
    model.on_trade(&trade(3, "99", "1.4"), &mut events);
    let order = |model: &Model, id: &str| {
        let id = OrderRef::Client(ClientOrderId::new(id).unwrap());
        model.order(&account(), &symbol(), &id).unwrap()
    };
    assert_eq!(order(&model, "first").status, ExchangeOrderStatus::Filled);
    assert_eq!(order(&model, "second").executed_quantity, q("0.4"));
    assert_eq!(order(&model, "second").status, ExchangeOrderStatus::PartiallyFilled);
    model.on_trade(&trade(4, "98.99", "0.001"), &mut events);
    assert_eq!(order(&model, "second").status, ExchangeOrderStatus::Filled);
    let fills = model.trades(&account(), &symbol(), None, 10);
    assert!(fills.iter().all(|fill| fill.is_maker && fill.price == p("99")));
    assert_eq!(fills.iter().map(|fill| fill.trade_id.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(model.trades(&account(), &symbol(), Some(TradeId(2)), 1)[0].trade_id, TradeId(2));
    assert_eq!(balance(&model, "USDT"), pair("9802", "0"));
    assert_eq!(balance(&model, "BTC"), pair("11.998", "0"));
}

#[test]
fn a_stop_sells_at_the_quote_of_its_moment() {
    let mut model = exchange();
    let mut events = Vec::new();
    let stop = NewOrder { stop_price: Some(p("95")), ..order("stop", Side::Sell, OrderType::StopLoss, "10") };
    let placed = model.place(&account(), &stop, at(1), &mut events).unwrap();
    assert!(!placed.working);
    assert_eq!(balance(&model, "BTC"), pair("0", "10"));
    model.on_trade(&trade(2, "95.01", "1"), &mut events);
    assert_eq!(model.open_orders(&account(), None).len(), 1);
    events.clear();
    model.on_trade(&trade(3, "90", "1"), &mut events);
    assert!(matches!(&events[0], ModelEvent::Order { execution: ExecutionKind::New, order, .. } if order.working));
    let fill = &model.trades(&account(), &symbol(), None, 1)[0];
    assert_eq!((fill.price, fill.is_maker), (p("89.99"), false));
    assert_eq!(balance(&model, "BTC"), pair("0", "0"));
}

#[test]
fn a_stop_limit_beyond_which_the_market_gapped_rests() {
    let mut model = exchange();
    let stop = NewOrder {
        stop_price: Some(p("95")),
        price: Some(p("94.50")),
        ..order("stop", Side::Sell, OrderType::StopLossLimit, "10")
    };
    model.place(&account(), &stop, at(1), &mut Vec::new()).unwrap();
    model.on_trade(&trade(2, "90", "1"), &mut Vec::new());
    let open = model.open_orders(&account(), Some(&symbol()));
    assert_eq!((open[0].working, open[0].status.clone()), (true, ExchangeOrderStatus::New));
    assert_eq!(balance(&model, "BTC"), pair("0", "10"));
    model.on_trade(&trade(3, "94.51", "1"), &mut Vec::new());
    assert!(model.open_orders(&account(), None).is_empty());
}

#[test]
fn a_take_profit_triggers_upward_and_wrong_sides_are_refused() {
    let mut model = exchange();
    let take = |stop| NewOrder { stop_price: Some(p(stop)), ..order("tp", Side::Sell, OrderType::TakeProfit, "1") };
    assert_eq!(model.test(&account(), &take("100")), Err(Refusal::would_trigger()));
    model.place(&account(), &take("110"), at(1), &mut Vec::new()).unwrap();
    model.on_trade(&trade(2, "110", "1"), &mut Vec::new());
    assert_eq!(model.trades(&account(), &symbol(), None, 1)[0].price, p("109.98"));
}

#[test]
fn time_in_force_is_kept() {
    let mut model = exchange();
    for (tif, price, status) in [
        (TimeInForce::Ioc, "99", ExchangeOrderStatus::Expired),
        (TimeInForce::Fok, "99", ExchangeOrderStatus::Expired),
        (TimeInForce::Ioc, "101", ExchangeOrderStatus::Filled),
        (TimeInForce::Fok, "101", ExchangeOrderStatus::Filled),
    ] {
        let order = NewOrder { time_in_force: Some(tif), ..limit("x", Side::Buy, "1", price) };
        assert_eq!(model.place(&account(), &order, at(1), &mut Vec::new()).unwrap().status, status, "{tif:?} {price}");
    }
    let maker = |price| NewOrder { price: Some(p(price)), ..order("m", Side::Buy, OrderType::LimitMaker, "1") };
    assert_eq!(model.test(&account(), &maker("100.01")), Err(Refusal::would_match()));
    assert_eq!(model.test(&account(), &maker("100.00")), Ok(()));
}

#[test]
fn refusals_have_the_exchanges_codes_and_words() {
    let mut model = exchange();
    model.place(&account(), &limit("open", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    let unknown = NewOrder { symbol: Symbol::new("NOPE").unwrap(), ..limit("a", Side::Buy, "1", "90") };
    let cases = [
        (unknown, -1121, "Invalid symbol."),
        (limit("a", Side::Buy, "1", "90.001"), -1013, "Filter failure: PRICE_FILTER"),
        (limit("a", Side::Buy, "0.0001", "90"), -1013, "Filter failure: LOT_SIZE"),
        (limit("a", Side::Buy, "1.0005", "90"), -1013, "Filter failure: LOT_SIZE"),
        (limit("a", Side::Buy, "0.05", "90"), -1013, "Filter failure: NOTIONAL"),
        (order("a", Side::Sell, OrderType::Market, "0.04"), -1013, "Filter failure: NOTIONAL"),
        (limit("open", Side::Buy, "1", "90"), -2010, "Duplicate order sent."),
        (limit("a", Side::Sell, "11", "101"), -2010, "Account has insufficient balance for requested action."),
        (limit("a", Side::Buy, "999", "99"), -2010, "Account has insufficient balance for requested action."),
        (
            order("a", Side::Buy, OrderType::Limit, "1"),
            -1102,
            "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
        ),
    ];
    for (order, code, message) in cases {
        let refusal = model.place(&account(), &order, at(2), &mut Vec::new()).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message));
    }
    let missing = OrderRef::Client(ClientOrderId::new("none").unwrap());
    assert_eq!(model.cancel(&account(), &symbol(), &missing, at(2), &mut Vec::new()), Err(Refusal::unknown_order()));
    assert_eq!(model.order(&account(), &symbol(), &missing), Err(Refusal::no_such_order()));
    model.set_status(&symbol(), SymbolStatus::Break).unwrap();
    assert_eq!(model.test(&account(), &limit("b", Side::Buy, "1", "90")), Err(Refusal::market_closed(-1013)));
    assert!(model.cancel_all(&account(), &symbol(), at(3), &mut Vec::new()).is_ok());
}

#[test]
fn quotes_win_over_derived_ones_until_a_newer_trade() {
    let mut model = exchange();
    let quote = Quote {
        symbol: symbol(),
        bid: p("101"),
        bid_quantity: q("3"),
        ask: p("101.5"),
        ask_quantity: q("4"),
        time: at(5),
    };
    model.on_quote(&quote, &mut Vec::new());
    assert_eq!(model.quote(&symbol()), Some(quote));
    model.on_trade(&trade(6, "200", "7"), &mut Vec::new());
    let derived = model.quote(&symbol()).unwrap();
    assert_eq!((derived.bid, derived.ask, derived.ask_quantity), (p("199.98"), p("200.02"), q("7")));
}

#[test]
fn history_is_bounded_but_stays_queryable() {
    let mut model = exchange();
    for number in 0..account::HISTORY_MAX as u64 + 50 {
        let order =
            NewOrder { time_in_force: Some(TimeInForce::Ioc), ..limit(&format!("c{number}"), Side::Buy, "1", "90") };
        model.place(&account(), &order, at(1), &mut Vec::new()).unwrap();
    }
    let all = model.orders_from(&account(), &symbol(), None, usize::MAX);
    assert_eq!(all.len(), account::HISTORY_MAX);
    let gone = OrderRef::Client(ClientOrderId::new("c0").unwrap());
    assert!(model.order(&account(), &symbol(), &gone).is_err());
}
