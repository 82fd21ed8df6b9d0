//! The market streams: connections that are kept, and every frame handed over once, in its order.
//!
//! It must never end by itself: a lost connection is told and made again. A frame that makes no sense is told and
//! skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_rt::time::{sleep, timeout};
use domain::{Interval, MarketEvent, MarketInputError, Symbol};

use super::frame::{Frame, FrameError, parse_market_frame};
use super::link::Link;
use super::sign::Query;
use super::socket::{Connector, Incoming, Socket};
use crate::retry::{RetryPolicy, Schedule};

/// A connection that lived so long was a good one: the next waiting time is the shortest again.
const GOOD_CONNECTION_MS: u64 = 10_000;

/// What to listen to, and how.
#[derive(Clone)]
pub struct StreamConfig {
    /// The address without `/stream`, without a slash at the end.
    pub base_url: String,
    /// Trades and quotes of these, and candles.
    pub symbols: Vec<Symbol>,
    /// Candles of these lengths.
    pub intervals: Vec<Interval>,
    /// The exchange takes 1024; fewer break less at once.
    pub streams_per_connection: usize,
    /// A connection without a message for so long is dropped, even if it answers.
    pub silence: Duration,
    /// Bounds connecting.
    pub connect_timeout: Duration,
    /// How connections are tried again.
    pub retry: RetryPolicy,
    /// Shared with the other clients of the exchange: its base stamps what comes without a time.
    pub link: Link,
}

impl StreamConfig {
    /// Usual values.
    #[must_use]
    pub fn new(base_url: impl Into<String>, symbols: Vec<Symbol>, intervals: Vec<Interval>, link: Link) -> Self {
        Self {
            base_url: base_url.into(),
            symbols,
            intervals,
            streams_per_connection: 200,
            silence: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            retry: RetryPolicy::connections(),
            link,
        }
    }

    /// The address of each connection.
    fn urls(&self) -> Vec<String> {
        let streams: Vec<String> = self.symbols.iter().flat_map(|symbol| self.streams_of(symbol)).collect();
        let chunk_len = self.streams_per_connection.clamp(1, 1024);
        streams.chunks(chunk_len).map(|chunk| format!("{}/stream?streams={}", self.base_url, chunk.join("/"))).collect()
    }

    fn streams_of(&self, symbol: &Symbol) -> Vec<String> {
        let encoded = Query::encoded(&symbol.as_str().to_lowercase());
        let mut streams = vec![format!("{encoded}@aggTrade"), format!("{encoded}@bookTicker")];
        streams.extend(self.intervals.iter().map(|interval| format!("{encoded}@kline_{interval}")));
        streams
    }
}

/// What the streams tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// A connection is there; what happened since it was lost is not told.
    Connected {
        /// Counted from zero.
        connection: usize,
    },
    /// Something happened on a market; with the number of market frames received so far on all connections, this one
    /// included.
    Event(MarketEvent, u64),
    /// A frame was skipped.
    Rejected {
        /// Why it cannot be true; `None` if it could not be read at all.
        kind: Option<MarketInputError>,
        /// What is wrong, with the values.
        detail: String,
    },
    /// A connection is not there. It is being made again.
    Lost {
        /// Counted from zero.
        connection: usize,
        /// Why.
        reason: String,
    },
}

/// Where events go. Called on the arbiter of the streams.
pub type StreamSink = Box<dyn Fn(StreamEvent)>;

/// What one connection received.
#[derive(Debug, Default)]
struct Received {
    /// Market frames on all its sockets.
    total: AtomicU64,
    /// Market frames on its present socket.
    on_socket: AtomicU64,
    /// What the server calls its present socket; zero if there is none or the server does not say.
    server_number: AtomicU64,
}

/// The market streams.
pub struct MarketStream {
    config: StreamConfig,
    symbols: BTreeSet<Symbol>,
    sink: StreamSink,
    received: Arc<[Received]>,
}

/// Running market streams. They end when this is dropped.
#[derive(Debug)]
pub struct StreamHandle {
    tasks: Vec<JoinHandle<()>>,
    received: Arc<[Received]>,
}

impl StreamHandle {
    /// Market frames received so far on all connections, whether or not they told anything.
    #[must_use]
    pub fn frames_received(&self) -> u64 {
        total(&self.received)
    }

    /// Market frames received so far on each present connection, by the number that the server gave it. The simulator
    /// gives numbers, so that one who moves its time by steps can wait until all frames of a step are here; the exchange
    /// does not.
    #[must_use]
    pub fn frames_by_server_number(&self) -> BTreeMap<u64, u64> {
        let present = |received: &Received| match received.server_number.load(Relaxed) {
            0 => None,
            number => Some((number, received.on_socket.load(Relaxed))),
        };
        self.received.iter().filter_map(present).collect()
    }
}

fn total(received: &[Received]) -> u64 {
    received.iter().map(|received| received.total.load(Relaxed)).sum()
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl MarketStream {
    /// Starts the streams on the current arbiter.
    #[must_use]
    pub fn spawn(config: StreamConfig, sink: StreamSink) -> StreamHandle {
        let urls = config.urls();
        let received: Arc<[Received]> = urls.iter().map(|_| Received::default()).collect();
        let symbols = config.symbols.iter().cloned().collect();
        let stream = Rc::new(Self { config, symbols, sink, received: Arc::clone(&received) });
        let run = |(connection, url)| actix_rt::spawn(Rc::clone(&stream).run(connection, url));
        StreamHandle { tasks: urls.into_iter().enumerate().map(run).collect(), received }
    }

    async fn run(self: Rc<Self>, connection: usize, url: String) {
        let config = &self.config;
        let connector = Connector::new(url, config.connect_timeout, config.link.clone());
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: None, ..config.retry.clone() });
        loop {
            let reason = match connector.connect().await {
                Ok(socket) => {
                    self.mark_socket(connection, socket.server_number);
                    (self.sink)(StreamEvent::Connected { connection });
                    let since = config.link.monotonic_ms();
                    let reason = self.listen(connection, socket).await;
                    self.mark_socket(connection, None);
                    if config.link.monotonic_ms().saturating_sub(since) >= GOOD_CONNECTION_MS {
                        schedule.reset();
                    }
                    reason
                }
                Err(reason) => reason,
            };
            tracing::warn!(connection, reason, "a market stream is lost");
            (self.sink)(StreamEvent::Lost { connection, reason });
            sleep(schedule.next_wait().unwrap_or(config.retry.longest)).await;
        }
    }

    /// Hands frames over until the connection ends, and says why it did.
    async fn listen(&self, connection: usize, mut socket: Socket) -> String {
        let mut last = self.config.link.monotonic_ms();
        loop {
            // Pings do not count: a connection that only pings tells nothing.
            let silent = Duration::from_millis(self.config.link.monotonic_ms().saturating_sub(last));
            let left = self.config.silence.saturating_sub(silent);
            match timeout(left, socket.next()).await {
                Err(_) => return format!("silent for {} ms", self.config.silence.as_millis()),
                Ok(Incoming::Alive) => {}
                Ok(Incoming::Closed(reason)) => return reason,
                Ok(Incoming::Message(message)) => {
                    last = self.config.link.monotonic_ms();
                    match parse_market_frame(&message, self.config.link.clock.base_now()) {
                        Ok(Frame::Shutdown) => return "the exchange is shutting this server down".into(),
                        Ok(Frame::Control) => {}
                        other => self.hand_over(connection, other),
                    }
                }
            }
        }
    }

    fn mark_socket(&self, connection: usize, server_number: Option<u64>) {
        if let Some(received) = self.received.get(connection) {
            received.on_socket.store(0, Relaxed);
            received.server_number.store(server_number.unwrap_or(0), Relaxed);
        }
    }

    /// Tells what a market frame says, and only then counts it: whoever sees the count can rely on having been told.
    fn hand_over(&self, connection: usize, frame: Result<Frame, FrameError>) {
        match frame {
            Ok(Frame::Market(event)) if self.symbols.contains(event.symbol()) => {
                (self.sink)(StreamEvent::Event(event, total(&self.received) + 1));
            }
            Ok(Frame::Market(event)) => {
                let detail = format!("{} was not asked for", event.symbol());
                (self.sink)(StreamEvent::Rejected { kind: Some(MarketInputError::UnknownSymbol), detail });
            }
            Ok(Frame::Ignored | Frame::Control | Frame::Shutdown) => {}
            Err(FrameError { kind, detail }) => (self.sink)(StreamEvent::Rejected { kind, detail }),
        }
        if let Some(received) = self.received.get(connection) {
            received.total.fetch_add(1, Relaxed);
            received.on_socket.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use domain::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn config(symbols: &[&str]) -> StreamConfig {
        let symbols = symbols.iter().map(|symbol| symbol.parse().unwrap()).collect();
        StreamConfig::new("ws://127.0.0.1:1", symbols, vec![Interval::M1], Link::new(Arc::new(|| NOW), Arc::new(|| 0)))
    }

    #[test]
    fn streams_are_spread_over_connections() {
        let config = StreamConfig { streams_per_connection: 4, ..config(&["BTCUSDT", "币USDT"]) };
        assert_eq!(
            config.urls(),
            [
                "ws://127.0.0.1:1/stream?streams=btcusdt@aggTrade/btcusdt@bookTicker/btcusdt@kline_1m/%E5%B8%81usdt@aggTrade",
                "ws://127.0.0.1:1/stream?streams=%E5%B8%81usdt@bookTicker/%E5%B8%81usdt@kline_1m",
            ]
        );
    }

    #[test]
    fn frames_are_counted_and_what_makes_no_sense_is_told_and_skipped() {
        let told = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&told);
        let stream = MarketStream {
            config: config(&["BTCUSDT"]),
            symbols: ["BTCUSDT".parse().unwrap()].into(),
            sink: Box::new(move |event| log.borrow_mut().push(event)),
            received: [Received::default()].into(),
        };
        stream.mark_socket(0, Some(7));
        let quote =
            |symbol: &str, bid: &str| format!(r#"{{"u":1,"s":"{symbol}","b":"{bid}","B":"1","a":"2","A":"1"}}"#);
        for text in [quote("BTCUSDT", "1"), quote("ETHUSDT", "1"), quote("BTCUSDT", "3"), "nonsense".to_owned()] {
            stream.hand_over(0, parse_market_frame(text.as_bytes(), NOW));
        }
        let told = told.borrow();
        assert!(matches!(told[0], StreamEvent::Event(MarketEvent::Quote(_), 1)));
        let kinds = told[1..].iter().map(|event| match event {
            StreamEvent::Rejected { kind, .. } => *kind,
            other => panic!("{other:?}"),
        });
        let expected = [Some(MarketInputError::UnknownSymbol), Some(MarketInputError::Crossed), None];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let handle = StreamHandle { tasks: Vec::new(), received: Arc::clone(&stream.received) };
        assert_eq!((handle.frames_received(), handle.frames_by_server_number()), (4, BTreeMap::from([(7, 4)])));
    }
}
