//! One WebSocket connection: whole messages in, pings answered.
//!
//! It must never trust the other side with memory: the size of a frame is bounded, and a message in pieces, which the
//! exchange never sends, ends the connection.

use std::time::Duration;

use actix_rt::time::timeout;
use awc::error::{WsClientError, WsProtocolError};
use awc::ws::{Frame, Message};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};

use super::errors::shortened;
use super::link::Link;
use super::rate::Limited;
use super::transport::http_client;

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
            actix_rt::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        let request = self.http.ws(self.url.as_str()).max_frame_size(self.frame_bytes_max);
        match timeout(self.timeout, request.connect()).await {
            Ok(Ok((response, framed))) => {
                let number = response.headers().get(SERVER_NUMBER).and_then(|number| number.to_str().ok());
                let server_number = number.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                Ok(Socket { frames: Box::new(framed), server_number })
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
}

impl Socket {
    /// What comes next.
    pub(crate) async fn next(&mut self) -> Incoming {
        match self.frames.next().await {
            Some(Ok(Frame::Text(message) | Frame::Binary(message))) => Incoming::Message(message),
            Some(Ok(Frame::Ping(payload))) => match self.frames.send(Message::Pong(payload)).await {
                Ok(()) => Incoming::Alive,
                Err(error) => Incoming::Closed(shortened(&error.to_string())),
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

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), String> {
        self.frames.send(message).await.map_err(|error| shortened(&error.to_string()))
    }
}
