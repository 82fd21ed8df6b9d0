//! Compact candles and trades, and the path that the price takes inside a candle.
//!
//! Prices and quantities are whole numbers of the symbol's smallest decimal. Nothing here must round a price that a file
//! gave, and nothing uses floats.

use domain::{Candle, Decimal, Interval, Price, Quantity, Ratio, Symbol, Timestamp};

/// A candle in 48 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    /// Milliseconds since the epoch.
    pub(super) open_time: i64,
    pub(super) open: i64,
    pub(super) high: i64,
    pub(super) low: i64,
    pub(super) close: i64,
    pub(super) volume: i64,
}

/// A trade in 40 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedTrade {
    pub(super) time: i64,
    pub(super) id: u64,
    pub(super) price: i64,
    pub(super) quantity: i64,
    pub(super) buyer_is_maker: bool,
}

/// How many decimals a symbol's prices and quantities have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Scale {
    pub(super) price: u32,
    pub(super) quantity: u32,
}

impl Scale {
    /// The largest price in units that is used: 1e11 quote units, so that a spread around it is still a price.
    pub(super) fn units_max(self) -> i64 {
        10i64.checked_pow(11 + self.price).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
    }

    pub(super) fn price(self, units: i64) -> Price {
        Price::new(Decimal::new(units.max(1), self.price)).expect("invariant: at most twice Scale::units_max")
    }

    pub(super) fn quantity(self, units: i64) -> Quantity {
        Quantity::new(Decimal::new(units, self.quantity)).unwrap_or_default()
    }

    pub(super) fn candle(self, symbol: &Symbol, interval: Interval, packed: &Packed) -> Candle {
        Candle {
            symbol: symbol.clone(),
            interval,
            open_time: Timestamp::from_millis(packed.open_time),
            open: self.price(packed.open),
            high: self.price(packed.high),
            low: self.price(packed.low),
            close: self.price(packed.close),
            volume: self.quantity(packed.volume),
        }
    }
}

/// One moment at which the price is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Point {
    pub(super) time: i64,
    pub(super) price: i64,
    /// Zero: the quote moves, nothing trades.
    pub(super) quantity: i64,
    pub(super) id: u64,
    pub(super) buyer_is_maker: bool,
}

/// Mixes bits well enough to break ties (splitmix64's finalizer).
pub(super) const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A seed of its own for each symbol.
pub(super) fn symbol_seed(seed: u64, symbol: &Symbol) -> u64 {
    symbol.as_str().bytes().fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)))
}

impl Packed {
    /// The four points of the path: open; the extreme nearer to the open at a quarter of the span; the other extreme at
    /// half of it; close one millisecond before the end. `tie_seed` decides where both extremes are equally near.
    pub(super) fn path(&self, index: u64, span: i64, tie_seed: u64) -> [Point; 4] {
        let (up, down) = (self.high - self.open, self.open - self.low);
        let high_first = if up == down { mix(tie_seed ^ self.open_time.unsigned_abs()) & 1 == 0 } else { up < down };
        let (first, second) = if high_first { (self.high, self.low) } else { (self.low, self.high) };
        let prices = [self.open, first, second, self.close];
        let offsets = [0, span / 4, span / 2, span - 1];
        let quantities = split(self.volume, prices);
        let mut points = [Point::default(); 4];
        let mut previous = self.open;
        for (at, point) in points.iter_mut().enumerate() {
            *point = Point {
                time: self.open_time + offsets[at],
                price: prices[at],
                quantity: quantities[at],
                id: index * 4 + at as u64 + 1,
                buyer_is_maker: prices[at] < previous,
            };
            previous = prices[at];
        }
        points
    }

    /// Takes a later candle into this one.
    pub(super) fn extend(&mut self, later: &Packed) {
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.close = later.close;
        self.volume = self.volume.saturating_add(later.volume);
    }
}

/// The volume in four parts, the rest to the last. Fewer than four units go to the points where the price moves on, one
/// each, because so few trades can have had no more prices than that.
fn split(volume: i64, prices: [i64; 4]) -> [i64; 4] {
    let part = volume / 4;
    if part > 0 {
        return [part, part, part, volume - 3 * part];
    }
    let (mut parts, mut left) = ([0; 4], volume);
    for at in 0..3 {
        if prices[at] != prices[at + 1] && left > 1 {
            parts[at] = 1;
            left -= 1;
        }
    }
    parts[3] = left;
    parts
}

/// A share as a fraction, for whole-number arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    numerator: i64,
    denominator: i64,
}

impl Fraction {
    /// `share` at 8 decimals, kept within `lowest..=highest`.
    pub(super) fn new(share: Ratio, lowest: Decimal, highest: Decimal) -> Self {
        let share = share.value().clamp(lowest, highest).round_dp(8).normalize();
        let denominator = 10i64.pow(share.scale());
        Self { numerator: i64::try_from(share.mantissa()).unwrap_or(0), denominator }
    }

    /// This share of `units`, rounded up.
    pub(super) fn of_rounded_up(self, units: i64) -> i64 {
        match units.checked_mul(self.numerator) {
            Some(product) => product / self.denominator + i64::from(product % self.denominator != 0),
            None => {
                let product = i128::from(units) * i128::from(self.numerator) + i128::from(self.denominator) - 1;
                i64::try_from(product / i128::from(self.denominator)).unwrap_or(i64::MAX / 4)
            }
        }
    }

    /// This share of `units`, rounded to the nearest.
    pub(super) fn of_rounded(self, units: i64) -> i64 {
        let product = i128::from(units) * i128::from(self.numerator) + i128::from(self.denominator / 2);
        i64::try_from(product / i128::from(self.denominator)).unwrap_or(i64::MAX / 4)
    }
}
