//! The account's answers as the exchange writes them, and what they are in our words.
//!
//! It must never read an absent permission as a harmless one.

use std::collections::BTreeMap;

use domain::{Asset, ClientOrderId, Decimal, Quantity, Symbol, Timestamp};
use serde::Deserialize;
use smol_str::SmolStr;

use super::wire::{OrderListWire, OrderWire, WireError, asset, bad, client_id, quantity, symbol};

/// What the account holds of one asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Not in open orders.
    pub free: Quantity,
    /// In open orders.
    pub locked: Quantity,
}

/// The account (`GET /api/v3/account`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStatus {
    /// Whether it may trade.
    pub can_trade: bool,
    /// `SPOT`, and groups of symbols (`TRD_GRP_004`).
    pub permissions: Vec<SmolStr>,
    /// By asset, without zeros.
    pub balances: BTreeMap<Asset, Balance>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountWire {
    can_trade: Option<bool>,
    #[serde(default)]
    permissions: Vec<SmolStr>,
    balances: Vec<BalanceWire>,
}

#[derive(Debug, Deserialize)]
struct BalanceWire {
    asset: SmolStr,
    free: SmolStr,
    locked: SmolStr,
}

impl AccountWire {
    /// Free and locked, by asset, without zeros.
    pub(crate) fn balances(&self) -> Result<BTreeMap<Asset, Balance>, WireError> {
        let mut held = BTreeMap::new();
        for wire in &self.balances {
            let balance = Balance { free: quantity("free", &wire.free)?, locked: quantity("locked", &wire.locked)? };
            if balance != Balance::default() {
                held.insert(asset("asset", &wire.asset)?, balance);
            }
        }
        Ok(held)
    }

    pub(crate) fn status(self) -> Result<AccountStatus, WireError> {
        let balances = self.balances()?;
        let can_trade = self.can_trade.ok_or_else(|| bad("canTrade", "it is missing"))?;
        Ok(AccountStatus { can_trade, permissions: self.permissions, balances })
    }
}

/// Shares of what is received that are charged: 0.001 is 0.1 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommissionRates {
    /// For orders that rested.
    pub maker: Decimal,
    /// For orders that took.
    pub taker: Decimal,
    /// For buys, in addition.
    pub buyer: Decimal,
    /// For sells, in addition.
    pub seller: Decimal,
}

/// What trading a symbol costs the account (`GET /api/v3/account/commission`). The parts add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commission {
    /// The usual part.
    pub standard: CommissionRates,
    /// The symbol's special part.
    pub special: CommissionRates,
    /// Taxes.
    pub tax: CommissionRates,
    /// The asset that the standard part may be paid in, and the factor then; `None` where account or symbol have no
    /// discount.
    pub discount: Option<(Asset, Decimal)>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommissionWire {
    standard_commission: RatesWire,
    #[serde(default)]
    special_commission: RatesWire,
    #[serde(default)]
    tax_commission: RatesWire,
    discount: Option<DiscountWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RatesWire {
    maker: Option<SmolStr>,
    taker: Option<SmolStr>,
    buyer: Option<SmolStr>,
    seller: Option<SmolStr>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiscountWire {
    #[serde(default)]
    enabled_for_account: bool,
    #[serde(default)]
    enabled_for_symbol: bool,
    discount_asset: Option<SmolStr>,
    discount: Option<SmolStr>,
}

fn rate(field: &'static str, text: Option<&SmolStr>) -> Result<Decimal, WireError> {
    let Some(text) = text else { return Ok(Decimal::ZERO) };
    let value = Decimal::from_str_exact(text).map_err(|_| bad(field, format!("{text:?} is no decimal number")))?;
    Ok(value.normalize())
}

impl RatesWire {
    fn rates(&self) -> Result<CommissionRates, WireError> {
        Ok(CommissionRates {
            maker: rate("maker", self.maker.as_ref())?,
            taker: rate("taker", self.taker.as_ref())?,
            buyer: rate("buyer", self.buyer.as_ref())?,
            seller: rate("seller", self.seller.as_ref())?,
        })
    }
}

impl CommissionWire {
    pub(crate) fn commission(&self) -> Result<Commission, WireError> {
        let enabled = self.discount.as_ref().filter(|wire| wire.enabled_for_account && wire.enabled_for_symbol);
        let discount = match enabled.and_then(|wire| wire.discount_asset.as_ref().zip(wire.discount.as_ref())) {
            Some((name, factor)) => Some((asset("discountAsset", name)?, rate("discount", Some(factor))?)),
            None => None,
        };
        Ok(Commission {
            standard: self.standard_commission.rates()?,
            special: self.special_commission.rates()?,
            tax: self.tax_commission.rates()?,
            discount,
        })
    }
}

/// One list of orders (`GET /api/v3/orderList`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderList {
    /// The exchange's number.
    pub id: i64,
    /// The market.
    pub symbol: Symbol,
    /// Whether any leg can still do anything. A word that nobody knows counts as open.
    pub is_open: bool,
    /// The ids of its legs.
    pub legs: Vec<ClientOrderId>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderListStatusWire {
    order_list_id: i64,
    list_order_status: SmolStr,
    symbol: SmolStr,
    orders: Vec<LegWire>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegWire {
    order_id: u64,
    client_order_id: SmolStr,
}

impl OrderListStatusWire {
    pub(crate) fn list(&self) -> Result<OrderList, WireError> {
        Ok(OrderList {
            id: self.order_list_id,
            symbol: symbol("symbol", &self.symbol)?,
            is_open: !matches!(self.list_order_status.as_str(), "ALL_DONE" | "REJECT"),
            legs: self.orders.iter().map(|leg| client_id(&leg.client_order_id, leg.order_id)).collect(),
        })
    }
}

/// What was cancelled: an order, or a list with all its legs.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum CanceledWire {
    /// A list. First, because it has all of an order's mandatory fields somewhere, and an order has none of its.
    List(OrderListWire),
    /// An order.
    Order(Box<OrderWire>),
}

impl CanceledWire {
    pub(crate) fn orders(&self) -> &[OrderWire] {
        match self {
            Self::List(list) => &list.order_reports,
            Self::Order(order) => std::slice::from_ref(order),
        }
    }
}

/// What a key may do (`GET /sapi/v1/account/apiRestrictions`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiRestrictions {
    /// Only from listed addresses.
    pub ip_restrict: bool,
    /// Reads.
    pub enable_reading: bool,
    /// Withdrawals. No key of a trading service may have it.
    pub enable_withdrawals: bool,
    /// Trades.
    pub enable_spot_and_margin_trading: bool,
    /// Transfers between accounts of one person.
    pub enable_internal_transfer: Option<bool>,
    /// Transfers between kinds of accounts.
    pub permits_universal_transfer: Option<bool>,
    /// Margin.
    pub enable_margin: Option<bool>,
    /// Futures.
    pub enable_futures: Option<bool>,
}

impl ApiRestrictions {
    /// Whether a key may be used at all; what it can do that a spot service does not need is told.
    ///
    /// # Errors
    /// Why it may not, with the remedy.
    pub fn check(&self) -> Result<Vec<&'static str>, &'static str> {
        if self.enable_withdrawals {
            return Err("the key may withdraw: make one without \"Enable Withdrawals\" and delete this one");
        }
        if !self.enable_reading || !self.enable_spot_and_margin_trading {
            return Err("the key may not read and trade on Spot: enable both for it on the exchange");
        }
        let surplus = [
            (!self.ip_restrict, "the key works from any address: restrict it to this machine's"),
            (self.enable_internal_transfer == Some(true), "the key may transfer internally: switch it off"),
            (self.permits_universal_transfer == Some(true), "the key may make universal transfers: switch it off"),
            (self.enable_margin == Some(true), "the key may trade on margin: switch it off"),
            (self.enable_futures == Some(true), "the key may trade futures: switch it off"),
        ];
        Ok(surplus.into_iter().filter_map(|(found, told)| found.then_some(told)).collect())
    }
}

/// Whether the exchange is under maintenance (`GET /sapi/v1/system/status`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SystemStatus {
    status: i32,
    /// The exchange's words.
    pub msg: SmolStr,
}

impl SystemStatus {
    /// Anything but its usual state.
    #[must_use]
    pub const fn is_maintenance(&self) -> bool {
        self.status != 0
    }
}

/// Symbols that end at one time (`GET /sapi/v1/spot/delist-schedule`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delisting {
    /// When trading stops and the exchange removes all open orders.
    pub time: Timestamp,
    /// What ends.
    pub symbols: Vec<Symbol>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DelistingWire {
    delist_time: i64,
    symbols: Vec<SmolStr>,
}

impl DelistingWire {
    pub(crate) fn delisting(&self) -> Result<Delisting, WireError> {
        let symbols: Result<Vec<Symbol>, WireError> = self.symbols.iter().map(|name| symbol("symbols", name)).collect();
        Ok(Delisting { time: Timestamp::from_millis_or_micros(self.delist_time), symbols: symbols? })
    }
}

#[cfg(test)]
#[path = "account_wire_tests.rs"]
mod tests;
