//! The adapter: reading the exchange's frames, keeping a book in step, signing.
//!
//! It must never measure an error: a frame that cannot be read ends the benchmark.

use std::hint::black_box;

use anyhow::{Context, bail};
use domain::MarketEvent;
use exchange::binance::depth::parse_depth_snapshot;
use exchange::binance::events::{UserFrame, parse_user_frame};
use exchange::binance::{DepthDiff, DepthSnapshot, Frame, Next, OrderBook, Secret, parse_market_frame};

use crate::Effort;
use crate::clock::Moment;
use crate::recorded::{self, READ_AT};
use crate::sample::{Samples, batches};
use crate::table::Row;
use crate::world::START;

/// Frames as the exchange documents them.
const TRADE: &str = r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1767225600123,"s":"BTCUSDT","a":4744868157,"p":"87232.01000000","q":"0.02026000","f":4744868157,"l":4744868157,"T":1767225600120,"m":true,"M":true}}"#;
const QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT","b":"87232.00000000","B":"3.12100000","a":"87232.01000000","A":"4.06600000"}}"#;
const KLINE: &str = r#"{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1767225660002,"s":"BTCUSDT","k":{"t":1767225600000,"T":1767225659999,"s":"BTCUSDT","i":"1m","f":100,"L":200,"o":"87232.00000000","c":"87240.10000000","h":"87250.00000000","l":"87200.00000000","v":"12.34500000","n":100,"x":true,"q":"1076000.00000000","V":"5.00000000","Q":"436000.00000000","B":"0"}}}"#;
const EXECUTION: &str = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":1767225600658,"s":"BTCUSDT","c":"a-1-12345","S":"BUY","o":"MARKET","f":"GTC","q":"0.02026000","p":"0.00000000","P":"0.00000000","F":"0.00000000","g":-1,"C":"","x":"TRADE","X":"FILLED","r":"NONE","i":4293153,"l":"0.02026000","z":"0.02026000","L":"87232.01000000","n":"0.00002026","N":"BTC","T":1767225600657,"t":77,"I":8641984,"w":false,"m":false,"M":true,"O":1767225600657,"Z":"1767.32052260","Y":"1767.32052260","Q":"0.00000000","W":1767225600657,"V":"NONE"}}"#;
const QUERY: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.02026&newClientOrderId=a-1-12345&newOrderRespType=RESULT&recvWindow=5000&timestamp=1767225600123";

/// The exchange's published sample secret, the published Ed25519 sample key, and a key made for the benchmarks with
/// `openssl genpkey -algorithm RSA`: no account has any of them.
const HMAC: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u";
const RSA: &str = include_str!("rsa-2048.pem");

/// Frames in a sample.
const BATCH: usize = 50;

/// The rows of this part.
pub(crate) fn rows(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let samples = effort.of(1_000, 10_000);
    let mut rows = Vec::new();
    match recorded::frames() {
        Ok(frames) => rows.extend(recorded_rows(samples, &frames)?),
        Err(why) => {
            let note = format!("{} bytes, the documented one: {why}", QUOTE.len());
            rows.extend(both("frame: bookTicker to event", &market(samples, &[QUOTE])?, note));
            rows.push(Row::left_out("frame: a recorded session", why.clone()));
            rows.push(Row::left_out("book: differences", why));
        }
    }
    let documented = |frame: &str| format!("{} bytes, the documented one, again and again", frame.len());
    rows.extend(both("frame: aggTrade to event", &market(samples, &[TRADE])?, documented(TRADE)));
    rows.extend(both("frame: kline to event", &market(samples, &[KLINE])?, documented(KLINE)));
    let name = "frame: executionReport to events";
    rows.extend(both(name, &executions(samples)?, format!("a fill and a report; {}", documented(EXECUTION))));
    rows.extend(signing(effort)?);
    Ok(rows)
}

/// One call in nanoseconds, and calls a second.
fn both(name: &str, samples: &Samples, note: impl Into<String>) -> [Row; 2] {
    [Row::new(name, "ns", samples.spread(1.0)).note(note), Row::new("  the same, a second", "1/s", samples.rates())]
}

/// Reads `frames` in turn, each of which must be an event.
fn market(samples: usize, frames: &[&str]) -> anyhow::Result<Samples> {
    for frame in frames {
        let event = parse_market_frame(frame.as_bytes(), START).with_context(|| (*frame).to_owned())?;
        anyhow::ensure!(matches!(event, Frame::Market(_)), "the benchmark's frame is no event: {frame}");
    }
    Ok(batches(samples, BATCH, |number| {
        let frame = frames[number % frames.len()];
        let event = parse_market_frame(black_box(frame.as_bytes()), START);
        black_box(event.expect("invariant: the frame was read before"));
    }))
}

fn executions(samples: usize) -> anyhow::Result<Samples> {
    match parse_user_frame(EXECUTION.as_bytes())? {
        UserFrame::Execution(events) if events.len() == 2 => {}
        other => bail!("the benchmark's execution report is no fill: {other:?}"),
    }
    Ok(batches(samples, BATCH, |_| {
        let events = parse_user_frame(black_box(EXECUTION.as_bytes()));
        black_box(events.expect("invariant: the frame was read before"));
    }))
}

/// What the recorded session has: frames as they came, and among them quotes and differences.
#[derive(Default)]
struct Session<'a> {
    all: Vec<&'a str>,
    quotes: Vec<&'a str>,
    /// Differences as they came, and what they say.
    diffs: Vec<(&'a str, DepthDiff)>,
    /// The snapshot, and how many differences had come before it.
    snapshot: Option<(DepthSnapshot, usize)>,
}

impl<'a> Session<'a> {
    fn of(frames: &'a [String]) -> anyhow::Result<Self> {
        let mut session = Self::default();
        for frame in frames {
            if frame.starts_with("{\"lastUpdateId\"") {
                let snapshot = parse_depth_snapshot(frame.as_bytes())?;
                session.snapshot = Some((snapshot, session.diffs.len()));
                continue;
            }
            session.all.push(frame);
            match parse_market_frame(frame.as_bytes(), READ_AT).with_context(|| frame.clone())? {
                Frame::Market(MarketEvent::Quote(_)) => session.quotes.push(frame),
                Frame::Depth(diff) => session.diffs.push((frame, *diff)),
                Frame::Market(MarketEvent::Trade(_) | MarketEvent::Candle(_))
                | Frame::RunningCandle
                | Frame::Ignored
                | Frame::Control
                | Frame::Shutdown => {}
            }
        }
        anyhow::ensure!(!session.quotes.is_empty() && !session.diffs.is_empty(), "the recorded session has no book");
        Ok(session)
    }
}

fn recorded_rows(samples: usize, frames: &[String]) -> anyhow::Result<Vec<Row>> {
    let session = Session::of(frames)?;
    let bytes = |frames: &[&str]| frames.iter().map(|frame| frame.len()).sum::<usize>() / frames.len().max(1);
    let quotes = format!("{} recorded ones, {} bytes each", session.quotes.len(), bytes(&session.quotes));
    let all = format!("{} as they came, quotes, trades and books; {} bytes", session.all.len(), bytes(&session.all));
    let whole = batches(samples, BATCH, |number| {
        let frame = session.all[number % session.all.len()];
        black_box(parse_market_frame(black_box(frame.as_bytes()), READ_AT)).expect("invariant: it was read before");
    });
    let mut rows = Vec::from(both("frame: bookTicker to event", &market(samples, &session.quotes)?, quotes));
    rows.extend(both("frame: a recorded session", &whole, all));
    rows.extend(books(samples, &session)?);
    Ok(rows)
}

/// Keeping the book: reading a difference, and putting it into the book.
fn books(samples: usize, session: &Session<'_>) -> anyhow::Result<Vec<Row>> {
    let diffs = &session.diffs;
    let levels: usize = diffs.iter().map(|(_, diff)| diff.bids.len() + diff.asks.len()).sum();
    let note = format!("{} recorded ones of {} levels on average", diffs.len(), levels / diffs.len().max(1));
    let reading = batches(samples, BATCH, |number| {
        let (frame, _) = diffs[number % diffs.len()];
        black_box(parse_market_frame(black_box(frame.as_bytes()), READ_AT)).expect("invariant: it was read before");
    });
    let mut rows = Vec::from(both("book: read a difference", &reading, note));
    let (applied, depth) = applied(samples, session)?;
    rows.extend(both(
        "book: apply a difference",
        &applied,
        format!("a book of {depth} levels, as far as the recorded snapshot reaches"),
    ));
    Ok(rows)
}

/// The recorded session over and over, from its snapshot on as far as the book can follow, in batches; and how many levels
/// it has then.
fn applied(samples: usize, session: &Session<'_>) -> anyhow::Result<(Samples, usize)> {
    let (snapshot, before) = session.snapshot.as_ref().context("the recorded session has no snapshot")?;
    let (mut all, mut depth) = (Samples::default(), 0);
    let mut left = samples;
    let mut is_warm = false;
    while left > 0 {
        let mut book = OrderBook::new();
        for (_, diff) in &session.diffs[..*before] {
            book.diff(diff.clone());
        }
        anyhow::ensure!(book.snapshot(snapshot) == Next::Go, "the recorded snapshot does not fit its differences");
        for chunk in session.diffs[*before..].chunks_exact(BATCH) {
            let chunk: Vec<DepthDiff> = chunk.iter().map(|(_, diff)| diff.clone()).collect();
            let begun = Moment::now();
            for diff in chunk {
                black_box(book.diff(diff));
            }
            let elapsed = begun.elapsed_ns();
            if book.update_id().is_none() {
                // The market has left the depth of the one snapshot that was recorded: the session ends here.
                break;
            }
            depth = book.bids().count() + book.asks().count();
            if is_warm && left > 0 {
                all.add(elapsed / BATCH as f64);
                left -= 1;
            }
        }
        anyhow::ensure!(depth > 0, "the recorded book was thrown away at once");
        is_warm = true;
    }
    Ok((all, depth))
}

fn signing(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let kinds = [
        ("sign: HMAC-SHA256", Secret::hmac(HMAC)?, effort.of(1_000, 10_000), 50),
        ("sign: Ed25519", Secret::ed25519(ED25519)?, effort.of(500, 5_000), 20),
        ("sign: RSA 2048", Secret::rsa(RSA)?, effort.of(200, 2_000), 5),
    ];
    let mut rows = Vec::new();
    for (name, secret, samples, calls) in kinds {
        let measured = batches(samples, calls, |_| {
            black_box(secret.sign(black_box(QUERY.as_bytes())));
        });
        let note = format!("a market order's query of {} bytes", QUERY.len());
        rows.push(Row::new(name, "us", measured.spread(1e3)).note(note));
        rows.push(Row::new("  the same, a second", "1/s", measured.rates()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_frames_and_keys_are_read() {
        for frame in [TRADE, QUOTE, KLINE] {
            assert!(market(1, &[frame]).is_ok(), "{frame}");
        }
        assert!(executions(1).is_ok());
        assert!(Secret::rsa(RSA).is_ok() && Secret::ed25519(ED25519).is_ok());
    }

    #[test]
    fn a_frame_that_is_no_event_is_not_measured() {
        assert!(market(1, &[&KLINE.replace("\"x\":true", "\"x\":false")]).is_err());
        assert!(market(1, &["{}"]).is_err());
    }
}
