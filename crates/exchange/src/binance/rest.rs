//! One HTTP request at a time: sent, bounded, read whole, and its failure classified.
//!
//! It must never repeat anything but a read, follow a redirect (it would carry the key to another origin), or read a
//! failure as an answer. Its errors carry method and path, never parameters.

use std::rc::Rc;
use std::time::Duration;

use actix_rt::time::{sleep, timeout};
use awc::body::MessageBody;
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{CONTENT_TYPE, HeaderMap};
use awc::http::{Method, Version};
use bytes::Bytes;
use serde::Deserialize;

use super::errors::{failure, refusal, shortened};
use super::install_crypto_provider;
use super::rate::RateGuard;
use super::sign::{Credentials, Query, RECEIVE_WINDOW_MS};
use crate::retry::{RetryPolicy, Schedule};
use crate::{MonotonicMs, RequestError, RequestErrorKind, TimeSource};

/// The longest wait that an error names, so that a mad header cannot silence us for ever: three days, the longest ban.
const RETRY_AFTER_S_MAX: u64 = 3 * 86_400;

/// How requests are made.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// The address without `/api/v3`, without a slash at the end.
    pub base_url: String,
    /// Bounds a whole request: waiting for a connection, connecting, sending, and reading the answer to its end.
    pub timeout: Duration,
    /// Bounds connecting, and the TLS handshake after it, each.
    pub connect_timeout: Duration,
    /// The largest answer that is read. The description of all symbols has more than 10 MB.
    pub body_bytes_max: usize,
    /// How reads are repeated.
    pub retry: RetryPolicy,
}

impl RestConfig {
    /// Usual values for `base_url`.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            timeout: Duration::from_secs(12), // The exchange waits 10 s for its engine before it answers -1007.
            connect_timeout: Duration::from_secs(5),
            body_bytes_max: 64 << 20,
            retry: RetryPolicy::reads(),
        }
    }
}

struct Inner {
    http: awc::Client,
    config: RestConfig,
    monotonic: MonotonicMs,
    guard: RateGuard,
}

/// A client on the arbiter that made it. Clones share their connections.
#[derive(Clone)]
pub struct RestClient(Rc<Inner>);

/// What one request is, apart from its parameters.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) api_key: Option<&'a str>,
    pub(crate) new_order: bool,
}

impl Call<'_> {
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl RestClient {
    /// A client for the arbiter that calls this.
    #[must_use]
    pub fn new(config: RestConfig, monotonic: MonotonicMs, guard: RateGuard) -> Self {
        Self(Rc::new(Inner { http: http_client(config.connect_timeout), config, monotonic, guard }))
    }

    /// What the exchange said about limits.
    #[must_use]
    pub fn guard(&self) -> &RateGuard {
        &self.0.guard
    }

    /// A public read.
    ///
    /// # Errors
    /// After the last repetition.
    pub async fn get(&self, path: &str, query: &Query) -> Result<Bytes, RequestError> {
        let call = Call { method: &Method::GET, path, api_key: None, new_order: false };
        self.repeated(async || self.send(call, query.as_str(), ()).await).await
    }

    /// A signed read. Every attempt is signed anew, because its timestamp would be too old.
    ///
    /// # Errors
    /// After the last repetition.
    pub async fn get_signed(
        &self,
        path: &str,
        query: &Query,
        credentials: &Credentials,
        time: &TimeSource,
    ) -> Result<Bytes, RequestError> {
        let call = Call { method: &Method::GET, path, api_key: Some(credentials.api_key()), new_order: false };
        self.repeated(async || self.send(call, &signed(query, credentials, time), ()).await).await
    }

    /// A signed DELETE, sent once.
    ///
    /// # Errors
    /// What came of it.
    pub async fn delete_signed(
        &self,
        path: &str,
        query: &Query,
        credentials: &Credentials,
        time: &TimeSource,
    ) -> Result<Bytes, RequestError> {
        let call = Call { method: &Method::DELETE, path, api_key: Some(credentials.api_key()), new_order: false };
        self.send(call, &signed(query, credentials, time), ()).await
    }

    async fn repeated(&self, attempt: impl AsyncFn() -> Result<Bytes, RequestError>) -> Result<Bytes, RequestError> {
        let mut schedule = Schedule::new(&self.0.config.retry);
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = match error.kind {
                RequestErrorKind::NotDone | RequestErrorKind::Unknown => schedule.next_wait(),
                RequestErrorKind::Refused
                | RequestErrorKind::RateLimited
                | RequestErrorKind::Fatal
                | RequestErrorKind::BadAnswer => None,
            };
            let Some(wait) = wait else { return Err(error) };
            tracing::debug!(%error, wait_ms = wait.as_millis(), "a read is repeated");
            sleep(wait).await;
        }
    }

    /// Sends one request, once, and reads its whole answer within the time allowed.
    pub(crate) async fn send<B: MessageBody + 'static>(
        &self,
        call: Call<'_>,
        query: &str,
        body: B,
    ) -> Result<Bytes, RequestError> {
        let (label, limit) = (call.label(), self.0.config.timeout);
        if let Some(quiet_ms) = self.0.guard.quiet_for_ms((self.0.monotonic)(), call.new_order) {
            let detail = "not sent: the exchange asked for silence";
            let mut error = failure(&label, RequestErrorKind::RateLimited, detail);
            error.retry_after_s = Some(quiet_ms.div_ceil(1000));
            return Err(error);
        }
        match timeout(limit, self.round_trip(call, &label, query, body)).await {
            Ok(result) => result,
            Err(_) => {
                let detail = format!("no whole answer within {} ms", limit.as_millis());
                Err(failure(&label, RequestErrorKind::Unknown, detail))
            }
        }
    }

    async fn round_trip<B: MessageBody + 'static>(
        &self,
        call: Call<'_>,
        label: &str,
        query: &str,
        body: B,
    ) -> Result<Bytes, RequestError> {
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{}{separator}{query}", self.0.config.base_url, call.path);
        let mut request = self.0.http.request(call.method.clone(), url);
        if let Some(api_key) = call.api_key {
            request = request.insert_header(("X-MBX-APIKEY", api_key));
        }
        if call.method == Method::POST {
            request = request.insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"));
        }
        let mut response = request.send_body(body).await.map_err(|error| not_answered(label, &error))?;
        let status = response.status().as_u16();
        let retry_after_s = self.note_headers(response.headers());
        let answer = response.body().limit(self.0.config.body_bytes_max).await;
        if (200..300).contains(&status) {
            return answer.map_err(|error| {
                failure(label, RequestErrorKind::Unknown, format!("the answer broke off or is too long: {error}"))
            });
        }
        Err(self.refused(label, status, retry_after_s, &answer.unwrap_or_default()))
    }

    fn refused(&self, label: &str, status: u16, retry_after_s: Option<u64>, answer: &[u8]) -> RequestError {
        let said: Option<ErrorWire<'_>> = serde_json::from_slice(answer).ok();
        let code = said.as_ref().map(|said| said.code);
        let mut error = refusal(label, status, code, said.as_ref().map(|said| said.msg.as_ref()));
        error.retry_after_s = retry_after_s;
        if error.kind == RequestErrorKind::RateLimited {
            self.0.guard.note_limited((self.0.monotonic)(), status, code, retry_after_s);
        }
        error
    }

    fn note_headers(&self, headers: &HeaderMap) -> Option<u64> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if let Some(weight) = number("x-mbx-used-weight-1m") {
            self.0.guard.note_used_weight(weight);
        }
        number("retry-after").map(|seconds| seconds.min(RETRY_AFTER_S_MAX))
    }
}

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

fn signed(query: &Query, credentials: &Credentials, time: &TimeSource) -> String {
    let query = query.clone().with("recvWindow", RECEIVE_WINDOW_MS).with("timestamp", time().as_millis());
    credentials.signed(query.as_str())
}

/// A failure before there was an answer. Whether something left is only certain where no connection was made.
fn not_answered(label: &str, error: &SendRequestError) -> RequestError {
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
