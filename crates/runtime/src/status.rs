//! What the service shows of itself: one value, made by the shells, read by people and programs.
//!
//! It must never be asked of a machine while it works: shells publish it, readers take the last one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use domain::{Notional, Permission, Price, Quantity, Ratio, Severity, Timestamp, TradingMode};
use serde::{Deserialize, Serialize};

/// A result in figures. Amounts in the portfolio's currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Equity now.
    pub equity: Notional,
    /// Capital given, with flows.
    pub capital: Notional,
    /// Of what was closed, before fees.
    pub realized: Notional,
    /// Of what is held, at the last marks.
    pub unrealized: Notional,
    /// Fees.
    pub fees: Notional,
    /// Equity less the equity when the UTC day began.
    pub day_result: Notional,
    /// Fall from the high-water mark.
    pub drawdown: Ratio,
    /// Closed trades.
    pub trades: u64,
    /// Of these, with a profit.
    pub wins: u64,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// Its family.
    pub family: String,
    /// The kind of its strategy.
    pub strategy: String,
    /// Its symbols.
    pub symbols: Vec<String>,
    /// What it may do now.
    pub permission: Permission,
    /// Its results.
    pub figures: Figures,
}

/// One position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionStatus {
    /// Whose.
    pub instance: String,
    /// Of which market.
    pub symbol: String,
    /// In base units; above zero is long.
    pub quantity: Quantity,
    /// What it cost on average.
    pub average_price: Option<Price>,
    /// The last mark.
    pub mark: Option<Price>,
    /// Value at the mark.
    pub value: Notional,
    /// Open result at the mark.
    pub unrealized: Notional,
    /// Where the loss is cut; `None` means that it is not guarded.
    pub stop: Option<Price>,
    /// Where the profit is taken.
    pub take_profit: Option<Price>,
    /// How much of it stops cover that rest on the exchange, in base units; the service watches the rest.
    pub resting: Quantity,
    /// Too little to be sold.
    pub dust: bool,
    /// Since when.
    pub opened_at: Option<Timestamp>,
}

/// One order of which something is still expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStatus {
    /// Our id.
    pub id: String,
    /// Whose.
    pub instance: String,
    /// Of which market.
    pub symbol: String,
    /// BUY or SELL.
    pub side: String,
    /// What it is for.
    pub purpose: String,
    /// In base units.
    pub quantity: Quantity,
    /// Filled so far.
    pub executed: Quantity,
    /// Limit price, or the trigger of a stop without one.
    pub price: Option<Price>,
    /// Where it is.
    pub state: String,
    /// Since when.
    pub intended_at: Timestamp,
}

/// One restriction in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictionStatus {
    /// What it applies to.
    pub scope: String,
    /// What is still permitted.
    pub permission: Permission,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// What ends it.
    pub release: String,
}

/// One actor, as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorStatus {
    /// Its name.
    pub name: String,
    /// running, restarting or failed.
    pub state: String,
    /// Counted from 1; each restart is a new one.
    pub generation: u64,
    /// Restarts in this process.
    pub restarts: u64,
    /// How long it took to answer the last ping, in milliseconds; `None` before the first answer.
    pub answered_in_ms: Option<u64>,
    /// Why it died the last time.
    pub last_error: Option<String>,
}

/// One thing that happened, for the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// When, in exchange time.
    pub time: Timestamp,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub text: String,
}

/// Counts since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Market events taken in.
    pub market_events: u64,
    /// Market data refused.
    pub inputs_rejected: u64,
    /// Orders handed to the exchange.
    pub orders_sent: u64,
    /// Fills booked.
    pub fills_booked: u64,
    /// Wishes refused by the gate.
    pub intents_refused: u64,
}

/// The whole service at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How it trades.
    pub mode: TradingMode,
    /// Version of the program.
    pub version: String,
    /// This boot.
    pub boot: u64,
    /// Process id.
    pub process: u32,
    /// starting, recovering, running or stopping.
    pub phase: String,
    /// Exchange time.
    pub time: Timestamp,
    /// How long the process runs, in milliseconds of real time.
    pub uptime_ms: u64,
    /// How long ago the last heartbeat was, in milliseconds of real time; `None` before the first.
    pub heartbeat_age_ms: Option<u64>,
    /// What the whole process may do now.
    pub permission: Permission,
    /// What the portfolio is counted in.
    pub currency: String,
    /// Of the portfolio.
    pub portfolio: Figures,
    /// Of the instances, in the order of the configuration.
    pub instances: Vec<InstanceStatus>,
    /// Everything held.
    pub positions: Vec<PositionStatus>,
    /// Orders of which something is expected.
    pub orders: Vec<OrderStatus>,
    /// Restrictions in force.
    pub restrictions: Vec<RestrictionStatus>,
    /// Actors.
    pub actors: Vec<ActorStatus>,
    /// What happened last, newest last; at most 50.
    pub events: Vec<EventLine>,
    /// Counts.
    pub counters: Counters,
    /// Why the journal cannot be written; `None` while all is well.
    pub journal_failure: Option<String>,
    /// Whether the market feed is connected.
    pub feed_connected: bool,
}

/// The last status, for everybody who wants to look. Handles share it.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard {
    latest: Arc<Mutex<Option<Status>>>,
    due: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    events: Arc<Mutex<VecDeque<EventLine>>>,
}

/// Events that the board remembers.
const EVENTS_MAX: usize = 50;

impl StatusBoard {
    /// The last status; `None` before the first.
    #[must_use]
    pub fn latest(&self) -> Option<Status> {
        let mut status = self.latest.lock().ok()?.clone()?;
        status.events.extend(self.events.lock().ok()?.iter().cloned());
        Some(status)
    }

    /// Whether the last status is of this phase.
    #[must_use]
    pub fn is_in_phase(&self, phase: &str) -> bool {
        self.latest.lock().is_ok_and(|latest| latest.as_ref().is_some_and(|status| status.phase == phase))
    }

    /// Changes the status, or puts up the first one.
    pub fn publish(&self, status: Status) {
        if let Ok(mut latest) = self.latest.lock() {
            *latest = Some(status);
        }
    }

    /// Changes a part of the last status.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        if let Ok(mut latest) = self.latest.lock()
            && let Some(status) = latest.as_mut()
        {
            change(status);
        }
    }

    /// Whether `who` should publish again: at most once in `every_ms` of monotonic time.
    #[must_use]
    pub fn is_due(&self, who: &'static str, now_ms: u64, every_ms: u64) -> bool {
        let Ok(mut due) = self.due.lock() else { return false };
        let next = due.entry(who).or_default();
        if now_ms < *next {
            return false;
        }
        *next = now_ms + every_ms;
        true
    }

    /// Adds a line to the events, and forgets the oldest beyond 50.
    pub fn event(&self, line: EventLine) {
        if let Ok(mut events) = self.events.lock() {
            events.push_back(line);
            if events.len() > EVENTS_MAX {
                events.pop_front();
            }
        }
    }
}
