//! The gate: the one place where a wish becomes an order that may leave.
//!
//! It reads restrictions and the ledger and only accepts or refuses; it never resizes an entry, and clamps an exit to what
//! is held. What it cannot know counts against the order. Reservations are not a second book: every approved order is in
//! the ledger at once, and counts there at its worst case until it is done.

use std::collections::BTreeMap;

use domain::{
    ClientOrderId, Instrument, Notional, OrderSpec, OrderType, Price, Purpose, Quantity, ReasonCode, Side, Symbol,
    SymbolStatus, TimeInForce, Timestamp, instrument::SizeError,
};
use ledger::{InstanceBook, Ledger, Order, OrderState};

use crate::limits::OrderRate;
use crate::order::permits;
use crate::protect::protectable;
use crate::{ApprovedOrder, EntryIntent, ExitIntent, Limits, OrderIntent, Restrictions, SafetyLatch};

/// Why the gate refused a wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// The code.
    pub reason: ReasonCode,
    /// The values behind it.
    pub detail: String,
}

pub(crate) fn refuse(reason: ReasonCode, detail: String) -> Refusal {
    Refusal { reason, detail }
}

/// What the gate looks at. It changes nothing of it.
#[derive(Debug, Clone, Copy)]
pub struct GateView<'a> {
    /// Books and orders.
    pub ledger: &'a Ledger,
    /// Restrictions in force.
    pub restrictions: &'a Restrictions,
    /// The exchange's rules, by symbol.
    pub instruments: &'a BTreeMap<Symbol, Instrument>,
    /// The latch.
    pub latch: &'a SafetyLatch,
    /// Whether intents can be made durable now.
    pub journal_available: bool,
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    rate: OrderRate,
}

impl Gate {
    /// A gate that holds orders to `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, rate: OrderRate::default() }
    }

    /// The limits it holds orders to.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether `exit` would pass if nothing of the position rested on the exchange: asked before what rests is given up
    /// for it.
    ///
    /// # Errors
    /// The first reason against it, with its values.
    pub fn check_exit(&self, exit: &ExitIntent, view: GateView<'_>) -> Result<(), Refusal> {
        let book = view.ledger.instance(exit.instance()).ok_or_else(|| {
            refuse(ReasonCode::NotPermitted, format!("instance {} is not configured", exit.instance()))
        })?;
        check_permission(Purpose::Exit(exit.kind()), exit.symbol(), book, view)?;
        tradable(exit.symbol(), view).map(|_| ())
    }

    /// Approves `intent` as the order `id`, or refuses it.
    ///
    /// # Errors
    /// The first reason against it, with its values.
    pub fn approve(
        &mut self,
        intent: &OrderIntent,
        id: ClientOrderId,
        view: GateView<'_>,
        now: Timestamp,
    ) -> Result<ApprovedOrder, Refusal> {
        let book = view.ledger.instance(intent.instance()).ok_or_else(|| {
            refuse(ReasonCode::NotPermitted, format!("instance {} is not configured", intent.instance()))
        })?;
        check_permission(intent.purpose(), intent.symbol(), book, view)?;
        let instrument = tradable(intent.symbol(), view)?;
        let (spec, protection) = match intent {
            OrderIntent::Entry(entry) => (self.entry(entry, id, book, instrument, view, now)?, Some(entry.protection)),
            OrderIntent::Exit(exit) => (exit_order(exit, id, book, instrument, view)?, None),
        };
        if spec.purpose == Purpose::Entry {
            self.rate.count(&spec.instance, now);
        }
        let expires_at = now + self.limits.approval_validity_ms;
        Ok(ApprovedOrder::new(spec, protection, intent.correlation_id(), expires_at, view.latch))
    }

    fn entry(
        &mut self,
        entry: &EntryIntent,
        id: ClientOrderId,
        book: &InstanceBook,
        instrument: &Instrument,
        view: GateView<'_>,
        now: Timestamp,
    ) -> Result<OrderSpec, Refusal> {
        if !view.journal_available {
            return Err(refuse(ReasonCode::JournalUnavailable, "the order could not be made durable".into()));
        }
        let mark = self.fresh_mark(&entry.symbol, view, now)?;
        no_other_entry(entry, view)?;
        let price = self.entry_price(entry, instrument, mark)?;
        if !entry.protection.guards(entry.side, entry.limit.unwrap_or(mark)) {
            let detail = format!("stop {} does not guard a {} near {mark}", entry.protection.stop, entry.side);
            return Err(refuse(ReasonCode::ProtectionInvalid, detail));
        }
        self.entry_size(entry, instrument, price)?;
        instrument.check_filters(entry.side, entry.quantity, entry.limit, mark).map_err(|reason| {
            refuse(reason, format!("{} at {price}: the exchange's filters do not take it", entry.quantity))
        })?;
        protectable(instrument, entry.protection, entry.quantity, view)?;
        self.exposure(entry, book, price.times(entry.quantity), mark, view)?;
        if !self.rate.allows(&entry.instance, &self.limits, now) {
            let (max, window) = (self.limits.order_rate_max, self.limits.order_rate_window_ms);
            return Err(refuse(ReasonCode::OrderRateAboveLimit, format!("more than {max} entries within {window}")));
        }
        Ok(OrderSpec {
            client_order_id: id,
            instance: entry.instance.clone(),
            symbol: entry.symbol.clone(),
            side: entry.side,
            order_type: if entry.limit.is_some() { OrderType::Limit } else { OrderType::Market },
            purpose: Purpose::Entry,
            quantity: entry.quantity,
            price: entry.limit,
            stop_price: None,
            time_in_force: TimeInForce::Gtc,
            reason: entry.reason,
            oco: None,
        })
    }

    fn fresh_mark(&self, symbol: &Symbol, view: GateView<'_>, now: Timestamp) -> Result<Price, Refusal> {
        let Some((mark, at)) = view.ledger.mark(symbol) else {
            return Err(refuse(ReasonCode::MarkStale, format!("no price of {symbol} is known")));
        };
        let age = now.since(at);
        if age > self.limits.mark_age_ms_max {
            return Err(refuse(ReasonCode::MarkStale, format!("the last price of {symbol} is {age} old")));
        }
        Ok(mark)
    }

    /// The worst price at which the entry can fill: its limit, or the mark at the edge of the collar.
    fn entry_price(&self, entry: &EntryIntent, instrument: &Instrument, mark: Price) -> Result<Price, Refusal> {
        let collar = self.limits.price_collar;
        let Some(limit) = entry.limit else { return Ok(worst_price(entry.side, mark, collar)) };
        if instrument.round_price(entry.side, limit) != Some(limit) {
            let detail = format!("price {limit} is not a multiple of {}", instrument.tick_size);
            return Err(refuse(ReasonCode::OffStep, detail));
        }
        if limit.change_from(mark).abs() > collar {
            let detail = format!("price {limit} is more than {collar} of the mark {mark} away from it");
            return Err(refuse(ReasonCode::PriceCollar, detail));
        }
        Ok(limit)
    }

    fn entry_size(&self, entry: &EntryIntent, instrument: &Instrument, price: Price) -> Result<(), Refusal> {
        let quantity = entry.quantity;
        check_size(instrument, quantity, price)?;
        if quantity > self.limits.order_quantity_max {
            let detail = format!("quantity {quantity} is above {}", self.limits.order_quantity_max);
            return Err(refuse(ReasonCode::QuantityAboveLimit, detail));
        }
        let notional = price.times(quantity);
        if notional > self.limits.order_notional_max {
            let detail = format!("value {notional} is above {}", self.limits.order_notional_max);
            return Err(refuse(ReasonCode::NotionalAboveLimit, detail));
        }
        Ok(())
    }

    fn exposure(
        &self,
        entry: &EntryIntent,
        book: &InstanceBook,
        notional: Notional,
        mark: Price,
        view: GateView<'_>,
    ) -> Result<(), Refusal> {
        let collar = self.limits.price_collar;
        let reserved = |order: &Order| {
            let reference = view.ledger.mark(&order.spec.symbol).map_or(mark, |(mark, _)| mark);
            let price = order.spec.price.unwrap_or_else(|| worst_price(order.spec.side, reference, collar));
            price.times(order.open_quantity())
        };
        let entries = || view.ledger.open_orders().filter(|order| order.spec.purpose == Purpose::Entry);
        let (limits, position) = (&self.limits, book.position(&entry.symbol));
        let value = position.map_or(Notional::ZERO, |position| position.value(mark).abs()) + notional;
        if value > limits.position_notional_max {
            let detail = format!("a position worth {value} is above {}", limits.position_notional_max);
            return Err(refuse(ReasonCode::PositionAboveLimit, detail));
        }
        let exposure = view.ledger.exposure() + entries().map(reserved).sum() + notional;
        if exposure > limits.exposure_notional_max {
            let detail = format!("an exposure of {exposure} is above {}", limits.exposure_notional_max);
            return Err(refuse(ReasonCode::ExposureAboveLimit, detail));
        }
        let own: Notional = entries().filter(|order| order.spec.instance == entry.instance).map(reserved).sum();
        let free = book.cash - own;
        if notional > free {
            let detail = format!("{notional} is needed and {free} is free");
            return Err(refuse(ReasonCode::CapitalInsufficient, detail));
        }
        Ok(())
    }
}

fn worst_price(side: Side, mark: Price, collar: domain::Ratio) -> Price {
    let worst = match side {
        Side::Buy => mark.moved_by(collar),
        Side::Sell => mark.moved_by(-collar),
    };
    worst.unwrap_or(mark)
}

pub(crate) fn check_permission(
    purpose: Purpose,
    symbol: &Symbol,
    book: &InstanceBook,
    view: GateView<'_>,
) -> Result<(), Refusal> {
    if let Some(found) = view.restrictions.tightest(&book.id, &book.family, symbol)
        && !permits(found.permission, purpose)
    {
        let detail = format!("{} permits only {} ({})", found.scope, found.permission, found.reason);
        return Err(refuse(ReasonCode::NotPermitted, detail));
    }
    if !permits(view.latch.permission(), purpose) {
        let detail = format!("the safety latch permits only {}", view.latch.permission());
        return Err(refuse(ReasonCode::NotPermitted, detail));
    }
    Ok(())
}

pub(crate) fn tradable<'a>(symbol: &Symbol, view: GateView<'a>) -> Result<&'a Instrument, Refusal> {
    let instrument = view
        .instruments
        .get(symbol)
        .ok_or_else(|| refuse(ReasonCode::InstrumentUnknown, format!("the rules of {symbol} are not known")))?;
    match &instrument.status {
        SymbolStatus::Trading => Ok(instrument),
        status @ (SymbolStatus::Halt | SymbolStatus::Break | SymbolStatus::CancelOnly | SymbolStatus::Other(_)) => {
            Err(refuse(ReasonCode::SymbolNotTrading, format!("{symbol} is {status:?}")))
        }
    }
}

fn no_other_entry(entry: &EntryIntent, view: GateView<'_>) -> Result<(), Refusal> {
    let same = |order: &&Order| order.spec.instance == entry.instance && order.spec.symbol == entry.symbol;
    for order in view.ledger.open_orders().filter(same) {
        if order.state() == OrderState::Unknown {
            return Err(refuse(ReasonCode::OrderUnknown, format!("the fate of {} is not known", order.id())));
        }
        if order.spec.purpose == Purpose::Entry {
            return Err(refuse(ReasonCode::DuplicateEntry, format!("entry {} is still working", order.id())));
        }
    }
    Ok(())
}

fn exit_order(
    exit: &ExitIntent,
    id: ClientOrderId,
    book: &InstanceBook,
    instrument: &Instrument,
    view: GateView<'_>,
) -> Result<OrderSpec, Refusal> {
    let nothing = |detail: String| refuse(ReasonCode::NothingToExit, detail);
    let position = book.position(exit.symbol()).ok_or_else(|| nothing(format!("no position in {}", exit.symbol())))?;
    if position.closing_side() != Some(exit.side()) {
        return Err(nothing(format!("the position in {} is {}", exit.symbol(), position.quantity())));
    }
    let left = position.quantity().abs() - view.ledger.reserved_by_exits(&book.id, exit.symbol());
    let quantity = instrument.round_exit(exit.quantity().min(left));
    let price = view.ledger.mark(exit.symbol()).map(|(mark, _)| mark).or_else(|| position.average_price());
    let sellable = price.is_some_and(|price| check_size(instrument, quantity, price).is_ok());
    if !sellable {
        return Err(nothing(format!("{left} of {} are left and less than the exchange takes", exit.symbol())));
    }
    Ok(OrderSpec {
        client_order_id: id,
        instance: book.id.clone(),
        symbol: exit.symbol().clone(),
        side: exit.side(),
        order_type: OrderType::Market,
        purpose: Purpose::Exit(exit.kind()),
        quantity,
        price: None,
        stop_price: None,
        time_in_force: TimeInForce::Gtc,
        reason: exit.reason(),
        oco: None,
    })
}

pub(crate) fn check_size(instrument: &Instrument, quantity: Quantity, price: Price) -> Result<(), Refusal> {
    if instrument.round_quantity(quantity) != quantity.normalized() {
        let detail = format!("quantity {quantity} is not a multiple of {}", instrument.step_size);
        return Err(refuse(ReasonCode::OffStep, detail));
    }
    instrument.check_size(quantity, price).map_err(|error| {
        let reason = match error {
            SizeError::BelowQuantityMin => ReasonCode::QuantityBelowMinimum,
            SizeError::AboveQuantityMax => ReasonCode::QuantityAboveLimit,
            SizeError::BelowNotionalMin => ReasonCode::NotionalBelowMinimum,
        };
        let (min, max) = (instrument.quantity_min, instrument.quantity_max);
        let detail =
            format!("{quantity} at {price}: the exchange takes {min} to {max}, worth {}", instrument.notional_min);
        refuse(reason, detail)
    })
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
