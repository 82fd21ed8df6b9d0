//! The recovery of a scope as a sequence of types: reloaded, reconciled, backfilled. Only the last can end it.
//!
//! It must never be possible to skip a step: each state can only be made from the one before.

use std::marker::PhantomData;

use domain::Scope;

/// The last persisted state is loaded (R1).
#[derive(Debug)]
pub struct Reloaded;
/// The book equals the exchange (R2): exits may go.
#[derive(Debug)]
pub struct Reconciled;
/// The buffers are filled (R3): the recovery may end (R4).
#[derive(Debug)]
pub struct Backfilled;

/// A recovery of a scope that has come to `Step`.
#[derive(Debug)]
pub struct Recovery<Step> {
    scope: Scope,
    step: PhantomData<Step>,
}

/// What a reconciliation came to. Only a clean one lets the sequence go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconciliationResult {
    /// Orders whose fate is still open.
    pub unresolved: usize,
    /// Assets of which the exchange holds another quantity than the book.
    pub drifting: usize,
}

impl<Step> Recovery<Step> {
    /// What recovers.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Recovery<Reloaded> {
    /// The state of `scope` is loaded.
    #[must_use]
    pub const fn reloaded(scope: Scope) -> Self {
        Self { scope, step: PhantomData }
    }

    /// The differences to the exchange are booked.
    ///
    /// # Errors
    /// Gives the recovery back where anything is left open.
    pub fn reconciled(self, result: ReconciliationResult) -> Result<Recovery<Reconciled>, Self> {
        if result.unresolved == 0 && result.drifting == 0 {
            Ok(Recovery { scope: self.scope, step: PhantomData })
        } else {
            Err(self)
        }
    }
}

impl Recovery<Reconciled> {
    /// The candles of the past are with the strategies.
    #[must_use]
    pub fn backfilled(self) -> Recovery<Backfilled> {
        Recovery { scope: self.scope, step: PhantomData }
    }

    /// The same, for telling GlobalRisk while the sequence goes on.
    #[must_use]
    pub fn told(&self) -> Recovery<Reconciled> {
        Recovery { scope: self.scope.clone(), step: PhantomData }
    }
}
