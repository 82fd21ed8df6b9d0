//! Reads the exchange's public dump files: candles and trades, plain or zstd.
//!
//! It must never panic on a file: a bad row is counted and skipped, a file that cannot be read is an error that names
//! file and line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use domain::{Interval, MarketInputError, Symbol, Timestamp};

use super::MarketError;
use super::packed::{Packed, PackedTrade, Scale};

/// Decimals that are kept; what is beyond is float noise of the dump.
const DECIMALS_MAX: u32 = 10;

/// What was read of one symbol.
#[derive(Debug)]
pub(super) enum Loaded {
    Candles(Interval, Scale, Vec<Packed>),
    Trades(Scale, Vec<PackedTrade>),
}

/// The bad rows, by kind.
pub(super) type Rejected = BTreeMap<MarketInputError, u64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Candles(Interval),
    Trades,
}

/// Reads a directory: candles if it has any (of each symbol the shortest interval), else trades.
pub(super) fn load(
    dir: &Path,
    symbols: Option<&[Symbol]>,
    rejected: &mut Rejected,
) -> Result<BTreeMap<Symbol, Loaded>, MarketError> {
    let mut files = list(dir)?;
    let has_candles = files.keys().any(|(_, kind)| *kind != Kind::Trades);
    files.retain(|(_, kind), _| !has_candles || *kind != Kind::Trades);
    let mut loaded = BTreeMap::new();
    for ((symbol, kind), paths) in files {
        let is_wanted = symbols.is_none_or(|symbols| symbols.contains(&symbol));
        // The keys ascend by interval, so the first of a symbol is its shortest.
        if !is_wanted || loaded.contains_key(&symbol) {
            continue;
        }
        let content = match kind {
            Kind::Candles(interval) => load_candles(&paths, interval, rejected)?,
            Kind::Trades => load_trades(&paths, rejected)?,
        };
        loaded.insert(symbol, content);
    }
    if let Some(symbol) = symbols.unwrap_or_default().iter().find(|symbol| !loaded.contains_key(symbol)) {
        return Err(MarketError::NoData { symbol: symbol.clone(), dir: dir.to_owned() });
    }
    if loaded.is_empty() { Err(MarketError::Empty { dir: dir.to_owned() }) } else { Ok(loaded) }
}

fn list(dir: &Path) -> Result<BTreeMap<(Symbol, Kind), Vec<PathBuf>>, MarketError> {
    let unreadable = |source| MarketError::Directory { dir: dir.to_owned(), source };
    let mut files: BTreeMap<(Symbol, Kind), Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if let Some(key) = path.file_name().and_then(|name| classify(name.to_str()?)) {
            files.entry(key).or_default().push(path);
        }
    }
    for paths in files.values_mut() {
        paths.sort();
    }
    Ok(files)
}

/// Symbol and kind of a file by its name; `None` for any other file.
fn classify(name: &str) -> Option<(Symbol, Kind)> {
    let stem = name.strip_suffix(".zst").unwrap_or(name).strip_suffix(".csv")?;
    let mut parts = stem.split('-');
    let symbol = Symbol::new(parts.next()?).ok()?;
    let rest: Vec<&str> = parts.collect();
    if rest.iter().any(|part| *part == "trades" || *part == "aggTrades") {
        return Some((symbol, Kind::Trades));
    }
    Some((symbol, Kind::Candles(rest.first()?.parse().ok()?)))
}

/// Rows of a file, without the header line.
struct Rows {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    record: ByteRecord,
    is_first: bool,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, MarketError> {
        let failed = |source| MarketError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let is_zstd = path.extension().is_some_and(|extension| extension == "zst");
        let source: Box<dyn Read> = if is_zstd {
            Box::new(zstd::stream::read::Decoder::new(file).map_err(failed)?)
        } else {
            Box::new(BufReader::new(file))
        };
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(source);
        Ok(Self { path: path.to_owned(), reader, record: ByteRecord::new(), is_first: true })
    }

    fn next(&mut self) -> Result<Option<&ByteRecord>, MarketError> {
        loop {
            let line = self.reader.position().line();
            let more = self.reader.read_byte_record(&mut self.record);
            let more = more.map_err(|source| MarketError::Read { path: self.path.clone(), line, source })?;
            if !more {
                return Ok(None);
            }
            let is_header = self.is_first && self.record.get(0).is_none_or(|field| integer(field).is_none());
            self.is_first = false;
            if !is_header {
                return Ok(Some(&self.record));
            }
        }
    }
}

fn integer(field: &[u8]) -> Option<i64> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// A plain decimal as whole number and decimals, without trailing zeros.
fn decimal(field: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match field.trim_ascii() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (mut units, mut decimals, mut seen_point, mut seen_digit) = (0i64, 0u32, false, false);
    let mut zeros = 0u32;
    for byte in digits {
        match byte {
            b'.' if !seen_point => seen_point = true,
            b'0' if seen_point => zeros += 1,
            b'0'..=b'9' => {
                seen_digit = true;
                let digit = i64::from(byte - b'0');
                if seen_point && decimals + zeros + 1 > DECIMALS_MAX {
                    break;
                }
                // Zeros after the point count only when a digit follows them.
                let shift = 10i64.checked_pow(zeros + 1)?;
                units = units.checked_mul(shift)?.checked_add(digit)?;
                decimals += if seen_point { zeros + 1 } else { 0 };
                zeros = 0;
            }
            _ => return None,
        }
        seen_digit |= *byte == b'0';
    }
    seen_digit.then_some((if negative { -units } else { units }, decimals))
}

/// Raises the decimals of the rows read before to `wanted`; false if a number would not fit any more.
fn raise<T>(
    have: &mut u32,
    wanted: u32,
    rows: &mut [T],
    largest: impl Fn(&T) -> i64,
    change: impl Fn(&mut T, i64),
) -> bool {
    if wanted <= *have {
        return true;
    }
    let factor = 10i64.pow(wanted - *have);
    if rows.iter().any(|row| largest(row) > i64::MAX / 8 / factor) {
        return false;
    }
    rows.iter_mut().for_each(|row| change(row, factor));
    *have = wanted;
    true
}

/// A number at the scale of its column.
fn at_scale((units, decimals): (i64, u32), scale: u32) -> Option<i64> {
    units.checked_mul(10i64.checked_pow(scale - decimals)?).filter(|units| units.abs() <= i64::MAX / 8)
}

fn load_candles(paths: &[PathBuf], interval: Interval, rejected: &mut Rejected) -> Result<Loaded, MarketError> {
    let (mut scale, mut candles) = (Scale::default(), Vec::new());
    for path in paths {
        let mut rows = Rows::open(path)?;
        while let Some(record) = rows.next()? {
            if let Err(kind) = push_candle(record, interval, &mut scale, &mut candles) {
                *rejected.entry(kind).or_default() += 1;
            }
        }
    }
    candles.shrink_to_fit();
    Ok(Loaded::Candles(interval, scale, candles))
}

fn load_trades(paths: &[PathBuf], rejected: &mut Rejected) -> Result<Loaded, MarketError> {
    let mut by_time = Vec::new();
    for path in paths {
        let first = Rows::open(path)?.next()?.and_then(|record| trade_fields(record).and_then(|it| integer(it[3])));
        by_time.push((first.map(Timestamp::from_millis_or_micros), path));
    }
    by_time.sort();
    let (mut scale, mut trades) = (Scale::default(), Vec::new());
    for (_, path) in by_time {
        let mut rows = Rows::open(path)?;
        while let Some(record) = rows.next()? {
            if let Err(kind) = push_trade(record, &mut scale, &mut trades) {
                *rejected.entry(kind).or_default() += 1;
            }
        }
    }
    trades.shrink_to_fit();
    Ok(Loaded::Trades(scale, trades))
}

fn check_time(field: Option<&[u8]>) -> Result<i64, MarketInputError> {
    let number = field.and_then(integer).ok_or(MarketInputError::BadTime)?;
    let time = Timestamp::from_millis_or_micros(number).as_millis();
    // 2009 to 2100, as the vocabulary has it.
    if (1_230_768_000_000..4_102_444_800_000).contains(&time) { Ok(time) } else { Err(MarketInputError::BadTime) }
}

fn check_price(field: Option<&[u8]>) -> Result<(i64, u32), MarketInputError> {
    field.and_then(decimal).filter(|(units, _)| *units > 0).ok_or(MarketInputError::BadPrice)
}

fn check_order(time: i64, before: Option<i64>) -> Result<(), MarketInputError> {
    match before {
        Some(before) if time == before => Err(MarketInputError::Duplicate),
        Some(before) if time < before => Err(MarketInputError::OutOfOrder),
        _ => Ok(()),
    }
}

/// open_time, open, high, low, close, volume, and whatever else there is.
fn push_candle(
    record: &ByteRecord,
    interval: Interval,
    scale: &mut Scale,
    candles: &mut Vec<Packed>,
) -> Result<(), MarketInputError> {
    let open_time = check_time(record.get(0))?;
    let mut prices = [(0, 0); 4];
    for (at, price) in prices.iter_mut().enumerate() {
        *price = check_price(record.get(at + 1))?;
    }
    let volume = record.get(5).and_then(decimal).filter(|(units, _)| *units >= 0);
    let volume = volume.ok_or(MarketInputError::BadQuantity)?;
    if open_time % interval.span().get() != 0 {
        return Err(MarketInputError::OffGrid);
    }
    check_order(open_time, candles.last().map(|last| last.open_time))?;
    let wanted = prices.iter().map(|(_, decimals)| *decimals).max().unwrap_or(0);
    let fits = raise(
        &mut scale.price,
        wanted,
        candles,
        |row| row.high,
        |row, factor| {
            for price in [&mut row.open, &mut row.high, &mut row.low, &mut row.close] {
                *price *= factor;
            }
        },
    );
    let mut units = [0; 4];
    for (units, price) in units.iter_mut().zip(prices) {
        let scaled = at_scale(price, scale.price.max(price.1)).filter(|it| fits && *it <= scale.units_max());
        *units = scaled.ok_or(MarketInputError::BadPrice)?;
    }
    let [open, high, low, close] = units;
    if high < open.max(close) || low > open.min(close) {
        return Err(MarketInputError::BadRange);
    }
    let fits = raise(&mut scale.quantity, volume.1, candles, |row| row.volume, |row, factor| row.volume *= factor);
    let volume = at_scale(volume, scale.quantity.max(volume.1)).filter(|_| fits);
    let volume = volume.ok_or(MarketInputError::BadQuantity)?;
    candles.push(Packed { open_time, open, high, low, close, volume });
    Ok(())
}

/// Id, price, quantity, time and maker flag of a trade row: the dump of aggregate trades has first and last id between,
/// that of raw trades the quote quantity.
fn trade_fields(record: &ByteRecord) -> Option<[&[u8]; 5]> {
    let time = if integer(record.get(5)?).is_some() { 5 } else { 4 };
    Some([record.get(0)?, record.get(1)?, record.get(2)?, record.get(time)?, record.get(time + 1)?])
}

fn push_trade(record: &ByteRecord, scale: &mut Scale, trades: &mut Vec<PackedTrade>) -> Result<(), MarketInputError> {
    let [id, price, quantity, time, maker] = trade_fields(record).ok_or(MarketInputError::BadPrice)?;
    let time = check_time(Some(time))?;
    let price = check_price(Some(price))?;
    let quantity = decimal(quantity).filter(|(units, _)| *units > 0).ok_or(MarketInputError::BadQuantity)?;
    let id = integer(id).and_then(|id| u64::try_from(id).ok()).ok_or(MarketInputError::BadQuantity)?;
    if let Some(last) = trades.last() {
        if id == last.id {
            return Err(MarketInputError::Duplicate);
        }
        if id < last.id || time < last.time {
            return Err(MarketInputError::OutOfOrder);
        }
    }
    let fits = raise(&mut scale.price, price.1, trades, |row| row.price, |row, factor| row.price *= factor);
    let price = at_scale(price, scale.price.max(price.1)).filter(|it| fits && *it <= scale.units_max());
    let price = price.ok_or(MarketInputError::BadPrice)?;
    let fits = raise(&mut scale.quantity, quantity.1, trades, |row| row.quantity, |row, factor| row.quantity *= factor);
    let quantity = at_scale(quantity, scale.quantity.max(quantity.1)).filter(|_| fits);
    let quantity = quantity.ok_or(MarketInputError::BadQuantity)?;
    trades.push(PackedTrade { time, id, price, quantity, buyer_is_maker: maker.eq_ignore_ascii_case(b"true") });
    Ok(())
}
