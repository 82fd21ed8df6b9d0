//! What one connection of the WebSocket API is: whom it has logged on as, since when, and the requests about that.
//!
//! It must never let a session act for an account that did not log on with its key.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::auth::ws_payload;
use super::core::Core;
use super::hub::ConnectionId;
use super::keys::Need;
use super::params::Params;
use super::shared::{Answer, Caller, Failure, Identity, Shared, finish};
use crate::model::Refusal;

/// Weight of requests about sessions and subscriptions, and of connecting.
pub(super) const SESSION_WEIGHT: u32 = 2;

/// One connection's session.
#[derive(Debug, Clone)]
pub(super) struct ApiSession {
    pub(super) address: IpAddr,
    /// The key it has logged on with, and when.
    logon: Option<(String, i64)>,
    connected_since: i64,
    /// As the connection's address asked for it.
    returns_limits: bool,
    pub(super) is_micro: bool,
}

impl ApiSession {
    pub(super) fn new(address: IpAddr, now: i64, returns_limits: bool, is_micro: bool) -> Self {
        Self { address, logon: None, connected_since: now, returns_limits, is_micro }
    }

    /// A request with a key speaks for the key, one without for the session.
    pub(super) fn caller<'a>(&self, connection: ConnectionId, params: &'a Params) -> Caller<'a> {
        let identity = match (&self.logon, params.get("apiKey")) {
            (Some((key, _)), None) => Identity::Session(key.clone()),
            (_, key) => Identity::Key { key, payload: ws_payload(params) },
        };
        Caller { address: self.address, identity, connection: Some(connection) }
    }

    pub(super) fn returns_limits(&self, params: &Params) -> bool {
        params.get("returnRateLimits").map_or(self.returns_limits, |wanted| wanted != "false")
    }

    /// Requests about the connection itself.
    pub(super) fn manage(
        &mut self,
        shared: &Shared,
        connection: ConnectionId,
        method: &str,
        params: &Params,
    ) -> Answer {
        let mut core = shared.lock();
        let now = core.now();
        let outcome = match core.meter.take(self.address, SESSION_WEIGHT, now) {
            Err(excess) => Err(Failure::TooMuch(excess)),
            Ok(()) => self.act(&mut core, connection, method, params).map_err(Failure::Refused),
        };
        finish(&mut core, self.address, outcome, None)
    }

    fn act(
        &mut self,
        core: &mut Core,
        connection: ConnectionId,
        method: &str,
        params: &Params,
    ) -> Result<Value, Refusal> {
        let now = core.now();
        match method {
            "session.logon" => self.log_on(core, connection, params),
            "session.status" => Ok(self.status(core, connection)),
            "session.logout" => {
                self.logon = None;
                let ended: Vec<u64> =
                    core.hub.subscriptions(connection).iter().filter(|it| it.1).map(|it| it.0).collect();
                core.hub.end_subscriptions(connection, &ended, now);
                Ok(self.status(core, connection))
            }
            "session.subscriptions" => {
                let numbers = core.hub.subscriptions(connection);
                Ok(numbers.iter().map(|(number, _)| json!({"subscriptionId": number})).collect())
            }
            "userDataStream.subscribe" => {
                let message = "The session is not authenticated: log on first, or subscribe with a signature.";
                let (key, _) = self.logon.clone().ok_or_else(|| Refusal::new(-2015, message))?;
                let account = core.keys.find(Some(&key))?.account.clone();
                let number = core.hub.subscribe_user(connection, &account, &key, true)?;
                Ok(json!({"subscriptionId": number}))
            }
            "userDataStream.subscribe.signature" => {
                let key = params.get("apiKey");
                let identity = Identity::Key { key, payload: ws_payload(params) };
                let caller = Caller { address: self.address, identity, connection: Some(connection) };
                let account = core.authorize(&caller, Need::Reading, params)?;
                let number = core.hub.subscribe_user(connection, &account, key.unwrap_or_default(), false)?;
                Ok(json!({"subscriptionId": number}))
            }
            "userDataStream.unsubscribe" => {
                let active = core.hub.subscriptions(connection);
                let ended: Vec<u64> = match params.id("subscriptionId")? {
                    Some(number) if active.iter().any(|(other, _)| *other == number) => vec![number],
                    Some(_) => return Err(Refusal::new(-2036, "User Data Stream subscription not active.")),
                    None => active.iter().map(|(number, _)| *number).collect(),
                };
                core.hub.end_subscriptions(connection, &ended, now);
                Ok(json!({}))
            }
            _ => Err(Refusal::new(-1020, "This operation is not supported.")),
        }
    }

    fn log_on(&mut self, core: &mut Core, connection: ConnectionId, params: &Params) -> Result<Value, Refusal> {
        let key = params.get("apiKey");
        if !core.keys.find(key)?.checker.is_ed25519() {
            return Err(Refusal::new(-4056, "Only Ed25519 keys are supported for session.logon."));
        }
        let identity = Identity::Key { key, payload: ws_payload(params) };
        let caller = Caller { address: self.address, identity, connection: Some(connection) };
        core.authorize(&caller, Need::Reading, params)?;
        self.logon = Some((key.unwrap_or_default().to_owned(), core.now()));
        Ok(self.status(core, connection))
    }

    fn status(&self, core: &mut Core, connection: ConnectionId) -> Value {
        let has_stream = core.hub.subscriptions(connection).iter().any(|(_, is_session)| *is_session);
        json!({
            "apiKey": self.logon.as_ref().map(|(key, _)| key),
            "authorizedSince": self.logon.as_ref().map(|(_, since)| since),
            "connectedSince": self.connected_since,
            "returnRateLimits": self.returns_limits,
            "serverTime": core.shown_now(),
            "userDataStream": has_stream,
        })
    }
}
