//! An order on its way out: approved by the gate, then released by the latch. Each can only be made from the one before.
//!
//! It must never offer another way to make an [`ApprovedOrder`] or a [`ReleasedOrder`]: private fields, no Clone, no
//! From, no Deserialize (tests/ui proves it).

use domain::{CorrelationId, OrderSpec, OrderType, Purpose, ReasonCode, Timestamp};

use crate::order::permits;
use crate::{Protection, SafetyLatch};

/// An order that the gate has approved. It is good until it expires, for one epoch of the latch and one life of the
/// Executor.
#[derive(Debug)]
pub struct ApprovedOrder {
    spec: OrderSpec,
    oco_leg: Option<Box<OrderSpec>>,
    protection: Option<Protection>,
    correlation_id: CorrelationId,
    expires_at: Timestamp,
    epoch: u64,
    executor_generation: u64,
}

impl ApprovedOrder {
    pub(crate) fn new(
        spec: OrderSpec,
        protection: Option<Protection>,
        correlation_id: CorrelationId,
        expires_at: Timestamp,
        latch: &SafetyLatch,
    ) -> Self {
        let (epoch, executor_generation) = (latch.epoch(), latch.executor_generation());
        Self { spec, oco_leg: None, protection, correlation_id, expires_at, epoch, executor_generation }
    }

    /// The same with its other leg: both leave in one request, as a one-cancels-the-other list.
    pub(crate) fn with_oco_leg(self, leg: Option<OrderSpec>) -> Self {
        Self { oco_leg: leg.map(Box::new), ..self }
    }

    /// The order.
    #[must_use]
    pub const fn spec(&self) -> &OrderSpec {
        &self.spec
    }

    /// The other leg, where both leave in one request as a one-cancels-the-other list. Of the two, `spec` is the stop.
    #[must_use]
    pub fn oco_leg(&self) -> Option<&OrderSpec> {
        self.oco_leg.as_deref()
    }

    /// The exit that guards what fills, for an entry.
    #[must_use]
    pub const fn protection(&self) -> Option<Protection> {
        self.protection
    }

    /// The event that caused it.
    #[must_use]
    pub const fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }

    /// The last moment it may leave, in exchange time.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Turns it into an order that may leave now. To be called as late as the transport allows.
    ///
    /// # Errors
    /// The reason why it may not, with the approval itself where it can be given up in order.
    #[expect(
        clippy::result_large_err,
        reason = "the approval goes back whole: it is not copied, and this path is rare"
    )]
    pub fn release(self, latch: &SafetyLatch, now: Timestamp) -> Result<ReleasedOrder, NotReleased> {
        let ticket = Ticket {
            expires_at: self.expires_at,
            epoch: self.epoch,
            executor_generation: self.executor_generation,
            purpose: self.spec.purpose,
        };
        if let Err(reason) = ticket.check(latch, now) {
            return Err(NotReleased { order: self, reason });
        }
        let (spec, oco_leg, correlation_id) = (self.spec, self.oco_leg, self.correlation_id);
        Ok(ReleasedOrder { spec, oco_leg, correlation_id, ticket })
    }
}

/// What an order must still meet to leave: its approval's time, epoch and life, and what is permitted now.
#[derive(Debug)]
struct Ticket {
    expires_at: Timestamp,
    epoch: u64,
    executor_generation: u64,
    purpose: Purpose,
}

impl Ticket {
    fn check(&self, latch: &SafetyLatch, now: Timestamp) -> Result<(), ReasonCode> {
        if now > self.expires_at {
            Err(ReasonCode::ApprovalExpired)
        } else if self.epoch != latch.epoch() || self.executor_generation != latch.executor_generation() {
            Err(ReasonCode::ApprovalStale)
        } else if !permits(latch.permission(), self.purpose) {
            Err(ReasonCode::NotPermitted)
        } else {
            Ok(())
        }
    }
}

/// An approval that could not be released.
#[derive(Debug)]
pub struct NotReleased {
    /// The approval.
    pub order: ApprovedOrder,
    /// Why not.
    pub reason: ReasonCode,
}

/// An order that may leave the process now: the only thing that an exchange adapter takes.
#[derive(Debug)]
pub struct ReleasedOrder {
    spec: OrderSpec,
    oco_leg: Option<Box<OrderSpec>>,
    correlation_id: CorrelationId,
    ticket: Ticket,
}

impl ReleasedOrder {
    /// The order.
    #[must_use]
    pub const fn spec(&self) -> &OrderSpec {
        &self.spec
    }

    /// The other leg, where both leave in one request as a one-cancels-the-other list.
    #[must_use]
    pub fn oco_leg(&self) -> Option<&OrderSpec> {
        self.oco_leg.as_deref()
    }

    /// The event that caused it.
    #[must_use]
    pub const fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }

    /// After this moment the exchange must not take it any more (its receive window), in exchange time.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.ticket.expires_at
    }

    /// Whether it may leave a second time, after the exchange's own word that the first was not taken: the approval has
    /// not expired, nothing was tightened since, and its purpose is permitted now. Its release alone does not say so any
    /// more, because time has passed.
    ///
    /// # Errors
    /// The reason why it may not.
    pub fn still_permitted(&self, latch: &SafetyLatch, now: Timestamp) -> Result<(), ReasonCode> {
        self.ticket.check(latch, now)
    }

    /// The type of the order.
    #[must_use]
    pub const fn order_type(&self) -> OrderType {
        self.spec.order_type
    }
}
