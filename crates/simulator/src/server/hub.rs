//! Who listens: connections, what they subscribed to, and the frames on their way.
//!
//! It must never hold unbounded frames for a client that does not read: a full queue ends its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::model::AccountId;

/// Frames a connection may be behind.
const QUEUE_MAX: usize = 8192;

/// One text frame, shared by all who get it.
pub(super) type Frame = Arc<str>;

/// A connection's number.
pub(super) type ConnectionId = u64;

/// One connection.
#[derive(Debug)]
struct Connection {
    queue: Sender<Frame>,
    /// Whether market frames are wrapped with their stream's name.
    is_combined: bool,
    streams: BTreeSet<String>,
    /// User data subscriptions, by number.
    accounts: BTreeMap<u64, AccountId>,
    next_subscription: u64,
    /// Market frames queued so far.
    market_frames: u64,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Hub {
    connections: BTreeMap<ConnectionId, Connection>,
    last_id: ConnectionId,
    by_stream: BTreeMap<String, BTreeSet<ConnectionId>>,
    /// Frames that wait for the state to be written.
    outbox: Vec<(ConnectionId, Frame)>,
}

/// Frames taken out to be awaited: the queue and what goes into it.
pub(super) type Delivery = Vec<(Sender<Frame>, Frame)>;

impl Hub {
    pub(super) fn connect(&mut self, is_combined: bool) -> (ConnectionId, Receiver<Frame>) {
        let (queue, frames) = channel(QUEUE_MAX);
        self.last_id += 1;
        let connection = Connection {
            queue,
            is_combined,
            streams: BTreeSet::new(),
            accounts: BTreeMap::new(),
            next_subscription: 0,
            market_frames: 0,
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

    pub(super) fn is_wanted(&self, stream: &str) -> bool {
        self.by_stream.contains_key(stream)
    }

    /// Adds a user data subscription; `None` if the connection has one of that account.
    pub(super) fn subscribe_user(&mut self, id: ConnectionId, account: &AccountId) -> Option<u64> {
        let connection = self.connections.get_mut(&id)?;
        if connection.accounts.values().any(|other| other == account) {
            return None;
        }
        let number = connection.next_subscription;
        connection.next_subscription += 1;
        connection.accounts.insert(number, account.clone());
        Some(number)
    }

    /// Ends one user data subscription, or all.
    pub(super) fn unsubscribe_user(&mut self, id: ConnectionId, number: Option<u64>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.accounts.retain(|other, _| number.is_some_and(|number| number != *other));
        }
    }

    /// Puts a market frame into the outbox for all who subscribed.
    pub(super) fn publish(&mut self, stream: &str, payload: &Value) {
        let Some(members) = self.by_stream.get(stream) else { return };
        let raw: Frame = payload.to_string().into();
        let mut combined: Option<Frame> = None;
        for id in members {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.market_frames += 1;
            let frame = if connection.is_combined {
                let wrapped = || format!(r#"{{"stream":"{stream}","data":{raw}}}"#).into();
                Arc::clone(combined.get_or_insert_with(wrapped))
            } else {
                Arc::clone(&raw)
            };
            self.outbox.push((*id, frame));
        }
    }

    /// Puts an event of an account into the outbox for all who subscribed to it.
    pub(super) fn publish_user(&mut self, account: &AccountId, event: &Value) {
        for (id, connection) in &self.connections {
            for (number, _) in connection.accounts.iter().filter(|(_, other)| *other == account) {
                self.outbox.push((*id, json!({"subscriptionId": number, "event": event}).to_string().into()));
            }
        }
    }

    /// Hands all waiting frames to their queues; a client whose queue is full is disconnected.
    pub(super) fn flush(&mut self) {
        for (id, frame) in std::mem::take(&mut self.outbox) {
            let Some(connection) = self.connections.get(&id) else { continue };
            match connection.queue.try_send(frame) {
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
    pub(super) fn take(&mut self) -> Delivery {
        let outbox = std::mem::take(&mut self.outbox);
        let queue = |id| self.connections.get(&id).map(|connection| connection.queue.clone());
        outbox.into_iter().filter_map(|(id, frame)| Some((queue(id)?, frame))).collect()
    }

    /// Market frames queued so far, by connection.
    pub(super) fn counts(&self) -> BTreeMap<ConnectionId, u64> {
        self.connections.iter().map(|(id, connection)| (*id, connection.market_frames)).collect()
    }
}
