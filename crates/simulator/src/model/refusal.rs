//! Refusals, in the exchange's own codes and words: clients decide by them, so they must never be reworded.

use domain::Symbol;
use serde::{Deserialize, Serialize};

/// Why the exchange did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The exchange's code, below zero.
    pub code: i32,
    /// The exchange's text.
    pub message: String,
    /// What the exchange adds to its text: the two halves of a cancel-replace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<serde_json::Value>>,
}

impl Refusal {
    /// A refusal with a code and its text.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// A filter was not passed.
    #[must_use]
    pub fn filter(name: &str) -> Self {
        Self::new(-1013, format!("Filter failure: {name}"))
    }

    /// A parameter is missing.
    #[must_use]
    pub fn missing(parameter: &str) -> Self {
        Self::new(-1102, format!("Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed."))
    }

    /// A parameter has no place in this order.
    #[must_use]
    pub fn not_required(parameter: &str) -> Self {
        Self::new(-1106, format!("Parameter '{parameter}' sent when not required."))
    }

    /// The exchange has no such symbol.
    #[must_use]
    pub fn invalid_symbol(_symbol: &Symbol) -> Self {
        Self::new(-1121, "Invalid symbol.")
    }

    /// The account is not known.
    #[must_use]
    pub fn unknown_account() -> Self {
        Self::new(-2015, "Invalid API-key, IP, or permissions for action.")
    }

    /// The symbol does not trade; `code` is -1013 or -2010.
    #[must_use]
    pub fn market_closed(code: i32) -> Self {
        Self::new(code, "Market is closed.")
    }

    /// Not enough free.
    #[must_use]
    pub fn insufficient_balance() -> Self {
        Self::new(-2010, "Account has insufficient balance for requested action.")
    }

    /// The client order id belongs to an open order.
    #[must_use]
    pub fn duplicate() -> Self {
        Self::new(-2010, "Duplicate order sent.")
    }

    /// The trigger is on the wrong side of the last price.
    #[must_use]
    pub fn would_trigger() -> Self {
        Self::new(-2010, "Order would trigger immediately.")
    }

    /// A post-only order would take.
    #[must_use]
    pub fn would_match() -> Self {
        Self::new(-2010, "Order would immediately match and take.")
    }

    /// Nothing to cancel.
    #[must_use]
    pub fn unknown_order() -> Self {
        Self::new(-2011, "Unknown order sent.")
    }

    /// No such order.
    #[must_use]
    pub fn no_such_order() -> Self {
        Self::new(-2013, "Order does not exist.")
    }

    /// The two prices of a pair are not on the right sides of the market.
    #[must_use]
    pub fn bad_prices() -> Self {
        Self::new(-2010, "The relationship of the prices for the orders is not correct.")
    }

    /// An amendment is not possible.
    #[must_use]
    pub fn amend(message: &str) -> Self {
        Self::new(-2038, message)
    }

    /// The order is too old to be asked for.
    #[must_use]
    pub fn archived() -> Self {
        let text = "Order was canceled or expired with no executed qty over 90 days ago and has been archived.";
        Self::new(-2026, text)
    }

    /// No such list.
    #[must_use]
    pub fn no_such_list() -> Self {
        Self::new(-2013, "Order list does not exist.")
    }
}
