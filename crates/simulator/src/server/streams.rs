//! Connections: market streams over WebSocket, raw and combined, and the life that they share with the WebSocket API.
//!
//! A client may send anything; it must never make the server hold more for it than its queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use futures_util::StreamExt;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Sleep, interval, sleep, timeout};

use super::control::control;
use super::http::{address_of, reset};
use super::hub::{ConnectionId, Frame, Parcel, Wishes};
use super::sessions::ApiSession;
use super::shared::Shared;
use super::ws_api;

/// A client that takes no frame for so long is gone.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Largest frame that is read.
const FRAME_MAX: usize = 256 * 1024;

/// What a connection's requests go to.
pub(super) enum Kind {
    Market,
    Api(Rc<RefCell<ApiSession>>),
}

/// The parameters of a request's address.
pub(super) fn query_of(request: &HttpRequest) -> Vec<(String, String)> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    query.map(web::Query::into_inner).unwrap_or_default()
}

/// `/ws`, `/ws/<stream>` and `/stream?streams=`.
#[allow(clippy::unused_async, reason = "actix-web's handlers are async")]
pub(super) async fn market(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Error> {
    let is_combined = request.path().starts_with("/stream");
    let query = query_of(&request);
    let is_micro = query.iter().any(|(name, value)| name == "timeUnit" && value.eq_ignore_ascii_case("MICROSECOND"));
    let asked = query.into_iter().filter(|(name, _)| name == "streams").map(|(_, value)| value);
    let named = request.path().trim_start_matches('/').split('/').skip(1).map(str::to_owned);
    let lists: Vec<String> = named.chain(asked).collect();
    let streams: Vec<&str> =
        lists.iter().flat_map(|list| list.split('/')).filter(|stream| !stream.is_empty()).collect();
    let (id, frames) = {
        let mut core = shared.lock();
        let (now, wall) = (core.now(), core.wall());
        let may_connect = core.meter.connect(address_of(&request), now, wall);
        if !may_connect || streams.len() > core.meter.limits().streams_max {
            return Ok(reset(&request));
        }
        let (id, frames) = core.hub.connect(Wishes { is_combined, is_api: false, is_micro });
        streams.iter().for_each(|stream| core.hub.subscribe(id, stream));
        (id, frames)
    };
    let (mut response, session, messages) = actix_ws::handle(&request, body)?;
    mark(&mut response, id);
    actix_rt::spawn(serve(shared.into_inner(), id, Kind::Market, session, messages.max_frame_size(FRAME_MAX), frames));
    Ok(response)
}

/// Tells the client its number, by which a step's answer counts its frames.
pub(super) fn mark(response: &mut HttpResponse, id: ConnectionId) {
    let name = actix_web::http::header::HeaderName::from_static("x-simulator-connection");
    response.headers_mut().insert(name, id.into());
}

/// Frames that are sent later, in their order.
#[derive(Default)]
struct Held(VecDeque<(Pin<Box<Sleep>>, Frame)>);

impl Held {
    /// What may be sent now; what may not, or stands behind such, waits.
    fn pass(&mut self, parcel: Parcel) -> Out {
        if parcel.delay_ms == 0 && self.0.is_empty() {
            return Out::Text(parcel.frame.to_string());
        }
        self.0.push_back((Box::pin(sleep(Duration::from_millis(parcel.delay_ms))), parcel.frame));
        Out::Nothing
    }

    /// Waits for the first; never comes if there is none.
    async fn next(&mut self) -> Out {
        match self.0.front_mut() {
            Some((due, _)) => due.as_mut().await,
            None => std::future::pending().await,
        }
        self.0.pop_front().map_or(Out::Nothing, |(_, frame)| Out::Text(frame.to_string()))
    }
}

/// What a connection is measured by.
struct Life {
    /// Pings sent so far, and how many of them since the last answer.
    pings: u64,
    unanswered: u32,
    /// Frames of the client in the second of real time.
    second: u64,
    messages: u32,
}

impl Life {
    /// Whether the client sends too much; market streams only.
    fn is_too_loud(&mut self, wall: Duration, messages_max: u32) -> bool {
        if wall.as_secs() != self.second {
            (self.second, self.messages) = (wall.as_secs(), 0);
        }
        self.messages += 1;
        self.messages > messages_max
    }

    fn ping(&mut self) -> Out {
        self.pings += 1;
        self.unanswered += 1;
        Out::Ping(self.pings.to_string())
    }

    fn on_pong(&mut self, payload: &[u8]) {
        // A pong that nobody asked for does not help.
        if payload == self.pings.to_string().as_bytes() {
            self.unanswered = 0;
        }
    }
}

/// Carries frames out and requests in until one side ends it.
pub(super) async fn serve(
    shared: Arc<Shared>,
    id: ConnectionId,
    kind: Kind,
    mut session: Session,
    mut messages: MessageStream,
    mut frames: Receiver<Parcel>,
) {
    let limits = shared.lock().meter.limits().clone();
    let mut ping = interval(limits.ping_every);
    ping.tick().await;
    let mut end = Box::pin(sleep(limits.connection_life));
    let mut held = Held::default();
    let mut life = Life { pings: 0, unanswered: 0, second: 0, messages: 0 };
    let messages_max = if matches!(kind, Kind::Market) { limits.messages_1s_max } else { u32::MAX };
    let reason = loop {
        let out = tokio::select! {
            frame = frames.recv() => match frame {
                Some(parcel) => held.pass(parcel),
                None => break Some(CloseReason::from(CloseCode::Policy)),
            },
            out = held.next() => out,
            message = messages.next() => match message {
                Some(Ok(message)) => {
                    let (wall, is_half_open) = shared.lock().wall_and_half_open(id);
                    if let Message::Pong(payload) = &message {
                        life.on_pong(payload);
                    }
                    if life.is_too_loud(wall, messages_max) {
                        break Some(CloseReason::from((CloseCode::Policy, "Too many requests")));
                    }
                    if is_half_open { Out::Nothing } else { incoming(&shared, id, &kind, message) }
                }
                Some(Err(_)) | None => break None,
            },
            _ = ping.tick() => {
                if limits.ping_every * life.unanswered >= limits.pong_within {
                    break Some(CloseReason::from((CloseCode::Policy, "Pong timeout")));
                }
                let ping = life.ping();
                // Of its frames the faults take care; of its pings nobody else.
                if shared.lock().wall_and_half_open(id).1 { Out::Nothing } else { ping }
            }
            () = &mut end => break Some(CloseReason::from(CloseCode::Away)),
        };
        if !matches!(timeout(STUCK_AFTER, out.send(&mut session)).await, Ok(true)) {
            break None;
        }
    };
    shared.lock().hub.disconnect(id);
    let _ = timeout(STUCK_AFTER, session.close(reason)).await;
}

/// What goes to the client next.
pub(super) enum Out {
    Text(String),
    /// And then the connection ends.
    Last(String),
    Ping(String),
    Pong(web::Bytes),
    Nothing,
    Close,
}

impl Out {
    /// False when the connection is over.
    async fn send(self, session: &mut Session) -> bool {
        match self {
            Self::Text(text) => session.text(text).await.is_ok(),
            Self::Last(text) => {
                let _ = session.text(text).await;
                false
            }
            Self::Ping(payload) => session.ping(payload.as_bytes()).await.is_ok(),
            Self::Pong(payload) => session.pong(&payload).await.is_ok(),
            Self::Nothing => true,
            Self::Close => false,
        }
    }
}

fn incoming(shared: &Arc<Shared>, id: ConnectionId, kind: &Kind, message: Message) -> Out {
    match message {
        Message::Text(text) => match kind {
            Kind::Market => Out::Text(control(shared, id, &text).to_string()),
            Kind::Api(session) => ws_api::answer(shared, id, session, &text),
        },
        Message::Ping(payload) => Out::Pong(payload),
        Message::Pong(_) | Message::Nop => Out::Nothing,
        Message::Close(_) => Out::Close,
        Message::Binary(_) | Message::Continuation(_) => {
            Out::Text(super::control::invalid(&serde_json::Value::Null, "only text frames are read").to_string())
        }
    }
}
