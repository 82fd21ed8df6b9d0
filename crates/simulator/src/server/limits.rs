//! What is counted of clients: request weight and requests by address, orders by account, connections by address.
//!
//! Windows are fixed and aligned to the clock, as the exchange's are. It must never let a request above a limit pass, nor
//! count across windows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::config::Limits;
use crate::model::AccountId;

const MINUTE: i64 = 60_000;
const FIVE_MINUTES: i64 = 300_000;
const TEN_SECONDS: i64 = 10_000;
const DAY: i64 = 86_400_000;
/// Addresses that are remembered at once.
const ADDRESSES_MAX: usize = 10_000;
/// What the first fill gives back where the order rested; a taker's gives back one.
const BACK_MAKER: u32 = 5;

/// A count within a window.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    number: i64,
    count: u32,
}

impl Window {
    fn at(&mut self, time: i64, span: i64) -> &mut u32 {
        let number = time.div_euclid(span);
        if number != self.number {
            *self = Self { number, count: 0 };
        }
        &mut self.count
    }
}

#[derive(Debug, Clone, Default)]
struct Address {
    weight: Window,
    raw: Window,
    limited: Window,
    connections: Window,
    bans: u32,
    banned_until: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    ten_seconds: Window,
    day: Window,
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excess {
    /// 429 or 418.
    pub(super) status: u16,
    pub(super) code: i32,
    pub(super) message: String,
    /// When to come again, in the exchange's time.
    pub(super) until: i64,
}

/// The counts of everybody.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    addresses: BTreeMap<IpAddr, Address>,
    accounts: BTreeMap<AccountId, Orders>,
}

fn end_of(time: i64, span: i64) -> i64 {
    time - time.rem_euclid(span) + span
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, addresses: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    fn address(&mut self, address: IpAddr, now: i64) -> &mut Address {
        if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&address) {
            self.addresses.retain(|_, it| it.banned_until > now || it.weight.number == now.div_euclid(MINUTE));
        }
        self.addresses.entry(address).or_default()
    }

    /// Counts a request.
    ///
    /// # Errors
    /// A limit is reached, or the address is banned.
    pub(super) fn take(&mut self, from: IpAddr, weight: u32, now: i64) -> Result<(), Box<Excess>> {
        let limits = self.limits.clone();
        let address = self.address(from, now);
        if address.banned_until > now {
            return Err(banned(address.banned_until));
        }
        let used = address.weight.at(now, MINUTE);
        *used = used.saturating_add(weight);
        let is_heavy = *used > limits.request_weight_max;
        let raw = address.raw.at(now, FIVE_MINUTES);
        *raw = raw.saturating_add(1);
        let is_often = *raw > limits.raw_requests_max;
        if !is_heavy && !is_often {
            return Ok(());
        }
        let limited = address.limited.at(now, MINUTE);
        *limited += 1;
        if *limited > limits.limited_requests_max.saturating_add(1) {
            let seconds = limits.ban_seconds_min.saturating_mul(1 << address.bans.min(16)).min(limits.ban_seconds_max);
            address.bans += 1;
            address.banned_until = now.saturating_add(i64::from(seconds) * 1000);
            return Err(banned(address.banned_until));
        }
        let (what, until) = if is_heavy {
            let max = limits.request_weight_max;
            (format!("request weight used; current limit is {max} request weight per 1 MINUTE"), end_of(now, MINUTE))
        } else {
            let max = limits.raw_requests_max;
            (format!("requests; current limit is {max} requests per 5 MINUTE"), end_of(now, FIVE_MINUTES))
        };
        let advice = "Please use WebSocket Streams for live updates to avoid polling the API.";
        let head = if is_heavy { "Too much" } else { "Too many" };
        Err(Box::new(Excess { status: 429, code: -1003, message: format!("{head} {what}. {advice}"), until }))
    }

    /// Gives back what a request turned out not to cost.
    pub(super) fn give_back(&mut self, from: IpAddr, weight: u32, now: i64) {
        let used = self.address(from, now).weight.at(now, MINUTE);
        *used = used.saturating_sub(weight);
    }

    /// Weight of the current minute.
    pub(super) fn used(&mut self, from: IpAddr, now: i64) -> u32 {
        *self.address(from, now).weight.at(now, MINUTE)
    }

    /// Weight of the current minute over all addresses.
    pub(super) fn used_by_all(&mut self, now: i64) -> u32 {
        self.addresses.values_mut().map(|address| *address.weight.at(now, MINUTE)).sum()
    }

    /// Whether an address may open one more connection; `wall` is real time since the start.
    pub(super) fn connect(&mut self, from: IpAddr, now: i64, wall: Duration) -> bool {
        let max = self.limits.connections_max;
        let wall = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        let count = self.address(from, now).connections.at(wall, FIVE_MINUTES);
        *count = count.saturating_add(1);
        *count <= max
    }

    /// Orders of an account in ten seconds and in a day.
    pub(super) fn orders(&mut self, account: &AccountId, now: i64) -> (u32, u32) {
        let orders = self.accounts.entry(account.clone()).or_default();
        (*orders.ten_seconds.at(now, TEN_SECONDS), *orders.day.at(now, DAY))
    }

    /// Whether an account may place so many orders.
    ///
    /// # Errors
    /// A limit is reached.
    pub(super) fn may_place(&mut self, account: &AccountId, count: u32, now: i64) -> Result<(), Box<Excess>> {
        let (ten_seconds, day) = self.orders(account, now);
        let Limits { orders_10s_max, orders_1d_max, .. } = self.limits;
        let (max, per, until) = if ten_seconds.saturating_add(count) > orders_10s_max {
            (orders_10s_max, "10 SECOND", end_of(now, TEN_SECONDS))
        } else if day.saturating_add(count) > orders_1d_max {
            (orders_1d_max, "1 DAY", end_of(now, DAY))
        } else {
            return Ok(());
        };
        let message = format!("Too many new orders; current limit is {max} orders per {per}.");
        Err(Box::new(Excess { status: 429, code: -1015, message, until }))
    }

    /// Counts placed orders.
    pub(super) fn placed(&mut self, account: &AccountId, count: u32, now: i64) {
        let orders = self.accounts.entry(account.clone()).or_default();
        *orders.ten_seconds.at(now, TEN_SECONDS) += count;
        *orders.day.at(now, DAY) += count;
    }

    /// The first fill of an order gives back.
    pub(super) fn filled(&mut self, account: &AccountId, is_maker: bool, now: i64) {
        self.take_back(account, if is_maker { BACK_MAKER } else { 1 }, now);
    }

    /// Counts so many orders less.
    pub(super) fn take_back(&mut self, account: &AccountId, back: u32, now: i64) {
        let orders = self.accounts.entry(account.clone()).or_default();
        for count in [orders.ten_seconds.at(now, TEN_SECONDS), orders.day.at(now, DAY)] {
            *count = count.saturating_sub(back);
        }
    }

    /// The limits as `exchangeInfo` tells them.
    pub(super) fn shown(&self) -> Value {
        let limits = &self.limits;
        json!([
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limits.request_weight_max},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": limits.orders_10s_max},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": limits.orders_1d_max},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": limits.raw_requests_max},
        ])
    }

    /// The limits as an answer of the WebSocket API tells them.
    pub(super) fn shown_counts(&self, used: u32, orders: Option<(u32, u32)>) -> Value {
        let limits = &self.limits;
        let weight = json!({
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": limits.request_weight_max, "count": used,
        });
        match orders {
            None => json!([weight]),
            Some((ten_seconds, day)) => json!([
                {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": limits.orders_10s_max, "count": ten_seconds},
                {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": limits.orders_1d_max, "count": day},
                weight,
            ]),
        }
    }
}

fn banned(until: i64) -> Box<Excess> {
    let message = format!(
        "Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans."
    );
    Box::new(Excess { status: 418, code: -1003, message, until })
}

/// How many orders a request places, by the verb and path of its endpoint.
pub(super) fn orders_of(rest: (&str, &str)) -> u32 {
    match rest {
        ("POST", "order" | "order/cancelReplace" | "sor/order") => 1,
        ("POST", "orderList/oco" | "orderList/oto" | "orderList/opo" | "order/oco") => 2,
        ("POST", "orderList/otoco" | "orderList/opoco") => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    fn meter() -> Meter {
        let limits = Limits {
            request_weight_max: 10,
            raw_requests_max: 20,
            orders_10s_max: 3,
            orders_1d_max: 5,
            limited_requests_max: 2,
            ..Limits::default()
        };
        Meter::new(limits)
    }

    #[test]
    fn a_minute_has_its_weight_and_stubbornness_is_banned_longer_each_time() {
        let mut meter = meter();
        let mut ask = |address, weight, now| {
            let done = meter.take(address, weight, now);
            done.map_err(|excess| (excess.status, excess.code, excess.until))
        };
        assert_eq!(ask(HOME, 10, 59_000), Ok(()));
        assert_eq!(ask(HOME, 1, 59_000), Err((429, -1003, 60_000)));
        assert_eq!(ask(AWAY, 1, 59_000), Ok(()), "another address has its own weight");
        assert_eq!(ask(HOME, 10, 60_000), Ok(()));
        for _ in 0..3 {
            assert_eq!(ask(HOME, 1, 61_000), Err((429, -1003, 120_000)));
        }
        assert_eq!(ask(HOME, 1, 61_000), Err((418, -1003, 181_000)));
        assert_eq!(ask(HOME, 1, 180_999), Err((418, -1003, 181_000)));
        assert_eq!(ask(HOME, 10, 181_000), Ok(()));
        for _ in 0..3 {
            assert_eq!(ask(HOME, 1, 181_000).unwrap_err().0, 429);
        }
        assert_eq!(ask(HOME, 1, 181_000), Err((418, -1003, 421_000)));
    }

    #[test]
    fn requests_are_counted_over_five_minutes() {
        let mut meter = meter();
        for _ in 0..20 {
            assert_eq!(meter.take(HOME, 0, 1000), Ok(()));
        }
        let excess = meter.take(HOME, 0, 1000).unwrap_err();
        assert_eq!((excess.status, excess.until), (429, 300_000));
        meter.give_back(HOME, 5, 1000);
        assert_eq!(meter.used(HOME, 1000), 0);
    }

    #[test]
    fn orders_are_counted_until_they_are_filled() {
        let mut meter = meter();
        let account = AccountId::new("a");
        meter.placed(&account, 3, 9000);
        let excess = meter.may_place(&account, 1, 9000).unwrap_err();
        assert_eq!((excess.code, excess.until), (-1015, 10_000));
        meter.filled(&account, false, 9000);
        assert_eq!((meter.may_place(&account, 1, 9000), meter.orders(&account, 9000)), (Ok(()), (2, 2)));
        meter.placed(&account, 3, 10_000);
        assert_eq!(meter.may_place(&account, 1, 20_000).unwrap_err().until, 86_400_000);
        meter.filled(&account, true, 20_000);
        assert_eq!(meter.orders(&account, 20_000), (0, 0));
    }

    #[test]
    fn connections_are_counted_in_real_time() {
        let mut meter = Meter::new(Limits { connections_max: 2, ..Limits::default() });
        let wall = Duration::from_secs;
        let opened = [0, 1, 299, 300].map(|seconds| meter.connect(HOME, 0, wall(seconds)));
        assert_eq!(opened, [true, true, false, true]);
    }
}
