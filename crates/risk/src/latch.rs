//! The safety latch in memory: an epoch, the permission of the whole process, and the Executor's generation.
//!
//! Every tightening bumps the epoch, so that an order which was approved before it, and is queued somewhere, dies at its
//! release. It must never be loosened before the loosening is durable. Its file beside the database belongs to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

use domain::Permission;

#[derive(Debug)]
struct Inner {
    epoch: AtomicU64,
    permission: AtomicU8,
    executor_generation: AtomicU64,
}

/// A handle on the one latch of the process. Handles share their state.
#[derive(Debug, Clone)]
pub struct SafetyLatch(Arc<Inner>);

impl SafetyLatch {
    /// A latch that permits no more than `permission`: a start begins with nothing until it knows better.
    #[must_use]
    pub fn new(permission: Permission) -> Self {
        Self(Arc::new(Inner {
            epoch: AtomicU64::new(1),
            permission: AtomicU8::new(permission as u8),
            executor_generation: AtomicU64::new(0),
        }))
    }

    /// Counts tightenings; an approval of an older epoch is void.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(SeqCst)
    }

    /// The most that may leave the process.
    #[must_use]
    pub fn permission(&self) -> Permission {
        decode(self.0.permission.load(SeqCst))
    }

    /// Which life of the Executor may release orders.
    #[must_use]
    pub fn executor_generation(&self) -> u64 {
        self.0.executor_generation.load(SeqCst)
    }

    /// Permits no more than `permission` from this instruction on, and voids every approval given before it.
    pub fn tighten(&self, permission: Permission) {
        self.0.permission.fetch_min(permission as u8, SeqCst);
        self.void_approvals();
    }

    /// Voids every approval given before: a tightening of a narrower scope than the process.
    pub fn void_approvals(&self) {
        self.0.epoch.fetch_add(1, SeqCst);
    }

    /// Permits `permission` again. Only to be called after the commit that makes the loosening durable.
    pub fn loosen_after_commit(&self, permission: Permission) {
        self.0.permission.store(permission as u8, SeqCst);
    }

    /// A new life of the Executor begins: whatever its predecessors hold can no longer be released.
    pub fn begin_executor_generation(&self) -> u64 {
        self.void_approvals();
        self.0.executor_generation.fetch_add(1, SeqCst) + 1
    }
}

const fn decode(byte: u8) -> Permission {
    match byte {
        0 => Permission::Nothing,
        1 => Permission::GuardedExits,
        2 => Permission::Exits,
        _ => Permission::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_survive_their_encoding() {
        for permission in [Permission::Nothing, Permission::GuardedExits, Permission::Exits, Permission::All] {
            assert_eq!(SafetyLatch::new(permission).permission(), permission);
        }
    }

    #[test]
    fn tightening_bumps_the_epoch_and_never_loosens() {
        let latch = SafetyLatch::new(Permission::Exits);
        let epoch = latch.epoch();
        latch.tighten(Permission::All);
        assert_eq!((latch.permission(), latch.epoch()), (Permission::Exits, epoch + 1));
        latch.tighten(Permission::Nothing);
        assert_eq!(latch.permission(), Permission::Nothing);
    }
}
