//! One account: orders out, and what the exchange knows of them.
//!
//! It must never send an order twice, nor read a request that failed as one that did nothing, unless that is certain.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use domain::{
    Asset, ClientOrderId, ExchangeOrderStatus, Fill, Millis, OrderReport, Quantity, Symbol, Timestamp, TradeId,
};
use risk::{ApprovedOrder, SafetyLatch};

use super::account_wire::{AccountWire, Balance, CanceledWire};
use super::codes::{CANCEL_REFUSED, NO_SUCH_ORDER, ORDER_ARCHIVED};
use super::rest::RestClient;
use super::sign::{Credentials, Query};
use super::submit::{ORDER, submit};
use super::transport::{bad_answer, decode};
use super::wire::{OrderWire, TradeWire};
use crate::trading::LocalFuture;
use crate::{CancelOutcome, Exchange, RequestError, RequestErrorKind, SubmitOutcome};

pub(super) const OPEN_ORDERS: &str = "/api/v3/openOrders";
pub(super) const ALL_ORDERS: &str = "/api/v3/allOrders";
const MY_TRADES: &str = "/api/v3/myTrades";
pub(super) const ACCOUNT: &str = "/api/v3/account";

/// How far back an order that is said not to exist is looked for in the list of all orders, in milliseconds. An order
/// whose fate is unknown is asked for within seconds or minutes; the list is by the time of the order.
const LOOK_BACK_MS: i64 = 15 * 60_000;
/// The most trades or orders of one answer.
pub(super) const PAGE_MAX: usize = 1000;
/// How many orders' ids are remembered.
const IDS_MAX: usize = 10_000;

/// Which client id an order number belongs to: a trade's row has only the number.
#[derive(Default)]
struct OrderIds {
    known: BTreeMap<(Symbol, u64), ClientOrderId>,
    by_age: VecDeque<(Symbol, u64)>,
}

impl OrderIds {
    fn get(&self, symbol: &Symbol, number: u64) -> Option<ClientOrderId> {
        self.known.get(&(symbol.clone(), number)).cloned()
    }

    fn remember(&mut self, report: &OrderReport) {
        let Some(number) = report.exchange_order_id else { return };
        let key = (report.symbol.clone(), number.0);
        if self.known.insert(key.clone(), report.client_order_id.clone()).is_none() {
            self.by_age.push_back(key);
        }
        if self.by_age.len() > IDS_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

pub(super) struct Inner {
    pub(super) rest: RestClient,
    pub(super) credentials: Credentials,
    ids: RefCell<OrderIds>,
}

/// An account on the exchange, on the arbiter that made it.
///
/// An order that the exchange refuses because its timestamp is out of the window (-1021) is sent once more with the same
/// id, after the exchange's clock was measured and if the latch still permits it. If not, it is `Refused` with
/// [`RequestErrorKind::NotDone`].
#[derive(Clone)]
pub struct BinanceAccount(pub(super) Rc<Inner>);

impl BinanceAccount {
    /// The account of `credentials`.
    #[must_use]
    pub fn new(rest: RestClient, credentials: Credentials) -> Self {
        Self(Rc::new(Inner { rest, credentials, ids: RefCell::default() }))
    }
}

impl Inner {
    async fn submit(&self, order: ApprovedOrder, latch: SafetyLatch) -> SubmitOutcome {
        let leg = order.oco_leg().cloned();
        let outcome = submit(&self.rest, &self.credentials, order, leg, latch).await;
        if let SubmitOutcome::Accepted(reports, _) = &outcome {
            reports.iter().for_each(|report| self.ids.borrow_mut().remember(report));
        }
        outcome
    }

    async fn cancel(&self, symbol: Symbol, id: ClientOrderId) -> CancelOutcome {
        let query = Query::new().with("symbol", &symbol).with("origClientOrderId", &id);
        let label = format!("DELETE {ORDER}");
        let answer = match self.rest.delete_signed(ORDER, &query, &self.credentials).await {
            Ok(answer) => answer,
            Err(error) if error.code == Some(CANCEL_REFUSED) => return CancelOutcome::NotOpen,
            Err(error) => return CancelOutcome::Failed(error),
        };
        match canceled(&label, &answer, id) {
            Ok(report) => CancelOutcome::Canceled(self.known(report)),
            Err(error) => CancelOutcome::Failed(RequestError { kind: RequestErrorKind::Unknown, ..error }),
        }
    }

    async fn order(&self, symbol: Symbol, id: ClientOrderId) -> Result<Option<OrderReport>, RequestError> {
        let query = Query::new().with("symbol", &symbol).with("origClientOrderId", &id);
        match self.read(ORDER, &query).await {
            // The exchange was asked for this id: whatever it calls the order now, this is the order.
            Ok(answer) => {
                let report = report(&format!("GET {ORDER}"), &answer)?;
                Ok(Some(self.known(OrderReport { client_order_id: id, ..report })))
            }
            Err(error) if error.code == Some(NO_SUCH_ORDER) => self.in_all_orders(symbol, id).await,
            Err(error) if error.code == Some(ORDER_ARCHIVED) => Ok(Some(archived(symbol, id, self.rest.clock().now()))),
            Err(error) => Err(error),
        }
    }

    /// The exchange says that it does not know the order. Queries are answered from a copy that may be late, so the list
    /// of all orders must lack it too before anybody concludes that it never arrived.
    async fn in_all_orders(&self, symbol: Symbol, id: ClientOrderId) -> Result<Option<OrderReport>, RequestError> {
        let from = self.rest.clock().now() - Millis::new(LOOK_BACK_MS);
        let mut after: Option<u64> = None;
        loop {
            let query = Query::new().with("symbol", &symbol).with("limit", PAGE_MAX);
            let query = match after {
                None => query.with("startTime", from.as_millis()),
                Some(number) => query.with("orderId", number),
            };
            let page = self.orders(ALL_ORDERS, &query).await?;
            if let Some(found) = page.iter().rev().find(|report| report.client_order_id == id) {
                return Ok(Some(found.clone()));
            }
            let last = page.iter().filter_map(|report| report.exchange_order_id).max();
            match last {
                Some(last) if page.len() >= PAGE_MAX && after.is_none_or(|number| number <= last.0) => {
                    after = Some(last.0.saturating_add(1));
                }
                Some(_) | None => return Ok(None),
            }
        }
    }

    /// Orders of a list of orders, remembered.
    pub(super) async fn orders(&self, path: &str, query: &Query) -> Result<Vec<OrderReport>, RequestError> {
        let (label, answer) = (format!("GET {path}"), self.read(path, query).await?);
        let wires: Vec<OrderWire> = decode(&label, &answer)?;
        let reports: Result<Vec<OrderReport>, _> = wires.iter().map(OrderWire::report).collect();
        let reports = reports.map_err(|error| bad_answer(&label, &error))?;
        reports.iter().for_each(|report| self.ids.borrow_mut().remember(report));
        Ok(reports)
    }

    async fn trades_after(&self, symbol: Symbol, after: Option<TradeId>) -> Result<Vec<Fill>, RequestError> {
        let label = format!("GET {MY_TRADES}");
        let mut from = after.map_or(0, |id| id.0.saturating_add(1));
        let mut fills = Vec::new();
        loop {
            let query = Query::new().with("symbol", &symbol).with("fromId", from).with("limit", PAGE_MAX);
            let answer = self.read(MY_TRADES, &query).await?;
            let rows: Vec<TradeWire> = decode(&label, &answer)?;
            for row in &rows {
                if row.id < from {
                    return Err(bad_answer(&label, &format_args!("trade {} where {from} was asked for", row.id)));
                }
                let id = self.client_id(&symbol, row.order_id).await?;
                fills.push(row.fill(&symbol, id).map_err(|error| bad_answer(&label, &error))?);
                from = row.id.saturating_add(1);
            }
            if rows.len() < PAGE_MAX {
                return Ok(fills);
            }
        }
    }

    async fn client_id(&self, symbol: &Symbol, number: u64) -> Result<ClientOrderId, RequestError> {
        let known = self.ids.borrow().get(symbol, number);
        if let Some(id) = known {
            return Ok(id);
        }
        let answer = self.read(ORDER, &Query::new().with("symbol", symbol).with("orderId", number)).await?;
        report(&format!("GET {ORDER}"), &answer).map(|report| self.known(report).client_order_id)
    }

    async fn balances(&self) -> Result<BTreeMap<Asset, Quantity>, RequestError> {
        let label = format!("GET {ACCOUNT}");
        let answer = self.read(ACCOUNT, &Query::new().with("omitZeroBalances", true)).await?;
        let wire: AccountWire = decode(&label, &answer)?;
        let balances = wire.balances().map_err(|error| bad_answer(&label, &error))?;
        let total = |(asset, held): (Asset, Balance)| (asset, (held.free + held.locked).normalized());
        Ok(balances.into_iter().map(total).collect())
    }

    pub(super) async fn read(&self, path: &str, query: &Query) -> Result<Bytes, RequestError> {
        self.rest.get_signed(path, query, &self.credentials).await
    }

    fn known(&self, report: OrderReport) -> OrderReport {
        self.ids.borrow_mut().remember(&report);
        report
    }
}

/// The order `id` in the answer to its cancel. A leg of a list ends the whole list, and the answer may be the list's.
fn canceled(label: &str, answer: &[u8], id: ClientOrderId) -> Result<OrderReport, RequestError> {
    let wire: CanceledWire = decode(label, answer)?;
    let order = match wire.orders() {
        [order] => Some(order),
        orders => orders.iter().find(|order| order.client_id() == id),
    };
    let order = order.ok_or_else(|| bad_answer(label, &format_args!("the answer lacks the order {id}")))?;
    let report = order.report().map_err(|error| bad_answer(label, &error))?;
    Ok(OrderReport { client_order_id: id, ..report })
}

fn report(label: &str, answer: &[u8]) -> Result<OrderReport, RequestError> {
    let wire: OrderWire = decode(label, answer)?;
    wire.report().map_err(|error| bad_answer(label, &error))
}

fn archived(symbol: Symbol, id: ClientOrderId, now: Timestamp) -> OrderReport {
    OrderReport {
        client_order_id: id,
        exchange_order_id: None,
        symbol,
        status: ExchangeOrderStatus::Expired,
        executed_quantity: Quantity::ZERO,
        time: now,
        detail: Some("archived".into()),
    }
}

impl Exchange for BinanceAccount {
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome> {
        let (inner, latch) = (Rc::clone(&self.0), latch.clone());
        Box::pin(async move { inner.submit(order, latch).await })
    }

    fn cancel(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<CancelOutcome> {
        let (inner, symbol, id) = (Rc::clone(&self.0), symbol.clone(), id.clone());
        Box::pin(async move { inner.cancel(symbol, id).await })
    }

    fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>> {
        let (inner, symbol, id) = (Rc::clone(&self.0), symbol.clone(), id.clone());
        Box::pin(async move { inner.order(symbol, id).await })
    }

    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.orders(OPEN_ORDERS, &Query::new()).await })
    }

    fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>> {
        let (inner, symbol) = (Rc::clone(&self.0), symbol.clone());
        Box::pin(async move { inner.trades_after(symbol, after).await })
    }

    fn balances(&self) -> LocalFuture<Result<BTreeMap<Asset, Quantity>, RequestError>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.balances().await })
    }
}
