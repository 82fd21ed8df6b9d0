//! One life of all actors: fresh machines from the disk, on fresh arbiters.
//!
//! It must never begin with anything that an earlier life had in memory.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, Arbiter, Context, Recipient};
use domain::{InstanceId, Instrument, Permission, ReasonCode, Scope};
use engine::executor::Executor;
use engine::family_risk::FamilyRisk;
use engine::global_risk::GlobalRisk;
use engine::health_monitor::HealthMonitor;
use engine::market_data::MarketData;
use engine::reconciler::Reconciler;
use engine::strategy_machine::StrategyMachine;
use engine::{ActorId, BookState, FamilyIndex, InstanceIndex};
use risk::{Release, Restriction};
use store::StoreError;

use crate::guard::{Guard, Report};
use crate::machine::Machine;
use crate::shell::{Fail, Ping, Shell, Stop};
use crate::venue::Venue;
use crate::wiring::Wiring;

/// Messages that may wait for one actor.
const MAILBOX: usize = 16_384;
/// How long the actors may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an arbiter may take to end before it is left to itself.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a life could not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifeError {
    /// The book could not be read.
    #[error("the book could not be read: {0}")]
    Book(String),
    /// The journal does not become durable.
    #[error("the journal does not become durable, so that nothing can be reloaded: {0}")]
    Journal(String),
    /// A thread did not come up.
    #[error("the {0} thread did not start in time; the machine is out of threads or badly overloaded")]
    Thread(&'static str),
}

/// What is put together below the machines, and nowhere else: feed, orders, candles. One for each mode.
pub trait Composition: Send + Sync {
    /// Where orders go and candles come from; called on each arbiter that needs it.
    fn venue(&self, wiring: &Wiring) -> Venue;

    /// Starts the feed on the trading arbiter; what it returns is dropped when the feed must end.
    fn feed(&self, wiring: &Wiring) -> Box<dyn Any>;
}

thread_local! {
    /// The feed of the life that runs on this arbiter.
    static FEED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

struct ActorHandle {
    thread: usize,
    ping: Recipient<Ping>,
    stop: Recipient<Stop>,
    fail: Recipient<Fail>,
}

struct Thread {
    name: &'static str,
    arbiter: Arbiter,
    answered_ms: Arc<AtomicU64>,
}

/// One life.
pub struct Life {
    generation: u64,
    began_ms: u64,
    threads: Vec<Thread>,
    actors: BTreeMap<ActorId, ActorHandle>,
    instruments: Arc<Vec<Instrument>>,
    wiring: Wiring,
}

/// What a life is begun with.
pub(crate) struct Beginning {
    pub(crate) wiring: Wiring,
    pub(crate) composition: Arc<dyn Composition>,
    pub(crate) instruments: Arc<Vec<Instrument>>,
    pub(crate) reports: Sender<Report>,
    pub(crate) book: std::path::PathBuf,
}

type Handles = Vec<(ActorId, ActorHandle)>;

/// Makes the shells of one arbiter, in it.
struct Nursery {
    wiring: Wiring,
    venue: Rc<Venue>,
    generation: u64,
    thread: usize,
    reports: Sender<Report>,
    handles: Handles,
}

impl Nursery {
    fn bear<M: Machine>(&mut self, id: ActorId, machine: M) {
        let guard = Guard::new(id, self.generation, self.reports.clone());
        let shell = Shell::new(id, machine, self.wiring.clone(), self.venue.clone(), guard);
        let address = Shell::create(|context: &mut Context<Shell<M>>| {
            context.set_mailbox_capacity(MAILBOX);
            shell
        });
        self.wiring.router.register(id, self.generation, address.clone().recipient());
        let (ping, stop, fail) = (address.clone().recipient(), address.clone().recipient(), address.recipient());
        self.handles.push((id, ActorHandle { thread: self.thread, ping, stop, fail }));
    }
}

impl Beginning {
    /// Begins life `generation` without the strategies in `failed`.
    pub(crate) fn begin(&self, generation: u64, failed: &[InstanceId]) -> Result<Life, LifeError> {
        let state = self.reload(generation)?;
        let clock = &self.wiring.clock;
        if let Ok(mut kept) = self.wiring.kept.lock() {
            kept.clone_from(&state.strategies);
        }
        let mut life = Life {
            generation,
            began_ms: clock.monotonic_ms(),
            threads: Vec::new(),
            actors: BTreeMap::new(),
            instruments: self.instruments.clone(),
            wiring: self.wiring.clone(),
        };
        let (setup, latch) = (self.wiring.setup.clone(), self.wiring.latch.clone());
        let market_data = MarketData::new(&setup, state.head);
        let global_risk = GlobalRisk::new(&setup, &state, latch);
        let executor = Executor::new(&setup, &state);
        let reconciler = Reconciler::new(&setup, engine::system::base_assets(&state));
        let mut strategies = Vec::new();
        for (place, config) in setup.instances.iter().enumerate() {
            let index = InstanceIndex(u16::try_from(place).unwrap_or(u16::MAX));
            if !failed.contains(&config.id) {
                strategies.push((index, StrategyMachine::new(&setup, index, &state.strategies)));
            }
        }
        let families: Vec<_> = (0..setup.families.len())
            .filter_map(|place| u16::try_from(place).ok().map(FamilyIndex))
            .map(|index| (index, FamilyRisk::new(&setup, index)))
            .collect();
        let composition = self.composition.clone();
        let wiring = self.wiring.clone();
        // In the order of dependency: who is told comes before who tells.
        self.thread(&mut life, "health", |nursery| {
            nursery.bear(ActorId::HealthMonitor, HealthMonitor::new(&nursery.wiring.setup.clone()));
        })?;
        self.thread(&mut life, "reconciler", move |nursery| nursery.bear(ActorId::Reconciler, reconciler))?;
        self.thread(&mut life, "trading", move |nursery| {
            nursery.bear(ActorId::Executor, executor);
            nursery.bear(ActorId::GlobalRisk, global_risk);
            for (index, family) in families {
                nursery.bear(ActorId::FamilyRisk(index), family);
            }
            for (index, strategy) in strategies {
                nursery.bear(ActorId::Strategy(index), strategy);
            }
            nursery.bear(ActorId::MarketData, market_data);
            FEED.with(|feed| *feed.borrow_mut() = Some(composition.feed(&wiring)));
        })?;
        Ok(life)
    }

    fn thread(
        &self,
        life: &mut Life,
        name: &'static str,
        bear: impl FnOnce(&mut Nursery) + Send + 'static,
    ) -> Result<(), LifeError> {
        let arbiter = Arbiter::new();
        let (wiring, composition, reports) = (self.wiring.clone(), self.composition.clone(), self.reports.clone());
        let (generation, thread) = (life.generation, life.threads.len());
        let (born, birth) = channel();
        arbiter.spawn_fn(move || {
            let venue = Rc::new(composition.venue(&wiring));
            let mut nursery = Nursery { wiring, venue, generation, thread, reports, handles: Vec::new() };
            bear(&mut nursery);
            let _ = born.send(nursery.handles);
        });
        let answered_ms = Arc::new(AtomicU64::new(life.began_ms));
        life.threads.push(Thread { name, arbiter, answered_ms });
        let handles = birth.recv_timeout(START_TIMEOUT).map_err(|_| LifeError::Thread(name))?;
        life.actors.extend(handles);
        Ok(())
    }

    /// The book as the disk has it, once everything that was appended is there.
    fn reload(&self, generation: u64) -> Result<BookState, LifeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| LifeError::Book(error.to_string()))?;
        let fail = |error: StoreError| LifeError::Book(error.to_string());
        let loaded = runtime.block_on(async {
            if generation > 1 {
                self.wiring.journal.flushed(END_TIMEOUT).await.map_err(LifeError::Journal)?;
            }
            store::book::load(&self.book).await.map_err(fail)
        })?;
        let mut state = loaded.book;
        state.instruments = self.instruments.as_ref().clone();
        // The stricter of file and journal wins, and only a person can undo it.
        let latch = self.wiring.latch_file.read();
        if latch < Permission::All {
            state.restrictions.push(Restriction {
                scope: Scope::Global,
                permission: latch,
                reason: ReasonCode::SafeMode,
                since: state.head.unwrap_or_default(),
                release: Release::OperatorOnly,
            });
        }
        Ok(state)
    }
}

impl Life {
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn began_ms(&self) -> u64 {
        self.began_ms
    }

    pub(crate) fn instruments(&self) -> Arc<Vec<Instrument>> {
        self.instruments.clone()
    }

    pub(crate) fn actors(&self) -> impl Iterator<Item = ActorId> {
        self.actors.keys().copied()
    }

    /// Asks every actor through its mailbox, and every thread beside it.
    pub(crate) fn ping(&self, now_ms: u64) {
        for actor in self.actors.values() {
            let _ = actor.ping.try_send(Ping { asked_ms: now_ms });
        }
        for thread in &self.threads {
            let (answered, clock) = (thread.answered_ms.clone(), self.wiring.clock.clone());
            thread.arbiter.spawn_fn(move || answered.store(clock.monotonic_ms(), Relaxed));
        }
    }

    /// When the thread of `actor` answered last.
    pub(crate) fn thread_answered_ms(&self, actor: ActorId) -> u64 {
        let thread = self.actors.get(&actor).and_then(|handle| self.threads.get(handle.thread));
        thread.map_or(0, |thread| thread.answered_ms.load(Relaxed))
    }

    pub(crate) fn fail(&self, actor: ActorId, fail: Fail) {
        if let Some(handle) = self.actors.get(&actor) {
            let _ = handle.fail.try_send(fail);
        }
    }

    /// Ends the feed; the actors go on.
    pub(crate) fn stop_feed(&self) {
        for thread in &self.threads {
            thread.arbiter.spawn_fn(drop_feed);
        }
    }

    /// Ends everything. A thread that does not end in time is left to itself: the latch's generation keeps it harmless.
    pub(crate) fn end(self) {
        self.stop_feed();
        for actor in self.actors.values() {
            let _ = actor.stop.try_send(Stop);
        }
        let ended = Arc::new(Mutex::new(0));
        let count = self.threads.len();
        for thread in self.threads {
            thread.arbiter.stop();
            let ended = ended.clone();
            let joined = std::thread::Builder::new().name("joiner".into()).spawn(move || {
                if thread.arbiter.join().is_err() {
                    tracing::error!(thread = thread.name, "a thread of actors ended with a panic");
                }
                if let Ok(mut ended) = ended.lock() {
                    *ended += 1;
                }
            });
            drop(joined);
        }
        for _ in 0..(END_TIMEOUT.as_millis() / 5) {
            if ended.lock().is_ok_and(|ended| *ended == count) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        tracing::warn!("a thread of actors did not end in time and is left to itself");
    }
}

fn drop_feed() {
    FEED.with(|feed| feed.borrow_mut().take());
}
