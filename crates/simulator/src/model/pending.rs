//! The second phase of an order list: its pending orders are put to work when the working one is filled in full.
//!
//! It must never put an order to work that the engine would refuse: such ones expire.

use domain::{ExchangeOrderStatus, Notional, OrderType, Price, Quantity, Side, Timestamp};

use super::Model;
use super::account::{amount, needed};
use super::check::Meeting;
use super::filters::{check_lot, is_right_side};
use super::list::OrderList;
use super::matching::Ending;
use super::order::{ExpiryReason, OrderView};
use super::pairs::check_relation;
use super::symbol::triggers_above;
use super::types::{ExecutionKind, ModelEvent};

impl Model {
    /// Puts the pending orders of a list to work; what the engine refuses expires.
    pub(super) fn start_pending(
        &mut self,
        working: &OrderView,
        list: &OrderList,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let (account, symbol) = (&working.account, &working.symbol);
        let legs = list.legs.iter().filter(|leg| leg.order_id != working.order_id);
        let mut views: Vec<_> = legs.filter_map(|leg| self.open_view(account, symbol, leg.order_id)).collect();
        let received = if list.follows_fill { Some(self.received(working)) } else { None };
        let last = self.last_price(symbol);
        for view in &mut views {
            view.orig_quantity = received.unwrap_or(view.orig_quantity);
            view.updated = now;
            view.working = !view.order_type.has_trigger();
            view.working_time = view.working.then_some(now);
            if let (Some(trailing), None) = (&mut view.trailing, view.stop_price) {
                (trailing.since, trailing.extreme) = (Some(now), last);
            }
        }
        let starts = self.may_start(&views, list);
        for view in &mut views {
            if starts {
                view.status = ExchangeOrderStatus::New;
            } else {
                view.working = false;
                view.working_time = None;
            }
            self.put(view);
        }
        if !starts {
            for view in &views {
                let ending = Ending::Expired(ExpiryReason::Rejected);
                self.end_untold(account, symbol, view.order_id, ending, now, events);
            }
            return;
        }
        events.push(ModelEvent::List { account: account.clone(), list: OrderList { updated: now, ..list.clone() } });
        for order in &views {
            let (account, order) = (account.clone(), order.clone());
            events.push(ModelEvent::Order { account, order, execution: ExecutionKind::New });
        }
        self.start(&views, now, events);
    }

    fn start(&mut self, views: &[OrderView], now: Timestamp, events: &mut Vec<ModelEvent>) {
        match views {
            [one, other] => {
                self.enter_pair(one, other);
                self.tell_balances(&one.account, &one.symbol, events);
            }
            [one] if one.order_type.has_trigger() => self.meet_book(one, Meeting::Wait, now, events),
            [one] => {
                let Some(state) = self.symbols.get(&one.symbol) else { return };
                let meeting = self.meet(state, one.side, one.price, one.time_in_force, one.remaining());
                self.meet_book(one, meeting, now, events);
            }
            _ => {}
        }
    }

    /// What a buy received after commission, on the step.
    fn received(&self, working: &OrderView) -> Quantity {
        let (Some(state), Some(book)) =
            (self.symbols.get(&working.symbol), self.book(&working.account, &working.symbol))
        else {
            return Quantity::ZERO;
        };
        let fills = book.trades.values().filter(|fill| fill.exchange_order_id == working.order_id);
        let net = fills.map(|fill| {
            let is_base = fill.commission_asset == state.instrument.base;
            fill.quantity - if is_base { fill.commission } else { Quantity::ZERO }
        });
        state.instrument.round_quantity(net.sum())
    }

    /// Whether the engine takes pending orders now.
    fn may_start(&self, views: &[OrderView], list: &OrderList) -> bool {
        let Some(first) = views.first() else { return false };
        let (Some(state), Some(owner)) = (self.symbols.get(&first.symbol), self.accounts.get(&first.account)) else {
            return false;
        };
        let last = state.last.map(|last| last.price);
        let mut need = Quantity::ZERO;
        for view in views {
            let is_market = view.order_type == OrderType::Market;
            if list.follows_fill && check_lot(view.orig_quantity, is_market, &state.instrument).is_err() {
                return false;
            }
            if let (Some(stop), Some(last), None) = (view.stop_price, last, view.trailing)
                && !is_right_side(view.order_type, view.side, stop, last)
            {
                return false;
            }
            let offers = self.offers(state, view.side, view.price, view.remaining());
            if view.order_type == OrderType::LimitMaker && !offers.is_empty() {
                return false;
            }
            let taken: Notional = offers.iter().map(|(price, quantity)| price.times(*quantity)).sum();
            let is_paid_now = is_market && view.side == Side::Buy;
            need = need.max(if is_paid_now { amount(taken) } else { needed(view, &state.instrument).1 });
        }
        if let [one, other] = views {
            let (above, below) = if is_above(one) { (one, other) } else { (other, one) };
            if check_relation(state, reference(above), reference(below)).is_err() {
                return false;
            }
        }
        need <= owner.free(&needed(first, &state.instrument).0)
    }
}

/// Whether an order of a pair is the one above the market.
fn is_above(view: &OrderView) -> bool {
    if view.order_type.has_trigger() { triggers_above(view.order_type, view.side) } else { view.side == Side::Sell }
}

/// The price by which it is there; a trigger that only follows has none.
fn reference(view: &OrderView) -> Option<Price> {
    if view.order_type.has_trigger() { view.stop_price } else { view.price }
}
