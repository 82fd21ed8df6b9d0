//! Cases of the market frames: documented ones, recorded ones, and anything at all.

use std::io::Read;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_723_161_254_000);

fn parse(text: &str) -> Result<Frame, FrameError> {
    parse_market_frame(text.as_bytes(), NOW)
}

fn event(text: &str) -> MarketEvent {
    match parse(text).unwrap() {
        Frame::Market(event) => event,
        other => panic!("{other:?}"),
    }
}

const TRADE: &str = r#"{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}"#;
const QUOTE: &str =
    r#"{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}"#;
const KLINE: &str = r#"{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{"t":1672515780000,"T":1672515839999,"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0009","v":"1000","n":100,"x":true,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#;

fn combined(stream: &str, data: &str) -> String {
    format!(r#"{{"stream":"{stream}","data":{data}}}"#)
}

#[test]
fn documented_frames_in_both_forms() {
    for text in [TRADE.to_owned(), combined("bnbbtc@aggTrade", TRADE)] {
        let MarketEvent::Trade(trade) = event(&text) else { panic!("{text}") };
        assert_eq!((trade.id, trade.price.to_string(), trade.buyer_is_maker), (12345, "0.001".into(), true));
        assert_eq!(trade.time.as_millis(), 1_672_515_782_136);
    }
    for text in [QUOTE.to_owned(), combined("bnbusdt@bookTicker", QUOTE)] {
        let MarketEvent::Quote(quote) = event(&text) else { panic!("{text}") };
        assert_eq!(
            (quote.bid.to_string(), quote.ask_quantity.to_string()),
            ("25.35190000".into(), "40.66000000".into())
        );
        assert_eq!(quote.time, NOW);
    }
    for text in [KLINE.to_owned(), combined("bnbbtc@kline_1m", KLINE)] {
        let MarketEvent::Candle(candle) = event(&text) else { panic!("{text}") };
        assert_eq!((candle.interval, candle.high.to_string()), (Interval::M1, "0.0025".into()));
    }
}

#[test]
fn frames_that_tell_nothing() {
    let cases = [
        (KLINE.replace("\"x\":true", "\"x\":false"), Frame::RunningCandle),
        (KLINE.replace("\"i\":\"1m\"", "\"i\":\"3m\""), Frame::Ignored),
        (combined("btcusdt@depth5", r#"{"lastUpdateId":1}"#), Frame::Ignored),
        (r#"{"e":"trade","s":"BTCUSDT"}"#.into(), Frame::Ignored),
        (r#"{"result":null,"id":1}"#.into(), Frame::Control),
        (r#"{"code":2,"msg":"Invalid request"}"#.into(), Frame::Control),
        (r#"{"e":"serverShutdown","E":1}"#.into(), Frame::Shutdown),
        (combined("!serverShutdown", r#"{"e":"serverShutdown","E":1}"#), Frame::Shutdown),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(&text), Ok(expected), "{text}");
    }
}

#[test]
fn frames_that_cannot_be_true_name_the_kind() {
    let cases = [
        (TRADE.replace("\"0.001\"", "\"0\""), MarketInputError::BadPrice),
        (TRADE.replace("\"0.001\"", "\"NaN\""), MarketInputError::BadPrice),
        (TRADE.replace("\"100\"", "\"-1\""), MarketInputError::BadQuantity),
        (TRADE.replace("\"T\":1672515782136", "\"T\":1"), MarketInputError::BadTime),
        (TRADE.replace("BNBBTC", ""), MarketInputError::UnknownSymbol),
        (QUOTE.replace("25.36520000", "25.35190000"), MarketInputError::Crossed),
        (KLINE.replace("\"t\":1672515780000", "\"t\":1672515780001"), MarketInputError::OffGrid),
        (KLINE.replace("0.0025", "0.0015"), MarketInputError::BadRange),
    ];
    for (text, kind) in cases {
        assert_eq!(parse(&text).unwrap_err().kind, Some(kind), "{text}");
    }
    for text in ["", "null", "[]", "{", r#"{"e":"aggTrade"}"#, r#"{"e":"kline","s":"A","k":{}}"#] {
        assert_eq!(parse(text).unwrap_err().kind, None, "{text}");
    }
}

#[test]
fn symbols_in_other_scripts_and_escapes() {
    let plain = combined("这是测试币456usdt@bookTicker", &QUOTE.replace("BNBUSDT", "这是测试币456USDT"));
    let escaped = plain.replace("这", "\\u8fd9");
    for text in [plain, escaped] {
        assert_eq!(event(&text).symbol().as_str(), "这是测试币456USDT");
    }
}

#[test]
fn recorded_frames_are_all_read() {
    let root = std::env::var_os("VIGIA_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = root.join("l2/BTCUSDT-spot-frames-2024-08-08_09.jsonl.zst");
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("\n*** NOT TESTED: no recorded frames at {}; set VIGIA_DATA ***\n", path.display());
        return;
    };
    let mut text = String::new();
    zstd::stream::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    let (mut quotes, mut depths, mut ignored, mut rejected) = (0, 0, 0, 0);
    for line in text.lines() {
        let frame = line.split_once(' ').unwrap().1;
        match parse(frame) {
            Ok(Frame::Market(MarketEvent::Quote(_))) => quotes += 1,
            Ok(Frame::Depth(_)) => depths += 1,
            Ok(Frame::Ignored | Frame::Control) => ignored += 1,
            Ok(other) => panic!("{other:?}: {frame}"),
            Err(_) => rejected += 1,
        }
    }
    // Raw trades are not used here, and one line is a snapshot of REST.
    assert_eq!((quotes, depths, ignored, rejected), (73_174, 6495, 19_905, 0));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_market_frame(&bytes, NOW);
    }

    #[test]
    fn damaged_frames_never_panic(which in 0usize..3, at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        let mut bytes = [TRADE, QUOTE, KLINE][which].as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = parse_market_frame(&bytes, NOW);
        bytes.truncate(cut);
        let _ = parse_market_frame(&bytes, NOW);
    }
}
