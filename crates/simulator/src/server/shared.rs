//! The one lock of the server, and how a request of either kind passes through it.
//!
//! It must never hold the lock across an await.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Fill;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::core::Core;
use super::endpoints::{Access, Endpoint};
use super::keys::Need;
use super::limits::{Excess, orders_of};
use super::params::Params;
use crate::faults::{Plan, RequestFacts};
use crate::model::{AccountId, OrderView, Refusal};

/// What all handlers share.
pub(super) struct Shared {
    core: Mutex<Core>,
    /// Woken when the pace changed.
    pub(super) changed: Notify,
    /// Woken when the server ends, for those who keep a client waiting.
    pub(super) closing: Notify,
}

/// An answer of either protocol.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The result, or the exchange's error object.
    pub(super) body: Value,
    pub(super) used: u32,
    /// Orders of the account in ten seconds and in a day, where the request places some.
    pub(super) orders: Option<(u32, u32)>,
    /// The limits as the WebSocket API tells them.
    pub(super) limits: Value,
    /// When to come again, in the exchange's time, where a limit is reached.
    pub(super) retry_at: Option<i64>,
    /// The exchange's time.
    pub(super) now: i64,
}

/// Who asks.
pub(super) struct Caller<'a> {
    pub(super) address: IpAddr,
    pub(super) identity: Identity<'a>,
    /// The WebSocket connection.
    pub(super) connection: Option<u64>,
}

/// As whom.
pub(super) enum Identity<'a> {
    /// A request with a key and a signature over `payload`.
    Key { key: Option<&'a str>, payload: String },
    /// A WebSocket session that has logged on with a key.
    Session(String),
}

/// What a request came to.
type Outcome = Result<Value, Failure>;

/// Why a request came to nothing.
pub(super) enum Failure {
    Refused(Refusal),
    TooMuch(Box<Excess>),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Box<Excess>> for Failure {
    fn from(excess: Box<Excess>) -> Self {
        Self::TooMuch(excess)
    }
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

impl Answer {
    /// Seconds until a client may come again.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let until = self.retry_at?.saturating_sub(self.now).max(1).unsigned_abs();
        Some(until.div_ceil(1000))
    }
}

impl Shared {
    pub(super) fn new(core: Core) -> Self {
        Self { core: Mutex::new(core), changed: Notify::new(), closing: Notify::new() }
    }

    /// The state, brought up to its present.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.pump();
        core
    }

    /// What the faults do to a request.
    pub(super) fn plan(&self, endpoint: (&str, &str, &str), caller: &Caller<'_>, params: &Params) -> Plan {
        let mut core = self.lock();
        if core.faults.is_empty() {
            return Plan::default();
        }
        let now = core.now();
        let key = match &caller.identity {
            Identity::Key { key, .. } => *key,
            Identity::Session(key) => Some(key.as_str()),
        };
        let account = key.and_then(|key| core.keys.account_of(key)).cloned();
        let (verb, path, method) = endpoint;
        let facts = RequestFacts {
            is_ws_api: caller.connection.is_some(),
            verb,
            path,
            method,
            symbol: params.get("symbol"),
            account: account.as_ref().map(AccountId::as_str),
            connection: caller.connection,
        };
        core.faults.on_request(&facts, now)
    }

    /// Passes a request through: limits, signature, the endpoint, the state file.
    pub(super) fn call(&self, endpoint: &Endpoint, caller: &Caller<'_>, params: &Params) -> Answer {
        let mut core = self.lock();
        let weight = (endpoint.weight)(params);
        let mut orders = None;
        let outcome = run(&mut core, endpoint, caller, params, &mut orders);
        if endpoint.is_free && outcome.is_ok() {
            let now = core.now();
            core.meter.give_back(caller.address, weight, now);
        }
        finish(&mut core, caller.address, outcome, orders.as_ref())
    }
}

impl Core {
    /// The exchange's time as it is told, which a fault may have set wrong.
    pub(super) fn shown_now(&mut self) -> i64 {
        let now = self.now();
        now.saturating_add(self.faults.skew_ms(now))
    }

    /// The first fill of an order gives back of the orders that were counted.
    pub(super) fn count_fill(&mut self, order: &OrderView, fill: &Fill) {
        if order.executed_quantity == fill.quantity {
            let now = self.now();
            self.meter.filled(&order.account, fill.is_maker, now);
        }
    }

    /// Weight of an address in this minute.
    pub(super) fn used_weight(&mut self, address: IpAddr) -> u32 {
        let now = self.now();
        self.meter.used(address, now)
    }

    /// Real time since the start, and whether a connection is half open.
    pub(super) fn wall_and_half_open(&mut self, connection: u64) -> (std::time::Duration, bool) {
        let now = self.now();
        (self.wall.elapsed(), self.faults.is_half_open(connection, now))
    }
}

/// Makes the answer; it leaves only when the state that it tells of is written.
pub(super) fn finish(core: &mut Core, address: IpAddr, outcome: Outcome, account: Option<&AccountId>) -> Answer {
    let mut retry_at = None;
    let (mut status, mut body) = match outcome {
        Ok(body) => (200, body),
        Err(Failure::Refused(refusal)) => (status_of(&refusal), error_body(&refusal)),
        Err(Failure::TooMuch(excess)) => {
            retry_at = Some(excess.until);
            (excess.status, json!({"code": excess.code, "msg": excess.message}))
        }
    };
    if let Err(error) = core.commit() {
        tracing::error!(%error, "the answer is withheld: its state is not written");
        let refusal = Refusal::new(-1000, "An unknown error occurred while processing the request.");
        (status, body) = (500, error_body(&refusal));
    }
    let now = core.now();
    let used = core.meter.used(address, now);
    let orders = account.map(|account| core.meter.orders(account, now));
    let limits = core.meter.shown_counts(used, orders);
    Answer { status, body, used, orders, limits, retry_at, now }
}

fn run(
    core: &mut Core,
    endpoint: &Endpoint,
    caller: &Caller<'_>,
    params: &Params,
    orders: &mut Option<AccountId>,
) -> Outcome {
    let now = core.now();
    core.meter.take(caller.address, (endpoint.weight)(params), now)?;
    let need = Need::of(endpoint.rest.0);
    match endpoint.access {
        Access::Public(answer) => Ok(answer(core, params)?),
        Access::Keyed(answer) => {
            if let Identity::Key { key, .. } = caller.identity {
                core.keys.find(key)?;
            }
            Ok(answer(core, params)?)
        }
        Access::OfKey(answer) => {
            core.authorize(caller, need, params)?;
            let key = match &caller.identity {
                Identity::Key { key, .. } => key.unwrap_or_default(),
                Identity::Session(key) => key,
            };
            Ok(answer(core, key, params)?)
        }
        Access::Signed(answer) => {
            let account = core.authorize(caller, need, params)?;
            let count = orders_of(endpoint.rest);
            if count > 0 {
                *orders = Some(account.clone());
                core.meter.may_place(&account, count, now)?;
                // Counted before, so that a fill at once gives back of it.
                core.meter.placed(&account, count, now);
            }
            let answer = answer(core, &account, params);
            // A replacement counts also where the cancel failed and nothing was placed.
            let is_uncounted = answer.as_ref().is_err_and(|refusal| ![-2021, -2022].contains(&refusal.code));
            if count > 0 && is_uncounted {
                core.meter.take_back(&account, count, now);
            }
            Ok(answer?)
        }
    }
}
