//! A market made from a seed: a random walk with regimes (trends, ranges, calm and wild times), endless, one candle a
//! minute.
//!
//! The candle of a minute must depend on nothing but seed, symbol, start price and the minutes since the start, so that a
//! restart makes the same market again. Floats are used for the walk only; what leaves is whole ticks.
#![allow(clippy::float_arithmetic, reason = "the walk is a made-up price, rounded to ticks before anybody sees it")]

use std::collections::VecDeque;

use domain::{Decimal, Price, Symbol};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rust_decimal::prelude::ToPrimitive;

use super::packed::{Packed, Scale, symbol_seed};

/// One minute in milliseconds: the base of every seeded market.
const MINUTE: i64 = 60_000;
/// How many candles a symbol keeps to be asked for.
const KEPT: usize = 100_000;
/// Share of the price that a minute moves in calm times (one standard deviation).
const CALM: f64 = 0.000_5;
/// Quote units traded in a minute, about.
const TURNOVER: f64 = 400_000.0;

/// What the market does for some hours.
#[derive(Debug, Clone, Copy)]
struct Regime {
    minutes: u64,
    drift: f64,
    deviation: f64,
    /// Pull back to `anchor` a minute; zero in trends.
    pull: f64,
    anchor: f64,
}

/// The walk: the logarithm of the price, relative to where it began.
#[derive(Debug, Clone)]
struct Walk {
    random: ChaCha8Rng,
    level: f64,
    regime: Regime,
}

/// What a minute's step was, for the candle around it.
struct Step {
    from: f64,
    to: f64,
    above: f64,
    below: f64,
    activity: f64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let regime = Regime { minutes: 0, drift: 0.0, deviation: CALM, pull: 0.0, anchor: 0.0 };
        Self { random: ChaCha8Rng::seed_from_u64(seed), level: 0.0, regime }
    }

    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Nearly normal with deviation 1: four 16-bit uniforms of one draw.
    fn normal(&mut self) -> f64 {
        let bits = self.random.next_u64();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0) * 1.732_050_8
    }

    fn next_regime(&mut self) -> Regime {
        let kind = self.uniform();
        let minutes = 45 + (self.uniform() * 400.0) as u64;
        let deviation = CALM * (0.6 + 1.6 * self.uniform());
        let direction = if self.uniform() < 0.5 { -1.0 } else { 1.0 };
        let regime = Regime { minutes, drift: 0.0, deviation, pull: 0.0, anchor: self.level };
        if kind < 0.45 {
            Regime { drift: direction * deviation * (0.08 + 0.2 * self.uniform()), ..regime }
        } else if kind < 0.85 {
            Regime { pull: 0.02 + 0.06 * self.uniform(), ..regime }
        } else {
            let wild = deviation * 3.0;
            Regime { minutes: minutes / 4 + 5, deviation: wild, drift: direction * wild * 0.25, ..regime }
        }
    }

    fn step(&mut self) -> Step {
        if self.regime.minutes == 0 {
            self.regime = self.next_regime();
        }
        self.regime.minutes -= 1;
        let Regime { drift, deviation, pull, anchor, .. } = self.regime;
        let from = self.level;
        let noise = self.normal() * deviation;
        // The last term keeps an endless market within an order of magnitude or two of where it began.
        self.level += drift + noise + pull * (anchor - from) - 0.000_02 * from;
        let (above, below) = (self.normal().abs() * deviation * 0.4, self.normal().abs() * deviation * 0.4);
        let activity = (0.4 + self.uniform()) * (deviation / CALM) * (1.0 + noise.abs() / deviation);
        Step { from, to: self.level, above, below, activity }
    }
}

/// The candles of one symbol, made as they are asked for.
#[derive(Debug, Clone)]
pub(super) struct SeededCandles {
    seed: u64,
    start_price: f64,
    scale: Scale,
    /// When candle 0 opens.
    origin: i64,
    /// Candles before the start.
    history: usize,
    /// Level of the walk at the start, so that the price is the start price there.
    level_at_start: f64,
    walk: Walk,
    close: i64,
    kept: VecDeque<Packed>,
    first_kept: usize,
}

impl SeededCandles {
    pub(super) fn new(seed: u64, symbol: &Symbol, start_price: Price, start: i64, history: usize) -> Self {
        let seed = symbol_seed(seed, symbol);
        let mut walk = Walk::new(seed);
        for _ in 0..history {
            walk.step();
        }
        let start = start - start.rem_euclid(MINUTE);
        let mut candles = Self {
            seed,
            start_price: start_price.value().to_f64().unwrap_or(1.0).min(1e9),
            scale: scale_of(start_price),
            origin: start - MINUTE * i64::try_from(history).unwrap_or(0),
            history,
            level_at_start: walk.level,
            walk,
            close: 0,
            kept: VecDeque::new(),
            first_kept: 0,
        };
        candles.restart();
        candles.at(history);
        candles
    }

    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    /// When the market starts, in milliseconds.
    pub(super) fn start(&self) -> i64 {
        self.origin + MINUTE * i64::try_from(self.history).unwrap_or(0)
    }

    fn restart(&mut self) {
        self.walk = Walk::new(self.seed);
        self.kept.clear();
        self.first_kept = 0;
        self.close = self.units(0.0);
    }

    fn units(&self, level: f64) -> i64 {
        let price = self.start_price * (level - self.level_at_start).exp();
        ((price * 10f64.powi(self.scale.price as i32)).round() as i64).clamp(1, self.scale.units_max())
    }

    /// The candle of that number, made or made again where it is not kept.
    pub(super) fn at(&mut self, index: usize) -> Packed {
        if index < self.first_kept {
            self.restart();
        }
        while self.first_kept + self.kept.len() <= index {
            self.make();
        }
        self.kept[index - self.first_kept]
    }

    fn make(&mut self) {
        let step = self.walk.step();
        let (open, close) = (self.close, self.units(step.to));
        let high = self.units(step.from.max(step.to) + step.above).max(open).max(close);
        let low = self.units(step.from.min(step.to) - step.below).min(open).min(close);
        let price = close as f64 / 10f64.powi(self.scale.price as i32);
        let volume = step.activity * TURNOVER / price * 10f64.powi(self.scale.quantity as i32);
        let index = self.first_kept + self.kept.len();
        let open_time = self.origin + MINUTE * i64::try_from(index).unwrap_or(0);
        self.close = close;
        self.kept.push_back(Packed {
            open_time,
            open,
            high,
            low,
            close,
            volume: (volume as i64).clamp(4, i64::MAX / 8),
        });
        if self.kept.len() > KEPT.max(self.history + 2) {
            self.kept.pop_front();
            self.first_kept += 1;
        }
    }

    pub(super) fn index_from(&self, time: i64) -> usize {
        let since = time.saturating_sub(self.origin).max(0);
        usize::try_from(since / MINUTE + i64::from(since % MINUTE != 0)).unwrap_or(0)
    }

    /// Those of `from..to` that are kept.
    pub(super) fn existing(&self, from: usize, to: usize) -> Vec<Packed> {
        let from = from.max(self.first_kept) - self.first_kept;
        let to = to.saturating_sub(self.first_kept).min(self.kept.len());
        if from >= to { Vec::new() } else { self.kept.range(from..to).copied().collect() }
    }
}

/// Decimals by magnitude: about six digits of price, and a step worth about a dollar at most.
fn scale_of(price: Price) -> Scale {
    let bounds = [1000i64, 100, 10, 1].map(|bound| price.value() >= Decimal::new(bound, 0));
    let small = [(1i64, 1u32), (1, 2), (1, 3)].map(|(number, scale)| price.value() >= Decimal::new(number, scale));
    match (bounds, small) {
        ([true, ..], _) if price.value() >= Decimal::new(10_000, 0) => Scale { price: 2, quantity: 5 },
        ([true, ..], _) => Scale { price: 2, quantity: 4 },
        ([_, true, ..], _) => Scale { price: 2, quantity: 3 },
        ([_, _, true, _], _) => Scale { price: 3, quantity: 2 },
        ([.., true], _) => Scale { price: 4, quantity: 1 },
        (_, [true, ..]) => Scale { price: 5, quantity: 0 },
        (_, [_, true, _]) => Scale { price: 6, quantity: 0 },
        (_, [.., true]) => Scale { price: 7, quantity: 0 },
        _ => Scale { price: 8, quantity: 0 },
    }
}
