//! One WebSocket connection: whole messages in, pings answered.
//!
//! It must never trust the other side with memory: the size of a frame is bounded, and a message in pieces, which the
//! exchange never sends, ends the connection.

use std::collections::VecDeque;
use std::time::Duration;

use actix_rt::time::{sleep, timeout};
use awc::error::{WsClientError, WsProtocolError};
use awc::ws::{Frame, Message};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

use super::errors::shortened;
use super::link::Link;
use super::rate::Limited;
use super::transport::http_client;
use crate::MonotonicMs;

/// Messages in a second on one connection: one fewer than the exchange takes.
const MESSAGES_MAX: usize = 4;

/// The header in which the simulator tells a connection its number, from 1. The exchange has no such header.
const SERVER_NUMBER: &str = "x-simulator-connection";

trait Duplex: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin {}

impl<T> Duplex for T where
    T: Stream<Item = Result<Frame, WsProtocolError>> + Sink<Message, Error = WsProtocolError> + Unpin
{
}

/// What came in.
pub(crate) enum Incoming {
    /// A message.
    Message(Bytes),
    /// A ping, which was answered, or a pong.
    Alive,
    /// The end, and why.
    Closed(String),
}

/// Makes connections to one address.
pub(crate) struct Connector {
    pub(crate) http: awc::Client,
    pub(crate) url: String,
    pub(crate) timeout: Duration,
    pub(crate) frame_bytes_max: usize,
    pub(crate) link: Link,
}

impl Connector {
    /// For `url`, on the arbiter that calls this.
    pub(crate) fn new(url: String, timeout: Duration, link: Link) -> Self {
        // The largest frame of the exchange is a few hundred KB; awc's own limit of 64 KiB is too low.
        Self { http: http_client(timeout), url, timeout, frame_bytes_max: 16 << 20, link }
    }

    /// Connects, or says why not. Silence that the exchange asked for, and room in the address's budget of connection
    /// attempts, are waited for first.
    pub(crate) async fn connect(&self) -> Result<Socket, String> {
        while let Err(wait_ms) = self.link.guard.admit_connection(self.link.monotonic_ms()) {
            sleep(Duration::from_millis(wait_ms)).await;
        }
        let request = self.http.ws(self.url.as_str()).max_frame_size(self.frame_bytes_max);
        match timeout(self.timeout, request.connect()).await {
            Ok(Ok((response, framed))) => {
                let number = response.headers().get(SERVER_NUMBER).and_then(|number| number.to_str().ok());
                let server_number = number.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                let sent_ms = VecDeque::with_capacity(MESSAGES_MAX);
                Ok(Socket { frames: Box::new(framed), server_number, monotonic: self.link.monotonic.clone(), sent_ms })
            }
            Ok(Err(error)) => Err(self.not_connected(&error)),
            Err(_) => Err(format!("not connected within {} ms", self.timeout.as_millis())),
        }
    }

    fn not_connected(&self, error: &WsClientError) -> String {
        if let WsClientError::InvalidResponseStatus(status) = error {
            let status = status.as_u16();
            if matches!(status, 403 | 418 | 429) {
                self.link.guard.note_limited(self.link.moment(), Limited { status, ..Limited::default() });
            }
            return format!("the exchange answered HTTP {status}");
        }
        shortened(&error.to_string())
    }
}

/// An open connection.
pub(crate) struct Socket {
    frames: Box<dyn Duplex>,
    /// What the server calls the connection, if it says so: the simulator does.
    pub(crate) server_number: Option<u64>,
    monotonic: MonotonicMs,
    /// When the last messages were sent.
    sent_ms: VecDeque<u64>,
}

#[cfg(test)]
impl Socket {
    /// One that brings these frames, takes whatever is sent, and says nothing more.
    pub(crate) fn scripted(frames: Vec<Frame>) -> Self {
        let incoming = futures_util::stream::iter(frames.into_iter().map(Ok)).chain(futures_util::stream::pending());
        let outgoing = futures_util::sink::drain().sink_map_err(|never| match never {});
        let frames = Box::new(Halves { incoming: Box::pin(incoming), outgoing: Box::pin(outgoing) });
        Self { frames, server_number: None, monotonic: std::sync::Arc::new(|| 0), sent_ms: VecDeque::new() }
    }
}

#[cfg(test)]
struct Halves {
    incoming: std::pin::Pin<Box<dyn Stream<Item = Result<Frame, WsProtocolError>>>>,
    outgoing: std::pin::Pin<Box<dyn Sink<Message, Error = WsProtocolError>>>,
}

#[cfg(test)]
impl Stream for Halves {
    type Item = Result<Frame, WsProtocolError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.incoming.as_mut().poll_next(context)
    }
}

#[cfg(test)]
impl Sink<Message> for Halves {
    type Error = WsProtocolError;

    fn poll_ready(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), WsProtocolError>> {
        self.outgoing.as_mut().poll_ready(context)
    }

    fn start_send(mut self: std::pin::Pin<&mut Self>, message: Message) -> Result<(), WsProtocolError> {
        self.outgoing.as_mut().start_send(message)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), WsProtocolError>> {
        self.outgoing.as_mut().poll_flush(context)
    }

    fn poll_close(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), WsProtocolError>> {
        self.outgoing.as_mut().poll_close(context)
    }
}

impl Socket {
    /// What comes next.
    pub(crate) async fn next(&mut self) -> Incoming {
        match self.frames.next().await {
            Some(Ok(Frame::Text(message) | Frame::Binary(message))) => Incoming::Message(message),
            Some(Ok(Frame::Ping(payload))) => match self.send(Message::Pong(payload)).await {
                Ok(()) => Incoming::Alive,
                Err(reason) => Incoming::Closed(reason),
            },
            Some(Ok(Frame::Pong(_))) => Incoming::Alive,
            Some(Ok(Frame::Continuation(_))) => Incoming::Closed("a message came in pieces".into()),
            Some(Ok(Frame::Close(reason))) => {
                let said = reason.and_then(|reason| reason.description).unwrap_or_default();
                Incoming::Closed(shortened(&format!("the exchange closed the connection {said}")))
            }
            Some(Err(error)) => Incoming::Closed(shortened(&error.to_string())),
            None => Incoming::Closed("the connection was lost".into()),
        }
    }

    /// Sends a message. The exchange takes five in a second on one connection, pongs included; more end it.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), String> {
        if self.sent_ms.len() >= MESSAGES_MAX
            && let Some(oldest_ms) = self.sent_ms.pop_front()
        {
            let wait_ms = oldest_ms.saturating_add(1000).saturating_sub((self.monotonic)());
            if wait_ms > 0 {
                sleep(Duration::from_millis(wait_ms)).await;
            }
        }
        self.sent_ms.push_back((self.monotonic)());
        self.frames.send(message).await.map_err(|error| shortened(&error.to_string()))
    }
}
