//! Tests of the market: what is read, the declared path, the order of events, seeks, history, crashes, seeds.

use std::fs;

use domain::{Quote, Trade};

use super::*;

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

fn ms(time: i64) -> Timestamp {
    Timestamp::from_millis(time)
}

fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        if name.ends_with(".zst") {
            fs::write(path, zstd::encode_all(content.as_bytes(), 1).unwrap()).unwrap();
        } else {
            fs::write(path, content).unwrap();
        }
    }
    dir
}

const T: i64 = 1_700_000_100_000; // on the grid of 1m and 5m

fn shown(event: &MarketEvent) -> String {
    let since = event.time().as_millis() - T;
    match event {
        MarketEvent::Trade(Trade { symbol, id, price, quantity, .. }) => {
            format!("{since} {symbol} trade {id} {price} x {quantity}")
        }
        MarketEvent::Quote(Quote { symbol, bid, ask, .. }) => format!("{since} {symbol} quote {bid} {ask}"),
        MarketEvent::Candle(Candle { symbol, interval, open, high, low, close, volume, .. }) => {
            format!("{since} {symbol} {interval} {open} {high} {low} {close} {volume}")
        }
    }
}

fn candles(rows: &[(i64, &str)]) -> String {
    rows.iter().map(|(minute, rest)| format!("{},{rest},1,2,3,4,5,0\n", T + minute * 60_000)).collect()
}

#[test]
fn a_candle_is_told_along_its_declared_path() {
    let header = "open_time,open,high,low,close,volume,close_time\n";
    let rows = candles(&[(0, "100.00,103,99.5,101,10.2"), (1, "101,101,101,101,0")]);
    let data = dir(&[("BTCUSDT-1m.csv.zst", &format!("{header}{rows}")), ("README.md", "no data")]);
    let market = Market::from_data(data.path(), None, PathOptions::default()).unwrap();
    assert_eq!((market.start(), market.end(), market.len_hint()), (Some(ms(T)), Some(ms(T + 120_000)), Some(2)));
    let events: Vec<String> = market.map(|event| shown(&event)).collect();
    assert_eq!(
        events,
        [
            "0 BTCUSDT trade 1 100.0 x 2.5",
            "0 BTCUSDT quote 99.9 100.1",
            "15000 BTCUSDT trade 2 99.5 x 2.5",
            "15000 BTCUSDT quote 99.4 99.6",
            "30000 BTCUSDT trade 3 103.0 x 2.5",
            "30000 BTCUSDT quote 102.9 103.1",
            "59999 BTCUSDT trade 4 101.0 x 2.7",
            "59999 BTCUSDT quote 100.9 101.1",
            "60000 BTCUSDT 1m 100.0 103.0 99.5 101.0 10.2",
            "60000 BTCUSDT quote 100.9 101.1",
            "75000 BTCUSDT quote 100.9 101.1",
            "90000 BTCUSDT quote 100.9 101.1",
            "119999 BTCUSDT quote 100.9 101.1",
            "120000 BTCUSDT 1m 101.0 101.0 101.0 101.0 0.0",
        ]
    );
}

#[test]
fn ends_of_candles_come_before_points_and_symbols_in_order() {
    let rows = candles(&[(0, "1,1,1,1,4"), (1, "1,1,1,1,4")]);
    let data = dir(&[("B-1m.csv", &rows), ("A-1m.csv", &rows)]);
    let market = Market::from_data(data.path(), None, PathOptions::default()).unwrap();
    let at_the_minute: Vec<String> = market.map(|event| shown(&event)).filter(|it| it.starts_with("60000 ")).collect();
    let kinds: Vec<&str> = at_the_minute.iter().map(|text| &text[6..10]).collect();
    assert_eq!(kinds, ["A 1m", "B 1m", "A tr", "A qu", "B tr", "B qu"]);
}

#[test]
fn longer_candles_end_by_the_clock_over_gaps() {
    let rows = candles(&[(0, "1,2,1,1,4"), (1, "1,9,1,2,4"), (6, "3,3,3,3,1"), (11, "4,4,4,4,1")]);
    let data = dir(&[("BTCUSDT-1m.csv", &rows)]);
    let options = PathOptions { aggregate: vec![Interval::M5, Interval::M1], ..PathOptions::default() };
    let mut market = Market::from_data(data.path(), None, options).unwrap();
    let all: Vec<MarketEvent> = market.clone().collect();
    let longer: Vec<String> = all.iter().map(shown).filter(|it| it.contains(" 5m ")).collect();
    // The last five minutes never end within the data.
    assert_eq!(longer, ["300000 BTCUSDT 5m 1 9 1 2 8", "600000 BTCUSDT 5m 3 3 3 3 1"]);
    for from in 0..all.len() {
        let time = all[from].time();
        market.seek(time);
        let first = all.iter().position(|event| event.time() >= time).unwrap();
        assert_eq!(market.peek_time(), Some(time));
        assert!(market.clone().eq(all[first..].iter().cloned()), "seek to {time}");
    }
    let found = market.history(&symbol("BTCUSDT"), Interval::M5, ms(T), ms(T + 600_000), 10);
    assert_eq!(found.iter().map(|it| it.close.to_string()).collect::<Vec<_>>(), ["2", "3"]);
}

#[test]
fn history_is_complete_candles_only() {
    let rows = candles(&[(0, "1,1,1,1,4"), (1, "2,2,2,2,4"), (500, "3,3,3,3,4"), (501, "4,4,4,4,4")]);
    let data = dir(&[("BTCUSDT-1m.csv", &rows)]);
    let market = Market::from_data(data.path(), None, PathOptions::default()).unwrap();
    let ask = |from: i64, to: i64, limit, newest: bool| -> Vec<String> {
        let (from, to, btc) = (ms(T + from * 60_000), ms(T + to * 60_000 + 59_999), symbol("BTCUSDT"));
        let found = if newest {
            market.history(&btc, Interval::M1, from, to, limit)
        } else {
            market.history_forward(&btc, Interval::M1, from, to, limit)
        };
        found.iter().map(|candle| candle.open.to_string()).collect()
    };
    assert_eq!(ask(0, 501, 3, true), ["1", "2", "3"]); // the fourth has not ended
    assert_eq!(ask(0, 502, 3, true), ["2", "3", "4"]);
    assert_eq!(ask(1, 502, 2, false), ["2", "3"]);
    assert_eq!(ask(0, 0, 3, true), Vec::<String>::new());
}

#[test]
fn bad_rows_are_counted_and_skipped() {
    let rows = format!(
        "{T},1,1,1,1,1\n{T},1,1,1,1,1\n{},1,1,1,1,1\n{},0,1,1,1,1\n{},1,1\n{},1,2,3,1,1\n{},1,1,1,1,-1\n{},x,1,1,1,1\n7,1,1,1,1,1\n{},1,1,1,1,1\n",
        T - 60_000,
        T + 60_000,
        T + 60_000,
        T + 60_000,
        T + 60_000,
        T + 60_000,
        T + 60_001,
    );
    let data = dir(&[("BTCUSDT-1m.csv", &rows)]);
    let market = Market::from_data(data.path(), None, PathOptions::default()).unwrap();
    let expected = [
        (MarketInputError::BadPrice, 3),
        (MarketInputError::BadQuantity, 1),
        (MarketInputError::BadRange, 1),
        (MarketInputError::OffGrid, 1),
        (MarketInputError::BadTime, 1),
        (MarketInputError::Duplicate, 1),
        (MarketInputError::OutOfOrder, 1),
    ];
    assert_eq!(*market.rejected(), BTreeMap::from(expected));
    assert_eq!(market.len_hint(), Some(1));
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let data = dir(&[("BTCUSDT-1m.csv.zst", "")]);
    fs::write(data.path().join("BTCUSDT-1m.csv.zst"), b"not zstd at all").unwrap();
    let error = Market::from_data(data.path(), None, PathOptions::default()).unwrap_err().to_string();
    assert!(error.contains("BTCUSDT-1m.csv.zst, line 1"), "{error}");
    let empty = dir(&[("notes.txt", "")]);
    let error = Market::from_data(empty.path(), None, PathOptions::default()).unwrap_err().to_string();
    assert!(error.contains("holds no SYMBOL-INTERVAL"), "{error}");
    let good = dir(&[("BTCUSDT-1m.csv", &candles(&[(0, "1,1,1,1,4")]))]);
    let missing = [symbol("ETHUSDT")];
    let error = Market::from_data(good.path(), Some(&missing), PathOptions::default()).unwrap_err().to_string();
    assert!(error.contains("has no file of ETHUSDT"), "{error}");
}

#[test]
fn trades_make_a_market_of_their_own() {
    let agg = format!(
        "agg_trade_id,price,quantity,first,last,transact_time,is_buyer_maker,best\n7,10.5,2,7,7,{T},True,True\n8,10.6,1,8,8,{},False,True\n9,10.4,1,9,9,{},false,True\n",
        T + 5,
        T + 60_000
    );
    let raw = format!("10,11,1,11.0,{}000,true,true\n", T + 400_000);
    let data = dir(&[("XRPETH-aggTrades-1.csv.zst", &agg), ("XRPETH-trades-2.csv", &raw)]);
    let options = PathOptions { half_spread: Ratio::ZERO, aggregate: vec![Interval::M5], ..PathOptions::default() };
    let market = Market::from_data(data.path(), None, options).unwrap();
    assert_eq!(market.instruments()[0].quote.as_str(), "ETH");
    let events: Vec<String> = market.map(|event| shown(&event)).collect();
    assert_eq!(
        events,
        [
            "0 XRPETH trade 7 10.5 x 2",
            "0 XRPETH quote 10.5 10.6",
            "5 XRPETH trade 8 10.6 x 1",
            "5 XRPETH quote 10.6 10.7",
            "60000 XRPETH 1m 10.5 10.6 10.5 10.6 3",
            "60000 XRPETH trade 9 10.4 x 1",
            "60000 XRPETH quote 10.4 10.5",
            "120000 XRPETH 1m 10.4 10.4 10.4 10.4 1",
            "300000 XRPETH 5m 10.5 10.6 10.4 10.4 4",
            "400000 XRPETH trade 10 11.0 x 1",
            "400000 XRPETH quote 11.0 11.1",
        ]
    );
}

#[test]
fn a_crash_multiplies_what_comes_later() {
    let rows = candles(&[(0, "100,100,100,100,4"), (1, "100,100,100,100,4")]);
    let data = dir(&[("BTCUSDT-1m.csv", &rows)]);
    let mut market = Market::from_data(data.path(), None, PathOptions::default()).unwrap();
    let share = "-0.3".parse().unwrap();
    market.crash(&symbol("BTCUSDT"), share, ms(T + 30_000)).unwrap();
    assert!(market.crash(&symbol("NOPE"), share, ms(T)).is_err());
    assert!(market.crash(&symbol("BTCUSDT"), "-1".parse().unwrap(), ms(T)).is_err());
    let candles: Vec<String> = market.map(|event| shown(&event)).filter(|it| it.contains(" 1m ")).collect();
    assert_eq!(candles, ["60000 BTCUSDT 1m 100 100 70 70 4", "120000 BTCUSDT 1m 70 70 70 70 4"]);
}

fn seeded(seed: u64) -> Market {
    let symbols = vec![(symbol("ETHUSDT"), "2000".parse().unwrap()), (symbol("BTCUSDT"), "60000".parse().unwrap())];
    let aggregate = vec![Interval::M5, Interval::M15];
    let path = PathOptions { aggregate, ..PathOptions::default() };
    Market::seeded(SeededOptions { path, ..SeededOptions::new(seed, symbols, ms(T)) })
}

#[test]
fn a_seed_makes_the_same_market_again() {
    let events: Vec<MarketEvent> = seeded(7).take(50_000).collect();
    assert_eq!(events, seeded(7).take(50_000).collect::<Vec<_>>());
    assert_ne!(events, seeded(8).take(50_000).collect::<Vec<_>>());
    assert!(events.windows(2).all(|pair| pair[0].time() <= pair[1].time()));
    for event in &events {
        let checked = match event {
            MarketEvent::Trade(trade) => trade.check(),
            MarketEvent::Quote(quote) => quote.check(),
            MarketEvent::Candle(candle) => candle.check(),
        };
        assert_eq!(checked, Ok(()), "{event:?}");
    }
    let middle = events[30_000].time();
    let mut again = seeded(7);
    again.seek(middle);
    let first = events.iter().position(|event| event.time() >= middle).unwrap();
    assert!(again.take(events.len() - first).eq(events[first..].iter().cloned()));
}

#[test]
fn a_seeded_market_begins_at_its_price_with_a_history() {
    let mut market = seeded(7);
    assert_eq!(market.start(), Some(ms(T)));
    let first = market.next().unwrap();
    assert_eq!(shown(&first).split(' ').nth(4).unwrap(), "60000.00");
    let history = market.history(&symbol("BTCUSDT"), Interval::M15, ms(0), ms(T), 1500);
    assert_eq!(history.len(), 1500);
    assert_eq!(history.last().unwrap().close_time(), ms(T).floor_to(Interval::M15.span()));
    assert!(market.history(&symbol("BTCUSDT"), Interval::M1, ms(0), ms(T), 2).last().unwrap().close_time() == ms(T));
}

#[test]
fn a_seeded_market_moves_like_one() {
    let market = seeded(11);
    let closes: Vec<f64> = market
        .filter_map(|event| match event {
            MarketEvent::Candle(candle) if candle.interval == Interval::M15 => {
                Some(candle.close.to_string().parse::<f64>().unwrap())
            }
            _ => None,
        })
        .take(4_000)
        .collect();
    let (low, high) = closes.iter().fold((f64::MAX, 0f64), |(low, high), at| (low.min(*at), high.max(*at)));
    assert!(low > 100.0 && high < 600_000.0, "{low} to {high}");
}

#[test]
fn longer_candles_can_be_asked_for_later() {
    let mut market = seeded(7);
    let options = SeededOptions::new(7, vec![(symbol("BTCUSDT"), "60000".parse().unwrap())], ms(T));
    let mut late = Market::seeded(options);
    let is_longer =
        |event: &MarketEvent| matches!(event, MarketEvent::Candle(candle) if candle.interval > Interval::M1);
    let is_btc = |event: &MarketEvent| event.symbol().as_str() == "BTCUSDT";
    late.by_ref().take(1_000).for_each(drop);
    late.aggregate(&[Interval::M15, Interval::M1, Interval::M5]);
    let from = late.peek_time().unwrap();
    market.seek(from);
    let expected: Vec<MarketEvent> = market.filter(|event| is_btc(event) && is_longer(event)).take(20).collect();
    assert_eq!(late.filter(is_longer).take(20).collect::<Vec<_>>(), expected);
}
