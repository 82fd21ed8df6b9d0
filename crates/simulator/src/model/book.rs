//! What the other side of the book offers: one endless price, or prices a tick apart that hold so much each.
//!
//! It must never offer beyond a limit, nor change anything.

use domain::{Decimal, Notional, Price, Quantity, Side, TimeInForce};

use super::Model;
use super::check::Meeting;
use super::order::{ExpiryReason, StpMode};
use super::symbol::SymbolState;
use super::types::AccountId;

impl Model {
    /// What a working order without trigger meets now.
    pub(super) fn meet(
        &self,
        state: &SymbolState,
        side: Side,
        limit: Option<Price>,
        time_in_force: TimeInForce,
        quantity: Quantity,
    ) -> Meeting {
        let offers = self.offers(state, side, limit, quantity);
        if limit.is_none() {
            let is_empty = offers.is_empty();
            return if is_empty { Meeting::Expire(ExpiryReason::InsufficientLiquidity) } else { Meeting::Take };
        }
        let offered: Quantity = offers.iter().map(|(_, quantity)| *quantity).sum();
        match time_in_force {
            TimeInForce::Fok if offered < quantity => Meeting::Expire(ExpiryReason::UnfilledFokOrderExpired),
            TimeInForce::Ioc if offers.is_empty() => Meeting::Expire(ExpiryReason::UnfilledIocQuantityExpired),
            TimeInForce::Gtc if offers.is_empty() => Meeting::Rest,
            TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok => Meeting::Take,
        }
    }

    /// Prices and quantities that an order fills at when it takes, best first, up to `quantity` and never beyond `limit`.
    pub(super) fn offers(
        &self,
        state: &SymbolState,
        side: Side,
        limit: Option<Price>,
        quantity: Quantity,
    ) -> Vec<(Price, Quantity)> {
        let best = state.best(self.settings.half_spread);
        let best = best.map(|(bid, ask)| if side == Side::Buy { ask } else { bid });
        let first = if limit.is_some() { best } else { best.and_then(|best| self.slipped(state, side, best)) };
        let Some(first) = first else { return Vec::new() };
        let is_reached = |price: Price| match side {
            Side::Buy => limit.is_none_or(|limit| limit >= price),
            Side::Sell => limit.is_none_or(|limit| limit <= price),
        };
        if !self.settings.level_notional.is_positive() {
            return if is_reached(first) { vec![(first, quantity)] } else { Vec::new() };
        }
        let mut offers = Vec::new();
        let (mut left, tick) = (quantity, state.instrument.tick_size);
        for level in 0..self.settings.levels_max {
            let away = tick.saturating_mul(Decimal::from(level));
            let price = Price::new(first.value() + if side == Side::Buy { away } else { -away });
            let Some(price) = price.ok().filter(|price| is_reached(*price) && left.is_positive()) else { break };
            let held = self.level_quantity(state, price).min(left);
            offers.push((price, held));
            left -= held;
        }
        offers
    }

    /// What a price of the book holds, in base units; at least one step.
    pub(super) fn level_quantity(&self, state: &SymbolState, price: Price) -> Quantity {
        let held = state.instrument.round_quantity(self.settings.level_notional.quantity_at(price));
        held.max(Quantity::new(state.instrument.step_size).unwrap_or_default())
    }

    /// How much `total` buys, or has to be sold for it; where the book is too thin the rest counts at its last price.
    /// `None` without any price.
    pub(super) fn quantity_for(&self, state: &SymbolState, side: Side, total: Notional) -> Option<Quantity> {
        let all = Quantity::new(domain::money::QUANTITY_MAX).unwrap_or_default();
        let offers = self.offers(state, side, None, all);
        let last = offers.last()?.0;
        let (mut quantity, mut left) = (Quantity::ZERO, total);
        for (price, held) in offers {
            let cost = price.times(held);
            if cost >= left {
                return Some(quantity + state.instrument.round_quantity(left.quantity_at(price)));
            }
            quantity += held;
            left -= cost;
        }
        Some(quantity + state.instrument.round_quantity(left.quantity_at(last)))
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

    /// Whether a post-only order would meet an order of its own account, where that is to be prevented.
    pub(super) fn would_meet_itself(&self, account: &AccountId, order: &super::NewOrder, state: &SymbolState) -> bool {
        let mode = order.self_trade_prevention.unwrap_or(self.settings.self_trade_prevention);
        let Some(limit) = order.price.filter(|_| mode != StpMode::None) else { return false };
        state.first_own_maker(account, order.side, limit).is_some()
    }
}
