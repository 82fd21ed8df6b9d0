//! Orders, reports and fills as the domain knows them, apart from any exchange's wire form.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Asset, ClientOrderId, ExchangeOrderId, InstanceId, Notional, Price, Quantity, ReasonCode, Symbol, Timestamp,
    TradeId,
};

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Side {
    /// Base is bought.
    Buy,
    /// Base is sold.
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Side {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// `quantity` with the sign of this side: bought is above zero.
    #[must_use]
    pub fn signed(self, quantity: Quantity) -> Quantity {
        match self {
            Self::Buy => quantity.abs(),
            Self::Sell => -quantity.abs(),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        })
    }
}

/// How an order meets the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderType {
    /// At the best price there is.
    Market,
    /// At `price` or better.
    Limit,
    /// Limit, but only if it rests.
    LimitMaker,
    /// Market once the last price reaches `stop_price` against the position.
    StopLoss,
    /// Limit once the last price reaches `stop_price` against the position.
    StopLossLimit,
    /// Market once the last price reaches `stop_price` in favour of the position.
    TakeProfit,
    /// Limit once the last price reaches `stop_price` in favour of the position.
    TakeProfitLimit,
}

impl OrderType {
    /// Whether `price` is needed.
    #[must_use]
    pub const fn has_limit(self) -> bool {
        matches!(self, Self::Limit | Self::LimitMaker | Self::StopLossLimit | Self::TakeProfitLimit)
    }

    /// Whether it waits on the exchange for a price of its own, instead of trading at once.
    #[must_use]
    pub const fn rests(self) -> bool {
        !matches!(self, Self::Market)
    }

    /// Whether `stop_price` is needed.
    #[must_use]
    pub const fn has_trigger(self) -> bool {
        matches!(self, Self::StopLoss | Self::StopLossLimit | Self::TakeProfit | Self::TakeProfitLimit)
    }
}

/// How long an order lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// What fills at once; the rest expires.
    Ioc,
    /// All at once or nothing.
    Fok,
}

/// Which kind of exit an order is; protective, forced and manual ones pass where strategy exits do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    /// A strategy asked for it.
    Signal,
    /// A stop-loss or take-profit.
    Protective,
    /// The system must (delisting, HALT ALL).
    Forced,
    /// A person asked for it and it was approved.
    Manual,
}

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// It may increase exposure.
    Entry,
    /// It can only reduce exposure.
    Exit(ExitKind),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Entry => "entry",
            Self::Exit(ExitKind::Signal) => "exit",
            Self::Exit(ExitKind::Protective) => "protective exit",
            Self::Exit(ExitKind::Forced) => "forced exit",
            Self::Exit(ExitKind::Manual) => "manual exit",
        })
    }
}

/// One order as we mean it, before and apart from anything the exchange says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSpec {
    /// Ours, unique for ever.
    pub client_order_id: ClientOrderId,
    /// Whose order it is.
    pub instance: InstanceId,
    /// The market.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// How it meets the book.
    pub order_type: OrderType,
    /// What it is for.
    pub purpose: Purpose,
    /// In base units, above zero, on the step.
    pub quantity: Quantity,
    /// Limit price, where the type has one.
    pub price: Option<Price>,
    /// Trigger price, where the type has one.
    pub stop_price: Option<Price>,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Why it is sent.
    pub reason: ReasonCode,
    /// The other leg of the one-cancels-the-other list that it is part of: the two reserve one quantity, and where one
    /// fills, the other ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oco: Option<ClientOrderId>,
}

/// Where the exchange says an order is. An unknown word is kept as it came and counts as open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "SmolStr", into = "SmolStr")]
pub enum ExchangeOrderStatus {
    /// On the book, or waiting for its trigger.
    New,
    /// Partly filled, the rest on the book.
    PartiallyFilled,
    /// All of it filled.
    Filled,
    /// Cancelled by us or by another client of the account.
    Canceled,
    /// Refused by the engine.
    Rejected,
    /// Ended by the exchange: time in force, thin book, maintenance.
    Expired,
    /// Ended by self-trade prevention.
    ExpiredInMatch,
    /// Anything else (`PENDING_NEW`, `PENDING_CANCEL`, words of the future): neither final nor filled.
    Other(SmolStr),
}

impl ExchangeOrderStatus {
    /// Whether nothing more can happen to the order.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Filled | Self::Canceled | Self::Rejected | Self::Expired | Self::ExpiredInMatch => true,
            Self::New | Self::PartiallyFilled | Self::Other(_) => false,
        }
    }
}

impl From<SmolStr> for ExchangeOrderStatus {
    fn from(text: SmolStr) -> Self {
        match text.as_str() {
            "NEW" => Self::New,
            "PARTIALLY_FILLED" => Self::PartiallyFilled,
            "FILLED" => Self::Filled,
            "CANCELED" => Self::Canceled,
            "REJECTED" => Self::Rejected,
            "EXPIRED" => Self::Expired,
            "EXPIRED_IN_MATCH" => Self::ExpiredInMatch,
            _ => Self::Other(text),
        }
    }
}

impl From<ExchangeOrderStatus> for SmolStr {
    fn from(status: ExchangeOrderStatus) -> Self {
        match status {
            ExchangeOrderStatus::New => "NEW".into(),
            ExchangeOrderStatus::PartiallyFilled => "PARTIALLY_FILLED".into(),
            ExchangeOrderStatus::Filled => "FILLED".into(),
            ExchangeOrderStatus::Canceled => "CANCELED".into(),
            ExchangeOrderStatus::Rejected => "REJECTED".into(),
            ExchangeOrderStatus::Expired => "EXPIRED".into(),
            ExchangeOrderStatus::ExpiredInMatch => "EXPIRED_IN_MATCH".into(),
            ExchangeOrderStatus::Other(text) => text,
        }
    }
}

/// What the exchange says of one order at one moment: an answer, a stream event or a query. Reports may come late, twice
/// and in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    /// The id that the order was sent with.
    pub client_order_id: ClientOrderId,
    /// The exchange's number, where it gave one.
    pub exchange_order_id: Option<ExchangeOrderId>,
    /// The market.
    pub symbol: Symbol,
    /// Where the order is.
    pub status: ExchangeOrderStatus,
    /// Filled so far, in base units: cumulative.
    pub executed_quantity: Quantity,
    /// When, in exchange time.
    pub time: Timestamp,
    /// What the exchange said of a refusal, as it came.
    pub detail: Option<SmolStr>,
}

/// One trade of one of our orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Unique within the symbol: a fill is booked once by (symbol, trade id).
    pub trade_id: TradeId,
    /// The order's id of ours.
    pub client_order_id: ClientOrderId,
    /// The exchange's number of the order.
    pub exchange_order_id: ExchangeOrderId,
    /// The market.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// Price of the trade, in quote units.
    pub price: Price,
    /// Quantity of the trade, in base units, above zero.
    pub quantity: Quantity,
    /// Commission charged, in units of `commission_asset`; below zero is a rebate.
    pub commission: Quantity,
    /// What the commission was charged in: base, quote or a third asset.
    pub commission_asset: Asset,
    /// Whether the order rested on the book.
    pub is_maker: bool,
    /// When, in exchange time.
    pub time: Timestamp,
}

impl Fill {
    /// price x quantity, in quote units, above zero.
    #[must_use]
    pub fn notional(&self) -> Notional {
        self.price.times(self.quantity)
    }
}

/// Anything the exchange tells about our orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionEvent {
    /// Where an order is.
    Report(OrderReport),
    /// A trade.
    Fill(Fill),
}
