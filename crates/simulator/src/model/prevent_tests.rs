//! Tests of self-trade prevention: which order ends, which loses, and that other accounts are never meant.

use domain::{ClientOrderId, ExchangeOrderStatus as S, OrderType, Price, Side};

use super::tests::{account, asset, at, balance, exchange, limit, order, p, pair, q, symbol};
use super::*;

/// Room between bid 95 and ask 105, so that own orders are the best.
fn wide() -> Model {
    let mut model = exchange();
    let (bid, ask): (Price, Price) = (p("95"), p("105"));
    let quote = Quote { symbol: symbol(), bid, bid_quantity: q("1"), ask, ask_quantity: q("1"), time: at(1) };
    model.on_quote(&quote, &mut Vec::new());
    model
}

fn taker(mode: StpMode, quantity: &str, price: &str) -> NewOrder {
    NewOrder { self_trade_prevention: Some(mode), ..limit("taker", Side::Buy, quantity, price) }
}

#[test]
fn the_takers_word_decides_who_ends() {
    // The maker sells 2 at 100, the taker bids 3 at 101.
    let cases = [
        (StpMode::None, S::New, S::New, 2, "0", "0"),
        (StpMode::ExpireMaker, S::New, S::ExpiredInMatch, 1, "0", "2"),
        (StpMode::ExpireTaker, S::ExpiredInMatch, S::New, 1, "3", "0"),
        (StpMode::ExpireBoth, S::ExpiredInMatch, S::ExpiredInMatch, 0, "3", "2"),
        (StpMode::Decrement, S::New, S::ExpiredInMatch, 1, "2", "2"),
    ];
    for (mode, taker_status, maker_status, open, taker_lost, maker_lost) in cases {
        let mut model = wide();
        let maker = model.place(&account(), &limit("maker", Side::Sell, "2", "100"), at(2), &mut Vec::new()).unwrap();
        let mut events = Vec::new();
        let taken = model.place(&account(), &taker(mode, "3", "101"), at(3), &mut events).unwrap();
        let maker = model.order(&account(), &symbol(), &OrderRef::Exchange(maker.order_id)).unwrap();
        assert_eq!((taken.status, maker.status), (taker_status, maker_status), "{mode:?}");
        assert_eq!((taken.prevented_quantity, maker.prevented_quantity), (q(taker_lost), q(maker_lost)), "{mode:?}");
        assert_eq!(model.open_orders(&account(), None).len(), open, "{mode:?}");
        let lost = [taken.prevented_quantity, maker.prevented_quantity];
        let told = events.iter().filter(|event| matches!(event, ModelEvent::Prevented { .. })).count();
        assert_eq!(told, lost.iter().filter(|lost| lost.is_positive()).count(), "{mode:?}");
        assert_eq!(model.prevented_matches(&account(), &symbol()).count(), usize::from(mode != StpMode::None));
    }
}

#[test]
fn a_decrement_leaves_the_larger_order_its_rest() {
    let mut model = wide();
    model.place(&account(), &limit("maker", Side::Sell, "5", "100"), at(2), &mut Vec::new()).unwrap();
    let taken = model.place(&account(), &taker(StpMode::Decrement, "2", "101"), at(3), &mut Vec::new()).unwrap();
    assert_eq!(taken.status, S::ExpiredInMatch);
    let open = model.open_orders(&account(), None);
    assert_eq!((open.len(), open[0].remaining()), (1, q("3")));
    assert_eq!((balance(&model, "BTC"), balance(&model, "USDT")), (pair("7", "3"), pair("10000", "0")));
}

#[test]
fn own_orders_are_prevented_before_the_book_is_taken() {
    let mut model = wide();
    model.place(&account(), &limit("maker", Side::Sell, "2", "100"), at(2), &mut Vec::new()).unwrap();
    let market = NewOrder {
        self_trade_prevention: Some(StpMode::ExpireMaker),
        ..order("taker", Side::Buy, OrderType::Market, "1")
    };
    let taken = model.place(&account(), &market, at(3), &mut Vec::new()).unwrap();
    assert_eq!((taken.status, taken.cumulative_quote), (S::Filled, "105".parse().unwrap()));
    assert!(model.open_orders(&account(), None).is_empty());
    let post = NewOrder {
        self_trade_prevention: Some(StpMode::ExpireTaker),
        price: Some(p("101")),
        ..order("post", Side::Buy, OrderType::LimitMaker, "1")
    };
    model.place(&account(), &limit("again", Side::Sell, "2", "100"), at(4), &mut Vec::new()).unwrap();
    assert_eq!(model.place(&account(), &post, at(5), &mut Vec::new()), Err(Refusal::would_match()));
}

#[test]
fn another_accounts_orders_are_left_alone() {
    let mut model = wide();
    let other = AccountId::new("other");
    model.add_account(&other);
    model.deposit(&other, &asset("BTC"), q("2"), at(1)).unwrap();
    model.place(&other, &limit("theirs", Side::Sell, "2", "100"), at(2), &mut Vec::new()).unwrap();
    model.place(&account(), &taker(StpMode::ExpireBoth, "3", "101"), at(3), &mut Vec::new()).unwrap();
    assert_eq!((model.open_orders(&account(), None).len(), model.open_orders(&other, None).len()), (1, 1));
}

#[test]
fn a_prevented_order_of_a_pair_ends_the_pair() {
    let mut model = wide();
    let above = NewOrder { price: Some(p("101")), ..order("tp", Side::Sell, OrderType::LimitMaker, "2") };
    let below = NewOrder { stop_price: Some(p("90")), ..order("sl", Side::Sell, OrderType::StopLoss, "2") };
    let list = ClientOrderId::new("pair").unwrap();
    model.place_oco(&account(), &above, &below, &list, at(2), &mut Vec::new()).unwrap();
    model.place(&account(), &taker(StpMode::ExpireMaker, "1", "102"), at(3), &mut Vec::new()).unwrap();
    let open = model.open_orders(&account(), None);
    assert_eq!(open.iter().map(|order| order.client_order_id.as_str()).collect::<Vec<_>>(), ["taker"]);
    assert_eq!(balance(&model, "BTC"), pair("10", "0"));
    assert!(model.order_list(&account(), &ListRef::Client(list)).unwrap().is_done());
}
