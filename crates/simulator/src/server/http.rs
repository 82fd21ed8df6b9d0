//! REST: finds the endpoint, checks nothing itself, and writes the exchange's headers.
//!
//! It must never answer anything but JSON, except where the exchange itself does not.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::auth::rest_payload;
use super::endpoints::ENDPOINTS;
use super::params::Params;
use super::shared::{Answer, Caller, Shared, error_body};
use crate::model::Refusal;

fn json(status: u16, body: &serde_json::Value) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("application/json;charset=UTF-8").body(body.to_string())
}

fn answered(answer: &Answer) -> HttpResponse {
    let mut response = json(answer.status, &answer.body);
    let headers = response.headers_mut();
    let mut put = |name: &'static str, value: u64| {
        headers.insert(actix_web::http::header::HeaderName::from_static(name), value.into());
    };
    put("x-mbx-used-weight", u64::from(answer.used));
    put("x-mbx-used-weight-1m", u64::from(answer.used));
    if let Some(seconds) = answer.retry_after {
        put("retry-after", seconds);
    }
    response
}

/// Any request below `/api/v3` or `/sapi/v1`.
#[allow(clippy::unused_async, reason = "actix-web's handlers are async")]
pub(super) async fn rest(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    let path = request.path();
    let path = path.strip_prefix("/api/v3/").unwrap_or(path).trim_start_matches('/');
    if path.starts_with("userDataStream") {
        let page = "<html><head><title>410 Gone</title></head><body><h1>410 Gone</h1></body></html>";
        return HttpResponse::Gone().content_type("text/html").body(page);
    }
    let verb = request.method().as_str();
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.rest == (verb, path)) else {
        return json(404, &error_body(&Refusal::new(-1020, "This operation is not supported.")));
    };
    let body = std::str::from_utf8(&body).unwrap_or_default();
    let params = match Params::from_rest(request.query_string(), body) {
        Ok(params) => params,
        Err(refusal) => return json(400, &error_body(&refusal)),
    };
    let key = request.headers().get("x-mbx-apikey").and_then(|key| key.to_str().ok());
    let payload = rest_payload(request.query_string(), body);
    answered(&shared.call(endpoint, &Caller::Key { key, payload }, &params))
}
