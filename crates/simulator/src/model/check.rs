//! Whether an order may be placed, and what would become of it: parameters, filters, rules, funds, in the exchange's order.
//!
//! It must never change the model, so that a test order and a real one are judged alike.

use domain::{Notional, OrderType, Price, Quantity, Side, TimeInForce};

use super::account::amount;
use super::filters::{Added, is_right_side};
use super::order::{ExpiryReason, NewOrder};
use super::symbol::SymbolState;
use super::types::AccountId;
use super::{Model, Refusal};

/// What becomes of an order when it meets the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It fills at once, at least in part.
    Take,
    /// It goes on the book.
    Rest,
    /// It waits for its trigger.
    Wait,
    /// It ends with nothing filled.
    Expire(ExpiryReason),
}

/// An order that may be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    pub(super) quantity: Quantity,
    pub(super) price: Option<Price>,
    pub(super) stop_price: Option<Price>,
    pub(super) time_in_force: TimeInForce,
    pub(super) meeting: Meeting,
    /// The first price that it would fill at.
    pub(super) first: Option<Price>,
    /// What a BUY may cost at most: at its limit, its stop, or what it takes at.
    cost: Notional,
}

impl Model {
    /// Judges an order as [`Model::place`] would, without effect, but for the funds: a test never reaches the engine.
    ///
    /// # Errors
    /// As [`Model::place`].
    pub fn test(&self, account: &AccountId, order: &NewOrder) -> Result<(), Refusal> {
        let (state, checked) = self.check_shape(account, order)?;
        self.check_sides(order, state, &checked)
    }

    /// What is judged before a cancel-replace does anything: parameters, the symbol, the filters.
    ///
    /// # Errors
    /// The exchange's refusal.
    pub fn check_before(&self, account: &AccountId, order: &NewOrder) -> Result<(), Refusal> {
        self.check_shape(account, order).map(|_| ())
    }

    pub(super) fn check(&self, account: &AccountId, order: &NewOrder) -> Result<Checked, Refusal> {
        let (state, checked) = self.check_shape(account, order)?;
        self.check_duplicate(account, order)?;
        self.check_sides(order, state, &checked)?;
        if order.order_type == OrderType::LimitMaker && self.would_meet_itself(account, order, state) {
            return Err(Refusal::would_match());
        }
        self.check_funds(account, order.side, state, &[checked])?;
        Ok(checked)
    }

    /// What is judged before the engine: parameters, the symbol, the filters.
    pub(super) fn check_shape(
        &self,
        account: &AccountId,
        order: &NewOrder,
    ) -> Result<(&SymbolState, Checked), Refusal> {
        let (state, checked) = self.check_alone(account, order, false)?;
        self.check_counts(account, state, Added::by(&[order], 0))?;
        Ok((state, checked))
    }

    /// As [`Model::check_shape`] without what depends on other orders; one that is sized later has no quantity yet.
    pub(super) fn check_alone(
        &self,
        account: &AccountId,
        order: &NewOrder,
        is_sized_later: bool,
    ) -> Result<(&SymbolState, Checked), Refusal> {
        self.known(account, &order.symbol)?;
        let state = self.symbols.get(&order.symbol).ok_or_else(|| Refusal::invalid_symbol(&order.symbol))?;
        check_parameters(order)?;
        self.check_open(state)?;
        check_type(order.order_type, &state.instrument)?;
        let price = order.price.filter(|_| order.order_type.has_limit());
        let stop_price = order.stop_price.filter(|_| order.order_type.has_trigger());
        let time_in_force =
            order.time_in_force.filter(|_| has_time_in_force(order.order_type)).unwrap_or(TimeInForce::Gtc);
        let quantity = self.quantity_of(order, state)?;
        let meeting = if order.order_type.has_trigger() {
            Meeting::Wait
        } else {
            self.meet(state, order.side, price, time_in_force, quantity)
        };
        let offers =
            if meeting == Meeting::Take { self.offers(state, order.side, price, quantity) } else { Vec::new() };
        let taken: Notional = offers.iter().map(|(price, quantity)| price.times(*quantity)).sum();
        let cost = price.or(stop_price).map_or(taken, |price| price.times(quantity));
        let first = offers.first().map(|(price, _)| *price);
        let checked = Checked { quantity, price, stop_price, time_in_force, meeting, first, cost };
        self.check_filters(order, state, &checked, is_sized_later)?;
        Ok((state, checked))
    }

    fn quantity_of(&self, order: &NewOrder, state: &SymbolState) -> Result<Quantity, Refusal> {
        match (order.quantity, order.quote_quantity) {
            (Some(quantity), _) => Ok(quantity),
            (None, Some(total)) => {
                let quantity = self.quantity_for(state, order.side, total);
                if quantity.is_some_and(|quantity| !quantity.is_positive()) {
                    return Err(Refusal::filter("LOT_SIZE"));
                }
                Ok(quantity.unwrap_or_default())
            }
            (None, None) => Err(Refusal::missing("quantity")),
        }
    }

    pub(super) fn check_duplicate(&self, account: &AccountId, order: &NewOrder) -> Result<(), Refusal> {
        if self.book(account, &order.symbol).is_some_and(|book| book.has_open(&order.client_order_id)) {
            return Err(Refusal::duplicate());
        }
        Ok(())
    }

    /// What the engine refuses for where the market is.
    pub(super) fn check_sides(&self, order: &NewOrder, state: &SymbolState, checked: &Checked) -> Result<(), Refusal> {
        if let (Some(stop), Some(last), None) = (checked.stop_price, &state.last, order.trailing_delta)
            && !is_right_side(order.order_type, order.side, stop, last.price)
        {
            return Err(Refusal::would_trigger());
        }
        if order.order_type == OrderType::LimitMaker && checked.meeting == Meeting::Take {
            return Err(Refusal::would_match());
        }
        Ok(())
    }

    /// Orders of one side that hold their larger need once: one order, or a pair.
    pub(super) fn check_funds(
        &self,
        account: &AccountId,
        side: Side,
        state: &SymbolState,
        orders: &[Checked],
    ) -> Result<(), Refusal> {
        let owner = self.accounts.get(account).ok_or_else(Refusal::unknown_account)?;
        let quantity = orders.iter().map(|it| it.quantity).max().unwrap_or_default();
        let (asset, needed) = match side {
            Side::Sell => (&state.instrument.base, quantity),
            Side::Buy => {
                self.check_position(owner, state, quantity)?;
                (&state.instrument.quote, amount(orders.iter().map(|it| it.cost).max().unwrap_or_default()))
            }
        };
        if needed > owner.free(asset) { Err(Refusal::insufficient_balance()) } else { Ok(()) }
    }
}

const fn has_time_in_force(order_type: OrderType) -> bool {
    match order_type {
        OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit => true,
        OrderType::Market | OrderType::LimitMaker | OrderType::StopLoss | OrderType::TakeProfit => false,
    }
}

fn check_parameters(order: &NewOrder) -> Result<(), Refusal> {
    let has_total = order.quote_quantity.is_some();
    if order.order_type != OrderType::Market && has_total {
        return Err(Refusal::not_required("quoteOrderQty"));
    }
    if order.quantity.is_some() == has_total {
        return Err(if has_total { Refusal::not_required("quoteOrderQty") } else { Refusal::missing("quantity") });
    }
    if order.quote_quantity.is_some_and(|total| !total.is_positive()) {
        return Err(Refusal::new(-1013, "Invalid quoteOrderQty."));
    }
    if has_time_in_force(order.order_type) && order.time_in_force.is_none() {
        return Err(Refusal::missing("timeInForce"));
    }
    if order.order_type.has_limit() && order.price.is_none() {
        return Err(Refusal::missing("price"));
    }
    if order.order_type.has_trigger() && order.stop_price.is_none() && order.trailing_delta.is_none() {
        return Err(Refusal::missing("stopPrice"));
    }
    if !order.order_type.has_trigger() && order.trailing_delta.is_some() {
        return Err(Refusal::not_required("trailingDelta"));
    }
    if order.iceberg_quantity.is_some() {
        let may_rest = order.time_in_force.is_none_or(|it| it == TimeInForce::Gtc);
        if !order.order_type.has_limit() || !may_rest {
            return Err(Refusal::not_required("icebergQty"));
        }
    }
    if order.strategy_type.is_some_and(|number| number < 1_000_000) {
        return Err(Refusal::new(-1128, "Invalid strategyType: values below 1000000 are reserved."));
    }
    Ok(())
}

fn check_type(order_type: OrderType, instrument: &domain::Instrument) -> Result<(), Refusal> {
    if instrument.order_types.contains(&order_type) {
        return Ok(());
    }
    let name = match order_type {
        OrderType::Market => "Market",
        OrderType::Limit => "Limit",
        OrderType::LimitMaker => "Limit maker",
        OrderType::StopLoss => "Stop loss",
        OrderType::StopLossLimit => "Stop loss limit",
        OrderType::TakeProfit => "Take profit",
        OrderType::TakeProfitLimit => "Take profit limit",
    };
    Err(Refusal::new(-1013, format!("{name} orders are not supported for this symbol.")))
}
