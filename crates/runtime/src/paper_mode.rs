//! PAPER_TRADING: the exchange's public market data, orders to the paper account, a book of its own.
//!
//! A composition: nothing below it knows the mode.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use domain::{Instrument, Interval, MarketInputError, Symbol, Timestamp};
use engine::{Envelope, MarketDataMessage, Setup};
use exchange::binance::{
    Endpoints, Link, MarketClient, MarketStream, RateGuard, RestClient, RestConfig, StreamConfig, StreamEvent,
    StreamHandle,
};
use exchange::stepping::Stepper;
use exchange::{MonotonicMs, TimeSource};

use crate::clock::Clock;
use crate::life::Composition;
use crate::venue::{MarketSource, PaperExchange, Venue};
use crate::wiring::Wiring;

/// How long a start waits for the exchange's first answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The composition of paper trading on an exchange's public market data.
pub struct PaperMode {
    /// Where the exchange is.
    pub endpoints: Endpoints,
    /// The paper account.
    pub account: PaperExchange,
    /// A connected stream that says nothing for so long is dropped, in real milliseconds.
    pub stream_silence_ms: u64,
    stepped: bool,
    guard: RateGuard,
}

fn sources(clock: &Clock) -> (TimeSource, MonotonicMs) {
    let (time, monotonic) = (clock.clone(), clock.clone());
    (Arc::new(move || time.now()), Arc::new(move || monotonic.monotonic_ms()))
}

fn link(clock: &Clock, guard: &RateGuard) -> Link {
    let (time, monotonic) = sources(clock);
    Link { guard: guard.clone(), ..Link::new(time, monotonic) }
}

fn client(endpoints: &Endpoints, clock: &Clock, guard: &RateGuard) -> MarketClient {
    MarketClient::new(RestClient::new(RestConfig::new(endpoints.rest.clone()), link(clock, guard)))
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

/// Asks the exchange for its time and the rules of `symbols`, before anything is started.
///
/// # Errors
/// Where it does not answer in time, or lacks a symbol.
pub fn ask_exchange(
    endpoints: &Endpoints,
    clock: &Clock,
    symbols: &[Symbol],
) -> Result<(Timestamp, Vec<Instrument>), String> {
    let (endpoints, clock, symbols) = (endpoints.clone(), clock.clone(), symbols.to_vec());
    actix_rt::System::new().block_on(async move {
        let market = client(&endpoints, &clock, &RateGuard::new());
        let asking = async {
            let instruments = market.instruments(&symbols).await.map_err(|error| error.to_string())?;
            let time = market.time().await?;
            Ok::<_, String>((time, instruments))
        };
        let late = || format!("{} did not answer within {} s", endpoints.rest, ANSWER_TIMEOUT.as_secs());
        let (time, instruments) = actix_rt::time::timeout(ANSWER_TIMEOUT, asking).await.map_err(|_| late())??;
        for symbol in &symbols {
            if !instruments.iter().any(|instrument| instrument.symbol == *symbol) {
                return Err(format!("{} has no symbol {symbol}; take it out of the configuration", endpoints.rest));
            }
        }
        Ok((time, instruments))
    })
}

impl PaperMode {
    /// Paper trading on `endpoints` with `account`.
    #[must_use]
    pub fn new(endpoints: Endpoints, account: PaperExchange, stream_silence_ms: u64) -> Self {
        Self { endpoints, account, stream_silence_ms, stepped: false, guard: RateGuard::new() }
    }

    /// The same on a simulator that moves only when it is asked to: as fast as this service goes, and never faster.
    #[must_use]
    pub fn stepped(mut self) -> Self {
        self.stepped = true;
        self
    }
}

/// A market event meets the account's orders first, and is told then.
pub fn hand_over(account: &PaperExchange, wiring: &Wiring, event: domain::MarketEvent) {
    wiring.clock.saw(event.time());
    if let domain::MarketEvent::Candle(candle) = &event {
        wiring.history.keep(candle);
    }
    account.market(&event);
    wiring.router.send(Envelope::MarketData(MarketDataMessage::Market(event)));
}

impl Composition for PaperMode {
    fn venue(&self, wiring: &Wiring) -> Venue {
        let market = client(&self.endpoints, &wiring.clock, &self.guard);
        Venue { exchange: Rc::new(self.account.clone()), market: Rc::new(market) }
    }

    fn feed(&self, wiring: &Wiring) -> Box<dyn Any> {
        let link = link(&wiring.clock, &self.guard);
        let (symbols, intervals) = (wiring.setup.symbols(), intervals(&wiring.setup));
        let mut config = StreamConfig::new(self.endpoints.stream.clone(), symbols, intervals, link);
        config.silence = Duration::from_millis(self.stream_silence_ms);
        config.candle_silence = config.candle_silence.max(config.silence);
        let (account, of_sink) = (self.account.clone(), wiring.clone());
        let sink = move |event| take(&account, &of_sink, event);
        let handle = Rc::new(MarketStream::spawn(config, Box::new(sink)));
        if !self.stepped {
            return Box::new(handle);
        }
        let stepper = Stepper::new(&self.endpoints.rest);
        let task = actix_rt::spawn(step_for_ever(stepper, Rc::downgrade(&handle), wiring.clone()));
        Box::new((handle, task))
    }
}

/// Moves the simulator whenever everything that the last step caused is done: the barrier of stepped pacing.
async fn step_for_ever(stepper: Stepper, stream: Weak<StreamHandle>, wiring: Wiring) {
    let pause = || actix_rt::time::sleep(Duration::from_millis(1));
    let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
    while !wiring.counters.stopping() {
        let Some(received) = stream.upgrade().map(|stream| stream.frames_by_server_number()) else { return };
        let arrived = expected.iter().all(|(connection, sent)| received.get(connection).is_none_or(|got| got >= sent));
        let recovered = wiring.latch.permission() > domain::Permission::Nothing;
        if !wiring.counters.feed_connected() || !arrived || !recovered || !wiring.router.is_quiet() {
            pause().await;
            continue;
        }
        match stepper.step().await {
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

/// One word of the stream.
fn take(account: &PaperExchange, wiring: &Wiring, event: StreamEvent) {
    let tell = |message| wiring.router.send(Envelope::MarketData(message));
    match event {
        StreamEvent::Event(event, _) => hand_over(account, wiring, event),
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
