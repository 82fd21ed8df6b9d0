//! One account: balances, orders and trades, with a bounded history.
//!
//! It must never let a balance go below zero, and what is locked is always exactly what the open orders need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{Asset, ClientOrderId, ExchangeOrderId, Fill, Instrument, Notional, Quantity, Side, Symbol, TradeId};
use serde::{Deserialize, Serialize};

use super::list::{ListRef, OrderList};
use super::order::{OrderListId, OrderRef, OrderView};
use super::types::{Balance, PreventedMatch};

/// How many finished orders, and how many trades, an account remembers over all symbols, unless told otherwise.
pub(super) const HISTORY_MAX: usize = 10_000;

/// The orders and trades of an account on one symbol.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct AccountBook {
    /// Open and finished.
    pub(super) orders: BTreeMap<ExchangeOrderId, OrderView>,
    pub(super) open: BTreeSet<ExchangeOrderId>,
    /// The newest order of each client id.
    by_client: BTreeMap<ClientOrderId, ExchangeOrderId>,
    pub(super) trades: BTreeMap<TradeId, Fill>,
}

impl AccountBook {
    pub(super) fn find(&self, order: &OrderRef) -> Option<&OrderView> {
        match order {
            OrderRef::Exchange(id) => self.orders.get(id),
            OrderRef::Client(id) => self.orders.get(self.by_client.get(id)?),
        }
    }

    pub(super) fn has_open(&self, client: &ClientOrderId) -> bool {
        self.by_client.get(client).is_some_and(|id| self.open.contains(id))
    }

    /// Gives an order another client id.
    pub(super) fn rename(&mut self, id: ExchangeOrderId, client: &ClientOrderId) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        if self.by_client.get(&order.client_order_id) == Some(&id) {
            self.by_client.remove(&order.client_order_id);
        }
        order.client_order_id = client.clone();
        self.by_client.insert(client.clone(), id);
    }

    pub(super) fn forget(&mut self, id: ExchangeOrderId) {
        self.open.remove(&id);
        if let Some(order) = self.orders.remove(&id)
            && self.by_client.get(&order.client_order_id) == Some(&id)
        {
            self.by_client.remove(&order.client_order_id);
        }
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) balances: BTreeMap<Asset, Balance>,
    pub(super) books: BTreeMap<Symbol, AccountBook>,
    /// Oldest first.
    finished: VecDeque<(Symbol, ExchangeOrderId)>,
    /// Oldest first.
    traded: VecDeque<(Symbol, TradeId)>,
    /// Open and finished.
    #[serde(default)]
    pub(super) lists: BTreeMap<OrderListId, OrderList>,
    /// Oldest first.
    #[serde(default)]
    done_lists: VecDeque<OrderListId>,
    /// Oldest first.
    #[serde(default)]
    pub(super) prevented: VecDeque<PreventedMatch>,
    /// What other products of the exchange hold; it is part of what is locked.
    #[serde(default)]
    pub(super) external: BTreeMap<Asset, Quantity>,
}

/// What an open order holds: of which asset, how much.
pub(super) fn needed(order: &OrderView, instrument: &Instrument) -> (Asset, Quantity) {
    match order.side {
        Side::Sell => (instrument.base.clone(), order.remaining()),
        Side::Buy => {
            let price = order.price.or(order.stop_price);
            let cost = price.map_or(Notional::ZERO, |price| price.times(order.remaining()));
            (instrument.quote.clone(), amount(cost))
        }
    }
}

/// Whether anything may still happen to an order that is on a book or waits for its trigger.
fn is_live(order: &OrderView) -> bool {
    !order.status.is_final() && !order.is_pending()
}

/// A quote amount as an amount of a balance. Beyond what a balance may hold it is more than any account has.
pub(super) fn amount(notional: Notional) -> Quantity {
    let max = Quantity::new(domain::money::QUANTITY_MAX).unwrap_or_default();
    Quantity::new(notional.value()).unwrap_or(max + max)
}

impl Account {
    pub(super) fn free(&self, asset: &Asset) -> Quantity {
        self.balances.get(asset).map_or(Quantity::ZERO, |balance| balance.free)
    }

    pub(super) fn balance_mut(&mut self, asset: &Asset) -> &mut Balance {
        self.balances.entry(asset.clone()).or_default()
    }

    /// Moves from free to locked; a negative amount moves back.
    pub(super) fn lock(&mut self, asset: &Asset, amount: Quantity) {
        let balance = self.balance_mut(asset);
        balance.free -= amount;
        balance.locked += amount;
    }

    /// The list that an order is part of.
    pub(super) fn list_of(&self, order: &OrderView) -> Option<&OrderList> {
        self.lists.get(&order.list_id?)
    }

    /// The list that is meant; of several with one client id the newest.
    pub(super) fn find_list(&self, list: &ListRef) -> Option<&OrderList> {
        match list {
            ListRef::Exchange(id) => self.lists.get(id),
            ListRef::Client(client) => self.lists.values().rev().find(|list| list.client_id == *client),
        }
    }

    /// The order that ends when this one begins to work or fills.
    pub(super) fn live_sibling(&self, order: &OrderView) -> Option<&OrderView> {
        let sibling = self.list_of(order)?.sibling(order.order_id)?;
        self.books.get(&order.symbol)?.orders.get(&sibling).filter(|sibling| is_live(sibling))
    }

    /// What an order holds together with its live sibling: the two hold the larger need once.
    pub(super) fn held(&self, order: &OrderView, instrument: &Instrument) -> (Asset, Quantity) {
        let (asset, need) = needed(order, instrument);
        let other = self.live_sibling(order).map_or(Quantity::ZERO, |sibling| needed(sibling, instrument).1);
        (asset, need.max(other))
    }

    /// What becomes free when an order leaves its book.
    pub(super) fn released(&self, order: &OrderView, instrument: &Instrument) -> (Asset, Quantity) {
        let (asset, held) = self.held(order, instrument);
        let other = self.live_sibling(order).map_or(Quantity::ZERO, |sibling| needed(sibling, instrument).1);
        (asset, held - other)
    }

    /// Keeps a new order, open.
    pub(super) fn add_order(&mut self, order: OrderView) {
        let book = self.books.entry(order.symbol.clone()).or_default();
        book.open.insert(order.order_id);
        book.by_client.insert(order.client_order_id.clone(), order.order_id);
        book.orders.insert(order.order_id, order);
    }

    pub(super) fn order_mut(&mut self, symbol: &Symbol, id: ExchangeOrderId) -> Option<&mut OrderView> {
        self.books.get_mut(symbol)?.orders.get_mut(&id)
    }

    /// Moves an order to the history and forgets the oldest beyond the bound.
    pub(super) fn finish_order(&mut self, symbol: &Symbol, id: ExchangeOrderId, history_max: usize) {
        if let Some(book) = self.books.get_mut(symbol) {
            book.open.remove(&id);
        }
        self.finished.push_back((symbol.clone(), id));
        while self.finished.len() > history_max
            && let Some((symbol, id)) = self.finished.pop_front()
            && let Some(book) = self.books.get_mut(&symbol)
        {
            book.forget(id);
        }
    }

    /// Forgets an order that has ended, with its list, as if they had never been.
    pub(super) fn drop_order(&mut self, symbol: &Symbol, id: ExchangeOrderId) {
        let list = self.order_mut(symbol, id).and_then(|order| order.list_id);
        if let Some(list) = list {
            self.lists.remove(&list);
        }
        self.finished.retain(|(of, other)| of != symbol || *other != id);
        if let Some(book) = self.books.get_mut(symbol) {
            book.forget(id);
        }
    }

    /// Forgets the oldest finished list beyond the bound.
    pub(super) fn finish_list(&mut self, id: OrderListId, history_max: usize) {
        self.done_lists.push_back(id);
        while self.done_lists.len() > history_max
            && let Some(id) = self.done_lists.pop_front()
        {
            self.lists.remove(&id);
        }
    }

    pub(super) fn add_prevented(&mut self, prevented: PreventedMatch, history_max: usize) {
        self.prevented.push_back(prevented);
        while self.prevented.len() > history_max {
            self.prevented.pop_front();
        }
    }

    pub(super) fn add_trade(&mut self, fill: Fill, history_max: usize) {
        self.traded.push_back((fill.symbol.clone(), fill.trade_id));
        let book = self.books.entry(fill.symbol.clone()).or_default();
        book.trades.insert(fill.trade_id, fill);
        while self.traded.len() > history_max
            && let Some((symbol, id)) = self.traded.pop_front()
            && let Some(book) = self.books.get_mut(&symbol)
        {
            book.trades.remove(&id);
        }
    }
}
