//! Recorded market data, where it is on this machine.
//!
//! It must never be missed in silence: where it is absent, the table and standard error say so.

use std::io::Read as _;
use std::path::PathBuf;

use domain::Timestamp;

/// A session of the exchange's market streams: one line a frame, after the nanosecond at which it came.
const FRAMES: &str = "l2/BTCUSDT-spot-frames-2024-08-08_09.jsonl.zst";
/// The end of the recorded session, as the time at which its frames are read.
pub(crate) const READ_AT: Timestamp = Timestamp::from_millis(1_723_161_254_000);

/// The directory of recorded data: `VIGIA_DATA`, or what lies beside the project.
pub(crate) fn data() -> PathBuf {
    std::env::var_os("VIGIA_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}

/// The frames of the recorded session, in order.
///
/// # Errors
/// Why they cannot be read, and the remedy.
pub(crate) fn frames() -> Result<Vec<String>, String> {
    let path = data().join(FRAMES);
    let mut text = String::new();
    let read = std::fs::File::open(&path)
        .and_then(zstd::stream::Decoder::new)
        .and_then(|mut decoder| decoder.read_to_string(&mut text));
    if let Err(error) = read {
        let why = format!("no recorded frames at {} ({error}); set VIGIA_DATA", path.display());
        eprintln!("\n*** NOT FROM RECORDED DATA: {why} ***\n");
        return Err(why);
    }
    Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(_, frame)| frame.to_owned()).collect())
}
