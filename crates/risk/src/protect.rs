//! How the gate makes the protective exit of a position rest on the exchange: one stop, or a stop and a target as a
//! one-cancels-the-other list.
//!
//! It must never reserve more than is held, nor make a list that the exchange does not take on the symbol: what cannot
//! rest is refused with its reason, and is watched by the Executor.

use domain::{
    ClientOrderId, ExitKind, Instrument, OrderSpec, OrderType, Price, Purpose, Quantity, ReasonCode, Side, Symbol,
    TimeInForce, Timestamp,
};
use ledger::Order;

use crate::gate::{Gate, GateView, Refusal, check_permission, check_size, refuse, tradable};
use crate::{ApprovedOrder, ProtectIntent, Protection, ProtectionStyle};

/// Share of an entry that a commission in the base asset may take, and that its stop then does not have: 0.2 %.
const COMMISSION_PERCENT_MAX: (i64, u32) = (2, 3);

impl Gate {
    /// Approves the protective exit of `intent`: the stop as the first id, the target, where there is one and the
    /// exchange takes lists, as the second.
    ///
    /// # Errors
    /// The first reason against it, with its values.
    pub fn approve_protection(
        &mut self,
        intent: &ProtectIntent,
        ids: [ClientOrderId; 2],
        view: GateView<'_>,
        now: Timestamp,
    ) -> Result<ApprovedOrder, Refusal> {
        let purpose = Purpose::Exit(ExitKind::Protective);
        let book = view.ledger.instance(intent.instance()).ok_or_else(|| {
            refuse(ReasonCode::NotPermitted, format!("instance {} is not configured", intent.instance()))
        })?;
        check_permission(purpose, intent.symbol(), book, view)?;
        let instrument = tradable(intent.symbol(), view)?;
        let held = book.position(intent.symbol()).filter(|position| position.closing_side() == Some(intent.side()));
        let reserved = view.ledger.reserved_by_exits(&book.id, intent.symbol());
        let left = held.map_or(Quantity::ZERO, |position| position.quantity().abs()) - reserved;
        let quantity = instrument.round_exit(intent.quantity().min(left));
        let Protection { stop, take_profit, .. } = intent.protection();
        check_size(instrument, quantity, stop)?;
        slot_is_free(instrument, 0, view)?;
        let [stop_id, target_id] = ids;
        let (order_type, limit) = self.stop_leg(instrument, intent.side(), stop)?;
        let stop_leg = OrderSpec {
            client_order_id: stop_id.clone(),
            instance: book.id.clone(),
            symbol: intent.symbol().clone(),
            side: intent.side(),
            order_type,
            purpose,
            quantity,
            price: limit,
            stop_price: Some(stop),
            time_in_force: TimeInForce::Gtc,
            reason: ReasonCode::ExitStopLoss,
            oco: None,
        };
        let lists = instrument.filters.oco_allowed && instrument.order_types.contains(&OrderType::LimitMaker);
        let mark = view.ledger.mark(intent.symbol()).map_or(stop, |(mark, _)| mark);
        let taken = |price: Price| instrument.check_filters(intent.side(), quantity, Some(price), mark);
        taken(limit.unwrap_or(stop)).map_err(|reason| {
            refuse(reason, format!("a stop at {stop}: the exchange's filters do not take it near {mark}"))
        })?;
        let rests = |target: &Price| check_size(instrument, quantity, *target).is_ok() && taken(*target).is_ok();
        let target = take_profit.filter(|target| lists && rests(target));
        let target_leg = target.map(|target| OrderSpec {
            client_order_id: target_id,
            order_type: OrderType::LimitMaker,
            price: Some(target),
            stop_price: None,
            reason: ReasonCode::ExitTakeProfit,
            oco: Some(stop_id),
            ..stop_leg.clone()
        });
        let oco = target_leg.as_ref().map(|target| target.client_order_id.clone());
        let stop_leg = OrderSpec { oco, ..stop_leg };
        let expires_at = now + self.limits().approval_validity_ms;
        let approved = ApprovedOrder::new(stop_leg, None, intent.correlation_id(), expires_at, view.latch);
        Ok(approved.with_oco_leg(target_leg))
    }

    /// A stop that becomes a market order where the symbol has it; else one with a limit `stop_limit_slack` beyond it,
    /// which the Executor replaces by a market order where it does not fill in time.
    fn stop_leg(
        &self,
        instrument: &Instrument,
        side: Side,
        stop: Price,
    ) -> Result<(OrderType, Option<Price>), Refusal> {
        if instrument.order_types.contains(&OrderType::StopLoss) {
            return Ok((OrderType::StopLoss, None));
        }
        let unsupported = |detail: String| refuse(ReasonCode::OrderTypeUnsupported, detail);
        if !instrument.order_types.contains(&OrderType::StopLossLimit) {
            return Err(unsupported(format!("{} takes no stop orders", instrument.symbol)));
        }
        let slack = self.limits().stop_limit_slack;
        let limit = match side {
            Side::Sell => stop.moved_by(-slack).and_then(|limit| limit.floor_to(instrument.tick_size)),
            Side::Buy => stop.moved_by(slack).and_then(|limit| limit.ceil_to(instrument.tick_size)),
        };
        let limit = limit.ok_or_else(|| unsupported(format!("no limit can be placed beyond the stop {stop}")))?;
        Ok((OrderType::StopLossLimit, Some(limit)))
    }
}

/// What an entry needs for its protective exit to rest: a free slot for an order with a trigger, and a stop that is
/// worth enough for the exchange to take it.
pub(crate) fn protectable(
    instrument: &Instrument,
    protection: Protection,
    quantity: Quantity,
    view: GateView<'_>,
) -> Result<(), Refusal> {
    match protection.style {
        ProtectionStyle::Local => return Ok(()),
        ProtectionStyle::Resting => {}
    }
    let on_symbol = |order: &&Order| order.spec.symbol == instrument.symbol && order.spec.purpose == Purpose::Entry;
    slot_is_free(instrument, view.ledger.open_orders().filter(on_symbol).count(), view)?;
    if !instrument
        .order_types
        .iter()
        .any(|order_type| matches!(order_type, OrderType::StopLoss | OrderType::StopLossLimit))
    {
        let detail = format!("{} takes no stop orders; configure protection = \"local\"", instrument.symbol);
        return Err(refuse(ReasonCode::OrderTypeUnsupported, detail));
    }
    let (share, scale) = COMMISSION_PERCENT_MAX;
    let kept = quantity.value() * (domain::Decimal::ONE - domain::Decimal::new(share, scale));
    let kept = instrument.round_quantity(Quantity::new(kept).unwrap_or_default());
    check_size(instrument, kept, protection.stop).map_err(|refusal| {
        refuse(ReasonCode::ProtectionInvalid, format!("the stop would be too small: {}", refusal.detail))
    })
}

/// Whether one more order with a trigger may be open on the symbol, beside `promised` that entries at work will need.
fn slot_is_free(instrument: &Instrument, promised: usize, view: GateView<'_>) -> Result<(), Refusal> {
    let max = instrument.filters.algo_orders_max as usize;
    let taken = triggers(&instrument.symbol, view) + promised;
    if max > 0 && taken >= max {
        let detail = format!("{taken} of {max} orders with a trigger are open or promised on {}", instrument.symbol);
        return Err(refuse(ReasonCode::NoProtectionSlot, detail));
    }
    Ok(())
}

fn triggers(symbol: &Symbol, view: GateView<'_>) -> usize {
    let has = |order: &&Order| {
        order.spec.symbol == *symbol && order.spec.order_type.has_trigger() && !order.state().is_final()
    };
    view.ledger.open_orders().filter(has).count()
}
