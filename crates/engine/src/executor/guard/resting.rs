//! The orders that rest on the exchange for a position: placed, counted, found alone, taken away.
//!
//! It must never place more than is held and not reserved, nor cancel outside of a sequence.

use domain::{ClientOrderId, Quantity, Timestamp};
use risk::{ProtectIntent, Protection, ProtectionStyle};

use super::{Guard, REPEAT, STOPS_MAX, Sequence};
use crate::message::{Envelope, GlobalRiskMessage, RestingExit};
use crate::{Effect, Effects};

impl Guard {
    /// Lets rest on the exchange what does not rest yet, and replaces what rests wrongly.
    pub(super) fn cover(&mut self, now: Timestamp, effects: &mut Effects) {
        let Some(position) = &self.position else { return };
        match self.protection.style {
            ProtectionStyle::Local => return,
            ProtectionStyle::Resting => {}
        }
        if self.is_protecting(now) || now < self.protect_at || self.resting.iter().any(|exit| !exit.acknowledged) {
            return;
        }
        let covered: Quantity = self.stops().map(|stop| stop.open_quantity).sum();
        let excessive = covered > self.held() - self.exit_open || (covered.is_zero() && !self.resting.is_empty());
        if !excessive {
            self.excessive_since = None;
        } else if now.since(*self.excessive_since.get_or_insert(now)) < REPEAT {
            // One leg has just traded, and the word of the other one's end is on its way; or a target is being filled.
            return;
        }
        let wrong = excessive || self.stops().any(|stop| stop.stop_price != Some(self.protection.stop));
        let open = self.unreserved();
        let more = open > self.too_small;
        let crowded = more && self.stops().count() >= STOPS_MAX;
        if crowded && self.consolidated {
            // One stop cannot hold everything: the rest is watched.
            return;
        }
        if wrong || crowded {
            self.consolidated = crowded;
            self.turn_to(Some(Sequence::Replace), now, effects);
            return self.cancel_resting(now, effects);
        }
        let take_profit = self.protection.take_profit.filter(|_| !self.list_refused);
        let offered = Protection { take_profit, ..self.protection };
        if more && let Some(intent) = ProtectIntent::from_position(position, open, offered, self.correlation_id) {
            self.protecting = Some(now);
            effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Protect(intent)));
        }
    }

    /// What is held and neither a stop nor a target has reserved, in base units.
    pub(super) fn unreserved(&self) -> Quantity {
        let held = self.held();
        let counts = |exit: &&RestingExit| {
            let other = exit.oco.as_ref().and_then(|id| self.resting.iter().find(|other| other.id == *id));
            other.is_none_or(|other| (exit.open_quantity, &exit.id) > (other.open_quantity, &other.id))
        };
        let reserved: Quantity = self.resting.iter().filter(counts).map(|exit| exit.open_quantity).sum();
        (held - reserved - self.exit_open).max(Quantity::ZERO)
    }

    /// Nothing is held: what still rests would open a position, so it is taken away once the exchange had its time to do
    /// so itself.
    pub(super) fn clear_idle(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.resting.is_empty() || self.entry.is_some() {
            self.idle_since = None;
        } else if now.since(*self.idle_since.get_or_insert(now)) >= REPEAT {
            self.turn_to(Some(Sequence::Replace), now, effects);
            self.cancel_resting(now, effects);
        }
    }

    /// The other leg of a list ended and this one did not: the word of its end may be lost.
    pub(super) fn ask_for_lone_legs(&mut self, now: Timestamp, effects: &mut Effects) {
        let lone = |exit: &&RestingExit| {
            exit.oco.as_ref().is_some_and(|other| self.resting.iter().all(|resting| resting.id != *other))
        };
        let lone: Vec<ClientOrderId> = self.resting.iter().filter(lone).map(|exit| exit.id.clone()).collect();
        if lone.is_empty() {
            self.lone_since = None;
        } else if now.since(*self.lone_since.get_or_insert(now)) >= REPEAT {
            self.lone_since = Some(now);
            effects.push_all(lone.into_iter().map(|id| Effect::QueryOrder(self.symbol.clone(), id)));
        }
    }

    pub(super) fn cancel_resting(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.cancelled_at.is_some_and(|at| now.since(at) < REPEAT) {
            return;
        }
        self.cancelled_at = Some(now);
        for exit in &self.resting {
            effects.push(Effect::CancelProtection(self.symbol.clone(), exit.id.clone()));
        }
    }
}
