//! What the exchange itself does to symbols and accounts: transfers, locks, delistings, lost orders, crashes, and what
//! another client of the account does.
//!
//! It must never change a balance without an event that tells of it, but where losing events is what is asked for.

use domain::{Asset, ClientOrderId, ExchangeOrderId, Filters, Instrument, Quantity, Ratio, Symbol, SymbolStatus};
use domain::{Timestamp, Trade};

use super::matching::Ending;
use super::order::{ExpiryReason, NewOrder, OrderView};
use super::symbol::SymbolState;
use super::types::{AccountId, ModelEvent};
use super::{Model, Refusal};

impl Model {
    /// A deposit, a withdrawal or a transfer (below zero it goes away), told as `balanceUpdate`.
    ///
    /// # Errors
    /// The account is unknown, or has not that much free.
    pub fn transfer(
        &mut self,
        account: &AccountId,
        asset: &Asset,
        delta: Quantity,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<(), Refusal> {
        self.deposit(account, asset, delta, now)?;
        events.push(ModelEvent::BalanceUpdate { account: account.clone(), asset: asset.clone(), delta, time: now });
        events.push(ModelEvent::Balances { account: account.clone(), assets: vec![asset.clone()] });
        Ok(())
    }

    /// Another product of the exchange locks some of a balance, or gives it back (below zero).
    ///
    /// # Errors
    /// The account is unknown, or has not that much free, or locked by such a product.
    pub fn external_lock(
        &mut self,
        account: &AccountId,
        asset: &Asset,
        delta: Quantity,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<(), Refusal> {
        let owner = self.accounts.get_mut(account).ok_or_else(Refusal::unknown_account)?;
        let held = owner.external.get(asset).copied().unwrap_or_default();
        if delta > owner.free(asset) || (held + delta).is_negative() {
            return Err(Refusal::insufficient_balance());
        }
        owner.external.insert(asset.clone(), held + delta);
        owner.lock(asset, delta);
        events.push(ModelEvent::ExternalLock { account: account.clone(), asset: asset.clone(), delta, time: now });
        events.push(ModelEvent::Balances { account: account.clone(), assets: vec![asset.clone()] });
        Ok(())
    }

    /// Lists a symbol; one that exists keeps its prices and orders and gets the new rules.
    pub fn add_symbol(&mut self, instrument: Instrument) {
        match self.symbols.get_mut(&instrument.symbol) {
            Some(state) => state.instrument = instrument,
            None => {
                self.symbols.insert(instrument.symbol.clone(), SymbolState::new(instrument));
            }
        }
    }

    /// Changes a symbol's filters, steps or smallest sizes. Open orders stay as they are.
    ///
    /// # Errors
    /// The symbol is unknown.
    pub fn set_filters(&mut self, symbol: &Symbol, filters: Filters) -> Result<(), Refusal> {
        self.change_instrument(symbol, |instrument| instrument.filters = filters)
    }

    /// Changes a symbol's rules. Name and assets stay as they are, whatever `change` does to them.
    ///
    /// # Errors
    /// The symbol is unknown.
    pub fn change_instrument(&mut self, symbol: &Symbol, change: impl FnOnce(&mut Instrument)) -> Result<(), Refusal> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        let (base, quote) = (state.instrument.base.clone(), state.instrument.quote.clone());
        change(&mut state.instrument);
        (state.instrument.symbol, state.instrument.base, state.instrument.quote) = (symbol.clone(), base, quote);
        Ok(())
    }

    /// Takes a symbol out of trading: all its open orders expire with EXCHANGE_CANCELED, and it stays in BREAK.
    ///
    /// # Errors
    /// The symbol is unknown.
    pub fn delist(&mut self, symbol: &Symbol, now: Timestamp, events: &mut Vec<ModelEvent>) -> Result<(), Refusal> {
        self.set_status(symbol, SymbolStatus::Break)?;
        let accounts: Vec<AccountId> = self.accounts.keys().cloned().collect();
        for account in accounts {
            for order in self.open_orders(&account, Some(symbol)) {
                let ending = Ending::Expired(ExpiryReason::ExchangeCanceled);
                self.end(&account, symbol, order.order_id, ending, now, events);
            }
        }
        Ok(())
    }

    /// Takes a symbol off the exchange: as [`Model::delist`], and afterwards nobody knows it (-1121).
    ///
    /// # Errors
    /// The symbol is unknown.
    pub fn remove_symbol(
        &mut self,
        symbol: &Symbol,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<(), Refusal> {
        self.delist(symbol, now, events)?;
        self.symbols.remove(symbol);
        Ok(())
    }

    /// Loses all open orders of all accounts without telling anybody, as at a restart of the exchange; how many.
    /// What they held is free again, and they cannot be asked for.
    pub fn lose_open_orders(&mut self, now: Timestamp) -> usize {
        let accounts: Vec<AccountId> = self.accounts.keys().cloned().collect();
        let mut lost = 0;
        for account in accounts {
            for order in self.open_orders(&account, None) {
                self.end(&account, &order.symbol, order.order_id, Ending::Canceled, now, &mut Vec::new());
                if let Some(owner) = self.accounts.get_mut(&account) {
                    owner.drop_order(&order.symbol, order.order_id);
                }
                lost += 1;
            }
        }
        lost
    }

    /// Places an order as the account's owner does with the exchange's own application: it gets an id of that one.
    ///
    /// # Errors
    /// As [`Model::place`].
    pub fn place_by_hand(
        &mut self,
        account: &AccountId,
        order: &NewOrder,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<OrderView, Refusal> {
        let last = self.symbols.get(&order.symbol).map_or(0, |state| state.last_order_id);
        let next = ExchangeOrderId(last + 1);
        let text = format!("web_{:032x}", next.0);
        let client_order_id = ClientOrderId::new(&text).expect("invariant: 'web_' and 32 hexadecimal digits are an id");
        self.place(account, &NewOrder { client_order_id, ..order.clone() }, now, events)
    }

    /// Moves quote and last price by a share (-0.3: down by 30 %) and prints the trade that shows it, as number `id`.
    /// The market goes on from wherever its next event puts it.
    ///
    /// # Errors
    /// The symbol is unknown or has no price yet, or the share leaves no price.
    pub fn shock(
        &mut self,
        symbol: &Symbol,
        share: Ratio,
        id: u64,
        now: Timestamp,
        events: &mut Vec<ModelEvent>,
    ) -> Result<Trade, Refusal> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        let no_price = || Refusal::new(-1112, "No orders on book for symbol.");
        let last = state.last.ok_or_else(no_price)?;
        let moved = last.price.moved_by(share).and_then(|price| price.floor_to(state.instrument.tick_size));
        let price = moved.ok_or_else(no_price)?;
        state.move_quote(share, now);
        let buyer_is_maker = share.value().is_sign_negative();
        let trade = Trade { symbol: symbol.clone(), id, price, quantity: last.quantity, buyer_is_maker, time: now };
        self.on_trade(&trade, events);
        Ok(trade)
    }
}
