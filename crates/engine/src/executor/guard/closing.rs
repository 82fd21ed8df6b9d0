//! How a guard closes its position: what rests fires, or makes way for an exit at market.
//!
//! It must never send an exit for what another order has reserved, nor forget how much is to be kept.

use domain::{Alert, CorrelationId, ExitKind, Quantity, ReasonCode, Scope, Severity, Timestamp};
use risk::{ExitIntent, OrderIntent};

use super::{ANSWER_TIME, ESCALATION, Exit, Guard, Sequence};
use crate::Effects;
use crate::message::{ActorId, Envelope, GlobalRiskMessage};

impl Guard {
    /// Gives what rests up for an exit at market. A close that is under way becomes the wider of the two.
    pub(in crate::executor) fn close(&mut self, exit: &ExitIntent, now: Timestamp, effects: &mut Effects) {
        // The gate answered the wish that was asked for: not now, but by this sequence.
        if matches!(self.exit, Exit::Asked(_)) {
            self.exit = Exit::None;
            // What rests is not known here yet; it will be told.
            if self.resting.is_empty() {
                self.pause(now);
            }
        }
        if self.position.is_none() {
            return;
        }
        let keep = (self.held() - exit.quantity()).max(Quantity::ZERO);
        let (mut kind, mut reason, correlation_id) = (exit.kind(), exit.reason(), exit.correlation_id());
        let keep = match &self.sequence {
            Some(Sequence::Close { exit: before, reason: why, keep: kept, .. }) => {
                if kind == ExitKind::Signal && *before != ExitKind::Signal {
                    (kind, reason) = (*before, *why);
                }
                keep.min(*kept)
            }
            Some(Sequence::Replace) | None => keep,
        };
        self.turn_to(Some(Sequence::Close { exit: kind, reason, keep, correlation_id }), now, effects);
    }

    pub(super) fn go_on_closing(
        &mut self,
        kind: ExitKind,
        reason: ReasonCode,
        keep: Quantity,
        correlation_id: CorrelationId,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        match self.exit {
            Exit::Asked(at) if now.since(at) < ANSWER_TIME => {}
            // The exit is in the book: what is left of the position after it is guarded as any other.
            Exit::Working => self.turn_to(None, now, effects),
            Exit::None | Exit::Asked(_) if !self.resting.is_empty() => self.cancel_resting(now, effects),
            Exit::None | Exit::Asked(_) if now < self.exit_at => {}
            Exit::None | Exit::Asked(_) => {
                let quantity = self.held() - keep;
                let intent =
                    |position| ExitIntent::from_position(position, Some(quantity), kind, reason, correlation_id);
                match self.position.as_ref().filter(|_| quantity.is_positive()).and_then(intent) {
                    Some(exit) => self.send(Some(exit), now, effects),
                    None => self.turn_to(None, now, effects),
                }
            }
        }
    }

    pub(super) fn send(&mut self, exit: Option<ExitIntent>, now: Timestamp, effects: &mut Effects) {
        let Some(exit) = exit else { return };
        self.exit = Exit::Asked(now);
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Intent(OrderIntent::Exit(exit))));
    }

    pub(super) fn begin_close(&mut self, reason: ReasonCode, now: Timestamp, effects: &mut Effects) {
        let (exit, correlation_id) = (ExitKind::Protective, self.correlation_id);
        self.turn_to(Some(Sequence::Close { exit, reason, keep: Quantity::ZERO, correlation_id }), now, effects);
        self.go_on_closing(exit, reason, Quantity::ZERO, correlation_id, now, effects);
    }

    /// The price calls for an exit: what rests does its part, the rest is sent now.
    pub(super) fn fire(&mut self, reason: ReasonCode, now: Timestamp, effects: &mut Effects) {
        // What is being offered to the exchange at this moment would be reserved twice.
        if self.is_protecting(now) {
            return;
        }
        let target_rests = self.resting.iter().any(|exit| exit.stop_price.is_none());
        let at_work = match reason {
            ReasonCode::ExitTakeProfit => target_rests,
            _ => self.stops().next().is_some(),
        };
        if !self.resting.is_empty() && !at_work {
            return self.begin_close(reason, now, effects);
        }
        if !self.resting.is_empty() {
            let since = *self.reached_at.get_or_insert(now);
            // A target that rests is filled by the market in its turn; a stop must not wait for it.
            if reason != ReasonCode::ExitTakeProfit && now.since(since) >= ESCALATION {
                self.reached_at = None;
                self.tell_escalation(now, effects);
                return self.begin_close(reason, now, effects);
            }
        }
        let open = self.unreserved();
        if let Some(position) = self.position.as_ref().filter(|_| open > self.too_small) {
            let exit =
                ExitIntent::from_position(position, Some(open), ExitKind::Protective, reason, self.correlation_id);
            self.send(exit, now, effects);
        }
    }

    pub(super) fn tell_escalation(&self, now: Timestamp, effects: &mut Effects) {
        let text = format!(
            "The stop of {} on {} was reached {ESCALATION} ago and has not closed the position. It is cancelled, and the \
             position closed at market.",
            self.instance, self.symbol
        );
        self.alert(now, ReasonCode::ProtectionEscalated, text, effects);
    }

    pub(super) fn alert(&self, now: Timestamp, reason: ReasonCode, text: String, effects: &mut Effects) {
        let (scope, correlation_id) = (Scope::Instance(self.instance.clone()), self.correlation_id);
        let alert = Alert { time: now, severity: Severity::High, reason, scope, text, correlation_id };
        effects.alert(ActorId::Executor, alert);
    }
}
