//! Order lists as they are asked for and as they are seen: one cancels the other, one triggers the other.
//!
//! Plain data. It must never know how an order is matched or how it looks on a wire.

use domain::{ClientOrderId, ExchangeOrderId, Symbol, Timestamp};
use serde::{Deserialize, Serialize};

use super::order::{NewOrder, OrderListId, OrderView};

/// How the orders of a list depend on each other; OTOCO prints `OTO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Contingency {
    /// One cancels the other.
    Oco,
    /// One triggers the other.
    Oto,
}

/// Where a list is (`listStatusType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ListStatus {
    /// It was placed, or its second phase began.
    ExecStarted,
    /// The client id of one of its orders changed.
    Updated,
    /// All its orders have ended.
    AllDone,
}

/// Which orders make a list. Prices decide nothing here: above and below are as the client says.
#[derive(Debug, Clone, Copy)]
pub enum ListShape<'a> {
    /// Two orders over one quantity: what begins to work ends the other.
    Oco {
        /// The one with the higher price.
        above: &'a NewOrder,
        /// The one with the lower price.
        below: &'a NewOrder,
    },
    /// The second is placed when the first is filled in full.
    Oto {
        /// The first.
        working: &'a NewOrder,
        /// The second.
        pending: &'a NewOrder,
    },
    /// A pair is placed when the first is filled in full.
    Otoco {
        /// The first.
        working: &'a NewOrder,
        /// The pair's higher one.
        above: &'a NewOrder,
        /// The pair's lower one.
        below: &'a NewOrder,
    },
}

/// A list as a client asks for it.
#[derive(Debug, Clone, Copy)]
pub struct NewList<'a> {
    /// The client's id of the list, unique among its open lists.
    pub client_id: &'a ClientOrderId,
    /// Its orders.
    pub shape: ListShape<'a>,
    /// OPO and OPOCO: the pending orders are for what the working one really received; their own quantity is ignored.
    pub follows_fill: bool,
}

/// An order of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListLeg {
    /// The exchange's number.
    pub order_id: ExchangeOrderId,
    /// The client's id.
    pub client_order_id: ClientOrderId,
}

/// A list as the exchange sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderList {
    /// The exchange's number.
    pub id: OrderListId,
    /// The client's id of the list.
    pub client_id: ClientOrderId,
    /// The market.
    pub symbol: Symbol,
    /// How its orders depend on each other.
    pub contingency: Contingency,
    /// Where it is.
    pub status: ListStatus,
    /// Its orders: the working one first, of a pair the stop-loss first.
    pub legs: Vec<ListLeg>,
    /// The order that the others wait for.
    pub working: Option<ExchangeOrderId>,
    /// The two of which one cancels the other.
    pub pair: Option<(ExchangeOrderId, ExchangeOrderId)>,
    /// Whether the pending orders are for what the working one received.
    pub follows_fill: bool,
    /// When it was placed.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl OrderList {
    /// Whether all its orders have ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.status == ListStatus::AllDone
    }

    /// The other order of the pair that `id` is part of.
    #[must_use]
    pub fn sibling(&self, id: ExchangeOrderId) -> Option<ExchangeOrderId> {
        match self.pair? {
            (one, other) if one == id => Some(other),
            (one, other) if other == id => Some(one),
            _ => None,
        }
    }
}

/// Which list is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListRef {
    /// By the client's id of the list; where several had it, the newest.
    Client(ClientOrderId),
    /// By the exchange's number.
    Exchange(OrderListId),
}

/// The answer to a list that was placed, or cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOutcome {
    /// The list.
    pub list: OrderList,
    /// Its orders, in the order of its legs. After a placement pending ones are shown as they were placed, even where
    /// the working one has filled since.
    pub orders: Vec<OrderView>,
}
