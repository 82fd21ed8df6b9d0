//! What a replay came to, as tables, as CSV and as a chart. It computes nothing that the replay has not.

use std::io::Write;
use std::path::Path;

use console::tables::{money, percent};
use domain::{Notional, Ratio};
use plotters::prelude::*;
use runtime::results::{ReplayReport, Result as Row};

/// Writes the equity curve: time, portfolio, families.
pub(crate) fn write_csv(path: &Path, report: &ReplayReport) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let families: Vec<&str> = report.families.iter().map(|family| family.name.as_str()).collect();
    writeln!(file, "time,portfolio,{}", families.join(","))?;
    for (time, portfolio, families) in &report.curve {
        let families: Vec<String> = families.iter().map(ToString::to_string).collect();
        writeln!(file, "{time},{portfolio},{}", families.join(","))?;
    }
    file.flush()
}

fn to_float(amount: Notional) -> f64 {
    amount.to_string().parse().unwrap_or_default()
}

/// Draws the equity curve of the portfolio.
pub(crate) fn write_svg(path: &Path, report: &ReplayReport) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = report
        .curve
        .iter()
        .map(|(time, equity, _)| {
            ((time.as_millis() - report.from.as_millis()) as f64 / 86_400_000.0, to_float(*equity))
        })
        .collect();
    let days = points.last().map_or(1.0, |(day, _)| day.max(0.01));
    let low = points.iter().map(|(_, equity)| *equity).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, equity)| *equity).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.05).max(1.0);
    let area = SVGBackend::new(path, (1000, 480)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("Equity, {} to {}", day(report.from), day(report.to)), ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..days, (low - margin)..(high + margin))?;
    chart.configure_mesh().x_desc("days").y_desc("equity").light_line_style(WHITE).draw()?;
    let start = to_float(report.portfolio.start);
    chart.draw_series(LineSeries::new([(0.0, start), (days, start)], BLACK.mix(0.35)))?;
    chart.draw_series(LineSeries::new(points, BLUE.stroke_width(2)))?;
    area.present()?;
    Ok(())
}

fn day(time: domain::Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

/// The report for people.
pub(crate) fn text(report: &ReplayReport) -> String {
    let mut out = format!(
        "\n{} to {}: {} events, {} orders, {} fills\n\n",
        report.from, report.to, report.events, report.orders, report.fills
    );
    let mut table = vec![header()];
    table.extend(report.instances.iter().map(line));
    table.push(vec![String::new(); table[0].len()]);
    table.extend(report.families.iter().map(line));
    table.push(vec![String::new(); table[0].len()]);
    table.push(line(&report.portfolio));
    out.push_str(&aligned(&table));
    for (title, counts) in
        [("refused by the gate", list(&report.refused)), ("market data refused", list(&report.rejected))]
    {
        if !counts.is_empty() {
            out.push_str(&format!("\n{title}: {}\n", counts.join(", ")));
        }
    }
    let p = &report.portfolio;
    let mark = if report.reconciles() { "reconciles" } else { "DOES NOT RECONCILE" };
    out.push_str(&format!(
        "\nfrom the book:    {} + {} realized + {} unrealized - {} fees = {}\n",
        p.start.normalized(),
        p.realized.normalized(),
        p.unrealized.normalized(),
        p.fees.normalized(),
        p.end.normalized()
    ));
    out.push_str(&format!(
        "from the account: its balances are worth {} at the marks\n",
        report.account_value.normalized()
    ));
    let balances: Vec<String> = report.balances.iter().map(|(asset, held)| format!("{held} {asset}")).collect();
    out.push_str(&format!("                  ({})\n{mark} to the last decimal\n\n", balances.join(", ")));
    out
}

fn list<K: std::fmt::Debug + serde::Serialize>(counts: &std::collections::BTreeMap<K, u64>) -> Vec<String> {
    let word = |key: &K| serde_json::to_string(key).unwrap_or_default().trim_matches('"').to_owned();
    counts.iter().map(|(key, count)| format!("{} {count}", word(key))).collect()
}

fn header() -> Vec<String> {
    ["", "trades", "win rate", "realized", "unrealized", "fees", "result", "max drawdown", "exposure"]
        .map(str::to_owned)
        .to_vec()
}

fn line(row: &Row) -> Vec<String> {
    let trades = row.stats.trades();
    let win_rate = domain::Decimal::from(row.stats.wins).checked_div(trades.into());
    vec![
        row.name.clone(),
        trades.to_string(),
        win_rate.map_or_else(|| "-".to_owned(), |rate| percent(Ratio::new(rate).unwrap_or_default())),
        money(row.realized),
        money(row.unrealized),
        money(row.fees),
        money(row.end - row.start),
        percent(row.drawdown_max),
        percent(row.exposure),
    ]
}

/// Columns padded to their widest cell: the first to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}
