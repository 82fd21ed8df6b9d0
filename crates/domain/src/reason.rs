//! Reason codes: why something was done, refused or told. A reason is one of these, never a free text.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reason_codes {
    ($( $(#[doc = $doc:literal])* $variant:ident => $code:literal, )*) => {
        /// Why something was done, refused or told. The codes are stable: operators search for them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ReasonCode {
            $( $(#[doc = $doc])* #[serde(rename = $code)] $variant, )*
        }

        impl ReasonCode {
            /// Every code, for tables and tests.
            pub const ALL: &[ReasonCode] = &[$( ReasonCode::$variant, )*];

            /// The code as it is printed, journaled and searched for.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $( ReasonCode::$variant => $code, )* }
            }

            /// One sentence for the person who reads the code.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $( ReasonCode::$variant => concat!($($doc),*).trim(), )* }
            }
        }
    };
}

reason_codes! {
    /// A strategy opened a position.
    EntrySignal => "ENTRY_SIGNAL",
    /// A strategy closed its position.
    ExitSignal => "EXIT_SIGNAL",
    /// The price reached the stop of the position.
    ExitStopLoss => "EXIT_STOP_LOSS",
    /// The price reached the target of the position.
    ExitTakeProfit => "EXIT_TAKE_PROFIT",
    /// The symbol is being delisted: the position is closed while it can be.
    ExitForcedDelisting => "EXIT_FORCED_DELISTING",
    /// A person asked for the close and it was approved.
    ExitManual => "EXIT_MANUAL",
    /// A position found on the exchange only was created locally.
    RecoveredOrphan => "RECOVERED_ORPHAN",
    /// A strategy withdrew an order that had not filled in time.
    CancelStale => "CANCEL_STALE",
    /// The service is stopping: no new entries.
    Shutdown => "SHUTDOWN",
    /// Recovery of this scope has not ended.
    Recovery => "RECOVERY",
    /// An operator restricted it.
    OperatorPause => "OPERATOR_PAUSE",
    /// A strategy failed and stays failed until an operator restarts it.
    ActorFailed => "ACTOR_FAILED",
    /// Safe Mode is on.
    SafeMode => "SAFE_MODE",
    /// The service started too often without success.
    BootLoop => "BOOT_LOOP",
    /// The journal cannot be written: entries are refused, exits and cancels go on.
    JournalUnavailable => "JOURNAL_UNAVAILABLE",
    /// The effective permission does not allow this order.
    NotPermitted => "NOT_PERMITTED",
    /// The symbol does not trade now.
    SymbolNotTrading => "SYMBOL_NOT_TRADING",
    /// The exchange's rules of the symbol are not known.
    InstrumentUnknown => "INSTRUMENT_UNKNOWN",
    /// There is no price to check the order against, or it is too old.
    MarkStale => "MARK_STALE",
    /// The order's price is too far from the last mark.
    PriceCollar => "PRICE_COLLAR",
    /// price x quantity is above the limit of an order.
    NotionalAboveLimit => "NOTIONAL_ABOVE_LIMIT",
    /// The quantity is above the limit of an order.
    QuantityAboveLimit => "QUANTITY_ABOVE_LIMIT",
    /// The quantity is below what the exchange takes, after rounding down.
    QuantityBelowMinimum => "QUANTITY_BELOW_MINIMUM",
    /// The quantity or the price is not on the instrument's step.
    OffStep => "OFF_STEP",
    /// price x quantity is below what the exchange takes.
    NotionalBelowMinimum => "NOTIONAL_BELOW_MINIMUM",
    /// The position of the instance and symbol would be above its limit.
    PositionAboveLimit => "POSITION_ABOVE_LIMIT",
    /// The exposure of the whole portfolio would be above its limit.
    ExposureAboveLimit => "EXPOSURE_ABOVE_LIMIT",
    /// The instance has not enough free capital for the order.
    CapitalInsufficient => "CAPITAL_INSUFFICIENT",
    /// The instance sends orders faster than its limit.
    OrderRateAboveLimit => "ORDER_RATE_ABOVE_LIMIT",
    /// The instance already has an entry working on this symbol.
    DuplicateEntry => "DUPLICATE_ENTRY",
    /// An order of the instance and symbol has an unknown fate: nothing is added before it is known.
    OrderUnknown => "ORDER_UNKNOWN",
    /// There is no position to exit, or exits for all of it are already working.
    NothingToExit => "NOTHING_TO_EXIT",
    /// An entry came without a valid protective exit.
    ProtectionInvalid => "PROTECTION_INVALID",
    /// The exchange takes no more orders with a trigger on this symbol: nothing could guard what the entry fills.
    NoProtectionSlot => "NO_PROTECTION_SLOT",
    /// The exchange took no protective exit: the position is watched by the service alone.
    ProtectionRefused => "PROTECTION_REFUSED",
    /// A protective exit did not fill in time after its price was reached: it is replaced by a market order.
    ProtectionEscalated => "PROTECTION_ESCALATED",
    /// The exchange does not take the order type on this symbol.
    OrderTypeUnsupported => "ORDER_TYPE_UNSUPPORTED",
    /// The approval was older than its validity when it came to be sent.
    ApprovalExpired => "APPROVAL_EXPIRED",
    /// The safety state was tightened after the approval.
    ApprovalStale => "APPROVAL_STALE",
    /// The exchange's account has not enough free balance for the order.
    InsufficientBalance => "INSUFFICIENT_BALANCE",
    /// The trigger price was already passed: the order would have triggered at once.
    WouldTriggerAtOnce => "WOULD_TRIGGER_AT_ONCE",
    /// An order that must rest would have traded at once.
    WouldMatchAtOnce => "WOULD_MATCH_AT_ONCE",
    /// The prices of a list's legs do not stand around the market as the exchange wants it.
    PriceRelationship => "PRICE_RELATIONSHIP",
    /// The account may not trade, or not this symbol.
    AccountNotPermitted => "ACCOUNT_NOT_PERMITTED",
    /// The exchange already has an open order with this id.
    DuplicateOrder => "DUPLICATE_ORDER",
    /// The exchange's price filter refused the order: bounds or tick.
    FilterPrice => "FILTER_PRICE",
    /// The price is too far from the exchange's reference price.
    FilterPercentPrice => "FILTER_PERCENT_PRICE",
    /// The exchange's quantity filter refused the order: bounds or step.
    FilterLotSize => "FILTER_LOT_SIZE",
    /// The exchange's notional filter refused the order.
    FilterNotional => "FILTER_NOTIONAL",
    /// The account has as many open orders as the exchange lets it have.
    FilterMaxOrders => "FILTER_MAX_ORDERS",
    /// The account would hold more of the base asset than the exchange lets it.
    FilterMaxPosition => "FILTER_MAX_POSITION",
    /// A filter of the exchange refused the order.
    FilterFailure => "FILTER_FAILURE",
    /// There is no order on the book to trade with.
    NoLiquidity => "NO_LIQUIDITY",
    /// The exchange does not have the symbol any more.
    SymbolGone => "SYMBOL_GONE",
    /// Our clock and the exchange's differ by more than it takes.
    ClockSkew => "CLOCK_SKEW",
    /// The exchange's request limit is reached: it, or the ledger of limits, asks for silence.
    RateLimited => "RATE_LIMITED",
    /// The exchange has banned this network address for a while.
    IpBanned => "IP_BANNED",
    /// The exchange's order limit is reached: no new orders for a while.
    OrderLimitReached => "ORDER_LIMIT_REACHED",
    /// The key, its permissions, its addresses or its signature are wrong.
    KeyInvalid => "KEY_INVALID",
    /// A request was built wrongly: a mistake of this program or of its configuration.
    RequestInvalid => "REQUEST_INVALID",
    /// The exchange is overloaded or shutting a server down.
    ExchangeOverloaded => "EXCHANGE_OVERLOADED",
    /// The exchange cannot be reached.
    ExchangeUnreachable => "EXCHANGE_UNREACHABLE",
    /// The exchange refused the order.
    ExchangeRejected => "EXCHANGE_REJECTED",
    /// The outcome of a request is not known; it is being asked for.
    OutcomeUnknown => "OUTCOME_UNKNOWN",
    /// The exchange does not know an order whose validity has passed: it never arrived.
    NeverArrived => "NEVER_ARRIVED",
    /// An order that the exchange once had is unknown to it: it was lost there.
    OrderLost => "ORDER_LOST",
    /// The commission of a trade is in an asset whose price is not known.
    FeeUnpriced => "FEE_UNPRICED",
    /// A fill came for an order that the book does not know.
    ForeignFill => "FOREIGN_FILL",
    /// Local state and exchange differ.
    ReconciliationDrift => "RECONCILIATION_DRIFT",
    /// Fills that happened while the service was away were booked.
    MissedFills => "MISSED_FILLS",
    /// No heartbeat came through the core loop in time.
    HeartbeatMissing => "HEARTBEAT_MISSING",
    /// The heartbeat is back.
    HeartbeatRestored => "HEARTBEAT_RESTORED",
    /// An actor died and was restarted.
    ActorRestarted => "ACTOR_RESTARTED",
    /// An actor does not answer.
    ActorHung => "ACTOR_HUNG",
    /// A market stream broke and is being reconnected.
    FeedLost => "FEED_LOST",
    /// A market stream is back.
    FeedRestored => "FEED_RESTORED",
    /// Events of the account do not come: what happens to orders is not told.
    AccountStreamLost => "ACCOUNT_STREAM_LOST",
    /// Events of the account come again, and what happened meanwhile is known.
    AccountStreamRestored => "ACCOUNT_STREAM_RESTORED",
    /// The exchange answers again, and what happened meanwhile is known.
    ExchangeReachable => "EXCHANGE_REACHABLE",
    /// What is held beside the books was taken as it was found, or changed by a transfer.
    OutsideHolding => "OUTSIDE_HOLDING",
    /// A person promoted the service to another mode of trading.
    Promoted => "PROMOTED",
    /// Market data was refused because it cannot be true.
    BadMarketData => "BAD_MARKET_DATA",
    /// Candles are missing between two that came.
    CandleGap => "CANDLE_GAP",
    /// The feed is older than the head of the book.
    FeedBehindBook => "FEED_BEHIND_BOOK",
    /// The service started.
    Started => "STARTED",
    /// The service stopped in order.
    Stopped => "STOPPED",
    /// Cash was added or taken.
    CashFlow => "CASH_FLOW",
    /// An order of our pattern came from a boot that this service does not know: another process trades the account.
    UnknownBoot => "UNKNOWN_BOOT",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_explained() {
        let mut codes: Vec<&str> = ReasonCode::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ReasonCode::ALL.len());
        assert!(ReasonCode::ALL.iter().all(|reason| reason.meaning().ends_with('.')));
    }
}
