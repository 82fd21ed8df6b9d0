//! Tests of a book with depth, of slow fills, and of triggers that follow the price.

use domain::{ExchangeOrderStatus as S, OrderType, Ratio, Side, TimeInForce};

use super::tests::{account, at, balance, exchange, limit, order, p, pair, q, symbol, trade};
use super::*;

/// Five prices from 100.01 up and 99.99 down, each with 100 USDT: 0.999 BTC, and 1 BTC or a little more below.
fn thin() -> Model {
    let mut model = exchange();
    let settings = ModelSettings { level_notional: "100".parse().unwrap(), levels_max: 3, ..ModelSettings::default() };
    model.set_settings(settings);
    model
}

#[test]
fn a_market_order_walks_the_book_and_expires_beyond_it() {
    let mut model = thin();
    let mut events = Vec::new();
    let bought = model.place(&account(), &order("a", Side::Buy, OrderType::Market, "2.5"), at(1), &mut events).unwrap();
    let fills: Vec<_> = model.trades(&account(), &symbol(), None, 9).iter().map(|it| (it.price, it.quantity)).collect();
    assert_eq!(fills, [(p("100.01"), q("0.999")), (p("100.02"), q("0.999")), (p("100.03"), q("0.502"))]);
    assert_eq!(bought.status, S::Filled);
    let sold = model.place(&account(), &order("b", Side::Sell, OrderType::Market, "9"), at(2), &mut events).unwrap();
    assert_eq!((sold.status.clone(), sold.executed_quantity), (S::Expired, q("3")));
    assert_eq!(sold.expiry_reason, Some(ExpiryReason::InsufficientLiquidity));
    assert_eq!(balance(&model, "BTC").1, "0");
}

#[test]
fn what_a_thin_book_leaves_of_a_limit_order_lives_by_its_time_in_force() {
    for (tif, status, executed, reason) in [
        (TimeInForce::Gtc, S::PartiallyFilled, "1.998", None),
        (TimeInForce::Ioc, S::Expired, "1.998", Some(ExpiryReason::UnfilledIocQuantityExpired)),
        (TimeInForce::Fok, S::Expired, "0", Some(ExpiryReason::UnfilledFokOrderExpired)),
    ] {
        let mut model = thin();
        let order = NewOrder { time_in_force: Some(tif), ..limit("a", Side::Buy, "5", "100.02") };
        let view = model.place(&account(), &order, at(1), &mut Vec::new()).unwrap();
        assert_eq!((view.status, view.executed_quantity, view.expiry_reason), (status, q(executed), reason), "{tif:?}");
        let locked = if tif == TimeInForce::Gtc { "300.26004" } else { "0" };
        assert_eq!(balance(&model, "USDT").1, locked, "{tif:?}");
    }
}

#[test]
fn a_quote_quantity_is_spent_price_by_price() {
    let mut model = thin();
    let spend = NewOrder {
        quantity: None,
        quote_quantity: Some("150".parse().unwrap()),
        ..order("a", Side::Buy, OrderType::Market, "1")
    };
    let bought = model.place(&account(), &spend, at(1), &mut Vec::new()).unwrap();
    assert_eq!((bought.status, bought.executed_quantity), (S::Filled, q("1.499")));
    assert!(bought.cumulative_quote <= "150".parse().unwrap());
    let all = NewOrder { quote_quantity: Some("400".parse().unwrap()), ..spend };
    let bought = model.place(&account(), &all, at(2), &mut Vec::new()).unwrap();
    assert_eq!((bought.status, bought.executed_quantity), (S::Expired, q("2.997")));
}

#[test]
fn a_slow_market_fills_a_share_by_each_trade() {
    let mut model = exchange();
    let fill_share_max = Ratio::new("0.1".parse().unwrap()).unwrap();
    model.set_settings(ModelSettings { fill_share_max, ..ModelSettings::default() });
    let placed = model.place(&account(), &limit("a", Side::Buy, "5", "99"), at(1), &mut Vec::new()).unwrap();
    let executed = |model: &Model| {
        model.order(&account(), &symbol(), &OrderRef::Exchange(placed.order_id)).unwrap().executed_quantity
    };
    model.on_trade(&trade(2, "99", "2"), &mut Vec::new());
    assert_eq!(executed(&model), q("0.2"), "a tenth of what was printed at the price");
    model.on_trade(&trade(3, "98", "100"), &mut Vec::new());
    assert_eq!(executed(&model), q("0.7"), "a tenth of the order where the print is beyond it");
    (0..20).for_each(|at| model.on_trade(&trade(4 + at, "98", "100"), &mut Vec::new()));
    assert_eq!(executed(&model), q("5"));
    assert_eq!(balance(&model, "USDT"), pair("9505", "0"));
}

fn follower(side: Side, stop: Option<&str>) -> NewOrder {
    NewOrder { stop_price: stop.map(p), trailing_delta: Some(500), ..order("t", side, OrderType::StopLoss, "1") }
}

fn prints(model: &mut Model, prices: &[&str]) -> Vec<bool> {
    let print = |price: &&str| {
        model.on_trade(&trade(9, price, "1"), &mut Vec::new());
        model.open_orders(&account(), None).is_empty()
    };
    prices.iter().map(print).collect()
}

#[test]
fn a_trailing_sell_triggers_by_a_fall_from_the_highest_price() {
    let mut model = exchange();
    model.place(&account(), &follower(Side::Sell, None), at(1), &mut Vec::new()).unwrap();
    assert_eq!(prints(&mut model, &["96", "120", "114.01", "110", "100"])[..4], [false, false, false, true]);
}

#[test]
fn a_trailing_order_with_a_stop_price_follows_from_there() {
    let mut model = exchange();
    let placed = model.place(&account(), &follower(Side::Sell, Some("90")), at(1), &mut Vec::new()).unwrap();
    assert_eq!(placed.trailing.unwrap().since, None);
    // A fall by more than 5 % that has not reached the stop price triggers nothing; the first trade there is the highest.
    assert_eq!(prints(&mut model, &["120", "91", "90", "86", "100", "95"]), [false, false, false, false, false, true]);
    let mut model = exchange();
    model.place(&account(), &follower(Side::Buy, Some("110")), at(1), &mut Vec::new()).unwrap();
    assert_eq!(prints(&mut model, &["80", "110", "100", "104.99", "105"]), [false, false, false, false, true]);
}
