//! Tests of the filters: every one refuses by its own name, and what fits passes.

use domain::{ClientOrderId, Filters, OrderType, Side, TimeInForce};

use super::tests::{account, at, exchange, limit, order, p, q, symbol};
use super::*;

fn strict() -> Model {
    let mut model = exchange();
    let filters = Filters {
        price_min: "0.01".parse().unwrap(),
        price_max: "1000".parse().unwrap(),
        bid_multiplier_up: "1.5".parse().unwrap(),
        bid_multiplier_down: "0.5".parse().unwrap(),
        ask_multiplier_up: "5".parse().unwrap(),
        ask_multiplier_down: "0.8".parse().unwrap(),
        market_step_size: "0.01".parse().unwrap(),
        market_quantity_max: q("3"),
        notional_max: "900".parse().unwrap(),
        notional_min_binds_market: true,
        orders_max: 3,
        algo_orders_max: 1,
        order_lists_max: 1,
        position_max: q("15"),
        oco_allowed: true,
        base_precision: 4,
        quote_precision: 4,
        ..Filters::default()
    };
    model.set_filters(&symbol(), filters).unwrap();
    model
}

fn stop(client: &str, price: &str) -> NewOrder {
    NewOrder { stop_price: Some(p(price)), ..order(client, Side::Sell, OrderType::StopLoss, "1") }
}

#[test]
fn every_filter_refuses_by_its_name() {
    let model = strict();
    let iceberg = |shown: &str, quantity: &str| NewOrder {
        iceberg_quantity: Some(q(shown)),
        ..limit("a", Side::Buy, quantity, "90")
    };
    let trailing = |delta| NewOrder { trailing_delta: Some(delta), ..order("a", Side::Sell, OrderType::StopLoss, "1") };
    let cases = [
        (limit("a", Side::Sell, "0.5", "1000.01"), -1013, "Filter failure: PRICE_FILTER"),
        (limit("a", Side::Buy, "1", "150.01"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (limit("a", Side::Buy, "1", "49.99"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (limit("a", Side::Sell, "1", "79.99"), -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (order("a", Side::Sell, OrderType::Market, "1.005"), -1013, "Filter failure: MARKET_LOT_SIZE"),
        (order("a", Side::Sell, OrderType::Market, "3.01"), -1013, "Filter failure: MARKET_LOT_SIZE"),
        (limit("a", Side::Buy, "9.5", "99"), -1013, "Filter failure: NOTIONAL"),
        (limit("a", Side::Buy, "5.001", "99"), -2010, "Filter failure: MAX_POSITION"),
        (iceberg("0.01", "1.001"), -1013, "Filter failure: ICEBERG_PARTS"),
        (iceberg("0.0005", "1"), -1013, "Filter failure: LOT_SIZE"),
        (trailing(9), -1013, "Filter failure: TRAILING_DELTA"),
        (trailing(2001), -1013, "Filter failure: TRAILING_DELTA"),
        (limit("a", Side::Buy, "1.00005", "99"), -1111, "Parameter 'quantity' has too much precision."),
        (limit("a", Side::Buy, "1", "99.00001"), -1111, "Parameter 'price' has too much precision."),
    ];
    for (order, code, message) in cases {
        let refusal = model.clone().place(&account(), &order, at(1), &mut Vec::new()).unwrap_err();
        assert_eq!((refusal.code, refusal.message.as_str()), (code, message), "{order:?}");
    }
    for order in [
        limit("a", Side::Buy, "1", "150"),
        limit("a", Side::Sell, "1", "80"),
        order("a", Side::Sell, OrderType::Market, "3"),
        limit("a", Side::Buy, "5", "99"),
        iceberg("0.01", "1"),
        trailing(10),
    ] {
        assert_eq!(model.test(&account(), &order), Ok(()), "{order:?}");
        assert!(model.clone().place(&account(), &order, at(1), &mut Vec::new()).is_ok(), "{order:?}");
    }
}

#[test]
fn open_orders_are_counted() {
    let mut model = strict();
    let mut events = Vec::new();
    let mut place = |model: &mut Model, order: &NewOrder| {
        model.place(&account(), order, at(1), &mut events).map(|_| ()).map_err(|refusal| refusal.message)
    };
    place(&mut model, &stop("s1", "90")).unwrap();
    assert_eq!(place(&mut model, &stop("s2", "90")), Err("Filter failure: MAX_NUM_ALGO_ORDERS".into()));
    place(&mut model, &limit("l1", Side::Buy, "1", "90")).unwrap();
    place(&mut model, &limit("l2", Side::Buy, "1", "90")).unwrap();
    assert_eq!(place(&mut model, &limit("l3", Side::Buy, "1", "90")), Err("Filter failure: MAX_NUM_ORDERS".into()));
    let cancel = |model: &mut Model, id: &str| {
        let id = OrderRef::Client(ClientOrderId::new(id).unwrap());
        model.cancel(&account(), &symbol(), &id, at(2), &mut Vec::new()).unwrap();
    };
    ["s1", "l1", "l2"].iter().for_each(|id| cancel(&mut model, id));
    model.change_instrument(&symbol(), |it| (it.filters.algo_orders_max, it.filters.orders_max) = (9, 9)).unwrap();
    let above = |id: &str| NewOrder { price: Some(p("110")), ..order(id, Side::Sell, OrderType::LimitMaker, "1") };
    let oco = |model: &mut Model, names: [&str; 3]| {
        let list = ClientOrderId::new(names[0]).unwrap();
        model.place_oco(&account(), &above(names[1]), &stop(names[2], "90"), &list, at(3), &mut Vec::new())
    };
    oco(&mut model, ["x", "a", "b"]).unwrap();
    assert_eq!(oco(&mut model, ["y", "c", "d"]).unwrap_err().message, "Filter failure: MAX_NUM_ORDER_LISTS");
}

#[test]
fn old_names_and_codes_can_be_chosen() {
    let mut model = strict();
    model.set_settings(ModelSettings {
        has_old_filters: true,
        position_max_code: -1013,
        market_closed_code: -2010,
        ..ModelSettings::default()
    });
    let refusal = |model: &Model, order: &NewOrder| {
        model.clone().place(&account(), order, at(1), &mut Vec::new()).unwrap_err().to_string()
    };
    assert_eq!(refusal(&model, &limit("a", Side::Buy, "1", "151")), "-1013: Filter failure: PERCENT_PRICE");
    assert_eq!(refusal(&model, &limit("a", Side::Buy, "0.01", "99")), "-1013: Filter failure: MIN_NOTIONAL");
    assert_eq!(refusal(&model, &limit("a", Side::Buy, "6", "99")), "-1013: Filter failure: MAX_POSITION");
    for status in [SymbolStatus::Halt, SymbolStatus::CancelOnly, SymbolStatus::Other("END_OF_DAY".into())] {
        model.set_status(&symbol(), status).unwrap();
        assert_eq!(refusal(&model, &limit("a", Side::Buy, "1", "99")), "-2010: Market is closed.");
    }
}

#[test]
fn market_orders_are_free_of_the_smallest_notional_where_the_symbol_says_so() {
    let mut model = strict();
    let small = order("a", Side::Sell, OrderType::Market, "0.01");
    assert_eq!(model.test(&account(), &small), Err(Refusal::filter("NOTIONAL")));
    model.change_instrument(&symbol(), |it| it.filters.notional_min_binds_market = false).unwrap();
    assert_eq!(model.test(&account(), &small), Ok(()));
    let ioc = NewOrder { time_in_force: Some(TimeInForce::Ioc), ..limit("a", Side::Buy, "0.01", "99") };
    assert_eq!(model.test(&account(), &ioc), Err(Refusal::filter("NOTIONAL")));
}
