//! What HTTP needs below the requests: a client, the exchange's form of an error, and what a failure means.
//!
//! It must never call a request not done that may have left.

use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::Version;
use serde::Deserialize;

use super::errors::{failure, shortened};
use super::install_crypto_provider;
use crate::{RequestError, RequestErrorKind};

/// A client that speaks HTTP/1.1 only and follows nothing. One for each arbiter.
pub(crate) fn http_client(connect_timeout: Duration) -> awc::Client {
    install_crypto_provider();
    let connector = awc::Connector::new()
        .timeout(connect_timeout)
        .handshake_timeout(connect_timeout)
        // Offers only http/1.1 by ALPN: WebSockets need it, and the HTTP/2 library below awc has known holes.
        .max_http_version(Version::HTTP_11);
    // awc's own timeout does not bound a slow body: callers bound the whole call.
    awc::Client::builder().connector(connector).disable_redirects().disable_timeout().finish()
}

/// An error as the exchange writes it.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorWire<'a> {
    pub(crate) code: i32,
    #[serde(borrow)]
    pub(crate) msg: std::borrow::Cow<'a, str>,
}

/// A failure before there was an answer. Whether something left is only certain where no connection was made.
pub(crate) fn not_answered(label: &str, error: &SendRequestError) -> RequestError {
    let (kind, detail) = match error {
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            (RequestErrorKind::Fatal, "the address is not valid".into())
        }
        SendRequestError::Connect(ConnectError::Disconnected) => {
            (RequestErrorKind::Unknown, "the connection was closed without an answer".into())
        }
        SendRequestError::Connect(reason) => (RequestErrorKind::NotDone, format!("no connection: {reason}")),
        SendRequestError::Timeout => (RequestErrorKind::Unknown, "no answer in time".into()),
        other => (RequestErrorKind::Unknown, format!("the connection failed: {other}")),
    };
    failure(label, kind, shortened(&detail))
}

/// Reads the JSON of an answer.
pub(crate) fn decode<'a, T: Deserialize<'a>>(request: &str, answer: &'a [u8]) -> Result<T, RequestError> {
    serde_json::from_slice(answer).map_err(|error| bad_answer(request, &error))
}

/// The error for an answer that makes no sense.
pub(crate) fn bad_answer(request: &str, error: &impl std::fmt::Display) -> RequestError {
    failure(request, RequestErrorKind::BadAnswer, shortened(&error.to_string()))
}
