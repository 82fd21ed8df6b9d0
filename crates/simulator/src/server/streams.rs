//! Market streams over WebSocket: raw and combined, with live subscription.
//!
//! A client may send anything; it must never make the server hold more for it than its queue.

use std::time::Duration;

use actix_web::{Error, HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::{interval, timeout};

use super::hub::{ConnectionId, Frame};
use super::shared::Shared;
use super::ws_api::ApiSession;

/// The server pings so often, in real time.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A client that takes no frame for so long is gone.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// Largest frame that is read.
const FRAME_MAX: usize = 256 * 1024;

/// What a connection's requests go to.
pub(super) enum Kind {
    Market,
    Api(Box<ApiSession>),
}

/// `/ws`, `/ws/<stream>` and `/stream?streams=`.
#[allow(clippy::unused_async, reason = "actix-web's handlers are async")]
pub(super) async fn market(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Error> {
    let is_combined = request.path().starts_with("/stream");
    let (mut response, session, messages) = actix_ws::handle(&request, body)?;
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let asked = query.map(web::Query::into_inner).unwrap_or_default();
    let asked = asked.into_iter().filter(|(name, _)| name == "streams").map(|(_, value)| value);
    let named = request.path().trim_start_matches('/').split('/').skip(1).map(str::to_owned);
    let (id, frames) = {
        let mut core = shared.lock();
        let (id, frames) = core.hub.connect(is_combined);
        for list in named.chain(asked) {
            list.split('/').filter(|stream| !stream.is_empty()).for_each(|stream| core.hub.subscribe(id, stream));
        }
        (id, frames)
    };
    mark(&mut response, id);
    actix_rt::spawn(serve(shared.into_inner(), id, Kind::Market, session, messages.max_frame_size(FRAME_MAX), frames));
    Ok(response)
}

/// Tells the client its number, by which a step's answer counts its frames.
pub(super) fn mark(response: &mut HttpResponse, id: ConnectionId) {
    let name = actix_web::http::header::HeaderName::from_static("x-simulator-connection");
    response.headers_mut().insert(name, id.into());
}

/// Carries frames out and requests in until one side ends it.
pub(super) async fn serve(
    shared: std::sync::Arc<Shared>,
    id: ConnectionId,
    mut kind: Kind,
    mut session: Session,
    mut messages: MessageStream,
    mut frames: Receiver<Frame>,
) {
    let mut ping = interval(PING_EVERY);
    ping.tick().await;
    let reason = loop {
        let out = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => Out::Text(frame.to_string()),
                None => break Some(CloseReason::from(CloseCode::Policy)),
            },
            message = messages.next() => match message {
                Some(Ok(message)) => incoming(&shared, id, &mut kind, message),
                Some(Err(_)) | None => break None,
            },
            _ = ping.tick() => Out::Ping,
        };
        let sent = timeout(STUCK_AFTER, out.send(&mut session)).await;
        if !matches!(sent, Ok(true)) {
            break None;
        }
    };
    shared.lock().hub.disconnect(id);
    let _ = timeout(STUCK_AFTER, session.close(reason)).await;
}

/// What goes to the client next.
enum Out {
    Text(String),
    Ping,
    Pong(web::Bytes),
    Nothing,
    Close,
}

impl Out {
    /// False when the connection is over.
    async fn send(self, session: &mut Session) -> bool {
        match self {
            Self::Text(text) => session.text(text).await.is_ok(),
            Self::Ping => session.ping(b"simulator").await.is_ok(),
            Self::Pong(payload) => session.pong(&payload).await.is_ok(),
            Self::Nothing => true,
            Self::Close => false,
        }
    }
}

fn incoming(shared: &Shared, id: ConnectionId, kind: &mut Kind, message: Message) -> Out {
    match message {
        Message::Text(text) => Out::Text(match kind {
            Kind::Market => control(shared, id, &text).to_string(),
            Kind::Api(session) => session.answer(shared, id, &text).to_string(),
        }),
        Message::Ping(payload) => Out::Pong(payload),
        Message::Pong(_) | Message::Nop => Out::Nothing,
        Message::Close(_) => Out::Close,
        Message::Binary(_) | Message::Continuation(_) => {
            Out::Text(invalid(&Value::Null, "only text frames are read").to_string())
        }
    }
}

fn invalid(id: &Value, message: &str) -> Value {
    json!({"error": {"code": 2, "msg": format!("Invalid request: {message}")}, "id": id})
}

/// SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS.
fn control(shared: &Shared, connection: ConnectionId, text: &str) -> Value {
    let Ok(request) = serde_json::from_str::<Value>(text) else {
        return json!({"error": {"code": 3, "msg": "Invalid JSON: the frame is no JSON"}});
    };
    let id = &request["id"];
    let params = request["params"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(streams) = params.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() else {
        return invalid(id, "params must be an array of stream names");
    };
    let mut core = shared.lock();
    match request["method"].as_str() {
        Some("SUBSCRIBE") => streams.iter().for_each(|stream| core.hub.subscribe(connection, stream)),
        Some("UNSUBSCRIBE") => streams.iter().for_each(|stream| core.hub.unsubscribe(connection, stream)),
        Some("LIST_SUBSCRIPTIONS") => return json!({"result": core.hub.streams(connection), "id": id}),
        _ => return invalid(id, "unknown method; SUBSCRIBE, UNSUBSCRIBE or LIST_SUBSCRIPTIONS"),
    }
    json!({"result": null, "id": id})
}
