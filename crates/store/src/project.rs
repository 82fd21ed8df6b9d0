//! What each record changes in the projections. Rows are written as the record carries them; nothing is computed here.

use std::collections::BTreeMap;

use domain::{Alert, Asset, Fill, InstanceId, Quantity, Symbol, Timestamp, TradeId};
use engine::{OutsideCause, Record, Sequence};
use ledger::{EquityTracker, InstanceBook, Order, RoundTrip};
use risk::{Protection, Release, Restriction};
use sqlx::sqlite::SqliteConnection;

use crate::chain::ChainedRow;

/// Channels that get every alert at this stage.
pub(crate) const ALERT_CHANNELS: [&str; 2] = ["log", "file"];

type Result = std::result::Result<(), sqlx::Error>;

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("invariant: projections have string keys only")
}

/// A serde word without its quotes: `"BUY"` is BUY.
fn word<T: serde::Serialize>(value: &T) -> String {
    json(value).trim_matches('"').to_owned()
}

pub(crate) async fn journal(connection: &mut SqliteConnection, row: &ChainedRow) -> Result {
    sqlx::query(
        "INSERT INTO journal (sequence, time, kind, actor, correlation_id, payload, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(row.sequence)
    .bind(row.time.as_millis())
    .bind(&row.kind)
    .bind(&row.actor)
    .bind(row.correlation_id)
    .bind(&row.payload)
    .bind(row.hash.as_bytes().as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn project(connection: &mut SqliteConnection, row: &ChainedRow, record: &Record) -> Result {
    match record {
        Record::OrderIntended { order: body, protection } => intended(connection, row, body, protection.as_ref()).await,
        Record::ProtectionChanged { instance, symbol, protection } => {
            protect(connection, instance.as_str(), symbol.as_str(), protection).await
        }
        Record::ProtectionSequence { instance, symbol, sequence } => {
            sequence_changed(connection, instance, symbol, sequence.as_ref()).await
        }
        Record::OrderChanged { order: body, .. } => order(connection, body, row.correlation_id).await,
        Record::FillBooked { fill: body, book: after, closed, order: changed } => {
            fill(connection, body, after, closed.as_ref()).await?;
            book(connection, after).await?;
            match changed {
                Some(changed) => order(connection, changed, row.correlation_id).await,
                None => Ok(()),
            }
        }
        Record::BooksOpened { books } => {
            for body in books {
                book(connection, body).await?;
            }
            Ok(())
        }
        Record::ProtectionCleared { instance, symbol } => protection_cleared(connection, instance, symbol).await,
        Record::RestrictionRaised { restriction } => restricted(connection, restriction).await,
        Record::RestrictionLoosened { scope, reason, to, .. } => {
            // One that permits more but not all is a condition of this process's life, and those are not kept.
            if *to == domain::Permission::All {
                sqlx::query("DELETE FROM restrictions WHERE scope = ? AND reason = ?")
                    .bind(json(scope))
                    .bind(reason.code())
                    .execute(connection)
                    .await?;
            }
            Ok(())
        }
        Record::EquitySampled { .. } => sampled(connection, row.time, record).await,
        Record::TradesReconciled { through } => trades_reconciled(connection, through).await,
        Record::OutsideChanged { asset, quantity, cause } => outside_changed(connection, asset, *quantity, cause).await,
        Record::AlertRaised(body) => alert(connection, row.sequence, body).await,
        Record::Started { .. }
        | Record::Stopped { .. }
        | Record::IntentRefused { .. }
        | Record::CancelRequested { .. }
        | Record::FillNotBooked { .. }
        | Record::RecoveryStep { .. }
        | Record::InputRejected { .. }
        | Record::Promoted { .. }
        | Record::OrderValidated { .. }
        | Record::Commanded { .. } => Ok(()),
    }
}

async fn sequence_changed(
    connection: &mut SqliteConnection,
    instance: &InstanceId,
    symbol: &Symbol,
    sequence: Option<&Sequence>,
) -> Result {
    sqlx::query("UPDATE protections SET sequence = ? WHERE instance = ? AND symbol = ?")
        .bind(sequence.map(json))
        .bind(instance.as_str())
        .bind(symbol.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn protection_cleared(connection: &mut SqliteConnection, instance: &InstanceId, symbol: &Symbol) -> Result {
    // An entry may have been intended while the end of the position before was on its way.
    sqlx::query(
        "DELETE FROM protections WHERE instance = ? AND symbol = ? AND NOT EXISTS (SELECT 1 FROM orders o \
         WHERE o.done = 0 AND o.purpose = 'entry' AND o.instance = protections.instance \
         AND o.symbol = protections.symbol)",
    )
    .bind(instance.as_str())
    .bind(symbol.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn trades_reconciled(connection: &mut SqliteConnection, through: &BTreeMap<Symbol, TradeId>) -> Result {
    for (symbol, trade) in through {
        sqlx::query("INSERT OR REPLACE INTO trades_reconciled (symbol, trade_id) VALUES (?, ?)")
            .bind(symbol.as_str())
            .bind(i64::try_from(trade.0).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn outside_changed(
    connection: &mut SqliteConnection,
    asset: &Asset,
    quantity: Quantity,
    cause: &OutsideCause,
) -> Result {
    sqlx::query(
        "INSERT INTO outside (asset, quantity, configured) VALUES (?, ?, ?) ON CONFLICT (asset) DO UPDATE \
         SET quantity = excluded.quantity, configured = COALESCE(excluded.configured, configured)",
    )
    .bind(asset.as_str())
    .bind(quantity.to_string())
    .bind((*cause == OutsideCause::Configured).then(|| quantity.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn intended(
    connection: &mut SqliteConnection,
    row: &ChainedRow,
    body: &Order,
    protection: Option<&Protection>,
) -> Result {
    order(connection, body, row.correlation_id).await?;
    let Some(protection) = protection else { return Ok(()) };
    // What guards a position that is held stays until the new entry fills (`ProtectionChanged`).
    let (instance, symbol) = (body.spec.instance.as_str(), body.spec.symbol.as_str());
    let held: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM positions p JOIN protections g USING (instance, symbol) \
         WHERE p.instance = ? AND p.symbol = ? AND p.opened_at IS NOT NULL",
    )
    .bind(instance)
    .bind(symbol)
    .fetch_optional(&mut *connection)
    .await?;
    if held.is_some() { Ok(()) } else { protect(connection, instance, symbol, protection).await }
}

async fn sampled(connection: &mut SqliteConnection, time: Timestamp, record: &Record) -> Result {
    let Record::EquitySampled { portfolio, families, instances, marks } = record else { return Ok(()) };
    tracker(connection, time, "portfolio", portfolio).await?;
    for (family, body) in families {
        tracker(connection, time, &format!("family {family}"), body).await?;
    }
    for (instance, (unrealized, body)) in instances {
        sqlx::query(
            "UPDATE instances SET body = json_set(body, '$.unrealized', ?, '$.tracker', json(?)) WHERE instance = ?",
        )
        .bind(unrealized.to_string())
        .bind(json(body))
        .bind(instance.as_str())
        .execute(&mut *connection)
        .await?;
        sample(connection, time, &format!("instance {instance}"), body).await?;
    }
    for (symbol, (price, time)) in marks {
        sqlx::query("INSERT OR REPLACE INTO marks (symbol, price, time) VALUES (?, ?, ?)")
            .bind(symbol.as_str())
            .bind(price.to_string())
            .bind(time.as_millis())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn protect(connection: &mut SqliteConnection, instance: &str, symbol: &str, protection: &Protection) -> Result {
    sqlx::query(
        "INSERT INTO protections (instance, symbol, stop, take_profit, style) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (instance, symbol) DO UPDATE SET stop = excluded.stop, take_profit = excluded.take_profit, \
         style = excluded.style",
    )
    .bind(instance)
    .bind(symbol)
    .bind(protection.stop.to_string())
    .bind(protection.take_profit.map(|price| price.to_string()))
    .bind(word(&protection.style))
    .execute(connection)
    .await?;
    Ok(())
}

async fn order(connection: &mut SqliteConnection, order: &Order, correlation_id: i64) -> Result {
    let spec = &order.spec;
    sqlx::query(
        "INSERT INTO orders (client_order_id, instance, symbol, side, order_type, purpose, quantity, price, executed, \
         state, reason, intended_at, updated_at, done, correlation_id, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (client_order_id) DO UPDATE SET executed = excluded.executed, state = excluded.state, \
         updated_at = excluded.updated_at, done = excluded.done, body = excluded.body",
    )
    .bind(spec.client_order_id.as_str())
    .bind(spec.instance.as_str())
    .bind(spec.symbol.as_str())
    .bind(word(&spec.side))
    .bind(word(&spec.order_type))
    .bind(spec.purpose.to_string())
    .bind(spec.quantity.to_string())
    .bind(spec.price.or(spec.stop_price).map(|price| price.to_string()))
    .bind(order.executed().to_string())
    .bind(order.state().to_string())
    .bind(spec.reason.code())
    .bind(order.intended_at.as_millis())
    .bind(order.updated_at.as_millis())
    .bind(order.is_done())
    .bind(correlation_id)
    .bind(json(order))
    .execute(connection)
    .await?;
    Ok(())
}

async fn fill(
    connection: &mut SqliteConnection,
    fill: &Fill,
    book: &InstanceBook,
    closed: Option<&RoundTrip>,
) -> Result {
    sqlx::query(
        "INSERT INTO fills (symbol, trade_id, client_order_id, instance, side, price, quantity, commission, \
         commission_asset, is_maker, time, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(fill.symbol.as_str())
    .bind(i64::try_from(fill.trade_id.0).unwrap_or(i64::MAX))
    .bind(fill.client_order_id.as_str())
    .bind(book.id.as_str())
    .bind(word(&fill.side))
    .bind(fill.price.to_string())
    .bind(fill.quantity.to_string())
    .bind(fill.commission.to_string())
    .bind(fill.commission_asset.as_str())
    .bind(fill.is_maker)
    .bind(fill.time.as_millis())
    .bind(closed.map(|trip| trip.result.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn book(connection: &mut SqliteConnection, book: &InstanceBook) -> Result {
    sqlx::query("INSERT OR REPLACE INTO instances (instance, family, body) VALUES (?, ?, ?)")
        .bind(book.id.as_str())
        .bind(book.family.as_str())
        .bind(json(book))
        .execute(&mut *connection)
        .await?;
    for position in book.positions() {
        sqlx::query(
            "INSERT OR REPLACE INTO positions (instance, symbol, quantity, cost, average_price, realized, fees, opened_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(book.id.as_str())
        .bind(position.symbol().as_str())
        .bind(position.quantity().to_string())
        .bind(position.cost().to_string())
        .bind(position.average_price().map(|price| price.to_string()))
        .bind(position.realized().to_string())
        .bind(position.fees().to_string())
        .bind(position.opened_at().map(Timestamp::as_millis))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn restricted(connection: &mut SqliteConnection, restriction: &Restriction) -> Result {
    // A condition belongs to the process that found it; the next start finds its own (recovery) and needs no memory.
    if restriction.release == Release::Condition {
        return Ok(());
    }
    sqlx::query("INSERT OR REPLACE INTO restrictions (scope, reason, permission, since, body) VALUES (?, ?, ?, ?, ?)")
        .bind(json(&restriction.scope))
        .bind(restriction.reason.code())
        .bind(restriction.permission.to_string())
        .bind(restriction.since.as_millis())
        .bind(json(restriction))
        .execute(connection)
        .await?;
    Ok(())
}

async fn tracker(connection: &mut SqliteConnection, time: Timestamp, scope: &str, body: &EquityTracker) -> Result {
    sqlx::query("INSERT OR REPLACE INTO trackers (scope, body) VALUES (?, ?)")
        .bind(scope)
        .bind(json(body))
        .execute(&mut *connection)
        .await?;
    sample(connection, time, scope, body).await
}

async fn sample(connection: &mut SqliteConnection, time: Timestamp, scope: &str, body: &EquityTracker) -> Result {
    sqlx::query("INSERT OR REPLACE INTO equity (time, scope, equity) VALUES (?, ?, ?)")
        .bind(time.as_millis())
        .bind(scope)
        .bind(body.equity.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

async fn alert(connection: &mut SqliteConnection, sequence: i64, alert: &Alert) -> Result {
    sqlx::query(
        "INSERT INTO alerts (sequence, time, severity, reason, scope, text, correlation_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(sequence)
    .bind(alert.time.as_millis())
    .bind(alert.severity.to_string())
    .bind(alert.reason.code())
    .bind(alert.scope.to_string())
    .bind(&alert.text)
    .bind(i64::try_from(alert.correlation_id.0).unwrap_or(i64::MAX))
    .execute(&mut *connection)
    .await?;
    for channel in ALERT_CHANNELS {
        sqlx::query("INSERT INTO alert_outbox (sequence, channel) VALUES (?, ?)")
            .bind(sequence)
            .bind(channel)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
