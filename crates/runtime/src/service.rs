//! The service: everything of one process put together and taken apart in order.
//!
//! It must never start on a book that another process holds, or on a feed that is older than the book.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use domain::{Instrument, Permission};
use engine::{ActorId, Envelope, JournalEntry, Record, Setup};
use risk::SafetyLatch;
use store::writer::{JournalThread, Write};
use store::{Journal, LatchFile, StoreError};

use crate::clock::Clock;
use crate::guard::{Pongs, Report};
use crate::history::History;
use crate::life::{Beginning, Composition};
use crate::router::Router;
use crate::shell::Fail;
use crate::status::StatusBoard;
use crate::supervisor::{self, Fatal, Order, Plan, Timing};
use crate::wiring::{Identity, LiveCounters, Wiring};

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The actors did not come up.
    #[error(transparent)]
    Start(#[from] Fatal),
    /// A thread did not come up.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What a service is made of.
pub struct Parts {
    /// The configuration in the machines' words, with this boot's number.
    pub setup: Setup,
    /// What does not change.
    pub identity: Identity,
    /// The book's database; its lock is held by the caller.
    pub book: PathBuf,
    /// The clock, with the exchange's time known.
    pub clock: Clock,
    /// The rules of the instruments.
    pub instruments: Vec<Instrument>,
    /// Candles of the past that are kept here.
    pub history: History,
    /// How the supervisor works.
    pub timing: Timing,
    /// Called when the process must end; the default of the binary logs and exits.
    pub on_fatal: Box<dyn Fn(&Fatal) + Send>,
}

/// A service that is being put together: its wiring is there, its actors are not.
pub struct Assembly {
    parts: Parts,
    wiring: Wiring,
    reports: Sender<Report>,
    reports_out: std::sync::mpsc::Receiver<Report>,
    journal_thread: JournalThread,
}

/// A service that runs.
pub struct Service {
    wiring: Wiring,
    orders: Sender<Order>,
    supervisor: JoinHandle<()>,
    journal_thread: JournalThread,
    system: actix::System,
    system_thread: JoinHandle<()>,
}

impl Assembly {
    /// Opens the journal and lays the wiring.
    ///
    /// # Errors
    /// Where the book cannot be opened.
    pub fn new(parts: Parts) -> Result<Self, ServiceError> {
        let (journal, journal_thread) = Journal::open(&parts.book)?;
        let (reports, reports_out) = channel();
        let wiring = Wiring {
            router: Router::new(reports.clone()),
            journal,
            clock: parts.clock.clone(),
            latch: SafetyLatch::new(Permission::Nothing),
            latch_file: LatchFile::beside(&parts.book),
            setup: Arc::new(parts.setup.clone()),
            pongs: Pongs::default(),
            board: StatusBoard::default(),
            counters: LiveCounters::default(),
            history: parts.history.clone(),
            identity: Arc::new(parts.identity.clone()),
            kept: Arc::new(Mutex::new(Vec::new())),
        };
        Ok(Self { parts, wiring, reports, reports_out, journal_thread })
    }

    /// The wiring, for the composition.
    #[must_use]
    pub const fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Starts the actors under recovery, with what `composition` puts below them.
    ///
    /// # Errors
    /// Where they do not come up; the book is as it was.
    pub fn start(self, composition: Arc<dyn Composition>) -> Result<Service, ServiceError> {
        let (orders, orders_out) = channel();
        let started = Record::Started {
            boot: self.parts.setup.boot,
            mode: self.parts.identity.mode,
            version: self.parts.identity.version.clone(),
            config_hash: self.parts.identity.config_hash.clone(),
        };
        append(&self.wiring, started);
        let (system_sender, system_receiver) = channel();
        let system_thread = std::thread::Builder::new().name("actors".into()).spawn(move || {
            let runner = actix::System::new();
            let _ = system_sender.send(actix::System::current());
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the actor system ended with an error");
            }
        })?;
        let system = system_receiver.recv().map_err(|error| std::io::Error::other(error.to_string()))?;
        let beginning = Beginning {
            wiring: self.wiring.clone(),
            composition,
            instruments: Arc::new(self.parts.instruments),
            reports: self.reports,
            book: self.parts.book,
        };
        let of_supervisor = system.clone();
        let plan = Plan {
            wiring: self.wiring.clone(),
            timing: self.parts.timing,
            spawn: Box::new(move |generation, failed| {
                actix::System::set_current(of_supervisor.clone());
                beginning.begin(generation, failed)
            }),
            on_fatal: self.parts.on_fatal,
            orders: orders_out,
            reports: self.reports_out,
        };
        let (supervisor, starting) = supervisor::start(plan)?;
        starting.recv().map_err(|error| std::io::Error::other(error.to_string()))??;
        let (wiring, journal_thread) = (self.wiring, self.journal_thread);
        Ok(Service { wiring, orders, supervisor, journal_thread, system, system_thread })
    }
}

fn append(wiring: &Wiring, record: Record) {
    let time = wiring.clock.now();
    let correlation_id = domain::CorrelationId::default();
    let entry = JournalEntry { time, actor: ActorId::GlobalRisk, correlation_id, record };
    if wiring.journal.append(Write::Entry(Box::new(entry))).is_err() {
        tracing::error!("the journal took no entry of the start or stop");
    }
}

impl Service {
    /// What people see.
    #[must_use]
    pub const fn board(&self) -> &StatusBoard {
        &self.wiring.board
    }

    /// The wiring, to look at.
    #[must_use]
    pub const fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Delivers a message as the feed or a person would.
    pub fn send(&self, envelope: Envelope) {
        self.wiring.router.send(envelope);
    }

    /// Makes an actor fail on purpose, for tests of the supervision.
    pub fn fail(&self, actor: ActorId, fail: Fail) {
        let _ = self.orders.send(Order::Fail(actor, fail));
    }

    /// Stops in order: entries stop, queues drain within a bound, the journal is flushed.
    pub fn stop(self) {
        let _ = self.orders.send(Order::Stop);
        if self.supervisor.join().is_err() {
            tracing::error!("the supervisor died while stopping");
        }
        append(&self.wiring, Record::Stopped { boot: self.wiring.setup.boot });
        self.wiring.journal.close();
        self.journal_thread.join();
        self.system.stop();
        if self.system_thread.join().is_err() {
            tracing::error!("the actor system died while stopping");
        }
    }
}
