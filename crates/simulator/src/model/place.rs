//! What an owner does with single orders: placing, cancelling, reducing.
//!
//! It must never change anything before it is sure that the request passes.

use domain::{
    ClientOrderId, ExchangeOrderId, ExchangeOrderStatus, Notional, Quantity, Symbol, SymbolStatus, Timestamp,
};

use super::check::{Checked, Meeting};
use super::filters::{AMENDS_MAX, check_lot};
use super::list::ListStatus;
use super::matching::Ending;
use super::order::{CancelRestriction, NewOrder, OrderListId, OrderRef, OrderView, StpMode, Trailing};
use super::types::{AccountId, ExecutionKind, ModelEvent};
use super::{Model, Refusal};

impl Model {
    /// Places an order: it fills, rests, waits for its trigger, or expires at once.
    ///
    /// # Errors
    /// The exchange's refusal; nothing has changed then.
    pub fn place(
        &mut self,
        account: &AccountId,
        order: &NewOrder,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        let checked = self.check(account, order)?;
        let view = self.add(account, order, &checked, None, now)?;
        events.push(ModelEvent::Order { account: account.clone(), order: view.clone(), execution: ExecutionKind::New });
        self.meet_book(&view, checked.meeting, now, events);
        self.order(account, &order.symbol, &OrderRef::Exchange(view.order_id))
    }

    /// Gives an order its number and keeps it, on no book and with nothing held.
    pub(super) fn add(
        &mut self,
        account: &AccountId,
        order: &NewOrder,
        checked: &Checked,
        list_id: Option<OrderListId>,
        now: Timestamp,
    ) -> Result<OrderView, Refusal> {
        let mode = order.self_trade_prevention.unwrap_or(self.settings.self_trade_prevention);
        let (state, owner) = self.pair(account, &order.symbol)?;
        state.last_order_id += 1;
        let mut view = view(account, order, checked, ExchangeOrderId(state.last_order_id), now);
        view.list_id = list_id;
        view.self_trade_prevention = mode;
        if let (Some(trailing), None) = (&mut view.trailing, view.stop_price) {
            (trailing.since, trailing.extreme) = (Some(now), state.last.map(|last| last.price));
        }
        owner.add_order(view.clone());
        Ok(view)
    }

    /// Cancels an open order; one of a list takes its whole list with it.
    ///
    /// # Errors
    /// The account or symbol is unknown, or no such order is open.
    pub fn cancel(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        order: &OrderRef,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        self.cancel_if(account, symbol, order, None, now, events)
    }

    /// As [`Model::cancel`], if the order is in the state that the client wants it to be in.
    ///
    /// # Errors
    /// As [`Model::cancel`], or the restriction holds.
    pub fn cancel_if(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        order: &OrderRef,
        restriction: Option<CancelRestriction>,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        let view = self.open_order(account, symbol, order)?.clone();
        let passes = match restriction {
            None => true,
            Some(CancelRestriction::OnlyNew) => view.status == ExchangeOrderStatus::New,
            Some(CancelRestriction::OnlyPartiallyFilled) => view.status == ExchangeOrderStatus::PartiallyFilled,
        };
        if !passes {
            return Err(Refusal::new(-2011, "Order was not canceled due to cancel restrictions."));
        }
        let legs = self.accounts.get(account).and_then(|owner| owner.list_of(&view));
        let legs = legs.map_or(vec![view.order_id], |list| list.legs.iter().map(|leg| leg.order_id).collect());
        for id in legs {
            self.end(account, symbol, id, Ending::Canceled, now, events);
        }
        self.order(account, symbol, &OrderRef::Exchange(view.order_id))
    }

    fn open_order(&self, account: &AccountId, symbol: &Symbol, order: &OrderRef) -> Result<&OrderView, Refusal> {
        self.known(account, symbol)?;
        let found = self.book(account, symbol).and_then(|book| book.find(order)).filter(|it| !it.status.is_final());
        found.ok_or_else(Refusal::unknown_order)
    }

    /// Cancels all open orders of a symbol.
    ///
    /// # Errors
    /// The account or symbol is unknown, or nothing is open.
    pub fn cancel_all(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<Vec<OrderView>, Refusal> {
        self.known(account, symbol)?;
        let open = self.open_orders(account, Some(symbol));
        if open.is_empty() {
            return Err(Refusal::unknown_order());
        }
        for view in &open {
            self.end(account, symbol, view.order_id, Ending::Canceled, now, events);
        }
        open.iter().map(|view| self.order(account, symbol, &OrderRef::Exchange(view.order_id))).collect()
    }

    /// Reduces an open order to `quantity` in all, with its place in the queue kept; of a pair both. The order goes on
    /// under `client_id`. The answer is the order after it and the client id that it had.
    ///
    /// # Errors
    /// There is no such open order, the quantity is not less or is already filled, a filter, or too many amendments.
    pub fn amend(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        order: &OrderRef,
        (quantity, client_id): (Quantity, &ClientOrderId),
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<(OrderView, ClientOrderId), Refusal> {
        let view = self.open_order(account, symbol, order);
        let view = view
            .map_err(|refusal| Refusal { code: if refusal.code == -2011 { -2038 } else { refusal.code }, ..refusal })?;
        let view = view.clone();
        self.check_amend(account, &view, quantity, client_id)?;
        let (state, owner) = self.pair(account, symbol)?;
        let is_waiting = !view.is_pending();
        let (asset, held) = owner.held(&view, &state.instrument);
        let sibling = owner.list_of(&view).and_then(|list| list.sibling(view.order_id));
        for id in [Some(view.order_id), sibling].into_iter().flatten() {
            if let Some(order) = owner.order_mut(symbol, id) {
                order.orig_quantity = quantity;
                order.iceberg_quantity = order.iceberg_quantity.map(|shown| shown.min(quantity));
                order.updated = now;
            }
        }
        if let Some(book) = owner.books.get_mut(symbol) {
            book.rename(view.order_id, client_id);
        }
        let Some(order) = owner.order_mut(symbol, view.order_id) else { return Err(Refusal::no_such_order()) };
        order.amends += 1;
        let after = order.clone();
        if is_waiting {
            let still = owner.held(&after, &state.instrument).1;
            owner.lock(&asset, still - held);
        }
        let original = view.client_order_id;
        let (order, old) = (after.clone(), original.clone());
        events.push(ModelEvent::Amended { account: account.clone(), order, original: old });
        self.rename_leg(account, &after, now, events);
        self.tell_balances(account, symbol, events);
        Ok((after, original))
    }

    fn check_amend(
        &self,
        account: &AccountId,
        view: &OrderView,
        quantity: Quantity,
        client_id: &ClientOrderId,
    ) -> Result<(), Refusal> {
        let state = self.symbols.get(&view.symbol).ok_or_else(|| Refusal::invalid_symbol(&view.symbol))?;
        if state.instrument.status != SymbolStatus::CancelOnly {
            self.check_open(state)?;
        }
        let list = self.accounts.get(account).and_then(|owner| owner.list_of(view));
        if view.is_pending() && list.is_some_and(|list| list.follows_fill) {
            return Err(Refusal::amend("Order amend (pending OPO order) is not supported."));
        }
        if quantity > view.orig_quantity {
            return Err(Refusal::amend("Order amend (quantity increase) is not supported."));
        }
        if quantity == view.orig_quantity || quantity <= view.orig_quantity - view.remaining() {
            return Err(Refusal::amend("The requested action would change no state; rejecting"));
        }
        if view.amends >= AMENDS_MAX {
            return Err(Refusal::amend("Filter failure: MAX_NUM_ORDER_AMENDS"));
        }
        let is_other = *client_id != view.client_order_id;
        if is_other && self.book(account, &view.symbol).is_some_and(|book| book.has_open(client_id)) {
            return Err(Refusal::amend("Duplicate order sent."));
        }
        check_lot(quantity, false, &state.instrument)?;
        let notional = view.price.or(view.stop_price).map(|price| price.times(quantity));
        if notional.is_some_and(|notional| notional < state.instrument.notional_min) {
            return Err(Refusal::filter("NOTIONAL"));
        }
        Ok(())
    }

    /// Tells the list of an order whose client id changed.
    fn rename_leg(&mut self, account: &AccountId, view: &OrderView, now: Timestamp, events: &mut Vec<ModelEvent>) {
        let Some(owner) = self.accounts.get_mut(account) else { return };
        let Some(list) = view.list_id.and_then(|id| owner.lists.get_mut(&id)) else { return };
        let Some(leg) = list.legs.iter_mut().find(|leg| leg.order_id == view.order_id) else { return };
        if leg.client_order_id != view.client_order_id {
            leg.client_order_id = view.client_order_id.clone();
            list.updated = now;
            let list = super::OrderList { status: ListStatus::Updated, ..list.clone() };
            events.push(ModelEvent::List { account: account.clone(), list });
        }
    }
}

fn view(
    account: &AccountId,
    order: &NewOrder,
    checked: &Checked,
    order_id: ExchangeOrderId,
    now: Timestamp,
) -> OrderView {
    let working = checked.meeting != Meeting::Wait;
    OrderView {
        account: account.clone(),
        symbol: order.symbol.clone(),
        order_id,
        client_order_id: order.client_order_id.clone(),
        side: order.side,
        order_type: order.order_type,
        time_in_force: checked.time_in_force,
        price: checked.price,
        stop_price: checked.stop_price,
        orig_quantity: checked.quantity,
        quote_quantity: order.quote_quantity,
        executed_quantity: Quantity::ZERO,
        cumulative_quote: Notional::ZERO,
        status: ExchangeOrderStatus::New,
        created: now,
        updated: now,
        working,
        working_time: working.then_some(now),
        list_id: None,
        iceberg_quantity: order.iceberg_quantity,
        trailing: order.trailing_delta.map(|delta_bips| Trailing { delta_bips, extreme: None, since: None }),
        strategy_id: order.strategy_id,
        strategy_type: order.strategy_type,
        self_trade_prevention: StpMode::None,
        prevented_quantity: Quantity::ZERO,
        prevented_match: None,
        expiry_reason: None,
        amends: 0,
    }
}
