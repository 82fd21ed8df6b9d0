//! MarketData: takes the feed in, refuses what cannot be true, finds gaps, and tells everybody what they trade by.
//!
//! It must never pass on data that cannot be true, drop a candle, or let a candle of the past cause an order.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{
    Alert, BootNumber, Candle, CorrelationId, Decimal, Instrument, Interval, MarketEvent, MarketInputError, Millis,
    Price, Quote, ReasonCode, Scope, Severity, Symbol, Timestamp, Trade,
};

use crate::message::{
    ActorId, Envelope, ExecutorMessage, FamilyIndex, GlobalRiskMessage, InstanceIndex, MarketDataMessage,
    StrategyMessage,
};
use crate::record::Record;
use crate::{BackfillRequest, Cycle, Effect, Effects, Setup};

/// A price further than this factor from the one before is absurd, up or down.
const JUMP_MAX: u32 = 10;
/// After this many absurd prices in a row the market has really moved.
const JUMP_CONFIRMATIONS: u8 = 3;
/// Candles that may wait for a gap to be filled, for one symbol and interval.
const WAITING_MAX: usize = 10_000;

/// Who wants what of one symbol.
#[derive(Debug, Default)]
struct Subscribers {
    candles: Vec<(Interval, InstanceIndex)>,
    trades: Vec<InstanceIndex>,
    quotes: Vec<InstanceIndex>,
}

/// Candles of one symbol and interval: what came last, and what waits for a gap to be filled.
#[derive(Debug, Default)]
struct CandleLane {
    last_open: Option<Timestamp>,
    waiting: Option<Vec<Candle>>,
}

#[derive(Debug, Default)]
struct SymbolFeed {
    subscribers: Subscribers,
    lanes: BTreeMap<Interval, CandleLane>,
    last_trade_id: Option<u64>,
    last_trade_time: Timestamp,
    quote_time: Option<Timestamp>,
    mark: Option<Price>,
    jumps: u8,
}

/// The MarketData machine.
#[derive(Debug)]
pub struct MarketData {
    feeds: BTreeMap<Symbol, SymbolFeed>,
    strategies: Vec<(InstanceIndex, FamilyIndex)>,
    quote_age_max: Millis,
    head: Option<Timestamp>,
    behind_told: bool,
    rejected: BTreeMap<MarketInputError, u64>,
    correlation: u64,
    events: u64,
}

impl MarketData {
    /// A machine for the instances of `setup`. Data older than `head`, the newest time that the book has seen, is refused.
    #[must_use]
    pub fn new(setup: &Setup, head: Option<Timestamp>) -> Self {
        let mut feeds: BTreeMap<Symbol, SymbolFeed> = BTreeMap::new();
        let mut strategies = Vec::new();
        for (place, instance) in setup.instances.iter().enumerate() {
            let index = InstanceIndex(u16::try_from(place).unwrap_or(u16::MAX));
            strategies.push((index, instance.family));
            let needs = instance.strategy.build().requirements();
            for symbol in &instance.symbols {
                let feed = feeds.entry(symbol.clone()).or_default();
                feed.subscribers.candles.push((needs.interval, index));
                feed.lanes.entry(needs.interval).or_default();
                if needs.uses_trades {
                    feed.subscribers.trades.push(index);
                }
                if needs.uses_quotes {
                    feed.subscribers.quotes.push(index);
                }
            }
        }
        Self {
            feeds,
            strategies,
            quote_age_max: setup.quote_age_ms_max,
            head,
            behind_told: false,
            rejected: BTreeMap::new(),
            correlation: correlation_base(setup.boot),
            events: 0,
        }
    }

    /// What was refused so far, by kind.
    #[must_use]
    pub const fn rejected(&self) -> &BTreeMap<MarketInputError, u64> {
        &self.rejected
    }

    /// How many events were taken in so far.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Handles one message.
    pub fn handle(&mut self, now: Timestamp, message: MarketDataMessage, effects: &mut Effects) {
        match message {
            MarketDataMessage::Market(event) => self.market(now, event, effects),
            MarketDataMessage::Unreadable(error, detail) => self.reject(now, error, "", &detail, effects),
            MarketDataMessage::Instruments(instruments) => self.instruments(&instruments, effects),
            MarketDataMessage::Backfilled(symbol, interval, candles) => {
                self.backfilled(now, &symbol, interval, candles, effects);
            }
            MarketDataMessage::FeedLost(detail) => {
                feed_alert(now, Severity::Warning, ReasonCode::FeedLost, &detail, effects);
            }
            MarketDataMessage::FeedRestored(detail) => {
                feed_alert(now, Severity::Info, ReasonCode::FeedRestored, &detail, effects);
            }
            MarketDataMessage::Cycle(cycle) => self.cycle(cycle, effects),
        }
    }

    fn cycle(&self, cycle: Cycle, effects: &mut Effects) {
        for (index, _) in &self.strategies {
            effects.send(Envelope::Strategy(*index, StrategyMessage::Cycle(cycle)));
        }
    }

    fn instruments(&self, instruments: &Arc<Vec<Instrument>>, effects: &mut Effects) {
        for (index, _) in &self.strategies {
            effects.send(Envelope::Strategy(*index, StrategyMessage::Instruments(instruments.clone())));
        }
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Instruments(instruments.clone())));
    }

    fn market(&mut self, now: Timestamp, event: MarketEvent, effects: &mut Effects) {
        self.events += 1;
        if self.is_behind(now, &event, effects) {
            return;
        }
        self.correlation += 1;
        let correlation = CorrelationId(self.correlation);
        let outcome = match self.feeds.get_mut(event.symbol()) {
            None => Err(MarketInputError::UnknownSymbol),
            Some(feed) => match &event {
                MarketEvent::Trade(trade) => feed.trade(trade, self.quote_age_max, correlation, effects),
                MarketEvent::Quote(quote) => feed.quote(quote, correlation, effects),
                MarketEvent::Candle(candle) => feed.candle(now, candle, correlation, effects),
            },
        };
        if let Err(error) = outcome {
            let detail = format!("{event:?}");
            self.reject(now, error, event.symbol().as_str(), &detail, effects);
        }
    }

    /// The book has seen a later time than this: the feed is an old one.
    fn is_behind(&mut self, now: Timestamp, event: &MarketEvent, effects: &mut Effects) -> bool {
        let Some(head) = self.head.filter(|head| event.time() < *head) else {
            return false;
        };
        if !self.behind_told {
            self.behind_told = true;
            let text = format!(
                "The feed is at {} and the book at {head}: older data is refused. Let the feed catch up, or move the \
                 book's database away to begin a new one.",
                event.time()
            );
            feed_alert(now, Severity::High, ReasonCode::FeedBehindBook, &text, effects);
        }
        *self.rejected.entry(MarketInputError::OutOfOrder).or_default() += 1;
        true
    }

    fn backfilled(
        &mut self,
        now: Timestamp,
        symbol: &Symbol,
        interval: Interval,
        candles: Vec<Candle>,
        effects: &mut Effects,
    ) {
        let Some(feed) = self.feeds.get_mut(symbol) else { return };
        for candle in candles.iter().filter(|candle| candle.interval == interval && candle.check().is_ok()) {
            feed.warm_up(candle, effects);
        }
        let waiting = feed.lanes.get_mut(&interval).and_then(|lane| lane.waiting.take()).unwrap_or_default();
        for candle in waiting {
            self.correlation += 1;
            if let Some(feed) = self.feeds.get_mut(symbol)
                && feed.is_next(&candle)
            {
                // One that waited too long for the gap is late by our own doing, and moves indicators all the same.
                let _ = feed.publish(now, &candle, CorrelationId(self.correlation), effects);
            }
        }
    }

    /// Counts what was refused; the first of each kind is journaled.
    fn reject(&mut self, now: Timestamp, error: MarketInputError, symbol: &str, detail: &str, effects: &mut Effects) {
        let count = self.rejected.entry(error).or_default();
        *count += 1;
        if *count == 1 {
            let detail = detail.chars().take(400).collect();
            let record = Record::InputRejected { error, symbol: symbol.into(), detail };
            effects.journal(now, ActorId::MarketData, CorrelationId(self.correlation), record);
        }
    }
}

/// Correlation ids are unique over boots: the boot in the upper half, a count in the lower.
#[must_use]
pub const fn correlation_base(boot: BootNumber) -> u64 {
    (boot.0 & 0x7fff_ffff) << 32
}

fn feed_alert(now: Timestamp, severity: Severity, reason: ReasonCode, detail: &str, effects: &mut Effects) {
    let alert = Alert {
        time: now,
        severity,
        reason,
        scope: Scope::Exchange,
        text: detail.to_owned(),
        correlation_id: CorrelationId::default(),
    };
    effects.alert(ActorId::MarketData, alert);
}

impl SymbolFeed {
    fn trade(
        &mut self,
        trade: &Trade,
        quote_age_max: Millis,
        correlation: CorrelationId,
        effects: &mut Effects,
    ) -> Result<(), MarketInputError> {
        trade.check()?;
        match self.last_trade_id {
            Some(last) if trade.id == last => return Err(MarketInputError::Duplicate),
            Some(last) if trade.id < last => return Err(MarketInputError::OutOfOrder),
            Some(_) | None => {}
        }
        self.check_jump(trade.price)?;
        self.last_trade_id = Some(trade.id);
        self.last_trade_time = trade.time;
        for index in &self.subscribers.trades {
            effects.send(Envelope::Strategy(*index, StrategyMessage::Trade(trade.clone(), correlation)));
        }
        if self.quote_time.is_none_or(|at| trade.time.since(at) > quote_age_max) {
            self.set_mark(&trade.symbol, trade.price, correlation, effects);
        }
        Ok(())
    }

    fn quote(
        &mut self,
        quote: &Quote,
        correlation: CorrelationId,
        effects: &mut Effects,
    ) -> Result<(), MarketInputError> {
        quote.check()?;
        if self.quote_time.is_some_and(|at| quote.time < at) {
            return Err(MarketInputError::OutOfOrder);
        }
        let mid = quote.mid();
        self.check_jump(mid)?;
        self.quote_time = Some(quote.time);
        for index in &self.subscribers.quotes {
            effects.send(Envelope::Strategy(*index, StrategyMessage::Quote(quote.clone(), correlation)));
        }
        self.set_mark(&quote.symbol, mid, correlation, effects);
        Ok(())
    }

    fn candle(
        &mut self,
        now: Timestamp,
        candle: &Candle,
        correlation: CorrelationId,
        effects: &mut Effects,
    ) -> Result<(), MarketInputError> {
        candle.check()?;
        let Some(lane) = self.lanes.get_mut(&candle.interval) else { return Ok(()) };
        if let Some(waiting) = &mut lane.waiting {
            if waiting.len() < WAITING_MAX {
                waiting.push(candle.clone());
            }
            return Ok(());
        }
        match lane.last_open {
            Some(last) if candle.open_time == last => return Err(MarketInputError::Duplicate),
            Some(last) if candle.open_time < last => return Err(MarketInputError::OutOfOrder),
            Some(last) if candle.open_time > last + candle.interval.span() => {
                lane.waiting = Some(vec![candle.clone()]);
                let from = last + candle.interval.span();
                effects.push(Effect::Backfill(BackfillRequest {
                    symbol: candle.symbol.clone(),
                    interval: candle.interval,
                    from,
                    to: candle.open_time,
                }));
                return Ok(());
            }
            Some(_) | None => {}
        }
        self.check_jump(candle.close)?;
        self.publish(now, candle, correlation, effects)
    }

    fn is_next(&self, candle: &Candle) -> bool {
        let last = self.lanes.get(&candle.interval).and_then(|lane| lane.last_open);
        last.is_none_or(|last| candle.open_time > last)
    }

    /// A candle that is too old to act on only moves indicators.
    fn publish(
        &mut self,
        now: Timestamp,
        candle: &Candle,
        correlation: CorrelationId,
        effects: &mut Effects,
    ) -> Result<(), MarketInputError> {
        if now.since(candle.close_time()) >= candle.interval.span() {
            self.warm_up(candle, effects);
            return Err(MarketInputError::Late);
        }
        if let Some(lane) = self.lanes.get_mut(&candle.interval) {
            lane.last_open = Some(candle.open_time);
        }
        for (_, index) in self.subscribers.candles.iter().filter(|(interval, _)| *interval == candle.interval) {
            effects.send(Envelope::Strategy(*index, StrategyMessage::Candle(candle.clone(), correlation)));
        }
        if self.mark.is_none() {
            self.set_mark(&candle.symbol, candle.close, correlation, effects);
        }
        Ok(())
    }

    fn warm_up(&mut self, candle: &Candle, effects: &mut Effects) {
        if !self.is_next(candle) {
            return;
        }
        if let Some(lane) = self.lanes.get_mut(&candle.interval) {
            lane.last_open = Some(candle.open_time);
        }
        for (_, index) in self.subscribers.candles.iter().filter(|(interval, _)| *interval == candle.interval) {
            effects.send(Envelope::Strategy(*index, StrategyMessage::WarmUp(candle.clone())));
        }
    }

    /// One absurd price is a misprint; several in a row are the market.
    fn check_jump(&mut self, price: Price) -> Result<(), MarketInputError> {
        let Some(mark) = self.mark else { return Ok(()) };
        if mark == price {
            return Ok(());
        }
        let factor = Decimal::from(JUMP_MAX);
        let absurd = price.value() > mark.value() * factor || price.value() * factor < mark.value();
        if !absurd {
            self.jumps = 0;
            return Ok(());
        }
        self.jumps += 1;
        if self.jumps < JUMP_CONFIRMATIONS {
            return Err(MarketInputError::AbsurdJump);
        }
        self.jumps = 0;
        Ok(())
    }

    fn set_mark(&mut self, symbol: &Symbol, price: Price, correlation_id: CorrelationId, effects: &mut Effects) {
        // An unchanged price is told too: its time proves that it is fresh.
        self.mark = Some(price);
        effects.send(Envelope::GlobalRisk(GlobalRiskMessage::Mark { symbol: symbol.clone(), price }));
        effects.send(Envelope::Executor(ExecutorMessage::Mark { symbol: symbol.clone(), price, correlation_id }));
    }
}
