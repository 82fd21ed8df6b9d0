//! The account's stream: what happens to orders, on a connection to the WebSocket API that is kept.
//!
//! It must never pretend to be without a gap: nothing is replayed after one, so every loss and every new subscription is
//! told, and the account must be asked in between.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_rt::time::{sleep, timeout};
use awc::ws::Message;
use domain::{Asset, Timestamp};
use futures_util::future::{Either, select};

use super::account_wire::Balance;
use super::budget::LimitKind;
use super::codes::ALREADY_SUBSCRIBED;
use super::errors::{banned_until, refusal};
use super::events::{Answer, Transfer, UserFrame, parse_user_frame};
use super::link::Link;
use super::rate::Limited;
use super::session::{plain_request, signed_request};
use super::sign::Credentials;
use super::socket::{Connector, Incoming, Socket};
use super::weights::SESSION;
use crate::connectivity::Observation;
use crate::retry::{RetryPolicy, Schedule};
use crate::{ExecutionSink, RequestErrorKind};

const LOGON: &str = "session.logon";
const SUBSCRIBE: &str = "userDataStream.subscribe";
const SUBSCRIBE_SIGNED: &str = "userDataStream.subscribe.signature";
/// What the stream is called among the others.
const NAME: &str = "account";
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
    /// A connection that lived so long is replaced, while it is still read: the exchange ends each after 24 hours.
    pub lifetime: Duration,
    /// How long both the old and the new connection are read then, so that what the old one still has on its way arrives.
    pub overlap: Duration,
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
            lifetime: Duration::from_secs(23 * 3600),
            overlap: Duration::from_secs(2),
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
    /// Free and locked of assets that may have changed, absolute, at this exchange time.
    Balances(BTreeMap<Asset, Balance>, Timestamp),
    /// Money came or went without a trade.
    Transfer(Transfer),
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
    received: Rc<Received>,
}

/// What the newest connection received.
#[derive(Debug, Default)]
struct Received {
    server_number: Cell<u64>,
    events: Cell<u64>,
}

/// A running account's stream. It ends when this is dropped.
#[derive(Debug)]
pub struct UserStreamHandle {
    task: JoinHandle<()>,
    link: Link,
    received: Rc<Received>,
}

impl UserStreamHandle {
    /// Events received so far on the newest connection, by the number that the server gave it. The simulator counts the
    /// same; the exchange gives no numbers.
    #[must_use]
    pub fn events_by_server_number(&self) -> BTreeMap<u64, u64> {
        match self.received.server_number.get() {
            0 => BTreeMap::new(),
            number => BTreeMap::from([(number, self.received.events.get())]),
        }
    }
}

impl Drop for UserStreamHandle {
    fn drop(&mut self) {
        self.task.abort();
        // What is not wanted any more is not missed.
        self.link.connectivity.observe(Observation::StreamEnded(NAME), self.link.clock.base_now());
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
        let link = config.link.clone();
        let received = Rc::new(Received::default());
        let stream = Self { config, executions, sink, received: Rc::clone(&received) };
        UserStreamHandle { task: actix_rt::spawn(Rc::new(stream).run()), link, received }
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
            self.observe(Observation::StreamLost(NAME));
            tracing::warn!(reason, fatal, "the account's stream is lost");
            (self.sink)(UserStreamEvent::Lost { reason, fatal });
            sleep(schedule.next_wait().unwrap_or(config.retry.longest)).await;
        }
    }

    /// Connections that replace each other without a gap, to the end of the last one.
    async fn session(&self, connector: &Connector) -> Loss {
        let mut current = match self.subscribed(connector).await {
            Ok(current) => current,
            Err(loss) => return loss,
        };
        self.observe(Observation::StreamUp(NAME));
        (self.sink)(UserStreamEvent::Subscribed);
        loop {
            match self.listen(&mut current, false).await {
                End::Lost(loss) => return loss,
                End::Renew(why) => {
                    tracing::info!(why, "the account's stream is renewed");
                    match self.renew(connector, &mut current).await {
                        Ok(next) => current = next,
                        Err(loss) => return loss,
                    }
                }
            }
        }
    }

    /// A new subscription, while the old one is read.
    ///
    /// # Errors
    /// Why the old one ended without a new one: that is a gap.
    async fn renew(&self, connector: &Connector, old: &mut Subscription) -> Result<Subscription, Loss> {
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: None, ..self.config.retry.clone() });
        loop {
            let subscribing = Box::pin(self.subscribed(connector));
            let listening = Box::pin(self.listen(old, true));
            let next = match select(subscribing, listening).await {
                Either::Left((next, _)) => next,
                Either::Right((end, _)) => return Err(loss_of(end)),
            };
            match next {
                Ok(mut next) => {
                    // Both are read for a while: what comes twice is harmless.
                    let both = async {
                        let (old, next) = (Box::pin(self.listen(old, true)), Box::pin(self.listen(&mut next, true)));
                        matches!(select(old, next).await, Either::Left(_))
                    };
                    if timeout(self.config.overlap, both).await.unwrap_or(true) {
                        return Ok(next);
                    }
                }
                Err(Loss { reason, .. }) => tracing::warn!(reason, "a renewal of the account's stream failed"),
            }
            let wait = schedule.next_wait().unwrap_or(self.config.retry.longest);
            if let Ok(end) = timeout(wait, self.listen(old, true)).await {
                return Err(loss_of(end));
            }
        }
    }

    /// A connection with a subscription.
    async fn subscribed(&self, connector: &Connector) -> Result<Subscription, Loss> {
        let mut socket = connector.connect().await?;
        match timeout(self.config.connect_timeout, self.subscribe(&mut socket)).await {
            Ok(done) => done?,
            Err(_) => return Err(String::from("no answer to the subscription in time").into()),
        }
        self.received.server_number.set(socket.server_number.unwrap_or_default());
        self.received.events.set(0);
        let lifetime_ms = u64::try_from(self.config.lifetime.as_millis()).unwrap_or(u64::MAX);
        Ok(Subscription { socket, renew_at_ms: self.config.link.monotonic_ms().saturating_add(lifetime_ms) })
    }

    /// The exchange lets sessions log on with Ed25519 only; with other keys the subscription itself is signed.
    async fn subscribe(&self, socket: &mut Socket) -> Result<(), Loss> {
        let now_ms = || self.config.link.clock.now().as_millis();
        // Connecting itself has a weight too.
        self.config.link.guard.charge(SESSION);
        if self.config.credentials.secret().may_log_on() {
            self.ask(socket, LOGON, &signed_request(LOGON, &self.config.credentials, now_ms())).await?;
            return self.ask(socket, SUBSCRIBE, &plain_request(SUBSCRIBE)).await;
        }
        self.ask(socket, SUBSCRIBE_SIGNED, &signed_request(SUBSCRIBE_SIGNED, &self.config.credentials, now_ms())).await
    }

    /// One request and its answer.
    async fn ask(&self, socket: &mut Socket, method: &str, request: &str) -> Result<(), Loss> {
        let link = &self.config.link;
        link.guard.charge(SESSION);
        socket.send(Message::Text(request.to_owned().into())).await?;
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
            if let Some(used) = answer.used_weight {
                link.guard.note_used(link.moment(), LimitKind::Weight, 60_000, used);
            }
            let is_so = answer.status == 200 || answer.code == Some(ALREADY_SUBSCRIBED);
            return if is_so { Ok(()) } else { Err(self.refused(method, &answer)) };
        }
    }

    fn refused(&self, method: &str, answer: &Answer) -> Loss {
        let error = refusal(method, answer.status, answer.code, Some(&answer.words));
        if error.kind == RequestErrorKind::RateLimited {
            let until = answer.retry_after.or_else(|| banned_until(&answer.words));
            let said = Limited { status: answer.status, code: answer.code, retry_after_s: None, until };
            self.config.link.guard.note_limited(self.config.link.moment(), said);
        }
        Loss { reason: error.to_string(), fatal: error.kind == RequestErrorKind::Fatal }
    }

    /// Hands events over until the connection ends, or a new one is due and none is `renewing` it.
    async fn listen(&self, current: &mut Subscription, renewing: bool) -> End {
        let mut pinged = false;
        loop {
            let left_ms = current.renew_at_ms.saturating_sub(self.config.link.monotonic_ms());
            if !renewing && left_ms == 0 {
                return End::Renew("it is nearly as old as the exchange lets one be");
            }
            let patience = if renewing { u64::MAX } else { left_ms };
            let wait = (self.config.silence / 2).min(Duration::from_millis(patience));
            match timeout(wait, current.socket.next()).await {
                Ok(Incoming::Message(message)) => {
                    pinged = false;
                    match self.take(&message) {
                        Some(End::Renew(_)) if renewing => {}
                        Some(end) => return end,
                        None => {}
                    }
                }
                Ok(Incoming::Alive) => pinged = false,
                Ok(Incoming::Closed(reason)) => return End::Lost(reason.into()),
                Err(_) if wait < self.config.silence / 2 => {}
                Err(_) if pinged => {
                    return End::Lost(format!("silent for {} ms", self.config.silence.as_millis()).into());
                }
                Err(_) => {
                    // An account may be quiet for hours, so silence alone says nothing.
                    pinged = true;
                    if let Err(reason) = current.socket.send(Message::Ping("vigia".into())).await {
                        return End::Lost(reason.into());
                    }
                }
            }
        }
    }

    /// Takes one message. Whether the subscription ends with it.
    fn take(&self, message: &[u8]) -> Option<End> {
        let frame = parse_user_frame(message);
        if !matches!(frame, Ok(UserFrame::Answer(_) | UserFrame::Shutdown)) {
            self.received.events.set(self.received.events.get() + 1);
        }
        match frame {
            Ok(UserFrame::Execution(events)) => events.into_iter().for_each(|event| (self.executions)(event)),
            Ok(UserFrame::Balances(held, time)) => (self.sink)(UserStreamEvent::Balances(held, time)),
            Ok(UserFrame::Transfer(transfer)) => (self.sink)(UserStreamEvent::Transfer(transfer)),
            Ok(UserFrame::Terminated) => {
                return Some(End::Lost(String::from("the exchange ended the subscription").into()));
            }
            Ok(UserFrame::Shutdown) => return Some(End::Renew("the exchange is shutting this server down")),
            Ok(UserFrame::Answer(_) | UserFrame::Ignored) => {}
            Err(error) => (self.sink)(UserStreamEvent::Rejected { detail: error.to_string() }),
        }
        None
    }

    fn observe(&self, seen: Observation<'_>) {
        self.config.link.connectivity.observe(seen, self.config.link.clock.base_now());
    }
}

/// One connection with its subscription.
struct Subscription {
    socket: Socket,
    renew_at_ms: u64,
}

/// Why listening ended.
enum End {
    /// The connection is gone, or useless.
    Lost(Loss),
    /// It still works, but a new one is due.
    Renew(&'static str),
}

fn loss_of(end: End) -> Loss {
    match end {
        End::Lost(loss) => loss,
        End::Renew(why) => why.to_owned().into(),
    }
}
