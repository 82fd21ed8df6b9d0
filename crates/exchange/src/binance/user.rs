//! The account's stream: what happens to orders, on a connection to the WebSocket API that is kept.
//!
//! It must never pretend to be without a gap: nothing is replayed after one, so every loss and every new subscription is
//! told, and the account must be asked in between.

use std::rc::Rc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_rt::time::{sleep, timeout};
use awc::ws::Message;
use serde::Serialize;

use super::errors::refusal;
use super::events::{UserFrame, parse_user_frame};
use super::link::Link;
use super::rate::Limited;
use super::sign::{Credentials, RECEIVE_WINDOW_MS};
use super::socket::{Connector, Incoming, Socket};
use super::weights::SESSION;
use crate::retry::{RetryPolicy, Schedule};
use crate::{ExecutionSink, RequestErrorKind};

const SUBSCRIBE: &str = "userDataStream.subscribe.signature";
/// A subscription that lived so long was a good one: the next waiting time is the shortest again.
const GOOD_SUBSCRIPTION_MS: u64 = 10_000;

/// How the account is listened to.
#[derive(Clone)]
pub struct UserStreamConfig {
    /// The whole address of the WebSocket API.
    pub url: String,
    /// Whose account.
    pub credentials: Credentials,
    /// A connection without any frame for half of this is pinged, and dropped after all of it.
    pub silence: Duration,
    /// Bounds connecting, and the answer to the subscription.
    pub connect_timeout: Duration,
    /// How connections are tried again.
    pub retry: RetryPolicy,
    /// Shared with the other clients of the exchange.
    pub link: Link,
}

impl UserStreamConfig {
    /// Usual values.
    #[must_use]
    pub fn new(url: impl Into<String>, credentials: Credentials, link: Link) -> Self {
        Self {
            url: url.into(),
            credentials,
            silence: Duration::from_secs(40),
            connect_timeout: Duration::from_secs(10),
            retry: RetryPolicy::connections(),
            link,
        }
    }
}

/// What becomes of the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserStreamEvent {
    /// Events come from now on. What happened before must be asked for.
    Subscribed,
    /// An event could not be read: the account must be asked.
    Rejected {
        /// The field, and what is wrong with it.
        detail: String,
    },
    /// No events come. The subscription is being made again.
    Lost {
        /// Why.
        reason: String,
        /// Whether keys or permissions are wrong, so that a person must look.
        fatal: bool,
    },
}

struct Loss {
    reason: String,
    fatal: bool,
}

impl From<String> for Loss {
    fn from(reason: String) -> Self {
        Self { reason, fatal: false }
    }
}

/// The account's stream.
pub struct UserStream {
    config: UserStreamConfig,
    executions: ExecutionSink,
    sink: Box<dyn Fn(UserStreamEvent)>,
}

/// A running account's stream. It ends when this is dropped.
#[derive(Debug)]
pub struct UserStreamHandle(JoinHandle<()>);

impl Drop for UserStreamHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl UserStream {
    /// Starts the stream on the current arbiter.
    #[must_use]
    pub fn spawn(
        config: UserStreamConfig,
        executions: ExecutionSink,
        sink: Box<dyn Fn(UserStreamEvent)>,
    ) -> UserStreamHandle {
        UserStreamHandle(actix_rt::spawn(Rc::new(Self { config, executions, sink }).run()))
    }

    async fn run(self: Rc<Self>) {
        let config = &self.config;
        let url = config.url.clone();
        let connector = Connector::new(url, config.connect_timeout, config.link.clone());
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: None, ..config.retry.clone() });
        loop {
            let since = config.link.monotonic_ms();
            let Loss { reason, fatal } = self.session(&connector).await;
            if config.link.monotonic_ms().saturating_sub(since) >= GOOD_SUBSCRIPTION_MS {
                schedule.reset();
            }
            tracing::warn!(reason, fatal, "the account's stream is lost");
            (self.sink)(UserStreamEvent::Lost { reason, fatal });
            sleep(schedule.next_wait().unwrap_or(config.retry.longest)).await;
        }
    }

    /// One connection from its beginning to its end.
    async fn session(&self, connector: &Connector) -> Loss {
        let mut socket = match connector.connect().await {
            Ok(socket) => socket,
            Err(reason) => return reason.into(),
        };
        match timeout(self.config.connect_timeout, self.subscribe(&mut socket)).await {
            Ok(Ok(())) => {}
            Ok(Err(loss)) => return loss,
            Err(_) => return String::from("no answer to the subscription in time").into(),
        }
        (self.sink)(UserStreamEvent::Subscribed);
        self.listen(&mut socket).await
    }

    async fn subscribe(&self, socket: &mut Socket) -> Result<(), Loss> {
        self.config.link.guard.charge(SESSION);
        let request = subscription(&self.config.credentials, self.config.link.clock.now().as_millis());
        socket.send(Message::Text(request.into())).await?;
        loop {
            let message = match socket.next().await {
                Incoming::Message(message) => message,
                Incoming::Alive => continue,
                Incoming::Closed(reason) => return Err(reason.into()),
            };
            let answer = match parse_user_frame(&message) {
                Ok(UserFrame::Answer(answer)) => answer,
                // Cannot be: nothing is subscribed yet. If it is, the account is asked after the subscription anyway.
                Ok(_) => continue,
                Err(error) => return Err(error.to_string().into()),
            };
            if answer.status == 200 {
                return Ok(());
            }
            let error = refusal(SUBSCRIBE, answer.status, answer.code, Some(&answer.words));
            if error.kind == RequestErrorKind::RateLimited {
                let said = Limited { status: answer.status, code: answer.code, ..Limited::default() };
                self.config.link.guard.note_limited(self.config.link.moment(), said);
            }
            return Err(Loss { reason: error.to_string(), fatal: error.kind == RequestErrorKind::Fatal });
        }
    }

    /// Hands events over until the connection ends, and says why it did.
    async fn listen(&self, socket: &mut Socket) -> Loss {
        let mut pinged = false;
        loop {
            let message = match timeout(self.config.silence / 2, socket.next()).await {
                Ok(Incoming::Message(message)) => message,
                Ok(Incoming::Alive) => {
                    pinged = false;
                    continue;
                }
                Ok(Incoming::Closed(reason)) => return reason.into(),
                Err(_) if pinged => return format!("silent for {} ms", self.config.silence.as_millis()).into(),
                Err(_) => {
                    // An account may be quiet for hours, so silence alone says nothing.
                    pinged = true;
                    match socket.send(Message::Ping("vigia".into())).await {
                        Ok(()) => continue,
                        Err(reason) => return reason.into(),
                    }
                }
            };
            pinged = false;
            match parse_user_frame(&message) {
                Ok(UserFrame::Execution(events)) => events.into_iter().for_each(|event| (self.executions)(event)),
                Ok(UserFrame::Terminated) => return String::from("the exchange ended the subscription").into(),
                Ok(UserFrame::Shutdown) => return String::from("the exchange is shutting this server down").into(),
                Ok(UserFrame::Answer(_) | UserFrame::Ignored) => {}
                Err(error) => (self.sink)(UserStreamEvent::Rejected { detail: error.to_string() }),
            }
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    method: &'a str,
    params: Params<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    api_key: &'a str,
    recv_window: u32,
    timestamp: i64,
    signature: String,
}

/// The request to subscribe. Signed are the other parameters, sorted by name, raw.
fn subscription(credentials: &Credentials, timestamp: i64) -> String {
    let api_key = credentials.api_key();
    let payload = format!("apiKey={api_key}&recvWindow={RECEIVE_WINDOW_MS}&timestamp={timestamp}");
    let signature = credentials.secret().sign(payload.as_bytes());
    let params = Params { api_key, recv_window: RECEIVE_WINDOW_MS, timestamp, signature };
    serde_json::to_string(&Request { id: "1", method: SUBSCRIBE, params })
        .expect("invariant: texts and numbers can be written as JSON")
}
