//! What the protocol's answers and events about order lists look like: written by hand from its documentation.
//!
//! It must never reuse the vocabulary's own serialization, so that a misreading there is not mirrored here.

use serde_json::{Value, json};

use super::wire::put;
use crate::model::{Contingency, ListStatus, OrderList};

fn contingency_text(contingency: Contingency) -> &'static str {
    match contingency {
        Contingency::Oco => "OCO",
        Contingency::Oto => "OTO",
    }
}

/// `listStatusType` and `listOrderStatus`.
fn status_texts(status: ListStatus) -> (&'static str, &'static str) {
    match status {
        ListStatus::ExecStarted => ("EXEC_STARTED", "EXECUTING"),
        ListStatus::Updated => ("UPDATED", "EXECUTING"),
        ListStatus::AllDone => ("ALL_DONE", "ALL_DONE"),
    }
}

/// A list as a query answers it, with the reports of its orders where it is an answer to a placement or a cancel.
pub(super) fn list_object(list: &OrderList, reports: Option<Vec<Value>>) -> Value {
    let (status, order_status) = status_texts(list.status);
    let symbol = list.symbol.as_str();
    let orders = list
        .legs
        .iter()
        .map(|leg| json!({"symbol": symbol, "orderId": leg.order_id.0, "clientOrderId": leg.client_order_id.as_str()}));
    let mut value = json!({
        "orderListId": list.id.0,
        "contingencyType": contingency_text(list.contingency),
        "listStatusType": status,
        "listOrderStatus": order_status,
        "listClientOrderId": list.client_id.as_str(),
        "transactionTime": list.updated.as_millis(),
        "symbol": symbol,
        "orders": orders.collect::<Vec<_>>(),
    });
    if let Some(reports) = reports {
        put(&mut value, "orderReports", json!(reports));
    }
    value
}

/// The list of an answer to an amendment, which leaves two fields out.
pub(super) fn list_status(list: &OrderList) -> Value {
    let mut value = list_object(list, None);
    if let Some(object) = value.as_object_mut() {
        object.remove("listStatusType");
        object.remove("transactionTime");
    }
    value
}

/// The event of a list.
pub(super) fn list_event(list: &OrderList) -> Value {
    let (status, order_status) = status_texts(list.status);
    let (symbol, time) = (list.symbol.as_str(), list.updated.as_millis());
    let orders = list
        .legs
        .iter()
        .map(|leg| json!({"s": symbol, "i": leg.order_id.0, "c": leg.client_order_id.as_str()}))
        .collect::<Vec<_>>();
    json!({
        "e": "listStatus", "E": time, "s": symbol, "g": list.id.0, "c": contingency_text(list.contingency),
        "l": status, "L": order_status, "r": "NONE", "C": list.client_id.as_str(), "T": time, "O": orders,
    })
}
