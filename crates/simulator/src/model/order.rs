//! Orders: as a client asks for them, as the exchange sees them, and the closed sets of words about them.
//!
//! Plain data. It must never know how an order is matched or how it looks on a wire.

use domain::{
    ClientOrderId, ExchangeOrderId, ExchangeOrderStatus, Notional, OrderType, Price, Quantity, Ratio, Side, Symbol,
    TimeInForce, Timestamp,
};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::types::AccountId;

/// What becomes of orders of one account that would trade with each other. The taker's word decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StpMode {
    /// Nothing is prevented; the model's own orders do not meet each other then.
    #[default]
    None,
    /// The resting order ends.
    ExpireMaker,
    /// The taking order ends.
    ExpireTaker,
    /// Both end.
    ExpireBoth,
    /// Both lose the quantity that would have traded; what is left of the larger one lives on.
    Decrement,
}

/// Why the exchange ended an order (`expiryReason`, since 2026-03-26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExpiryReason {
    /// The engine refused it when it came to be put on the book.
    Rejected,
    /// The exchange removed it: a delisting.
    ExchangeCanceled,
    /// The other order of the pair began to work, or the pair ended.
    OcoTrigger,
    /// The working order of its list ended without being filled.
    OtoPhaseOneExpired,
    /// IOC: what did not fill at once.
    UnfilledIocQuantityExpired,
    /// FOK: it could not fill in full.
    UnfilledFokOrderExpired,
    /// The book had not enough.
    InsufficientLiquidity,
}

/// When a cancel may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelRestriction {
    /// Only while nothing of the order is filled.
    OnlyNew,
    /// Only where part of the order is filled.
    OnlyPartiallyFilled,
}

/// A trigger that follows the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trailing {
    /// How far the price must turn back, in basis points.
    pub delta_bips: u32,
    /// The best price since it follows: a sell's highest, a buy's lowest.
    #[serde(default)]
    pub extreme: Option<Price>,
    /// Since when it follows; `None` until its stop price is reached.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Trailing {
    /// The price whose reaching triggers; `None` while it does not follow.
    #[must_use]
    pub fn trigger_price(&self, side: Side) -> Option<Price> {
        let share = Ratio::new(domain::Decimal::new(i64::from(self.delta_bips), 4)).ok()?;
        self.extreme?.moved_by(if side == Side::Buy { share } else { -share })
    }
}

/// An order as a client asks for it. Begin with [`NewOrder::new`] and add what the type needs.
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
    /// How much of it the book shows, in base units.
    #[serde(default)]
    pub iceberg_quantity: Option<Quantity>,
    /// How far the price must turn back to trigger it, in basis points; only where the type has a trigger.
    #[serde(default)]
    pub trailing_delta: Option<u32>,
    /// The client's own number of a strategy; stored and told.
    #[serde(default)]
    pub strategy_id: Option<i64>,
    /// The client's own number of a kind of strategy, 1,000,000 or more; stored and told.
    #[serde(default)]
    pub strategy_type: Option<i64>,
    /// What to do where it would trade with an order of its own account; the exchange's default if it says nothing.
    #[serde(default)]
    pub self_trade_prevention: Option<StpMode>,
}

impl NewOrder {
    /// An order of `quantity` without prices, time in force or anything else.
    #[must_use]
    pub fn new(
        client_order_id: ClientOrderId,
        symbol: Symbol,
        side: Side,
        order_type: OrderType,
        quantity: Quantity,
    ) -> Self {
        Self {
            client_order_id,
            symbol,
            side,
            order_type,
            quantity: Some(quantity),
            quote_quantity: None,
            price: None,
            stop_price: None,
            time_in_force: None,
            iceberg_quantity: None,
            trailing_delta: None,
            strategy_id: None,
            strategy_type: None,
            self_trade_prevention: None,
        }
    }
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

/// The exchange's number of an order list, ascending over all symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderListId(pub u64);

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
    /// The list that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<OrderListId>,
    /// How much of it the book shows, in base units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iceberg_quantity: Option<Quantity>,
    /// Its trigger, where that follows the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trailing: Option<Trailing>,
    /// As it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_id: Option<i64>,
    /// As it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy_type: Option<i64>,
    /// What to do where it would trade with an order of its own account.
    #[serde(default)]
    pub self_trade_prevention: StpMode,
    /// What self-trade prevention took from it, in base units.
    #[serde(default)]
    pub prevented_quantity: Quantity,
    /// The last match that was prevented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prevented_match: Option<u64>,
    /// Why the exchange ended it, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_reason: Option<ExpiryReason>,
    /// How often its quantity was reduced.
    #[serde(default)]
    pub amends: u32,
}

impl OrderView {
    /// Not filled and not prevented yet, in base units.
    #[must_use]
    pub fn remaining(&self) -> Quantity {
        self.orig_quantity - self.executed_quantity - self.prevented_quantity
    }

    /// Whether it waits for the working order of its list (`PENDING_NEW`): it is on no book and holds nothing.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(&self.status, ExchangeOrderStatus::Other(word) if word == PENDING_NEW)
    }
}

const PENDING_NEW: &str = "PENDING_NEW";

/// The status of an order that waits for another one.
pub(super) fn pending_new() -> ExchangeOrderStatus {
    ExchangeOrderStatus::Other(SmolStr::new_static(PENDING_NEW))
}
