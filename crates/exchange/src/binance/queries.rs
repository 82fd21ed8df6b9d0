//! What else a service asks of its account: tests of orders, permissions, commission, lists, orders of the past.
//!
//! It must never place an order: the one address here that takes an order is the exchange's test, which places none.

use awc::http::Method;
use domain::{Asset, ClientOrderId, OrderReport, OrderSpec, Quantity, Symbol, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use super::account::{ACCOUNT, ALL_ORDERS, BinanceAccount, OPEN_ORDERS, PAGE_MAX};
use super::account_wire::{
    AccountStatus, AccountWire, ApiRestrictions, CanceledWire, Commission, CommissionWire, Delisting, DelistingWire,
    OrderList, OrderListStatusWire,
};
use super::budget::Priority;
use super::codes::CANCEL_REFUSED;
use super::errors::failure;
use super::parameters::parameters;
use super::rest::Call;
use super::sign::Query;
use super::transport::{bad_answer, decode};
use super::wire::{OrderWire, WireError, asset, quantity};
use crate::{RequestError, RequestErrorKind};

const ORDER_TEST: &str = "/api/v3/order/test";
const COMMISSION: &str = "/api/v3/account/commission";
const MY_FILTERS: &str = "/api/v3/myFilters";
const ORDER_LIST: &str = "/api/v3/orderList";
const OPEN_ORDER_LIST: &str = "/api/v3/openOrderList";
const API_RESTRICTIONS: &str = "/sapi/v1/account/apiRestrictions";
const DELIST_SCHEDULE: &str = "/sapi/v1/spot/delist-schedule";

/// Where a page of all orders begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrdersFrom {
    /// At this number of the exchange, upward.
    Number(u64),
    /// At this moment, forward: the exchange's time.
    Time(Timestamp),
}

impl BinanceAccount {
    /// Has the exchange check an order as it checks real ones, without placing it: parameters, filters and permissions,
    /// not the balance. It needs no release because nothing can come of it.
    ///
    /// # Errors
    /// Why the order would be refused, or why that is not known.
    pub async fn test_order(&self, spec: &OrderSpec) -> Result<(), RequestError> {
        let credentials = &self.0.credentials;
        let call = Call {
            method: &Method::POST,
            path: ORDER_TEST,
            api_key: Some(credentials.api_key()),
            priority: Priority::Read,
            orders: 0,
        };
        let query = parameters(spec).map_err(|missing| failure(&call.label(), RequestErrorKind::NotDone, missing))?;
        let answer = self.0.rest.signed(call, &query, credentials).await?;
        decode::<IgnoredAny>(&call.label(), &answer).map(drop)
    }

    /// Permissions and balances.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn status(&self) -> Result<AccountStatus, RequestError> {
        let answer = self.0.read(ACCOUNT, &Query::new().with("omitZeroBalances", true)).await?;
        let wire: AccountWire = decode(&label(ACCOUNT), &answer)?;
        read(ACCOUNT, wire.status())
    }

    /// What trading `symbol` costs.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn commission(&self, symbol: &Symbol) -> Result<Commission, RequestError> {
        let answer = self.0.read(COMMISSION, &Query::new().with("symbol", symbol)).await?;
        read(COMMISSION, decode::<CommissionWire>(&label(COMMISSION), &answer)?.commission())
    }

    /// The most that the account may hold of assets of `symbol`, where the exchange limits it (`MAX_ASSET`, which only
    /// this address tells).
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn asset_limits(&self, symbol: &Symbol) -> Result<Vec<(Asset, Quantity)>, RequestError> {
        let answer = self.0.read(MY_FILTERS, &Query::new().with("symbol", symbol)).await?;
        let wire: MyFiltersWire = decode(&label(MY_FILTERS), &answer)?;
        read(MY_FILTERS, wire.asset_filters.iter().filter_map(AssetFilterWire::limit).collect())
    }

    /// One page of all orders of `symbol`, open or not, oldest first: at most 1000.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn all_orders(&self, symbol: &Symbol, from: OrdersFrom) -> Result<Vec<OrderReport>, RequestError> {
        let query = Query::new().with("symbol", symbol).with("limit", PAGE_MAX);
        let query = match from {
            OrdersFrom::Number(number) => query.with("orderId", number),
            OrdersFrom::Time(time) => query.with("startTime", time.as_millis()),
        };
        self.0.orders(ALL_ORDERS, &query).await
    }

    /// Open orders of one symbol: cheaper than all of them.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn open_orders_of(&self, symbol: &Symbol) -> Result<Vec<OrderReport>, RequestError> {
        self.0.orders(OPEN_ORDERS, &Query::new().with("symbol", symbol)).await
    }

    /// Cancels all open orders and lists of `symbol`, and reports what was cancelled. Nothing open is no error.
    ///
    /// # Errors
    /// What came of it; some may be cancelled then.
    pub async fn cancel_all(&self, symbol: &Symbol) -> Result<Vec<OrderReport>, RequestError> {
        let query = Query::new().with("symbol", symbol);
        match self.0.rest.delete_signed(OPEN_ORDERS, &query, &self.0.credentials).await {
            Ok(answer) => canceled(&format!("DELETE {OPEN_ORDERS}"), &answer),
            Err(error) if error.code == Some(CANCEL_REFUSED) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The order list with this number.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn order_list(&self, id: i64) -> Result<OrderList, RequestError> {
        let answer = self.0.read(ORDER_LIST, &Query::new().with("orderListId", id)).await?;
        read(ORDER_LIST, decode::<OrderListStatusWire>(&label(ORDER_LIST), &answer)?.list())
    }

    /// All open order lists of the account.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn open_order_lists(&self) -> Result<Vec<OrderList>, RequestError> {
        let answer = self.0.read(OPEN_ORDER_LIST, &Query::new()).await?;
        let wires: Vec<OrderListStatusWire> = decode(&label(OPEN_ORDER_LIST), &answer)?;
        read(OPEN_ORDER_LIST, wires.iter().map(OrderListStatusWire::list).collect())
    }

    /// Cancels a whole order list, and reports its legs. Cancelling one leg by its id does the same.
    ///
    /// # Errors
    /// What came of it.
    pub async fn cancel_order_list(&self, symbol: &Symbol, id: i64) -> Result<Vec<OrderReport>, RequestError> {
        let query = Query::new().with("symbol", symbol).with("orderListId", id);
        let answer = self.0.rest.delete_signed(ORDER_LIST, &query, &self.0.credentials).await?;
        let label = format!("DELETE {ORDER_LIST}");
        reports(&label, &decode::<CanceledWire>(&label, &answer)?)
    }

    /// What the key may do: to be checked before anything else. Not on the test network.
    ///
    /// # Errors
    /// Why it is not known.
    pub async fn api_restrictions(&self) -> Result<ApiRestrictions, RequestError> {
        let answer = self.0.read(API_RESTRICTIONS, &Query::new()).await?;
        decode(&label(API_RESTRICTIONS), &answer)
    }

    /// Symbols whose end is announced.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn delist_schedule(&self) -> Result<Vec<Delisting>, RequestError> {
        let answer = self.0.rest.get_with_key(DELIST_SCHEDULE, &self.0.credentials).await?;
        let wires: Vec<DelistingWire> = decode(&label(DELIST_SCHEDULE), &answer)?;
        read(DELIST_SCHEDULE, wires.iter().map(DelistingWire::delisting).collect())
    }

    /// The open order list that has this leg, if there is one.
    ///
    /// # Errors
    /// Why they are not known.
    pub async fn open_order_list_with(&self, leg: &ClientOrderId) -> Result<Option<OrderList>, RequestError> {
        let lists = self.open_order_lists().await?;
        Ok(lists.into_iter().find(|list| list.legs.contains(leg)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MyFiltersWire {
    #[serde(default)]
    asset_filters: Vec<AssetFilterWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetFilterWire {
    filter_type: SmolStr,
    asset: Option<SmolStr>,
    limit: Option<SmolStr>,
}

impl AssetFilterWire {
    fn limit(&self) -> Option<Result<(Asset, Quantity), WireError>> {
        let (name, limit) = self.asset.as_ref().zip(self.limit.as_ref())?;
        let read = || Ok((asset("asset", name)?, quantity("limit", limit)?));
        (self.filter_type == "MAX_ASSET").then(read)
    }
}

/// What an array of cancels ended.
fn canceled(label: &str, answer: &[u8]) -> Result<Vec<OrderReport>, RequestError> {
    let wires: Vec<CanceledWire> = decode(label, answer)?;
    let mut all = Vec::new();
    for wire in &wires {
        all.extend(reports(label, wire)?);
    }
    Ok(all)
}

fn reports(label: &str, wire: &CanceledWire) -> Result<Vec<OrderReport>, RequestError> {
    let reports: Result<Vec<OrderReport>, WireError> = wire.orders().iter().map(OrderWire::report).collect();
    reports.map_err(|error| bad_answer(label, &error))
}

fn label(path: &str) -> String {
    format!("GET {path}")
}

fn read<T>(path: &str, read: Result<T, WireError>) -> Result<T, RequestError> {
    read.map_err(|error| bad_answer(&label(path), &error))
}
