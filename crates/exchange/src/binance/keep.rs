//! One connection of the market streams, kept: made again when it is lost, and replaced before the exchange ends it, with
//! the old one read until the new one is there.
//!
//! It must never leave a hole between two connections that overlap: what comes twice is harmless, what never comes is
//! not.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use actix_rt::time::{sleep, timeout};
use futures_util::future::{Either, select};

use super::frame::{Frame, parse_numbered};
use super::socket::{Connector, Incoming, Socket};
use super::stream::{MarketStream, StreamEvent, stream_name};
use crate::connectivity::Observation;
use crate::retry::{RetryPolicy, Schedule};

/// A connection that lived so long was a good one: the next waiting time is the shortest again.
const GOOD_CONNECTION_MS: u64 = 10_000;

/// One open connection that is listened to.
struct Listening {
    socket: Socket,
    /// Which of the two cells of its counters it uses.
    cell: usize,
    /// Unique among the sockets of the stream.
    generation: u64,
    last_ms: u64,
    last_candle_ms: u64,
    renew_at_ms: u64,
}

/// Why listening ended.
enum End {
    /// The connection is gone, or useless.
    Lost(String),
    /// It still works, but a new one is due.
    Renew(&'static str),
}

/// Keeps one connection for ever.
pub(super) struct Keeper {
    pub(super) stream: Rc<MarketStream>,
    /// Counted from zero.
    pub(super) connection: usize,
    pub(super) url: String,
    /// Whether candles are among its streams.
    pub(super) has_candles: bool,
    pub(super) generations: Rc<Cell<u64>>,
}

impl Keeper {
    pub(super) async fn keep(self) {
        let config = &self.stream.config;
        let connector = Connector::new(self.url.clone(), config.connect_timeout, config.link.clone());
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: None, ..config.retry.clone() });
        loop {
            let reason = match connector.connect().await {
                Ok(socket) => {
                    let listening = self.begin(socket, 0);
                    self.tell_connected();
                    let since = config.link.monotonic_ms();
                    let reason = self.presence(&connector, listening).await;
                    if config.link.monotonic_ms().saturating_sub(since) >= GOOD_CONNECTION_MS {
                        schedule.reset();
                    }
                    reason
                }
                Err(reason) => reason,
            };
            self.tell_lost(reason);
            sleep(schedule.next_wait().unwrap_or(config.retry.longest)).await;
        }
    }

    /// Connections that replace each other without a gap, to the end of the last one. Says why it ended.
    async fn presence(&self, connector: &Connector, mut current: Listening) -> String {
        loop {
            let end = self.listen(&mut current, false).await;
            let cell = current.cell;
            let next = match end {
                End::Lost(reason) => Err(reason),
                End::Renew(why) => {
                    tracing::info!(connection = self.connection, why, "a market stream is renewed");
                    self.renew(connector, &mut current).await
                }
            };
            self.stream.mark_socket(self.connection, cell, None);
            match next {
                Ok(next) => current = next,
                Err(reason) => return reason,
            }
        }
    }

    /// A new connection, while the old one is read. If the old one ends first, that is a gap, and told as one.
    ///
    /// # Errors
    /// Why the old one ended without a new one.
    async fn renew(&self, connector: &Connector, old: &mut Listening) -> Result<Listening, String> {
        let config = &self.stream.config;
        let mut schedule = Schedule::new(&RetryPolicy { repeats_max: None, ..config.retry.clone() });
        let other_cell = 1 - old.cell;
        loop {
            let connecting = Box::pin(connector.connect());
            let listening = Box::pin(self.listen(old, true));
            let socket = match select(connecting, listening).await {
                Either::Left((socket, _)) => socket,
                Either::Right((end, connecting)) => {
                    // The old one ended first. The new one is on its way already: it is waited for, after a gap.
                    self.tell_lost(reason_of(end));
                    let socket = connecting.await?;
                    self.tell_connected();
                    return Ok(self.begin(socket, other_cell));
                }
            };
            match socket {
                Ok(socket) => {
                    let mut next = self.begin(socket, other_cell);
                    if self.overlap(old, &mut next).await {
                        return Ok(next);
                    }
                    self.stream.mark_socket(self.connection, other_cell, None);
                }
                Err(reason) => tracing::warn!(connection = self.connection, reason, "a renewal failed"),
            }
            let wait = schedule.next_wait().unwrap_or(config.retry.longest);
            if let Ok(end) = timeout(wait, self.listen(old, true)).await {
                return Err(reason_of(end));
            }
        }
    }

    /// Reads both for a while. Whether the new one is still there.
    async fn overlap(&self, old: &mut Listening, next: &mut Listening) -> bool {
        let both = async {
            let (old, next) = (Box::pin(self.listen(old, true)), Box::pin(self.listen(next, true)));
            match select(old, next).await {
                // The old one was closed, as it may be now; the new one stays.
                Either::Left(_) => true,
                Either::Right(_) => false,
            }
        };
        timeout(self.stream.config.overlap, both).await.unwrap_or(true)
    }

    /// Hands frames over until the connection ends, or a new one is due and none is `renewing` it.
    async fn listen(&self, current: &mut Listening, renewing: bool) -> End {
        let config = &self.stream.config;
        let (silence_ms, candle_silence_ms) = (millis(config.silence), millis(config.candle_silence));
        loop {
            let now_ms = config.link.monotonic_ms();
            // Pings do not count: a connection that only pings tells nothing.
            let silent_at = current.last_ms.saturating_add(silence_ms);
            let candles_due = current.last_candle_ms.saturating_add(candle_silence_ms);
            if now_ms >= silent_at {
                return End::Lost(format!("silent for {silence_ms} ms"));
            }
            if self.has_candles && now_ms >= candles_due {
                return End::Lost(format!("no candle for {candle_silence_ms} ms, while other frames come"));
            }
            if !renewing && now_ms >= current.renew_at_ms {
                return End::Renew("it is nearly as old as the exchange lets one be");
            }
            let mut until = silent_at;
            if self.has_candles {
                until = until.min(candles_due);
            }
            if !renewing {
                until = until.min(current.renew_at_ms);
            }
            let left = Duration::from_millis(until.saturating_sub(now_ms).max(1));
            match timeout(left, current.socket.next()).await {
                Err(_) | Ok(Incoming::Alive) => {}
                Ok(Incoming::Closed(reason)) => return End::Lost(reason),
                Ok(Incoming::Message(message)) => {
                    if self.take(current, &message) && !renewing {
                        return End::Renew("the exchange is shutting this server down");
                    }
                }
            }
        }
    }

    /// Takes one message. Whether the exchange says that it will close the connection.
    fn take(&self, current: &mut Listening, message: &[u8]) -> bool {
        let link = &self.stream.config.link;
        current.last_ms = link.monotonic_ms();
        let parsed = parse_numbered(message, link.clock.base_now());
        match parsed {
            Ok((Frame::Shutdown, _)) => return true,
            Ok((Frame::Control, _)) => return false,
            Ok((Frame::RunningCandle | Frame::Market(domain::MarketEvent::Candle(_)), _)) => {
                current.last_candle_ms = current.last_ms;
            }
            Ok(_) | Err(_) => {}
        }
        self.stream.hand_over((self.connection, current.cell, current.generation), parsed);
        false
    }

    fn begin(&self, socket: Socket, cell: usize) -> Listening {
        let config = &self.stream.config;
        let now_ms = config.link.monotonic_ms();
        self.generations.set(self.generations.get() + 1);
        self.stream.mark_socket(self.connection, cell, socket.server_number);
        Listening {
            socket,
            cell,
            generation: self.generations.get(),
            last_ms: now_ms,
            last_candle_ms: now_ms,
            renew_at_ms: now_ms.saturating_add(millis(config.lifetime)),
        }
    }

    fn name(&self) -> String {
        stream_name(self.connection)
    }

    fn tell_connected(&self) {
        let link = &self.stream.config.link;
        link.connectivity.observe(Observation::StreamUp(&self.name()), link.clock.base_now());
        (self.stream.sink)(StreamEvent::Connected { connection: self.connection });
    }

    fn tell_lost(&self, reason: String) {
        let link = &self.stream.config.link;
        link.connectivity.observe(Observation::StreamLost(&self.name()), link.clock.base_now());
        tracing::warn!(connection = self.connection, reason, "a market stream is lost");
        (self.stream.sink)(StreamEvent::Lost { connection: self.connection, reason });
    }
}

fn reason_of(end: End) -> String {
    match end {
        End::Lost(reason) => reason,
        End::Renew(why) => why.to_owned(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use awc::ws::Frame as WsFrame;
    use domain::{Interval, Timestamp};

    use super::super::link::Link;
    use super::super::stream::StreamConfig;
    use super::*;

    fn keeper() -> Keeper {
        let link = Link::new(Arc::new(|| Timestamp::from_millis(1_700_000_000_000)), Arc::new(|| 0));
        let config = StreamConfig::new("ws://127.0.0.1:1", vec!["BTCUSDT".parse().unwrap()], vec![Interval::M1], link);
        Keeper {
            stream: Rc::new(MarketStream::idle(config, Box::new(|_| {}))),
            connection: 0,
            url: String::new(),
            has_candles: true,
            generations: Rc::default(),
        }
    }

    #[test]
    fn a_server_that_shuts_down_is_left_for_another_and_read_to_its_end() {
        let frame = |text: &'static str| WsFrame::Text(text.into());
        let frames = vec![
            frame(r#"{"u":1,"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}"#),
            frame(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#),
            WsFrame::Ping("x".into()),
            frame(r#"{"e":"serverShutdown","E":1770123456789}"#),
            WsFrame::Close(None),
        ];
        let keeper = keeper();
        actix_rt::System::new().block_on(async {
            let mut listening = keeper.begin(Socket::scripted(frames), 0);
            let End::Renew(why) = keeper.listen(&mut listening, false).await else { panic!() };
            assert!(why.contains("shutting"), "{why}");
            // While a new one is made, the old one is read, and its second word changes nothing.
            let End::Lost(reason) = keeper.listen(&mut listening, true).await else { panic!() };
            assert!(reason.contains("closed"), "{reason}");
        });
    }
}
