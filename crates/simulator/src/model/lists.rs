//! The life of order lists: placing, cancelling, what one order does to the others.
//!
//! It must never let both orders of a pair trade, nor place a pending order before its working one is filled in full.

use domain::{ClientOrderId, ExchangeOrderId, Quantity, Symbol, Timestamp};

use super::list::{Contingency, ListLeg, ListOutcome, ListRef, ListShape, ListStatus, NewList, OrderList};
use super::matching::Ending;
use super::order::{ExpiryReason, NewOrder, OrderListId, OrderRef, OrderView, pending_new};
use super::pairs::CheckedList;
use super::types::{AccountId, ExecutionKind, ModelEvent};
use super::{Model, Refusal};

impl Model {
    /// Places a one-cancels-the-other pair over one quantity.
    ///
    /// # Errors
    /// The exchange's refusal; nothing has changed then.
    pub fn place_oco(
        &mut self,
        account: &AccountId,
        above: &NewOrder,
        below: &NewOrder,
        client_id: &ClientOrderId,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<ListOutcome, Refusal> {
        let new = NewList { client_id, shape: ListShape::Oco { above, below }, follows_fill: false };
        self.place_list(account, &new, now, events)
    }

    /// Places a list of orders.
    ///
    /// # Errors
    /// The exchange's refusal; nothing has changed then.
    pub fn place_list(
        &mut self,
        account: &AccountId,
        new: &NewList<'_>,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<ListOutcome, Refusal> {
        let checked = self.check_list(account, new)?;
        let (list, mut orders) = self.add_list(account, new, &checked, now)?;
        events.push(ModelEvent::List { account: account.clone(), list: list.clone() });
        for order in &orders {
            let (account, order) = (account.clone(), order.clone());
            events.push(ModelEvent::Order { account, order, execution: ExecutionKind::New });
        }
        if let Some((_, working)) = &checked.working {
            let view = orders[0].clone();
            self.meet_book(&view, working.meeting, now, events);
            orders[0] = self.order(account, &list.symbol, &OrderRef::Exchange(view.order_id))?;
        } else if let [one, other] = orders.as_slice() {
            self.enter_pair(one, other);
            self.tell_balances(account, &list.symbol, events);
        }
        Ok(ListOutcome { list, orders })
    }

    fn add_list(
        &mut self,
        account: &AccountId,
        new: &NewList<'_>,
        checked: &CheckedList<'_>,
        now: Timestamp,
    ) -> Result<(OrderList, Vec<OrderView>), Refusal> {
        self.last_list_id += 1;
        let id = OrderListId(self.last_list_id);
        let mut orders = Vec::new();
        if let Some((order, found)) = &checked.working {
            orders.push(self.add(account, order, found, Some(id), now)?);
        }
        for (order, found) in &checked.others {
            let mut view = self.add(account, order, found, Some(id), now)?;
            if checked.working.is_some() {
                view.status = pending_new();
                (view.working, view.working_time) = (false, None);
                view.trailing = view.trailing.map(|it| super::Trailing { extreme: None, since: None, ..it });
                if new.follows_fill {
                    view.orig_quantity = Quantity::ZERO;
                }
                self.put(&view);
            }
            orders.push(view);
        }
        let leg = |view: &OrderView| ListLeg { order_id: view.order_id, client_order_id: view.client_order_id.clone() };
        let others = &orders[orders.len() - checked.others.len()..];
        let list = OrderList {
            id,
            client_id: new.client_id.clone(),
            symbol: orders[0].symbol.clone(),
            contingency: if checked.working.is_some() { Contingency::Oto } else { Contingency::Oco },
            status: ListStatus::ExecStarted,
            legs: orders.iter().map(leg).collect(),
            working: checked.working.as_ref().map(|_| orders[0].order_id),
            pair: if let [one, other] = others { Some((one.order_id, other.order_id)) } else { None },
            follows_fill: new.follows_fill,
            created: now,
            updated: now,
        };
        if let Some(owner) = self.accounts.get_mut(account) {
            owner.lists.insert(id, list.clone());
        }
        Ok((list, orders))
    }

    /// Writes an order back.
    pub(super) fn put(&mut self, view: &OrderView) {
        if let Some(owner) = self.accounts.get_mut(&view.account)
            && let Some(order) = owner.order_mut(&view.symbol, view.order_id)
        {
            *order = view.clone();
        }
    }

    /// Cancels what is open of a list; the answer has the orders that were cancelled.
    ///
    /// # Errors
    /// The account or symbol is unknown, or no such list is open.
    pub fn cancel_list(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        list: &ListRef,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<ListOutcome, Refusal> {
        self.known(account, symbol)?;
        let owner = self.accounts.get(account).ok_or_else(Refusal::unknown_account)?;
        let found = owner.find_list(list).filter(|list| list.symbol == *symbol && !list.is_done()).cloned();
        let found = found.ok_or_else(|| Refusal::new(-2011, "Unknown order list sent."))?;
        let ids = found.legs.iter().map(|leg| leg.order_id);
        let open: Vec<_> = ids.filter(|id| self.open_view(account, symbol, *id).is_some()).collect();
        for id in &open {
            self.end(account, symbol, *id, Ending::Canceled, now, events);
        }
        let orders = open.iter().map(|id| self.order(account, symbol, &OrderRef::Exchange(*id)));
        let orders = orders.collect::<Result<_, _>>()?;
        Ok(ListOutcome { list: OrderList { status: ListStatus::AllDone, updated: now, ..found }, orders })
    }

    /// Ends the other order of a pair, because this one begins to work or fills.
    pub(super) fn end_sibling(
        &mut self,
        account: &AccountId,
        symbol: &Symbol,
        id: ExchangeOrderId,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        let Some(view) = self.open_view(account, symbol, id) else { return };
        let sibling = self.accounts.get(account).and_then(|owner| owner.live_sibling(&view)).map(|it| it.order_id);
        if let Some(sibling) = sibling {
            let ending = Ending::Expired(ExpiryReason::OcoTrigger);
            self.end_untold(account, symbol, sibling, ending, now, events);
        }
    }

    /// What the end of an order does to its list.
    pub(super) fn end_dependants(
        &mut self,
        view: &OrderView,
        ending: Ending,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) {
        use ExpiryReason as R;
        let Some(list) = self.accounts.get(&view.account).and_then(|owner| owner.list_of(view)).cloned() else {
            return;
        };
        let passed_on = match ending {
            Ending::Canceled => Ending::Canceled,
            Ending::Expired(reason @ (R::Rejected | R::ExchangeCanceled | R::OtoPhaseOneExpired)) => {
                Ending::Expired(reason)
            }
            Ending::Expired(_) | Ending::Prevented => Ending::Expired(R::OcoTrigger),
        };
        let (account, symbol) = (&view.account, &view.symbol);
        // Where it ended because of its sibling, the sibling lives.
        if ending != Ending::Expired(R::OcoTrigger)
            && let Some(sibling) = list.sibling(view.order_id)
        {
            self.end_untold(account, symbol, sibling, passed_on, now, events);
        }
        if list.working == Some(view.order_id) {
            let ending = match ending {
                Ending::Canceled | Ending::Expired(R::ExchangeCanceled) => ending,
                Ending::Expired(_) | Ending::Prevented => Ending::Expired(R::OtoPhaseOneExpired),
            };
            for leg in list.legs.iter().filter(|leg| leg.order_id != view.order_id) {
                self.end_untold(account, symbol, leg.order_id, ending, now, events);
            }
        }
        self.settle_list(account, list.id, now, events);
    }

    /// What the full fill of an order does to its list.
    pub(super) fn filled(&mut self, view: &OrderView, now: Timestamp, events: &mut Vec<ModelEvent>) {
        let list = self.accounts.get(&view.account).and_then(|owner| owner.list_of(view)).cloned();
        let Some(list) = list else { return };
        if list.working == Some(view.order_id) {
            self.start_pending(view, &list, now, events);
        }
        self.settle_list(&view.account, list.id, now, events);
    }

    /// Tells that a list is done, once all its orders have ended.
    fn settle_list(&mut self, account: &AccountId, id: OrderListId, now: Timestamp, events: &mut Vec<ModelEvent>) {
        let history_max = self.history_max;
        let Some(owner) = self.accounts.get_mut(account) else { return };
        let Some(list) = owner.lists.get(&id).filter(|list| !list.is_done()) else { return };
        let book = owner.books.get(&list.symbol);
        let is_open = |leg: &ListLeg| {
            let order = book.and_then(|book| book.orders.get(&leg.order_id));
            order.is_some_and(|order| !order.status.is_final())
        };
        if list.legs.iter().any(is_open) {
            return;
        }
        let list = OrderList { status: ListStatus::AllDone, updated: now, ..list.clone() };
        owner.lists.insert(id, list.clone());
        owner.finish_list(id, history_max);
        events.push(ModelEvent::List { account: account.clone(), list });
    }
}
