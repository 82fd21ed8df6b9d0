//! The market streams: connections that are kept, and every frame handed over once, in its order.
//!
//! It must never end by itself: a lost connection is told and made again. A frame that makes no sense is told and
//! skipped.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use domain::{Interval, MarketEvent, MarketInputError, Symbol};

use super::depth::DepthDiff;
use super::frame::{Frame, FrameError};
use super::keep::Keeper;
use super::link::Link;
use super::sign::Query;
use crate::connectivity::Observation;
use crate::retry::RetryPolicy;

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
    /// A connection that has candles among its streams and brings none for so long is dropped, even if other frames come:
    /// the exchange sends each running candle every two seconds while it trades.
    pub candle_silence: Duration,
    /// A connection that lived so long is replaced, while it is still read: the exchange ends each after 24 hours.
    pub lifetime: Duration,
    /// How long both the old and the new connection are read then, so that what the old one still has on its way arrives.
    pub overlap: Duration,
    /// Whether differences of the order books are wanted too (`@depth@100ms`).
    pub depth: bool,
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
            candle_silence: Duration::from_secs(60),
            lifetime: Duration::from_secs(23 * 3600),
            overlap: Duration::from_secs(2),
            depth: false,
            connect_timeout: Duration::from_secs(10),
            retry: RetryPolicy::connections(),
            link,
        }
    }

    /// The address of each connection, and whether it has candles.
    fn urls(&self) -> Vec<(String, bool)> {
        let streams: Vec<String> = self.symbols.iter().flat_map(|symbol| self.streams_of(symbol)).collect();
        let chunk_len = self.streams_per_connection.clamp(1, 1024);
        let url = |chunk: &[String]| {
            let has_candles = chunk.iter().any(|stream| stream.contains("@kline_"));
            (format!("{}/stream?streams={}", self.base_url, chunk.join("/")), has_candles)
        };
        streams.chunks(chunk_len).map(url).collect()
    }

    fn streams_of(&self, symbol: &Symbol) -> Vec<String> {
        let encoded = Query::encoded(&symbol.as_str().to_lowercase());
        let mut streams = vec![format!("{encoded}@aggTrade"), format!("{encoded}@bookTicker")];
        streams.extend(self.intervals.iter().map(|interval| format!("{encoded}@kline_{interval}")));
        streams.extend(self.depth.then(|| format!("{encoded}@depth@100ms")));
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
    /// What changed in an order book.
    Depth(Box<DepthDiff>),
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

/// What one connection received, in one of its two cells: while a connection is replaced, both are used.
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
    pub(super) config: StreamConfig,
    symbols: BTreeSet<Symbol>,
    pub(super) sink: StreamSink,
    received: Arc<[Received]>,
    /// The newest quote of each symbol: the number of its update, and the generation of the socket that brought it.
    quotes: RefCell<BTreeMap<Symbol, (u64, u64)>>,
}

/// Where a frame came from: the connection, its cell, and the socket's generation.
pub(super) type Origin = (usize, usize, u64);

/// Running market streams. They end when this is dropped.
#[derive(Debug)]
pub struct StreamHandle {
    tasks: Vec<JoinHandle<()>>,
    link: Link,
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

/// What a connection is called among the streams.
pub(super) fn stream_name(connection: usize) -> String {
    format!("market-{connection}")
}

impl Drop for StreamHandle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // What is not wanted any more is not missed.
        for connection in 0..self.tasks.len() {
            let (name, now) = (stream_name(connection), self.link.clock.base_now());
            self.link.connectivity.observe(Observation::StreamEnded(&name), now);
        }
    }
}

impl MarketStream {
    /// Starts the streams on the current arbiter.
    #[must_use]
    pub fn spawn(config: StreamConfig, sink: StreamSink) -> StreamHandle {
        let urls = config.urls();
        let received: Arc<[Received]> = urls.iter().flat_map(|_| [Received::default(), Received::default()]).collect();
        let symbols = config.symbols.iter().cloned().collect();
        let quotes = RefCell::default();
        let stream = Rc::new(Self { config, symbols, sink, received: Arc::clone(&received), quotes });
        let generations = Rc::new(Cell::new(0));
        let keep = |(connection, (url, has_candles))| {
            let (stream, generations) = (Rc::clone(&stream), Rc::clone(&generations));
            actix_rt::spawn(Keeper { stream, connection, url, has_candles, generations }.keep())
        };
        let link = stream.config.link.clone();
        StreamHandle { link, tasks: urls.into_iter().enumerate().map(keep).collect(), received }
    }

    /// One that listens to nothing, for tests of a single connection.
    #[cfg(test)]
    pub(super) fn idle(config: StreamConfig, sink: StreamSink) -> Self {
        let symbols = config.symbols.iter().cloned().collect();
        let received = [Received::default(), Received::default()].into();
        Self { config, symbols, sink, received, quotes: RefCell::default() }
    }

    fn cell(&self, connection: usize, cell: usize) -> Option<&Received> {
        self.received.get(connection.saturating_mul(2).saturating_add(cell))
    }

    /// A socket begins in a cell, with the number that the server gave it, if it did; or it ends there.
    pub(super) fn mark_socket(&self, connection: usize, cell: usize, server_number: Option<u64>) {
        if let Some(received) = self.cell(connection, cell) {
            received.on_socket.store(0, Relaxed);
            received.server_number.store(server_number.unwrap_or(0), Relaxed);
        }
    }

    /// Whether a quote is newer than the newest: while a connection is replaced, two bring the same ones. One connection
    /// alone brings them in order, so a lower number on the same one means that the exchange began anew.
    fn is_newer(&self, symbol: &Symbol, update_id: u64, generation: u64) -> bool {
        let mut quotes = self.quotes.borrow_mut();
        match quotes.get_mut(symbol) {
            Some((newest, of)) if *of != generation && update_id <= *newest => false,
            Some(known) => {
                *known = (update_id, generation);
                true
            }
            None => {
                quotes.insert(symbol.clone(), (update_id, generation));
                true
            }
        }
    }

    /// Tells what a market frame says, and only then counts it: whoever sees the count can rely on having been told.
    pub(super) fn hand_over(&self, origin: Origin, frame: Result<(Frame, Option<u64>), FrameError>) {
        let (connection, cell, generation) = origin;
        match frame {
            Ok((Frame::Market(event), update_id)) if self.symbols.contains(event.symbol()) => {
                if update_id.is_none_or(|id| self.is_newer(event.symbol(), id, generation)) {
                    (self.sink)(StreamEvent::Event(event, total(&self.received) + 1));
                }
            }
            Ok((Frame::Depth(diff), _)) if self.symbols.contains(&diff.symbol) => {
                (self.sink)(StreamEvent::Depth(diff));
            }
            Ok((Frame::Market(event), _)) => self.reject_symbol(event.symbol()),
            Ok((Frame::Depth(diff), _)) => self.reject_symbol(&diff.symbol),
            Ok((Frame::RunningCandle | Frame::Ignored | Frame::Control | Frame::Shutdown, _)) => {}
            Err(FrameError { kind, detail }) => (self.sink)(StreamEvent::Rejected { kind, detail }),
        }
        if let Some(received) = self.cell(connection, cell) {
            received.total.fetch_add(1, Relaxed);
            received.on_socket.fetch_add(1, Relaxed);
        }
    }

    fn reject_symbol(&self, symbol: &Symbol) {
        let detail = format!("{symbol} was not asked for");
        (self.sink)(StreamEvent::Rejected { kind: Some(MarketInputError::UnknownSymbol), detail });
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;

    use super::*;
    use crate::binance::frame::parse_numbered;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn config(symbols: &[&str]) -> StreamConfig {
        let symbols = symbols.iter().map(|symbol| symbol.parse().unwrap()).collect();
        StreamConfig::new("ws://127.0.0.1:1", symbols, vec![Interval::M1], Link::new(Arc::new(|| NOW), Arc::new(|| 0)))
    }

    #[test]
    fn streams_are_spread_over_connections() {
        let config = StreamConfig { streams_per_connection: 4, ..config(&["BTCUSDT", "币USDT"]) };
        assert_eq!(
            config.urls().into_iter().map(|(url, _)| url).collect::<Vec<_>>(),
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
        let sink = Box::new(move |event| log.borrow_mut().push(event));
        let stream = MarketStream::idle(config(&["BTCUSDT"]), sink);
        stream.mark_socket(0, 0, Some(7));
        let quote =
            |symbol: &str, bid: &str| format!(r#"{{"u":1,"s":"{symbol}","b":"{bid}","B":"1","a":"2","A":"1"}}"#);
        for text in [quote("BTCUSDT", "1"), quote("ETHUSDT", "1"), quote("BTCUSDT", "3"), "nonsense".to_owned()] {
            stream.hand_over((0, 0, 1), parse_numbered(text.as_bytes(), NOW));
        }
        let told = told.borrow();
        assert!(matches!(told[0], StreamEvent::Event(MarketEvent::Quote(_), 1)));
        let kinds = told[1..].iter().map(|event| match event {
            StreamEvent::Rejected { kind, .. } => *kind,
            other => panic!("{other:?}"),
        });
        let expected = [Some(MarketInputError::UnknownSymbol), Some(MarketInputError::Crossed), None];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let handle = StreamHandle {
            tasks: Vec::new(),
            link: stream.config.link.clone(),
            received: Arc::clone(&stream.received),
        };
        assert_eq!((handle.frames_received(), handle.frames_by_server_number()), (4, BTreeMap::from([(7, 4)])));
    }

    #[test]
    fn quotes_do_not_go_back_where_two_connections_bring_them() {
        let told = Rc::new(RefCell::new(0));
        let count = Rc::clone(&told);
        let stream = MarketStream::idle(config(&["BTCUSDT"]), Box::new(move |_| *count.borrow_mut() += 1));
        // Update, generation of the socket, whether it is told.
        let cases = [
            (10, 1, true),
            (12, 1, true),
            (11, 2, false),
            (12, 2, false),
            (13, 2, true),
            (13, 1, false),
            (14, 1, true),
            (15, 2, true),
            // The exchange began anew: one connection alone never goes back.
            (3, 2, true),
            (4, 2, true),
        ];
        for (update_id, generation, expected) in cases {
            let before = *told.borrow();
            let quote = format!(r#"{{"u":{update_id},"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}"#);
            let cell = usize::from(generation == 2);
            stream.hand_over((0, cell, generation), parse_numbered(quote.as_bytes(), NOW));
            assert_eq!(*told.borrow() > before, expected, "{update_id} of {generation}");
        }
        assert_eq!(total(&stream.received), 10);
    }
}
