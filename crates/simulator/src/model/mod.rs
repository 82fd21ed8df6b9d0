//! The exchange's model: accounts, balances, orders, filters and matching. Pure: no I/O, no clock, no randomness.
//!
//! It must never create or destroy money: an account's balances change only by deposits and by its own fills.
//!
//! How orders meet the market (the book behind the best quote is taken as endless, unless the settings say otherwise):
//! - MARKET fills at once and in full at the opposite best price, moved against it by `slippage` and rounded against it
//!   to the tick. Without any price yet it is taken and EXPIRED with nothing filled. Where the settings give the book a
//!   depth, it fills price by price, and what the book does not hold is EXPIRED.
//! - LIMIT that crosses when placed (or when triggered) fills in full at the opposite best price, as taker. Otherwise
//!   it rests; IOC and FOK expire instead. LIMIT_MAKER that crosses is refused.
//! - A resting order fills as maker at its own limit price when a later trade prints through it: in full if the print is
//!   strictly better than the limit, up to the print's quantity if it is exactly the limit. One print's quantity is
//!   shared by price, then by time of arrival, among all accounts. Quotes alone fill nothing.
//! - STOP_LOSS and TAKE_PROFIT (and their _LIMIT forms) trigger by the last trade's price and then act as MARKET or
//!   LIMIT, against the quote of that moment and not against the print that triggered them.
//! - What is locked: a SELL its open quantity; a BUY its open quantity at the limit price, or at the stop price where it
//!   has no limit. A triggered BUY that its account cannot pay for is EXPIRED.
//! - Where no quote as new as the last trade was told, the best bid and ask are derived from the trade by `half_spread`,
//!   rounded outward to the tick.
//! - The commission is the fee's share of what is received (BUY: base, SELL: quote), in that asset, rounded to 8
//!   decimals, halves up.
//! - Orders of accounts never meet each other. Those of one account are kept from meeting where self-trade prevention is
//!   asked for; where it is not, they pass each other.
//! - A pair (OCO) holds the larger need of the two once. Before one of them works or fills, the other is EXPIRED.
//!   Pending orders hold nothing until their working order is filled in full.

mod account;
mod book;
mod check;
mod filters;
mod list;
mod lists;
mod matching;
mod operator;
mod order;
mod pairs;
mod pending;
mod place;
mod prevent;
mod prints;
mod query;
mod refusal;
mod settings;
mod symbol;
mod types;

use std::collections::BTreeMap;

use domain::{Asset, Instrument, Quantity, Quote, Symbol, SymbolStatus, Timestamp, Trade};
use serde::{Deserialize, Serialize};

use self::account::Account;
pub(crate) use self::filters::{AMENDS_MAX, ICEBERG_PARTS_MAX, TRAILING_DELTA_MAX, TRAILING_DELTA_MIN};
pub use self::list::{Contingency, ListLeg, ListOutcome, ListRef, ListShape, ListStatus, NewList, OrderList};
pub use self::order::{CancelRestriction, ExpiryReason, NewOrder, OrderListId, OrderRef, OrderView, StpMode, Trailing};
pub use self::refusal::Refusal;
pub use self::settings::ModelSettings;
use self::symbol::{Last, SymbolState};
pub use self::types::{AccountId, Balance, ExecutionKind, ModelEvent, PreventedMatch, TradeView};

/// The exchange: everything that is true of it at one moment. It serializes whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    settings: ModelSettings,
    symbols: BTreeMap<Symbol, SymbolState>,
    accounts: BTreeMap<AccountId, Account>,
    #[serde(default = "history_max")]
    history_max: usize,
    #[serde(default)]
    last_list_id: u64,
}

fn history_max() -> usize {
    account::HISTORY_MAX
}

impl Model {
    /// An exchange that trades `instruments`, without accounts or prices.
    #[must_use]
    pub fn new(settings: ModelSettings, instruments: Vec<Instrument>) -> Self {
        let symbols = instruments.into_iter().map(|one| (one.symbol.clone(), SymbolState::new(one))).collect();
        Self { settings, symbols, accounts: BTreeMap::new(), history_max: history_max(), last_list_id: 0 }
    }

    /// Changes fees, spread and slippage for what comes.
    pub fn set_settings(&mut self, settings: ModelSettings) {
        self.settings = settings;
    }

    /// From now on remembers so many finished orders, and as many trades, of each account; more cannot be asked for.
    pub fn set_history_max(&mut self, orders: usize) {
        self.history_max = orders;
    }

    /// Opens an empty account; one that exists stays as it is.
    pub fn add_account(&mut self, account: &AccountId) {
        self.accounts.entry(account.clone()).or_default();
    }

    /// Adds to the free balance, or takes from it where `amount` is negative.
    ///
    /// # Errors
    /// The account is unknown, or has not that much free.
    pub fn deposit(
        &mut self,
        account: &AccountId,
        asset: &Asset,
        amount: Quantity,
        _now: Timestamp,
    ) -> Result<Balance, Refusal> {
        let account = self.accounts.get_mut(account).ok_or_else(Refusal::unknown_account)?;
        if (account.free(asset) + amount).is_negative() {
            return Err(Refusal::insufficient_balance());
        }
        let balance = account.balance_mut(asset);
        balance.free += amount;
        Ok(*balance)
    }

    /// Opens or closes a symbol. While it does not trade, orders are refused and nothing fills; cancels pass.
    ///
    /// # Errors
    /// The symbol is unknown.
    pub fn set_status(&mut self, symbol: &Symbol, status: SymbolStatus) -> Result<(), Refusal> {
        let state = self.symbols.get_mut(symbol).ok_or_else(|| Refusal::invalid_symbol(symbol))?;
        state.instrument.status = status;
        Ok(())
    }

    /// A public trade: it moves the last price, fills resting orders and triggers stops. Unknown symbols are ignored.
    pub fn on_trade(&mut self, trade: &Trade, events: &mut Vec<ModelEvent>) {
        let Some(state) = self.symbols.get_mut(&trade.symbol) else { return };
        state.last = Some(Last { price: trade.price, quantity: trade.quantity, time: trade.time });
        if state.is_touched_by(trade.price) && state.instrument.status == SymbolStatus::Trading {
            self.match_trade(trade, events);
        }
    }

    /// A new best bid and ask. It fills nothing, so no event comes of it; unknown symbols are ignored.
    pub fn on_quote(&mut self, quote: &Quote, _events: &mut Vec<ModelEvent>) {
        if let Some(state) = self.symbols.get_mut(&quote.symbol) {
            state.tell(quote);
        }
    }
}

#[cfg(test)]
mod depth_tests;
#[cfg(test)]
mod filters_tests;
#[cfg(test)]
mod lists_tests;
#[cfg(test)]
mod money_tests;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod prevent_tests;
#[cfg(test)]
mod tests;
