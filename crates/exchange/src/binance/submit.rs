//! An order on its way: made into a request, sent once, and what came of it.
//!
//! It must never send an order twice, but after the exchange's own word that the first was not taken because of its
//! timestamp; nor read what it cannot read as a refusal.

use std::cell::RefCell;
use std::rc::Rc;

use awc::http::Method;
use bytes::Bytes;
use domain::{ClientOrderId, Fill, OrderReport, OrderSpec, Purpose, Symbol};
use risk::{ApprovedOrder, SafetyLatch};

use super::body::{OrderBody, Passage, Slot};
use super::budget::Priority;
use super::codes::BAD_TIMESTAMP;
use super::errors::failure;
use super::parameters::{list_parameters, parameters};
use super::rest::{Call, RestClient};
use super::sign::{Credentials, Query};
use super::transport::{bad_answer, decode};
use super::wire::{OrderListWire, OrderWire};
use crate::{RequestError, RequestErrorKind, SubmitOutcome};

pub(crate) const ORDER: &str = "/api/v3/order";
const ORDER_LIST: &str = "/api/v3/orderList/oco";

/// One order, or both legs of a list, as a request.
struct Request {
    path: &'static str,
    parameters: Query,
    priority: Priority,
    symbol: Symbol,
    /// The ids of its legs.
    ids: Vec<ClientOrderId>,
}

impl Request {
    fn new(spec: &OrderSpec, leg: Option<&OrderSpec>) -> Result<Self, &'static str> {
        let (path, parameters) = match leg {
            None => (ORDER, parameters(spec)?),
            Some(target) => (ORDER_LIST, list_parameters(spec, target)?),
        };
        let ids = [Some(spec), leg].into_iter().flatten().map(|spec| spec.client_order_id.clone()).collect();
        Ok(Self { path, parameters, priority: priority(spec.purpose), symbol: spec.symbol.clone(), ids })
    }

    fn call<'a>(&self, credentials: &'a Credentials) -> Call<'a> {
        let orders = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        Call {
            method: &Method::POST,
            path: self.path,
            api_key: Some(credentials.api_key()),
            priority: self.priority,
            orders,
        }
    }

    fn label(&self) -> String {
        format!("POST {}", self.path)
    }

    /// The exchange took it; an answer that cannot be read changes nothing about that.
    fn placed(&self, answer: &Bytes) -> SubmitOutcome {
        match self.read(answer) {
            Ok((reports, fills)) => SubmitOutcome::Accepted(reports, fills),
            Err(error) => unknown(error),
        }
    }

    fn read(&self, answer: &Bytes) -> Result<(Vec<OrderReport>, Vec<Fill>), RequestError> {
        let label = self.label();
        let wires = if self.path == ORDER_LIST {
            decode::<OrderListWire>(&label, answer)?.order_reports
        } else {
            vec![decode::<OrderWire>(&label, answer)?]
        };
        let (mut reports, mut fills) = (Vec::new(), Vec::new());
        // In the order of our legs, each exactly once.
        for id in &self.ids {
            let mut of_leg = wires.iter().filter(|wire| wire.client_id() == *id);
            let (Some(wire), None) = (of_leg.next(), of_leg.next()) else {
                return Err(bad_answer(&label, &format_args!("the answer is not about the order {id} alone")));
            };
            let report = wire.report().map_err(|error| bad_answer(&label, &error))?;
            if report.symbol != self.symbol {
                return Err(bad_answer(&label, &"the answer is about another symbol"));
            }
            fills.extend(wire.fills().map_err(|error| bad_answer(&label, &error))?);
            reports.push(report);
        }
        if wires.len() != reports.len() {
            return Err(bad_answer(&label, &"the answer has an order that was not sent"));
        }
        Ok((reports, fills))
    }
}

/// Cancels, exits and what guards a position may use the reserve of the limits; entries may not.
const fn priority(purpose: Purpose) -> Priority {
    match purpose {
        Purpose::Entry => Priority::Entry,
        Purpose::Exit(_) => Priority::Exit,
    }
}

/// Sends `order`, with its other leg where it is a list.
pub(crate) async fn submit(
    rest: &RestClient,
    credentials: &Credentials,
    order: ApprovedOrder,
    leg: Option<OrderSpec>,
    latch: SafetyLatch,
) -> SubmitOutcome {
    let request = match Request::new(order.spec(), leg.as_ref()) {
        Ok(request) => request,
        Err(wrong) => {
            let label = if leg.is_some() { ORDER_LIST } else { ORDER };
            return SubmitOutcome::Refused(failure(&format!("POST {label}"), RequestErrorKind::NotDone, wrong));
        }
    };
    send(rest, credentials, order, &request, &latch).await
}

async fn send(
    rest: &RestClient,
    credentials: &Credentials,
    order: ApprovedOrder,
    request: &Request,
    latch: &SafetyLatch,
) -> SubmitOutcome {
    let slot = Rc::new(RefCell::new(Passage::Waiting(order)));
    let mut result = attempt(rest, credentials, request, &slot, latch).await;
    if let Err(first) = &result
        && prepared_again(rest, &slot, first).await
    {
        let second = attempt(rest, credentials, request, &slot, latch).await;
        if let Passage::Released(_) = &*slot.borrow() {
            result = second;
        }
    }
    let passage = slot.replace(Passage::Broken);
    if let Passage::Void(reason) = &passage {
        tracing::warn!(label = request.label(), %reason, "an order was not permitted a second time");
    }
    match (passage, result) {
        (Passage::Stopped(stopped), _) => SubmitOutcome::NotReleased(stopped),
        (Passage::Released(_), Ok(answer)) => request.placed(&answer),
        (Passage::Released(_), Err(error)) => released_and_failed(error),
        // The second time it was not permitted, or no connection was ready: the first answer stands, and it was a refusal.
        (Passage::Again(_) | Passage::Void(_), Err(first)) => SubmitOutcome::Refused(first),
        (Passage::Waiting(_) | Passage::Broken, Err(error)) => SubmitOutcome::Refused(never_left(error)),
        // An answer to a request that was never made: nobody can say what it is.
        (Passage::Waiting(_) | Passage::Broken | Passage::Again(_) | Passage::Void(_), Ok(_)) => {
            unknown(failure(&request.label(), RequestErrorKind::Unknown, "an answer without a request"))
        }
    }
}

async fn attempt(
    rest: &RestClient,
    credentials: &Credentials,
    request: &Request,
    slot: &Slot,
    latch: &SafetyLatch,
) -> Result<Bytes, RequestError> {
    let (clock, credentials_of_body) = (rest.clock().clone(), credentials.clone());
    let body = OrderBody::new(Rc::clone(slot), &request.parameters, credentials_of_body, latch.clone(), clock);
    rest.send(request.call(credentials), "", body).await
}

/// Whether the order may be sent a second time: the exchange itself said that its timestamp was out of the window, so
/// that nothing was done, and its clock is known now. The order leaves again only if it is still permitted then.
async fn prepared_again(rest: &RestClient, slot: &Slot, first: &RequestError) -> bool {
    let not_taken = first.kind == RequestErrorKind::NotDone && first.code == Some(BAD_TIMESTAMP);
    if !not_taken || !matches!(&*slot.borrow(), Passage::Released(_)) || rest.sync_clock().await.is_err() {
        return false;
    }
    let mut slot = slot.borrow_mut();
    match std::mem::replace(&mut *slot, Passage::Broken) {
        Passage::Released(order) => {
            *slot = Passage::Again(order);
            true
        }
        other => {
            *slot = other;
            false
        }
    }
}

fn unknown(error: RequestError) -> SubmitOutcome {
    let RequestError { request, code, detail, retry_after_s, .. } = error;
    let error = failure(&request, RequestErrorKind::Unknown, detail);
    SubmitOutcome::Unknown(RequestError { code, retry_after_s, ..error })
}

/// The order was handed to the connection, and something went wrong: only the exchange's own words make it a refusal.
fn released_and_failed(error: RequestError) -> SubmitOutcome {
    match error.kind {
        RequestErrorKind::Refused | RequestErrorKind::RateLimited | RequestErrorKind::Fatal => {
            SubmitOutcome::Refused(error)
        }
        RequestErrorKind::NotDone if error.code.is_some() => SubmitOutcome::Refused(error),
        RequestErrorKind::Unknown => SubmitOutcome::Unknown(error),
        RequestErrorKind::NotDone | RequestErrorKind::BadAnswer => unknown(error),
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

#[cfg(test)]
#[path = "submit_tests.rs"]
mod tests;
