//! The server's one state: model, market, clock and listeners, changed only under its lock.
//!
//! It must never let an answer or an event leave before the state that it tells of is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::{ClientOrderId, Interval, MarketEvent, Symbol, SymbolStatus, Timestamp};

use super::clock::Wall;
use super::feed::Feeds;
use super::hub::{Delivery, Hub};
use super::keys::Keys;
use super::limits::Meter;
use super::pace::MarketClock;
use super::sapi::Notices;
use super::state::{self, Position, Saved, SavedCrash, StateError, VERSION};
use super::tape::Tape;
use super::{ServerConfig, ServerError, wire};
use crate::faults::Faults;
use crate::market::Market;
use crate::model::{AccountId, Model};

/// Events released under one hold of the lock, so that requests come between.
const PUMP_MAX: usize = 20_000;
/// The lease of the clock, in real milliseconds: a start after a kill goes on at most so far ahead.
const LEASE_MS: f64 = 10_000.0;

/// Where the state is written, and until when the written clock reaches.
#[derive(Debug)]
struct Durable {
    path: PathBuf,
    lease: i64,
}

/// Everything the server knows.
pub(super) struct Core {
    pub(super) model: Model,
    pub(super) market: Market,
    pub(super) clock: MarketClock,
    pub(super) hub: Hub,
    pub(super) tapes: BTreeMap<Symbol, Tape>,
    pub(super) keys: Keys,
    pub(super) meter: Meter,
    pub(super) feeds: Feeds,
    pub(super) faults: Faults,
    pub(super) notices: Notices,
    pub(super) wall: Wall,
    /// The machine's time when the wall clock started, where requests may be stamped with it.
    pub(super) machine_time: Option<i64>,
    pub(super) market_name: String,
    pub(super) market_start: i64,
    durable: Option<Durable>,
    position: Position,
    pub(super) crashes: Vec<SavedCrash>,
    pub(super) execution_id: u64,
    generated: u64,
    pub(super) is_dirty: bool,
}

impl Core {
    pub(super) fn new(config: ServerConfig) -> Result<Self, ServerError> {
        let wall = Wall::start();
        let mut market = config.market;
        market.aggregate(&Interval::ALL);
        let start = market.start().ok_or(ServerError::EmptyMarket)?.as_millis();
        let saved = match &config.state_path {
            Some(path) => state::load(path)?,
            None => None,
        };
        if let (Some(saved), Some(path)) = (&saved, &config.state_path) {
            saved.check_market(path, &config.market_name, start)?;
        }
        let begun = market.peek_time().map_or(start, Timestamp::as_millis);
        let saved = saved.unwrap_or_else(|| Saved {
            version: VERSION,
            market: config.market_name.clone(),
            market_start: start,
            clock: begun,
            position: Position { time: begun, index: 0 },
            crashes: Vec::new(),
            execution_id: 0,
            model: Model::new(config.settings.clone(), market.instruments()),
        });
        let clock = MarketClock::new(config.pace, saved.clock, wall.elapsed());
        let mut core = Self {
            model: saved.model,
            market,
            clock,
            hub: Hub::default(),
            tapes: BTreeMap::new(),
            keys: Keys::default(),
            meter: Meter::new(config.limits),
            feeds: Feeds::default(),
            faults: Faults::new(config.scenario.as_ref().map_or(0, |scenario| scenario.seed)),
            notices: Notices::default(),
            wall,
            machine_time: config.machine_time.map(Timestamp::as_millis),
            market_name: config.market_name,
            market_start: start,
            durable: config.state_path.map(|path| Durable { path, lease: i64::MIN }),
            position: saved.position,
            crashes: saved.crashes,
            execution_id: saved.execution_id,
            generated: 0,
            is_dirty: true,
        };
        core.model.set_settings(config.settings);
        core.open_accounts(&config.accounts)?;
        core.restore_market();
        let now = core.now();
        for fault in config.scenario.into_iter().flat_map(|scenario| scenario.faults) {
            core.faults.add(fault, now);
        }
        core.run_faults(now);
        core.commit()?;
        Ok(core)
    }

    fn open_accounts(&mut self, accounts: &[super::AccountConfig]) -> Result<(), ServerError> {
        let now = Timestamp::from_millis(self.position.time);
        for config in accounts {
            let account = AccountId::new(&config.id);
            for key in &config.keys {
                if self.keys.account_of(&key.api_key).is_some() {
                    return Err(ServerError::SameKey(config.id.clone()));
                }
                if !self.keys.add(&account, key, now.as_millis()) {
                    return Err(ServerError::BadKey(config.id.clone()));
                }
            }
            // An account that the state knows keeps what it has.
            if self.model.accounts().any(|known| *known == account) {
                continue;
            }
            self.model.add_account(&account);
            for (asset, amount) in &config.deposits {
                self.model
                    .deposit(&account, asset, *amount, now)
                    .map_err(|refusal| ServerError::BadDeposit(config.id.clone(), refusal))?;
            }
        }
        Ok(())
    }

    /// Puts the market where the state left it, and lives through what came since if time runs by itself.
    fn restore_market(&mut self) {
        for crash in &self.crashes {
            let applied = self.market.crash(&crash.symbol, crash.share, Timestamp::from_millis(crash.at));
            if let Err(error) = applied {
                tracing::warn!(%error, "a saved crash is left out");
            }
        }
        if self.position.index > 0 || self.market.peek_time() != Some(Timestamp::from_millis(self.position.time)) {
            self.market.seek(Timestamp::from_millis(self.position.time));
            (0..self.position.index).for_each(|_| drop(self.market.next()));
        }
        let at = Timestamp::from_millis(self.position.time);
        let symbols = self.market.instruments().into_iter().map(|instrument| instrument.symbol);
        self.tapes = symbols.map(|symbol| (symbol.clone(), Tape::new(&symbol, &self.market, at))).collect();
        if !self.clock.is_stepped() {
            let now = self.now();
            while self.release(now, PUMP_MAX) > 0 {}
        }
    }

    /// The exchange's time.
    pub(super) fn now(&mut self) -> i64 {
        self.clock.now(self.wall.elapsed())
    }

    pub(super) fn wall(&self) -> std::time::Duration {
        self.wall.elapsed()
    }

    /// Releases what is due by a clock that runs by itself.
    pub(super) fn pump(&mut self) {
        if !self.clock.is_stepped() && !self.clock.is_paused() {
            let now = self.now();
            self.release(now, PUMP_MAX);
        }
        let now = self.now();
        self.run_faults(now);
    }

    /// How long until the next event is due; `None` while time stands.
    pub(super) fn until_next(&self) -> Option<std::time::Duration> {
        let event = self.market.peek_time().map(Timestamp::as_millis);
        let next = event.into_iter().chain(self.next_beat()).chain(self.faults.next_due()).min()?;
        self.clock.until(next, self.wall.elapsed())
    }

    /// Releases events up to `until`; how many.
    pub(super) fn release(&mut self, until: i64, max: usize) -> usize {
        let mut released = 0;
        while released < max
            && let Some(time) = self.market.peek_time().map(Timestamp::as_millis).filter(|time| *time <= until)
        {
            // Before the event is made: a fault may change what it tells.
            self.live_until(time);
            let Some(event) = self.market.next() else { break };
            self.apply(&event);
            released += 1;
        }
        if released < max && until < i64::MAX {
            self.live_until(until);
        }
        released
    }

    /// What happens at times, up to the next event of the market.
    fn live_until(&mut self, time: i64) {
        if self.clock.is_stepped() {
            self.clock.step_to(time);
        }
        self.run_faults(time);
        self.beat(time);
    }

    fn apply(&mut self, event: &MarketEvent) {
        let time = event.time().as_millis();
        self.position = match self.position {
            Position { time: last, index } if last == time => Position { time, index: index + 1 },
            _ => Position { time, index: 1 },
        };
        if self.clock.is_stepped() {
            self.clock.step_to(time);
        }
        let mut events = Vec::new();
        match event {
            MarketEvent::Trade(trade) => self.model.on_trade(trade, &mut events),
            MarketEvent::Quote(quote) => self.model.on_quote(quote, &mut events),
            MarketEvent::Candle(_) => {}
        }
        // While a symbol is on a break the exchange tells nothing of its market.
        let status = self.model.instrument(event.symbol()).map(|instrument| &instrument.status);
        if status != Some(&SymbolStatus::Break) {
            self.broadcast(event, time);
            let update = self.tapes.get(event.symbol()).map_or(0, |tape| tape.update);
            self.feed(event, update);
        }
        self.tell(&events, None);
    }

    fn broadcast(&mut self, event: &MarketEvent, now: i64) {
        let Some(tape) = self.tapes.get_mut(event.symbol()) else { return };
        let hub = &mut self.hub;
        match event {
            MarketEvent::Trade(trade) => {
                tape.on_trade(trade);
                for (name, is_aggregate) in [(&tape.names.aggregate_trade, true), (&tape.names.trade, false)] {
                    if hub.is_wanted(name) {
                        hub.publish(name, &wire::trade_event(trade, is_aggregate, now));
                    }
                }
                for interval in Interval::ALL {
                    if hub.is_wanted(&tape.names.kline[&interval])
                        && let Some(candle) = tape.due_update(interval, now)
                    {
                        let event = wire::kline_event(&candle, false, trade.id, now);
                        hub.publish(&tape.names.kline[&interval], &event);
                    }
                }
            }
            MarketEvent::Quote(quote) => {
                tape.update += 1;
                if hub.is_wanted(&tape.names.book_ticker) {
                    hub.publish(&tape.names.book_ticker, &wire::book_ticker_event(quote, tape.update));
                }
            }
            MarketEvent::Candle(candle) => {
                tape.on_candle(candle);
                let name = &tape.names.kline[&candle.interval];
                if hub.is_wanted(name) {
                    hub.publish(name, &wire::kline_event(candle, true, tape.last_trade_id(), now));
                }
            }
        }
    }

    /// Writes the state if anything of it may be seen, then lets the frames go.
    pub(super) fn commit(&mut self) -> Result<(), StateError> {
        self.secure()?;
        let now = self.now();
        self.hub.flush(&mut self.faults, now);
        Ok(())
    }

    /// As [`Core::commit`], but the frames are the caller's to send.
    pub(super) fn commit_taking(&mut self) -> Result<Delivery, StateError> {
        self.secure()?;
        let now = self.now();
        Ok(self.hub.take(&mut self.faults, now))
    }

    fn lead(&self) -> i64 {
        if self.clock.is_stepped() { 0 } else { (LEASE_MS * self.clock.speed().max(1.0)) as i64 }
    }

    fn secure(&mut self) -> Result<(), StateError> {
        let (now, lead) = (self.now(), self.lead());
        let is_due = |durable: &Durable| now + lead / 2 > durable.lease;
        if self.is_dirty || self.durable.as_ref().is_some_and(is_due) {
            // Clients that cannot be told the truth are told nothing: they see their connection end.
            self.save(now.saturating_add(lead)).inspect_err(|_| self.hub.disconnect_all())?;
        }
        Ok(())
    }

    /// Writes the state with the clock's exact time: nothing is served after it.
    pub(super) fn save_exact(&mut self) -> Result<(), StateError> {
        let now = self.now();
        self.save(now)
    }

    fn save(&mut self, lease: i64) -> Result<(), StateError> {
        if let Some(durable) = &mut self.durable {
            let saved = Saved {
                version: VERSION,
                market: self.market_name.clone(),
                market_start: self.market_start,
                clock: lease,
                position: self.position,
                crashes: self.crashes.clone(),
                execution_id: self.execution_id,
                model: &self.model,
            };
            saved.write(&durable.path)?;
            durable.lease = lease;
        }
        self.is_dirty = false;
        Ok(())
    }

    /// A client order id for a request that has none.
    pub(super) fn generate_id(&mut self) -> ClientOrderId {
        self.generated += 1;
        let text = format!("sim-{:x}-{:x}", self.now(), self.generated);
        ClientOrderId::new(&text).expect("invariant: hexadecimal digits and '-' make a client order id")
    }
}
