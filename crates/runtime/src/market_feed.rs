//! The exchange's public market data, with what all modes share of the connection: the clock, the limits, whether the
//! exchange answers, and the rules of the instruments.
//!
//! It must never know the mode: who hears an event first is a function that the composition gives.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use domain::{Instrument, Interval, MarketEvent, MarketInputError, Symbol, SymbolStatus, Timestamp};
use engine::{Envelope, ExchangeEvent, GlobalRiskMessage, MarketDataMessage, Setup};
use exchange::binance::{
    Endpoints, Link, MarketClient, MarketStream, RestClient, RestConfig, StreamConfig, StreamEvent, StreamHandle,
    UserStreamHandle,
};
use exchange::connectivity::{Health, Permit, Sender};
use exchange::stepping::Stepper;

use crate::ban_file::BanFile;
use crate::clock::Clock;
use crate::venue::MarketSource;
use crate::wiring::Wiring;

/// How long a start waits for the exchange's first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the state of the connection is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(250);
/// How often the rules of the instruments are fetched anew (E1 looks more often at what an order refusal tells).
const INSTRUMENTS_EVERY_MS: u64 = 3_600_000;
/// The same while a symbol does not trade.
const HALTED_EVERY_MS: u64 = 5_000;
/// The shortest time between two requests of this kind.
const REFRESH_PAUSE_MS: u64 = 1_000;
/// How often the exchange's clock is measured.
const CLOCK_EVERY_MS: u64 = 600_000;

/// The exchange's public market data. Clones share the connection's state.
#[derive(Clone)]
pub struct MarketFeed {
    endpoints: Endpoints,
    stream_silence_ms: u64,
    stepped: bool,
    link: Link,
    bans: Option<BanFile>,
    refresh: Arc<AtomicBool>,
}

impl MarketFeed {
    /// Market data of the exchange at `endpoints`. A connected stream that says nothing for `stream_silence_ms` of real
    /// time is dropped.
    #[must_use]
    pub fn new(endpoints: Endpoints, clock: &Clock, stream_silence_ms: u64) -> Self {
        let refresh = Arc::default();
        Self { endpoints, stream_silence_ms, stepped: false, link: link(clock), bans: None, refresh }
    }

    /// The same on a simulator that moves only when it is asked to: as fast as this service goes, and never faster.
    #[must_use]
    pub fn stepped(self) -> Self {
        Self { stepped: true, ..self }
    }

    /// The same, with bans that outlive the process in the file at `path`. One that is in force is kept from now on.
    #[must_use]
    pub fn with_bans_in(self, path: PathBuf) -> Self {
        let bans = BanFile::at(path);
        if let Some(until) = bans.read() {
            tracing::warn!(%until, "the exchange has banned this address; nothing is asked before the ban ends");
            self.link.restore_ban(until);
        }
        Self { bans: Some(bans), ..self }
    }

    /// Where the exchange is.
    #[must_use]
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What the clients of the exchange share.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Requests, for the arbiter that calls this.
    #[must_use]
    pub fn rest(&self) -> RestClient {
        RestClient::new(RestConfig::new(self.endpoints.rest.clone()), self.link.clone())
    }

    /// Public requests, for the arbiter that calls this.
    #[must_use]
    pub fn client(&self) -> MarketClient {
        MarketClient::new(self.rest())
    }

    /// The rules of the instruments may have changed: they are fetched soon.
    pub fn refresh_instruments(&self) {
        self.refresh.store(true, Relaxed);
    }

    /// Starts the streams on the current arbiter. `hear` gets every event; a stepped simulator waits for what
    /// it sent to `account`. What it returns is dropped when the feed must end.
    pub fn start(
        &self,
        wiring: &Wiring,
        hear: impl Fn(MarketEvent) + 'static,
        account: Option<Rc<UserStreamHandle>>,
    ) -> Box<dyn Any> {
        let (symbols, intervals) = (wiring.setup.symbols(), intervals(&wiring.setup));
        let mut config = StreamConfig::new(self.endpoints.stream.clone(), symbols, intervals, self.link.clone());
        config.silence = Duration::from_millis(self.stream_silence_ms);
        config.candle_silence = config.candle_silence.max(config.silence);
        let of_sink = wiring.clone();
        let stream = Rc::new(MarketStream::spawn(config, Box::new(move |event| take(&of_sink, event, &hear))));
        actix_rt::spawn(watch(self.clone(), Rc::downgrade(&stream), wiring.clone()));
        if self.stepped {
            let barrier = Barrier {
                stepper: Stepper::new(&self.endpoints.rest),
                account: account.clone(),
                wiring: wiring.clone(),
            };
            actix_rt::spawn(barrier.step_for_ever(Rc::downgrade(&stream)));
        }
        Box::new((stream, account))
    }
}

fn link(clock: &Clock) -> Link {
    let (time, monotonic) = (clock.clone(), clock.clone());
    Link::new(Arc::new(move || time.now()), Arc::new(move || monotonic.monotonic_ms()))
}

/// The intervals that any strategy of `setup` needs.
#[must_use]
pub fn intervals(setup: &Setup) -> Vec<Interval> {
    let needs = |instance: &engine::InstanceConfig| instance.strategy.build().requirements().interval;
    let mut intervals: Vec<Interval> = setup.instances.iter().map(needs).collect();
    intervals.sort();
    intervals.dedup();
    intervals
}

/// Runs `asking` to its end on a runtime of its own, before anything is started.
///
/// # Errors
/// What it says, or that the exchange did not answer in time.
pub fn ask<T>(rest_url: &str, asking: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    actix_rt::System::new().block_on(async move {
        let late = || format!("{rest_url} did not answer within {} s", ANSWER_TIMEOUT.as_secs());
        actix_rt::time::timeout(ANSWER_TIMEOUT, asking).await.map_err(|_| late())?
    })
}

/// Asks the exchange for its time and the rules of `symbols`, before anything is started.
///
/// # Errors
/// Where it does not answer in time, or lacks a symbol.
pub fn ask_exchange(
    endpoints: &Endpoints,
    clock: &Clock,
    symbols: &[Symbol],
) -> Result<(Timestamp, Vec<Instrument>), String> {
    ask(&endpoints.rest, async {
        let rest = RestClient::new(RestConfig::new(endpoints.rest.clone()), link(clock));
        let market = MarketClient::new(rest);
        let instruments = market.instruments(symbols).await.map_err(|error| error.to_string())?;
        let time = market.time().await?;
        for symbol in symbols {
            if !instruments.iter().any(|instrument| instrument.symbol == *symbol) {
                return Err(format!("{} has no symbol {symbol}; take it out of the configuration", endpoints.rest));
            }
        }
        Ok((time, instruments))
    })
}

/// One word of the stream.
fn take(wiring: &Wiring, event: StreamEvent, hear: &impl Fn(MarketEvent)) {
    let tell = |message| wiring.router.send(Envelope::MarketData(message));
    match event {
        StreamEvent::Event(event, _) => {
            wiring.clock.saw(event.time());
            if let MarketEvent::Candle(candle) = &event {
                wiring.history.keep(candle);
            }
            hear(event);
        }
        // Not asked for: strategies live on trades, quotes and candles.
        StreamEvent::Depth(_) => {}
        StreamEvent::Rejected { kind, detail } => {
            // A frame that cannot be read at all has no kind of its own: its prices cannot be read.
            tell(MarketDataMessage::Unreadable(kind.unwrap_or(MarketInputError::BadPrice), detail));
        }
        StreamEvent::Connected { connection } => {
            wiring.counters.set_feed_connected(true);
            tracing::info!(connection, "the market stream is connected");
        }
        StreamEvent::Lost { connection, reason } => {
            wiring.counters.set_feed_connected(false);
            if !wiring.counters.stopping() {
                let text = format!("Market stream {connection} broke: {reason}. It is being opened again.");
                tell(MarketDataMessage::FeedLost(text));
            }
        }
    }
}

/// Looks at the connection for as long as the stream lives: tells when the exchange cannot be reached, keeps bans,
/// fetches the instruments' rules anew and measures the clock.
async fn watch(feed: MarketFeed, stream: Weak<StreamHandle>, wiring: Wiring) {
    let client = feed.client();
    let now = wiring.clock.monotonic_ms();
    let mut watch =
        Watch { was_down: false, banned: feed.link.ban_until(), all_trade: false, fetched_at: now, measured_at: now };
    while stream.upgrade().is_some() {
        actix_rt::time::sleep(WATCH_EVERY).await;
        watch.tell_reachability(&feed, &wiring);
        watch.keep_ban(&feed);
        watch.fetch_instruments(&feed, &client, &wiring).await;
        watch.probe(&feed, &client, wiring.clock.monotonic_ms()).await;
    }
}

/// What [`watch`] has seen; times are monotonic milliseconds.
struct Watch {
    was_down: bool,
    banned: Option<Timestamp>,
    all_trade: bool,
    fetched_at: u64,
    measured_at: u64,
}

impl Watch {
    /// Down is told at once, and its end only when the exchange is trusted again.
    fn tell_reachability(&mut self, feed: &MarketFeed, wiring: &Wiring) {
        let seen = feed.link.connectivity.reachability();
        let is_down = if self.was_down { seen.health != Health::Up } else { seen.health == Health::Down };
        if is_down == std::mem::replace(&mut self.was_down, is_down) {
            return;
        }
        let event = if is_down {
            ExchangeEvent::Unreachable(format!("{} attempts in a row came to no answer", seen.failures))
        } else {
            ExchangeEvent::Reachable
        };
        wiring.router.send(Envelope::GlobalRisk(GlobalRiskMessage::Exchange(event)));
    }

    fn keep_ban(&mut self, feed: &MarketFeed) {
        let ban = feed.link.ban_until();
        if let Some(bans) = feed.bans.as_ref().filter(|_| ban != self.banned) {
            bans.write(ban);
            self.banned = ban;
        }
    }

    /// Hourly, and often while a symbol does not trade: its positions wait for the word that it does again.
    async fn fetch_instruments(&mut self, feed: &MarketFeed, client: &MarketClient, wiring: &Wiring) {
        let now = wiring.clock.monotonic_ms();
        let age_ms = now.saturating_sub(self.fetched_at);
        let every_ms = if self.all_trade { INSTRUMENTS_EVERY_MS } else { HALTED_EVERY_MS };
        let asked = age_ms >= REFRESH_PAUSE_MS && feed.refresh.swap(false, Relaxed);
        if !asked && age_ms < every_ms {
            return;
        }
        self.fetched_at = now;
        match client.instruments(&wiring.setup.symbols()).await {
            Ok(found) => {
                let trading = found.iter().filter(|instrument| instrument.status == SymbolStatus::Trading).count();
                self.all_trade = trading == wiring.setup.symbols().len();
                wiring.router.send(Envelope::MarketData(MarketDataMessage::Instruments(Arc::new(found))));
            }
            Err(error) => {
                self.all_trade = false;
                tracing::warn!(%error, "the instruments' rules could not be fetched; those known stay, they are asked for soon");
            }
        }
    }

    /// Measures the clock now and then; while the exchange is not trusted, asks as often as probes may, so that its return
    /// is found out.
    async fn probe(&mut self, feed: &MarketFeed, client: &MarketClient, now: u64) {
        let is_up = feed.link.connectivity.reachability().health == Health::Up;
        let may = |permit| matches!(permit, Permit::Yes | Permit::Probe);
        let wanted = if is_up {
            !feed.stepped && now.saturating_sub(self.measured_at) >= CLOCK_EVERY_MS
        } else {
            now.saturating_sub(self.measured_at) >= REFRESH_PAUSE_MS
                && may(feed.link.connectivity.permit(Sender::Read, feed.link.clock.base_now()))
        };
        if !wanted {
            return;
        }
        self.measured_at = now;
        // A stepped clock stands still, so that there is nothing to measure.
        let asked = if feed.stepped { client.ping().await } else { client.rest().sync_clock().await.map(drop) };
        if let Err(error) = asked {
            tracing::debug!(%error, "the exchange did not answer a probe");
        }
    }
}

/// The barrier of stepped pacing: the simulator moves when everything that its last step caused is done.
struct Barrier {
    stepper: Stepper,
    account: Option<Rc<UserStreamHandle>>,
    wiring: Wiring,
}

impl Barrier {
    async fn step_for_ever(self, stream: Weak<StreamHandle>) {
        let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
        while !self.wiring.counters.stopping() {
            let Some(received) = stream.upgrade().map(|stream| stream.frames_by_server_number()) else { return };
            let all = expected.iter().all(|(connection, sent)| received.get(connection).is_none_or(|got| got >= sent));
            // Read before the mailboxes are looked at: what was received by now has been handled when they are empty.
            let of_account = self.account.as_ref().map(|account| account.events_by_server_number()).unwrap_or_default();
            if !all || !self.is_quiet() {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            match self.stepper.step(&of_account).await {
                Ok(step) if step.waiting => actix_rt::time::sleep(Duration::from_micros(200)).await,
                Ok(step) => {
                    expected = step.frames;
                    if step.done {
                        tracing::info!("the recorded market has ended; the service goes on without new data");
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the simulator did not step; it is asked again");
                    actix_rt::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// Whether nothing is on its way, and everything may be: a market that moved on during a recovery would be missed.
    fn is_quiet(&self) -> bool {
        self.wiring.counters.feed_connected()
            && self.wiring.latch.permission() > domain::Permission::Nothing
            && self.wiring.router.is_quiet()
    }
}
