//! What machines want done. The shell carries effects out in order; what follows a journal entry leaves the process only
//! once that entry is durable (output commit).

use domain::{Alert, ClientOrderId, CorrelationId, Interval, Permission, Symbol, Timestamp, TradeId};
use risk::ApprovedOrder;

use crate::message::{Envelope, InstanceIndex};
use crate::record::{JournalEntry, Record};

/// One wish of a machine.
#[derive(Debug)]
pub enum Effect {
    /// Tell another actor.
    Send(Envelope),
    /// Make it durable.
    Journal(Box<JournalEntry>),
    /// Hand an order to the exchange.
    Submit(Box<ApprovedOrder>),
    /// Withdraw an order from the exchange.
    Cancel(Symbol, ClientOrderId),
    /// Withdraw a protective exit from the exchange, within a sequence that replaces it or closes its position. Not
    /// before the sequence is durable, unless the journal fails.
    CancelProtection(Symbol, ClientOrderId),
    /// Ask the exchange for an order; the answer comes as `ExecutorMessage::Queried`.
    QueryOrder(Symbol, ClientOrderId),
    /// Gather what the exchange says; the answer comes as `ReconcilerMessage::Snapshot`.
    Gather(Box<SnapshotRequest>),
    /// Fetch candles; the answer comes as `MarketDataMessage::Backfilled`.
    Backfill(BackfillRequest),
    /// Fetch what the strategies need of the past; when all of it is delivered, `ReconcilerMessage::BackfillDone` comes.
    BackfillAll,
    /// Write the latch file: a tightening. It is done at once, whatever is waiting for the journal.
    WriteLatch(Permission),
    /// Keep a strategy's state; it replaces the one before and is not part of the journal.
    SaveStrategy {
        /// Whose.
        instance: InstanceIndex,
        /// Of which market.
        symbol: Symbol,
        /// The end of the last candle that the state has seen.
        through: Timestamp,
        /// The state, as JSON.
        state: serde_json::Value,
    },
}

impl Effect {
    /// Whether it must not wait for the journal: tightenings and withdrawals.
    #[must_use]
    pub const fn is_immediate(&self) -> bool {
        matches!(self, Self::WriteLatch(_) | Self::Cancel(..))
    }
}

/// What a reconciliation needs to know of the exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Orders to ask for one by one.
    pub orders: Vec<(Symbol, ClientOrderId)>,
    /// Symbols whose trades are wanted, after the last one booked.
    pub trades_after: Vec<(Symbol, Option<TradeId>)>,
}

/// Candles wanted: those that begin in `from..to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRequest {
    /// The market.
    pub symbol: Symbol,
    /// Their length.
    pub interval: Interval,
    /// The first moment of the first candle.
    pub from: Timestamp,
    /// The first moment after the last one.
    pub to: Timestamp,
}

/// The effects of one message, in order.
#[derive(Debug, Default)]
pub struct Effects(Vec<Effect>);

impl Effects {
    /// No effects yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one.
    pub fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    /// Adds some.
    pub fn push_all(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.0.extend(effects);
    }

    /// Tells another actor.
    pub fn send(&mut self, envelope: Envelope) {
        self.0.push(Effect::Send(envelope));
    }

    /// Makes `record` durable.
    pub fn journal(&mut self, time: Timestamp, actor: crate::ActorId, correlation_id: CorrelationId, record: Record) {
        self.0.push(Effect::Journal(Box::new(JournalEntry { time, actor, correlation_id, record })));
    }

    /// Journals an alert; the store puts it into the outbox in the same transaction.
    pub fn alert(&mut self, actor: crate::ActorId, alert: Alert) {
        self.journal(alert.time, actor, alert.correlation_id, Record::AlertRaised(alert));
    }

    /// Takes the effects out, in order, and keeps the memory.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.0.drain(..)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
