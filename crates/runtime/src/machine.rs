//! What a shell needs of a machine: its messages, and what it shows of itself.
//!
//! It must never add behaviour: it only names what the engine's machines already have.

use domain::Timestamp;
use engine::executor::Executor;
use engine::family_risk::FamilyRisk;
use engine::global_risk::GlobalRisk;
use engine::health_monitor::HealthMonitor;
use engine::market_data::MarketData;
use engine::reconciler::Reconciler;
use engine::strategy_machine::StrategyMachine;
use engine::{
    Effects, Envelope, ExecutorMessage, FamilyRiskMessage, GlobalRiskMessage, HealthMessage, MarketDataMessage,
    ReconcilerMessage, StrategyMessage,
};

use crate::publish;
use crate::wiring::Wiring;

/// A machine that a shell can run.
pub trait Machine: Unpin + 'static {
    /// What it is told.
    type Message;

    /// The message in an envelope; `None` for somebody else's.
    fn take(envelope: Envelope) -> Option<Self::Message>;

    /// Handles one message.
    fn handle(&mut self, now: Timestamp, message: Self::Message, effects: &mut Effects);

    /// Shows what it knows, now and then.
    fn publish(&mut self, _now: Timestamp, _wiring: &Wiring) {}
}

macro_rules! machine {
    ($machine:ty, $message:ty, $pattern:pat => $taken:expr, |$self:ident, $now:ident, $m:ident, $effects:ident| $handle:expr $(, $publish:path)?) => {
        impl Machine for $machine {
            type Message = $message;

            fn take(envelope: Envelope) -> Option<$message> {
                match envelope {
                    $pattern => Some($taken),
                    _ => None,
                }
            }

            fn handle(&mut self, $now: Timestamp, $m: $message, $effects: &mut Effects) {
                let $self = self;
                let _ = &$now;
                $handle;
            }

            $( fn publish(&mut self, now: Timestamp, wiring: &Wiring) {
                $publish(self, now, wiring);
            } )?
        }
    };
}

machine!(MarketData, MarketDataMessage, Envelope::MarketData(m) => m,
    |this, now, m, effects| MarketData::handle(this, now, m, effects), publish::market_data);
machine!(StrategyMachine, StrategyMessage, Envelope::Strategy(_, m) => m,
    |this, now, m, effects| StrategyMachine::handle(this, m, effects));
machine!(FamilyRisk, FamilyRiskMessage, Envelope::FamilyRisk(_, m) => m,
    |this, now, m, effects| FamilyRisk::handle(this, m, effects));
machine!(GlobalRisk, GlobalRiskMessage, Envelope::GlobalRisk(m) => m,
    |this, now, m, effects| GlobalRisk::handle(this, now, m, effects), publish::global_risk);
machine!(Executor, ExecutorMessage, Envelope::Executor(m) => m,
    |this, now, m, effects| Executor::handle(this, now, m, effects), publish::executor);
machine!(Reconciler, ReconcilerMessage, Envelope::Reconciler(m) => m,
    |this, now, m, effects| Reconciler::handle(this, m, effects));
machine!(HealthMonitor, HealthMessage, Envelope::HealthMonitor(m) => m,
    |this, now, m, effects| HealthMonitor::handle(this, now, m, effects), publish::health_monitor);
