//! The exchange's filters of a symbol: prices, sizes, numbers of open orders.
//!
//! It must never change the model, nor round anything so that it passes.

use domain::{Decimal, Instrument, Notional, OrderType, Price, Quantity, Side, SymbolStatus};

use super::account::Account;
use super::check::Checked;
use super::order::NewOrder;
use super::settings::ModelSettings;
use super::symbol::{SymbolState, triggers_above};
use super::types::AccountId;
use super::{Model, Refusal};

/// ICEBERG_PARTS: an order may be shown in so many parts (100 since 2026-03-12).
pub(crate) const ICEBERG_PARTS_MAX: u32 = 100;
/// TRAILING_DELTA: bounds in basis points, above and below alike.
pub(crate) const TRAILING_DELTA_MIN: u32 = 10;
/// See [`TRAILING_DELTA_MIN`].
pub(crate) const TRAILING_DELTA_MAX: u32 = 2000;
/// MAX_NUM_ORDER_AMENDS: amendments of one order.
pub(crate) const AMENDS_MAX: u32 = 10;

/// How many open orders and lists a request adds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Added {
    pub(super) orders: usize,
    pub(super) algos: usize,
    pub(super) lists: usize,
}

impl Added {
    pub(super) fn by(orders: &[&NewOrder], lists: usize) -> Self {
        let algos = orders.iter().filter(|order| order.order_type.has_trigger()).count();
        Self { orders: orders.len(), algos, lists }
    }
}

impl Model {
    /// All filters but those that count open orders.
    pub(super) fn check_filters(
        &self,
        order: &NewOrder,
        state: &SymbolState,
        checked: &Checked,
        is_sized_later: bool,
    ) -> Result<(), Refusal> {
        let instrument = &state.instrument;
        check_precision(order, instrument)?;
        for price in [checked.price, checked.stop_price].into_iter().flatten() {
            check_price(price, instrument)?;
        }
        if let Some(price) = checked.price {
            check_percent(order.side, price, state, &self.settings)?;
        }
        if let Some(delta) = order.trailing_delta
            && !(TRAILING_DELTA_MIN..=TRAILING_DELTA_MAX).contains(&delta)
        {
            return Err(Refusal::filter("TRAILING_DELTA"));
        }
        let is_unpriced = order.quantity.is_none() && checked.quantity.is_zero();
        if is_sized_later || is_unpriced {
            return Ok(());
        }
        check_lot(checked.quantity, order.order_type == OrderType::Market, instrument)?;
        self.check_notional(order.order_type, state, checked)?;
        order.iceberg_quantity.map_or(Ok(()), |shown| check_iceberg(shown, checked.quantity, instrument))
    }

    /// NOTIONAL, by the limit, the trigger, what it meets, or the last price.
    pub(super) fn check_notional(
        &self,
        order_type: OrderType,
        state: &SymbolState,
        checked: &Checked,
    ) -> Result<(), Refusal> {
        let (instrument, filters) = (&state.instrument, &state.instrument.filters);
        let reference = checked.price.or(checked.stop_price).or(checked.first);
        let Some(reference) = reference.or(state.last.map(|last| last.price)) else { return Ok(()) };
        let (notional, has_limit) = (reference.times(checked.quantity), order_type.has_limit());
        let min_binds = has_limit || filters.notional_min_binds_market;
        let max_binds = has_limit && filters.notional_max > Notional::ZERO;
        if (min_binds && notional < instrument.notional_min) || (max_binds && notional > filters.notional_max) {
            return Err(Refusal::filter(if self.settings.has_old_filters { "MIN_NOTIONAL" } else { "NOTIONAL" }));
        }
        Ok(())
    }

    /// The filters that count what an account has open on the symbol.
    pub(super) fn check_counts(&self, account: &AccountId, state: &SymbolState, added: Added) -> Result<(), Refusal> {
        let filters = &state.instrument.filters;
        let (mut orders, mut algos, mut lists) = (added.orders, added.algos, added.lists);
        if let Some(owner) = self.accounts.get(account) {
            let symbol = &state.instrument.symbol;
            if let Some(book) = owner.books.get(symbol) {
                let open = book.open.iter().filter_map(|id| book.orders.get(id));
                orders += book.open.len();
                algos += open.filter(|order| order.order_type.has_trigger() && !order.working).count();
            }
            if added.lists > 0 {
                lists += owner.lists.values().filter(|list| list.symbol == *symbol && !list.is_done()).count();
            }
        }
        for (name, count, added, max) in [
            ("MAX_NUM_ORDERS", orders, added.orders, filters.orders_max),
            ("MAX_NUM_ALGO_ORDERS", algos, added.algos, filters.algo_orders_max),
            ("MAX_NUM_ORDER_LISTS", lists, added.lists, filters.order_lists_max),
        ] {
            if max > 0 && added > 0 && count > usize::try_from(max).unwrap_or(usize::MAX) {
                return Err(Refusal::filter(name));
            }
        }
        Ok(())
    }

    /// MAX_POSITION: what the account has of the base, with all open buys.
    pub(super) fn check_position(&self, owner: &Account, state: &SymbolState, bought: Quantity) -> Result<(), Refusal> {
        let max = state.instrument.filters.position_max;
        if !max.is_positive() || !bought.is_positive() {
            return Ok(());
        }
        let held = owner.balances.get(&state.instrument.base).map_or(Quantity::ZERO, |it| it.free + it.locked);
        let book = owner.books.get(&state.instrument.symbol);
        let open = book.into_iter().flat_map(|book| book.open.iter().filter_map(|id| book.orders.get(id)));
        let open: Quantity = open.filter(|order| order.side == Side::Buy).map(super::OrderView::remaining).sum();
        if held + open + bought > max {
            return Err(Refusal::new(self.settings.position_max_code, "Filter failure: MAX_POSITION"));
        }
        Ok(())
    }

    pub(super) fn check_open(&self, state: &SymbolState) -> Result<(), Refusal> {
        match &state.instrument.status {
            SymbolStatus::Trading => Ok(()),
            SymbolStatus::Halt | SymbolStatus::Break | SymbolStatus::CancelOnly | SymbolStatus::Other(_) => {
                Err(Refusal::market_closed(self.settings.market_closed_code))
            }
        }
    }
}

fn is_multiple(value: Decimal, step: Decimal) -> bool {
    step <= Decimal::ZERO || (value % step).is_zero()
}

/// -1111: more decimals than the asset has.
fn check_precision(order: &NewOrder, instrument: &Instrument) -> Result<(), Refusal> {
    let (base, quote) = (instrument.filters.base_precision, instrument.filters.quote_precision);
    for (name, value, precision) in [
        ("quantity", order.quantity.map(Quantity::value), base),
        ("icebergQty", order.iceberg_quantity.map(Quantity::value), base),
        ("quoteOrderQty", order.quote_quantity.map(Notional::value), quote),
        ("price", order.price.map(Price::value), quote),
        ("stopPrice", order.stop_price.map(Price::value), quote),
    ] {
        if precision > 0 && value.is_some_and(|value| value.normalize().scale() > precision) {
            return Err(Refusal::new(-1111, format!("Parameter '{name}' has too much precision.")));
        }
    }
    Ok(())
}

fn check_price(price: Price, instrument: &Instrument) -> Result<(), Refusal> {
    let (value, filters) = (price.value(), &instrument.filters);
    let above = filters.price_max > Decimal::ZERO && value > filters.price_max;
    if above || value < filters.price_min || !is_multiple(value, instrument.tick_size) {
        return Err(Refusal::filter("PRICE_FILTER"));
    }
    Ok(())
}

/// PERCENT_PRICE_BY_SIDE around the last price; without one there is nothing to compare with.
fn check_percent(side: Side, price: Price, state: &SymbolState, settings: &ModelSettings) -> Result<(), Refusal> {
    let filters = &state.instrument.filters;
    let (down, up) = match side {
        Side::Buy => (filters.bid_multiplier_down, filters.bid_multiplier_up),
        Side::Sell => (filters.ask_multiplier_down, filters.ask_multiplier_up),
    };
    let Some(last) = state.last.map(|last| last.price.value()) else { return Ok(()) };
    let bound = |multiplier: Decimal| last.saturating_mul(multiplier);
    let above = up > Decimal::ZERO && price.value() > bound(up);
    if above || (down > Decimal::ZERO && price.value() < bound(down)) {
        let name = if settings.has_old_filters { "PERCENT_PRICE" } else { "PERCENT_PRICE_BY_SIDE" };
        return Err(Refusal::filter(name));
    }
    Ok(())
}

/// LOT_SIZE, and for market orders MARKET_LOT_SIZE as well.
pub(super) fn check_lot(quantity: Quantity, is_market: bool, instrument: &Instrument) -> Result<(), Refusal> {
    let filters = &instrument.filters;
    let fits = |min: Quantity, max: Quantity, step: Decimal| {
        quantity >= min && (!max.is_positive() || quantity <= max) && is_multiple(quantity.value(), step)
    };
    if !quantity.is_positive() || !fits(instrument.quantity_min, instrument.quantity_max, instrument.step_size) {
        return Err(Refusal::filter("LOT_SIZE"));
    }
    if is_market && !fits(filters.market_quantity_min, filters.market_quantity_max, filters.market_step_size) {
        return Err(Refusal::filter("MARKET_LOT_SIZE"));
    }
    Ok(())
}

fn check_iceberg(shown: Quantity, quantity: Quantity, instrument: &Instrument) -> Result<(), Refusal> {
    check_lot(shown, false, instrument)?;
    if shown > quantity {
        return Err(Refusal::new(-2010, "IcebergQty exceeds QTY."));
    }
    let parts = quantity.value().checked_div(shown.value()).map(|parts| parts.ceil());
    if parts.is_none_or(|parts| parts > Decimal::from(ICEBERG_PARTS_MAX)) {
        return Err(Refusal::filter("ICEBERG_PARTS"));
    }
    Ok(())
}

/// Whether a pair's trigger is on the right side of the last price.
pub(super) fn is_right_side(order_type: OrderType, side: Side, stop: Price, last: Price) -> bool {
    if triggers_above(order_type, side) { stop > last } else { stop < last }
}
