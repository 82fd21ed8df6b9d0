//! All endpoints in one place: which of the tables has what is asked for.
//!
//! It must never know two endpoints of one name: the first table that has it wins.

use super::endpoints::{ENDPOINTS, Endpoint};
use super::{quotes, sapi, windows};

fn tables() -> impl Iterator<Item = &'static Endpoint> {
    quotes::ENDPOINTS.iter().chain(windows::ENDPOINTS).chain(sapi::ENDPOINTS).chain(ENDPOINTS)
}

/// The endpoint of an HTTP request.
pub(super) fn by_path(verb: &str, path: &str) -> Option<&'static Endpoint> {
    tables().find(|endpoint| endpoint.rest == (verb, path))
}

/// The endpoint of a request of the WebSocket API.
pub(super) fn by_method(method: &str) -> Option<&'static Endpoint> {
    tables().find(|endpoint| endpoint.method == method && !method.is_empty())
}
