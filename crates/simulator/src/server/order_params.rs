//! Orders and order lists as parameters of a request: one order, or several whose parameters have prefixes.
//!
//! Anything may come in; whatever is no order is refused in the exchange's words, with the parameter's own name.

use domain::{ClientOrderId, Notional, OrderType, Quantity, Side, TimeInForce};

use super::params::{Params, word};
use crate::model::{CancelRestriction, ListRef, NewOrder, OrderListId, Refusal, StpMode};

/// Makes client ids for orders that have none.
pub(super) type Generate<'a> = &'a mut dyn FnMut() -> ClientOrderId;

/// Where the parameters of one order are.
#[derive(Debug, Clone, Copy)]
struct Names {
    /// Before every name but side and quantity: `above` makes `abovePrice`.
    prefix: &'static str,
    side: &'static str,
    quantity: &'static str,
    client_id: &'static str,
}

impl Names {
    const PLAIN: Names = Names { prefix: "", side: "side", quantity: "quantity", client_id: "newClientOrderId" };

    /// `price` is `abovePrice` where the prefix is `above`.
    fn of(self, name: &str) -> String {
        match (self.prefix, name.split_at_checked(1)) {
            ("", _) | (_, None) => name.to_owned(),
            (prefix, Some((first, rest))) => format!("{prefix}{}{rest}", first.to_uppercase()),
        }
    }
}

/// An OCO as it is asked for.
#[derive(Debug, Clone)]
pub(super) struct OcoParams {
    pub(super) above: NewOrder,
    pub(super) below: NewOrder,
}

/// An OTO (or OPO) as it is asked for.
#[derive(Debug, Clone)]
pub(super) struct OtoParams {
    pub(super) working: NewOrder,
    pub(super) pending: NewOrder,
}

/// An OTOCO (or OPOCO) as it is asked for.
#[derive(Debug, Clone)]
pub(super) struct OtocoParams {
    pub(super) working: NewOrder,
    pub(super) pair: OcoParams,
}

const WORKING: Names =
    Names { prefix: "working", side: "workingSide", quantity: "workingQuantity", client_id: "workingClientOrderId" };

/// What the deprecated OCO calls the parameters of its two orders.
const OLD_LIMIT: [(&str, &str); 5] = [
    ("price", "Price"),
    ("limitClientOrderId", "ClientOrderId"),
    ("limitIcebergQty", "IcebergQty"),
    ("limitStrategyId", "StrategyId"),
    ("limitStrategyType", "StrategyType"),
];
/// See [`OLD_LIMIT`].
const OLD_STOP: [(&str, &str); 8] = [
    ("stopPrice", "StopPrice"),
    ("stopLimitPrice", "Price"),
    ("stopLimitTimeInForce", "TimeInForce"),
    ("stopClientOrderId", "ClientOrderId"),
    ("stopIcebergQty", "IcebergQty"),
    ("stopStrategyId", "StrategyId"),
    ("stopStrategyType", "StrategyType"),
    ("trailingDelta", "TrailingDelta"),
];

impl Params {
    /// The order that is asked for.
    pub(super) fn new_order(&self, generate: Generate<'_>) -> Result<NewOrder, Refusal> {
        self.leg(Names::PLAIN, None, generate)
    }

    /// The pair of `orderList/oco`.
    pub(super) fn oco(&self, generate: Generate<'_>) -> Result<OcoParams, Refusal> {
        self.need("quantity")?;
        let names = |prefix, client_id| Names { prefix, side: "side", quantity: "quantity", client_id };
        Ok(OcoParams {
            above: self.leg(names("above", "aboveClientOrderId"), None, generate)?,
            below: self.leg(names("below", "belowClientOrderId"), None, generate)?,
        })
    }

    /// The orders of `orderList/oto`; `orderList/opo` has no pending quantity.
    pub(super) fn oto(&self, generate: Generate<'_>, follows_fill: bool) -> Result<OtoParams, Refusal> {
        let working = self.leg(WORKING, None, generate)?;
        let names = Names {
            prefix: "pending",
            side: "pendingSide",
            quantity: "pendingQuantity",
            client_id: "pendingClientOrderId",
        };
        let pending = self.leg(names, working.quantity.filter(|_| follows_fill), generate)?;
        Ok(OtoParams { working, pending })
    }

    /// The orders of `orderList/otoco`; `orderList/opoco` has no pending quantity.
    pub(super) fn otoco(&self, generate: Generate<'_>, follows_fill: bool) -> Result<OtocoParams, Refusal> {
        let working = self.leg(WORKING, None, generate)?;
        let later = working.quantity.filter(|_| follows_fill);
        let names = |prefix, client_id| Names { prefix, side: "pendingSide", quantity: "pendingQuantity", client_id };
        let above = self.leg(names("pendingAbove", "pendingAboveClientOrderId"), later, generate)?;
        let below = self.leg(names("pendingBelow", "pendingBelowClientOrderId"), later, generate)?;
        Ok(OtocoParams { working, pair: OcoParams { above, below } })
    }

    /// The parameters of the deprecated `order/oco` under the names of `orderList/oco`.
    pub(super) fn old_oco(&self) -> Result<Params, Refusal> {
        let side: Side = word(self.need("side")?).ok_or_else(|| Refusal::new(-1117, "Invalid side."))?;
        for name in ["quantity", "price", "stopPrice"] {
            self.need(name)?;
        }
        let (limit, stop) = if side == Side::Sell { ("above", "below") } else { ("below", "above") };
        let mut params = self.clone();
        for (prefix, names) in [(limit, OLD_LIMIT.as_slice()), (stop, OLD_STOP.as_slice())] {
            for (old, new) in names {
                if let Some(value) = self.get(old) {
                    params.set(&format!("{prefix}{new}"), value);
                }
            }
        }
        params.set(&format!("{limit}Type"), "LIMIT_MAKER");
        let has_limit = self.get("stopLimitPrice").is_some();
        params.set(&format!("{stop}Type"), if has_limit { "STOP_LOSS_LIMIT" } else { "STOP_LOSS" });
        Ok(params)
    }

    /// The client's id of a list, new or meant.
    pub(super) fn list_id(&self, generate: Generate<'_>) -> Result<ClientOrderId, Refusal> {
        Ok(self.client_id("listClientOrderId")?.unwrap_or_else(generate))
    }

    /// The list that is meant; `by_client` is the name of its client id in this request.
    pub(super) fn list_ref(&self, by_client: &str) -> Result<ListRef, Refusal> {
        if let Some(id) = self.id("orderListId")? {
            return Ok(ListRef::Exchange(OrderListId(id)));
        }
        match self.client_id(by_client)? {
            Some(id) => Ok(ListRef::Client(id)),
            None => Err(Refusal::new(
                -1102,
                format!("Param '{by_client}' or 'orderListId' must be sent, but both were empty/null!"),
            )),
        }
    }

    pub(super) fn cancel_restriction(&self) -> Result<Option<CancelRestriction>, Refusal> {
        let invalid = "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`.";
        let read = |text| word(text).ok_or_else(|| Refusal::new(-1145, invalid));
        self.get("cancelRestrictions").map(read).transpose()
    }

    /// A truth value; anything but `true` and `false` is refused.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false" | "FALSE") => Ok(false),
            Some("true" | "TRUE") => Ok(true),
            Some(_) => Err(Refusal::illegal(name, "true|false")),
        }
    }

    pub(super) fn quantity(&self, name: &str) -> Result<Option<Quantity>, Refusal> {
        let value = self.decimal(name)?;
        value.map(|value| Quantity::new(value).map_err(|_| Refusal::filter("LOT_SIZE"))).transpose()
    }

    /// One order; `quantity` is its quantity where it is not asked for.
    fn leg(&self, names: Names, quantity: Option<Quantity>, generate: Generate<'_>) -> Result<NewOrder, Refusal> {
        let symbol = self.symbol()?;
        let side: Side = word(self.need(names.side)?).ok_or_else(|| Refusal::new(-1117, "Invalid side."))?;
        let order_type: OrderType =
            word(self.need(&names.of("type"))?).ok_or_else(|| Refusal::new(-1116, "Invalid orderType."))?;
        let invalid_time = || Refusal::new(-1115, "Invalid timeInForce.");
        let time: Option<TimeInForce> =
            self.get(&names.of("timeInForce")).map(|text| word(text).ok_or_else(invalid_time)).transpose()?;
        self.check_presence(names, order_type)?;
        let quantity = match quantity {
            Some(quantity) => Some(quantity),
            None => self.quantity(names.quantity)?,
        };
        if !names.prefix.is_empty() && quantity.is_none() {
            return Err(Refusal::missing(names.quantity));
        }
        let total = if names.prefix.is_empty() { self.decimal("quoteOrderQty")? } else { None };
        let trailing_delta = self.id(&names.of("trailingDelta"))?;
        Ok(NewOrder {
            client_order_id: self.client_id(names.client_id)?.unwrap_or_else(generate),
            symbol,
            side,
            order_type,
            quantity,
            quote_quantity: total.map(|value| Notional::new(value).unwrap_or_default()),
            price: self.price(&names.of("price"))?,
            stop_price: self.price(&names.of("stopPrice"))?,
            time_in_force: time,
            iceberg_quantity: self.quantity(&names.of("icebergQty"))?.filter(|quantity| !quantity.is_zero()),
            trailing_delta: trailing_delta.map(|delta| u32::try_from(delta).unwrap_or(u32::MAX)),
            strategy_id: self.integer(&names.of("strategyId"))?,
            strategy_type: self.integer(&names.of("strategyType"))?,
            self_trade_prevention: self.self_trade_prevention()?,
        })
    }

    fn self_trade_prevention(&self) -> Result<Option<StpMode>, Refusal> {
        let refused = "This symbol does not allow the specified self-trade prevention mode.";
        let read = |text| word(text).ok_or_else(|| Refusal::new(-1013, refused));
        self.get("selfTradePreventionMode").map(read).transpose()
    }

    /// What the type needs, and what it has no place for.
    fn check_presence(&self, names: Names, order_type: OrderType) -> Result<(), Refusal> {
        let has_time = match order_type {
            OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit => true,
            OrderType::Market | OrderType::LimitMaker | OrderType::StopLoss | OrderType::TakeProfit => false,
        };
        let has_trailing = self.get(&names.of("trailingDelta")).is_some();
        for (name, is_allowed, is_needed) in [
            ("timeInForce", has_time, has_time),
            ("price", order_type.has_limit(), order_type.has_limit()),
            ("stopPrice", order_type.has_trigger(), order_type.has_trigger() && !has_trailing),
            ("trailingDelta", order_type.has_trigger(), false),
        ] {
            let name = names.of(name);
            match self.get(&name) {
                Some(_) if !is_allowed => return Err(Refusal::not_required(&name)),
                None if is_needed => return Err(Refusal::missing(&name)),
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}
