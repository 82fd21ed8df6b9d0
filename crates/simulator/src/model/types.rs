//! The words of the model: accounts, balances, orders as they are asked for and as they are seen, and what is told of them.
//!
//! Plain data. It must never know how an order is matched or how it looks on a wire.

use std::fmt;

use domain::{
    Asset, ClientOrderId, Decimal, ExchangeOrderId, ExchangeOrderStatus, Fill, Notional, OrderType, Price, Quantity,
    Ratio, Side, Symbol, TimeInForce, Timestamp,
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

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

/// What the exchange charges and how its book looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// Share of the received amount charged when the order rested.
    pub maker_fee: Ratio,
    /// Share of the received amount charged when the order took.
    pub taker_fee: Ratio,
    /// Distance of a derived best bid or ask from the last trade, as a share of its price.
    pub half_spread: Ratio,
    /// How much worse than the best price a market order fills, as a share of the price.
    pub slippage: Ratio,
}

impl Default for ModelSettings {
    fn default() -> Self {
        let ratio = |number, scale| Ratio::new(Decimal::new(number, scale)).unwrap_or_default();
        Self { maker_fee: ratio(1, 3), taker_fee: ratio(1, 3), half_spread: ratio(1, 4), slippage: Ratio::ZERO }
    }
}

/// What an account has of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// May be spent.
    pub free: Quantity,
    /// Held for open orders.
    pub locked: Quantity,
}

/// An order as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The client's id, unique among the account's open orders of the symbol.
    pub client_order_id: ClientOrderId,
    /// The market.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub order_type: OrderType,
    /// In base units; needed by all but a MARKET order that has `quote_quantity`.
    pub quantity: Option<Quantity>,
    /// MARKET only: how much to spend or to receive, in quote units.
    pub quote_quantity: Option<Notional>,
    /// Limit price, where the type has one.
    pub price: Option<Price>,
    /// Trigger price, where the type has one.
    pub stop_price: Option<Price>,
    /// Needed by LIMIT and the stop-limits; ignored by the others.
    pub time_in_force: Option<TimeInForce>,
}

/// Which order is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderRef {
    /// By the client's id; where several orders had it, the newest.
    Client(ClientOrderId),
    /// By the exchange's number.
    Exchange(ExchangeOrderId),
}

/// An order as the exchange sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Whose.
    pub account: AccountId,
    /// The market.
    pub symbol: Symbol,
    /// The exchange's number, ascending within the symbol.
    pub order_id: ExchangeOrderId,
    /// The client's id.
    pub client_order_id: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book; a triggered stop keeps its type.
    pub order_type: OrderType,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price.
    pub price: Option<Price>,
    /// Trigger price.
    pub stop_price: Option<Price>,
    /// Asked for, in base units; for a quote-quantity order what it came to (zero if nothing was filled).
    pub orig_quantity: Quantity,
    /// Asked for in quote units, MARKET only.
    pub quote_quantity: Option<Notional>,
    /// Filled so far, in base units.
    pub executed_quantity: Quantity,
    /// Filled so far, in quote units.
    pub cumulative_quote: Notional,
    /// Where it is.
    pub status: ExchangeOrderStatus,
    /// When it was placed.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Whether it is, or was, on the book: false for a stop that has not triggered.
    pub working: bool,
    /// When it came on the book.
    pub working_time: Option<Timestamp>,
}

impl OrderView {
    /// Not filled yet, in base units.
    #[must_use]
    pub fn remaining(&self) -> Quantity {
        self.orig_quantity - self.executed_quantity
    }
}

/// One of an account's trades.
pub type TradeView = Fill;

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecutionKind {
    /// It was taken; said again when a stop comes on the book.
    New,
    /// It was cancelled by its owner.
    Canceled,
    /// The exchange ended it.
    Expired,
    /// It traded; told as [`ModelEvent::Fill`], never as [`ModelEvent::Order`].
    Trade,
    /// The engine refused it. The model refuses by answer, so it tells this never; the word is the protocol's.
    Rejected,
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
    /// Balances may have changed; ask for them.
    Balances {
        /// Whose.
        account: AccountId,
        /// Which.
        assets: Vec<Asset>,
    },
}

impl ModelEvent {
    /// The account that is told.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        match self {
            Self::Order { account, .. } | Self::Fill { account, .. } | Self::Balances { account, .. } => account,
        }
    }
}
