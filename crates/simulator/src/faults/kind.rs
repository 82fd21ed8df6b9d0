//! The words of a fault: its kind, its target, its times.
//!
//! Plain data. It must never know how a fault is carried out.

use domain::{Asset, Decimal, Notional, Quantity, Ratio, Side, Symbol, SymbolStatus};

/// What goes wrong, where, when and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What the operator calls it.
    pub name: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Where.
    pub target: Target,
    /// When.
    pub timing: Timing,
    /// How likely a request, a frame or an occurrence that matches is hit: 0 to 1.
    pub probability: f64,
    /// Decides by chance; without it the scenario's seed and the fault's number do.
    pub seed: Option<u64>,
}

/// When a fault is there, in milliseconds of the exchange's time since it was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// It begins.
    pub at_ms: i64,
    /// It lasts so long; without it, for ever (or for one moment, where the kind is of a moment).
    pub for_ms: Option<i64>,
    /// It comes again so often.
    pub every_ms: Option<i64>,
    /// It hits so often at most.
    pub count: Option<u64>,
}

/// What it concerns; what is not said matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// Which way of speaking.
    pub protocol: Option<Protocol>,
    /// Path below `/api/v3/` (or whole, of other interfaces) or WebSocket method; `*` stands for any text.
    pub endpoint: Option<String>,
    /// HTTP verb, also of the endpoint's twin in the WebSocket API.
    pub method: Option<String>,
    /// The request's or the stream's symbol.
    pub symbol: Option<Symbol>,
    /// Stream's name; `*` stands for any text, `user` for the events of accounts.
    pub stream: Option<String>,
    /// Whose request or events.
    pub account: Option<String>,
    /// The number of a WebSocket connection, as its `x-simulator-connection` header says.
    pub connection: Option<u64>,
}

/// Ways of speaking to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP requests.
    Rest,
    /// Requests of the WebSocket API.
    WsApi,
    /// What the server tells by itself: market streams and events of accounts.
    Stream,
}

/// A distribution of delays, in milliseconds of real time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Latency {
    /// Always the same.
    Constant {
        /// How long.
        ms: u64,
    },
    /// Evenly between two bounds.
    Uniform {
        /// Shortest.
        ms_min: u64,
        /// Longest.
        ms_max: u64,
    },
    /// Mostly short, sometimes very long.
    Lognormal {
        /// Half are shorter.
        ms_median: u64,
        /// Deviation of the logarithm: 0.5 is a calm line, 1.5 a bad one.
        sigma: f64,
        /// Cut off here.
        ms_max: u64,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Requests, answers or stream frames take longer.
    Latency(Latency),
    /// An HTTP status from 500 on; nothing was done.
    ErrorBefore {
        /// The status.
        status: u16,
    },
    /// An HTTP status from 500 on; it was done.
    ErrorAfter {
        /// The status.
        status: u16,
    },
    /// Code -1007; it was done.
    UnknownAfter {
        /// HTTP status of the answer.
        status: u16,
    },
    /// It was done, and no answer ever comes.
    SilentAfter,
    /// The connection is ended; nothing was done.
    ResetBefore,
    /// The connection is ended; it was done.
    ResetAfter,
    /// 429 or 418.
    Limited {
        /// The status.
        status: u16,
        /// What `Retry-After` says.
        retry_after_seconds: u64,
    },
    /// 403 with a page of the firewall.
    Forbidden,
    /// 410 with a page.
    Gone,
    /// An order that was just accepted is not found (-2013).
    OrderNotFound {
        /// For so long, in milliseconds of the exchange's time.
        within_ms: i64,
    },
    /// Connected and silent: frames that match are not sent.
    StreamsStalled,
    /// Connections that match are ended.
    StreamsCut,
    /// Connections are accepted and stay open; nothing is answered, not even a ping.
    HalfOpen,
    /// Frames that match are lost.
    EventsLost,
    /// Frames that match come twice.
    EventsDuplicated,
    /// A frame that matches comes after the one that follows it.
    EventsReordered,
    /// Frames that match come late, and what follows on the connection after them.
    EventsDelayed(Latency),
    /// Events of the depth are lost, so that their numbers have a gap.
    DepthGap,
    /// The server's clock is ahead (or behind, below zero).
    ClockSkew {
        /// By so much.
        offset_ms: i64,
    },
    /// `system/status` tells of maintenance.
    Maintenance,
    /// Something happens at the exchange.
    World(WorldFault),
}

/// What happens at the exchange, whoever asks.
#[derive(Debug, Clone, PartialEq)]
pub enum WorldFault {
    /// A symbol gets another status; at the end it trades again.
    SymbolStatus {
        /// Which.
        symbol: Symbol,
        /// What it becomes.
        status: SymbolStatus,
    },
    /// A symbol's end is announced and then comes.
    Delisting {
        /// Which.
        symbol: Symbol,
        /// So long before.
        notice_ms: i64,
    },
    /// The rules of a symbol change; what is not said stays.
    FilterChange {
        /// Which.
        symbol: Symbol,
        /// Multiples of prices.
        tick_size: Option<Decimal>,
        /// Multiples of quantities.
        step_size: Option<Decimal>,
        /// Smallest order in quote units.
        notional_min: Option<Notional>,
    },
    /// All prices of a symbol change.
    PriceCrash {
        /// Which.
        symbol: Symbol,
        /// -0.3 is a fall by 30 %.
        share: Ratio,
    },
    /// All open orders of all accounts vanish and nobody is told, as after a restart of the exchange.
    OrdersLost,
    /// Somebody trades by hand on the account.
    ManualTrade {
        /// Whose.
        account: String,
        /// What.
        symbol: Symbol,
        /// Which way.
        side: Side,
        /// In base units.
        quantity: Quantity,
    },
    /// Somebody moves money to the account, or away from it (below zero).
    Transfer {
        /// Whose.
        account: String,
        /// Of what.
        asset: Asset,
        /// How much.
        amount: Quantity,
    },
    /// A key is taken away.
    KeyRevoked {
        /// Which.
        api_key: String,
    },
    /// Connections are told that the server goes away, and are ended later if `cut_after_ms` says so.
    ServerShutdown {
        /// So much later.
        cut_after_ms: Option<i64>,
    },
    /// Resting orders are filled in parts: each time this share of what a print would fill.
    SlowFills {
        /// Above 0, at most 1.
        share: Ratio,
    },
}

impl Fault {
    /// Whether it happens at times, rather than to requests or frames.
    #[must_use]
    pub fn is_of_the_world(&self) -> bool {
        matches!(self.kind, FaultKind::World(_) | FaultKind::StreamsCut)
    }

    /// How long after its beginning it ends; `None` where it has no end.
    #[must_use]
    pub fn ends_after_ms(&self) -> Option<i64> {
        match &self.kind {
            FaultKind::World(WorldFault::Delisting { notice_ms, .. }) => Some(*notice_ms),
            FaultKind::World(WorldFault::ServerShutdown { cut_after_ms }) => *cut_after_ms,
            _ => self.timing.for_ms,
        }
    }
}

impl Target {
    /// Whether a stream's name is meant; where none is said, only the events of accounts are if `user_only`.
    #[must_use]
    pub fn matches_stream(&self, stream: Option<&str>, user_only: bool) -> bool {
        match (&self.stream, stream) {
            (None, Some(_)) => !user_only,
            (None, None) => true,
            (Some(pattern), name) => is_like(pattern, name.unwrap_or("user")),
        }
    }
}

/// Whether a text is like a pattern, in which `*` stands for any text.
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            rest.is_empty() || (0..=tail.len()).any(|at| tail.is_char_boundary(at) && is_like(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("order", "order", true),
            ("order", "order/test", false),
            ("order*", "order/test", true),
            ("*@depth*", "btcusdt@depth@100ms", true),
            ("*@depth", "btcusdt@depth@100ms", false),
            ("b*t@*e", "btcusdt@trade", true),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
