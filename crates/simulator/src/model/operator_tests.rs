//! Tests of what the exchange itself does: transfers, locks, delistings, lost orders, crashes, orders by hand.

use domain::{ClientOrderId, ExchangeOrderStatus as S, OrderType, Ratio, Side};

use super::tests::{account, asset, at, balance, exchange, limit, order, p, pair, q, symbol};
use super::*;

#[test]
fn transfers_and_locks_are_told() {
    let mut model = exchange();
    let (usdt, mut events) = (asset("USDT"), Vec::new());
    model.transfer(&account(), &usdt, q("-100"), at(1), &mut events).unwrap();
    model.external_lock(&account(), &usdt, q("900"), at(2), &mut events).unwrap();
    assert_eq!(balance(&model, "USDT"), pair("9000", "900"));
    assert!(matches!(&events[0], ModelEvent::BalanceUpdate { delta, .. } if *delta == q("-100")));
    assert!(matches!(&events[1], ModelEvent::Balances { assets, .. } if assets == &[asset("USDT")]));
    assert!(matches!(&events[2], ModelEvent::ExternalLock { delta, .. } if *delta == q("900")));
    let told = events.len();
    assert!(model.transfer(&account(), &usdt, q("-9001"), at(3), &mut events).is_err());
    assert!(model.external_lock(&account(), &usdt, q("-901"), at(3), &mut events).is_err());
    assert!(model.external_lock(&account(), &usdt, q("9001"), at(3), &mut events).is_err());
    assert_eq!(events.len(), told);
    model.external_lock(&account(), &usdt, q("-900"), at(4), &mut events).unwrap();
    assert_eq!(balance(&model, "USDT"), pair("9900", "0"));
}

#[test]
fn a_delisting_ends_all_orders_of_the_symbol() {
    let mut model = exchange();
    model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    let above = NewOrder { price: Some(p("110")), ..order("tp", Side::Sell, OrderType::LimitMaker, "1") };
    let below = NewOrder { stop_price: Some(p("90")), ..order("sl", Side::Sell, OrderType::StopLoss, "1") };
    let list = ClientOrderId::new("pair").unwrap();
    model.place_oco(&account(), &above, &below, &list, at(1), &mut Vec::new()).unwrap();
    let mut events = Vec::new();
    model.delist(&symbol(), at(2), &mut events).unwrap();
    let ended: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Order { order, execution: ExecutionKind::Expired, .. } => order.expiry_reason,
            _ => None,
        })
        .collect();
    assert_eq!(ended, [ExpiryReason::ExchangeCanceled; 3]);
    assert!(events.iter().any(|event| matches!(event, ModelEvent::List { list, .. } if list.is_done())));
    assert_eq!((balance(&model, "BTC"), balance(&model, "USDT")), (pair("10", "0"), pair("10000", "0")));
    assert_eq!(model.instrument(&symbol()).unwrap().status, SymbolStatus::Break);
    model.remove_symbol(&symbol(), at(3), &mut events).unwrap();
    let refused = model.place(&account(), &limit("a", Side::Buy, "1", "90"), at(4), &mut events).unwrap_err();
    assert_eq!(refused.code, -1121);
    assert_eq!(model.orders_from(&account(), &symbol(), None, 9).len(), 3, "history outlives the symbol");
}

#[test]
fn lost_orders_are_lost_without_a_word() {
    let mut model = exchange();
    model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    assert_eq!(model.lose_open_orders(at(2)), 1);
    let gone = OrderRef::Client(ClientOrderId::new("rest").unwrap());
    assert_eq!(model.order(&account(), &symbol(), &gone), Err(Refusal::no_such_order()));
    assert_eq!(balance(&model, "USDT"), pair("10000", "0"));
    assert!(model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(3), &mut Vec::new()).is_ok());
    let above = NewOrder { price: Some(p("110")), ..order("tp", Side::Sell, OrderType::LimitMaker, "1") };
    let below = NewOrder { stop_price: Some(p("90")), ..order("sl", Side::Sell, OrderType::StopLoss, "1") };
    let list = ClientOrderId::new("pair").unwrap();
    model.place_oco(&account(), &above, &below, &list, at(4), &mut Vec::new()).unwrap();
    assert_eq!(model.lose_open_orders(at(5)), 3);
    assert!(model.order_list(&account(), &ListRef::Client(list)).is_err());
    assert_eq!(balance(&model, "BTC"), pair("10", "0"));
}

#[test]
fn an_order_by_hand_has_an_id_of_the_exchanges_application() {
    let mut model = exchange();
    let mut events = Vec::new();
    let order = order("ignored", Side::Buy, OrderType::Market, "1");
    let placed = model.place_by_hand(&account(), &order, at(1), &mut events).unwrap();
    assert_eq!(placed.client_order_id.as_str(), "web_00000000000000000000000000000001");
    assert_eq!(placed.status, S::Filled);
    assert!(events.iter().any(|event| matches!(event, ModelEvent::Fill { .. })));
}

#[test]
fn a_shock_moves_the_quote_and_prints() {
    let mut model = exchange();
    let stop = NewOrder { stop_price: Some(p("90")), ..order("sl", Side::Sell, OrderType::StopLoss, "1") };
    model.place(&account(), &stop, at(1), &mut Vec::new()).unwrap();
    let mut events = Vec::new();
    let trade = model.shock(&symbol(), Ratio::from_percent(-30), 7, at(2), &mut events).unwrap();
    assert_eq!((trade.id, trade.price, trade.buyer_is_maker), (7, p("70"), true));
    assert_eq!(model.last_price(&symbol()), Some(p("70")));
    assert_eq!(model.trades(&account(), &symbol(), None, 1)[0].price, p("69.99"));
    assert!(model.shock(&symbol(), Ratio::from_percent(-100), 8, at(3), &mut events).is_err());
}

#[test]
fn an_order_without_a_fill_is_archived_after_ninety_days() {
    let mut model = exchange();
    let rest = model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    let later = at(91 * 86_400_000);
    assert!(!model.is_archived(&rest, later), "an open order never is");
    let id = OrderRef::Exchange(rest.order_id);
    let ended = model.cancel(&account(), &symbol(), &id, at(2), &mut Vec::new()).unwrap();
    assert!(!model.is_archived(&ended, at(89 * 86_400_000)) && model.is_archived(&ended, later));
}

#[test]
fn a_cancel_may_be_restricted() {
    let mut model = exchange();
    model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    let id = OrderRef::Client(ClientOrderId::new("rest").unwrap());
    let only = Some(CancelRestriction::OnlyPartiallyFilled);
    let refused = model.cancel_if(&account(), &symbol(), &id, only, at(2), &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "-2011: Order was not canceled due to cancel restrictions.");
    let only = Some(CancelRestriction::OnlyNew);
    assert!(model.cancel_if(&account(), &symbol(), &id, only, at(3), &mut Vec::new()).is_ok());
}

#[test]
fn a_state_of_old_is_still_read() {
    let mut model = exchange();
    model.place(&account(), &limit("rest", Side::Buy, "1", "90"), at(1), &mut Vec::new()).unwrap();
    let mut state = serde_json::to_value(&model).unwrap();
    let remove = |value: &mut serde_json::Value, names: &[&str]| {
        names.iter().for_each(|name| drop(value.as_object_mut().unwrap().remove(*name)));
    };
    remove(&mut state, &["last_list_id"]);
    remove(&mut state["symbols"]["BTCUSDT"], &["trailing", "last_match_id"]);
    remove(&mut state["accounts"]["main"], &["lists", "done_lists", "prevented", "external"]);
    let order = &mut state["accounts"]["main"]["books"]["BTCUSDT"]["orders"]["1"];
    remove(order, &["self_trade_prevention", "prevented_quantity", "amends"]);
    let settings = ["fill_share_max", "level_notional", "levels_max", "market_closed_code", "archive_days"];
    remove(&mut state["settings"], &settings);
    assert_eq!(serde_json::from_value::<Model>(state).unwrap(), model);
}
