//! One HTTP request at a time: sent, bounded, read whole, and its failure classified.
//!
//! It must never repeat anything but a read, follow a redirect (it would carry the key to another origin), or read a
//! failure as an answer. Its errors carry method and path, never parameters.

use std::rc::Rc;
use std::time::Duration;

use actix_rt::time::{sleep, timeout};
use awc::body::MessageBody;
use awc::http::Method;
use awc::http::header::{CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use domain::{Millis, Timestamp};

use super::budget::{Cost, LimitKind, Priority};
use super::clock::ServerClock;
use super::errors::{banned_until, failure, refusal};
use super::link::Link;
use super::rate::{Held, Limited, RateGuard, SILENCE_S_MAX};
use super::sign::{Credentials, Query, RECEIVE_WINDOW_MS};
use super::transport::{ErrorWire, bad_answer, decode, http_client, not_answered};
use super::weights::weight;
use super::wire::TimeWire;
use crate::connectivity::Observation;
use crate::retry::{RetryPolicy, Schedule};
use crate::{Action, RequestError, RequestErrorKind};

const TIME: &str = "/api/v3/time";

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
    /// How long a read may wait for room in the exchange's limits before it is refused.
    pub room_wait_max: Duration,
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
            room_wait_max: Duration::from_secs(15),
        }
    }
}

struct Inner {
    http: awc::Client,
    config: RestConfig,
    link: Link,
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
    pub(crate) priority: Priority,
    /// New orders that it places.
    pub(crate) orders: u32,
}

impl<'a> Call<'a> {
    /// A read.
    pub(crate) const fn get(path: &'a str) -> Self {
        Self { method: &Method::GET, path, api_key: None, priority: Priority::Read, orders: 0 }
    }

    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn cost(&self, query: &str) -> Cost {
        Cost { weight: weight(self.method.as_str(), self.path, query), orders: self.orders }
    }
}

impl RestClient {
    /// A client for the arbiter that calls this.
    #[must_use]
    pub fn new(config: RestConfig, link: Link) -> Self {
        Self(Rc::new(Inner { http: http_client(config.connect_timeout), config, link }))
    }

    /// What is shared with the other clients.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.0.link
    }

    /// What may leave.
    #[must_use]
    pub fn guard(&self) -> &RateGuard {
        &self.0.link.guard
    }

    pub(crate) fn clock(&self) -> &ServerClock {
        &self.0.link.clock
    }

    /// A public read.
    ///
    /// # Errors
    /// After the last repetition.
    pub async fn get(&self, path: &str, query: &Query) -> Result<Bytes, RequestError> {
        self.repeated(async || self.send(Call::get(path), query.as_str(), ()).await).await
    }

    /// A read that shows the key and is not signed.
    ///
    /// # Errors
    /// After the last repetition.
    pub async fn get_with_key(&self, path: &str, credentials: &Credentials) -> Result<Bytes, RequestError> {
        let call = Call { api_key: Some(credentials.api_key()), ..Call::get(path) };
        self.repeated(async || self.send(call, "", ()).await).await
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
    ) -> Result<Bytes, RequestError> {
        let call = Call { api_key: Some(credentials.api_key()), ..Call::get(path) };
        self.repeated(async || self.signed(call, query, credentials).await).await
    }

    /// A signed DELETE, sent once; after the exchange's word that it did nothing because of the clock, once more.
    ///
    /// # Errors
    /// What came of it.
    pub async fn delete_signed(
        &self,
        path: &str,
        query: &Query,
        credentials: &Credentials,
    ) -> Result<Bytes, RequestError> {
        let api_key = Some(credentials.api_key());
        let call = Call { method: &Method::DELETE, path, api_key, priority: Priority::Exit, orders: 0 };
        self.signed(call, query, credentials).await
    }

    /// Measures how far the exchange's clock is from ours. Returns the offset.
    ///
    /// # Errors
    /// Why it is not known; the offset stays as it was.
    pub async fn sync_clock(&self) -> Result<Millis, RequestError> {
        let call = Call { priority: Priority::Exit, ..Call::get(TIME) };
        let sent = self.clock().base_now();
        let answer = self.send(call, "", ()).await?;
        let received = self.clock().base_now();
        let wire: TimeWire = decode(&call.label(), &answer)?;
        let server = Timestamp::from_millis_or_micros(wire.server_time);
        let offset = self.clock().note(sent, received, server).map_err(|error| bad_answer(&call.label(), &error))?;
        tracing::info!(offset_ms = offset.get(), "the exchange's clock was measured");
        Ok(offset)
    }

    /// Sends a signed request; where the exchange says that it did nothing because of the timestamp, measures its clock
    /// and sends once more.
    pub(crate) async fn signed(
        &self,
        call: Call<'_>,
        query: &Query,
        credentials: &Credentials,
    ) -> Result<Bytes, RequestError> {
        let attempt = async || {
            let query = query.clone().with("recvWindow", RECEIVE_WINDOW_MS);
            let query = query.with("timestamp", self.clock().now().as_millis());
            self.send(call, &credentials.signed(query.as_str()), ()).await
        };
        match attempt().await {
            Err(error) if error.action == Action::RepeatAfterClockSync => match self.sync_clock().await {
                Ok(_) => attempt().await,
                Err(_) => Err(error),
            },
            other => other,
        }
    }

    async fn repeated(&self, attempt: impl AsyncFn() -> Result<Bytes, RequestError>) -> Result<Bytes, RequestError> {
        let mut schedule = Schedule::new(&self.0.config.retry);
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let unanswered = matches!(error.kind, RequestErrorKind::NotDone | RequestErrorKind::Unknown);
            let wait = match error.action {
                Action::RepeatAfterClockSync => None,
                _ if unanswered => schedule.next_wait(),
                _ => None,
            };
            let Some(wait) = wait else {
                if unanswered && error.action != Action::RepeatAfterClockSync {
                    self.observe(Observation::GaveUp);
                }
                return Err(error);
            };
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
        self.wait_for_room(call, &label, query).await?;
        match timeout(limit, self.round_trip(call, &label, query, body)).await {
            Ok(result) => result,
            Err(_) => {
                self.observe(Observation::Failed);
                let detail = format!("no whole answer within {} ms", limit.as_millis());
                Err(failure(&label, RequestErrorKind::Unknown, detail))
            }
        }
    }

    /// Counts the request, as soon as there is room for it. Reads wait for room, within bounds; nothing waits for the end
    /// of a silence that the exchange asked for.
    async fn wait_for_room(&self, call: Call<'_>, label: &str, query: &str) -> Result<(), RequestError> {
        let link = &self.0.link;
        let begin_ms = link.monotonic_ms();
        let patience_ms = match call.priority {
            Priority::Read => u64::try_from(self.0.config.room_wait_max.as_millis()).unwrap_or(u64::MAX),
            Priority::Entry | Priority::Exit => 0,
        };
        loop {
            let Err(held) = link.guard.admit(link.moment(), call.cost(query), call.priority) else { return Ok(()) };
            let waited_ms = link.monotonic_ms().saturating_sub(begin_ms);
            if held.asked_for || waited_ms.saturating_add(held.wait_ms) > patience_ms {
                return Err(not_sent(label, held));
            }
            tracing::debug!(label, wait_ms = held.wait_ms, "a read waits for room in the exchange's limits");
            sleep(Duration::from_millis(held.wait_ms)).await;
        }
    }

    fn observe(&self, seen: Observation<'_>) {
        self.0.link.connectivity.observe(seen, self.clock().base_now());
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
        let sent = request.send_body(body).await;
        let mut response = sent.map_err(|error| {
            self.observe(Observation::Failed);
            not_answered(label, &error)
        })?;
        let status = response.status().as_u16();
        self.observe(if status < 500 { Observation::Answered } else { Observation::Failed });
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
        let words = said.as_ref().map(|said| said.msg.as_ref());
        let mut error = refusal(label, status, code, words);
        error.retry_after_s = retry_after_s;
        if error.kind == RequestErrorKind::RateLimited {
            let until = words.and_then(banned_until);
            self.guard().note_limited(self.0.link.moment(), Limited { status, code, retry_after_s, until });
        }
        error
    }

    /// Takes the counts that the exchange tells with an answer, and returns how long it asks to be left alone.
    fn note_headers(&self, headers: &HeaderMap) -> Option<u64> {
        let moment = self.0.link.moment();
        for (name, value) in headers {
            let number = || value.to_str().ok()?.trim().parse::<u32>().ok();
            let counted = counted_window(name.as_str());
            if let (Some((kind, interval_ms)), Some(used)) = (counted, number()) {
                self.guard().note_used(moment, kind, interval_ms, used);
            }
        }
        let retry_after_s = headers.get("retry-after")?.to_str().ok()?.trim().parse::<u64>().ok()?;
        Some(retry_after_s.min(SILENCE_S_MAX))
    }
}

/// Which window a header counts: `x-mbx-used-weight-1m`, `x-mbx-order-count-10s`.
fn counted_window(name: &str) -> Option<(LimitKind, i64)> {
    let name = name.strip_prefix("x-mbx-")?;
    let (kind, window) = match name.strip_prefix("used-weight-") {
        Some(window) => (LimitKind::Weight, window),
        None => (LimitKind::Orders, name.strip_prefix("order-count-")?),
    };
    let number = window.get(..window.len().checked_sub(1)?)?;
    let unit_ms = match window.get(number.len()..)? {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some((kind, number.parse::<i64>().ok()?.checked_mul(unit_ms)?))
}

/// Our own ledger holds the request back.
fn not_sent(label: &str, held: Held) -> RequestError {
    let detail = if held.asked_for {
        "not sent: the exchange asked for silence"
    } else {
        "not sent: there is no room in the exchange's limits"
    };
    let error = failure(label, RequestErrorKind::RateLimited, detail);
    RequestError { reason: Some(held.reason), retry_after_s: Some(held.wait_ms.div_ceil(1000)), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_their_window() {
        let cases = [
            ("x-mbx-used-weight-1m", Some((LimitKind::Weight, 60_000))),
            ("x-mbx-order-count-10s", Some((LimitKind::Orders, 10_000))),
            ("x-mbx-order-count-1d", Some((LimitKind::Orders, 86_400_000))),
            ("x-mbx-used-weight", None),
            ("x-mbx-used-weight-", None),
            ("x-mbx-used-weight-m", None),
            ("x-mbx-used-weight-1y", None),
            ("x-mbx-used-weight-9223372036854775807d", None),
            ("x-mbx-used-weight-1\u{20ac}", None),
            ("content-length", None),
        ];
        for (name, expected) in cases {
            assert_eq!(counted_window(name), expected, "{name}");
        }
    }
}
