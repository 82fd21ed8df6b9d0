//! Alerts: what a person must be told. Delivery is the outbox's business; an alert only says what happened.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CorrelationId, ReasonCode, Scope, Timestamp};

/// How urgent an alert is, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it when awake.
    Warning,
    /// Look at it today.
    High,
    /// Get up.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        })
    }
}

/// One thing that a person must be told; journaled and put into the outbox with the event that caused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// When it was found, in exchange time.
    pub time: Timestamp,
    /// How urgent it is.
    pub severity: Severity,
    /// Why.
    pub reason: ReasonCode,
    /// What it is about.
    pub scope: Scope,
    /// One or two sentences: what happened, with the values, and what to do next.
    pub text: String,
    /// The event that caused it.
    pub correlation_id: CorrelationId,
}
