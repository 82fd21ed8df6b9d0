//! The safety latch in memory: an epoch, the permission of the whole process, and the Executor's generation.
//!
//! Every tightening bumps the epoch, so that an order which was approved before it, and is queued somewhere, dies at its
//! release. It must never be loosened before the loosening is durable. Its file beside the database belongs to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use domain::Permission;

#[derive(Debug)]
struct Inner {
    epoch: AtomicU64,
    /// The Executor's generation in the upper 56 bits, the permission in the lower 8: one word, so that a loosening by an
    /// earlier life can never slip in between a tightening and the next life.
    state: AtomicU64,
}

const PERMISSION_BITS: u32 = 8;

const fn encode(generation: u64, permission: Permission) -> u64 {
    (generation << PERMISSION_BITS) | permission as u64
}

/// A handle on the one latch of the process. Handles share their state.
#[derive(Debug, Clone)]
pub struct SafetyLatch(Arc<Inner>);

impl SafetyLatch {
    /// A latch that permits no more than `permission`: a start begins with nothing until it knows better.
    #[must_use]
    pub fn new(permission: Permission) -> Self {
        Self(Arc::new(Inner { epoch: AtomicU64::new(1), state: AtomicU64::new(encode(0, permission)) }))
    }

    /// Counts tightenings; an approval of an older epoch is void.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(SeqCst)
    }

    /// The most that may leave the process.
    #[must_use]
    pub fn permission(&self) -> Permission {
        decode(self.0.state.load(SeqCst))
    }

    /// Which life of the Executor may release orders.
    #[must_use]
    pub fn executor_generation(&self) -> u64 {
        self.0.state.load(SeqCst) >> PERMISSION_BITS
    }

    /// Permits no more than `permission` from this instruction on, and voids every approval given before it.
    pub fn tighten(&self, permission: Permission) {
        self.change(|generation, now| Some(encode(generation, now.min(permission))));
        self.void_approvals();
    }

    /// Voids every approval given before: a tightening of a narrower scope than the process.
    pub fn void_approvals(&self) {
        self.0.epoch.fetch_add(1, SeqCst);
    }

    /// Permits `permission` again, in the life `generation` only: a loosening that an earlier life still carries out does
    /// nothing, and false is returned. Only to be called after the commit that makes the loosening durable.
    pub fn loosen_after_commit(&self, permission: Permission, generation: u64) -> bool {
        self.change(|now, _| (now == generation).then(|| encode(generation, permission)))
    }

    /// A life of the Executor ends or begins: whatever was approved before can no longer be released, nothing of it can
    /// loosen the latch any more, and no more than `permission` is permitted.
    pub fn begin_executor_generation(&self, permission: Permission) {
        self.change(|generation, now| Some(encode(generation + 1, now.min(permission))));
        self.void_approvals();
    }

    fn change(&self, to: impl Fn(u64, Permission) -> Option<u64>) -> bool {
        self.0.state.fetch_update(SeqCst, SeqCst, |state| to(state >> PERMISSION_BITS, decode(state))).is_ok()
    }
}

const fn decode(state: u64) -> Permission {
    match state & 0xff {
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
    fn i4_a_life_that_has_ended_cannot_loosen_the_latch() {
        let latch = SafetyLatch::new(Permission::Nothing);
        latch.begin_executor_generation(Permission::Nothing);
        let old = latch.executor_generation();
        assert!(latch.loosen_after_commit(Permission::All, old));
        // Its supervisor ends it while a loosening of it is still on its way.
        latch.begin_executor_generation(Permission::Nothing);
        assert!(!latch.loosen_after_commit(Permission::All, old));
        assert_eq!(latch.permission(), Permission::Nothing);
        assert!(latch.loosen_after_commit(Permission::Exits, latch.executor_generation()));
        assert_eq!(latch.permission(), Permission::Exits);
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
