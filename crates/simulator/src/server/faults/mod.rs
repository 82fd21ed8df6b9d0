//! Carries out the faults that happen at times.
//!
//! It must never stop the server: what cannot be carried out is remembered with the fault and logged.

mod market;

use super::core::Core;
use crate::faults::{Due, FaultKind, Phase};

impl Core {
    /// Carries out all faults that are due at `now`.
    pub(super) fn run_faults(&mut self, now: i64) {
        while let Some(due) = self.faults.take_due(now) {
            self.carry_out(&due);
        }
    }

    /// Takes a fault away, or all, and ends what it began; how many there were.
    pub(super) fn remove_faults(&mut self, id: Option<u64>) -> usize {
        let (count, ends) = self.faults.remove(id);
        ends.iter().for_each(|due| self.carry_out(due));
        count
    }

    fn carry_out(&mut self, due: &Due) {
        let done = match &due.fault.kind {
            FaultKind::World(fault) => self.happen(fault, due.phase),
            FaultKind::StreamsCut if due.phase == Phase::Begin => {
                self.hub.cut(&due.fault.target);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(fault = due.fault.name, %error, "a fault cannot be carried out");
            self.faults.failed(due.id, error);
        }
    }
}
