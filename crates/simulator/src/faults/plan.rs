//! What faults look at, and what they decide.
//!
//! Plain data. It must never say how a decision is carried out.

use super::kind::Fault;

/// A request, as far as faults look at it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFacts<'a> {
    /// Whether it came over the WebSocket API.
    pub is_ws_api: bool,
    /// HTTP verb of the endpoint.
    pub verb: &'a str,
    /// Path of the endpoint.
    pub path: &'a str,
    /// Method of the WebSocket API.
    pub method: &'a str,
    /// What it is about.
    pub symbol: Option<&'a str>,
    /// Who asks.
    pub account: Option<&'a str>,
    /// Over which WebSocket connection.
    pub connection: Option<u64>,
}

/// A frame, as far as faults look at it.
#[derive(Debug, Clone, Copy)]
pub struct FrameFacts<'a> {
    /// The market stream; `None` for events of an account.
    pub stream: Option<&'a str>,
    /// Whose events.
    pub account: Option<&'a str>,
    /// To which connection.
    pub connection: u64,
}

/// How a request is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// An answer with this status, code and message.
    Error {
        /// HTTP status.
        status: u16,
        /// The exchange's code.
        code: i32,
        /// What `Retry-After` says.
        retry_after_seconds: Option<u64>,
    },
    /// A page that is no JSON.
    Page {
        /// HTTP status.
        status: u16,
    },
    /// Nothing ever comes.
    Silence,
    /// The connection ends.
    Reset,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    /// Before anything else, in milliseconds of real time.
    pub latency_ms: u64,
    /// Instead of the request.
    pub before: Option<Break>,
    /// Instead of its answer.
    pub after: Option<Break>,
    /// Orders that are younger, in milliseconds of the exchange's time, are not found.
    pub order_hidden_ms: Option<i64>,
}

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// How often it is sent.
    pub copies: u8,
    /// So much later, in milliseconds of real time.
    pub delay_ms: u64,
    /// After the one that follows.
    pub is_held_back: bool,
}

/// Which end of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It begins.
    Begin,
    /// It ends.
    End,
}

/// A fault of the world that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Its number.
    pub id: u64,
    /// What to do.
    pub fault: Fault,
    /// Which end of it.
    pub phase: Phase,
}
