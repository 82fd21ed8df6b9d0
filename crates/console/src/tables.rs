//! Plain text tables for people: aligned columns, numbers to the right, times in UTC with their age beside them.
//!
//! It must never compute a figure, nor read a clock: ages are counted from the `now` that it is given, and without one
//! there are none.

use comfy_table::{CellAlignment, Table, presets};
use domain::{Decimal, Notional, Price, Quantity, Ratio, Timestamp};
use runtime::status::{ActorStatus, Figures, InstanceStatus, PositionStatus, RestrictionStatus, Status};
use store::read::{FillRow, JournalRow, OrderRow};

/// Rows under a header. Columns whose header begins with `>` stand to the right.
#[must_use]
pub fn aligned(header: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|name| name.trim_start_matches('>')));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for (column, name) in table.column_iter_mut().zip(header) {
        column.set_padding((0, 2));
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Without control characters, so that no text can move the cursor or break a line.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A table with aligned columns (`>` aligns to the right), or `none` where there is no row.
#[must_use]
pub fn page(header: &[&str], rows: Vec<Vec<String>>, none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    aligned(header, rows).join("\n") + "\n"
}

/// An amount of the portfolio's currency, with two decimals.
#[must_use]
pub fn money(amount: Notional) -> String {
    let rounded = amount.value().round_dp(2);
    // No -0.00.
    format!("{:.2}", if rounded.is_zero() { Decimal::ZERO } else { rounded })
}

/// A share, in percent with two decimals.
#[must_use]
pub fn percent(share: Ratio) -> String {
    let rounded = share.value().checked_mul(Decimal::ONE_HUNDRED).unwrap_or_default().round_dp(2);
    format!("{rounded:.2} %")
}

/// A price as it is, without zeros at its end.
#[must_use]
pub fn price(price: Price) -> String {
    price.value().normalize().to_string()
}

/// A quantity as it is, without zeros at its end.
#[must_use]
pub fn quantity(quantity: Quantity) -> String {
    quantity.normalized().to_string()
}

/// A decimal as the book has it, without zeros at its end.
fn number(text: &str) -> String {
    text.parse::<Decimal>().map_or_else(|_| text.to_owned(), |value| value.normalize().to_string())
}

fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

/// A time in UTC to the second.
#[must_use]
pub fn second(time: Timestamp) -> String {
    let text = time.to_string();
    text.split_once('.').map(|(seconds, _)| format!("{seconds}Z")).unwrap_or(text)
}

/// A time in UTC to the second, with its age where `now` is known.
#[must_use]
pub fn moment(time: Timestamp, now: Option<Timestamp>) -> String {
    match now {
        Some(now) => format!("{} ({})", second(time), now.since(time)),
        None => second(time),
    }
}

fn row_moment(millis: i64, now: Option<Timestamp>) -> String {
    moment(Timestamp::from_millis(millis), now)
}

/// Wins among the closed trades.
#[must_use]
pub fn win_rate(figures: &Figures) -> String {
    let share = Decimal::from(figures.wins).checked_div(figures.trades.into());
    optional(share.and_then(|share| Ratio::new(share).ok()), percent)
}

/// The result so far: equity less the capital given.
#[must_use]
pub fn result(figures: &Figures) -> Notional {
    figures.equity - figures.capital
}

/// The portfolio in figures, a line each.
#[must_use]
pub fn figures(figures: &Figures, currency: &str) -> Vec<(&'static str, String)> {
    let amount = |value: Notional| format!("{} {currency}", money(value));
    vec![
        ("equity", amount(figures.equity)),
        ("capital", amount(figures.capital)),
        ("result", amount(result(figures))),
        ("realized", amount(figures.realized)),
        ("unrealized", amount(figures.unrealized)),
        ("fees", amount(figures.fees)),
        ("day", amount(figures.day_result)),
        ("drawdown", percent(figures.drawdown)),
        ("trades", format!("{} closed, {} of them with a profit", figures.trades, figures.wins)),
    ]
}

/// Names and values, a line each.
#[must_use]
pub fn list(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().map(|(name, value)| format!("{name:<width$}  {}\n", printable(value))).collect()
}

/// The whole service, in short.
#[must_use]
pub fn status(status: &Status) -> String {
    let age = |millis: u64| domain::Millis::new(i64::try_from(millis).unwrap_or(i64::MAX)).to_string();
    let feed = if status.feed_connected { "connected" } else { "NOT CONNECTED" };
    let journal = status
        .journal_failure
        .as_ref()
        .map_or_else(|| "is written".to_owned(), |why| format!("CANNOT BE WRITTEN: {why}"));
    let counters = &status.counters;
    let mut lines = vec![
        ("mode", status.mode.to_string()),
        ("version", status.version.clone()),
        ("boot", status.boot.to_string()),
        ("process", status.process.to_string()),
        ("phase", status.phase.clone()),
        ("time", format!("{} (the exchange's)", second(status.time))),
        ("uptime", age(status.uptime_ms)),
        ("heartbeat", status.heartbeat_age_ms.map_or_else(|| "none yet".to_owned(), |ms| format!("{} ago", age(ms)))),
        ("permission", status.permission.to_string()),
        ("feed", feed.to_owned()),
        ("journal", journal),
        ("market", format!("{} events, {} refused", counters.market_events, counters.inputs_rejected)),
        ("orders", format!("{} sent, {} wishes refused", counters.orders_sent, counters.intents_refused)),
        ("fills", counters.fills_booked.to_string()),
        ("held", format!("{} positions, {} open orders", status.positions.len(), status.orders.len())),
    ];
    lines.extend(figures(&status.portfolio, &status.currency));
    let mut text = list(&lines);
    text.push('\n');
    text.push_str(&restrictions(&status.restrictions, Some(status.time)));
    text
}

/// Restrictions in force.
#[must_use]
pub fn restrictions(rows: &[RestrictionStatus], now: Option<Timestamp>) -> String {
    let row = |one: &RestrictionStatus| {
        let (permission, since) = (one.permission.to_string(), moment(one.since, now));
        vec![one.scope.clone(), permission, one.reason.clone(), since, one.release.clone()]
    };
    let header = ["restriction", "permits", "reason", "since", "ends by"];
    page(&header, rows.iter().map(row).collect(), "no restrictions")
}

/// Everything held.
#[must_use]
pub fn positions(rows: &[PositionStatus], now: Option<Timestamp>) -> String {
    let row = |one: &PositionStatus| {
        vec![
            one.instance.clone(),
            one.symbol.clone(),
            quantity(one.quantity),
            optional(one.average_price, price),
            optional(one.mark, price),
            money(one.value),
            money(one.unrealized),
            if one.dust { "dust".to_owned() } else { one.stop.map_or_else(|| "NONE".to_owned(), price) },
            optional(one.take_profit, price),
            if one.resting.is_zero() { "-".to_owned() } else { quantity(one.resting) },
            optional(one.opened_at, |time| moment(time, now)),
        ]
    };
    let header = [
        "instance",
        "symbol",
        ">quantity",
        ">average price",
        ">mark",
        ">value",
        ">unrealized",
        ">stop",
        ">take profit",
        ">resting",
        "opened",
    ];
    page(&header, rows.iter().map(row).collect(), "no positions")
}

/// Orders.
#[must_use]
pub fn orders(rows: &[OrderRow], now: Option<Timestamp>) -> String {
    let row = |one: &OrderRow| {
        vec![
            one.client_order_id.clone(),
            one.instance.clone(),
            one.symbol.clone(),
            one.side.clone(),
            one.order_type.clone(),
            one.purpose.clone(),
            number(&one.quantity),
            optional(one.price.as_deref(), number),
            number(&one.executed),
            one.state.clone(),
            one.reason.clone(),
            row_moment(one.intended_at, now),
            one.correlation_id.to_string(),
        ]
    };
    let header = [
        "order",
        "instance",
        "symbol",
        "side",
        "type",
        "purpose",
        ">quantity",
        ">price",
        ">executed",
        "state",
        "reason",
        "intended",
        ">correlation",
    ];
    page(&header, rows.iter().map(row).collect(), "no orders")
}

/// Fills.
#[must_use]
pub fn fills(rows: &[FillRow], now: Option<Timestamp>) -> String {
    let row = |one: &FillRow| {
        let amount = |text: &str| text.parse().map_or_else(|_| text.to_owned(), money);
        vec![
            row_moment(one.time, now),
            one.symbol.clone(),
            one.trade_id.to_string(),
            one.instance.clone(),
            one.side.clone(),
            number(&one.quantity),
            number(&one.price),
            format!("{} {}", number(&one.commission), one.commission_asset),
            if one.is_maker { "maker" } else { "taker" }.to_owned(),
            optional(one.result.as_deref(), amount),
            one.client_order_id.clone(),
        ]
    };
    let header = [
        "time",
        "symbol",
        ">trade",
        "instance",
        "side",
        ">quantity",
        ">price",
        ">commission",
        "role",
        ">trade's result",
        "order",
    ];
    page(&header, rows.iter().map(row).collect(), "no fills")
}

/// Rows of the journal.
#[must_use]
pub fn journal(rows: &[JournalRow], now: Option<Timestamp>) -> String {
    let row = |one: &JournalRow| {
        vec![
            one.sequence.to_string(),
            row_moment(one.time, now),
            one.kind.clone(),
            one.actor.clone(),
            one.correlation_id.to_string(),
            one.payload.clone(),
        ]
    };
    let header = [">row", "time", "kind", "actor", ">correlation", "payload"];
    page(&header, rows.iter().map(row).collect(), "no such rows in the journal")
}

/// One row of the journal by itself, in columns that stay where they are from row to row.
#[must_use]
pub fn journal_line(row: &JournalRow) -> String {
    let time = row_moment(row.time, None);
    let JournalRow { sequence, kind, actor, correlation_id, payload, .. } = row;
    format!("{sequence:>8}  {time}  {kind:<20}  {actor:<16}  {correlation_id:>19}  {}", printable(payload))
}

/// Instances with their results.
#[must_use]
pub fn instances(rows: &[InstanceStatus]) -> String {
    let row = |one: &InstanceStatus| {
        let mut cells = vec![one.id.clone(), one.family.clone(), one.strategy.clone(), one.symbols.join(" ")];
        let figures = &one.figures;
        cells.extend([one.permission.to_string(), figures.trades.to_string(), win_rate(figures)]);
        cells.extend([figures.realized, figures.unrealized, figures.fees, result(figures), figures.equity].map(money));
        cells.push(percent(figures.drawdown));
        cells
    };
    let header = [
        "instance",
        "family",
        "strategy",
        "symbols",
        "permission",
        ">trades",
        ">win rate",
        ">realized",
        ">unrealized",
        ">fees",
        ">result",
        ">equity",
        ">drawdown",
    ];
    page(&header, rows.iter().map(row).collect(), "no instances")
}

/// Actors, as the supervisor sees them.
#[must_use]
pub fn actors(rows: &[ActorStatus]) -> String {
    let row = |one: &ActorStatus| {
        vec![
            one.name.clone(),
            one.state.clone(),
            one.generation.to_string(),
            one.restarts.to_string(),
            optional(one.answered_in_ms, |ms| format!("{ms} ms")),
            optional(one.last_error.clone(), |error| error),
        ]
    };
    let header = ["actor", "state", ">generation", ">restarts", ">answered in", "last error"];
    page(&header, rows.iter().map(row).collect(), "no actors")
}

#[cfg(test)]
mod tests;
