//! What the journal holds: facts with the state they led to, so that the store only has to write and never to compute.
//!
//! Records are append-only and their JSON is hashed into a chain, so a variant's fields may grow but never change meaning.

use std::collections::BTreeMap;

use domain::{
    Alert, Asset, BootNumber, ClientOrderId, CorrelationId, FamilyId, Fill, InstanceId, MarketInputError, Notional,
    OrderSpec, Permission, Price, Purpose, Quantity, ReasonCode, Scope, Symbol, Timestamp, TradeId, TradingMode,
};
use ledger::{EquityTracker, InstanceBook, Order, RoundTrip};
use risk::{Protection, Restriction};
use serde::{Deserialize, Serialize};

use crate::ActorId;

/// One row of the journal before it has its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When, in exchange time.
    pub time: Timestamp,
    /// Who says so.
    pub actor: ActorId,
    /// The event that caused it.
    pub correlation_id: CorrelationId,
    /// What happened.
    pub record: Record,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The service started.
    Started {
        /// This boot.
        boot: BootNumber,
        /// How it trades.
        mode: TradingMode,
        /// Version of the program.
        version: String,
        /// SHA-256 of the configuration.
        config_hash: String,
    },
    /// The books as a start found or began them, so that every instance of the configuration has one.
    BooksOpened {
        /// All of them.
        books: Vec<InstanceBook>,
    },
    /// The service stopped in order.
    Stopped {
        /// This boot.
        boot: BootNumber,
    },
    /// An order is about to be sent. Journaled before it leaves.
    OrderIntended {
        /// The order.
        order: Box<Order>,
        /// The exit that guards what fills, from now on.
        protection: Option<Protection>,
    },
    /// A wish was refused by the gate.
    IntentRefused {
        /// Whose wish.
        instance: InstanceId,
        /// Of which market.
        symbol: Symbol,
        /// Entry or exit.
        purpose: Purpose,
        /// Why.
        reason: ReasonCode,
        /// The values behind it.
        detail: String,
    },
    /// More became known of an order.
    OrderChanged {
        /// The order now.
        order: Box<Order>,
        /// Why, where there is a reason.
        reason: Option<ReasonCode>,
    },
    /// A cancel is about to be sent.
    CancelRequested {
        /// The order.
        order: OrderSpec,
        /// Why.
        reason: ReasonCode,
    },
    /// A trade was booked.
    FillBooked {
        /// The trade.
        fill: Fill,
        /// The instance's book after it.
        book: Box<InstanceBook>,
        /// A round trip that it closed.
        closed: Option<RoundTrip>,
        /// The order after it, where it is known.
        order: Option<Box<Order>>,
    },
    /// A trade of the account that is not ours, or that cannot be booked.
    FillNotBooked {
        /// The trade.
        fill: Fill,
        /// Why.
        detail: String,
    },
    /// A restriction came into force or became tighter.
    RestrictionRaised {
        /// The restriction.
        restriction: Restriction,
    },
    /// A restriction permits more, or ended.
    RestrictionLoosened {
        /// What it applies to.
        scope: Scope,
        /// Why it is there.
        reason: ReasonCode,
        /// What it permits now; `All` ends it.
        to: Permission,
        /// Who or what loosened it.
        by: String,
    },
    /// A position has another guard, because an entry that brought one has filled.
    ProtectionChanged {
        /// Whose.
        instance: InstanceId,
        /// Of which market.
        symbol: Symbol,
        /// What guards it now.
        protection: Protection,
    },
    /// What is under way with the exits that rest for a position; `None` ends it.
    ProtectionSequence {
        /// Whose.
        instance: InstanceId,
        /// Of which market.
        symbol: Symbol,
        /// What.
        sequence: Option<crate::Sequence>,
    },
    /// A position no longer needs its guard.
    ProtectionCleared {
        /// Whose.
        instance: InstanceId,
        /// Of which market.
        symbol: Symbol,
    },
    /// Equity, with the peaks and bases that breakers measure from.
    EquitySampled {
        /// The portfolio.
        portfolio: Box<EquityTracker>,
        /// The families.
        families: BTreeMap<FamilyId, EquityTracker>,
        /// The instances: unrealized result, peaks and bases.
        instances: BTreeMap<InstanceId, (Notional, EquityTracker)>,
        /// The marks they were valued at.
        marks: BTreeMap<Symbol, (Price, Timestamp)>,
    },
    /// A step of a recovery ended.
    RecoveryStep {
        /// What recovers.
        scope: Scope,
        /// Which step.
        step: String,
        /// What was found.
        detail: String,
    },
    /// The trades of the account were compared: none up to these can be missing in the book.
    TradesReconciled {
        /// The newest trade compared, by symbol.
        through: BTreeMap<Symbol, TradeId>,
    },
    /// What is held on the account beside the books is another quantity now.
    OutsideChanged {
        /// Of what.
        asset: Asset,
        /// So much now, in units of the asset.
        quantity: Quantity,
        /// Why.
        cause: OutsideCause,
    },
    /// A person promoted the service.
    Promoted {
        /// To this mode.
        to: TradingMode,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// What the exchange's own test of an order came to, which was not sent.
    OrderValidated {
        /// Of which market.
        symbol: Symbol,
        /// The order.
        order: ClientOrderId,
        /// Why the exchange would refuse it; `None`: it would take it.
        refusal: Option<String>,
    },
    /// Somebody must be told.
    AlertRaised(Alert),
    /// Market data was refused; journaled once for each kind, then counted.
    InputRejected {
        /// What was wrong.
        error: MarketInputError,
        /// The first one's market.
        symbol: String,
        /// The first one's values.
        detail: String,
    },
    /// A person, or the process itself, commanded something.
    Commanded {
        /// What.
        command: crate::Command,
    },
}

/// Why what is held beside the books is another quantity now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideCause {
    /// It was found at the first start.
    Found,
    /// It was configured so.
    Configured,
    /// So much came in, or left, without a trade.
    Transfer(Quantity),
    /// A commission of so much was charged in an asset that no book holds.
    Commission(Quantity),
}

impl std::fmt::Display for OutsideCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Found => f.write_str("found at the first start"),
            Self::Configured => f.write_str("configured"),
            Self::Transfer(delta) => write!(f, "a transfer of {delta}"),
            Self::Commission(charged) => write!(f, "a commission of {charged}"),
        }
    }
}

impl Record {
    /// The name of its kind, as it is searched for.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::BooksOpened { .. } => "books_opened",
            Self::Stopped { .. } => "stopped",
            Self::OrderIntended { .. } => "order_intended",
            Self::IntentRefused { .. } => "intent_refused",
            Self::OrderChanged { .. } => "order_changed",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::FillBooked { .. } => "fill_booked",
            Self::FillNotBooked { .. } => "fill_not_booked",
            Self::RestrictionRaised { .. } => "restriction_raised",
            Self::RestrictionLoosened { .. } => "restriction_loosened",
            Self::ProtectionChanged { .. } => "protection_changed",
            Self::ProtectionSequence { .. } => "protection_sequence",
            Self::ProtectionCleared { .. } => "protection_cleared",
            Self::EquitySampled { .. } => "equity_sampled",
            Self::RecoveryStep { .. } => "recovery_step",
            Self::TradesReconciled { .. } => "trades_reconciled",
            Self::OutsideChanged { .. } => "outside_changed",
            Self::Promoted { .. } => "promoted",
            Self::OrderValidated { .. } => "order_validated",
            Self::AlertRaised(_) => "alert_raised",
            Self::InputRejected { .. } => "input_rejected",
            Self::Commanded { .. } => "commanded",
        }
    }
}
