//! Whether an order may be placed, and what would become of it: parameters, filters, rules, funds, in the exchange's order.
//!
//! It must never change the model, so that a test order and a real one are judged alike.

use domain::{Decimal, Instrument, Notional, OrderType, Price, Quantity, Side, SymbolStatus, TimeInForce};

use super::account::amount;
use super::symbol::{SymbolState, triggers_above};
use super::types::{AccountId, NewOrder};
use super::{Model, Refusal};

/// What becomes of an order when it meets the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It fills in full at this price.
    Take(Price),
    /// It goes on the book.
    Rest,
    /// It waits for its trigger.
    Wait,
    /// It ends with nothing filled.
    Expire,
}

/// An order that may be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    pub(super) quantity: Quantity,
    pub(super) price: Option<Price>,
    pub(super) stop_price: Option<Price>,
    pub(super) time_in_force: TimeInForce,
    pub(super) meeting: Meeting,
}

impl Model {
    /// Judges an order as [`Model::place`] would, without effect.
    ///
    /// # Errors
    /// As [`Model::place`].
    pub fn test(&self, account: &AccountId, order: &NewOrder) -> Result<(), Refusal> {
        self.check(account, order).map(|_| ())
    }

    pub(super) fn check(&self, account: &AccountId, order: &NewOrder) -> Result<Checked, Refusal> {
        self.known(account, &order.symbol)?;
        let state = self.symbols.get(&order.symbol).ok_or_else(|| Refusal::invalid_symbol(&order.symbol))?;
        let instrument = &state.instrument;
        check_parameters(order)?;
        if instrument.status != SymbolStatus::Trading {
            return Err(Refusal::market_closed());
        }
        check_type(order.order_type, instrument)?;
        let price = order.price.filter(|_| order.order_type.has_limit());
        let stop_price = order.stop_price.filter(|_| order.order_type.has_trigger());
        let time_in_force = match order.order_type {
            OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit => order.time_in_force,
            OrderType::Market | OrderType::LimitMaker | OrderType::StopLoss | OrderType::TakeProfit => None,
        }
        .unwrap_or(TimeInForce::Gtc);
        for price in [price, stop_price].into_iter().flatten() {
            check_price(price, instrument)?;
        }
        let meeting = if order.order_type.has_trigger() {
            Meeting::Wait
        } else {
            self.meet(state, order.side, price, time_in_force)
        };
        let quantity = self.quantity_of(order, instrument, meeting)?;
        self.check_filters(order, state, quantity, price.or(stop_price), meeting)?;
        let checked = Checked { quantity, price, stop_price, time_in_force, meeting };
        self.check_engine(account, order, state, &checked)?;
        Ok(checked)
    }

    /// What a working order without trigger meets now.
    pub(super) fn meet(
        &self,
        state: &SymbolState,
        side: Side,
        limit: Option<Price>,
        time_in_force: TimeInForce,
    ) -> Meeting {
        let best = state.best(self.settings.half_spread);
        let best = best.map(|(bid, ask)| if side == Side::Buy { ask } else { bid });
        let Some(limit) = limit else {
            return best.and_then(|best| self.slipped(state, side, best)).map_or(Meeting::Expire, Meeting::Take);
        };
        match best {
            Some(best) if side == Side::Buy && limit >= best => Meeting::Take(best),
            Some(best) if side == Side::Sell && limit <= best => Meeting::Take(best),
            _ if time_in_force == TimeInForce::Gtc => Meeting::Rest,
            _ => Meeting::Expire,
        }
    }

    /// The best price moved against a market order; never below one tick.
    fn slipped(&self, state: &SymbolState, side: Side, best: Price) -> Option<Price> {
        if self.settings.slippage.is_zero() {
            return Some(best);
        }
        let tick = state.instrument.tick_size;
        match side {
            Side::Buy => best.moved_by(self.settings.slippage)?.ceil_to(tick),
            Side::Sell => {
                let moved = best.moved_by(-self.settings.slippage).and_then(|price| price.floor_to(tick));
                moved.or_else(|| Price::new(tick).ok())
            }
        }
    }

    fn quantity_of(&self, order: &NewOrder, instrument: &Instrument, meeting: Meeting) -> Result<Quantity, Refusal> {
        match (order.quantity, order.quote_quantity, meeting) {
            (Some(quantity), ..) => Ok(quantity),
            (None, Some(total), Meeting::Take(price)) => {
                let quantity = instrument.round_quantity(total.quantity_at(price));
                if quantity.is_positive() { Ok(quantity) } else { Err(Refusal::filter("LOT_SIZE")) }
            }
            (None, Some(_), _) => Ok(Quantity::ZERO),
            (None, None, _) => Err(Refusal::missing("quantity")),
        }
    }

    fn check_filters(
        &self,
        order: &NewOrder,
        state: &SymbolState,
        quantity: Quantity,
        price: Option<Price>,
        meeting: Meeting,
    ) -> Result<(), Refusal> {
        let instrument = &state.instrument;
        let unpriced_total = order.quantity.is_none() && meeting == Meeting::Expire;
        if !unpriced_total {
            check_lot(quantity, instrument)?;
        }
        let reference = price.or(match meeting {
            Meeting::Take(price) => Some(price),
            Meeting::Rest | Meeting::Wait | Meeting::Expire => state.last.map(|last| last.price),
        });
        let notional = reference.map(|price| price.times(quantity));
        if !unpriced_total && notional.is_some_and(|notional| notional < instrument.notional_min) {
            return Err(Refusal::filter("NOTIONAL"));
        }
        Ok(())
    }

    /// What the engine itself refuses: duplicates, wrong sides, empty pockets.
    fn check_engine(
        &self,
        account: &AccountId,
        order: &NewOrder,
        state: &SymbolState,
        checked: &Checked,
    ) -> Result<(), Refusal> {
        if self.book(account, &order.symbol).is_some_and(|book| book.has_open(&order.client_order_id)) {
            return Err(Refusal::duplicate());
        }
        if let (Some(stop), Some(last)) = (checked.stop_price, &state.last) {
            let above = triggers_above(order.order_type, order.side);
            if (above && last.price >= stop) || (!above && last.price <= stop) {
                return Err(Refusal::would_trigger());
            }
        }
        if order.order_type == OrderType::LimitMaker && matches!(checked.meeting, Meeting::Take(_)) {
            return Err(Refusal::would_match());
        }
        let account = self.accounts.get(account).ok_or_else(Refusal::unknown_account)?;
        let (asset, needed) = match order.side {
            Side::Sell => (&state.instrument.base, checked.quantity),
            Side::Buy => (&state.instrument.quote, amount(cost(checked))),
        };
        if needed > account.free(asset) { Err(Refusal::insufficient_balance()) } else { Ok(()) }
    }
}

/// What a BUY may cost at most: at its limit, its stop, or what it takes at.
fn cost(checked: &Checked) -> Notional {
    let taken = match checked.meeting {
        Meeting::Take(price) => Some(price),
        Meeting::Rest | Meeting::Wait | Meeting::Expire => None,
    };
    let price = checked.price.or(checked.stop_price).or(taken);
    price.map_or(Notional::ZERO, |price| price.times(checked.quantity))
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
    let needs_time = match order.order_type {
        OrderType::Limit | OrderType::StopLossLimit | OrderType::TakeProfitLimit => true,
        OrderType::Market | OrderType::LimitMaker | OrderType::StopLoss | OrderType::TakeProfit => false,
    };
    if needs_time && order.time_in_force.is_none() {
        return Err(Refusal::missing("timeInForce"));
    }
    if order.order_type.has_limit() && order.price.is_none() {
        return Err(Refusal::missing("price"));
    }
    if order.order_type.has_trigger() && order.stop_price.is_none() {
        return Err(Refusal::missing("stopPrice"));
    }
    Ok(())
}

fn check_type(order_type: OrderType, instrument: &Instrument) -> Result<(), Refusal> {
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

fn is_multiple(value: Decimal, step: Decimal) -> bool {
    step <= Decimal::ZERO || (value % step).is_zero()
}

fn check_price(price: Price, instrument: &Instrument) -> Result<(), Refusal> {
    if is_multiple(price.value(), instrument.tick_size) { Ok(()) } else { Err(Refusal::filter("PRICE_FILTER")) }
}

fn check_lot(quantity: Quantity, instrument: &Instrument) -> Result<(), Refusal> {
    let above = instrument.quantity_max.is_positive() && quantity > instrument.quantity_max;
    let below = !quantity.is_positive() || quantity < instrument.quantity_min;
    if above || below || !is_multiple(quantity.value(), instrument.step_size) {
        return Err(Refusal::filter("LOT_SIZE"));
    }
    Ok(())
}
