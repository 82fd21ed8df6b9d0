//! The parameters of new orders, alone and in lists, as the exchange spells them.
//!
//! It must never send a price that the type does not have, nor leave one out that it needs.

use domain::{OrderSpec, OrderType, Purpose, Side, TimeInForce};

use super::sign::Query;
use super::wire::order_type_word;

/// The parameters of one order, without those of the signature.
///
/// # Errors
/// Names the price that the type of the order needs and that it does not have.
pub(crate) fn parameters(spec: &OrderSpec) -> Result<Query, &'static str> {
    let query = Query::new()
        .with("symbol", &spec.symbol)
        .with("side", spec.side)
        .with("type", order_type_word(spec.order_type))
        .with("quantity", spec.quantity.normalized())
        .with("newClientOrderId", &spec.client_order_id)
        .with("newOrderRespType", "FULL");
    let query = prices(query, spec, &["price", "timeInForce", "stopPrice"])?;
    Ok(self_trade_prevention(query, spec))
}

/// The parameters of a one-cancels-the-other list: `stop` against the position, `target` in its favour. A list that
/// sells has its target above the market and its stop below; one that buys is mirrored.
///
/// # Errors
/// Names what does not make a list.
pub(crate) fn list_parameters(stop: &OrderSpec, target: &OrderSpec) -> Result<Query, &'static str> {
    if (&stop.symbol, stop.side, stop.quantity) != (&target.symbol, target.side, target.quantity) {
        return Err("the legs of a list must have one symbol, one side and one quantity");
    }
    if stop.client_order_id == target.client_order_id {
        return Err("the legs of a list must have two ids");
    }
    if !matches!(stop.order_type, OrderType::StopLoss | OrderType::StopLossLimit) {
        return Err("the first leg of a list must be a stop");
    }
    if !matches!(target.order_type, OrderType::LimitMaker | OrderType::TakeProfit | OrderType::TakeProfitLimit) {
        return Err("the other leg of a list must be a take-profit");
    }
    let query =
        Query::new().with("symbol", &stop.symbol).with("side", stop.side).with("quantity", stop.quantity.normalized());
    let (above, below) = match stop.side {
        Side::Sell => (target, stop),
        Side::Buy => (stop, target),
    };
    let query =
        query.with("aboveType", order_type_word(above.order_type)).with("aboveClientOrderId", &above.client_order_id);
    let query = prices(query, above, &["abovePrice", "aboveTimeInForce", "aboveStopPrice"])?;
    let query =
        query.with("belowType", order_type_word(below.order_type)).with("belowClientOrderId", &below.client_order_id);
    let query = prices(query, below, &["belowPrice", "belowTimeInForce", "belowStopPrice"])?;
    Ok(self_trade_prevention(query.with("newOrderRespType", "FULL"), stop))
}

/// The prices that the type of `spec` has, under the names given: limit, time in force, trigger.
fn prices(mut query: Query, spec: &OrderSpec, names: &[&'static str; 3]) -> Result<Query, &'static str> {
    let [limit, time_in_force, trigger] = names;
    if spec.order_type.has_limit() {
        let price = spec.price.ok_or("the order's type needs a price")?;
        query = query.with(limit, price.value().normalize());
        if spec.order_type != OrderType::LimitMaker {
            query = query.with(time_in_force, time_in_force_word(spec.time_in_force));
        }
    }
    if spec.order_type.has_trigger() {
        let stop_price = spec.stop_price.ok_or("the order's type needs a trigger price")?;
        query = query.with(trigger, stop_price.value().normalize());
    }
    Ok(query)
}

/// An entry that would meet an order of our own ends instead of it: what rests may be a protection. Exits leave the mode
/// to the account.
fn self_trade_prevention(query: Query, spec: &OrderSpec) -> Query {
    match spec.purpose {
        Purpose::Entry => query.with("selfTradePreventionMode", "EXPIRE_TAKER"),
        Purpose::Exit(_) => query,
    }
}

const fn time_in_force_word(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}

#[cfg(test)]
mod tests {
    use domain::{ExitKind, Price, ReasonCode};

    use super::*;

    fn spec(order_type: OrderType, price: Option<&str>, stop_price: Option<&str>) -> OrderSpec {
        let parsed = |text: &str| text.parse::<Price>().unwrap();
        OrderSpec {
            client_order_id: "vg-a-1-1".parse().unwrap(),
            instance: "a".parse().unwrap(),
            symbol: "币USDT".parse().unwrap(),
            side: Side::Sell,
            order_type,
            purpose: Purpose::Exit(ExitKind::Protective),
            quantity: "1.50000".parse().unwrap(),
            price: price.map(parsed),
            stop_price: stop_price.map(parsed),
            time_in_force: TimeInForce::Ioc,
            reason: ReasonCode::ExitStopLoss,
            oco: None,
        }
    }

    #[test]
    fn every_type_sends_what_it_needs_and_no_more() {
        let (price, stop) = (Some("10.50"), Some("9.90"));
        let cases = [
            (OrderType::Market, "MARKET", ""),
            (OrderType::Limit, "LIMIT", "&price=10.5&timeInForce=IOC"),
            (OrderType::LimitMaker, "LIMIT_MAKER", "&price=10.5"),
            (OrderType::StopLoss, "STOP_LOSS", "&stopPrice=9.9"),
            (OrderType::StopLossLimit, "STOP_LOSS_LIMIT", "&price=10.5&timeInForce=IOC&stopPrice=9.9"),
            (OrderType::TakeProfit, "TAKE_PROFIT", "&stopPrice=9.9"),
            (OrderType::TakeProfitLimit, "TAKE_PROFIT_LIMIT", "&price=10.5&timeInForce=IOC&stopPrice=9.9"),
        ];
        for (order_type, word, rest) in cases {
            let expected = format!(
                "symbol=%E5%B8%81USDT&side=SELL&type={word}&quantity=1.5&newClientOrderId=vg-a-1-1&newOrderRespType=FULL{rest}"
            );
            assert_eq!(parameters(&spec(order_type, price, stop)).unwrap().as_str(), expected);
            assert_eq!(parameters(&spec(order_type, None, stop)).is_err(), order_type.has_limit());
            assert_eq!(parameters(&spec(order_type, price, None)).is_err(), order_type.has_trigger());
            let entry = OrderSpec { purpose: Purpose::Entry, ..spec(order_type, price, stop) };
            let expected = format!("{expected}&selfTradePreventionMode=EXPIRE_TAKER");
            assert_eq!(parameters(&entry).unwrap().as_str(), expected);
        }
    }

    fn target(order_type: OrderType, side: Side) -> OrderSpec {
        let id = "vg-a-1-2".parse().unwrap();
        OrderSpec { client_order_id: id, side, ..spec(order_type, Some("12"), Some("11.90")) }
    }

    #[test]
    fn a_list_that_sells_has_its_target_above_and_one_that_buys_below() {
        let (stop, market) =
            ("belowType=STOP_LOSS&belowClientOrderId=vg-a-1-1&belowStopPrice=9.9", OrderType::StopLoss);
        let limited = "belowType=STOP_LOSS_LIMIT&belowClientOrderId=vg-a-1-1&belowPrice=9.8&belowTimeInForce=IOC&belowStopPrice=9.9";
        let sells = [
            (OrderType::LimitMaker, market, "aboveType=LIMIT_MAKER&aboveClientOrderId=vg-a-1-2&abovePrice=12", stop),
            (
                OrderType::TakeProfit,
                market,
                "aboveType=TAKE_PROFIT&aboveClientOrderId=vg-a-1-2&aboveStopPrice=11.9",
                stop,
            ),
            (
                OrderType::TakeProfitLimit,
                OrderType::StopLossLimit,
                "aboveType=TAKE_PROFIT_LIMIT&aboveClientOrderId=vg-a-1-2&abovePrice=12&aboveTimeInForce=IOC&aboveStopPrice=11.9",
                limited,
            ),
        ];
        for (target_type, stop_type, above, below) in sells {
            let made = |side| {
                let stop = OrderSpec { side, ..spec(stop_type, Some("9.80"), Some("9.90")) };
                list_parameters(&stop, &target(target_type, side)).unwrap()
            };
            let head = |side| format!("symbol=%E5%B8%81USDT&side={side}&quantity=1.5");
            let sell = format!("{}&{above}&{below}&newOrderRespType=FULL", head("SELL"));
            assert_eq!(made(Side::Sell).as_str(), sell);
            let (above, below) = (below.replace("below", "above"), above.replace("above", "below"));
            assert_eq!(made(Side::Buy).as_str(), format!("{}&{above}&{below}&newOrderRespType=FULL", head("BUY")));
        }
    }

    #[test]
    fn what_is_no_list_is_not_sent_as_one() {
        let stop = spec(OrderType::StopLoss, None, Some("9.9"));
        let good = target(OrderType::LimitMaker, Side::Sell);
        assert!(list_parameters(&stop, &good).is_ok());
        let cases = [
            (stop.clone(), OrderSpec { quantity: "1".parse().unwrap(), ..good.clone() }),
            (stop.clone(), OrderSpec { side: Side::Buy, ..good.clone() }),
            (stop.clone(), OrderSpec { symbol: "BTCUSDT".parse().unwrap(), ..good.clone() }),
            (stop.clone(), OrderSpec { client_order_id: stop.client_order_id.clone(), ..good.clone() }),
            (stop.clone(), OrderSpec { price: None, ..good.clone() }),
            (stop.clone(), OrderSpec { order_type: OrderType::Limit, ..good.clone() }),
            (OrderSpec { order_type: OrderType::Market, ..stop.clone() }, good.clone()),
            (OrderSpec { stop_price: None, ..stop.clone() }, good.clone()),
        ];
        for (stop, target) in cases {
            assert!(list_parameters(&stop, &target).is_err(), "{stop:?} {target:?}");
        }
    }
}
