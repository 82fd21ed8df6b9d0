//! Whether the exchange can be reached: a pure state machine, and the handle that clients feed and the runtime reads.
//!
//! It must never hold back a cancel or an exit: those go on while the exchange is down, and are the first to find out
//! that it is back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Millis, ReasonCode, Timestamp};
use smol_str::SmolStr;

/// How well the exchange can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// It answers, and all streams are there.
    Up,
    /// Some attempts fail, a stream is lost, or it has only just come back: no new entries where it has.
    Degraded,
    /// A request failed with all its repetitions.
    Down,
}

/// What a client saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation<'a> {
    /// The exchange answered, whatever it said.
    Answered,
    /// One attempt came to no answer.
    Failed,
    /// A request came to no answer with all its repetitions.
    GaveUp,
    /// A stream is there.
    StreamUp(&'a str),
    /// A stream is lost.
    StreamLost(&'a str),
    /// A stream is not wanted any more.
    StreamEnded(&'a str),
}

/// Who wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A new entry.
    Entry,
    /// A read.
    Read,
    /// A cancel or an exit.
    Exit,
}

/// Whether one may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Yes,
    /// Yes: what comes of it tells whether the exchange is back.
    Probe,
    /// No, not before this moment; entries wait until the exchange is back, whenever that is.
    No {
        /// The next probe.
        until: Timestamp,
    },
}

/// How fast the exchange counts as back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectivitySettings {
    /// The first waiting time between two probes by reads.
    pub probe_wait: Millis,
    /// The longest one; it doubles with every failed probe.
    pub probe_wait_max: Millis,
    /// So many answers in a row make it `Up` after it was down.
    pub answers_needed: u32,
}

impl Default for ConnectivitySettings {
    fn default() -> Self {
        Self { probe_wait: Millis::from_secs(1), probe_wait_max: Millis::from_secs(60), answers_needed: 3 }
    }
}

/// How the exchange is reached now, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reachability {
    /// How well.
    pub health: Health,
    /// Since when.
    pub since: Timestamp,
    /// Why it is not `Up`.
    pub reason: Option<ReasonCode>,
    /// Attempts in a row that came to no answer.
    pub failures: u32,
    /// Whether it was down and is not trusted yet.
    pub recovering: bool,
}

/// The state machine. Time comes in.
#[derive(Debug, Clone)]
pub struct Connectivity {
    settings: ConnectivitySettings,
    state: Reachability,
    answers: u32,
    lost: BTreeSet<SmolStr>,
    probe_wait: Millis,
    probe_at: Timestamp,
}

impl Connectivity {
    /// Up, until something fails.
    #[must_use]
    pub fn new(settings: ConnectivitySettings, now: Timestamp) -> Self {
        let state = Reachability { health: Health::Up, since: now, reason: None, failures: 0, recovering: false };
        let (probe_wait, lost) = (settings.probe_wait, BTreeSet::new());
        Self { settings, state, answers: 0, lost, probe_wait, probe_at: now }
    }

    /// How the exchange is reached.
    #[must_use]
    pub const fn reachability(&self) -> Reachability {
        self.state
    }

    /// Takes an observation.
    pub fn observe(&mut self, seen: Observation<'_>, now: Timestamp) {
        match seen {
            Observation::Answered => self.answered(),
            Observation::Failed => self.failed(now),
            Observation::GaveUp => {
                self.go_down(now);
                return;
            }
            Observation::StreamLost(name) => {
                self.lost.insert(name.into());
            }
            Observation::StreamUp(name) | Observation::StreamEnded(name) => {
                self.lost.remove(name);
            }
        }
        self.settle(now);
    }

    /// Whether `sender` may send. A read that is let through as a probe begins the wait for the next one.
    pub fn permit(&mut self, sender: Sender, now: Timestamp) -> Permit {
        match (self.state.health, sender) {
            (Health::Up, _) | (Health::Degraded, Sender::Read | Sender::Exit) => Permit::Yes,
            (Health::Degraded, Sender::Entry) if !self.state.recovering => Permit::Yes,
            (Health::Down, Sender::Exit) => Permit::Probe,
            (Health::Down, Sender::Read) if now >= self.probe_at => {
                self.probe_at = now + self.probe_wait;
                Permit::Probe
            }
            (Health::Degraded | Health::Down, Sender::Entry) | (Health::Down, Sender::Read) => {
                Permit::No { until: self.probe_at }
            }
        }
    }

    fn answered(&mut self) {
        self.state.failures = 0;
        self.answers = self.answers.saturating_add(1);
        if self.answers >= self.settings.answers_needed {
            self.state.recovering = false;
            self.probe_wait = self.settings.probe_wait;
        }
    }

    fn failed(&mut self, now: Timestamp) {
        self.answers = 0;
        self.state.failures = self.state.failures.saturating_add(1);
        // Half open, and it failed: down again, with a longer wait.
        if self.state.recovering && self.state.health != Health::Down {
            self.go_down(now);
        }
    }

    fn go_down(&mut self, now: Timestamp) {
        let doubled = Millis::new(self.probe_wait.get().saturating_mul(2));
        if self.state.recovering {
            self.probe_wait = doubled.min(self.settings.probe_wait_max);
        }
        self.probe_at = now + self.probe_wait;
        self.answers = 0;
        self.state.recovering = true;
        self.change(Health::Down, Some(ReasonCode::ExchangeUnreachable), now);
    }

    /// What follows from the counts.
    fn settle(&mut self, now: Timestamp) {
        if self.state.health == Health::Down && self.answers == 0 {
            return;
        }
        if self.state.failures > 0 || self.state.recovering {
            self.change(Health::Degraded, Some(ReasonCode::ExchangeUnreachable), now);
        } else if !self.lost.is_empty() {
            self.change(Health::Degraded, Some(ReasonCode::FeedLost), now);
        } else {
            self.change(Health::Up, None, now);
        }
    }

    fn change(&mut self, health: Health, reason: Option<ReasonCode>, now: Timestamp) {
        if self.state.health != health {
            self.state.since = now;
        }
        self.state.health = health;
        self.state.reason = reason;
    }
}

/// The state machine for all clients of one exchange. Handles share it.
#[derive(Debug, Clone)]
pub struct ConnectivityHandle(Arc<Mutex<Connectivity>>);

impl ConnectivityHandle {
    /// Up, until something fails.
    #[must_use]
    pub fn new(settings: ConnectivitySettings, now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Connectivity::new(settings, now))))
    }

    fn state(&self) -> MutexGuard<'_, Connectivity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the exchange is reached.
    #[must_use]
    pub fn reachability(&self) -> Reachability {
        self.state().reachability()
    }

    /// Whether `sender` may send.
    #[must_use]
    pub fn permit(&self, sender: Sender, now: Timestamp) -> Permit {
        self.state().permit(sender, now)
    }

    /// Takes an observation.
    pub fn observe(&self, seen: Observation<'_>, now: Timestamp) {
        self.state().observe(seen, now);
    }
}

#[cfg(test)]
#[path = "connectivity_tests.rs"]
mod tests;
