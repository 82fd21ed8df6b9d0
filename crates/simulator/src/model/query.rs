//! What may be asked of the model. Nothing here changes it.

use std::collections::BTreeMap;

use domain::{Asset, ExchangeOrderId, Instrument, Price, Quote, Symbol, Timestamp, TradeId};

use super::account::AccountBook;
use super::list::{ListRef, OrderList};
use super::order::{OrderListId, OrderRef, OrderView};
use super::settings::ModelSettings;
use super::types::{AccountId, Balance, PreventedMatch, TradeView};
use super::{Model, Refusal};

static NOTHING: BTreeMap<Asset, Balance> = BTreeMap::new();

impl Model {
    /// Fees, spread and slippage.
    #[must_use]
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// The accounts there are.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.keys()
    }

    /// The rules of all symbols, by symbol.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.symbols.values().map(|state| &state.instrument)
    }

    /// The rules of one symbol.
    #[must_use]
    pub fn instrument(&self, symbol: &Symbol) -> Option<&Instrument> {
        self.symbols.get(symbol).map(|state| &state.instrument)
    }

    /// Price of the last trade.
    #[must_use]
    pub fn last_price(&self, symbol: &Symbol) -> Option<Price> {
        self.symbols.get(symbol)?.last.map(|last| last.price)
    }

    /// The best bid and ask that an order would meet now.
    #[must_use]
    pub fn quote(&self, symbol: &Symbol) -> Option<Quote> {
        self.symbols.get(symbol)?.quote(self.settings.half_spread)
    }

    /// What the account has; empty for an unknown one.
    #[must_use]
    pub fn balances(&self, account: &AccountId) -> &BTreeMap<Asset, Balance> {
        self.accounts.get(account).map_or(&NOTHING, |account| &account.balances)
    }

    /// One order, open or in the history.
    ///
    /// # Errors
    /// The account or symbol is unknown, or there is no such order.
    pub fn order(&self, account: &AccountId, symbol: &Symbol, order: &OrderRef) -> Result<OrderView, Refusal> {
        self.known(account, symbol)?;
        self.book(account, symbol).and_then(|book| book.find(order)).cloned().ok_or_else(Refusal::no_such_order)
    }

    /// The open orders of a symbol or of all, by symbol and then by number.
    #[must_use]
    pub fn open_orders(&self, account: &AccountId, symbol: Option<&Symbol>) -> Vec<OrderView> {
        let Some(account) = self.accounts.get(account) else { return Vec::new() };
        let books = account.books.iter().filter(|(of, _)| symbol.is_none_or(|symbol| symbol == *of));
        books.flat_map(|(_, book)| book.open.iter().filter_map(|id| book.orders.get(id))).cloned().collect()
    }

    /// Orders of a symbol, open or not, ascending: from a number onward, or the newest.
    #[must_use]
    pub fn orders_from(
        &self,
        account: &AccountId,
        symbol: &Symbol,
        from_id: Option<ExchangeOrderId>,
        limit: usize,
    ) -> Vec<OrderView> {
        let Some(book) = self.book(account, symbol) else { return Vec::new() };
        page(&book.orders, from_id, limit)
    }

    /// Trades of a symbol, ascending: from a number onward, or the newest.
    #[must_use]
    pub fn trades(
        &self,
        account: &AccountId,
        symbol: &Symbol,
        from_id: Option<TradeId>,
        limit: usize,
    ) -> Vec<TradeView> {
        let Some(book) = self.book(account, symbol) else { return Vec::new() };
        page(&book.trades, from_id, limit)
    }

    /// Whether an order can no longer be asked for: it ended without a fill, longer ago than the exchange remembers.
    #[must_use]
    pub fn is_archived(&self, order: &OrderView, now: Timestamp) -> bool {
        let age_ms = now.as_millis().saturating_sub(order.updated.as_millis());
        let is_old = age_ms > i64::from(self.settings.archive_days) * 86_400_000;
        is_old && order.status.is_final() && order.executed_quantity.is_zero()
    }

    /// A list, open or in the history.
    ///
    /// # Errors
    /// The account is unknown, or there is no such list.
    pub fn order_list(&self, account: &AccountId, list: &ListRef) -> Result<&OrderList, Refusal> {
        let owner = self.accounts.get(account).ok_or_else(Refusal::unknown_account)?;
        owner.find_list(list).ok_or_else(Refusal::no_such_list)
    }

    /// All lists that the account remembers, ascending; from a number onward.
    pub fn order_lists(&self, account: &AccountId, from: OrderListId) -> impl Iterator<Item = &OrderList> {
        self.accounts.get(account).into_iter().flat_map(move |owner| owner.lists.range(from..)).map(|(_, list)| list)
    }

    /// The orders of a list that are still remembered, in the order of its legs.
    #[must_use]
    pub fn list_orders(&self, account: &AccountId, list: &OrderList) -> Vec<OrderView> {
        let Some(book) = self.book(account, &list.symbol) else { return Vec::new() };
        list.legs.iter().filter_map(|leg| book.orders.get(&leg.order_id)).cloned().collect()
    }

    /// Trades of the account with itself that were prevented on a symbol, oldest first.
    pub fn prevented_matches(&self, account: &AccountId, symbol: &Symbol) -> impl Iterator<Item = &PreventedMatch> {
        let owner = self.accounts.get(account).into_iter();
        owner.flat_map(|owner| &owner.prevented).filter(move |prevented| prevented.symbol == *symbol)
    }

    pub(super) fn book(&self, account: &AccountId, symbol: &Symbol) -> Option<&AccountBook> {
        self.accounts.get(account)?.books.get(symbol)
    }

    pub(super) fn known(&self, account: &AccountId, symbol: &Symbol) -> Result<(), Refusal> {
        if !self.accounts.contains_key(account) {
            return Err(Refusal::unknown_account());
        }
        if !self.symbols.contains_key(symbol) {
            return Err(Refusal::invalid_symbol(symbol));
        }
        Ok(())
    }
}

/// `limit` values in ascending order: from `from` onward, or the last ones.
fn page<K: Ord + Copy, V: Clone>(all: &BTreeMap<K, V>, from: Option<K>, limit: usize) -> Vec<V> {
    match from {
        Some(from) => all.range(from..).take(limit).map(|(_, value)| value.clone()).collect(),
        None => {
            let mut newest: Vec<V> = all.values().rev().take(limit).cloned().collect();
            newest.reverse();
            newest
        }
    }
}
