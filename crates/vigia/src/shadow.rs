//! `vigia shadow`: what the exchange's own test said of the orders that SHADOW decided and did not send, beside what
//! became of them in its own book. It changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use console::{JournalQuery, control::ROWS_MAX, tables};
use serde::Serialize;

use crate::source::{Common, EXIT_CODES, Source, show};

/// Options of `vigia shadow`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
}

/// What SHADOW came to on one symbol.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Comparison {
    symbol: String,
    /// Orders that the exchange tested.
    tested: u64,
    /// Of them, those that it would have taken.
    taken: u64,
    /// Of them, those that it would have refused.
    refused: u64,
    /// Orders of the own book that filled.
    filled: u64,
    /// Filled in the own book although the exchange would have refused them: what the book has and an account had not.
    filled_but_refused: u64,
    /// The newest refusal.
    last_refusal: Option<String>,
}

#[derive(serde::Deserialize)]
struct Validated {
    symbol: String,
    order: String,
    refusal: Option<String>,
}

/// Runs the subcommand.
pub(crate) fn run(file: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    let (mut source, _) = Source::find(file, &options.common)?;
    let kind = Some("order_validated".to_owned());
    let rows = source.journal(&JournalQuery { after: None, correlation: None, kind, limit: ROWS_MAX })?;
    let tests = rows.iter().map(|row| serde_json::from_str(&row.payload)).collect::<Result<Vec<Validated>, _>>()?;
    let orders = source.orders(false, ROWS_MAX)?;
    let executed = |order: &store::read::OrderRow| order.executed.chars().any(|c| ('1'..='9').contains(&c));
    let filled = orders.iter().filter(|order| executed(order)).map(|order| order.client_order_id.clone());
    let comparisons = compare(&tests, &filled.collect());
    show(options.common.json, &source.origin()?, "shadow", &comparisons, || table(&comparisons))
}

fn compare(tests: &[Validated], filled: &std::collections::BTreeSet<String>) -> Vec<Comparison> {
    let mut by_symbol: BTreeMap<&str, Comparison> = BTreeMap::new();
    for test in tests {
        let one = by_symbol
            .entry(&test.symbol)
            .or_insert_with(|| Comparison { symbol: test.symbol.clone(), ..Comparison::default() });
        let is_filled = filled.contains(&test.order);
        one.tested += 1;
        one.filled += u64::from(is_filled);
        match &test.refusal {
            None => one.taken += 1,
            Some(refusal) => {
                one.refused += 1;
                one.filled_but_refused += u64::from(is_filled);
                one.last_refusal = Some(refusal.clone());
            }
        }
    }
    by_symbol.into_values().collect()
}

fn table(rows: &[Comparison]) -> String {
    let row = |one: &Comparison| {
        let counts = [one.tested, one.taken, one.refused, one.filled, one.filled_but_refused];
        let mut cells = vec![one.symbol.clone()];
        cells.extend(counts.iter().map(ToString::to_string));
        cells.push(one.last_refusal.clone().unwrap_or_else(|| "-".to_owned()));
        cells
    };
    let header = ["symbol", ">tested", ">would be taken", ">refused", ">filled", ">filled but refused", "last refusal"];
    tables::page(&header, rows.iter().map(row).collect(), "no order was tested: the service has not run in SHADOW")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_exchange_would_refuse_stands_beside_what_the_book_filled() {
        let test = |order: &str, refusal: Option<&str>| Validated {
            symbol: "BTCUSDT".into(),
            order: order.into(),
            refusal: refusal.map(str::to_owned),
        };
        let tests = [test("a", None), test("b", Some("Filter failure: NOTIONAL")), test("c", None)];
        let filled = ["a".to_owned(), "b".to_owned()].into();
        let expected = Comparison {
            symbol: "BTCUSDT".into(),
            tested: 3,
            taken: 2,
            refused: 1,
            filled: 2,
            filled_but_refused: 1,
            last_refusal: Some("Filter failure: NOTIONAL".into()),
        };
        assert_eq!(compare(&tests, &filled), [expected]);
        assert!(table(&[]).contains("has not run in SHADOW"));
    }
}
