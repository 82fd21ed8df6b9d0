//! Tests of order lists: what one order does to the others, what is held, what is refused, what is told.

use domain::{ClientOrderId, ExchangeOrderStatus, OrderType, Side};

use super::tests::{account, at, balance, exchange, limit, order, p, pair, q, symbol, trade};
use super::*;

fn id(text: &str) -> ClientOrderId {
    ClientOrderId::new(text).unwrap()
}

fn target(client: &str, side: Side, quantity: &str, price: &str) -> NewOrder {
    NewOrder { price: Some(p(price)), ..order(client, side, OrderType::LimitMaker, quantity) }
}

fn stop(client: &str, side: Side, quantity: &str, price: &str) -> NewOrder {
    NewOrder { stop_price: Some(p(price)), ..order(client, side, OrderType::StopLoss, quantity) }
}

fn view(model: &Model, client: &str) -> OrderView {
    model.order(&account(), &symbol(), &OrderRef::Client(id(client))).unwrap()
}

/// Every event in a few letters.
fn told(events: &[ModelEvent]) -> Vec<String> {
    let short = |event: &ModelEvent| match event {
        ModelEvent::Order { order, execution, .. } => Some(format!("{} {execution:?}", order.client_order_id)),
        ModelEvent::Fill { order, .. } => Some(format!("{} Fill", order.client_order_id)),
        ModelEvent::List { list, .. } => Some(format!("{} {:?}", list.client_id, list.status)),
        ModelEvent::Balances { .. } => None,
        other => Some(format!("{other:?}")),
    };
    events.iter().filter_map(short).collect()
}

fn sell_oco(model: &mut Model) -> ListOutcome {
    let (above, below) = (target("tp", Side::Sell, "4", "110"), stop("sl", Side::Sell, "4", "90"));
    model.place_oco(&account(), &above, &below, &id("pair"), at(1), &mut Vec::new()).unwrap()
}

#[test]
fn a_pair_holds_its_quantity_once_and_a_partial_fill_of_one_ends_the_other() {
    let mut model = exchange();
    let placed = sell_oco(&mut model);
    let ids: Vec<&str> = placed.orders.iter().map(|view| view.client_order_id.as_str()).collect();
    assert_eq!(ids, ["sl", "tp"], "the stop comes first, as in the documents");
    assert_eq!(balance(&model, "BTC"), pair("6", "4"));
    let mut events = Vec::new();
    model.on_trade(&trade(2, "110", "1"), &mut events);
    assert_eq!(told(&events), ["sl Expired", "tp Fill"]);
    let ended = view(&model, "sl");
    assert_eq!(ended.expiry_reason, Some(ExpiryReason::OcoTrigger));
    assert_eq!(balance(&model, "BTC"), pair("6", "3"));
    events.clear();
    model.on_trade(&trade(3, "80", "1"), &mut events);
    assert!(events.is_empty(), "the stop is gone");
    model.on_trade(&trade(4, "110.01", "1"), &mut events);
    assert_eq!(told(&events), ["tp Fill", "pair AllDone"]);
    assert_eq!(balance(&model, "BTC"), pair("6", "0"));
}

#[test]
fn a_triggered_stop_ends_the_target() {
    let mut model = exchange();
    sell_oco(&mut model);
    let mut events = Vec::new();
    model.on_trade(&trade(2, "89", "1"), &mut events);
    assert_eq!(told(&events), ["tp Expired", "sl New", "sl Fill", "pair AllDone"]);
    assert_eq!(balance(&model, "BTC"), pair("6", "0"));
    assert_eq!(view(&model, "sl").status, ExchangeOrderStatus::Filled);
}

#[test]
fn one_print_that_reaches_both_of_a_pair_fills_one() {
    let mut model = exchange();
    let (above, below) = (stop("sl", Side::Buy, "1", "100.01"), target("tp", Side::Buy, "1", "99.99"));
    model.place_oco(&account(), &above, &below, &id("pair"), at(1), &mut Vec::new()).unwrap();
    assert_eq!(balance(&model, "USDT"), pair("9899.99", "100.01"), "the larger need, once");
    let mut events = Vec::new();
    model.on_trade(&trade(2, "50", "1"), &mut events);
    model.on_trade(&trade(3, "150", "1"), &mut events);
    assert_eq!(told(&events), ["sl Expired", "tp Fill", "pair AllDone"]);
}

#[test]
fn cancelling_one_order_of_a_list_or_the_list_cancels_all() {
    for by_list in [false, true] {
        let mut model = exchange();
        sell_oco(&mut model);
        let mut events = Vec::new();
        if by_list {
            let list = ListRef::Client(id("pair"));
            let canceled = model.cancel_list(&account(), &symbol(), &list, at(2), &mut events).unwrap();
            assert_eq!((canceled.orders.len(), canceled.list.status), (2, ListStatus::AllDone));
            let again = model.cancel_list(&account(), &symbol(), &list, at(3), &mut events);
            assert_eq!(again.unwrap_err().code, -2011);
        } else {
            model.cancel(&account(), &symbol(), &OrderRef::Client(id("tp")), at(2), &mut events).unwrap();
        }
        assert_eq!(told(&events), ["sl Canceled", "tp Canceled", "pair AllDone"], "{by_list}");
        assert_eq!(balance(&model, "BTC"), pair("10", "0"));
        assert!(model.order_list(&account(), &ListRef::Client(id("pair"))).unwrap().is_done());
    }
}

#[test]
fn pairs_that_the_exchange_does_not_take_are_refused_in_its_words() {
    use OrderType as T;
    let cases = [
        (Side::Sell, (T::Limit, "110"), (T::StopLoss, "90"), -1158),
        (Side::Buy, (T::LimitMaker, "110"), (T::StopLoss, "90"), -1165),
        (Side::Sell, (T::TakeProfit, "110"), (T::LimitMaker, "90"), -1166),
        (Side::Sell, (T::LimitMaker, "110"), (T::LimitMaker, "90"), -1168),
        (Side::Buy, (T::StopLoss, "110"), (T::StopLossLimit, "90"), -1196),
        (Side::Sell, (T::StopLoss, "110"), (T::StopLoss, "90"), -1197),
        (Side::Buy, (T::TakeProfit, "110"), (T::LimitMaker, "90"), -1198),
        (Side::Sell, (T::LimitMaker, "110"), (T::TakeProfit, "90"), -1199),
        (Side::Sell, (T::LimitMaker, "99"), (T::StopLoss, "90"), -2010),
        (Side::Sell, (T::LimitMaker, "110"), (T::StopLoss, "101"), -2010),
        (Side::Buy, (T::StopLoss, "99"), (T::LimitMaker, "90"), -2010),
        (Side::Sell, (T::LimitMaker, "90"), (T::StopLoss, "110"), -2010),
    ];
    let mut model = exchange();
    let leg = |client: &str, side, (order_type, at): (OrderType, &str)| {
        let prices = NewOrder { price: Some(p(at)), stop_price: Some(p(at)), ..order(client, side, order_type, "1") };
        NewOrder { price: prices.price.filter(|_| order_type.has_limit()), ..prices }
    };
    for (side, above, below, code) in cases {
        let (above, below) = (leg("a", side, above), leg("b", side, below));
        let before = model.clone();
        let refused = model.place_oco(&account(), &above, &below, &id("pair"), at(1), &mut Vec::new()).unwrap_err();
        assert_eq!(refused.code, code, "{above:?} {below:?}: {refused}");
        if code == -2010 {
            assert_eq!(refused, Refusal::bad_prices());
        }
        assert_eq!(model, before);
    }
    sell_oco(&mut model);
    let (above, below) = (target("x", Side::Sell, "7", "110"), stop("y", Side::Sell, "7", "90"));
    let mut place = |above: &NewOrder, list: &str| {
        model.place_oco(&account(), above, &below, &id(list), at(1), &mut Vec::new()).unwrap_err().message
    };
    assert_eq!(place(&above, "other"), "Account has insufficient balance for requested action.");
    let same = NewOrder { client_order_id: id("tp"), ..above.clone() };
    assert_eq!(place(&same, "other"), "Duplicate order sent.");
    assert_eq!(place(&above, "pair"), "Duplicate order sent.");
    model.change_instrument(&symbol(), |instrument| instrument.filters.oco_allowed = false).unwrap();
    let refused = model.place_oco(&account(), &above, &below, &id("z"), at(1), &mut Vec::new()).unwrap_err();
    assert_eq!(refused.message, "OCO orders are not supported for this symbol");
}

fn otoco(model: &mut Model, events: &mut Vec<ModelEvent>, price: &str, follows_fill: bool) -> ListOutcome {
    let working = limit("in", Side::Buy, "2", price);
    let (above, below) = (target("tp", Side::Sell, "2", "110"), stop("sl", Side::Sell, "2", "90"));
    let client_id = id("bracket");
    let shape = ListShape::Otoco { working: &working, above: &above, below: &below };
    model.place_list(&account(), &NewList { client_id: &client_id, shape, follows_fill }, at(1), events).unwrap()
}

#[test]
fn pending_orders_wait_until_the_working_one_is_filled_in_full() {
    let mut model = exchange();
    let mut events = Vec::new();
    let placed = otoco(&mut model, &mut events, "99", false);
    assert_eq!(placed.list.contingency, Contingency::Oto);
    assert_eq!(told(&events), ["bracket ExecStarted", "in New", "sl New", "tp New"]);
    assert!(view(&model, "tp").is_pending() && view(&model, "sl").working_time.is_none());
    assert_eq!((balance(&model, "BTC"), balance(&model, "USDT")), (pair("10", "0"), pair("9802", "198")));
    events.clear();
    model.on_trade(&trade(2, "99", "1"), &mut events);
    assert!(view(&model, "tp").is_pending());
    model.on_trade(&trade(3, "98.5", "1"), &mut events);
    assert_eq!(told(&events), ["in Fill", "in Fill", "bracket ExecStarted", "sl New", "tp New"]);
    assert_eq!(balance(&model, "BTC"), pair("9.998", "2"));
    assert!(view(&model, "tp").working && !view(&model, "sl").working);
    events.clear();
    model.on_trade(&trade(4, "111", "9"), &mut events);
    assert_eq!(told(&events), ["sl Expired", "tp Fill", "bracket AllDone"]);
}

#[test]
fn an_answer_shows_pending_orders_pending_even_where_the_working_one_filled_at_once() {
    let mut model = exchange();
    let placed = otoco(&mut model, &mut Vec::new(), "101", true);
    assert_eq!(placed.orders[0].status, ExchangeOrderStatus::Filled);
    assert!(placed.orders[1].is_pending() && placed.orders[2].is_pending());
    let started = view(&model, "tp");
    assert_eq!((started.status, started.orig_quantity), (ExchangeOrderStatus::New, q("1.998")), "what was received");
}

#[test]
fn pending_orders_end_with_their_working_one() {
    let mut model = exchange();
    otoco(&mut model, &mut Vec::new(), "99", false);
    let mut events = Vec::new();
    model.on_trade(&trade(2, "99", "1"), &mut events);
    events.clear();
    model.cancel(&account(), &symbol(), &OrderRef::Client(id("in")), at(3), &mut events).unwrap();
    assert_eq!(told(&events), ["in Canceled", "sl Canceled", "tp Canceled", "bracket AllDone"]);
    assert_eq!(balance(&model, "BTC"), pair("10.999", "0"));
    let mut model = exchange();
    let working = NewOrder { time_in_force: Some(domain::TimeInForce::Ioc), ..limit("in", Side::Buy, "2", "99") };
    let (pending, client_id) = (order("out", Side::Sell, OrderType::Market, "2"), id("chain"));
    let shape = ListShape::Oto { working: &working, pending: &pending };
    let new = NewList { client_id: &client_id, shape, follows_fill: false };
    events.clear();
    model.place_list(&account(), &new, at(1), &mut events).unwrap();
    assert_eq!(told(&events), ["chain ExecStarted", "in New", "out New", "in Expired", "out Expired", "chain AllDone"]);
    assert_eq!(view(&model, "out").expiry_reason, Some(ExpiryReason::OtoPhaseOneExpired));
}

#[test]
fn a_pending_order_that_the_engine_refuses_expires_as_rejected() {
    let mut model = exchange();
    let (working, client_id) = (limit("in", Side::Buy, "1", "99"), id("chain"));
    let pending = order("out", Side::Sell, OrderType::Market, "20");
    let shape = ListShape::Oto { working: &working, pending: &pending };
    let new = NewList { client_id: &client_id, shape, follows_fill: false };
    model.place_list(&account(), &new, at(1), &mut Vec::new()).unwrap();
    let mut events = Vec::new();
    model.on_trade(&trade(2, "98", "1"), &mut events);
    assert_eq!(told(&events), ["in Fill", "out Expired", "chain AllDone"]);
    assert_eq!(view(&model, "out").expiry_reason, Some(ExpiryReason::Rejected));
}

#[test]
fn amending_one_order_of_a_pair_amends_both() {
    let mut model = exchange();
    sell_oco(&mut model);
    let mut events = Vec::new();
    let tp = OrderRef::Client(id("tp"));
    let mut amend = |quantity: &str, client: &str, events: &mut Vec<ModelEvent>| {
        model.amend(&account(), &symbol(), &tp, (q(quantity), &id(client)), at(2), events).map(|(view, _)| view)
    };
    assert_eq!(amend("5", "tp", &mut events).unwrap_err().message, "Order amend (quantity increase) is not supported.");
    assert_eq!(amend("4", "tp", &mut events).unwrap_err().code, -2038);
    let amended = amend("1", "tp-2", &mut events).unwrap();
    assert_eq!((amended.orig_quantity, amended.client_order_id.as_str()), (q("1"), "tp-2"));
    assert!(matches!(&events[0], ModelEvent::Amended { original, .. } if original.as_str() == "tp"));
    assert!(matches!(&events[1], ModelEvent::List { list, .. } if list.status == ListStatus::Updated));
    assert_eq!(view(&model, "sl").orig_quantity, q("1"));
    assert_eq!(balance(&model, "BTC"), pair("9", "1"));
    assert!(model.order(&account(), &symbol(), &OrderRef::Client(id("tp"))).is_err());
}

#[test]
fn an_order_is_amended_ten_times() {
    let mut model = exchange();
    model.place(&account(), &limit("one", Side::Buy, "5", "99"), at(1), &mut Vec::new()).unwrap();
    let one = OrderRef::Client(id("one"));
    for step in 0..11 {
        let quantity = Quantity::new(domain::Decimal::new(49 - step, 1)).unwrap();
        let amended = model.amend(&account(), &symbol(), &one, (quantity, &id("one")), at(2), &mut Vec::new());
        assert_eq!(amended.is_ok(), step < 10, "{step}: {amended:?}");
        if let Err(refusal) = amended {
            assert_eq!((refusal.code, refusal.message.as_str()), (-2038, "Filter failure: MAX_NUM_ORDER_AMENDS"));
        }
    }
    assert_eq!(balance(&model, "USDT"), pair("9604", "396"));
}
