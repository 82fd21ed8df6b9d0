//! Who listens: connections, what they subscribed to, and the frames on their way.
//!
//! It must never hold unbounded frames for a client that does not read: a full queue ends its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use super::micros::in_micros;
use crate::faults::{Fate, Faults, FrameFacts, Target};
use crate::model::{AccountId, Refusal};

/// Frames a connection may be behind.
const QUEUE_MAX: usize = 8192;
/// User data subscriptions that a connection may have at once, and over its life.
const SUBSCRIPTIONS_MAX: usize = 1000;
const SUBSCRIPTIONS_EVER_MAX: u64 = 65_535;

/// One text frame, shared by all who get it.
pub(super) type Frame = Arc<str>;

/// A frame and how much later it is sent, in milliseconds of real time.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) frame: Frame,
    pub(super) delay_ms: u64,
}

/// A connection's number.
pub(super) type ConnectionId = u64;

/// How a connection wants its frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wishes {
    /// Wrapped with the stream's name.
    pub(super) is_combined: bool,
    /// Of the WebSocket API.
    pub(super) is_api: bool,
    /// Times in microseconds.
    pub(super) is_micro: bool,
}

#[derive(Debug)]
struct Subscription {
    account: AccountId,
    key: String,
    /// Ends with the session.
    is_session: bool,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    queue: Sender<Parcel>,
    wishes: Wishes,
    streams: BTreeSet<String>,
    /// User data subscriptions, by number.
    subscriptions: BTreeMap<u64, Subscription>,
    next_subscription: u64,
    /// Market frames and events of accounts queued so far.
    frames_sent: u64,
    /// A frame that comes after the one that follows.
    held_back: Option<Frame>,
}

/// What a frame tells of.
#[derive(Debug, Clone)]
enum Origin {
    Stream(Arc<str>),
    User(AccountId),
    Server,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Hub {
    connections: BTreeMap<ConnectionId, Connection>,
    last_id: ConnectionId,
    by_stream: BTreeMap<String, BTreeSet<ConnectionId>>,
    /// Frames that wait for the state to be written.
    outbox: Vec<(ConnectionId, Origin, Frame)>,
}

/// Frames taken out to be awaited: the queue and what goes into it.
pub(super) type Delivery = Vec<(Sender<Parcel>, Parcel)>;

impl Hub {
    pub(super) fn connect(&mut self, wishes: Wishes) -> (ConnectionId, Receiver<Parcel>) {
        let (queue, frames) = channel(QUEUE_MAX);
        self.last_id += 1;
        let connection = Connection {
            queue,
            wishes,
            streams: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
            frames_sent: 0,
            held_back: None,
        };
        self.connections.insert(self.last_id, connection);
        (self.last_id, frames)
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        for stream in &connection.streams {
            self.leave(stream, id);
        }
    }

    pub(super) fn disconnect_all(&mut self) {
        self.outbox.clear();
        self.connections.clear();
        self.by_stream.clear();
    }

    /// Ends the connections that a fault is aimed at; how many.
    pub(super) fn cut(&mut self, target: &Target) -> usize {
        let is_meant = |(id, connection): (&ConnectionId, &Connection)| {
            let has_user = !connection.subscriptions.is_empty();
            let has_stream = target.stream.is_none()
                || connection.streams.iter().any(|stream| target.matches_stream(Some(stream), false))
                || (has_user && target.matches_stream(None, false));
            let has_account = target.account.as_ref().is_none_or(|account| {
                connection.subscriptions.values().any(|subscription| subscription.account.as_str() == account)
            });
            let is_it = target.connection.is_none_or(|wanted| wanted == *id) && has_stream && has_account;
            is_it.then_some(*id)
        };
        let meant: Vec<_> = self.connections.iter().filter_map(is_meant).collect();
        meant.iter().for_each(|id| self.disconnect(*id));
        meant.len()
    }

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Subscribes to a stream; names that no symbol has are taken and stay silent, as the exchange does it.
    pub(super) fn subscribe(&mut self, id: ConnectionId, stream: &str) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.streams.insert(stream.to_owned());
        self.by_stream.entry(stream.to_owned()).or_default().insert(id);
    }

    pub(super) fn unsubscribe(&mut self, id: ConnectionId, stream: &str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.streams.remove(stream);
            self.leave(stream, id);
        }
    }

    fn leave(&mut self, stream: &str, id: ConnectionId) {
        if let Some(members) = self.by_stream.get_mut(stream) {
            members.remove(&id);
            if members.is_empty() {
                self.by_stream.remove(stream);
            }
        }
    }

    pub(super) fn streams(&self, id: ConnectionId) -> Vec<String> {
        self.connections.get(&id).map(|connection| connection.streams.iter().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn set_combined(&mut self, id: ConnectionId, is_combined: bool) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.wishes.is_combined = is_combined;
        }
    }

    pub(super) fn is_combined(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.wishes.is_combined)
    }

    pub(super) fn is_wanted(&self, stream: &str) -> bool {
        self.by_stream.contains_key(stream)
    }

    /// The wanted streams whose names begin so.
    pub(super) fn wanted(&self, head: &str) -> Vec<String> {
        let from = self.by_stream.range(head.to_owned()..);
        from.map(|(name, _)| name).take_while(|name| name.starts_with(head)).cloned().collect()
    }

    /// Adds a user data subscription; its number.
    ///
    /// # Errors
    /// The connection has one of that account, or has had too many.
    pub(super) fn subscribe_user(
        &mut self,
        id: ConnectionId,
        account: &AccountId,
        key: &str,
        is_session: bool,
    ) -> Result<u64, Refusal> {
        let gone = || Refusal::new(-1001, "Internal error; unable to process your request. Please try again.");
        let connection = self.connections.get_mut(&id).ok_or_else(gone)?;
        if connection.subscriptions.values().any(|other| other.account == *account) {
            return Err(Refusal::new(-2035, "User Data Stream subscription already active."));
        }
        let number = connection.next_subscription;
        if number >= SUBSCRIPTIONS_EVER_MAX || connection.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refusal::new(-2042, "Too many subscriptions on this connection; reconnect."));
        }
        connection.next_subscription += 1;
        let subscription = Subscription { account: account.clone(), key: key.to_owned(), is_session };
        connection.subscriptions.insert(number, subscription);
        Ok(number)
    }

    /// The numbers of a connection's user data subscriptions, and whether each ends with the session.
    pub(super) fn subscriptions(&self, id: ConnectionId) -> Vec<(u64, bool)> {
        let of = |connection: &Connection| {
            connection.subscriptions.iter().map(|(number, it)| (*number, it.is_session)).collect()
        };
        self.connections.get(&id).map(of).unwrap_or_default()
    }

    /// Ends user data subscriptions of a connection and says so to it.
    pub(super) fn end_subscriptions(&mut self, id: ConnectionId, numbers: &[u64], now: i64) {
        for number in numbers {
            let ended = self.connections.get_mut(&id).and_then(|it| it.subscriptions.remove(number));
            if ended.is_some() {
                let event = json!({"subscriptionId": number, "event": {"e": "eventStreamTerminated", "E": now}});
                self.push(id, Origin::Server, &event);
            }
        }
    }

    /// Ends all user data subscriptions that a key made.
    pub(super) fn end_subscriptions_of(&mut self, key: &str, now: i64) {
        let numbers = |connection: &Connection| -> Vec<u64> {
            let of_key = connection.subscriptions.iter().filter(|(_, it)| it.key == key);
            of_key.map(|(number, _)| *number).collect()
        };
        let ended: Vec<_> = self.connections.iter().map(|(id, connection)| (*id, numbers(connection))).collect();
        ended.iter().for_each(|(id, numbers)| self.end_subscriptions(*id, numbers, now));
    }

    fn push(&mut self, id: ConnectionId, origin: Origin, value: &Value) {
        let is_micro = self.connections.get(&id).is_some_and(|connection| connection.wishes.is_micro);
        let frame = if is_micro {
            let mut value = value.clone();
            in_micros(&mut value);
            value.to_string()
        } else {
            value.to_string()
        };
        self.outbox.push((id, origin, frame.into()));
    }

    /// Puts a market frame into the outbox for all who subscribed.
    pub(super) fn publish(&mut self, stream: &str, payload: &Value) {
        let Some(members) = self.by_stream.get(stream) else { return };
        let origin: Arc<str> = stream.into();
        // One text for each way that a frame is wanted: combined or not, in microseconds or not.
        let mut frames: [Option<Frame>; 4] = [const { None }; 4];
        for id in members {
            let Some(Wishes { is_combined, is_micro, .. }) = self.connections.get(id).map(|it| it.wishes) else {
                continue;
            };
            let frame = frames[usize::from(is_combined) + 2 * usize::from(is_micro)].get_or_insert_with(|| {
                let mut payload = payload.clone();
                if is_micro {
                    in_micros(&mut payload);
                }
                if is_combined {
                    format!(r#"{{"stream":"{stream}","data":{payload}}}"#).into()
                } else {
                    payload.to_string().into()
                }
            });
            self.outbox.push((*id, Origin::Stream(Arc::clone(&origin)), Arc::clone(frame)));
        }
    }

    /// Puts an event of an account into the outbox for all who subscribed to it.
    pub(super) fn publish_user(&mut self, account: &AccountId, event: &Value) {
        let of = |(id, connection): (&ConnectionId, &Connection)| {
            let numbers = connection.subscriptions.iter().filter(|(_, other)| other.account == *account);
            numbers.map(|(number, _)| (*id, *number)).collect::<Vec<_>>()
        };
        for (id, number) in self.connections.iter().flat_map(of).collect::<Vec<_>>() {
            self.push(id, Origin::User(account.clone()), &json!({"subscriptionId": number, "event": event}));
        }
    }

    /// Tells everybody that the server goes away.
    pub(super) fn announce_shutdown(&mut self, now: i64) {
        let event = json!({"e": "serverShutdown", "E": now});
        let wishes: Vec<_> = self.connections.iter().map(|(id, connection)| (*id, connection.wishes)).collect();
        for (id, wishes) in wishes {
            let frame = match wishes {
                Wishes { is_api: true, .. } => json!({"event": event}),
                Wishes { is_combined: true, .. } => json!({"stream": "!serverShutdown", "data": event}),
                _ => event.clone(),
            };
            self.push(id, Origin::Server, &frame);
        }
    }

    /// Takes all waiting frames out and lets the faults have their way.
    fn fated(&mut self, faults: &mut Faults, now: i64) -> Vec<(ConnectionId, Parcel)> {
        let mut parcels = Vec::with_capacity(self.outbox.len());
        for (id, origin, frame) in std::mem::take(&mut self.outbox) {
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            let (stream, account) = match &origin {
                Origin::Stream(stream) => (Some(stream.as_ref()), None),
                Origin::User(account) => (None, Some(account.as_str())),
                Origin::Server => (None, None),
            };
            let untouched = Fate { copies: 1, delay_ms: 0, is_held_back: false };
            let is_fated = !faults.is_empty() && (stream.is_some() || account.is_some());
            let fate = if is_fated {
                faults.on_frame(&FrameFacts { stream, account, connection: id }, now)
            } else {
                untouched
            };
            if stream.is_some() || account.is_some() {
                connection.frames_sent += u64::from(fate.copies);
            }
            if fate.is_held_back && fate.copies > 0 && connection.held_back.is_none() {
                connection.held_back = Some(frame);
                continue;
            }
            let parcel = Parcel { frame, delay_ms: fate.delay_ms };
            parcels.extend((0..fate.copies).map(|_| (id, parcel.clone())));
            parcels.extend(connection.held_back.take().map(|frame| (id, Parcel { frame, delay_ms: 0 })));
        }
        parcels
    }

    /// Hands all waiting frames to their queues; a client whose queue is full is disconnected.
    pub(super) fn flush(&mut self, faults: &mut Faults, now: i64) {
        for (id, parcel) in self.fated(faults, now) {
            let Some(connection) = self.connections.get(&id) else { continue };
            match connection.queue.try_send(parcel) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    tracing::warn!(
                        connection = id,
                        queue_max = QUEUE_MAX,
                        "a client reads too slowly and is disconnected"
                    );
                    self.disconnect(id);
                }
                Err(TrySendError::Closed(_)) => self.disconnect(id),
            }
        }
    }

    /// Takes all waiting frames out, to be awaited by the caller.
    pub(super) fn take(&mut self, faults: &mut Faults, now: i64) -> Delivery {
        let parcels = self.fated(faults, now);
        let queue = |id| self.connections.get(&id).map(|connection| connection.queue.clone());
        parcels.into_iter().filter_map(|(id, parcel)| Some((queue(id)?, parcel))).collect()
    }

    /// A second hand on a connection's queue, for an answer that comes later.
    pub(super) fn queue(&self, id: ConnectionId) -> Option<Sender<Parcel>> {
        self.connections.get(&id).map(|connection| connection.queue.clone())
    }

    /// Market frames and events of accounts queued so far, by connection.
    pub(super) fn counts(&self) -> BTreeMap<ConnectionId, u64> {
        self.connections.iter().map(|(id, connection)| (*id, connection.frames_sent)).collect()
    }
}
