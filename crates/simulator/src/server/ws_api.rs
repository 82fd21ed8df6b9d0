//! The WebSocket API: requests as in REST over one connection, in the exchange's frames.
//!
//! It must never answer a request that a fault keeps silent, nor do it twice.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::http::{address_of, fault_message, reset};
use super::hub::{ConnectionId, Parcel, Wishes};
use super::micros::in_micros;
use super::params::Params;
use super::routes;
use super::sessions::{ApiSession, SESSION_WEIGHT};
use super::shared::{Answer, Shared, error_body};
use super::streams::{Kind, Out, mark, query_of, serve};
use crate::faults::{Break, Plan};
use crate::model::Refusal;

/// `/ws-api/v3`.
#[allow(clippy::unused_async, reason = "actix-web's handlers are async")]
pub(super) async fn api(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Error> {
    let address = address_of(&request);
    let query = query_of(&request);
    let asks = |name: &str, value: &str| query.iter().any(|(n, v)| n == name && v.eq_ignore_ascii_case(value));
    let is_micro = asks("timeUnit", "MICROSECOND");
    let (id, frames, session) = {
        let mut core = shared.lock();
        let (now, wall) = (core.now(), core.wall());
        if !core.meter.connect(address, now, wall) {
            return Ok(reset(&request));
        }
        if let Err(excess) = core.meter.take(address, SESSION_WEIGHT, now) {
            let status = actix_web::http::StatusCode::from_u16(excess.status).unwrap_or_default();
            return Ok(HttpResponse::build(status).json(json!({"code": excess.code, "msg": excess.message})));
        }
        let session = ApiSession::new(address, now, !asks("returnRateLimits", "false"), is_micro);
        let (id, frames) = core.hub.connect(Wishes { is_combined: false, is_api: true, is_micro });
        (id, frames, session)
    };
    let (mut response, socket, messages) = actix_ws::handle(&request, body)?;
    mark(&mut response, id);
    let kind = Kind::Api(Rc::new(RefCell::new(session)));
    actix_rt::spawn(serve(shared.into_inner(), id, kind, socket, messages, frames));
    Ok(response)
}

/// A request that came in a frame.
struct Request {
    id: Value,
    method: String,
    params: Params,
}

/// Answers one frame, at once or later.
pub(super) fn answer(
    shared: &Arc<Shared>,
    connection: ConnectionId,
    session: &Rc<RefCell<ApiSession>>,
    text: &str,
) -> Out {
    let Ok(request) = serde_json::from_str::<Value>(text) else {
        let refusal = Refusal::new(-1135, "This is not a valid JSON request.");
        return Out::Text(json!({"id": null, "status": 400, "error": error_body(&refusal)}).to_string());
    };
    let request = Request {
        id: request["id"].clone(),
        method: request["method"].as_str().unwrap_or_default().to_owned(),
        params: Params::from_json(&request["params"]),
    };
    let rest = routes::by_method(&request.method).map_or(("", ""), |endpoint| endpoint.rest);
    let caller = session.borrow().caller(connection, &request.params);
    let plan = shared.plan((rest.0, rest.1, &request.method), &caller, &request.params);
    drop(caller);
    if plan.latency_ms == 0 {
        return act(shared, connection, session, &request, &plan);
    }
    let (shared, session) = (Arc::clone(shared), Rc::clone(session));
    actix_rt::spawn(async move {
        tokio::time::sleep(Duration::from_millis(plan.latency_ms)).await;
        let out = act(&shared, connection, &session, &request, &plan);
        let queue = shared.lock().hub.queue(connection);
        match (out, queue) {
            (Out::Text(frame), Some(queue)) => {
                // A client that went away gets nothing.
                let _ = queue.send(Parcel { frame: frame.into(), delay_ms: 0 }).await;
            }
            (Out::Last(_) | Out::Close, _) => shared.lock().hub.disconnect(connection),
            (Out::Text(_) | Out::Ping(_) | Out::Pong(_) | Out::Nothing, _) => {}
        }
    });
    Out::Nothing
}

/// Does one request, unless a fault is in the way.
fn act(
    shared: &Shared,
    connection: ConnectionId,
    session: &RefCell<ApiSession>,
    request: &Request,
    plan: &Plan,
) -> Out {
    if let Some(how) = plan.before {
        return broken(&request.id, how);
    }
    let mut session = session.borrow_mut();
    let mut answer = match routes::by_method(&request.method) {
        Some(endpoint) => {
            let caller = session.caller(connection, &request.params);
            let mut answer = shared.call(endpoint, &caller, &request.params);
            answer.hide_young_order(endpoint.rest, plan.order_hidden_ms);
            answer
        }
        None => session.manage(shared, connection, &request.method, &request.params),
    };
    if let Some(how) = plan.after {
        return broken(&request.id, how);
    }
    if session.is_micro {
        in_micros(&mut answer.body);
    }
    let status = answer.status;
    let text = frame(&request.id, answer, session.returns_limits(&request.params)).to_string();
    if status == 418 { Out::Last(text) } else { Out::Text(text) }
}

/// Instead of an answer.
fn broken(id: &Value, how: Break) -> Out {
    match how {
        Break::Error { status, code, .. } => {
            let error = error_body(&Refusal::new(code, fault_message(status, code)));
            let text = json!({"id": id, "status": status, "error": error}).to_string();
            if status == 418 { Out::Last(text) } else { Out::Text(text) }
        }
        Break::Page { status } => {
            let error = error_body(&Refusal::new(-1000, fault_message(status, -1000)));
            Out::Text(json!({"id": null, "status": status, "error": error}).to_string())
        }
        Break::Silence => Out::Nothing,
        Break::Reset => Out::Close,
    }
}

fn frame(id: &Value, answer: Answer, with_limits: bool) -> Value {
    let mut frame = json!({"id": id, "status": answer.status});
    let mut body = answer.body;
    if let Some(retry_at) = answer.retry_at {
        body["data"] = json!({"serverTime": answer.now, "retryAfter": retry_at});
    }
    frame[if answer.status == 200 { "result" } else { "error" }] = body;
    if with_limits {
        frame["rateLimits"] = answer.limits;
    }
    frame
}
