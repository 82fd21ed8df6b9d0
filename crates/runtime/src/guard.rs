//! Signs of life and death: guards that report an actor's end, and answers to pings.
//!
//! A guard must never panic in its drop, nor wait.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use engine::ActorId;

/// Why an actor lives no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It panicked.
    Panic,
    /// It stopped without being asked to.
    Stopped,
    /// It did not answer, while its thread went on.
    Hang,
    /// Its mailbox was full and a fact did not fit.
    Overflow,
}

/// A death, as its guard or a peer saw it.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    pub(crate) actor: ActorId,
    pub(crate) generation: u64,
    pub(crate) death: Death,
}

impl Report {
    pub(crate) const fn overflow(actor: ActorId, generation: u64) -> Self {
        Self { actor, generation, death: Death::Overflow }
    }
}

/// Held by each actor; its drop tells the supervisor.
#[derive(Debug)]
pub struct Guard {
    actor: ActorId,
    generation: u64,
    reports: Sender<Report>,
}

impl Guard {
    pub(crate) const fn new(actor: ActorId, generation: u64, reports: Sender<Report>) -> Self {
        Self { actor, generation, reports }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let death = if std::thread::panicking() { Death::Panic } else { Death::Stopped };
        let _ = self.reports.send(Report { actor: self.actor, generation: self.generation, death });
    }
}

/// An answer to a ping.
#[derive(Debug, Clone, Copy)]
pub struct Pong {
    /// Who answered.
    pub actor: ActorId,
    /// When it was asked, in monotonic milliseconds.
    pub asked_ms: u64,
    /// When it answered.
    pub answered_ms: u64,
}

/// The last answer of each actor.
#[derive(Debug, Clone, Default)]
pub struct Pongs(Arc<Mutex<BTreeMap<ActorId, Pong>>>);

impl Pongs {
    /// An answer came.
    pub fn put(&self, pong: Pong) {
        if let Ok(mut pongs) = self.0.lock() {
            pongs.insert(pong.actor, pong);
        }
    }

    pub(crate) fn get(&self, actor: ActorId) -> Option<Pong> {
        self.0.lock().ok()?.get(&actor).copied()
    }

    pub(crate) fn clear(&self) {
        if let Ok(mut pongs) = self.0.lock() {
            pongs.clear();
        }
    }
}
