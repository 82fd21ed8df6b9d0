//! What an order is on its way out: intent, approved, released. Each step can only be made from the one before.
//!
//! It must never offer another way to make an [`ApprovedOrder`] or a [`ReleasedOrder`]: private fields, no Clone, no
//! From, no Deserialize (tests/ui proves it).

use domain::{
    CorrelationId, ExitKind, InstanceId, OrderSpec, OrderType, Permission, Price, Purpose, Quantity, ReasonCode, Side,
    Symbol, Timestamp,
};
use ledger::Position;
use serde::{Deserialize, Serialize};

use crate::SafetyLatch;

/// The exit that guards a position: both are watched until one is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Where the loss is cut. Below the price for a long position.
    pub stop: Price,
    /// Where the profit is taken. Above the price for a long position.
    pub take_profit: Option<Price>,
}

impl Protection {
    /// Whether it guards a position that `side` opens at `price`.
    #[must_use]
    pub fn guards(&self, side: Side, price: Price) -> bool {
        match side {
            Side::Buy => self.stop < price && self.take_profit.is_none_or(|target| target > price),
            Side::Sell => self.stop > price && self.take_profit.is_none_or(|target| target < price),
        }
    }

    /// Which exit `price` calls for, for a position that `side` closes.
    #[must_use]
    pub fn reached(&self, closing: Side, price: Price) -> Option<ReasonCode> {
        let (stopped, taken) = match closing {
            Side::Sell => (price <= self.stop, self.take_profit.is_some_and(|target| price >= target)),
            Side::Buy => (price >= self.stop, self.take_profit.is_some_and(|target| price <= target)),
        };
        if stopped {
            Some(ReasonCode::ExitStopLoss)
        } else if taken {
            Some(ReasonCode::ExitTakeProfit)
        } else {
            None
        }
    }
}

/// A wish to open or enlarge a position. It always carries its protective exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryIntent {
    /// Whose wish.
    pub instance: InstanceId,
    /// Of which market.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// In base units, on the step.
    pub quantity: Quantity,
    /// Limit price; `None` is a market order.
    pub limit: Option<Price>,
    /// The exit that guards what fills.
    pub protection: Protection,
    /// Why.
    pub reason: ReasonCode,
    /// The event that caused it.
    pub correlation_id: CorrelationId,
}

/// A wish to close a position or a part of it. It can only be made from a position, so it can only reduce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitIntent {
    instance: InstanceId,
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    kind: ExitKind,
    reason: ReasonCode,
    correlation_id: CorrelationId,
}

impl ExitIntent {
    /// The exit of `quantity` (all of it where `None`, never more) of `position`; `None` if there is nothing to exit.
    #[must_use]
    pub fn from_position(
        position: &Position,
        quantity: Option<Quantity>,
        kind: ExitKind,
        reason: ReasonCode,
        correlation_id: CorrelationId,
    ) -> Option<Self> {
        let held = position.quantity().abs();
        Some(Self {
            instance: position.instance().clone(),
            symbol: position.symbol().clone(),
            side: position.closing_side()?,
            quantity: quantity.map_or(held, |wanted| wanted.abs().min(held)),
            kind,
            reason,
            correlation_id,
        })
    }

    /// Whose position.
    #[must_use]
    pub const fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Of which market.
    #[must_use]
    pub const fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// In base units, above zero.
    #[must_use]
    pub const fn quantity(&self) -> Quantity {
        self.quantity
    }

    /// Which kind of exit.
    #[must_use]
    pub const fn kind(&self) -> ExitKind {
        self.kind
    }

    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// The event that caused it.
    #[must_use]
    pub const fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }
}

/// What a strategy, a protection, the system or a person wishes. No wish skips the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderIntent {
    /// It may increase exposure.
    Entry(EntryIntent),
    /// It can only reduce exposure.
    Exit(ExitIntent),
}

impl OrderIntent {
    /// Whose wish.
    #[must_use]
    pub const fn instance(&self) -> &InstanceId {
        match self {
            Self::Entry(entry) => &entry.instance,
            Self::Exit(exit) => exit.instance(),
        }
    }

    /// Of which market.
    #[must_use]
    pub const fn symbol(&self) -> &Symbol {
        match self {
            Self::Entry(entry) => &entry.symbol,
            Self::Exit(exit) => exit.symbol(),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        match self {
            Self::Entry(_) => Purpose::Entry,
            Self::Exit(exit) => Purpose::Exit(exit.kind),
        }
    }

    /// The event that caused it.
    #[must_use]
    pub const fn correlation_id(&self) -> CorrelationId {
        match self {
            Self::Entry(entry) => entry.correlation_id,
            Self::Exit(exit) => exit.correlation_id,
        }
    }
}

/// Whether `purpose` passes where no more than `permission` is permitted.
#[must_use]
pub const fn permits(permission: Permission, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Entry => matches!(permission, Permission::All),
        Purpose::Exit(ExitKind::Signal) => matches!(permission, Permission::Exits | Permission::All),
        Purpose::Exit(ExitKind::Protective | ExitKind::Forced | ExitKind::Manual) => {
            !matches!(permission, Permission::Nothing)
        }
    }
}

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
    #[expect(dead_code, reason = "the gate makes lists once protection rests on the exchange")]
    pub(crate) fn with_oco_leg(self, leg: OrderSpec) -> Self {
        Self { oco_leg: Some(Box::new(leg)), ..self }
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
