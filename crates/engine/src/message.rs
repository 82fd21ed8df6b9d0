//! Everything that actors tell each other. Facts are nouns or in the past tense; commands are in the imperative.
//!
//! What is large and seldom is boxed, because a message is moved several times on its way. A message says which actor it is for by its type, so that none can be sent to the wrong one.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{
    Alert, Asset, Candle, ClientOrderId, CorrelationId, ExecutionEvent, Fill, InstanceId, Instrument, Interval,
    MarketEvent, MarketInputError, Notional, OrderReport, Permission, Price, Quantity, Quote, ReasonCode, Scope,
    Symbol, Timestamp, Trade, TradeId,
};
use ledger::reconcile::{ExchangeSnapshot, Finding};
use ledger::{Ledger, OrderEnd, Position};
use risk::{ApprovedOrder, ExitIntent, OrderIntent, ProtectIntent};
use serde::{Deserialize, Serialize};

pub use crate::actor::{ActorId, FamilyIndex, InstanceIndex};
use crate::recovery::{Backfilled, Reconciled, Recovery};

/// A message with the actor that it is for.
#[derive(Debug)]
pub enum Envelope {
    /// For MarketData.
    MarketData(MarketDataMessage),
    /// For one Strategy.
    Strategy(InstanceIndex, StrategyMessage),
    /// For one FamilyRisk.
    FamilyRisk(FamilyIndex, FamilyRiskMessage),
    /// For GlobalRisk.
    GlobalRisk(GlobalRiskMessage),
    /// For the Executor.
    Executor(ExecutorMessage),
    /// For the Reconciler.
    Reconciler(ReconcilerMessage),
    /// For the HealthMonitor.
    HealthMonitor(HealthMessage),
}

impl Envelope {
    /// Whom it is for.
    #[must_use]
    pub const fn to(&self) -> ActorId {
        match self {
            Self::MarketData(_) => ActorId::MarketData,
            Self::Strategy(index, _) => ActorId::Strategy(*index),
            Self::FamilyRisk(index, _) => ActorId::FamilyRisk(*index),
            Self::GlobalRisk(_) => ActorId::GlobalRisk,
            Self::Executor(_) => ActorId::Executor,
            Self::Reconciler(_) => ActorId::Reconciler,
            Self::HealthMonitor(_) => ActorId::HealthMonitor,
        }
    }

    /// Whether a newer one of the same kind makes it worthless, so that it may be dropped when a mailbox is full.
    #[must_use]
    pub const fn is_coalescible(&self) -> bool {
        matches!(
            self,
            Self::MarketData(MarketDataMessage::Market(MarketEvent::Quote(_)) | MarketDataMessage::Cycle(_))
                | Self::Strategy(_, StrategyMessage::Quote(..) | StrategyMessage::Cycle(_))
                | Self::FamilyRisk(_, FamilyRiskMessage::Cycle(..) | FamilyRiskMessage::Equity(_))
                | Self::GlobalRisk(GlobalRiskMessage::Mark { .. } | GlobalRiskMessage::Cycle(..))
                | Self::Executor(ExecutorMessage::Mark { .. } | ExecutorMessage::Cycle(_))
        )
    }
}

/// The token of the heartbeat: it travels MarketData -> Strategy -> FamilyRisk -> GlobalRisk -> Executor, and its arrival
/// proves the whole path (H1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// Counted from 1.
    pub sequence: u64,
}

/// What MarketData is told.
#[derive(Debug)]
pub enum MarketDataMessage {
    /// The feed told something.
    Market(MarketEvent),
    /// The feed told something that could not be read.
    Unreadable(MarketInputError, String),
    /// The rules of the instruments, at the start and after each refresh.
    Instruments(Arc<Vec<Instrument>>),
    /// Candles that were asked for, oldest first; empty where the exchange has none or the request failed.
    Backfilled(Symbol, Interval, Vec<Candle>),
    /// A stream broke.
    FeedLost(String),
    /// A stream is back.
    FeedRestored(String),
    /// The heartbeat begins here.
    Cycle(Cycle),
}

/// An order that rests on the exchange to close a position: a stop, or the target of the same list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestingExit {
    /// Ours.
    pub id: ClientOrderId,
    /// The other leg of its list.
    pub oco: Option<ClientOrderId>,
    /// Where it triggers; a target has none.
    pub stop_price: Option<Price>,
    /// What it may still close, in base units.
    pub open_quantity: Quantity,
    /// Whether the exchange has said that it has it.
    pub acknowledged: bool,
}

/// What a position came to, for the strategy that owns it and for the Executor that protects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionUpdate {
    /// The position.
    pub position: Position,
    /// Whether nothing of it can be sold: zero or dust.
    pub flat: bool,
    /// The entry order that is at work, if any.
    pub entry: Option<ClientOrderId>,
    /// Whether an exit that trades at once is at work.
    pub exit_working: bool,
    /// What exits that trade at once may still close, in base units.
    pub exit_open: Quantity,
    /// What rests on the exchange to close the position.
    pub resting: Vec<RestingExit>,
    /// Whether exits that a strategy asks for are permitted now.
    pub exits_permitted: bool,
    /// Equity of the instance, in the portfolio's currency.
    pub equity: Notional,
    /// The event that caused the change.
    pub correlation_id: CorrelationId,
}

/// What a Strategy is told.
#[derive(Debug)]
pub enum StrategyMessage {
    /// A candle ended now.
    Candle(Candle, CorrelationId),
    /// A candle of the past: it moves indicators and causes no order.
    WarmUp(Candle),
    /// The best bid or ask changed.
    Quote(Quote, CorrelationId),
    /// A public trade.
    Trade(Trade, CorrelationId),
    /// The rules of the instruments.
    Instruments(Arc<Vec<Instrument>>),
    /// The own position, or an order of the own, changed.
    Position(Box<PositionUpdate>),
    /// An own order traded.
    Fill(Box<Fill>),
    /// A wish of the own was refused.
    Refused(Symbol, ReasonCode),
    /// Hand out the state for keeping.
    Save,
    /// The heartbeat passes.
    Cycle(Cycle),
}

/// Equity of one instance, published by GlobalRisk with a sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceEquity {
    /// Whose.
    pub instance: InstanceIndex,
    /// Ascending; an older one is ignored.
    pub sequence: u64,
    /// Equity, in the portfolio's currency.
    pub equity: Notional,
}

/// What a FamilyRisk is told.
#[derive(Debug)]
pub enum FamilyRiskMessage {
    /// A strategy of the family wishes to trade.
    Intent(OrderIntent),
    /// Equity of an instance of the family.
    Equity(InstanceEquity),
    /// An instance of the family failed and stays failed: the heartbeat does not wait for it.
    MemberFailed(InstanceIndex),
    /// The heartbeat passes; from this instance.
    Cycle(Cycle, InstanceIndex),
}

/// What the connection to the exchange tells beside orders and market data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeEvent {
    /// Events of the account are not being told yet; the process has just started.
    AccountStreamAwaited,
    /// Events of the account are no longer told, and why.
    AccountStreamLost(String),
    /// Events of the account are told from now on; those before must be asked for.
    AccountStreamSubscribed,
    /// The exchange does not answer, after all repetitions, and what was said last.
    Unreachable(String),
    /// The exchange answers again.
    Reachable,
    /// The exchange refuses the key, and what it said.
    KeyRefused(String),
    /// Something came into the account, or left it, without a trade: a deposit, a withdrawal, a transfer.
    Transfer {
        /// What.
        asset: Asset,
        /// Above zero came in, in units of the asset.
        delta: Quantity,
        /// When, in exchange time: the same transfer may be told twice.
        time: Timestamp,
    },
    /// What the exchange's own test of an order came to; `None`: it would have been taken.
    Validated(Symbol, ClientOrderId, Option<String>),
}

/// What GlobalRisk is told.
#[derive(Debug)]
pub enum GlobalRiskMessage {
    /// The connection to the exchange told something.
    Exchange(ExchangeEvent),
    /// What happened during an outage is booked, up to the question of this number.
    GapClosed(u64),
    /// Somebody wishes to trade.
    Intent(OrderIntent),
    /// A protective exit is to rest on the exchange.
    Protect(ProtectIntent),
    /// Withdraw an order.
    Cancel {
        /// The market.
        symbol: Symbol,
        /// The order.
        id: ClientOrderId,
        /// Why.
        reason: ReasonCode,
        /// The event that caused it.
        correlation_id: CorrelationId,
    },
    /// The price of a symbol.
    Mark {
        /// The market.
        symbol: Symbol,
        /// Mid of a fresh quote, else the last trade.
        price: Price,
    },
    /// The rules of the instruments.
    Instruments(Arc<Vec<Instrument>>),
    /// An order was handed to the transport.
    Released(ClientOrderId),
    /// The fate of an order is not known.
    OutcomeUnknown(ClientOrderId),
    /// An order is not on the exchange, by our own conclusion.
    Concluded(ClientOrderId, OrderEnd, ReasonCode),
    /// The exchange told something of an order.
    Execution(Box<ExecutionEvent>),
    /// Somebody raises an alert.
    Alert(Alert),
    /// The Reconciler wants the book, to compare.
    DescribeBook,
    /// The differences found, to be booked; after them no trade up to these can be missing.
    Reconcile(Vec<Finding>, BTreeMap<Symbol, TradeId>),
    /// The scope is reconciled: exits may go.
    Reconciled(Recovery<Reconciled>),
    /// The scope is backfilled: the recovery is over.
    Recovered(Recovery<Backfilled>),
    /// A loosening became durable: the restriction now permits so much; `All` ends it.
    Loosened {
        /// Ascending; a tightening of the same kind outdates those before it.
        number: u64,
        /// What it applies to.
        scope: Scope,
        /// Why it was there.
        reason: ReasonCode,
        /// What it permits now.
        to: Permission,
    },
    /// Whether the journal can be written.
    JournalAvailable(bool),
    /// A person wants something.
    Command(Command),
    /// All instances of a family failed: the heartbeat does not wait for it.
    FamilyIdle(FamilyIndex),
    /// Hand out the equity for keeping.
    Save,
    /// The heartbeat passes; from this family.
    Cycle(Cycle, FamilyIndex),
}

/// What a person, or the process itself, commands. No command skips the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// No new entries from now on: the service is stopping.
    StopEntries,
    /// The recovery of the whole process begins: nothing leaves until it is reconciled.
    BeginRecovery,
    /// An actor failed and stays failed.
    ActorFailed(InstanceId),
}

/// What came of handing an order to the transport.
#[derive(Debug)]
pub enum SubmitResult {
    /// It did not leave.
    NotSent(ClientOrderId, ReasonCode),
    /// The exchange took it: one report for each leg, and the fills that its answer told, in order.
    Accepted(Vec<OrderReport>, Vec<Fill>),
    /// The exchange refused it.
    Refused(ClientOrderId, String),
    /// Nobody knows.
    Unknown(ClientOrderId, String),
}

/// What the Executor is told.
#[derive(Debug)]
pub enum ExecutorMessage {
    /// Send it.
    Approved(Box<ApprovedOrder>),
    /// Withdraw it.
    Cancel(Symbol, ClientOrderId),
    /// What came of sending.
    Submitted(SubmitResult),
    /// The exchange told something of an order.
    Execution(Box<ExecutionEvent>),
    /// The answer to a query: `None` means that the exchange does not know the id.
    Queried(Symbol, ClientOrderId, Result<Option<Box<OrderReport>>, String>),
    /// A position changed: guard it, or stop guarding it.
    Position(Box<PositionUpdate>),
    /// An exit was refused.
    ExitRefused(InstanceId, Symbol, ReasonCode),
    /// A protective exit of so much may not rest on the exchange.
    ProtectionRefused(InstanceId, Symbol, ReasonCode, Quantity),
    /// What rests is to be given up for this exit.
    Close(ExitIntent),
    /// The price of a symbol.
    Mark {
        /// The market.
        symbol: Symbol,
        /// Mid of a fresh quote, else the last trade.
        price: Price,
        /// The event that told it.
        correlation_id: CorrelationId,
    },
    /// The heartbeat passes.
    Cycle(Cycle),
}

/// What a reconciliation compares.
#[derive(Debug)]
pub struct BookNow {
    /// The ledger.
    pub ledger: Ledger,
    /// What is held beside it, by asset.
    pub outside: BTreeMap<Asset, Quantity>,
    /// Up to which trade of each symbol nothing can be missing. The newest trade booked says nothing of that: one before it
    /// may have come unseen.
    pub trades_through: BTreeMap<Symbol, TradeId>,
}

/// What the Reconciler is told.
#[derive(Debug)]
pub enum ReconcilerMessage {
    /// Recover this scope.
    Start(Scope),
    /// Events of the account may have been missed: ask for what happened. Ascending numbers.
    CloseGap(u64),
    /// The book, as it is now.
    Book(Box<BookNow>),
    /// What the exchange says, or why it could not be gathered.
    Snapshot(Result<Box<ExchangeSnapshot>, String>),
    /// The differences are booked; so many orders could not be resolved and so many assets differ.
    Applied {
        /// Orders whose fate is still open.
        unresolved: usize,
        /// Assets of which the exchange holds another quantity.
        drifting: usize,
    },
    /// Candles of the past are with the strategies.
    BackfillDone,
    /// The heartbeat passes: retry what failed.
    Cycle(Cycle),
}

/// What the HealthMonitor is told. Its times are monotonic milliseconds, not exchange time.
#[derive(Debug)]
pub enum HealthMessage {
    /// The cycle arrived at the Executor.
    Heartbeat(Cycle),
    /// Time passes.
    Tick {
        /// Monotonic milliseconds.
        monotonic_ms: u64,
    },
}
