//! All machines on one thread, in one queue: what a replay, a test and a benchmark run.
//!
//! It must never decide anything: it only delivers, in the order in which messages were sent.

use std::collections::{BTreeMap, VecDeque};

use domain::{Asset, Permission, Scope, Symbol, Timestamp};
use risk::SafetyLatch;

use crate::executor::Executor;
use crate::family_risk::FamilyRisk;
use crate::global_risk::GlobalRisk;
use crate::health_monitor::HealthMonitor;
use crate::market_data::MarketData;
use crate::message::{
    ActorId, Command, Cycle, Envelope, FamilyIndex, GlobalRiskMessage, InstanceIndex, MarketDataMessage,
    ReconcilerMessage,
};
use crate::reconciler::Reconciler;
use crate::strategy_machine::StrategyMachine;
use crate::{BookState, Effect, Effects, Setup};

/// What is outside of the machines: the exchange, the journal, the history of candles.
pub trait Outside {
    /// Carries out one effect of `from`. Answers go into `inbox`, in order.
    fn carry_out(&mut self, now: Timestamp, from: ActorId, effect: Effect, inbox: &mut VecDeque<Envelope>);
}

/// All machines of one setup.
#[derive(Debug)]
pub struct System {
    market_data: MarketData,
    strategies: Vec<StrategyMachine>,
    families: Vec<FamilyRisk>,
    global_risk: GlobalRisk,
    executor: Executor,
    reconciler: Reconciler,
    health_monitor: HealthMonitor,
    latch: SafetyLatch,
    queue: VecDeque<Envelope>,
    effects: Effects,
    cycle: u64,
}

impl System {
    /// The machines of `setup`, continued from `state`.
    #[must_use]
    pub fn new(setup: &Setup, state: &BookState, latch: SafetyLatch) -> Self {
        latch.begin_executor_generation(Permission::All);
        let index = |place: usize| u16::try_from(place).unwrap_or(u16::MAX);
        let strategies = (0..setup.instances.len())
            .map(|place| StrategyMachine::new(setup, InstanceIndex(index(place)), &state.strategies))
            .collect();
        let families =
            (0..setup.families.len()).map(|place| FamilyRisk::new(setup, FamilyIndex(index(place)))).collect();
        Self {
            market_data: MarketData::new(setup, state.head),
            strategies,
            families,
            global_risk: GlobalRisk::new(setup, state, latch.clone()),
            executor: Executor::new(setup, state),
            reconciler: Reconciler::new(setup, base_assets(state)),
            health_monitor: HealthMonitor::new(setup),
            latch,
            queue: VecDeque::new(),
            effects: Effects::new(),
            cycle: 0,
        }
    }

    /// GlobalRisk, to look at.
    #[must_use]
    pub const fn global_risk(&self) -> &GlobalRisk {
        &self.global_risk
    }

    /// MarketData, to look at.
    #[must_use]
    pub const fn market_data(&self) -> &MarketData {
        &self.market_data
    }

    /// The Executor, to look at.
    #[must_use]
    pub const fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The latch.
    #[must_use]
    pub const fn latch(&self) -> &SafetyLatch {
        &self.latch
    }

    /// Begins the recovery of everything, as a start does.
    pub fn start(&mut self, now: Timestamp, outside: &mut impl Outside) {
        self.deliver(now, Envelope::GlobalRisk(GlobalRiskMessage::Command(Command::BeginRecovery)), outside);
        self.deliver(now, Envelope::Reconciler(ReconcilerMessage::Start(Scope::Global)), outside);
    }

    /// Sends the heartbeat through the loop.
    pub fn beat(&mut self, now: Timestamp, outside: &mut impl Outside) {
        self.cycle += 1;
        let cycle = Cycle { sequence: self.cycle };
        self.deliver(now, Envelope::MarketData(MarketDataMessage::Cycle(cycle)), outside);
        self.deliver(now, Envelope::Reconciler(ReconcilerMessage::Cycle(cycle)), outside);
    }

    /// Delivers a message, and then everything that follows from it, until nobody has anything to say.
    pub fn deliver(&mut self, now: Timestamp, envelope: Envelope, outside: &mut impl Outside) {
        self.queue.push_back(envelope);
        let mut effects = std::mem::take(&mut self.effects);
        while let Some(envelope) = self.queue.pop_front() {
            let to = envelope.to();
            self.handle(now, envelope, &mut effects);
            self.carry_out(now, to, &mut effects, outside);
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, now: Timestamp, from: ActorId, effects: &mut Effects, outside: &mut impl Outside) {
        for effect in effects.drain() {
            match effect {
                Effect::Send(envelope) => self.queue.push_back(envelope),
                effect => outside.carry_out(now, from, effect, &mut self.queue),
            }
        }
    }

    fn handle(&mut self, now: Timestamp, envelope: Envelope, effects: &mut Effects) {
        match envelope {
            Envelope::MarketData(message) => self.market_data.handle(now, message, effects),
            Envelope::Strategy(index, message) => {
                if let Some(strategy) = self.strategies.get_mut(usize::from(index.0)) {
                    strategy.handle(message, effects);
                }
            }
            Envelope::FamilyRisk(index, message) => {
                if let Some(family) = self.families.get_mut(usize::from(index.0)) {
                    family.handle(message, effects);
                }
            }
            Envelope::GlobalRisk(message) => self.global_risk.handle(now, message, effects),
            Envelope::Executor(message) => self.executor.handle(now, message, effects),
            Envelope::Reconciler(message) => self.reconciler.handle(message, effects),
            Envelope::HealthMonitor(message) => self.health_monitor.handle(now, message, effects),
        }
    }
}

/// The base asset of each instrument that the start knows.
#[must_use]
pub fn base_assets(state: &BookState) -> BTreeMap<Symbol, Asset> {
    state.instruments.iter().map(|instrument| (instrument.symbol.clone(), instrument.base.clone())).collect()
}

#[cfg(test)]
#[path = "system_tests.rs"]
pub(crate) mod tests;
