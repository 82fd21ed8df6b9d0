//! The router: one slot for each actor, holding the address of its present life.
//!
//! Peers hold the router and never a bare address, so that a restart reaches everybody. It must never drop a fact in
//! silence: what does not fit into a mailbox is either worthless by now (quotes, marks), or counts as a hang.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::sync::{Arc, RwLock};

use actix::prelude::SendError;
use actix::{Message, Recipient};
use engine::{ActorId, Envelope};

use crate::guard::Report;

/// A message on its way to a shell.
#[derive(Debug)]
pub struct Deliver(pub Envelope);

impl Message for Deliver {
    type Result = ();
}

#[derive(Debug)]
struct Inner {
    slots: RwLock<BTreeMap<ActorId, (u64, Recipient<Deliver>)>>,
    in_flight: AtomicI64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    reports: Sender<Report>,
}

/// Delivers messages to whoever lives now. Handles share the slots.
#[derive(Debug, Clone)]
pub struct Router(Arc<Inner>);

impl Router {
    /// A router without actors; what does not fit is reported to the supervisor.
    #[must_use]
    pub fn new(reports: Sender<Report>) -> Self {
        Self(Arc::new(Inner {
            slots: RwLock::new(BTreeMap::new()),
            in_flight: AtomicI64::new(0),
            delivered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            reports,
        }))
    }

    /// From now on `id` is reached at `recipient`.
    pub fn register(&self, id: ActorId, generation: u64, recipient: Recipient<Deliver>) {
        if let Ok(mut slots) = self.0.slots.write() {
            slots.insert(id, (generation, recipient));
        }
    }

    /// Nobody is reached any more.
    pub fn clear(&self) {
        if let Ok(mut slots) = self.0.slots.write() {
            slots.clear();
        }
        self.0.in_flight.store(0, SeqCst);
    }

    /// Delivers. A message to an actor that does not live is dropped: its next life begins with a recovery, which asks for
    /// everything anew.
    pub fn send(&self, envelope: Envelope) {
        let to = envelope.to();
        let Ok(slots) = self.0.slots.read() else { return };
        let Some((generation, recipient)) = slots.get(&to) else { return };
        let coalescible = envelope.is_coalescible();
        self.begin();
        self.0.delivered.fetch_add(1, SeqCst);
        if let Err(error) = recipient.try_send(Deliver(envelope)) {
            self.end();
            if let SendError::Full(_) = error {
                self.0.dropped.fetch_add(1, SeqCst);
                if !coalescible {
                    let _ = self.0.reports.send(Report::overflow(to, *generation));
                }
            }
        }
    }

    /// Something is on its way: a message, an effect that waits for the journal, a request to the exchange.
    pub fn begin(&self) {
        self.0.in_flight.fetch_add(1, SeqCst);
    }

    /// It arrived.
    pub fn end(&self) {
        self.0.in_flight.fetch_sub(1, SeqCst);
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.in_flight.load(SeqCst) <= 0
    }

    /// Messages so far: where two readings are equal, nobody has said anything in between.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.0.delivered.load(SeqCst)
    }

    /// Messages that did not fit into a mailbox.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(SeqCst)
    }
}
