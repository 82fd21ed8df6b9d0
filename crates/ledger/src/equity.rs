//! Equity over time: high-water mark, and the bases of the day and the month.
//!
//! It must never count a deposit as a gain or a withdrawal as a loss: a flow moves every base with it.

use domain::{Notional, Ratio, Timestamp};
use serde::{Deserialize, Serialize};

/// Equity of one scope, with everything that breakers measure from. Amounts in the portfolio's currency; day and month
/// are UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EquityTracker {
    /// Now.
    pub equity: Notional,
    /// The highest equity ever.
    pub high_water: Notional,
    /// The lowest equity since the high-water mark was set.
    pub trough: Notional,
    /// The deepest fall from a high-water mark ever, as a share of that mark.
    pub drawdown_max: Ratio,
    /// Equity when the day began.
    pub day_open: Notional,
    /// The highest equity of the day.
    pub day_peak: Notional,
    /// Equity when the month began.
    pub month_open: Notional,
    /// The highest equity of the month.
    pub month_peak: Notional,
    /// Sum of deposits less withdrawals since the beginning, the first capital included.
    pub flows: Notional,
    day: i64,
    month: i64,
}

impl EquityTracker {
    /// A scope that begins with `capital`.
    #[must_use]
    pub fn new(capital: Notional) -> Self {
        Self {
            equity: capital,
            high_water: capital,
            trough: capital,
            drawdown_max: Ratio::ZERO,
            day_open: capital,
            day_peak: capital,
            month_open: capital,
            month_peak: capital,
            flows: capital,
            day: i64::MIN,
            month: i64::MIN,
        }
    }

    /// Equity is `equity` at `now`; a new day or month begins with the equity that was there before.
    pub fn update(&mut self, equity: Notional, now: Timestamp) {
        let day = now.day();
        if day > self.day {
            (self.day, self.day_open, self.day_peak) = (day, self.equity, self.equity);
            let month = now.month();
            if month > self.month {
                (self.month, self.month_open, self.month_peak) = (month, self.equity, self.equity);
            }
        }
        self.equity = equity;
        if equity > self.day_peak {
            self.day_peak = equity;
            self.month_peak = self.month_peak.max(equity);
            if equity > self.high_water {
                (self.high_water, self.trough) = (equity, equity);
            }
        }
        // Only a new low needs the division.
        if equity < self.trough {
            self.trough = equity;
            self.drawdown_max = self.drawdown_max.max(drawdown(self.high_water, equity));
        }
    }

    /// After a restart the equity is `equity`, whatever was kept; day and month go on.
    pub fn resume(&mut self, equity: Notional) {
        self.equity = equity;
    }

    /// Cash came in (above zero) or went out: every base moves with it.
    pub fn flow(&mut self, amount: Notional) {
        for base in [
            &mut self.equity,
            &mut self.high_water,
            &mut self.trough,
            &mut self.day_open,
            &mut self.day_peak,
            &mut self.month_open,
            &mut self.month_peak,
            &mut self.flows,
        ] {
            *base += amount;
        }
    }

    /// The fall from the high-water mark, as a share of it; zero at the mark.
    #[must_use]
    pub fn drawdown(&self) -> Ratio {
        drawdown(self.high_water, self.equity)
    }

    /// The fall from the day's peak.
    #[must_use]
    pub fn day_drawdown(&self) -> Ratio {
        drawdown(self.day_peak, self.equity)
    }

    /// The fall from the month's peak.
    #[must_use]
    pub fn month_drawdown(&self) -> Ratio {
        drawdown(self.month_peak, self.equity)
    }
}

fn drawdown(peak: Notional, equity: Notional) -> Ratio {
    (peak - equity).share_of(peak).unwrap_or_default().max(Ratio::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(value: i64) -> Notional {
        Notional::new(value.into()).unwrap()
    }

    #[test]
    fn peaks_and_bases_of_day_and_month() {
        let last_of_may = Timestamp::from_millis(1_622_500_000_000);
        let first_of_june = Timestamp::from_millis(1_622_510_000_000);
        let mut tracker = EquityTracker::new(n(1000));
        tracker.update(n(1100), last_of_may);
        tracker.update(n(1045), last_of_may);
        assert_eq!(tracker.day_drawdown(), "0.05".parse().unwrap());
        tracker.update(n(1050), first_of_june);
        assert_eq!((tracker.day_open, tracker.day_peak, tracker.month_peak), (n(1045), n(1050), n(1050)));
        assert_eq!((tracker.high_water, tracker.drawdown_max), (n(1100), "0.05".parse().unwrap()));
    }

    #[test]
    fn a_flow_is_neither_gain_nor_loss() {
        let mut tracker = EquityTracker::new(n(1000));
        tracker.update(n(900), Timestamp::from_millis(1_622_500_000_000));
        let before = tracker.high_water - tracker.equity;
        tracker.flow(n(500));
        assert_eq!(tracker.high_water - tracker.equity, before);
        assert_eq!((tracker.equity, tracker.flows), (n(1400), n(1500)));
    }
}
