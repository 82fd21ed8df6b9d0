//! FamilyRisk: every wish of a family's strategies passes here, and the family's equity is known here.
//!
//! It must never pass a wish of an instance that is not of the family. (The breakers of instance and family run here.)

use std::collections::BTreeMap;

use domain::{InstanceId, Notional};

use crate::message::{Envelope, FamilyIndex, FamilyRiskMessage, GlobalRiskMessage, InstanceEquity, InstanceIndex};
use crate::{Cycle, Effects, Setup};

/// The FamilyRisk machine of one family.
#[derive(Debug)]
pub struct FamilyRisk {
    index: FamilyIndex,
    members: BTreeMap<InstanceId, InstanceIndex>,
    equities: BTreeMap<InstanceIndex, (u64, Notional)>,
    /// Members that are not left failed: the heartbeat waits for them.
    alive: usize,
    cycle: u64,
    arrived: usize,
}

impl FamilyRisk {
    /// The machine of family `index` of `setup`.
    #[must_use]
    pub fn new(setup: &Setup, index: FamilyIndex) -> Self {
        let members: BTreeMap<InstanceId, InstanceIndex> = setup
            .instances
            .iter()
            .filter(|instance| instance.family == index)
            .filter_map(|instance| Some((instance.id.clone(), setup.index_of(&instance.id)?)))
            .collect();
        Self { index, alive: members.len(), members, equities: BTreeMap::new(), cycle: 0, arrived: 0 }
    }

    /// The family's equity as published, in the portfolio's currency.
    #[must_use]
    pub fn equity(&self) -> Notional {
        self.equities.values().map(|(_, equity)| *equity).sum()
    }

    /// Handles one message.
    pub fn handle(&mut self, message: FamilyRiskMessage, effects: &mut Effects) {
        match message {
            FamilyRiskMessage::Intent(intent) => {
                if self.members.contains_key(intent.instance()) {
                    effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Intent(intent)));
                }
            }
            FamilyRiskMessage::Equity(InstanceEquity { instance, sequence, equity }) => {
                let known = self.equities.entry(instance).or_default();
                if sequence > known.0 {
                    *known = (sequence, equity);
                }
            }
            FamilyRiskMessage::MemberFailed(_) => {
                self.alive = self.alive.saturating_sub(1);
                if self.alive == 0 {
                    effects.send(Envelope::GlobalRisk(GlobalRiskMessage::FamilyIdle(self.index)));
                }
            }
            FamilyRiskMessage::Cycle(cycle, _) => self.cycle(cycle, effects),
        }
    }

    fn cycle(&mut self, cycle: Cycle, effects: &mut Effects) {
        if cycle.sequence != self.cycle {
            (self.cycle, self.arrived) = (cycle.sequence, 0);
        }
        self.arrived += 1;
        if self.arrived == self.alive {
            effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Cycle(cycle, self.index)));
        }
    }
}
