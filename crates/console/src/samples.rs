//! A service to show, for the tests of this crate.

use domain::{Notional, Permission, Severity, Timestamp, TradingMode};
use runtime::status::{
    ActorStatus, Counters, EventLine, Figures, InstanceStatus, OrderStatus, PositionStatus, RestrictionStatus, Status,
};

/// 2026-01-02T03:04:05.678Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);

fn n(text: &str) -> Notional {
    text.parse().unwrap()
}

fn figures(equity: &str, capital: &str, trades: u64, wins: u64) -> Figures {
    Figures {
        equity: n(equity),
        capital: n(capital),
        realized: n("15.005"),
        unrealized: n("-2.5"),
        fees: n("0.159"),
        day_result: n("-0.004"),
        drawdown: "0.0123".parse().unwrap(),
        trades,
        wins,
    }
}

pub(crate) fn instance(id: &str, strategy: &str, trades: u64) -> InstanceStatus {
    InstanceStatus {
        id: id.to_owned(),
        family: "trend".to_owned(),
        strategy: strategy.to_owned(),
        symbols: vec!["BTCUSDT".to_owned()],
        permission: Permission::All,
        figures: figures("1012.346", "1000", trades, trades / 2),
    }
}

pub(crate) fn position(symbol: &str, quantity: &str, value: &str) -> PositionStatus {
    PositionStatus {
        instance: "ema-fast".to_owned(),
        symbol: symbol.to_owned(),
        quantity: quantity.parse().unwrap(),
        average_price: "50000.10".parse().ok(),
        mark: "49900.00".parse().ok(),
        value: n(value),
        unrealized: n("-1.001"),
        stop: "49000".parse().ok(),
        take_profit: None,
        resting: quantity.parse().unwrap(),
        dust: false,
        opened_at: Some(Timestamp::from_millis(NOW.as_millis() - 185_000)),
    }
}

pub(crate) fn event(seconds_ago: i64, severity: Severity, text: &str) -> EventLine {
    EventLine { time: Timestamp::from_millis(NOW.as_millis() - seconds_ago * 1000), severity, text: text.to_owned() }
}

fn order() -> OrderStatus {
    OrderStatus {
        id: "v1-ema-fast-3-7".to_owned(),
        instance: "ema-fast".to_owned(),
        symbol: "BTCUSDT".to_owned(),
        side: "BUY".to_owned(),
        purpose: "entry".to_owned(),
        quantity: "0.0200".parse().unwrap(),
        executed: "0.0050".parse().unwrap(),
        price: "49800.00".parse().ok(),
        state: "PARTIALLY_FILLED".to_owned(),
        intended_at: Timestamp::from_millis(NOW.as_millis() - 12_000),
    }
}

pub(crate) fn restriction() -> RestrictionStatus {
    RestrictionStatus {
        scope: "family trend".to_owned(),
        permission: Permission::Exits,
        reason: "FAMILY_DRAWDOWN".to_owned(),
        since: Timestamp::from_millis(NOW.as_millis() - 7_440_000),
        release: "a person".to_owned(),
    }
}

pub(crate) fn actor() -> ActorStatus {
    ActorStatus {
        name: "executor".to_owned(),
        state: "running".to_owned(),
        generation: 2,
        restarts: 1,
        answered_in_ms: Some(3),
        last_error: Some("a panic:\nhere".to_owned()),
    }
}

pub(crate) fn status() -> Status {
    Status {
        mode: TradingMode::Paper,
        version: "0.1.0".to_owned(),
        boot: 3,
        process: 4711,
        phase: "running".to_owned(),
        time: NOW,
        uptime_ms: 185_000,
        heartbeat_age_ms: Some(412),
        permission: Permission::All,
        currency: "USDT".to_owned(),
        portfolio: figures("10012.346", "10000", 12, 7),
        instances: vec![instance("ema-fast", "ema-cross", 12), instance("donchian-slow", "donchian", 0)],
        positions: vec![position("ETHUSDT", "0.2500", "850.5"), position("BTCUSDT", "0.0200", "998.00")],
        orders: vec![order()],
        restrictions: vec![restriction()],
        actors: vec![actor()],
        events: vec![
            event(60, Severity::Info, "boot 3 is running"),
            event(9, Severity::Warning, "the feed was silent for 30 s"),
            event(2, Severity::Critical, "\u{1b}[2Jno heartbeat\nfor 4 s"),
        ],
        counters: Counters {
            market_events: 123_456,
            inputs_rejected: 2,
            orders_sent: 31,
            fills_booked: 29,
            intents_refused: 4,
        },
        journal_failure: None,
        feed_connected: true,
    }
}
