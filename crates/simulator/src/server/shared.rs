//! The one lock of the server, and how a request of either kind passes through it.
//!
//! It must never hold the lock across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::core::Core;
use super::endpoints::{Access, Endpoint};
use super::params::Params;
use crate::model::{AccountId, Refusal};

/// What all handlers share.
pub(super) struct Shared {
    core: Mutex<Core>,
    /// Woken when the pace changed.
    pub(super) changed: Notify,
}

/// An answer of either protocol.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The result, or the exchange's error object.
    pub(super) body: Value,
    pub(super) used: u32,
    pub(super) limit: u32,
    /// Seconds, where the weight limit is reached.
    pub(super) retry_after: Option<u64>,
    /// The exchange's time.
    pub(super) now: i64,
}

/// Who asks.
pub(super) enum Caller<'a> {
    /// A request with a key and a signature over `payload`.
    Key { key: Option<&'a str>, payload: String },
    /// A WebSocket session that has logged on.
    Session(AccountId),
}

/// The HTTP status of a refusal.
pub(super) fn status_of(refusal: &Refusal) -> u16 {
    match refusal.code {
        -2014 | -2015 => 401,
        -1003 | -1015 => 429,
        -2021 => 409,
        _ => 400,
    }
}

/// The exchange's error object.
pub(super) fn error_body(refusal: &Refusal) -> Value {
    let mut body = json!({"code": refusal.code, "msg": refusal.message});
    if let Some(data) = &refusal.data {
        body["data"] = json!(data);
    }
    body
}

impl Shared {
    pub(super) fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), changed: Notify::new() }
    }

    /// The state, brought up to its present.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.pump();
        core
    }

    /// Passes a request through: weight, signature, the endpoint, the state file.
    pub(super) fn call(&self, endpoint: &Endpoint, caller: &Caller<'_>, params: &Params) -> Answer {
        let mut core = self.lock();
        let weight = (endpoint.weight)(params);
        let result = self.admit(&mut core, weight);
        let retry_after = result.as_ref().err().copied();
        let result = match result {
            Ok(()) => run(&mut core, endpoint, caller, params),
            Err(_) => Err(Refusal::new(-1003, too_much(core.weights.limit()))),
        };
        if endpoint.is_free && result.is_ok() {
            core.weights.give_back(weight);
        }
        let (mut status, mut body) = match result {
            Ok(body) => (200, body),
            Err(refusal) => (status_of(&refusal), error_body(&refusal)),
        };
        if let Err(error) = core.commit() {
            tracing::error!(%error, "the answer is withheld: its state is not written");
            let refusal = Refusal::new(-1000, "An unknown error occurred while processing the request.");
            (status, body) = (500, error_body(&refusal));
        }
        let (used, limit) = (core.weights.used(), core.weights.limit());
        Answer { status, body, used, limit, retry_after, now: core.now() }
    }

    fn admit(&self, core: &mut Core, weight: u32) -> Result<(), u64> {
        let wall = core.wall();
        core.weights.take(weight, wall)
    }
}

fn too_much(limit: u32) -> String {
    format!(
        "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
         Please use WebSocket Streams for live updates to avoid polling the API."
    )
}

fn run(core: &mut Core, endpoint: &Endpoint, caller: &Caller<'_>, params: &Params) -> Result<Value, Refusal> {
    match endpoint.access {
        Access::Public(answer) => answer(core, params),
        Access::Signed(answer) => {
            let account = match caller {
                Caller::Key { key, payload } => core.authorize(*key, params, payload)?,
                Caller::Session(account) => {
                    let now = core.now();
                    super::auth::check_time(params, now, core.clock.speed())?;
                    account.clone()
                }
            };
            answer(core, &account, params)
        }
    }
}
