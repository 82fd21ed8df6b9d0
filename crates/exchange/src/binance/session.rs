//! The requests that begin a session on the WebSocket API.
//!
//! It must never hold a secret: what is signed goes out, and what signs stays with the credentials.

use serde::Serialize;

use super::sign::{Credentials, RECEIVE_WINDOW_MS};

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Params<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    api_key: &'a str,
    recv_window: u32,
    timestamp: i64,
    signature: String,
}

/// A signed request. Signed are the other parameters, sorted by name, raw.
pub(super) fn signed_request(method: &str, credentials: &Credentials, timestamp: i64) -> String {
    let api_key = credentials.api_key();
    let payload = format!("apiKey={api_key}&recvWindow={RECEIVE_WINDOW_MS}&timestamp={timestamp}");
    let signature = credentials.secret().sign(payload.as_bytes());
    request(method, Some(Params { api_key, recv_window: RECEIVE_WINDOW_MS, timestamp, signature }))
}

/// A request of a session that is logged on.
pub(super) fn plain_request(method: &str) -> String {
    request(method, None)
}

fn request(method: &str, params: Option<Params<'_>>) -> String {
    serde_json::to_string(&Request { id: "1", method, params })
        .expect("invariant: texts and numbers can be written as JSON")
}
