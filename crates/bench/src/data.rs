//! A made-up day of trades, written in the exchange's public dump format. The same on every run.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::world::{START, SYMBOL};

/// The price at the start, in cents.
const START_CENTS: i64 = 5_000_000;
/// The furthest that one trade moves the price, in cents.
const STEP_CENTS: i64 = 60;
/// A day.
const DAY_MS: i64 = 86_400_000;

/// SplitMix64: enough for a market.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From zero to below `bound`.
    fn below(&mut self, bound: i64) -> i64 {
        i64::try_from(self.next() % bound.unsigned_abs().max(1)).unwrap_or_default()
    }
}

/// Writes `trades` trades of a random walk over one day into `directory`, and says where.
pub(crate) fn write_trades(directory: &Path, trades: u32) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("{SYMBOL}-trades-made-up.csv"));
    let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut out = BufWriter::new(file);
    let (mut random, mut cents) = (Random(1), START_CENTS);
    for number in 0..i64::from(trades) {
        cents = (cents + random.below(2 * STEP_CENTS + 1) - STEP_CENTS).max(START_CENTS / 2);
        let time = START.as_millis() + number * DAY_MS / i64::from(trades.max(1));
        let (id, lots, maker) = (number + 1, 1 + random.below(100_000), random.next() & 1 == 0);
        let maker = if maker { "true" } else { "false" };
        writeln!(
            out,
            "{id},{}.{:02},{}.{:05},{id},{id},{time},{maker},true",
            cents / 100,
            cents % 100,
            lots / 100_000,
            lots % 100_000
        )?;
    }
    out.flush().with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_reads_every_row() {
        let directory = tempfile::tempdir().unwrap();
        write_trades(directory.path(), 1_000).unwrap();
        let market = simulator::market::Market::from_data(directory.path(), None, Default::default()).unwrap();
        assert_eq!((market.len_hint(), market.rejected().len()), (Some(1_000), 0));
    }
}
