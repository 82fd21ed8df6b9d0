//! Strategy: feeds one instance's strategy objects, and turns their signals into intents.
//!
//! It must never act on a candle of the past, size an entry beyond its equity, or send two wishes for one purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Candle, ClientOrderId, CorrelationId, Instrument, Notional, Price, ReasonCode, Symbol, Timestamp};
use domain::{ExitKind, InstanceId, Ratio};
use ledger::Position;
use risk::{EntryIntent, ExitIntent, OrderIntent, Protection, ProtectionStyle};
use strategy::{Entry, EntryKind, PositionView, Signal, Strategy};

use crate::message::{
    Envelope, FamilyIndex, FamilyRiskMessage, GlobalRiskMessage, InstanceIndex, PositionUpdate, StrategyMessage,
};
use crate::{Effect, Effects, SavedStrategy, Setup};

struct Market {
    strategy: Box<dyn Strategy>,
    view: PositionView,
    position: Option<Position>,
    entry: Option<ClientOrderId>,
    /// A wish is on its way and not yet answered by a position update or a refusal.
    wish_pending: bool,
    through: Timestamp,
    last_price: Option<Price>,
    instrument: Option<Instrument>,
    saved_through: Timestamp,
    protection: ProtectionStyle,
}

/// The Strategy machine of one instance.
pub struct StrategyMachine {
    id: InstanceId,
    index: InstanceIndex,
    family: FamilyIndex,
    entry_size: Ratio,
    equity: Notional,
    markets: BTreeMap<Symbol, Market>,
}

impl std::fmt::Debug for StrategyMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StrategyMachine").field("id", &self.id).finish_non_exhaustive()
    }
}

impl StrategyMachine {
    /// The machine of instance `index` of `setup`, continued from `saved`. A state that cannot be taken over is left out:
    /// the strategy then warms up from candles.
    #[must_use]
    pub fn new(setup: &Setup, index: InstanceIndex, saved: &[SavedStrategy]) -> Self {
        let config = &setup.instances[usize::from(index.0)];
        let mut markets = BTreeMap::new();
        for symbol in &config.symbols {
            let mut market = Market {
                strategy: config.strategy.build(),
                view: PositionView::default(),
                position: None,
                entry: None,
                wish_pending: false,
                through: Timestamp::EPOCH,
                last_price: None,
                instrument: None,
                saved_through: Timestamp::EPOCH,
                protection: config.protection,
            };
            let state = saved.iter().find(|state| state.instance == config.id && state.symbol == *symbol);
            if let Some(saved) = state
                && market.strategy.restore(&saved.state).is_ok()
            {
                (market.through, market.saved_through) = (saved.through, saved.through);
            }
            markets.insert(symbol.clone(), market);
        }
        Self {
            id: config.id.clone(),
            index,
            family: config.family,
            entry_size: config.entry_size,
            equity: config.capital,
            markets,
        }
    }

    /// Up to where each symbol's state has seen candles; the epoch where it has seen none.
    pub fn through(&self) -> impl Iterator<Item = (&Symbol, Timestamp)> {
        self.markets.iter().map(|(symbol, market)| (symbol, market.through))
    }

    /// Handles one message.
    pub fn handle(&mut self, message: StrategyMessage, effects: &mut Effects) {
        match message {
            StrategyMessage::Candle(candle, correlation) => self.candle(&candle, correlation, effects),
            StrategyMessage::WarmUp(candle) => self.warm_up(&candle),
            StrategyMessage::Quote(quote, correlation) => {
                let Some(market) = self.markets.get_mut(&quote.symbol) else { return };
                let signal = market.strategy.on_quote(&quote, &market.view);
                self.act(&quote.symbol, signal, correlation, effects);
            }
            StrategyMessage::Trade(trade, correlation) => {
                let Some(market) = self.markets.get_mut(&trade.symbol) else { return };
                market.last_price = Some(trade.price);
                let signal = market.strategy.on_trade(&trade, &market.view);
                self.act(&trade.symbol, signal, correlation, effects);
            }
            StrategyMessage::Instruments(instruments) => self.instruments(&instruments),
            StrategyMessage::Position(update) => self.position(*update),
            StrategyMessage::Fill(fill) => {
                if let Some(market) = self.markets.get_mut(&fill.symbol) {
                    market.strategy.on_fill(&fill);
                }
            }
            StrategyMessage::Refused(symbol, _) => {
                if let Some(market) = self.markets.get_mut(&symbol) {
                    market.wish_pending = false;
                }
            }
            StrategyMessage::Save => self.save(effects),
            StrategyMessage::Cycle(cycle) => {
                effects.send(Envelope::FamilyRisk(self.family, FamilyRiskMessage::Cycle(cycle, self.index)));
            }
        }
    }

    fn candle(&mut self, candle: &Candle, correlation: CorrelationId, effects: &mut Effects) {
        let Some(market) = self.markets.get_mut(&candle.symbol) else { return };
        if candle.close_time() <= market.through {
            return;
        }
        market.through = candle.close_time();
        market.last_price = Some(candle.close);
        let signal = market.strategy.on_candle(candle, &market.view);
        self.act(&candle.symbol, signal, correlation, effects);
    }

    fn warm_up(&mut self, candle: &Candle) {
        let Some(market) = self.markets.get_mut(&candle.symbol) else { return };
        if candle.close_time() <= market.through {
            return;
        }
        market.through = candle.close_time();
        // What the strategy would have done then is not done now.
        let _ = market.strategy.on_candle(candle, &market.view);
    }

    fn instruments(&mut self, instruments: &Arc<Vec<Instrument>>) {
        for instrument in instruments.iter() {
            if let Some(market) = self.markets.get_mut(&instrument.symbol) {
                market.instrument = Some(instrument.clone());
            }
        }
    }

    fn position(&mut self, update: PositionUpdate) {
        self.equity = update.equity;
        let Some(market) = self.markets.get_mut(update.position.symbol()) else { return };
        market.view = PositionView {
            quantity: if update.flat { domain::Quantity::ZERO } else { update.position.quantity() },
            entry_working: update.entry.is_some(),
            average_price: if update.flat { None } else { update.position.average_price() },
        };
        market.wish_pending = update.exit_working;
        market.entry = update.entry;
        market.position = Some(update.position);
    }

    fn act(&mut self, symbol: &Symbol, signal: Option<Signal>, correlation: CorrelationId, effects: &mut Effects) {
        let Some(signal) = signal else { return };
        let Some(market) = self.markets.get_mut(symbol) else { return };
        let intent = match signal {
            Signal::CancelEntry => {
                if let Some(id) = market.entry.clone() {
                    let (symbol, reason) = (symbol.clone(), ReasonCode::CancelStale);
                    let cancel = GlobalRiskMessage::Cancel { symbol, id, reason, correlation_id: correlation };
                    effects.send(Envelope::GlobalRisk(cancel));
                }
                return;
            }
            Signal::Enter(_) | Signal::Exit if market.wish_pending => return,
            Signal::Enter(entry) => {
                let budget = self.equity.scaled(self.entry_size);
                market.entry_intent(&self.id, symbol, &entry, budget, correlation).map(OrderIntent::Entry)
            }
            Signal::Exit => market.position.as_ref().and_then(|position| {
                let reason = ReasonCode::ExitSignal;
                ExitIntent::from_position(position, None, ExitKind::Signal, reason, correlation).map(OrderIntent::Exit)
            }),
        };
        if let Some(intent) = intent {
            market.wish_pending = true;
            effects.send(Envelope::FamilyRisk(self.family, FamilyRiskMessage::Intent(intent)));
        }
    }

    fn save(&mut self, effects: &mut Effects) {
        for (symbol, market) in &mut self.markets {
            if market.through <= market.saved_through {
                continue;
            }
            market.saved_through = market.through;
            effects.push(Effect::SaveStrategy {
                instance: self.index,
                symbol: symbol.clone(),
                through: market.through,
                state: market.strategy.save(),
            });
        }
    }
}

impl Market {
    /// The entry in the steps of the instrument; `None` where the rules are not known or the budget is too small for one.
    fn entry_intent(
        &self,
        instance: &InstanceId,
        symbol: &Symbol,
        entry: &Entry,
        budget: Notional,
        correlation_id: CorrelationId,
    ) -> Option<EntryIntent> {
        let instrument = self.instrument.as_ref()?;
        let limit = match entry.kind {
            EntryKind::Market => None,
            EntryKind::Limit { price } => Some(instrument.round_price(entry.side, price)?),
        };
        let price = limit.or(self.last_price)?;
        let quantity = instrument.round_quantity(budget.quantity_at(price));
        if !quantity.is_positive() {
            return None;
        }
        // The stop rounds towards the price and the target too: neither may lie further away than asked.
        let closing = entry.side;
        let round = |wanted: Price| instrument.round_price(closing, wanted);
        let protection = Protection {
            stop: instrument.round_price(closing.opposite(), entry.stop)?,
            take_profit: entry.take_profit.and_then(round),
            style: self.protection,
        };
        Some(EntryIntent {
            instance: instance.clone(),
            symbol: symbol.clone(),
            side: entry.side,
            quantity,
            limit,
            protection,
            reason: ReasonCode::EntrySignal,
            correlation_id,
        })
    }
}
