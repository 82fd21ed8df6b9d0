//! The supervisor: a plain thread that starts the actors, pings them, and starts everything anew when one dies.
//!
//! A death tightens the latch first; then all actors end, the book is reloaded from the disk, and the recovery sequence
//! runs before anything is sent. A thread that is blocked cannot be killed in Rust: then the process ends and its own
//! supervisor starts it again. It must never journal, trade, or restart an actor with the state that it died with.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::{InstanceId, Permission, Scope};
use engine::{ActorId, Command, Cycle, Envelope, GlobalRiskMessage, HealthMessage, InstanceIndex, MarketDataMessage};
use engine::{ReconcilerMessage, StrategyMessage};

use crate::guard::{Death, Report};
use crate::life::{Life, LifeError};
use crate::shell::Fail;
use crate::status::ActorStatus;
use crate::wiring::Wiring;

/// How long the supervisor sleeps at most.
const BEAT: Duration = Duration::from_millis(20);
/// How often every actor is pinged, in monotonic milliseconds.
const PING_EVERY_MS: u64 = 250;
/// How often strategies hand out their state, in monotonic milliseconds.
const SAVE_EVERY_MS: u64 = 5_000;
/// Deaths of one actor in this window, in monotonic milliseconds, that are too many.
const INTENSITY_WINDOW_MS: u64 = 60_000;
/// So many deaths in the window are still restarted.
const INTENSITY_MAX: usize = 3;

/// Before each restart of an actor that dies too often and is tried for ever.
const SLOW_RESTART: Duration = Duration::from_secs(1);

/// Why the process must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A thread is blocked.
    #[error("the thread of {0} is blocked; it cannot be stopped, so the process ends and must be started again")]
    Blocked(String),
    /// An actor without which nothing works died too often.
    #[error(
        "{actor} died {deaths} times within a minute ({last}); look for its errors in the log before you start again"
    )]
    TooManyDeaths {
        /// Which.
        actor: String,
        /// How often.
        deaths: usize,
        /// How it died the last time.
        last: String,
    },
    /// The actors could not be started.
    #[error(transparent)]
    Start(#[from] LifeError),
}

/// What the supervisor is asked to do.
pub(crate) enum Order {
    Stop,
    Fail(ActorId, Fail),
}

/// How the supervisor works.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between heartbeats, in monotonic milliseconds; zero: none by itself.
    pub cycle_ms: u64,
    /// Without an answer for so long an actor hangs.
    pub hang_timeout_ms: u64,
    /// How long the queues may take to drain at a stop.
    pub drain_timeout_ms: u64,
}

/// Begins the life of this generation, without the instances that failed for good.
pub(crate) type Spawn = Box<dyn FnMut(u64, &[InstanceId]) -> Result<Life, LifeError> + Send>;

/// The supervisor's thread, and where it tells whether the first life began.
pub(crate) type Started = (JoinHandle<()>, Receiver<Result<(), Fatal>>);

/// What a supervisor is made of.
pub(crate) struct Plan {
    pub(crate) wiring: Wiring,
    pub(crate) timing: Timing,
    pub(crate) spawn: Spawn,
    pub(crate) on_fatal: Box<dyn Fn(&Fatal) + Send>,
    pub(crate) orders: Receiver<Order>,
    pub(crate) reports: Receiver<Report>,
}

#[derive(Debug, Default)]
struct Record {
    deaths_ms: Vec<u64>,
    restarts: u64,
    last_error: Option<String>,
}

struct Supervisor {
    plan: Plan,
    life: Option<Life>,
    generation: u64,
    records: BTreeMap<ActorId, Record>,
    failed: Vec<InstanceId>,
    cycle: u64,
    next_cycle_ms: u64,
    next_ping_ms: u64,
    next_tick_ms: u64,
    next_save_ms: u64,
}

/// Starts the supervisor's thread; `started` is told once the first life runs.
pub(crate) fn start(plan: Plan) -> std::io::Result<Started> {
    let (started, starting) = channel();
    let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        let mut supervisor = Supervisor {
            plan,
            life: None,
            generation: 0,
            records: BTreeMap::new(),
            failed: Vec::new(),
            cycle: 0,
            next_cycle_ms: 0,
            next_ping_ms: 0,
            next_tick_ms: 0,
            next_save_ms: 0,
        };
        let first = supervisor.begin_life();
        let failed = first.is_err();
        let _ = started.send(first);
        if !failed {
            supervisor.run();
        }
    })?;
    Ok((thread, starting))
}

impl Supervisor {
    fn run(&mut self) {
        loop {
            match self.plan.reports.recv_timeout(BEAT) {
                Ok(report) => {
                    if !self.died(report) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            match self.plan.orders.try_recv() {
                Ok(Order::Stop) => return self.stop(),
                Ok(Order::Fail(actor, fail)) => {
                    if let Some(life) = &self.life {
                        life.fail(actor, fail);
                    }
                }
                Err(_) => {}
            }
            self.tick();
            let goes_on = match self.find_hang() {
                None => true,
                Some(Ok(report)) => self.died(report),
                Some(Err(fatal)) => self.fatal(&fatal),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Starts all actors with what the disk has, under recovery.
    fn begin_life(&mut self) -> Result<(), Fatal> {
        self.generation += 1;
        let wiring = &self.plan.wiring;
        wiring.latch.begin_executor_generation(Permission::Nothing);
        wiring.pongs.clear();
        let life = (self.plan.spawn)(self.generation, &self.failed)?;
        let router = &self.plan.wiring.router;
        router.send(Envelope::GlobalRisk(GlobalRiskMessage::Command(Command::BeginRecovery)));
        for failed in &self.failed {
            let command = Command::ActorFailed(failed.clone());
            router.send(Envelope::GlobalRisk(GlobalRiskMessage::Command(command)));
        }
        router.send(Envelope::MarketData(MarketDataMessage::Instruments(life.instruments())));
        router.send(Envelope::Reconciler(ReconcilerMessage::Start(Scope::Global)));
        let now = self.plan.wiring.clock.monotonic_ms();
        (self.next_cycle_ms, self.next_ping_ms, self.next_save_ms) = (now, now, now + SAVE_EVERY_MS);
        self.life = Some(life);
        self.publish();
        Ok(())
    }

    /// An actor died: everything begins anew. Returns false where the process must end.
    fn died(&mut self, report: Report) -> bool {
        let current = self.life.as_ref().is_some_and(|life| life.generation() == report.generation);
        if !current {
            return true; // A death of an earlier life, which has ended already.
        }
        // Tightening first: whatever is queued for the exchange is void from here on, and nothing of the old life can undo it.
        self.plan.wiring.latch.begin_executor_generation(Permission::Nothing);
        let now = self.plan.wiring.clock.monotonic_ms();
        let record = self.records.entry(report.actor).or_default();
        record.deaths_ms.retain(|at| now.saturating_sub(*at) < INTENSITY_WINDOW_MS);
        record.deaths_ms.push(now);
        record.restarts += 1;
        record.last_error = Some(format!("{:?}", report.death).to_lowercase());
        let deaths = record.deaths_ms.len();
        let name = self.name(report.actor);
        tracing::error!(actor = %name, death = ?report.death, deaths, "an actor died; everything is started anew");
        self.end_life();
        if deaths > INTENSITY_MAX {
            match report.actor {
                ActorId::Strategy(index) => self.leave_failed(index),
                // Guards are watched with its prices, so it is tried for ever; slowly.
                ActorId::MarketData | ActorId::HealthMonitor => std::thread::sleep(SLOW_RESTART),
                ActorId::FamilyRisk(_) | ActorId::GlobalRisk | ActorId::Executor | ActorId::Reconciler => {
                    let last = format!("{:?}", report.death).to_lowercase();
                    return self.fatal(&Fatal::TooManyDeaths { actor: name, deaths, last });
                }
            }
        }
        match self.begin_life() {
            Ok(()) => {
                let text = format!(
                    "{name} died ({:?}) and everything was started anew from the disk; it has died {deaths} times within a \
                     minute. See the log for its error.",
                    report.death
                );
                self.alert(text);
                true
            }
            Err(fatal) => self.fatal(&fatal),
        }
    }

    /// A strategy that dies too often stays dead, its instance restricted, until an operator restarts the service.
    fn leave_failed(&mut self, index: InstanceIndex) {
        if let Some(config) = self.plan.wiring.setup.instances.get(usize::from(index.0)) {
            self.failed.push(config.id.clone());
        }
    }

    fn alert(&self, text: String) {
        let alert = domain::Alert {
            time: self.plan.wiring.clock.now(),
            severity: domain::Severity::High,
            reason: domain::ReasonCode::ActorRestarted,
            scope: Scope::Global,
            text,
            correlation_id: domain::CorrelationId::default(),
        };
        self.plan.wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::Alert(alert)));
    }

    fn fatal(&mut self, fatal: &Fatal) -> bool {
        self.plan.wiring.latch.begin_executor_generation(Permission::Nothing);
        tracing::error!(%fatal, "the process must end");
        (self.plan.on_fatal)(fatal);
        false
    }

    fn end_life(&mut self) {
        self.plan.wiring.router.clear();
        if let Some(life) = self.life.take() {
            life.end();
        }
    }

    fn name(&self, actor: ActorId) -> String {
        let setup = &self.plan.wiring.setup;
        match actor {
            ActorId::Strategy(index) => setup
                .instances
                .get(usize::from(index.0))
                .map_or_else(|| actor.to_string(), |config| format!("strategy {}", config.id)),
            ActorId::FamilyRisk(index) => setup
                .families
                .get(usize::from(index.0))
                .map_or_else(|| actor.to_string(), |family| format!("family-risk {}", family.id)),
            ActorId::MarketData
            | ActorId::GlobalRisk
            | ActorId::Executor
            | ActorId::Reconciler
            | ActorId::HealthMonitor => actor.to_string(),
        }
    }

    fn tick(&mut self) {
        let (now, router) = (self.plan.wiring.clock.monotonic_ms(), &self.plan.wiring.router);
        let Some(life) = &self.life else { return };
        if self.plan.timing.cycle_ms > 0 && now >= self.next_cycle_ms {
            self.next_cycle_ms = now + self.plan.timing.cycle_ms;
            self.cycle += 1;
            let cycle = Cycle { sequence: self.cycle };
            router.send(Envelope::MarketData(MarketDataMessage::Cycle(cycle)));
            router.send(Envelope::Reconciler(ReconcilerMessage::Cycle(cycle)));
        }
        if now >= self.next_tick_ms {
            self.next_tick_ms = now + 100;
            router.send(Envelope::HealthMonitor(HealthMessage::Tick { monotonic_ms: now }));
        }
        if now >= self.next_save_ms {
            self.next_save_ms = now + SAVE_EVERY_MS;
            save_strategies(&self.plan.wiring);
        }
        if now >= self.next_ping_ms {
            self.next_ping_ms = now + PING_EVERY_MS;
            life.ping(now);
            self.publish();
        }
    }

    /// An actor that does not answer while its thread does hangs; a thread that does not answer cannot be helped.
    fn find_hang(&self) -> Option<Result<Report, Fatal>> {
        let (now, timeout) = (self.plan.wiring.clock.monotonic_ms(), self.plan.timing.hang_timeout_ms);
        let life = self.life.as_ref()?;
        let late = |answered_ms: u64| now.saturating_sub(answered_ms.max(life.began_ms())) > timeout;
        let silent = |actor: &ActorId| late(self.plan.wiring.pongs.get(*actor).map_or(0, |pong| pong.answered_ms));
        let actor = life.actors().find(silent)?;
        if late(life.thread_answered_ms(actor)) {
            return Some(Err(Fatal::Blocked(self.name(actor))));
        }
        Some(Ok(Report { actor, generation: life.generation(), death: Death::Hang }))
    }

    fn publish(&self) {
        let Some(life) = &self.life else { return };
        let status = |actor: ActorId| {
            let (record, pong) = (self.records.get(&actor), self.plan.wiring.pongs.get(actor));
            ActorStatus {
                name: self.name(actor),
                state: "running".to_owned(),
                generation: life.generation(),
                restarts: record.map_or(0, |record| record.restarts),
                answered_in_ms: pong.map(|pong| pong.answered_ms.saturating_sub(pong.asked_ms)),
                last_error: record.and_then(|record| record.last_error.clone()),
            }
        };
        let failed = |instance: &InstanceId| ActorStatus {
            name: format!("strategy {instance}"),
            state: "failed".to_owned(),
            generation: self.generation,
            restarts: INTENSITY_MAX as u64,
            answered_in_ms: None,
            last_error: Some("died too often".to_owned()),
        };
        let actors: Vec<ActorStatus> = life.actors().map(status).chain(self.failed.iter().map(failed)).collect();
        self.plan.wiring.board.update(|status| status.actors = actors);
    }

    /// An orderly stop: no new entries, what is on its way arrives, what is known is kept.
    fn stop(&mut self) {
        let wiring = self.plan.wiring.clone();
        wiring.counters.set_stopping();
        wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::Command(Command::StopEntries)));
        self.drain();
        if let Some(life) = &self.life {
            life.stop_feed();
        }
        save_strategies(&wiring);
        wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::Save));
        self.drain();
        wiring.latch.begin_executor_generation(Permission::Nothing);
        self.end_life();
    }

    fn drain(&self) {
        let clock = &self.plan.wiring.clock;
        let until = clock.monotonic_ms() + self.plan.timing.drain_timeout_ms;
        while !self.plan.wiring.router.is_quiet() {
            if clock.monotonic_ms() > until {
                tracing::warn!("the queues did not drain in time; the next start reconciles what is left");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn save_strategies(wiring: &Wiring) {
    for place in 0..wiring.setup.instances.len() {
        if let Ok(index) = u16::try_from(place) {
            wiring.router.send(Envelope::Strategy(InstanceIndex(index), StrategyMessage::Save));
        }
    }
}
