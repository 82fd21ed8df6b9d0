//! REST: finds the endpoint, lets the faults have their way, and writes the exchange's headers.
//!
//! It must never answer anything but JSON, except where the exchange itself does not.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::auth::rest_payload;
use super::micros::in_micros;
use super::params::Params;
use super::routes;
use super::shared::{Answer, Caller, Identity, Shared, error_body};
use crate::faults::Break;
use crate::model::Refusal;

/// A second hand on a connection's socket, by which it can be ended without an answer.
struct Socket(TcpStream);

/// Keeps a hand on the socket of each new connection.
pub(super) fn keep_socket(connection: &dyn Any, extensions: &mut Extensions) {
    let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
    if let Some(socket) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) {
        extensions.insert(Socket(TcpStream::from(socket)));
    }
}

/// Ends the connection of a request at once.
pub(super) fn reset(request: &HttpRequest) -> HttpResponse {
    if let Some(Socket(socket)) = request.conn_data() {
        // It may be gone already, which is what is wanted.
        let _ = socket.shutdown(Shutdown::Both);
    }
    HttpResponse::InternalServerError().force_close().finish()
}

/// Where a request comes from.
pub(super) fn address_of(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}

fn json(status: u16, body: &Value) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("application/json;charset=UTF-8").body(body.to_string())
}

fn page(status: u16) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    HttpResponse::build(status).content_type("text/html").body(page)
}

fn put(response: &mut HttpResponse, name: &'static str, value: u64) {
    response.headers_mut().insert(actix_web::http::header::HeaderName::from_static(name), value.into());
}

fn with_weight(mut response: HttpResponse, used: u32) -> HttpResponse {
    put(&mut response, "x-mbx-used-weight", u64::from(used));
    put(&mut response, "x-mbx-used-weight-1m", u64::from(used));
    response
}

fn answered(answer: &Answer) -> HttpResponse {
    let mut response = with_weight(json(answer.status, &answer.body), answer.used);
    if let Some(seconds) = answer.retry_after_seconds() {
        put(&mut response, "retry-after", seconds);
    }
    if let Some((ten_seconds, day)) = answer.orders.filter(|_| answer.status == 200) {
        put(&mut response, "x-mbx-order-count-10s", u64::from(ten_seconds));
        put(&mut response, "x-mbx-order-count-1d", u64::from(day));
    }
    response
}

/// The message that goes with the code of a fault.
pub(super) fn fault_message(status: u16, code: i32) -> &'static str {
    match (status, code) {
        (_, -1007) => {
            "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
        }
        (418, _) => {
            "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
        }
        (429, _) => {
            "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."
        }
        _ => "An unknown error occurred while processing the request.",
    }
}

/// Instead of an answer.
async fn broken(request: &HttpRequest, shared: &Shared, how: Break, used: u32) -> HttpResponse {
    match how {
        Break::Error { status, code, retry_after_seconds } => {
            let body = error_body(&Refusal::new(code, fault_message(status, code)));
            let mut response = with_weight(json(status, &body), used);
            if let Some(seconds) = retry_after_seconds {
                put(&mut response, "retry-after", seconds);
            }
            response
        }
        Break::Page { status } => page(status),
        Break::Silence => {
            shared.closing.notified().await;
            reset(request)
        }
        Break::Reset => reset(request),
    }
}

/// A request that meets no endpoint.
fn refused(shared: &Shared, address: IpAddr, status: u16, refusal: &Refusal) -> HttpResponse {
    with_weight(json(status, &error_body(refusal)), shared.lock().used_weight(address))
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Any request below `/api/v3` or `/sapi/v1`.
pub(super) async fn rest(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let path = request.path();
    let path = path.strip_prefix("/api/v3/").unwrap_or(path).trim_start_matches('/');
    if path.starts_with("userDataStream") {
        return page(410);
    }
    let (verb, address) = (request.method().as_str(), address_of(&request));
    let Some(endpoint) = routes::by_path(verb, path) else {
        return refused(&shared, address, 404, &Refusal::new(-1020, "This operation is not supported."));
    };
    let body = std::str::from_utf8(&body).unwrap_or_default();
    let params = match Params::from_rest(request.query_string(), body) {
        Ok(params) => params,
        Err(refusal) => return refused(&shared, address, 400, &refusal),
    };
    let is_micro = match header(&request, "x-mbx-time-unit").map(str::to_ascii_uppercase).as_deref() {
        Some("MICROSECOND") => true,
        None | Some("MILLISECOND") => false,
        Some(_) => {
            let message = "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.";
            return refused(&shared, address, 400, &Refusal::new(-1194, message));
        }
    };
    let key = header(&request, "x-mbx-apikey");
    let payload = rest_payload(request.query_string(), body);
    let caller = Caller { address, identity: Identity::Key { key, payload }, connection: None };
    let plan = shared.plan((verb, path, endpoint.method), &caller, &params);
    if plan.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(plan.latency_ms)).await;
    }
    if let Some(how) = plan.before {
        let used = shared.lock().used_weight(address);
        return broken(&request, &shared, how, used).await;
    }
    let mut answer = shared.call(endpoint, &caller, &params);
    if let Some(how) = plan.after {
        return broken(&request, &shared, how, answer.used).await;
    }
    answer.hide_young_order((verb, path), plan.order_hidden_ms);
    if is_micro {
        in_micros(&mut answer.body);
    }
    answered(&answer)
}

impl Answer {
    /// Answers that an order does not exist which is younger than `hidden_ms`.
    pub(super) fn hide_young_order(&mut self, rest: (&str, &str), hidden_ms: Option<i64>) {
        let age = self.body["time"].as_i64().map(|created| self.now.saturating_sub(created));
        let is_hidden = hidden_ms.zip(age).is_some_and(|(hidden, age)| age < hidden);
        if rest == ("GET", "order") && self.status == 200 && is_hidden {
            self.body = error_body(&Refusal::no_such_order());
            self.status = 400;
        }
    }
}
