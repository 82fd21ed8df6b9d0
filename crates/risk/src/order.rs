//! What somebody wishes to do: open or enlarge a position, close it, or rest its protective exit on the exchange.
//!
//! It must never offer a way to make an exit but from a position: so it can only reduce.

use domain::{CorrelationId, ExitKind, InstanceId, Permission, Price, Purpose, Quantity, ReasonCode, Side, Symbol};
use ledger::Position;
use serde::{Deserialize, Serialize};

/// Where the exit that guards a position lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectionStyle {
    /// The Executor watches the price: for strategies whose own working orders need the balance, and for a journal of
    /// before there was another style.
    #[default]
    Local,
    /// Orders with a trigger rest on the exchange, so that they work while this process does not. What cannot rest is
    /// watched.
    Resting,
}

/// The exit that guards a position: both prices are watched until one is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Where the loss is cut. Below the price for a long position.
    pub stop: Price,
    /// Where the profit is taken. Above the price for a long position.
    pub take_profit: Option<Price>,
    /// Who watches.
    #[serde(default)]
    pub style: ProtectionStyle,
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

/// A wish to rest the protective exit of a position, or of a part of it, on the exchange. It can only be made from a
/// position, so it can only reduce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectIntent {
    instance: InstanceId,
    symbol: Symbol,
    side: Side,
    quantity: Quantity,
    protection: Protection,
    correlation_id: CorrelationId,
}

impl ProtectIntent {
    /// The protective exit of `quantity` (never more than is held) of `position`; `None` if nothing is held.
    #[must_use]
    pub fn from_position(
        position: &Position,
        quantity: Quantity,
        protection: Protection,
        correlation_id: CorrelationId,
    ) -> Option<Self> {
        Some(Self {
            instance: position.instance().clone(),
            symbol: position.symbol().clone(),
            side: position.closing_side()?,
            quantity: quantity.abs().min(position.quantity().abs()),
            protection,
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

    pub(crate) const fn side(&self) -> Side {
        self.side
    }

    /// The prices.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
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
