//! The trait that orders go through, and what its calls can come to.
//!
//! It must never hide an unknown outcome: a request whose fate is not known says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::{
    Asset, ClientOrderId, ExecutionEvent, Fill, OrderReport, Quantity, ReasonCode, Symbol, Timestamp, TradeId,
};
use risk::{ApprovedOrder, NotReleased, SafetyLatch};

/// A future on the arbiter that made it: actix and awc are not `Send`.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// The exchange's time now. Given from outside, because adapters read no clock.
pub type TimeSource = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Monotonic milliseconds of the machine, for deadlines of the transport. Given from outside.
pub type MonotonicMs = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Where an adapter tells what happened to orders of the account. Called on the adapter's arbiter.
pub type ExecutionSink = Box<dyn Fn(ExecutionEvent)>;

/// Which kind of failure a request met; the kind decides what may be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestErrorKind {
    /// It did not leave, or was refused before it could do anything: it may be repeated.
    NotDone,
    /// Nobody knows whether it did anything: ask, never repeat an order.
    Unknown,
    /// The exchange understood and refused it.
    Refused,
    /// The exchange wants us to be quiet for a while.
    RateLimited,
    /// Keys, permissions, or the address are wrong: a person must look.
    Fatal,
    /// The answer makes no sense.
    BadAnswer,
}

/// What a failed request asks of us. Data: the adapter does by itself only [`Action::RepeatAfterClockSync`] and the
/// silence of [`Action::StopUntil`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Nothing: what was wanted is so already, or does not matter.
    Proceed,
    /// Ask for the order by its id; never send it again.
    LookUp,
    /// Ask for the order again for some seconds before anything is concluded.
    AskAgain,
    /// Synchronise the clock and repeat once with the same client id.
    RepeatAfterClockSync,
    /// Send less, and ask for what may have been done.
    SlowDown,
    /// Send nothing at all until the time that the exchange named.
    StopUntil,
    /// Send no new order until the window ends; cancels and reads go on.
    NoNewOrders,
    /// Make a new connection.
    Reconnect,
    /// Fetch the instrument's rules and status again.
    RefreshInstrument,
    /// Take the symbol out of trading until a person or a new description of it says otherwise.
    QuarantineSymbol,
    /// Fetch the balances again.
    RefreshBalances,
    /// The market has moved past the prices: compute them anew.
    Recompute,
    /// There is nobody to trade with: wait for a market.
    WaitForLiquidity,
    /// Cancel the order and send another one.
    CancelAndReplace,
    /// Read both halves of the answer, and make sure that a stop is in force.
    CheckProtection,
    /// Count the order as closed without a fill.
    CountAsClosed,
    /// Ask for less at a time.
    SplitQuery,
    /// Use the average price instead.
    UseAveragePrice,
    /// A mistake of this program: report it, never repeat.
    Report,
    /// The configuration is wrong: a person must change it.
    FixConfiguration,
    /// Keys or permissions are wrong: stop trading and alert.
    StopTrading,
}

/// A request that failed. It never contains a key, a secret or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{request}: {detail}")]
pub struct RequestError {
    /// What was asked: method and path without parameters.
    pub request: String,
    /// What it means.
    pub kind: RequestErrorKind,
    /// The exchange's code, where it gave one.
    pub code: Option<i32>,
    /// Why, where the exchange's words or our own ledger of limits say so.
    pub reason: Option<ReasonCode>,
    /// What to do now.
    pub action: Action,
    /// What was said, and what to do, for people.
    pub detail: String,
    /// How long the exchange asks to be left alone, in seconds.
    pub retry_after_s: Option<u64>,
}

/// What came of an approved order.
#[derive(Debug)]
pub enum SubmitOutcome {
    /// It did not leave the process: the latch or the expiry stopped it at the last moment.
    NotReleased(NotReleased),
    /// It left, and the exchange took it: one report for each leg. Fills that the answer told are in order.
    Accepted(Vec<OrderReport>, Vec<Fill>),
    /// It left, and the exchange refused it: nothing happened.
    Refused(RequestError),
    /// It left, or may have: its fate must be asked for.
    Unknown(RequestError),
}

/// What came of a cancel.
#[derive(Debug)]
pub enum CancelOutcome {
    /// The order is cancelled.
    Canceled(OrderReport),
    /// The exchange does not know it as open: filled, cancelled or never there. Ask for it.
    NotOpen,
    /// The request failed; the order may be as it was or not.
    Failed(RequestError),
}

/// An exchange account that orders are sent to. Implemented by the Binance Spot adapter and by the paper account.
pub trait Exchange {
    /// Releases `order` through `latch` as late as the transport allows, and sends it. It is never sent twice.
    fn submit(&self, order: ApprovedOrder, latch: &SafetyLatch) -> LocalFuture<SubmitOutcome>;

    /// Cancels one order.
    fn cancel(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<CancelOutcome>;

    /// What the exchange knows of one order; `Ok(None)` means that it does not know the id (now).
    fn order(&self, symbol: &Symbol, id: &ClientOrderId) -> LocalFuture<Result<Option<OrderReport>, RequestError>>;

    /// All open orders of the account.
    fn open_orders(&self) -> LocalFuture<Result<Vec<OrderReport>, RequestError>>;

    /// Trades of the account on `symbol` after `after`, oldest first; `None` means from the first one.
    fn trades_after(&self, symbol: &Symbol, after: Option<TradeId>) -> LocalFuture<Result<Vec<Fill>, RequestError>>;

    /// Free plus locked, by asset, without zeros.
    fn balances(&self) -> LocalFuture<Result<BTreeMap<Asset, Quantity>, RequestError>>;
}
