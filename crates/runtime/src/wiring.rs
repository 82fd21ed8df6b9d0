//! What every shell is connected to.
//!
//! It must never hold a thing that belongs to one life of an actor: wiring outlives them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use domain::{InstanceId, Symbol, Timestamp, TradingMode};
use engine::{SavedStrategy, Setup};
use risk::SafetyLatch;
use store::{Journal, LatchFile};

use crate::clock::Clock;
use crate::guard::Pongs;
use crate::history::History;
use crate::router::Router;
use crate::status::{Counters, StatusBoard};

/// Connections of every shell. Handles share what they connect to.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// To the other actors.
    pub router: Router,
    /// To the disk.
    pub journal: Journal,
    /// The clocks.
    pub clock: Clock,
    /// The safety latch.
    pub latch: SafetyLatch,
    /// Its file.
    pub latch_file: LatchFile,
    /// The configuration, in the machines' words.
    pub setup: Arc<Setup>,
    /// Where answers to pings go.
    pub pongs: Pongs,
    /// What people see.
    pub board: StatusBoard,
    /// Counts of this process.
    pub counters: LiveCounters,
    /// Candles of the past that are kept here.
    pub history: History,
    /// What does not change while the process runs.
    pub identity: Arc<Identity>,
    /// Up to where the kept states of strategies have seen candles, as the last reload found them.
    pub kept: Arc<Mutex<Vec<SavedStrategy>>>,
}

impl Wiring {
    /// Up to where the kept state of a strategy has seen candles.
    #[must_use]
    pub fn through(&self, instance: &InstanceId, symbol: &Symbol) -> Option<Timestamp> {
        let kept = self.kept.lock().ok()?;
        kept.iter().find(|kept| kept.instance == *instance && kept.symbol == *symbol).map(|kept| kept.through)
    }
}

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// How it trades.
    pub mode: TradingMode,
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the configuration.
    pub config_hash: String,
}

#[derive(Debug, Default)]
struct Cells {
    market_events: AtomicU64,
    inputs_rejected: AtomicU64,
    orders_sent: AtomicU64,
    feed_connected: AtomicBool,
    stopping: AtomicBool,
}

/// Counts of this process, over all lives of its actors.
#[derive(Debug, Clone, Default)]
pub struct LiveCounters(Arc<Cells>);

impl LiveCounters {
    /// An order was handed to the exchange.
    pub fn orders_sent(&self) {
        self.0.orders_sent.fetch_add(1, Relaxed);
    }

    /// MarketData has taken in and refused so many.
    pub fn market(&self, events: u64, rejected: u64) {
        self.0.market_events.store(events, Relaxed);
        self.0.inputs_rejected.store(rejected, Relaxed);
    }

    /// Whether the feed is connected.
    pub fn set_feed_connected(&self, connected: bool) {
        self.0.feed_connected.store(connected, Relaxed);
    }

    /// Whether the feed is connected.
    #[must_use]
    pub fn feed_connected(&self) -> bool {
        self.0.feed_connected.load(Relaxed)
    }

    /// The service is stopping.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Relaxed);
    }

    /// Whether the service is stopping.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.0.stopping.load(Relaxed)
    }

    /// The counts, with those that only GlobalRisk knows.
    #[must_use]
    pub fn read(&self, fills_booked: u64, intents_refused: u64) -> Counters {
        Counters {
            market_events: self.0.market_events.load(Relaxed),
            inputs_rejected: self.0.inputs_rejected.load(Relaxed),
            orders_sent: self.0.orders_sent.load(Relaxed),
            fills_booked,
            intents_refused,
        }
    }
}
