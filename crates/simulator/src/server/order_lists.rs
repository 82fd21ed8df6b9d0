//! The endpoints of order lists: OCO, OTO, OTOCO, OPO, OPOCO, and the deprecated OCO.
//!
//! It must never touch a balance but through the model.

use domain::Timestamp;
use serde_json::{Value, json};

use super::core::Core;
use super::endpoints::in_time;
use super::params::Params;
use super::trading::ResponseKind;
use super::wire_lists::list_object;
use super::wire_orders::order_canceled;
use crate::model::{AccountId, ListShape, NewList, OrderList, OrderListId, Refusal};

/// What the lists of a request have in common.
fn place(
    core: &mut Core,
    account: &AccountId,
    params: &Params,
    shape: ListShape<'_>,
    follows_fill: bool,
) -> Result<Value, Refusal> {
    let client_id = params.list_id(&mut || core.generate_id())?;
    let kind = ResponseKind::read(params, ResponseKind::Result)?;
    let new = NewList { client_id: &client_id, shape, follows_fill };
    let (now, mut events) = (Timestamp::from_millis(core.now()), Vec::new());
    let placed = core.model.place_list(account, &new, now, &mut events)?;
    core.tell(&events, None);
    let reports = placed.orders.iter().map(|view| kind.answer(view, &events)).collect();
    Ok(list_object(&placed.list, Some(reports)))
}

pub(super) fn oco(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let pair = params.oco(&mut || core.generate_id())?;
    place(core, account, params, ListShape::Oco { above: &pair.above, below: &pair.below }, false)
}

/// `POST /order/oco`, deprecated, still in use by clients.
pub(super) fn old_oco(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    oco(core, account, &params.old_oco()?)
}

pub(super) fn oto(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    triggering(core, account, params, false)
}

pub(super) fn opo(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    triggering(core, account, params, true)
}

fn triggering(core: &mut Core, account: &AccountId, params: &Params, follows: bool) -> Result<Value, Refusal> {
    let both = params.oto(&mut || core.generate_id(), follows)?;
    place(core, account, params, ListShape::Oto { working: &both.working, pending: &both.pending }, follows)
}

pub(super) fn otoco(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    triggering_pair(core, account, params, false)
}

pub(super) fn opoco(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    triggering_pair(core, account, params, true)
}

fn triggering_pair(core: &mut Core, account: &AccountId, params: &Params, follows: bool) -> Result<Value, Refusal> {
    let all = params.otoco(&mut || core.generate_id(), follows)?;
    let shape = ListShape::Otoco { working: &all.working, above: &all.pair.above, below: &all.pair.below };
    place(core, account, params, shape, follows)
}

pub(super) fn cancel(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (symbol, list) = (params.symbol()?, params.list_ref("listClientOrderId")?);
    let cancel_id = params.client_id("newClientOrderId")?.unwrap_or_else(|| core.generate_id());
    let (now, mut events) = (Timestamp::from_millis(core.now()), Vec::new());
    let canceled = core.model.cancel_list(account, &symbol, &list, now, &mut events)?;
    core.tell(&events, Some(cancel_id.as_str()));
    let reports = canceled.orders.iter().map(|view| order_canceled(view, cancel_id.as_str())).collect();
    Ok(list_object(&canceled.list, Some(reports)))
}

pub(super) fn one(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let list = params.list_ref("origClientOrderId")?;
    core.model.order_list(account, &list).map(|list| list_object(list, None))
}

pub(super) fn open(core: &mut Core, account: &AccountId, _: &Params) -> Result<Value, Refusal> {
    let lists = core.model.order_lists(account, OrderListId(0));
    Ok(lists.filter(|list| !list.is_done()).map(|list| list_object(list, None)).collect())
}

pub(super) fn all(core: &mut Core, account: &AccountId, params: &Params) -> Result<Value, Refusal> {
    let (from, limit) = (params.id("fromId")?, params.limit(500, 1000)?);
    let has_time = params.get("startTime").is_some() || params.get("endTime").is_some();
    if from.is_some() && has_time {
        return Err(Refusal::new(-1128, "Combination of optional parameters invalid."));
    }
    let lists: Vec<&OrderList> = core.model.order_lists(account, OrderListId(from.unwrap_or_default())).collect();
    let found = match from {
        Some(_) => lists.into_iter().take(limit).collect(),
        None => in_time(params, lists, limit, |list| list.created.as_millis())?,
    };
    Ok(json!(found.into_iter().map(|list| list_object(list, None)).collect::<Vec<_>>()))
}
