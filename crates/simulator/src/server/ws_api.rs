//! The WebSocket API: requests as in REST, sessions, and the events of an account.
//!
//! It must never let a session act for an account that did not log on with its key.

use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::auth::ws_payload;
use super::endpoints::ENDPOINTS;
use super::hub::ConnectionId;
use super::params::Params;
use super::shared::{Answer, Caller, Shared, error_body, status_of};
use super::streams::{Kind, mark, serve};
use crate::model::{AccountId, Refusal};

/// Weight of requests about sessions and subscriptions, and of connecting.
const SESSION_WEIGHT: u32 = 2;

/// One connection's session.
#[derive(Debug, Default)]
pub(super) struct ApiSession {
    account: Option<AccountId>,
}

/// `/ws-api/v3`.
#[allow(clippy::unused_async, reason = "actix-web's handlers are async")]
pub(super) async fn api(
    request: HttpRequest,
    body: web::Payload,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, Error> {
    let (mut response, session, messages) = actix_ws::handle(&request, body)?;
    let (id, frames) = {
        let mut core = shared.lock();
        let wall = core.wall();
        let _ = core.weights.take(SESSION_WEIGHT, wall);
        core.hub.connect(false)
    };
    mark(&mut response, id);
    let kind = Kind::Api(Box::default());
    actix_rt::spawn(serve(shared.into_inner(), id, kind, session, messages, frames));
    Ok(response)
}

impl ApiSession {
    /// The answer to one frame.
    pub(super) fn answer(&mut self, shared: &Shared, connection: ConnectionId, text: &str) -> Value {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            let refusal = Refusal::new(-1135, "This is not a valid JSON request.");
            return json!({"id": null, "status": 400, "error": error_body(&refusal)});
        };
        let params = Params::from_json(&request["params"]);
        let method = request["method"].as_str().unwrap_or_default();
        let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.method == method && !method.is_empty());
        let answer = match endpoint {
            Some(endpoint) => shared.call(endpoint, &self.caller(&params), &params),
            None => self.manage(shared, connection, method, &params),
        };
        frame(&request["id"], &answer, params.get("returnRateLimits") != Some("false"))
    }

    /// A request with a key speaks for the key, one without for the session.
    fn caller<'a>(&self, params: &'a Params) -> Caller<'a> {
        match (&self.account, params.get("apiKey")) {
            (Some(account), None) => Caller::Session(account.clone()),
            (_, key) => Caller::Key { key, payload: ws_payload(params) },
        }
    }

    /// Requests about the connection itself.
    fn manage(&mut self, shared: &Shared, connection: ConnectionId, method: &str, params: &Params) -> Answer {
        let mut core = shared.lock();
        let wall = core.wall();
        let taken = core.weights.take(SESSION_WEIGHT, wall);
        let result = match (taken, method) {
            (Err(_), _) => Err(Refusal::new(-1003, "Too much request weight used.")),
            (Ok(()), "session.logon") => self.logon(&mut core, params),
            (Ok(()), "session.status") => Ok(self.status()),
            (Ok(()), "session.logout") => {
                self.account = None;
                Ok(self.status())
            }
            (Ok(()), "userDataStream.subscribe") => {
                let account = self.account.clone().ok_or_else(|| {
                    Refusal::new(
                        -2015,
                        "The session is not authenticated: log on first, or subscribe with a signature.",
                    )
                });
                account.and_then(|account| subscribe(&mut core, connection, &account))
            }
            (Ok(()), "userDataStream.subscribe.signature") => core
                .authorize(params.get("apiKey"), params, &ws_payload(params))
                .and_then(|account| subscribe(&mut core, connection, &account)),
            (Ok(()), "userDataStream.unsubscribe") => params.id("subscriptionId").map(|number| {
                core.hub.unsubscribe_user(connection, number);
                json!({})
            }),
            (Ok(()), _) => Err(Refusal::new(-1020, "This operation is not supported.")),
        };
        let (status, body) = match result {
            Ok(body) => (200, body),
            Err(refusal) => (status_of(&refusal), error_body(&refusal)),
        };
        let (used, limit) = (core.weights.used(), core.weights.limit());
        Answer { status, body, used, limit, retry_after: taken.err(), now: core.now() }
    }

    fn logon(&mut self, core: &mut super::core::Core, params: &Params) -> Result<Value, Refusal> {
        let key = core.known_key(params.get("apiKey"))?;
        if !key.checker.is_ed25519() {
            return Err(Refusal::new(-4056, "HMAC_SHA256 API key is not supported."));
        }
        self.account = Some(core.authorize(params.get("apiKey"), params, &ws_payload(params))?);
        let now = core.now();
        Ok(json!({
            "apiKey": params.get("apiKey"), "authorizedSince": now, "connectedSince": now, "returnRateLimits": true,
            "serverTime": now, "userDataStream": false,
        }))
    }

    fn status(&self) -> Value {
        json!({"authorizedSince": self.account.as_ref().map(|_| 0), "returnRateLimits": true})
    }
}

fn subscribe(core: &mut super::core::Core, connection: ConnectionId, account: &AccountId) -> Result<Value, Refusal> {
    let number = core.hub.subscribe_user(connection, account);
    let number = number.ok_or_else(|| Refusal::new(-2035, "User data stream subscription is already active."))?;
    Ok(json!({"subscriptionId": number}))
}

fn frame(id: &Value, answer: &Answer, with_limits: bool) -> Value {
    let mut frame = json!({"id": id, "status": answer.status});
    let mut body = answer.body.clone();
    if let Some(seconds) = answer.retry_after {
        let retry_after = answer.now.saturating_add_unsigned(seconds.saturating_mul(1000));
        body["data"] = json!({"serverTime": answer.now, "retryAfter": retry_after});
    }
    frame[if answer.status == 200 { "result" } else { "error" }] = body;
    if with_limits {
        frame["rateLimits"] = json!([{
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": answer.limit, "count": answer.used,
        }]);
    }
    frame
}
