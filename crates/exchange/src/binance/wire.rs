//! The exchange's REST answers as it writes them, and what they are in our words.
//!
//! It must never guess: a field that is missing or makes no sense is an error that names it. Fields that nobody asked for
//! are ignored, words that nobody knows are kept.

use std::fmt;

use domain::{
    Asset, Candle, ClientOrderId, ExchangeOrderId, ExchangeOrderStatus, Fill, Interval, OrderReport, OrderType, Price,
    Quantity, Side, Symbol, Timestamp, TradeId,
};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

/// Why an answer is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field {field}: {detail}")]
pub struct WireError {
    /// The field as the exchange spells it.
    pub field: &'static str,
    /// What is wrong with it.
    pub detail: String,
}

pub(crate) fn bad(field: &'static str, detail: impl fmt::Display) -> WireError {
    WireError { field, detail: super::errors::shortened(&detail.to_string()) }
}

pub(crate) fn quantity(field: &'static str, text: &str) -> Result<Quantity, WireError> {
    text.parse::<Quantity>().map(Quantity::normalized).map_err(|error| bad(field, error))
}

pub(crate) fn price(field: &'static str, text: &str) -> Result<Price, WireError> {
    text.parse().map_err(|error| bad(field, error))
}

pub(crate) fn symbol(field: &'static str, text: &str) -> Result<Symbol, WireError> {
    Symbol::new(text).map_err(|error| bad(field, error))
}

pub(crate) fn asset(field: &'static str, text: &str) -> Result<Asset, WireError> {
    Asset::new(text).map_err(|error| bad(field, error))
}

pub(crate) fn side(field: &'static str, text: &str) -> Result<Side, WireError> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(bad(field, format!("{text:?} is neither BUY nor SELL"))),
    }
}

/// The client id of an order. Other clients of the account may use ids that ours must not look like; such an order gets
/// `foreign-<number>`, so that it can be reported and does not hide the others.
pub(crate) fn client_id(text: &str, order_id: u64) -> ClientOrderId {
    ClientOrderId::new(text).unwrap_or_else(|_| {
        ClientOrderId::new(&format!("foreign-{order_id}")).expect("invariant: a prefix and a u64 fit into 36 bytes")
    })
}

/// The exchange's word for an order's type.
#[must_use]
pub const fn order_type_word(order_type: OrderType) -> &'static str {
    match order_type {
        OrderType::Market => "MARKET",
        OrderType::Limit => "LIMIT",
        OrderType::LimitMaker => "LIMIT_MAKER",
        OrderType::StopLoss => "STOP_LOSS",
        OrderType::StopLossLimit => "STOP_LOSS_LIMIT",
        OrderType::TakeProfit => "TAKE_PROFIT",
        OrderType::TakeProfitLimit => "TAKE_PROFIT_LIMIT",
    }
}

/// `GET /api/v3/time`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeWire {
    /// Milliseconds since the epoch.
    pub server_time: i64,
}

/// One row of `GET /api/v3/klines`: an array whose first six members are used.
#[derive(Debug)]
pub struct CandleRow {
    open_time: i64,
    /// open, high, low, close, volume.
    numbers: [SmolStr; 5],
}

impl<'de> Deserialize<'de> for CandleRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(CandleRowVisitor)
    }
}

struct CandleRowVisitor;

impl<'de> Visitor<'de> for CandleRowVisitor {
    type Value = CandleRow;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a candle: [open time, open, high, low, close, volume, ...]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<CandleRow, A::Error> {
        let missing = |at: usize| serde::de::Error::invalid_length(at, &"a candle of at least six members");
        let open_time = row.next_element()?.ok_or_else(|| missing(0))?;
        let mut numbers: [SmolStr; 5] = Default::default();
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.next_element()?.ok_or_else(|| missing(at + 1))?;
        }
        while row.next_element::<IgnoredAny>()?.is_some() {}
        Ok(CandleRow { open_time, numbers })
    }
}

impl CandleRow {
    /// The candle, checked.
    ///
    /// # Errors
    /// The field that makes no sense, or why the candle cannot be true.
    pub fn candle(&self, symbol: &Symbol, interval: Interval) -> Result<Candle, WireError> {
        let [open, high, low, close, volume] = &self.numbers;
        let candle = Candle {
            symbol: symbol.clone(),
            interval,
            open_time: Timestamp::from_millis_or_micros(self.open_time),
            open: price("open", open)?,
            high: price("high", high)?,
            low: price("low", low)?,
            close: price("close", close)?,
            volume: quantity("volume", volume)?,
        };
        candle.check().map_err(|error| bad("candle", error))?;
        Ok(candle)
    }
}

/// An order: the answer to a new one (ACK, RESULT or FULL), to a cancel, or to a query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderWire {
    symbol: SmolStr,
    /// The exchange's number.
    pub order_id: u64,
    client_order_id: SmolStr,
    orig_client_order_id: Option<SmolStr>,
    status: Option<SmolStr>,
    side: Option<SmolStr>,
    executed_qty: Option<SmolStr>,
    transact_time: Option<i64>,
    update_time: Option<i64>,
    time: Option<i64>,
    expiry_reason: Option<SmolStr>,
    #[serde(default)]
    fills: Vec<OrderFillWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderFillWire {
    price: SmolStr,
    qty: SmolStr,
    commission: SmolStr,
    commission_asset: SmolStr,
    trade_id: u64,
}

impl OrderWire {
    /// The id that the order was sent with. The answer to a cancel has the cancel's own id in its usual place.
    #[must_use]
    pub fn client_id(&self) -> ClientOrderId {
        let original = self.orig_client_order_id.as_ref().filter(|id| !id.is_empty());
        client_id(original.unwrap_or(&self.client_order_id), self.order_id)
    }

    fn at(&self) -> Timestamp {
        let times = [self.transact_time, self.update_time, self.time];
        Timestamp::from_millis_or_micros(times.into_iter().flatten().max().unwrap_or(0))
    }

    /// Where the order is. An answer without a status (ACK) says that it was taken, and no more.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn report(&self) -> Result<OrderReport, WireError> {
        let executed = self.executed_qty.as_deref().map(|text| quantity("executedQty", text)).transpose()?;
        Ok(OrderReport {
            client_order_id: self.client_id(),
            exchange_order_id: Some(ExchangeOrderId(self.order_id)),
            symbol: symbol("symbol", &self.symbol)?,
            status: self.status.clone().map_or(ExchangeOrderStatus::New, ExchangeOrderStatus::from),
            executed_quantity: executed.unwrap_or_default(),
            time: self.at(),
            detail: self.expiry_reason.clone().filter(|reason| reason != "NONE"),
        })
    }

    /// The trades that the answer told (FULL). An order that trades while it is being placed takes.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn fills(&self) -> Result<Vec<Fill>, WireError> {
        let Some(side_word) = self.side.as_ref().filter(|_| !self.fills.is_empty()) else { return Ok(Vec::new()) };
        let (side, symbol) = (side("side", side_word)?, symbol("symbol", &self.symbol)?);
        let fill = |fill: &OrderFillWire| {
            Ok(Fill {
                trade_id: TradeId(fill.trade_id),
                client_order_id: self.client_id(),
                exchange_order_id: ExchangeOrderId(self.order_id),
                symbol: symbol.clone(),
                side,
                price: price("fills.price", &fill.price)?,
                quantity: quantity("fills.qty", &fill.qty)?,
                commission: quantity("fills.commission", &fill.commission)?,
                commission_asset: asset("fills.commissionAsset", &fill.commission_asset)?,
                is_maker: false,
                time: self.at(),
            })
        };
        self.fills.iter().map(fill).collect()
    }
}

/// The answer to a new order list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderListWire {
    /// One for each leg.
    pub order_reports: Vec<OrderWire>,
}

/// One row of `GET /api/v3/myTrades`. It has no client id: that is looked up by the order's number.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeWire {
    /// The trade's number.
    pub id: u64,
    /// The order's number.
    pub order_id: u64,
    price: SmolStr,
    qty: SmolStr,
    commission: SmolStr,
    commission_asset: SmolStr,
    time: i64,
    is_buyer: bool,
    is_maker: bool,
}

impl TradeWire {
    /// The fill of the order `client_order_id`.
    ///
    /// # Errors
    /// The field that makes no sense.
    pub fn fill(&self, symbol: &Symbol, client_order_id: ClientOrderId) -> Result<Fill, WireError> {
        Ok(Fill {
            trade_id: TradeId(self.id),
            client_order_id,
            exchange_order_id: ExchangeOrderId(self.order_id),
            symbol: symbol.clone(),
            side: if self.is_buyer { Side::Buy } else { Side::Sell },
            price: price("price", &self.price)?,
            quantity: quantity("qty", &self.qty)?,
            commission: quantity("commission", &self.commission)?,
            commission_asset: asset("commissionAsset", &self.commission_asset)?,
            is_maker: self.is_maker,
            time: Timestamp::from_millis_or_micros(self.time),
        })
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
