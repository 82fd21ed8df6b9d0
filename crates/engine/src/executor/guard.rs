//! What guards one position: the price watched here, and the orders that rest on the exchange for it.
//!
//! One rule, looked at after every change and with every heartbeat: what is held is either reserved by a stop on the
//! exchange or watched here. Two sequences take a resting exit away: `Replace`, and `Close`. Each is journaled before its
//! first cancel leaves and ended in the journal, so that a restart goes on where it stood.
//!
//! It must never take a resting exit away outside of such a sequence, nor send a second exit for what is reserved.

mod closing;
mod resting;

use domain::{
    ClientOrderId, CorrelationId, ExitKind, InstanceId, Millis, Price, Quantity, ReasonCode, Symbol, Timestamp,
};
use ledger::Position;
use risk::Protection;
use serde::{Deserialize, Serialize};

use crate::message::{ActorId, RestingExit};
use crate::record::Record;
use crate::{Effects, PositionUpdate};

/// A stop that was reached and has not closed the position after so long is given up for a market order, in exchange
/// time.
pub const ESCALATION: Millis = Millis::from_secs(10);
/// How long to wait before what failed is tried again, in exchange time: a refused protection, an unanswered cancel.
pub(super) const REPEAT: Millis = Millis::from_secs(5);
/// A wish that the gate has not answered after so long is lost, in exchange time.
const ANSWER_TIME: Millis = Millis::from_secs(30);
/// The first pause before an exit that was refused, or closed less than it should, is sent again, and the longest one; it
/// doubles in between. In exchange time.
const EXIT_PAUSE: Millis = Millis::from_secs(1);
const EXIT_PAUSE_MAX: Millis = Millis::from_secs(32);
/// So many stops of one position may rest beside each other; a further part replaces them all by one.
const STOPS_MAX: usize = 3;

/// What is under way with the resting exits of a position. Durable: a restart goes on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sequence {
    /// What rests is cancelled, and then placed anew for what is held.
    Replace,
    /// What rests is cancelled, and then the position is closed at market; what is left is protected again.
    Close {
        /// Which kind of exit it ends in.
        exit: ExitKind,
        /// Why.
        reason: ReasonCode,
        /// What is to be left of the position, in base units: going on with it twice closes nothing twice.
        keep: Quantity,
        /// The event that caused it.
        correlation_id: CorrelationId,
    },
}

/// How far an exit is that this guard has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// None is asked for.
    None,
    /// The wish is on its way to the gate, since this moment.
    Asked(Timestamp),
    /// It is with the exchange.
    Working,
}

/// What guards one position.
#[derive(Debug)]
pub(super) struct Guard {
    instance: InstanceId,
    symbol: Symbol,
    pub(super) protection: Protection,
    /// The protection that an entry will bring once it fills.
    promised: Option<(ClientOrderId, Protection)>,
    position: Option<Position>,
    /// The entry that brought the guard is at work.
    entry: Option<ClientOrderId>,
    resting: Vec<RestingExit>,
    exit: Exit,
    /// What exits at work may still close, in base units.
    exit_open: Quantity,
    exits_permitted: bool,
    sequence: Option<Sequence>,
    /// No exit is sent before, and for how long the next pause is.
    exit_at: Timestamp,
    exit_pause: Millis,
    /// A restart found it, and the ledger has not yet said what rests and what is at work.
    restored: bool,
    /// Since when a wish to protect is on its way to the gate.
    protecting: Option<Timestamp>,
    /// The exchange did not take a list: from now on the stop rests alone, and the target is watched.
    list_refused: bool,
    /// All parts were replaced by one and did not fit into it: what is left over is watched.
    consolidated: bool,
    /// Not to be protected again before.
    protect_at: Timestamp,
    /// So much was too little for the exchange to take, in base units.
    too_small: Quantity,
    /// When what rests was last asked to be cancelled.
    cancelled_at: Option<Timestamp>,
    /// Since when a close waits for its permission.
    blocked_since: Option<Timestamp>,
    /// Since when the price is beyond a stop that rests.
    reached_at: Option<Timestamp>,
    /// Since when something rests although nothing is held.
    idle_since: Option<Timestamp>,
    /// Since when stops reserve more than is held, or a target rests without a stop.
    excessive_since: Option<Timestamp>,
    /// Since when one leg of a list rests without the other.
    lone_since: Option<Timestamp>,
    correlation_id: CorrelationId,
}

impl Guard {
    pub(super) fn new(instance: InstanceId, symbol: Symbol, protection: Protection) -> Self {
        Self {
            instance,
            symbol,
            protection,
            promised: None,
            position: None,
            entry: None,
            resting: Vec::new(),
            exit: Exit::None,
            exit_open: Quantity::ZERO,
            exits_permitted: false,
            sequence: None,
            exit_at: Timestamp::EPOCH,
            exit_pause: EXIT_PAUSE,
            restored: false,
            protecting: None,
            list_refused: false,
            consolidated: false,
            protect_at: Timestamp::EPOCH,
            too_small: Quantity::ZERO,
            cancelled_at: None,
            blocked_since: None,
            reached_at: None,
            idle_since: None,
            excessive_since: None,
            lone_since: None,
            correlation_id: CorrelationId::default(),
        }
    }

    /// The guard of a position that a restart found, with what was under way.
    pub(super) fn restored(mut self, position: Option<Position>, sequence: Option<Sequence>) -> Self {
        (self.position, self.sequence, self.restored) = (position, sequence, true);
        self
    }

    /// An entry was approved that brings this protection.
    pub(super) fn begin(&mut self, protection: Protection, entry: ClientOrderId) {
        if self.position.is_none() {
            self.protection = protection;
        } else {
            self.promised = Some((entry.clone(), protection));
        }
        self.entry = Some(entry);
    }

    /// The orders that rest for the position.
    pub(super) fn resting(&self) -> &[RestingExit] {
        &self.resting
    }

    fn held(&self) -> Quantity {
        self.position.as_ref().map_or(Quantity::ZERO, |position| position.quantity().abs())
    }

    fn stops(&self) -> impl Iterator<Item = &RestingExit> {
        self.resting.iter().filter(|exit| exit.stop_price.is_some())
    }

    /// Where the instance stands. True if nothing is left to guard.
    pub(super) fn position(&mut self, now: Timestamp, update: PositionUpdate, effects: &mut Effects) -> bool {
        self.restored = false;
        self.correlation_id = update.correlation_id;
        self.entry = update.entry;
        let before = self.held();
        self.position = (!update.flat).then_some(update.position);
        if self.held() != before {
            (self.too_small, self.exit_pause, self.consolidated) = (Quantity::ZERO, EXIT_PAUSE, false);
        }
        if self.position.is_none() {
            self.list_refused = false;
        }
        if self.held() > before
            && let Some((_, protection)) = self.promised.take()
        {
            self.adopt(protection, now, effects);
        }
        self.promised.take_if(|(entry, _)| self.entry.as_ref() != Some(entry));
        // What was asked for rests now, or is on its way to rest.
        if update.resting.iter().any(|exit| self.resting.iter().all(|before| before.id != exit.id)) {
            self.protecting = None;
        }
        self.resting = update.resting;
        self.exit_open = update.exit_open;
        self.exits_permitted = update.exits_permitted;
        self.exit = match (self.exit, update.exit_working) {
            (_, true) => Exit::Working,
            (Exit::Asked(at), false) if self.position.is_some() => Exit::Asked(at),
            (Exit::Working, false) => {
                // It ended and closed nothing more.
                if self.held() == before {
                    self.pause(now);
                }
                Exit::None
            }
            (Exit::None | Exit::Asked(_), false) => Exit::None,
        };
        self.position.is_none() && self.entry.is_none() && self.resting.is_empty()
    }

    /// The gate refused the exit that was asked for: what is held is protected again.
    pub(super) fn exit_refused(&mut self, now: Timestamp, reason: ReasonCode, effects: &mut Effects) {
        self.exit = Exit::None;
        self.pause(now);
        if matches!(reason, ReasonCode::NothingToExit) {
            self.too_small = self.too_small.max(self.unreserved());
        }
        if matches!(self.sequence, Some(Sequence::Close { .. })) {
            self.turn_to(None, now, effects);
        }
    }

    /// What was refused, or has ended too early, is not sent again at once: the reason may last.
    fn pause(&mut self, now: Timestamp) {
        self.exit_at = now + self.exit_pause;
        self.exit_pause = Millis::new(self.exit_pause.get().saturating_mul(2)).min(EXIT_PAUSE_MAX);
    }

    /// Whether the exit that the exchange refused is the first of a series.
    pub(super) fn is_first_refusal(&self) -> bool {
        self.exit_pause == EXIT_PAUSE
    }

    /// The gate refused to let the exit of `offered` rest.
    pub(super) fn protection_refused(
        &mut self,
        now: Timestamp,
        reason: ReasonCode,
        offered: Quantity,
        effects: &mut Effects,
    ) {
        self.protecting = None;
        self.protect_at = now + REPEAT;
        match reason {
            ReasonCode::QuantityBelowMinimum | ReasonCode::NotionalBelowMinimum => {
                self.too_small = self.too_small.max(offered);
            }
            // One stop for everything needs one slot.
            ReasonCode::NoProtectionSlot if self.stops().count() > 1 && !self.consolidated => {
                self.consolidated = true;
                self.turn_to(Some(Sequence::Replace), now, effects);
            }
            _ => {}
        }
    }

    /// The exchange refused to let the exit rest. True if nobody was told before.
    pub(super) fn list_refused(&mut self, now: Timestamp, is_list: bool) -> bool {
        self.protecting = None;
        let first = now > self.protect_at + REPEAT;
        self.protect_at = now + REPEAT;
        self.list_refused |= is_list;
        first
    }

    /// From now on this guards the position.
    fn adopt(&mut self, protection: Protection, now: Timestamp, effects: &mut Effects) {
        self.protection = protection;
        let (instance, symbol) = (self.instance.clone(), self.symbol.clone());
        let record = Record::ProtectionChanged { instance, symbol, protection };
        effects.journal(now, ActorId::Executor, self.correlation_id, record);
    }

    fn turn_to(&mut self, sequence: Option<Sequence>, now: Timestamp, effects: &mut Effects) {
        if self.sequence == sequence {
            return;
        }
        self.sequence = sequence;
        (self.cancelled_at, self.blocked_since) = (None, None);
        let (instance, symbol) = (self.instance.clone(), self.symbol.clone());
        let record = Record::ProtectionSequence { instance, symbol, sequence: self.sequence.clone() };
        effects.journal(now, ActorId::Executor, self.correlation_id, record);
    }

    /// Does what is to be done now. `mark` is the price of the symbol, where one is known.
    pub(super) fn tend(&mut self, now: Timestamp, mark: Option<Price>, effects: &mut Effects) {
        if self.restored {
            return;
        }
        self.ask_for_lone_legs(now, effects);
        match self.sequence.clone() {
            None => self.guard(now, mark, effects),
            Some(Sequence::Replace) if self.resting.is_empty() => {
                self.turn_to(None, now, effects);
                self.guard(now, mark, effects);
            }
            Some(Sequence::Replace) => {
                // The stop may be reached while it is taken away: then the sequence ends in a close.
                match self.reached(mark) {
                    Some(reason) => self.begin_close(reason, now, effects),
                    None => self.cancel_resting(now, effects),
                }
            }
            // A recovery goes on with a strategy's close once it may; until then the price is watched.
            Some(Sequence::Close { exit: ExitKind::Signal, .. }) if !self.exits_permitted => {
                if let Some(reason) = self.reached(mark) {
                    self.begin_close(reason, now, effects);
                } else if now.since(*self.blocked_since.get_or_insert(now)) >= ESCALATION {
                    self.turn_to(None, now, effects);
                }
            }
            Some(Sequence::Close { exit, reason, keep, correlation_id }) => {
                self.go_on_closing(exit, reason, keep, correlation_id, now, effects);
                if self.sequence.is_none() {
                    self.guard(now, mark, effects);
                }
            }
        }
    }

    /// Which exit the price calls for.
    fn reached(&self, mark: Option<Price>) -> Option<ReasonCode> {
        self.protection.reached(self.position.as_ref()?.closing_side()?, mark?)
    }

    /// The price is `mark`. Most prices change nothing, and then nothing else is looked at.
    pub(super) fn marked(&mut self, now: Timestamp, mark: Price, cause: CorrelationId, effects: &mut Effects) {
        if self.sequence.is_some() || self.reached(Some(mark)).is_some() {
            self.correlation_id = cause;
            self.tend(now, Some(mark), effects);
        } else {
            self.reached_at = None;
        }
    }

    fn guard(&mut self, now: Timestamp, mark: Option<Price>, effects: &mut Effects) {
        if self.position.is_none() {
            return self.clear_idle(now, effects);
        }
        self.idle_since = None;
        let asked = matches!(self.exit, Exit::Asked(at) if now.since(at) < ANSWER_TIME);
        if asked || now < self.exit_at {
            return;
        }
        match self.reached(mark) {
            Some(reason) => self.fire(reason, now, effects),
            None => {
                (self.reached_at, self.exit_pause) = (None, EXIT_PAUSE);
                self.cover(now, effects);
            }
        }
    }

    /// Whether a wish to protect is on its way; one that is not answered in time is given up.
    fn is_protecting(&self, now: Timestamp) -> bool {
        self.protecting.is_some_and(|since| now.since(since) < ANSWER_TIME)
    }

    /// For the record of its end.
    pub(super) fn cleared(&self) -> Record {
        Record::ProtectionCleared { instance: self.instance.clone(), symbol: self.symbol.clone() }
    }
}
