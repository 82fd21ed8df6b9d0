//! The exchange's codes, as data: what each means for the request, why, and what to do.
//!
//! It must never call doubtful what is certain, nor certain what is doubtful: a code after which an order may live is
//! `Unknown`.

use domain::ReasonCode;

use crate::Action;
use crate::RequestErrorKind::{self, Fatal, NotDone, RateLimited, Refused, Unknown};

/// What an answer that is no success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// What it means for the request.
    pub kind: RequestErrorKind,
    /// Why, where one of our reasons fits.
    pub reason: Option<ReasonCode>,
    /// What to do.
    pub action: Action,
    /// What to do, for people.
    pub advice: &'static str,
}

/// Codes that mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeMeaning {
    /// The codes.
    pub codes: &'static [i32],
    /// What they mean.
    pub meaning: Meaning,
}

/// Words that tell apart what comes with one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextMeaning {
    /// A part of the exchange's words, in lower case.
    pub words: &'static str,
    /// What they mean.
    pub meaning: Meaning,
}

const fn meaning(kind: RequestErrorKind, reason: Option<ReasonCode>, action: Action, advice: &'static str) -> Meaning {
    Meaning { kind, reason, action, advice }
}

const fn row(
    codes: &'static [i32],
    kind: RequestErrorKind,
    reason: ReasonCode,
    action: Action,
    advice: &'static str,
) -> CodeMeaning {
    CodeMeaning { codes, meaning: meaning(kind, Some(reason), action, advice) }
}

const fn plain(codes: &'static [i32], kind: RequestErrorKind, action: Action, advice: &'static str) -> CodeMeaning {
    CodeMeaning { codes, meaning: meaning(kind, None, action, advice) }
}

const fn text(words: &'static str, reason: ReasonCode, action: Action, advice: &'static str) -> TextMeaning {
    TextMeaning { words, meaning: meaning(Refused, Some(reason), action, advice) }
}

/// The engine refused a new order; the words say why.
pub const ORDER_REFUSED: i32 = -2010;
/// Refused before the engine: a filter, or a closed market.
pub const BAD_ORDER: i32 = -1013;
/// The timestamp was out of the window: nothing was done.
pub const BAD_TIMESTAMP: i32 = -1021;
/// Too many orders in the account's window.
pub const TOO_MANY_ORDERS: i32 = -1015;
/// The exchange does not have the symbol.
pub const INVALID_SYMBOL: i32 = -1121;
/// The exchange refused a cancel: it knows no such open order.
pub const CANCEL_REFUSED: i32 = -2011;
/// The exchange does not know the order, or not yet.
pub const NO_SUCH_ORDER: i32 = -2013;
/// The order ended more than 90 days ago without a fill.
pub const ORDER_ARCHIVED: i32 = -2026;
/// The account is already subscribed on this connection.
pub const ALREADY_SUBSCRIBED: i32 = -2035;

/// The codes that matter (the exchange's `errors.md`). Any other code with a status below 500 is a refusal.
pub const CODES: &[CodeMeaning] = &[
    row(&[-1000], Unknown, ReasonCode::OutcomeUnknown, Action::LookUp, "an unknown error: look the order up"),
    row(
        &[-1001],
        Unknown,
        ReasonCode::OutcomeUnknown,
        Action::LookUp,
        "a connection inside was lost: look the order up",
    ),
    row(
        &[-1002],
        Fatal,
        ReasonCode::KeyInvalid,
        Action::StopTrading,
        "the key is not authorised: check its permissions",
    ),
    row(&[-1003], RateLimited, ReasonCode::RateLimited, Action::StopUntil, "too much request weight was used: wait"),
    row(
        &[-1006],
        Unknown,
        ReasonCode::OutcomeUnknown,
        Action::LookUp,
        "an unexpected answer inside: look the order up",
    ),
    row(&[-1007], Unknown, ReasonCode::OutcomeUnknown, Action::LookUp, "the engine did not answer in time: look it up"),
    row(
        &[-1008],
        Unknown,
        ReasonCode::ExchangeOverloaded,
        Action::SlowDown,
        "overloaded: look the order up, slow down",
    ),
    row(
        &[BAD_ORDER],
        Refused,
        ReasonCode::FilterFailure,
        Action::RefreshInstrument,
        "refused before the engine: refresh the instrument",
    ),
    row(
        &[-1014, -1020],
        Refused,
        ReasonCode::RequestInvalid,
        Action::Report,
        "the combination or operation is not supported",
    ),
    row(
        &[TOO_MANY_ORDERS],
        RateLimited,
        ReasonCode::OrderLimitReached,
        Action::NoNewOrders,
        "too many orders: wait for the window to end; cancels are allowed",
    ),
    row(
        &[-1016],
        NotDone,
        ReasonCode::ExchangeOverloaded,
        Action::Reconnect,
        "the service is shutting down: connect again later",
    ),
    row(
        &[BAD_TIMESTAMP],
        NotDone,
        ReasonCode::ClockSkew,
        Action::RepeatAfterClockSync,
        "the timestamp was outside of the receive window: synchronise the clock",
    ),
    row(
        &[-1022],
        Fatal,
        ReasonCode::KeyInvalid,
        Action::StopTrading,
        "the signature is not valid: check key, secret and encoding",
    ),
    row(&[-1034], RateLimited, ReasonCode::RateLimited, Action::SlowDown, "too many connections: wait"),
    row(
        &[-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1107, -1108, -1128, -1130],
        Refused,
        ReasonCode::RequestInvalid,
        Action::Report,
        "a parameter is illegal, missing, surplus or does not fit: a mistake of this program",
    ),
    row(&[-1111], Refused, ReasonCode::OffStep, Action::RefreshInstrument, "too many decimals: refresh the instrument"),
    row(&[-1112], Refused, ReasonCode::NoLiquidity, Action::WaitForLiquidity, "there is no order on the book"),
    row(
        &[-1114, -1115, -1116, -1117, -1118, -1119, -1120],
        Refused,
        ReasonCode::RequestInvalid,
        Action::Report,
        "time in force, type, side, id or interval is wrong: a mistake of this program",
    ),
    row(
        &[INVALID_SYMBOL],
        Refused,
        ReasonCode::SymbolGone,
        Action::QuarantineSymbol,
        "the exchange does not have this symbol",
    ),
    row(
        &[-1122, -1220],
        Refused,
        ReasonCode::SymbolNotTrading,
        Action::RefreshInstrument,
        "the symbol's status does not allow it",
    ),
    row(
        &[-1125],
        Fatal,
        ReasonCode::RequestInvalid,
        Action::Report,
        "listen keys no longer exist: the address or the version is wrong",
    ),
    row(&[-1127], Refused, ReasonCode::RequestInvalid, Action::SplitQuery, "the time range is too long"),
    row(&[-1131], Refused, ReasonCode::RequestInvalid, Action::FixConfiguration, "the receive window is too large"),
    row(
        &[-1145, -1151, -1194],
        Refused,
        ReasonCode::RequestInvalid,
        Action::Report,
        "a parameter is wrong: a mistake of this program",
    ),
    row(
        &[-1158, -1159, -1160, -1161, -1162, -1163, -1164, -1165, -1166, -1167, -1168, -1196, -1197, -1198, -1199],
        Refused,
        ReasonCode::PriceRelationship,
        Action::Recompute,
        "a leg of the list has the wrong type or is on the wrong side of the market: compute the prices anew",
    ),
    row(&[ORDER_REFUSED], Refused, ReasonCode::ExchangeRejected, Action::Report, "the engine refused the order"),
    plain(&[CANCEL_REFUSED], Refused, Action::LookUp, "the cancel was refused: look the order up"),
    plain(&[NO_SUCH_ORDER], Refused, Action::AskAgain, "the order is not known, or not yet"),
    row(&[-2014], Fatal, ReasonCode::KeyInvalid, Action::StopTrading, "the format of the API key is wrong"),
    row(
        &[-2015],
        Fatal,
        ReasonCode::KeyInvalid,
        Action::StopTrading,
        "the key, its address list or its permissions are wrong",
    ),
    plain(&[-2016], Refused, Action::Proceed, "there is no trading window"),
    row(
        &[-2021],
        Unknown,
        ReasonCode::OutcomeUnknown,
        Action::CheckProtection,
        "one half of a replacement failed: read both, check the stop",
    ),
    plain(&[-2022], Refused, Action::CheckProtection, "both halves of a replacement failed: check the stop"),
    plain(
        &[ORDER_ARCHIVED],
        Refused,
        Action::CountAsClosed,
        "the order is archived: ended more than 90 days ago without a fill",
    ),
    plain(&[ALREADY_SUBSCRIBED, -2036], Refused, Action::Proceed, "the subscription is already as it was wanted"),
    plain(&[-2042], NotDone, Action::Reconnect, "the connection's subscriptions are used up: connect again"),
    plain(&[-2038], Refused, Action::CancelAndReplace, "the amendment was refused"),
    row(&[-2039], Refused, ReasonCode::RequestInvalid, Action::Report, "the two ids name different orders"),
    plain(&[-2043], Refused, Action::UseAveragePrice, "the symbol has no reference price"),
];

/// What the words of a refused order (-2010, -1013) say. The first that fits counts.
pub const TEXTS: &[TextMeaning] = &[
    text(
        "insufficient balance",
        ReasonCode::InsufficientBalance,
        Action::RefreshBalances,
        "the free balance is too small",
    ),
    // An order is sent once. If the id is taken all the same, something of ours has arrived under it.
    TextMeaning {
        words: "duplicate order",
        meaning: meaning(
            Unknown,
            Some(ReasonCode::DuplicateOrder),
            Action::LookUp,
            "an order with this id is open: look it up",
        ),
    },
    text("market is closed", ReasonCode::SymbolNotTrading, Action::RefreshInstrument, "the symbol does not trade now"),
    text(
        "would trigger immediately",
        ReasonCode::WouldTriggerAtOnce,
        Action::Recompute,
        "the market has passed the trigger",
    ),
    text("would immediately match", ReasonCode::WouldMatchAtOnce, Action::Recompute, "the market has passed the price"),
    text(
        "relationship of the prices",
        ReasonCode::PriceRelationship,
        Action::Recompute,
        "the market has passed one of the prices",
    ),
    TextMeaning {
        words: "may not place or cancel orders",
        meaning: meaning(
            Fatal,
            Some(ReasonCode::AccountNotPermitted),
            Action::StopTrading,
            "the account may not trade: ask the exchange why",
        ),
    },
    text(
        "not permitted for this account",
        ReasonCode::AccountNotPermitted,
        Action::QuarantineSymbol,
        "the account may not trade this symbol",
    ),
    text(
        "restricted for this account",
        ReasonCode::AccountNotPermitted,
        Action::QuarantineSymbol,
        "the account may not trade this way on this symbol",
    ),
    text(
        "filter failure: price_filter",
        ReasonCode::FilterPrice,
        Action::RefreshInstrument,
        "price bounds or tick: refresh the instrument",
    ),
    text(
        "filter failure: percent_price",
        ReasonCode::FilterPercentPrice,
        Action::Recompute,
        "too far from the reference price",
    ),
    text(
        "filter failure: lot_size",
        ReasonCode::FilterLotSize,
        Action::RefreshInstrument,
        "quantity bounds or step: refresh the instrument",
    ),
    text(
        "filter failure: market_lot_size",
        ReasonCode::FilterLotSize,
        Action::RefreshInstrument,
        "quantity bounds of market orders: refresh the instrument",
    ),
    text(
        "filter failure: min_notional",
        ReasonCode::FilterNotional,
        Action::RefreshInstrument,
        "price x quantity is too small: refresh the instrument",
    ),
    text(
        "filter failure: notional",
        ReasonCode::FilterNotional,
        Action::RefreshInstrument,
        "price x quantity is out of bounds: refresh the instrument",
    ),
    text(
        "filter failure: max_position",
        ReasonCode::FilterMaxPosition,
        Action::RefreshInstrument,
        "the holding would be too large",
    ),
    text(
        "filter failure: max_num",
        ReasonCode::FilterMaxOrders,
        Action::RefreshInstrument,
        "too many open orders on the symbol",
    ),
    text(
        "filter failure: exchange_max_num",
        ReasonCode::FilterMaxOrders,
        Action::RefreshInstrument,
        "too many open orders on the account",
    ),
    text("filter failure", ReasonCode::FilterFailure, Action::RefreshInstrument, "a filter: refresh the instrument"),
];

/// What `code` means, told apart by `words` where the code alone says little.
#[must_use]
pub fn meaning_of(code: i32, words: &str) -> Option<Meaning> {
    if code == ORDER_REFUSED || code == BAD_ORDER {
        let words = words.to_lowercase();
        if let Some(text) = TEXTS.iter().find(|text| words.contains(text.words)) {
            return Some(text.meaning);
        }
    }
    CODES.iter().find(|row| row.codes.contains(&code)).map(|row| row.meaning)
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;
