//! What the tests share: series, positions, and the tests that every strategy must pass.
//!
//! It must never be compiled outside tests.

use domain::{Candle, Interval, Price, Quantity, Symbol, Timestamp, Trade};
use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use crate::number::{price_from_f64, price_to_f64};
use crate::{
    BollingerConfig, ConfigError, DonchianConfig, EmaCrossConfig, EmaInput, EntryKind, PositionView, Signal,
    StateError, Strategy, StrategyConfig,
};

pub(crate) const FLAT: PositionView =
    PositionView { quantity: Quantity::ZERO, entry_working: false, average_price: None };
pub(crate) const WORKING: PositionView = PositionView { entry_working: true, ..FLAT };

pub(crate) fn long() -> PositionView {
    PositionView { quantity: "1".parse().unwrap(), average_price: Some("100".parse().unwrap()), ..FLAT }
}

pub(crate) fn long_and_working() -> PositionView {
    PositionView { entry_working: true, ..long() }
}

/// The price nearest to `value` that is one.
pub(crate) fn price(value: f64) -> Price {
    price_from_f64(value.clamp(1e-8, 1e12)).unwrap()
}

fn candle_of(index: usize, [open, high, low, close]: [f64; 4]) -> Candle {
    Candle {
        symbol: Symbol::new("BTCUSDT").unwrap(),
        interval: Interval::M1,
        open_time: Timestamp::from_millis(1_618_951_320_000 + 60_000 * index as i64),
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
        volume: Quantity::ZERO,
    }
}

/// A candle that opens and closes at `close` and reaches 1 below and above.
pub(crate) fn candle(index: usize, close: f64) -> Candle {
    candle_of(index, [close, close + 1.0, close - 1.0, close])
}

/// A candle without any movement.
pub(crate) fn flat_candle(index: usize, close: f64) -> Candle {
    candle_of(index, [close; 4])
}

pub(crate) fn trade(index: usize, value: f64) -> Trade {
    Trade {
        symbol: Symbol::new("BTCUSDT").unwrap(),
        id: index as u64,
        price: price(value),
        quantity: Quantity::ZERO,
        buyer_is_maker: false,
        time: Timestamp::from_millis(1_618_951_320_000 + index as i64),
    }
}

/// Pseudo-random numbers in -1 to 1 (splitmix64).
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// A random walk of prices around 30,000, in cents.
pub(crate) fn walk(seed: u64, count: usize) -> Vec<f64> {
    let step = |value: &mut f64, noise: f64| {
        *value += noise * 50.0 + (30_000.0 - *value) * 0.002;
        Some((*value * 100.0).round() / 100.0)
    };
    noise(seed).scan(30_000.0, step).take(count).collect()
}

/// Candles over such a walk, four prices each.
pub(crate) fn candles(seed: u64, count: usize) -> Vec<Candle> {
    let prices = walk(seed, 4 * count);
    let of = |(index, four): (usize, &[f64])| {
        let (high, low) =
            (four.iter().copied().fold(f64::MIN, f64::max), four.iter().copied().fold(f64::MAX, f64::min));
        candle_of(index, [four[0], high, low, four[3]])
    };
    prices.chunks(4).enumerate().map(of).collect()
}

pub(crate) fn ohlc(candle: &Candle) -> [f64; 4] {
    [candle.open, candle.high, candle.low, candle.close].map(price_to_f64)
}

/// Fails where two values differ by more than `share` of the larger.
#[track_caller]
pub(crate) fn close_to(ours: f64, theirs: f64, share: f64) {
    assert!((ours - theirs).abs() <= share * ours.abs().max(theirs.abs()), "{ours} is not {theirs}");
}

/// Strategies with short periods, every kind and input.
fn configs() -> Vec<StrategyConfig> {
    let ema = EmaCrossConfig { fast: 3, slow: 6, atr_period: 4, ..EmaCrossConfig::default() };
    let trades = EmaCrossConfig { input: EmaInput::Trades, ..ema.clone() };
    let bollinger = BollingerConfig { period: 6, width: 1.2, cancel_after: 2, ..BollingerConfig::default() };
    let donchian = DonchianConfig { entry_period: 5, exit_period: 3, atr_period: 4, ..DonchianConfig::default() };
    vec![
        StrategyConfig::EmaCross(ema),
        StrategyConfig::EmaCross(trades),
        StrategyConfig::Bollinger(bollinger),
        StrategyConfig::Donchian(DonchianConfig { take_profit_atr: Some(3.0), ..donchian.clone() }),
        StrategyConfig::Donchian(donchian),
    ]
}

/// The position as a market that fills would have it: Market entries and exits at once, limits when the price is there.
#[derive(Debug, Default)]
struct Follower {
    position: PositionView,
    limit: Option<Price>,
}

impl Follower {
    fn apply(&mut self, signal: &Signal, last: Price) {
        match signal {
            Signal::Enter(entry) => {
                check_protection(entry, last);
                match entry.kind {
                    EntryKind::Market => self.position = PositionView { average_price: Some(last), ..long() },
                    EntryKind::Limit { price } => (self.position, self.limit) = (WORKING, Some(price)),
                }
            }
            Signal::Exit => self.position = FLAT,
            Signal::CancelEntry => (self.position, self.limit) = (FLAT, None),
        }
    }

    fn meet(&mut self, low: Price) {
        if let Some(limit) = self.limit.filter(|limit| low < *limit) {
            self.position = PositionView { average_price: Some(limit), ..long() };
            self.limit = None;
        }
    }
}

#[track_caller]
fn check_protection(entry: &crate::Entry, last: Price) {
    let from = match entry.kind {
        EntryKind::Market => last,
        EntryKind::Limit { price } => price,
    };
    assert_eq!(entry.side, domain::Side::Buy);
    assert!(entry.stop < from, "{entry:?}");
    assert!(entry.take_profit.is_none_or(|target| target > from), "{entry:?}");
    assert!(entry.stop.value().scale() <= 8 && entry.take_profit.is_none_or(|target| target.value().scale() <= 8));
}

/// Feeds a candle and its four prices as trades, lets the position follow, and gives the signals.
fn feed(strategy: &mut dyn Strategy, follower: &mut Follower, index: usize, candle: &Candle) -> Vec<Signal> {
    follower.meet(candle.low);
    let mut signals = Vec::new();
    for last in [candle.open, candle.low, candle.high, candle.close] {
        let trade = Trade { price: last, ..trade(index, 1.0) };
        if let Some(signal) = strategy.on_trade(&trade, &follower.position) {
            follower.apply(&signal, last);
            signals.push(signal);
        }
    }
    if let Some(signal) = strategy.on_candle(candle, &follower.position) {
        follower.apply(&signal, candle.close);
        signals.push(signal);
    }
    signals
}

/// A walk in shares of the price, with jumps by orders of magnitude.
fn wild_candles() -> impl Generator<Value = Vec<Candle>> {
    let change = prop_oneof![8 => -0.05..0.05, 1 => Just(0.0), 1 => -8.0..8.0f64];
    let each = (change, 0.0..0.02f64, 0.0..0.02f64);
    (1e-8..1e6f64, prop::collection::vec(each, 1..120)).prop_map(|(start, changes)| {
        let mut last = start;
        let mut next = |(change, up, down): (f64, f64, f64)| {
            let open = last;
            last = (last * 10f64.powf(change)).clamp(1e-8, 1e12);
            [open, open.max(last) * (1.0 + up), open.min(last) * (1.0 - down), last]
        };
        changes.into_iter().enumerate().map(|(index, change)| candle_of(index, next(change))).collect()
    })
}

proptest! {
    /// Also checks, in `Follower::apply`, that every entry is protected.
    #[test]
    fn save_and_restore_at_any_point_change_nothing(candles in wild_candles(), stop_at in 0usize..120) {
        for config in configs() {
            let (mut strategy, mut restored) = (config.build(), config.build());
            let (mut follower, mut restored_follower) = (Follower::default(), Follower::default());
            for (index, candle) in candles.iter().enumerate() {
                if index == stop_at {
                    let text = serde_json::to_string(&strategy.save()).unwrap();
                    restored = config.build();
                    restored.restore(&serde_json::from_str(&text).unwrap()).unwrap();
                    prop_assert_eq!(restored.save(), strategy.save());
                }
                let signals = feed(&mut *strategy, &mut follower, index, candle);
                prop_assert_eq!(feed(&mut *restored, &mut restored_follower, index, candle), signals);
            }
            prop_assert_eq!(restored.save(), strategy.save());
        }
    }

    #[test]
    fn nothing_panics_and_entries_are_protected_in_any_position(
        prices in prop::collection::vec((1i64..i64::MAX, 0u32..=domain::money::PRECISION_MAX, 0u8..6), 1..80),
    ) {
        for config in configs() {
            let mut strategy = config.build();
            for (index, (mantissa, scale, held)) in prices.iter().enumerate() {
                let value = domain::Decimal::new(*mantissa, *scale).min(domain::money::PRICE_MAX);
                let last = Price::new(value).unwrap();
                let short = PositionView { quantity: "-1".parse().unwrap(), ..FLAT };
                let position = [FLAT, FLAT, WORKING, long(), long_and_working(), short][usize::from(*held)];
                // High below low at times: what the checks before would have refused.
                let candle = Candle { open: last, close: last, ..candle(index, 100.0) };
                let trade = Trade { price: last, ..trade(index, 1.0) };
                for signal in [strategy.on_trade(&trade, &position), strategy.on_candle(&candle, &position)] {
                    match signal {
                        Some(Signal::Enter(entry)) => {
                            check_protection(&entry, last);
                            prop_assert!(position.may_enter());
                        }
                        Some(Signal::Exit) => prop_assert!(position.is_long()),
                        Some(Signal::CancelEntry) => prop_assert!(position.entry_working),
                        None => {}
                    }
                }
            }
        }
    }

    #[test]
    fn the_warm_up_is_silent_in_any_position(candles in wild_candles(), held in 0usize..4) {
        let position = [FLAT, WORKING, long(), long_and_working()][held];
        for config in configs() {
            let mut strategy = config.build();
            let warm_up = strategy.requirements().warm_up;
            for candle in candles.iter().take(warm_up) {
                prop_assert_eq!(strategy.on_candle(candle, &position), None);
            }
        }
    }
}

/// The bound is tight: somewhere the first candle after the warm-up brings a signal.
#[test]
fn the_warm_up_is_not_longer_than_said() {
    for config in configs() {
        let mut strategy = config.build();
        let warm_up = strategy.requirements().warm_up;
        if strategy.requirements().uses_trades {
            assert_eq!(warm_up, 0);
            continue;
        }
        for index in 0..warm_up {
            assert_eq!(strategy.on_candle(&candle(index, 100.0 - index as f64), &FLAT), None);
        }
        let next = match config {
            StrategyConfig::EmaCross(_) | StrategyConfig::Donchian(_) => 200.0,
            StrategyConfig::Bollinger(_) => 80.0,
        };
        assert!(matches!(strategy.on_candle(&candle(warm_up, next), &FLAT), Some(Signal::Enter(_))), "{config:?}");
    }
}

/// On ordinary data each strategy does all that it can do.
#[test]
fn ordinary_markets_bring_every_signal() {
    for config in configs() {
        let (mut strategy, mut follower, mut counts) = (config.build(), Follower::default(), [0; 3]);
        for (index, candle) in candles(17, 3000).iter().enumerate() {
            for signal in feed(&mut *strategy, &mut follower, index, candle) {
                match signal {
                    Signal::Enter(_) => counts[0] += 1,
                    Signal::Exit => counts[1] += 1,
                    Signal::CancelEntry => counts[2] += 1,
                }
            }
        }
        let [entries, exits, cancels] = counts;
        assert!(entries > 50 && exits > 50 && exits <= entries, "{config:?} {counts:?}");
        assert_eq!(cancels > 0, config.kind() == "bollinger", "{config:?} {counts:?}");
    }
}

#[test]
fn restoring_what_does_not_fit_is_refused_and_changes_nothing() {
    let all = configs();
    for config in &all {
        let mut strategy = config.build();
        for (index, candle) in candles(19, 50).iter().enumerate() {
            feed(&mut *strategy, &mut Follower::default(), index, candle);
        }
        let before = strategy.save();
        for other in all.iter().filter(|other| *other != config) {
            let refused = strategy.restore(&other.build().save());
            assert!(matches!(refused, Err(StateError::OtherConfiguration { .. })), "{refused:?}");
        }
        let mut without_state = before.clone();
        without_state["state"] = serde_json::json!({"closes": 1});
        let mut with_more = before.clone();
        with_more["more"] = serde_json::json!(1);
        for bad in [serde_json::Value::Null, serde_json::json!([1]), serde_json::json!({}), without_state, with_more] {
            let refused = strategy.restore(&bad);
            assert!(matches!(refused, Err(StateError::Malformed(_))), "{refused:?}");
        }
        assert_eq!(strategy.save(), before);
    }
}

fn parse(text: &str) -> Result<StrategyConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn configurations_have_defaults_and_come_back() {
    let expected = [
        ("ema-cross", StrategyConfig::EmaCross(EmaCrossConfig::default())),
        ("bollinger", StrategyConfig::Bollinger(BollingerConfig::default())),
        ("donchian", StrategyConfig::Donchian(DonchianConfig::default())),
    ];
    for (kind, config) in expected {
        assert_eq!(config.kind(), kind);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(parse(&format!(r#"{{"kind":"{kind}"}}"#)), Ok(config.clone()));
        assert_eq!(parse(&serde_json::to_string(&config).unwrap()), Ok(config));
    }
    let text = r#"{"kind":"ema-cross","interval":"5m","input":"trades","stop_atr":3,"take_profit_atr":0}"#;
    let expected = EmaCrossConfig {
        interval: Interval::M5,
        input: EmaInput::Trades,
        stop_atr: 3.0,
        take_profit_atr: Some(0.0),
        ..EmaCrossConfig::default()
    };
    assert_eq!(parse(text), Ok(StrategyConfig::EmaCross(expected)));
    assert_eq!(parse(text).unwrap().validate(), Ok(()));
}

#[test]
fn unknown_keys_and_kinds_are_refused() {
    for kind in ["ema-cross", "bollinger", "donchian"] {
        let error = parse(&format!(r#"{{"kind":"{kind}","fats":3}}"#)).unwrap_err();
        assert!(error.contains("unknown field `fats`"), "{error}");
    }
    let error = parse(r#"{"kind":"macd"}"#).unwrap_err();
    assert!(error.contains("unknown variant `macd`, expected one of `ema-cross`, `bollinger`, `donchian`"), "{error}");
    assert!(parse("{}").unwrap_err().contains("missing field `kind`"));
}

#[test]
fn values_out_of_bounds_name_key_value_and_what_is_allowed() {
    let (ema, trend) = (EmaCrossConfig::default(), StrategyConfig::EmaCross);
    let (bollinger, reversion) = (BollingerConfig::default(), StrategyConfig::Bollinger);
    let (donchian, breakout) = (DonchianConfig::default(), StrategyConfig::Donchian);
    let cases = [
        (trend(EmaCrossConfig { fast: 0, ..ema.clone() }), "fast = 0 is not allowed: 1 to 1000"),
        (trend(EmaCrossConfig { fast: 20, ..ema.clone() }), "fast = 20 is not allowed: below slow = 20"),
        (trend(EmaCrossConfig { slow: 1001, ..ema.clone() }), "slow = 1001 is not allowed: 2 to 1000"),
        (trend(EmaCrossConfig { atr_period: 0, ..ema.clone() }), "atr_period = 0 is not allowed: 1 to 1000"),
        (trend(EmaCrossConfig { stop_atr: f64::NAN, ..ema.clone() }), "stop_atr = NaN is not allowed: 0.1 to 50"),
        (
            trend(EmaCrossConfig { take_profit_atr: Some(-1.0), ..ema.clone() }),
            "take_profit_atr = -1 is not allowed: 0.1 to 100, or 0 for none",
        ),
        (trend(EmaCrossConfig { stop_fallback: 0.9, ..ema }), "stop_fallback = 0.9 is not allowed: 0.0001 to 0.5"),
        (reversion(BollingerConfig { period: 1, ..bollinger.clone() }), "period = 1 is not allowed: 2 to 1000"),
        (
            reversion(BollingerConfig { width: f64::INFINITY, ..bollinger.clone() }),
            "width = inf is not allowed: 0.1 to 10",
        ),
        (
            reversion(BollingerConfig { cancel_after: 0, ..bollinger.clone() }),
            "cancel_after = 0 is not allowed: 1 to 1000",
        ),
        (reversion(BollingerConfig { stop_width: 0.0, ..bollinger }), "stop_width = 0 is not allowed: 0.1 to 50"),
        (
            breakout(DonchianConfig { entry_period: 0, ..donchian.clone() }),
            "entry_period = 0 is not allowed: 1 to 1000",
        ),
        (breakout(DonchianConfig { exit_period: 0, ..donchian.clone() }), "exit_period = 0 is not allowed: 1 to 1000"),
        (breakout(DonchianConfig { atr_period: 0, ..donchian.clone() }), "atr_period = 0 is not allowed: 1 to 1000"),
        (breakout(DonchianConfig { stop_atr: 51.0, ..donchian.clone() }), "stop_atr = 51 is not allowed: 0.1 to 50"),
        (
            breakout(DonchianConfig { take_profit_atr: Some(f64::NAN), ..donchian }),
            "take_profit_atr = NaN is not allowed: 0.1 to 100, or 0 for none",
        ),
    ];
    for (config, message) in cases {
        let error: ConfigError = config.validate().unwrap_err();
        assert_eq!(error.to_string(), message);
        // Built all the same, it does no harm.
        let (mut strategy, mut follower) = (config.build(), Follower::default());
        for (index, candle) in candles(23, 300).iter().enumerate() {
            feed(&mut *strategy, &mut follower, index, candle);
        }
    }
}
