//! The journal: how long one entry takes to be durable, and how many a second are when they come in crowds.

use std::path::Path;
use std::time::Duration;

use domain::{CorrelationId, Side, Timestamp};
use engine::{ActorId, JournalEntry, Record};
use ledger::Order;
use store::Journal;
use store::writer::Write;

use crate::Effort;
use crate::clock::Moment;
use crate::sample::{Samples, Spread};
use crate::table::Row;
use crate::world::{self, START, known};

/// Entries of the crowd.
const CROWD: u64 = 20_000;
/// How long a commit may take before the benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let disk = world::temp_dir()?;
    let singles = effort.of(500, 5_000);
    let (single, rate) = measured(disk.path(), singles)?;
    let mut rows = vec![
        Row::new("journal: append to durable, one entry", "us", single)
            .note("order_intended with its projection; SQLite WAL, synchronous=FULL, on this directory's disk"),
        Row::one("journal: 20,000 entries at once", "rows/s", rate)
            .note("grouped commits; first append to last durable"),
    ];
    if let Ok(memory) = tempfile::tempdir_in("/dev/shm") {
        let (single, rate) = measured(memory.path(), singles)?;
        rows.push(Row::new("  the same on tmpfs, one entry", "us", single).note("without the disk"));
        rows.push(Row::one("  the same on tmpfs, 20,000 entries", "rows/s", rate));
    }
    rows.push(
        Row::new("disk: append 4 KiB and fsync", "us", raw_disk(disk.path(), singles)?).note("plain file, for scale"),
    );
    Ok(rows)
}

fn entry(sequence: u64) -> Write {
    let now = Timestamp::from_millis(START.as_millis() + i64::try_from(sequence).unwrap_or_default());
    let order = Order::intended(world::order(sequence, Side::Buy, known("0.1")), CorrelationId(sequence), now);
    let record = Record::OrderIntended { order: Box::new(order), protection: None };
    Write::Entry(Box::new(JournalEntry {
        time: now,
        actor: ActorId::GlobalRisk,
        correlation_id: CorrelationId(sequence),
        record,
    }))
}

/// Single entries in microseconds, and rows a second of the crowd.
fn measured(directory: &Path, singles: u64) -> anyhow::Result<(Option<Spread>, f64)> {
    let (journal, thread) = Journal::open(&directory.join("journal.db"))?;
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let durable = || waiting.block_on(journal.flushed(PATIENCE)).map_err(anyhow::Error::msg);
    let (mut samples, warm_up) = (Samples::default(), singles / 10);
    for sequence in 1..=warm_up + singles {
        let entry = entry(sequence);
        let begun = Moment::now();
        journal.append(entry)?;
        durable()?;
        if sequence > warm_up {
            samples.add(begun.elapsed_ns());
        }
    }
    let first = warm_up + singles + 1;
    let entries: Vec<Write> = (first..first + CROWD).map(entry).collect();
    let begun = Moment::now();
    for entry in entries {
        journal.append(entry)?;
    }
    durable()?;
    let seconds = begun.elapsed_s();
    journal.close();
    thread.join();
    Ok((samples.spread(1e3), CROWD as f64 / seconds))
}

/// What the disk itself takes.
fn raw_disk(directory: &Path, samples: u64) -> anyhow::Result<Option<Spread>> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(directory.join("raw"))?;
    let (page, mut all) = ([7u8; 4096], Samples::default());
    for _ in 0..samples {
        let begun = Moment::now();
        file.write_all(&page)?;
        file.sync_data()?;
        all.add(begun.elapsed_ns());
    }
    Ok(all.spread(1e3))
}
