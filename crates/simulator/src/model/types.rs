//! The words of the model: accounts, balances, and what is told of them.
//!
//! Plain data. It must never know how an order is matched or how it looks on a wire.

use std::fmt;

use domain::{Asset, ClientOrderId, ExchangeOrderId, Fill, Price, Quantity, Symbol, Timestamp};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::list::OrderList;
use super::order::{OrderView, StpMode};

/// Whose balances and orders they are. Any text; the server uses the one of its configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(SmolStr);

impl AccountId {
    /// The account called `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What an account has of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// May be spent.
    pub free: Quantity,
    /// Held for open orders, and by other products of the exchange.
    pub locked: Quantity,
}

/// One of an account's trades.
pub type TradeView = Fill;

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionKind {
    /// It was taken; said again when a stop comes on the book, and when a pending order does.
    New,
    /// It was cancelled by its owner.
    Canceled,
    /// Its quantity was reduced; told as [`ModelEvent::Amended`].
    Replaced,
    /// The exchange ended it.
    Expired,
    /// It traded; told as [`ModelEvent::Fill`], never as [`ModelEvent::Order`].
    Trade,
    /// A trade with the own account was prevented; told as [`ModelEvent::Prevented`].
    TradePrevention,
    /// The engine refused it. The model refuses by answer, so it tells this never; the word is the protocol's.
    Rejected,
}

/// A trade of an account with itself that was prevented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreventedMatch {
    /// Ascending within the symbol.
    pub match_id: u64,
    /// The market.
    pub symbol: Symbol,
    /// The order that came.
    pub taker: ExchangeOrderId,
    /// The order that rested.
    pub maker: ExchangeOrderId,
    /// The price at which they would have traded.
    pub price: Price,
    /// How much would have traded, in base units.
    pub quantity: Quantity,
    /// What the taker lost by it, in base units.
    pub taker_prevented: Quantity,
    /// What the maker lost by it, in base units.
    pub maker_prevented: Quantity,
    /// The taker's word.
    pub mode: StpMode,
    /// When, in exchange time.
    pub time: Timestamp,
}

/// What the model tells the owner of an account, in the order of happening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelEvent {
    /// An order came, ended, or was triggered.
    Order {
        /// Whose.
        account: AccountId,
        /// The order after it.
        order: OrderView,
        /// What happened.
        execution: ExecutionKind,
    },
    /// An order traded.
    Fill {
        /// Whose.
        account: AccountId,
        /// The trade.
        fill: Fill,
        /// The order after it.
        order: OrderView,
    },
    /// An order lost quantity, or its life, by self-trade prevention.
    Prevented {
        /// Whose.
        account: AccountId,
        /// The order after it.
        order: OrderView,
        /// What was prevented.
        prevented: PreventedMatch,
    },
    /// An order's quantity was reduced.
    Amended {
        /// Whose.
        account: AccountId,
        /// The order after it.
        order: OrderView,
        /// The client id that it had.
        original: ClientOrderId,
    },
    /// A list came, went on, or ended.
    List {
        /// Whose.
        account: AccountId,
        /// The list after it.
        list: OrderList,
    },
    /// Balances may have changed; ask for them.
    Balances {
        /// Whose.
        account: AccountId,
        /// Which.
        assets: Vec<Asset>,
    },
    /// Something was deposited, withdrawn or transferred.
    BalanceUpdate {
        /// Whose.
        account: AccountId,
        /// Of what.
        asset: Asset,
        /// How much; below zero it went away.
        delta: Quantity,
        /// When, in exchange time.
        time: Timestamp,
    },
    /// Another product of the exchange holds some of a balance, or gives it back.
    ExternalLock {
        /// Whose.
        account: AccountId,
        /// Of what.
        asset: Asset,
        /// How much; below zero it is given back.
        delta: Quantity,
        /// When, in exchange time.
        time: Timestamp,
    },
}

impl ModelEvent {
    /// The account that is told.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Order { account, .. }
            | Self::Fill { account, .. }
            | Self::Prevented { account, .. }
            | Self::Amended { account, .. }
            | Self::List { account, .. }
            | Self::Balances { account, .. }
            | Self::BalanceUpdate { account, .. }
            | Self::ExternalLock { account, .. } => account,
        }
    }
}
