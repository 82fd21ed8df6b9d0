//! The endpoints of single orders: place, test, cancel, cancel and replace, reduce.
//!
//! It must never touch a balance but through the model.

use domain::{OrderType, Symbol, Timestamp};
use serde_json::{Value, json};

use super::account_reads::commission_rates;
use super::core::Core;
use super::params::Params;
use super::shared::error_body;
use super::wire_lists::{list_object, list_status};
use super::wire_orders::{order_ack, order_amended, order_canceled, order_result};
use crate::model::{AccountId, ListRef, ModelEvent, NewOrder, OrderRef, OrderView, Refusal};

/// How much an answer to a placement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseKind {
    Ack,
    Result,
    Full,
}

impl ResponseKind {
    /// What is asked for, or `default`.
    pub(super) fn read(params: &Params, default: ResponseKind) -> Result<Self, Refusal> {
        match params.get("newOrderRespType") {
            None => Ok(default),
            Some("ACK") => Ok(Self::Ack),
            Some("RESULT") => Ok(Self::Result),
            Some("FULL") => Ok(Self::Full),
            Some(_) => Err(Refusal::new(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")),
        }
    }

    fn of(params: &Params, order: &NewOrder) -> Result<Self, Refusal> {
        let is_full = matches!(order.order_type, OrderType::Limit | OrderType::Market);
        Self::read(params, if is_full { Self::Full } else { Self::Ack })
    }

    /// The answer about an order that was placed; `events` is what happened meanwhile.
    pub(super) fn answer(self, view: &OrderView, events: &[ModelEvent]) -> Value {
        match self {
            Self::Ack => order_ack(view),
            Self::Result => order_result(view, None),
            Self::Full => {
                let id = view.order_id;
                let mut fills = Vec::new();
                let mut prevented = Vec::new();
                for event in events {
                    match event {
                        ModelEvent::Fill { fill, .. } if fill.exchange_order_id == id => fills.push(fill.clone()),
                        ModelEvent::Prevented { prevented: one, .. } if one.taker == id && !prevented.contains(one) => {
                            prevented.push(one.clone());
                        }
                        ModelEvent::Fill { .. }
                        | ModelEvent::Prevented { .. }
                        | ModelEvent::Order { .. }
                        | ModelEvent::Amended { .. }
                        | ModelEvent::List { .. }
                        | ModelEvent::Balances { .. }
                        | ModelEvent::BalanceUpdate { .. }
                        | ModelEvent::ExternalLock { .. } => {}
                    }
                }
                order_result(view, Some((&fills, &prevented)))
            }
        }
    }
}

fn now(core: &mut Core) -> Timestamp {
    Timestamp::from_millis(core.now())
}

pub(super) fn place(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let order = params.new_order(&mut || core.generate_id())?;
    let kind = ResponseKind::of(params, &order)?;
    let (now, mut events) = (now(core), Vec::new());
    let view = core.model.place(account, &order, now, &mut events)?;
    core.tell(&events, None);
    Ok(kind.answer(&view, &events))
}

pub(super) fn test(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let order = params.new_order(&mut || core.generate_id())?;
    ResponseKind::of(params, &order)?;
    core.model.test(account, &order)?;
    if !params.flag("computeCommissionRates")? {
        return Ok(json!({}));
    }
    let [standard, special, tax] = commission_rates(core.model.settings(), false);
    Ok(json!({
        "standardCommissionForOrder": standard, "specialCommissionForOrder": special, "taxCommissionForOrder": tax,
        "discount": super::account_reads::discount(),
    }))
}

/// The order that is meant; where both ids are given they must agree.
pub(super) fn meant(core: &Core, account: &AccountId, params: &Params) -> Result<(Symbol, OrderRef), Refusal> {
    let (symbol, order) = (params.symbol()?, params.order_ref()?);
    let agrees = agreed(core, account, &symbol, &order, params, "origClientOrderId")?;
    if agrees { Ok((symbol, order)) } else { Err(disagreed()) }
}

fn disagreed() -> Refusal {
    Refusal::new(-2039, "Client order ID is not correct for this order ID.")
}

fn agreed(
    core: &Core,
    account: &AccountId,
    symbol: &Symbol,
    order: &OrderRef,
    params: &Params,
    client: &str,
) -> Result<bool, Refusal> {
    let (OrderRef::Exchange(_), Some(client)) = (order, params.client_id(client)?) else { return Ok(true) };
    Ok(core.model.order(account, symbol, order).is_ok_and(|found| found.client_order_id == client)
        || core.model.order(account, symbol, order).is_err())
}

pub(super) fn cancel(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, order) = meant(core, account, params)?;
    let restriction = params.cancel_restriction()?;
    let cancel_id = params.client_id("newClientOrderId")?.unwrap_or_else(|| core.generate_id());
    let (now, mut events) = (now(core), Vec::new());
    let view = core.model.cancel_if(account, &symbol, &order, restriction, now, &mut events)?;
    core.tell(&events, Some(cancel_id.as_str()));
    Ok(order_canceled(&view, cancel_id.as_str()))
}

pub(super) fn cancel_all(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let symbol = params.symbol()?;
    let (now, mut events) = (now(core), Vec::new());
    let views = core.model.cancel_all(account, &symbol, now, &mut events)?;
    let cancel_id = core.generate_id();
    core.tell(&events, Some(cancel_id.as_str()));
    let report = |view: &OrderView| order_canceled(view, cancel_id.as_str());
    let mut answers = Vec::new();
    for (index, view) in views.iter().enumerate() {
        let Some(list_id) = view.list_id else {
            answers.push(report(view));
            continue;
        };
        if views[..index].iter().any(|earlier| earlier.list_id == Some(list_id)) {
            continue;
        }
        let reports = views.iter().filter(|view| view.list_id == Some(list_id)).map(report).collect();
        let list = core.model.order_list(account, &ListRef::Exchange(list_id))?;
        answers.push(list_object(list, Some(reports)));
    }
    Ok(json!(answers))
}

/// Cancels first, then places; where only one of the two succeeds the answer is a refusal that has both.
pub(super) fn cancel_replace(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let stops = match params.need("cancelReplaceMode")? {
        "STOP_ON_FAILURE" => true,
        "ALLOW_FAILURE" => false,
        _ => return Err(Refusal::new(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")),
    };
    let order = params.new_order(&mut || core.generate_id())?;
    let kind = ResponseKind::of(params, &order)?;
    // Filters and the symbol's state are judged before anything is done.
    core.model.check_before(account, &order)?;
    let canceled = cancel_part(core, account, params, &order.symbol)?;
    let placed = if canceled.is_err() && stops {
        None
    } else {
        let (now, mut events) = (now(core), Vec::new());
        let placed = core.model.place(account, &order, now, &mut events);
        core.tell(&events, None);
        Some(placed.map(|view| kind.answer(&view, &events)))
    };
    let parts = json!({
        "cancelResult": if canceled.is_ok() { "SUCCESS" } else { "FAILURE" },
        "newOrderResult": match &placed {
            None => "NOT_ATTEMPTED",
            Some(Ok(_)) => "SUCCESS",
            Some(Err(_)) => "FAILURE",
        },
        "cancelResponse": canceled.as_ref().map_or_else(error_body, Value::clone),
        "newOrderResponse": placed.as_ref().map(|placed| placed.as_ref().map_or_else(error_body, Value::clone)),
    });
    let refused = |code, text| Err(Refusal { data: Some(Box::new(parts.clone())), ..Refusal::new(code, text) });
    match (canceled, placed) {
        (Ok(_), Some(Ok(_))) => Ok(parts),
        (Err(_), None | Some(Err(_))) => refused(-2022, "Order cancel-replace failed."),
        (Ok(_), _) | (Err(_), Some(Ok(_))) => refused(-2021, "Order cancel-replace partially failed."),
    }
}

/// The cancelling half; the outer error is one of the request itself, before anything was done.
fn cancel_part(
    core: &mut Core,
    account: &AccountId,
    params: &Params,
    symbol: &Symbol,
) -> Result<Result<Value, Refusal>, Refusal> {
    let restriction = params.cancel_restriction()?;
    let client = params.client_id("cancelOrigClientOrderId")?;
    let order = match (params.id("cancelOrderId")?, client) {
        (Some(id), _) => OrderRef::Exchange(domain::ExchangeOrderId(id)),
        (None, Some(client)) => OrderRef::Client(client),
        (None, None) => {
            let text = "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!";
            return Err(Refusal::new(-1102, text));
        }
    };
    let cancel_id = params.client_id("cancelNewClientOrderId")?.unwrap_or_else(|| core.generate_id());
    if !agreed(core, account, symbol, &order, params, "cancelOrigClientOrderId")? {
        return Ok(Err(disagreed()));
    }
    let (now, mut events) = (now(core), Vec::new());
    let canceled = core.model.cancel_if(account, symbol, &order, restriction, now, &mut events);
    core.tell(&events, Some(cancel_id.as_str()));
    Ok(canceled.map(|view| order_canceled(&view, cancel_id.as_str())))
}

pub(super) fn amend(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, order) = meant(core, account, params)?;
    let quantity = params.quantity("newQty")?.ok_or_else(|| Refusal::missing("newQty"))?;
    let client_id = params.client_id("newClientOrderId")?.unwrap_or_else(|| core.generate_id());
    let (now, mut events) = (now(core), Vec::new());
    let (view, original) = core.model.amend(account, &symbol, &order, (quantity, &client_id), now, &mut events)?;
    // The amendment is the first of the events, so its execution has the next number.
    let execution_id = core.execution_id + 1;
    core.tell(&events, None);
    let mut answer = json!({
        "transactTime": now.as_millis(), "executionId": execution_id,
        "amendedOrder": order_amended(&view, original.as_str()),
    });
    if let Some(id) = view.list_id {
        answer["listStatus"] = list_status(core.model.order_list(account, &ListRef::Exchange(id))?);
    }
    Ok(answer)
}
