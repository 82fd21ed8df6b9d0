//! What a public trade does to orders: it fills those that rest and triggers those that wait.
//!
//! It must never fill more at the printed price than was printed, nor touch an order that ended meanwhile.

use std::cmp::Reverse;

use domain::{ExchangeOrderId, Price, Quantity, Ratio, Side, Symbol, Timestamp, Trade};

use super::Model;
use super::check::Meeting;
use super::filters::is_right_side;
use super::matching::{Ending, Execution};
use super::order::{ExpiryReason, OrderView, Trailing};
use super::types::{AccountId, ExecutionKind, ModelEvent};

impl Model {
    /// A trade that touches somebody: resting orders first, then triggers.
    pub(super) fn match_trade(&mut self, trade: &Trade, events: &mut Vec<ModelEvent>) {
        let trailed = self.trail(trade);
        let Some(state) = self.symbols.get(&trade.symbol) else { return };
        let mut bids = touched(state.bids.iter().rev(), |price| price >= trade.price);
        bids.sort_by_key(|(price, id, _)| (Reverse(*price), *id));
        let asks = touched(state.asks.iter(), |price| price <= trade.price);
        let mut stops: Vec<_> = touched(state.above.iter(), |price| price <= trade.price);
        stops.extend(touched(state.below.iter().rev(), |price| price >= trade.price));
        let mut stops: Vec<_> = stops.into_iter().map(|(_, id, account)| (id, account)).chain(trailed).collect();
        stops.sort_by_key(|(id, _)| *id);
        let share = self.settings.fill_share_max;
        let step = state.instrument.step_size;
        let mut left = if share < Ratio::ONE { trade.quantity.scaled(share).floor_to(step) } else { trade.quantity };
        for (price, id, account) in bids.into_iter().chain(asks) {
            self.fill_resting(trade, price, id, &account, &mut left, events);
        }
        for (id, account) in stops {
            self.trigger(&trade.symbol, &account, id, trade.time, events);
        }
    }

    fn fill_resting(
        &mut self,
        trade: &Trade,
        price: Price,
        id: ExchangeOrderId,
        account: &AccountId,
        left: &mut Quantity,
        events: &mut Vec<ModelEvent>,
    ) {
        let Some(open) = self.open_view(account, &trade.symbol, id) else { return };
        let mut quantity = open.remaining();
        if self.settings.fill_share_max < Ratio::ONE {
            quantity = quantity.min(self.slow_part(&open));
        }
        if price == trade.price {
            quantity = quantity.min(*left);
            *left -= quantity;
        }
        if quantity.is_positive() {
            let execution = Execution { id, price, quantity, is_maker: true, now: trade.time };
            self.execute(account, &trade.symbol, execution, events);
        }
    }

    /// The most of an order that fills by one trade; at least one step.
    fn slow_part(&self, open: &OrderView) -> Quantity {
        let Some(state) = self.symbols.get(&open.symbol) else { return Quantity::ZERO };
        let part = state.instrument.round_quantity(open.orig_quantity.scaled(self.settings.fill_share_max));
        part.max(Quantity::new(state.instrument.step_size).unwrap_or_default())
    }

    /// Lets the triggers that follow the price follow; which of them are reached.
    fn trail(&mut self, trade: &Trade) -> Vec<(ExchangeOrderId, AccountId)> {
        let Some(state) = self.symbols.get(&trade.symbol) else { return Vec::new() };
        let followers: Vec<_> = state.trailing.iter().cloned().collect();
        let mut reached = Vec::new();
        for (id, account) in followers {
            let Some(owner) = self.accounts.get_mut(&account) else { continue };
            let Some(order) = owner.order_mut(&trade.symbol, id) else { continue };
            if follow(order, trade.price, trade.time) {
                reached.push((id, account));
            }
        }
        reached
    }

    /// Puts a stop to work: it gives back its funds and meets the book anew.
    fn trigger(
        &mut self,
        symbol: &Symbol,
        account: &AccountId,
        id: ExchangeOrderId,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let Some(view) = self.open_view(account, symbol, id).filter(|view| !view.working) else { return };
        self.end_sibling(account, symbol, id, now, events);
        self.leave(&view);
        let view = OrderView { working: true, working_time: Some(now), updated: now, ..view };
        let Ok((_, owner)) = self.pair(account, symbol) else { return };
        if let Some(order) = owner.order_mut(symbol, id) {
            *order = view.clone();
        }
        events.push(ModelEvent::Order { account: account.clone(), order: view.clone(), execution: ExecutionKind::New });
        let Some(state) = self.symbols.get(symbol) else { return };
        let meeting = self.meet(state, view.side, view.price, view.time_in_force, view.remaining());
        if matches!(meeting, Meeting::Take | Meeting::Rest) && !self.can_pay(&view) {
            return self.end(account, symbol, id, Ending::Expired(ExpiryReason::Rejected), now, events);
        }
        self.meet_book(&view, meeting, now, events);
    }
}

/// Moves a trigger that follows the price; whether `price` reaches it. The trade that starts it sets its first extreme.
fn follow(order: &mut OrderView, price: Price, time: Timestamp) -> bool {
    let (side, order_type) = (order.side, order.order_type);
    let Some(trailing) = &mut order.trailing else { return false };
    if trailing.since.is_none() {
        let is_started = order.stop_price.is_none_or(|stop| !is_right_side(order_type, side, stop, price));
        if is_started {
            *trailing = Trailing { extreme: Some(price), since: Some(time), ..*trailing };
        }
        return false;
    }
    let extreme = trailing.extreme.unwrap_or(price);
    trailing.extreme = Some(if side == Side::Buy { extreme.min(price) } else { extreme.max(price) });
    trailing.trigger_price(side).is_some_and(|at| if side == Side::Buy { price >= at } else { price <= at })
}

fn touched<'a>(
    waiting: impl Iterator<Item = &'a (Price, ExchangeOrderId, AccountId)>,
    is_touched: impl Fn(Price) -> bool,
) -> Vec<(Price, ExchangeOrderId, AccountId)> {
    waiting.take_while(|(price, ..)| is_touched(*price)).cloned().collect()
}
