//! What is wrong with a configuration whose keys are all known: each problem with key, value and what is allowed.
//!
//! It must never stop at the first one.

use std::collections::BTreeSet;

use domain::{Ratio, TradingMode};

use super::{Config, Instance};

impl Config {
    /// Everything that is wrong, each with key, value and what is allowed.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut bounds = |key: &str, value: i64, min: i64, max: i64| {
            if !(min..=max).contains(&value) {
                problems.push(format!("{key} = {value} is not allowed: {min} to {max}"));
            }
        };
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        bounds("service.cycle_ms", signed(self.service.cycle_ms), 100, 60_000);
        bounds("service.heartbeat_timeout_ms", signed(self.service.heartbeat_timeout_ms), 200, 600_000);
        bounds("service.hang_timeout_ms", signed(self.service.hang_timeout_ms), 100, 600_000);
        bounds("service.drain_timeout_ms", signed(self.service.drain_timeout_ms), 100, 60_000);
        bounds("service.equity_sample_ms", self.service.equity_sample_ms.get(), 1000, 86_400_000);
        bounds("exchange.stream_silence_ms", signed(self.exchange.stream_silence_ms), 1000, 600_000);
        bounds("exchange.quote_age_ms_max", self.exchange.quote_age_ms_max.get(), 100, 600_000);
        bounds("limits.order_rate_window_ms", self.limits.order_rate_window_ms.get(), 1, 86_400_000);
        bounds("limits.mark_age_ms_max", self.limits.mark_age_ms_max.get(), 1, 86_400_000);
        bounds("limits.approval_validity_ms", self.limits.approval_validity_ms.get(), 1, 60_000);
        if self.service.mode != TradingMode::Paper && self.exchange.is_embedded() {
            problems.push(format!(
                "service.mode = {} needs an account: set exchange.rest_url or exchange.name (the simulator in this \
                 process serves PAPER_TRADING only; `vigia simulator` runs it alone)",
                self.service.mode
            ));
        }
        if self.exchange.api_key_file.as_os_str().is_empty() != self.exchange.api_secret_file.as_os_str().is_empty() {
            problems.push("exchange.api_key_file and exchange.api_secret_file: both or none".to_owned());
        }
        for (asset, quantity) in &self.portfolio.outside {
            if quantity.is_negative() {
                problems.push(format!("portfolio.outside.{asset} = {quantity} is not allowed: 0 or more"));
            }
        }
        let speed = self.simulator.speed;
        if speed != 0.0 && !(0.1..=100_000.0).contains(&speed) {
            problems.push(format!("simulator.speed = {speed} is not allowed: 0.1 to 100000, or 0 for the fastest"));
        }
        self.share_problems(&mut problems);
        self.instance_problems(&mut problems);
        problems
    }

    fn share_problems(&self, problems: &mut Vec<String>) {
        let shares = [
            ("paper.maker_fee", self.paper.maker_fee),
            ("paper.taker_fee", self.paper.taker_fee),
            ("paper.half_spread", self.paper.half_spread),
            ("paper.slippage", self.paper.slippage),
            ("limits.price_collar", self.limits.price_collar),
            ("limits.stop_limit_slack", self.limits.stop_limit_slack),
        ];
        for (key, value) in shares {
            if value.is_negative() || value > Ratio::from_percent(50) {
                problems.push(format!("{key} = {value} is not allowed: 0 to 0.5"));
            }
        }
        let amounts = [
            ("limits.order_notional_max", self.limits.order_notional_max),
            ("limits.position_notional_max", self.limits.position_notional_max),
            ("limits.exposure_notional_max", self.limits.exposure_notional_max),
        ];
        for (key, value) in amounts {
            if value.is_negative() {
                problems.push(format!("{key} = {value} is not allowed: 0 or more"));
            }
        }
    }

    fn instance_problems(&self, problems: &mut Vec<String>) {
        let mut families = BTreeSet::new();
        for family in &self.family {
            if !families.insert(&family.id) {
                problems.push(format!("family.id = {} is there twice: each id once", family.id));
            }
        }
        if self.instance.is_empty() {
            problems.push("instance: there is none: at least one [[instance]]".to_owned());
        }
        let mut ids = BTreeSet::new();
        for instance in &self.instance {
            let key = |name: &str| format!("instance {}: {name}", instance.id);
            if !ids.insert(&instance.id) {
                problems.push(format!("instance.id = {} is there twice: each id once", instance.id));
            }
            if !families.contains(&instance.family) {
                let known: Vec<&str> = families.iter().map(|family| family.as_str()).collect();
                let (key, family) = (key("family"), &instance.family);
                problems.push(format!("{key} = {family} is not allowed: one of {}", known.join(", ")));
            }
            if !instance.capital.is_positive() {
                problems.push(format!("{} = {} is not allowed: above 0", key("capital"), instance.capital));
            }
            if !instance.entry_size.is_positive() || instance.entry_size > Ratio::ONE {
                problems.push(format!(
                    "{} = {} is not allowed: above 0, at most 1",
                    key("entry_size"),
                    instance.entry_size
                ));
            }
            self.symbol_problems(instance, problems);
            if let Err(error) = instance.strategy.validate() {
                problems.push(format!("{}.{error}", key("strategy")));
            }
        }
    }

    fn symbol_problems(&self, instance: &Instance, problems: &mut Vec<String>) {
        let key = format!("instance {}: symbols", instance.id);
        if instance.symbols.is_empty() {
            problems.push(format!("{key} = [] is not allowed: at least one symbol"));
        }
        let mut seen = BTreeSet::new();
        for symbol in &instance.symbols {
            if !seen.insert(symbol) {
                problems.push(format!("{key}: {symbol} is there twice: each symbol once"));
            }
            // At this stage everything is counted in one currency, so that no conversion can be wrong.
            if !symbol.as_str().ends_with(self.portfolio.currency.as_str()) {
                let currency = &self.portfolio.currency;
                problems.push(format!("{key}: {symbol} is not allowed: only symbols quoted in {currency}"));
            }
        }
    }
}
