//! One account: orders out, and what the exchange knows of them.
//!
//! It must never send an order twice, nor read a request that failed as one that did nothing, unless that is certain.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use awc::http::Method;
use bytes::Bytes;
use domain::{
    Asset, ClientOrderId, ExchangeOrderStatus, Fill, OrderReport, OrderSpec, Quantity, Symbol, Timestamp, TradeId,
};
use risk::{ApprovedOrder, SafetyLatch};

use super::body::{OrderBody, Passage, parameters};
use super::errors::failure;
use super::rest::{Call, RestClient, bad_answer, decode};
use super::sign::{Credentials, Query};
use super::wire::{AccountWire, OrderWire, TradeWire};
use crate::trading::LocalFuture;
use crate::{CancelOutcome, Exchange, RequestError, RequestErrorKind, SubmitOutcome, TimeSource};

const ORDER: &str = "/api/v3/order";
const OPEN_ORDERS: &str = "/api/v3/openOrders";
const MY_TRADES: &str = "/api/v3/myTrades";
const ACCOUNT: &str = "/api/v3/account";

/// The exchange refused a cancel: it knows no such open order.
const CANCEL_REFUSED: i32 = -2011;
/// The exchange does not know the order, or not yet.
const NO_SUCH_ORDER: i32 = -2013;
/// The order ended more than 90 days ago without a fill.
const ORDER_ARCHIVED: i32 = -2026;
/// The most trades of one answer.
const TRADES_MAX: usize = 1000;
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

struct Inner {
    rest: RestClient,
    credentials: Credentials,
    time: TimeSource,
    ids: RefCell<OrderIds>,
}

/// An account on the exchange, on the arbiter that made it.
///
/// An order that the exchange refuses because its timestamp is out of the window (-1021) is `Refused` with
/// [`RequestErrorKind::NotDone`]: the caller synchronises its clock and approves anew, because a release is good once.
#[derive(Clone)]
pub struct BinanceAccount(Rc<Inner>);

impl BinanceAccount {
    /// The account of `credentials`; `time` is the exchange's time.
    #[must_use]
    pub fn new(rest: RestClient, credentials: Credentials, time: TimeSource) -> Self {
        Self(Rc::new(Inner { rest, credentials, time, ids: RefCell::default() }))
    }
}

impl Inner {
    async fn submit(&self, order: ApprovedOrder, latch: SafetyLatch) -> SubmitOutcome {
        let call =
            Call { method: &Method::POST, path: ORDER, api_key: Some(self.credentials.api_key()), new_order: true };
        let label = call.label();
        let spec = order.spec().clone();
        let parameters = match parameters(&spec) {
            Ok(parameters) => parameters,
            Err(missing) => return SubmitOutcome::Refused(failure(&label, RequestErrorKind::NotDone, missing)),
        };
        let slot = Rc::new(RefCell::new(Passage::Waiting(order)));
        let (credentials, time) = (self.credentials.clone(), Arc::clone(&self.time));
        let body = OrderBody::new(Rc::clone(&slot), parameters, credentials, latch, time);
        let result = self.rest.send(call, "", body).await;
        let passage = slot.replace(Passage::Broken);
        match (passage, result) {
            (Passage::Stopped(stopped), _) => SubmitOutcome::NotReleased(stopped),
            (Passage::Released, Ok(answer)) => self.placed(&label, &spec, &answer),
            (Passage::Released, Err(error)) => released_and_failed(error),
            (Passage::Waiting(_) | Passage::Broken, Err(error)) => SubmitOutcome::Refused(never_left(error)),
            // An answer to a request that was never made: nobody can say what it is.
            (Passage::Waiting(_) | Passage::Broken, Ok(_)) => {
                SubmitOutcome::Unknown(failure(&label, RequestErrorKind::Unknown, "an answer without a request"))
            }
        }
    }

    /// The exchange took the order; an answer that cannot be read changes nothing about that.
    fn placed(&self, label: &str, spec: &OrderSpec, answer: &Bytes) -> SubmitOutcome {
        let read = || -> Result<(OrderReport, Vec<Fill>), RequestError> {
            let wire: OrderWire = decode(label, answer)?;
            let report = wire.report().map_err(|error| bad_answer(label, &error))?;
            let fills = wire.fills().map_err(|error| bad_answer(label, &error))?;
            if report.client_order_id != spec.client_order_id || report.symbol != spec.symbol {
                return Err(bad_answer(label, &"the answer is about another order"));
            }
            Ok((report, fills))
        };
        match read() {
            Ok((report, fills)) => {
                self.ids.borrow_mut().remember(&report);
                SubmitOutcome::Accepted(vec![report], fills)
            }
            Err(error) => SubmitOutcome::Unknown(RequestError { kind: RequestErrorKind::Unknown, ..error }),
        }
    }

    async fn cancel(&self, symbol: Symbol, id: ClientOrderId) -> CancelOutcome {
        let query = Query::new().with("symbol", &symbol).with("origClientOrderId", &id);
        let label = format!("DELETE {ORDER}");
        let answer = match self.rest.delete_signed(ORDER, &query, &self.credentials, &self.time).await {
            Ok(answer) => answer,
            Err(error) if error.code == Some(CANCEL_REFUSED) => return CancelOutcome::NotOpen,
            Err(error) => return CancelOutcome::Failed(error),
        };
        match report(&label, &answer) {
            Ok(report) => CancelOutcome::Canceled(self.known(OrderReport { client_order_id: id, ..report })),
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
            Err(error) if error.code == Some(NO_SUCH_ORDER) => Ok(None),
            Err(error) if error.code == Some(ORDER_ARCHIVED) => Ok(Some(archived(symbol, id, (self.time)()))),
            Err(error) => Err(error),
        }
    }

    async fn open_orders(&self) -> Result<Vec<OrderReport>, RequestError> {
        let (label, answer) = (format!("GET {OPEN_ORDERS}"), self.read(OPEN_ORDERS, &Query::new()).await?);
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
            let query = Query::new().with("symbol", &symbol).with("fromId", from).with("limit", TRADES_MAX);
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
            if rows.len() < TRADES_MAX {
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
        wire.balances().map_err(|error| bad_answer(&label, &error))
    }

    async fn read(&self, path: &str, query: &Query) -> Result<Bytes, RequestError> {
        self.rest.get_signed(path, query, &self.credentials, &self.time).await
    }

    fn known(&self, report: OrderReport) -> OrderReport {
        self.ids.borrow_mut().remember(&report);
        report
    }
}

fn report(label: &str, answer: &[u8]) -> Result<OrderReport, RequestError> {
    let wire: OrderWire = decode(label, answer)?;
    wire.report().map_err(|error| bad_answer(label, &error))
}

/// The order was handed to the connection, and something went wrong: only the exchange's own words make it a refusal.
fn released_and_failed(error: RequestError) -> SubmitOutcome {
    match error.kind {
        RequestErrorKind::Refused | RequestErrorKind::RateLimited | RequestErrorKind::Fatal => {
            SubmitOutcome::Refused(error)
        }
        RequestErrorKind::NotDone if error.code.is_some() => SubmitOutcome::Refused(error),
        RequestErrorKind::NotDone | RequestErrorKind::Unknown | RequestErrorKind::BadAnswer => {
            SubmitOutcome::Unknown(RequestError { kind: RequestErrorKind::Unknown, ..error })
        }
    }
}

/// The connection never asked for the order: whatever went wrong, nothing of it left.
fn never_left(error: RequestError) -> RequestError {
    match error.kind {
        RequestErrorKind::RateLimited | RequestErrorKind::Fatal => error,
        RequestErrorKind::NotDone
        | RequestErrorKind::Unknown
        | RequestErrorKind::Refused
        | RequestErrorKind::BadAnswer => RequestError { kind: RequestErrorKind::NotDone, ..error },
    }
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
        Box::pin(async move { inner.open_orders().await })
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
