//! What is on the screen, section by section; how much of each is shown is the layout's business.
//!
//! It must never compute a figure: it words what the status says.

use domain::{Millis, Severity};
use runtime::status::{EventLine, Status};

use super::layout::Line;
use crate::tables;

/// A heartbeat that is older is missing.
const HEARTBEAT_MS_MAX: u64 = 3000;

fn span(millis: u64) -> Millis {
    Millis::new(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// The age of the last heartbeat, and whether it is missing.
fn heartbeat(status: &Status) -> (String, bool) {
    match status.heartbeat_age_ms {
        None => ("no heartbeat yet".to_owned(), false),
        Some(age) if age > HEARTBEAT_MS_MAX => (format!("NO HEARTBEAT for {}", span(age)), true),
        Some(age) => (format!("heartbeat {} ago", span(age)), false),
    }
}

/// What the service is.
pub(super) fn head(status: &Status) -> Vec<Line> {
    let (heartbeat, missing) = heartbeat(status);
    let Status { mode, permission, phase, version, boot, process, .. } = status;
    vec![
        Line::alarm_if(missing, format!("{mode}  {phase}  permission {permission}  {heartbeat}")),
        Line::calm(format!(
            "{}  up {}  boot {boot}  process {process}  vigia {version}",
            tables::second(status.time),
            span(status.uptime_ms)
        )),
    ]
}

/// What is wrong; empty while all is well.
pub(super) fn troubles(status: &Status) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(why) = &status.journal_failure {
        lines.push(Line::alarm_if(true, format!("THE JOURNAL CANNOT BE WRITTEN: {why}")));
    }
    if !status.feed_connected {
        lines.push(Line::alarm_if(true, "THE MARKET FEED IS NOT CONNECTED".to_owned()));
    }
    for actor in status.actors.iter().filter(|actor| actor.state != "running") {
        let error = actor.last_error.as_deref().unwrap_or("no error is known");
        let (name, state) = (&actor.name, &actor.state);
        lines.push(Line::alarm_if(state == "failed", format!("actor {name} is {state}: {error}")));
    }
    lines
}

/// Restrictions in force.
pub(super) fn restrictions(status: &Status) -> Vec<Line> {
    let row = |one: &runtime::status::RestrictionStatus| {
        let age = status.time.since(one.since);
        let (permission, reason, release) = (one.permission, &one.reason, &one.release);
        vec![one.scope.clone(), permission.to_string(), reason.clone(), age.to_string(), release.clone()]
    };
    table(&["RESTRICTION", "permits", "reason", ">age", "ends by"], status.restrictions.iter().map(row).collect())
}

/// The portfolio in figures, and counts.
pub(super) fn figures(status: &Status) -> Vec<Line> {
    let (portfolio, counters) = (&status.portfolio, &status.counters);
    let money = tables::money;
    vec![
        Line::calm(format!(
            "equity {} {}  result {}  day {}  drawdown {}",
            money(portfolio.equity),
            status.currency,
            money(tables::result(portfolio)),
            money(portfolio.day_result),
            tables::percent(portfolio.drawdown)
        )),
        Line::calm(format!(
            "realized {}  unrealized {}  fees {}  trades {}  win rate {}",
            money(portfolio.realized),
            money(portfolio.unrealized),
            money(portfolio.fees),
            portfolio.trades,
            tables::win_rate(portfolio)
        )),
        Line::calm(format!(
            "market events {} ({} refused)  orders {}  fills {}  wishes refused {}",
            counters.market_events,
            counters.inputs_rejected,
            counters.orders_sent,
            counters.fills_booked,
            counters.intents_refused
        )),
    ]
}

/// Everything held, the most valuable first.
pub(super) fn positions(status: &Status) -> Vec<Line> {
    let mut positions: Vec<_> = status.positions.iter().collect();
    positions.sort_by_key(|position| std::cmp::Reverse(position.value.abs()));
    let optional = |price: Option<domain::Price>| price.map_or_else(|| "-".to_owned(), tables::price);
    let row = |one: &&runtime::status::PositionStatus| {
        vec![
            one.symbol.clone(),
            one.instance.clone(),
            tables::quantity(one.quantity),
            optional(one.average_price),
            optional(one.mark),
            tables::money(one.value),
            tables::money(one.unrealized),
            if one.dust { "dust".to_owned() } else { one.stop.map_or_else(|| "NONE".to_owned(), tables::price) },
        ]
    };
    let header = ["POSITION", "instance", ">quantity", ">average", ">mark", ">value", ">unrealized", ">stop"];
    table(&header, positions.iter().map(row).collect())
}

/// Orders of which something is expected, the newest first.
pub(super) fn orders(status: &Status) -> Vec<Line> {
    let mut orders: Vec<_> = status.orders.iter().collect();
    orders.sort_by_key(|order| std::cmp::Reverse(order.intended_at));
    let row = |one: &&runtime::status::OrderStatus| {
        vec![
            one.symbol.clone(),
            one.instance.clone(),
            one.side.clone(),
            one.purpose.clone(),
            tables::quantity(one.quantity),
            one.price.map_or_else(|| "market".to_owned(), tables::price),
            tables::quantity(one.executed),
            one.state.clone(),
            status.time.since(one.intended_at).to_string(),
        ]
    };
    let header = ["OPEN ORDER", "instance", "side", "purpose", ">quantity", ">price", ">executed", "state", ">age"];
    table(&header, orders.iter().map(row).collect())
}

/// Instances, in the order of the configuration.
pub(super) fn instances(status: &Status) -> Vec<Line> {
    let row = |one: &runtime::status::InstanceStatus| {
        vec![
            one.id.clone(),
            one.family.clone(),
            one.strategy.clone(),
            one.permission.to_string(),
            one.figures.trades.to_string(),
            tables::win_rate(&one.figures),
            tables::money(tables::result(&one.figures)),
        ]
    };
    let header = ["INSTANCE", "family", "strategy", "permission", ">trades", ">win rate", ">result"];
    table(&header, status.instances.iter().map(row).collect())
}

/// What happened, newest last.
pub(super) fn events(status: &Status) -> Vec<Line> {
    let line = |event: &EventLine| Line::alarm_if(event.severity == Severity::Critical, event_line(event));
    status.events.iter().map(line).collect()
}

/// One event.
pub(super) fn event_line(event: &EventLine) -> String {
    let time = tables::second(event.time);
    format!("{time}  {:<8}  {}", event.severity, tables::printable(&event.text))
}

/// The service in one line.
pub(super) fn summary(status: &Status) -> String {
    let Status { mode, phase, permission, currency, portfolio, .. } = status;
    let money = tables::money;
    format!(
        "{}  {mode} {phase}  permission {permission}  {}  equity {} {currency}  realized {}  unrealized {}  fees {}  \
         day {}  positions {}  open orders {}  fills {}",
        tables::second(status.time),
        heartbeat(status).0,
        money(portfolio.equity),
        money(portfolio.realized),
        money(portfolio.unrealized),
        money(portfolio.fees),
        money(portfolio.day_result),
        status.positions.len(),
        status.orders.len(),
        status.counters.fills_booked
    )
}

/// Rows under their header; nothing at all where there are no rows.
fn table(header: &[&str], rows: Vec<Vec<String>>) -> Vec<Line> {
    if rows.is_empty() {
        return Vec::new();
    }
    tables::aligned(header, rows).into_iter().map(Line::calm).collect()
}
