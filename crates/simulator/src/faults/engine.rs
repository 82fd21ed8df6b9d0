//! The faults that are set up, and what they decide about requests, frames and times.
//!
//! Each fault has its own source of chance, drawn once for each request or frame that it matches, so that one fault's draws
//! do not depend on another's. It must never read a clock, and never forget what it hit.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::kind::{Fault, FaultKind, Latency, Protocol, Target, is_like};
use super::plan::{Break, Due, Fate, FrameFacts, Phase, Plan, RequestFacts};

#[derive(Debug, Clone)]
struct Entry {
    fault: Fault,
    /// When it was set up.
    origin: i64,
    random: ChaCha8Rng,
    hits: u64,
    /// Occurrences that were drawn, for those of the world.
    drawn: i64,
    ends_at: Option<i64>,
    error: Option<String>,
}

impl Entry {
    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn is_active(&self, now: i64) -> bool {
        let timing = self.fault.timing;
        let since = now.saturating_sub(self.origin).saturating_sub(timing.at_ms);
        let since_last = timing.every_ms.map_or(since, |every| since.rem_euclid(every));
        since >= 0
            && timing.for_ms.is_none_or(|lasts| since_last < lasts)
            && timing.count.is_none_or(|count| self.hits < count)
    }

    /// Whether what matches is hit; draws once.
    fn strikes(&mut self) -> bool {
        let is_hit = self.fault.probability >= 1.0 || self.uniform() < self.fault.probability;
        self.hits += u64::from(is_hit);
        is_hit
    }

    fn delay(&mut self, latency: Latency) -> u64 {
        match latency {
            Latency::Constant { ms } => ms,
            Latency::Uniform { ms_min, ms_max } => ms_min + (self.uniform() * (ms_max - ms_min + 1) as f64) as u64,
            Latency::Lognormal { ms_median, sigma, ms_max } => {
                // Twelve uniforms less six are nearly normal with deviation 1.
                let normal = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
                ((ms_median as f64 * (sigma * normal).exp()) as u64).min(ms_max)
            }
        }
    }

    /// The next occurrence of a fault of the world, if there is one to come.
    fn next_begin(&self) -> Option<i64> {
        let timing = self.fault.timing;
        if self.drawn > 0 && timing.every_ms.is_none() || timing.count.is_some_and(|count| self.hits >= count) {
            return None;
        }
        Some(self.origin + timing.at_ms + self.drawn.saturating_mul(timing.every_ms.unwrap_or(0)))
    }
}

/// All faults.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    seed: u64,
    last_id: u64,
    entries: BTreeMap<u64, Entry>,
}

impl Faults {
    /// No faults; `seed` decides those that are added.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, last_id: 0, entries: BTreeMap::new() }
    }

    /// Sets a fault up; its times count from `now` on. Its number.
    pub fn add(&mut self, fault: Fault, now: i64) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let seed = fault.seed.unwrap_or(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(id));
        let random = ChaCha8Rng::seed_from_u64(seed);
        let entry = Entry { fault, origin: now, random, hits: 0, drawn: 0, ends_at: None, error: None };
        self.entries.insert(id, entry);
        id
    }

    /// Takes a fault away, or all. What it began at the exchange is due to end at once. How many there were.
    pub fn remove(&mut self, id: Option<u64>) -> (usize, Vec<Due>) {
        let before = self.entries.len();
        let (gone, kept): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.entries).into_iter().partition(|(known, _)| id.is_none_or(|id| id == *known));
        self.entries = kept;
        let begun = gone.into_iter().filter(|(_, entry)| entry.ends_at.is_some());
        let ends = begun.map(|(id, entry)| Due { id, fault: entry.fault, phase: Phase::End }).collect();
        (before - self.entries.len(), ends)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Remembers why a fault could not be carried out.
    pub fn failed(&mut self, id: u64, error: String) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.error = Some(error);
        }
    }

    /// Each fault with how often it hit.
    #[must_use]
    pub fn list(&self, now: i64) -> Value {
        let rows = self.entries.iter().map(|(id, entry)| {
            json!({
                "id": id, "name": entry.fault.name, "kind": format!("{:?}", entry.fault.kind), "hits": entry.hits,
                "active": if entry.fault.is_of_the_world() { entry.ends_at.is_some() } else { entry.is_active(now) },
                "error": entry.error,
            })
        });
        Value::Array(rows.collect())
    }

    /// What happens to a request.
    pub fn on_request(&mut self, request: &RequestFacts<'_>, now: i64) -> Plan {
        let mut plan = Plan::default();
        for entry in self.entries.values_mut() {
            let is_matched = entry.is_active(now) && matches_request(&entry.fault.target, request);
            if !is_matched || !is_of_requests(&entry.fault.kind) || !entry.strikes() {
                continue;
            }
            let error = |status, code| Break::Error { status, code, retry_after_seconds: None };
            let (before, after) = (&mut plan.before, &mut plan.after);
            match entry.fault.kind {
                FaultKind::Latency(latency) => plan.latency_ms += entry.delay(latency),
                FaultKind::ErrorBefore { status } => set(before, error(status, -1000)),
                FaultKind::ErrorAfter { status } => set(after, error(status, -1000)),
                FaultKind::UnknownAfter { status } => set(after, error(status, -1007)),
                FaultKind::SilentAfter => set(after, Break::Silence),
                FaultKind::ResetBefore => set(before, Break::Reset),
                FaultKind::ResetAfter => set(after, Break::Reset),
                FaultKind::Limited { status, retry_after_seconds } => {
                    let retry_after_seconds = Some(retry_after_seconds);
                    set(before, Break::Error { status, code: -1003, retry_after_seconds });
                }
                FaultKind::Forbidden => set(before, Break::Page { status: 403 }),
                FaultKind::Gone => set(before, Break::Page { status: 410 }),
                FaultKind::HalfOpen => set(before, Break::Silence),
                FaultKind::OrderNotFound { within_ms } => plan.order_hidden_ms = Some(within_ms),
                _ => {}
            }
        }
        plan
    }

    /// What happens to a frame.
    pub fn on_frame(&mut self, frame: &FrameFacts<'_>, now: i64) -> Fate {
        let mut fate = Fate { copies: 1, delay_ms: 0, is_held_back: false };
        for entry in self.entries.values_mut() {
            let is_matched = entry.is_active(now) && matches_frame(&entry.fault, frame);
            if !is_matched || !entry.strikes() {
                continue;
            }
            match entry.fault.kind {
                FaultKind::Latency(latency) | FaultKind::EventsDelayed(latency) => {
                    fate.delay_ms += entry.delay(latency);
                }
                FaultKind::EventsDuplicated => fate.copies = fate.copies.saturating_mul(2),
                FaultKind::EventsReordered => fate.is_held_back = true,
                _ => fate.copies = 0,
            }
        }
        fate
    }

    /// Whether a WebSocket connection is half open.
    #[must_use]
    pub fn is_half_open(&self, connection: u64, now: i64) -> bool {
        let mut half_open = self.entries.values().filter(|entry| entry.fault.kind == FaultKind::HalfOpen);
        half_open.any(|entry| entry.is_active(now) && matches_connection(&entry.fault.target, connection))
    }

    /// How much the server's clock is off, in milliseconds.
    #[must_use]
    pub fn skew_ms(&self, now: i64) -> i64 {
        let active = self.entries.values().filter(|entry| entry.is_active(now));
        active.map(|entry| if let FaultKind::ClockSkew { offset_ms } = entry.fault.kind { offset_ms } else { 0 }).sum()
    }

    /// Whether there is maintenance.
    #[must_use]
    pub fn is_maintenance(&self, now: i64) -> bool {
        self.entries.values().any(|entry| entry.fault.kind == FaultKind::Maintenance && entry.is_active(now))
    }

    /// When the next fault of the world begins or ends.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        let world = self.entries.values().filter(|entry| entry.fault.is_of_the_world());
        world.filter_map(|entry| entry.ends_at.into_iter().chain(entry.next_begin()).min()).min()
    }

    /// Takes one fault of the world that is due; ends come before beginnings.
    pub fn take_due(&mut self, now: i64) -> Option<Due> {
        for (id, entry) in &mut self.entries {
            if entry.ends_at.is_some_and(|at| at <= now) {
                entry.ends_at = None;
                return Some(Due { id: *id, fault: entry.fault.clone(), phase: Phase::End });
            }
        }
        for (id, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.fault.is_of_the_world()) {
            while let Some(begin) = entry.next_begin().filter(|begin| *begin <= now) {
                entry.drawn += 1;
                if entry.strikes() {
                    entry.ends_at = entry.fault.ends_after_ms().map(|lasts| begin.saturating_add(lasts));
                    return Some(Due { id: *id, fault: entry.fault.clone(), phase: Phase::Begin });
                }
            }
        }
        None
    }
}

/// The first fault that breaks a request decides.
fn set(slot: &mut Option<Break>, value: Break) {
    slot.get_or_insert(value);
}

fn is_of_requests(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Latency(_)
        | FaultKind::ErrorBefore { .. }
        | FaultKind::ErrorAfter { .. }
        | FaultKind::UnknownAfter { .. }
        | FaultKind::SilentAfter
        | FaultKind::ResetBefore
        | FaultKind::ResetAfter
        | FaultKind::Limited { .. }
        | FaultKind::Forbidden
        | FaultKind::Gone
        | FaultKind::HalfOpen
        | FaultKind::OrderNotFound { .. } => true,
        FaultKind::StreamsStalled
        | FaultKind::StreamsCut
        | FaultKind::EventsLost
        | FaultKind::EventsDuplicated
        | FaultKind::EventsReordered
        | FaultKind::EventsDelayed(_)
        | FaultKind::DepthGap
        | FaultKind::ClockSkew { .. }
        | FaultKind::Maintenance
        | FaultKind::World(_) => false,
    }
}

fn matches_request(target: &Target, request: &RequestFacts<'_>) -> bool {
    let protocol = if request.is_ws_api { Protocol::WsApi } else { Protocol::Rest };
    let is_endpoint = |pattern: &String| is_like(pattern, request.path) || is_like(pattern, request.method);
    target.protocol.is_none_or(|wanted| wanted == protocol)
        && target.stream.is_none()
        && target.endpoint.as_ref().is_none_or(is_endpoint)
        && target.method.as_ref().is_none_or(|verb| verb == request.verb)
        && target.symbol.as_ref().is_none_or(|symbol| Some(symbol.as_str()) == request.symbol)
        && target.account.as_ref().is_none_or(|account| Some(account.as_str()) == request.account)
        && target.connection.is_none_or(|connection| Some(connection) == request.connection)
}

fn matches_connection(target: &Target, connection: u64) -> bool {
    target.connection.is_none_or(|wanted| wanted == connection)
        && target.endpoint.is_none()
        && target.protocol.is_none_or(|protocol| protocol != Protocol::Rest)
}

fn matches_frame(fault: &Fault, frame: &FrameFacts<'_>) -> bool {
    let target = &fault.target;
    let user_only = match fault.kind {
        FaultKind::EventsLost
        | FaultKind::EventsDuplicated
        | FaultKind::EventsReordered
        | FaultKind::EventsDelayed(_) => target.symbol.is_none(),
        FaultKind::StreamsStalled | FaultKind::HalfOpen => false,
        FaultKind::Latency(_) if target.protocol == Some(Protocol::Stream) => false,
        FaultKind::DepthGap if frame.stream.is_some_and(is_diff) => false,
        _ => return false,
    };
    let is_symbol = |symbol: &domain::Symbol| {
        let name = frame.stream.and_then(|stream| stream.split_once('@')).map_or("", |(symbol, _)| symbol);
        name.eq_ignore_ascii_case(symbol.as_str())
    };
    target.endpoint.is_none()
        && target.matches_stream(frame.stream, user_only)
        && target.symbol.as_ref().is_none_or(is_symbol)
        && target.account.as_ref().is_none_or(|account| Some(account.as_str()) == frame.account)
        && target.connection.is_none_or(|connection| connection == frame.connection)
}

/// Whether a stream tells the changes of a depth, with numbers that follow each other.
fn is_diff(stream: &str) -> bool {
    stream.split_once('@').is_some_and(|(_, kind)| kind == "depth" || kind.starts_with("depth@"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
