//! HealthMonitor: watches that the heartbeat comes through the whole core loop (H1).
//!
//! It lives on another thread than the loop and counts monotonic time; it must never take part in the loop it watches.

use domain::{Alert, CorrelationId, Millis, ReasonCode, Scope, Severity, Timestamp};

use crate::message::{ActorId, HealthMessage};
use crate::{Effects, Setup};

/// The HealthMonitor machine.
#[derive(Debug)]
pub struct HealthMonitor {
    timeout_ms: u64,
    now_ms: u64,
    last_heartbeat_ms: Option<u64>,
    last_sequence: u64,
    missing: bool,
}

impl HealthMonitor {
    /// A monitor with the timeout of `setup`, which counts from its first tick.
    #[must_use]
    pub const fn new(setup: &Setup) -> Self {
        Self {
            timeout_ms: setup.heartbeat_timeout_ms,
            now_ms: 0,
            last_heartbeat_ms: None,
            last_sequence: 0,
            missing: false,
        }
    }

    /// How long ago the last heartbeat was, in monotonic milliseconds; `None` before the first tick.
    #[must_use]
    pub fn heartbeat_age_ms(&self) -> Option<u64> {
        self.last_heartbeat_ms.map(|at| self.now_ms.saturating_sub(at))
    }

    /// Whether the heartbeat is missing.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        self.missing
    }

    /// Handles one message; `now` is exchange time, for the alert only.
    pub fn handle(&mut self, now: Timestamp, message: HealthMessage, effects: &mut Effects) {
        match message {
            HealthMessage::Heartbeat(cycle) => {
                if cycle.sequence <= self.last_sequence {
                    return;
                }
                self.last_sequence = cycle.sequence;
                self.last_heartbeat_ms = Some(self.now_ms);
                if std::mem::take(&mut self.missing) {
                    let text = "The heartbeat comes through the core loop again.".to_owned();
                    alert(now, Severity::Info, ReasonCode::HeartbeatRestored, text, effects);
                }
            }
            HealthMessage::Tick { monotonic_ms } => {
                self.now_ms = self.now_ms.max(monotonic_ms);
                let last = *self.last_heartbeat_ms.get_or_insert(self.now_ms);
                let age = self.now_ms.saturating_sub(last);
                if age > self.timeout_ms && !self.missing {
                    self.missing = true;
                    let (age, limit) = (span(age), span(self.timeout_ms));
                    let text = format!(
                        "No heartbeat came through the core loop for {age} (limit {limit}). Look for ERROR in the log and \
                         at CPU and memory; if the process is gone, it recovers by itself at its restart."
                    );
                    alert(now, Severity::Critical, ReasonCode::HeartbeatMissing, text, effects);
                }
            }
        }
    }
}

fn span(millis: u64) -> Millis {
    Millis::new(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn alert(now: Timestamp, severity: Severity, reason: ReasonCode, text: String, effects: &mut Effects) {
    let correlation_id = CorrelationId::default();
    let alert = Alert { time: now, severity, reason, scope: Scope::Global, text, correlation_id };
    effects.alert(ActorId::HealthMonitor, alert);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Effect;
    use crate::message::Cycle;
    use crate::record::Record;
    use crate::system::tests::setup;

    fn reasons(effects: &mut Effects) -> Vec<ReasonCode> {
        effects
            .drain()
            .filter_map(|effect| match effect {
                Effect::Journal(entry) => match entry.record {
                    Record::AlertRaised(alert) => Some(alert.reason),
                    _ => None,
                },
                _ => None,
            })
            .collect()
    }

    #[test]
    fn h1_a_missing_heartbeat_is_told_once_and_its_return_too() {
        let mut setup = setup();
        setup.heartbeat_timeout_ms = 3000;
        let (mut monitor, mut effects) = (HealthMonitor::new(&setup), Effects::new());
        let now = Timestamp::EPOCH;
        let tick = |monotonic_ms| HealthMessage::Tick { monotonic_ms };
        let beat = |sequence| HealthMessage::Heartbeat(Cycle { sequence });
        for ms in [1000, 2000] {
            monitor.handle(now, tick(ms), &mut effects);
        }
        monitor.handle(now, beat(1), &mut effects);
        monitor.handle(now, tick(5000), &mut effects);
        assert_eq!(reasons(&mut effects), []);
        monitor.handle(now, tick(5001), &mut effects);
        monitor.handle(now, tick(9000), &mut effects);
        assert_eq!(reasons(&mut effects), [ReasonCode::HeartbeatMissing]);
        // A late token of an old cycle proves nothing.
        monitor.handle(now, beat(1), &mut effects);
        assert_eq!(reasons(&mut effects), []);
        monitor.handle(now, beat(2), &mut effects);
        assert_eq!(reasons(&mut effects), [ReasonCode::HeartbeatRestored]);
    }
}
