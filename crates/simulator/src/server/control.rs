//! The requests of a market stream connection: SUBSCRIBE and its kin.
//!
//! It must never end a connection because of a name it does not know.

use serde_json::{Value, json};

use super::hub::ConnectionId;
use super::shared::Shared;

fn error(id: &Value, code: u8, message: &str) -> Value {
    json!({"code": code, "msg": message, "id": id})
}

/// A request that cannot be read.
pub(super) fn invalid(id: &Value, message: &str) -> Value {
    error(id, 2, &format!("Invalid request: {message}"))
}

/// The longest text that is an id.
const ID_MAX: usize = 36;

fn is_id(id: &Value) -> bool {
    match id {
        Value::Null => true,
        Value::Number(number) => number.is_i64(),
        // The documentation says letters and digits; the official SDK sends UUIDs, so the dash must pass too.
        Value::String(text) => {
            text.len() <= ID_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY.
pub(super) fn control(shared: &Shared, connection: ConnectionId, text: &str) -> Value {
    let request = match serde_json::from_str::<Value>(text) {
        Ok(request) => request,
        Err(cause) => return error(&Value::Null, 3, &format!("Invalid JSON: {cause}")),
    };
    let id = &request["id"];
    if !is_id(id) {
        return invalid(&Value::Null, "request ID must be an unsigned integer, a short text, or null");
    }
    let params = request["params"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Option<Vec<&str>> = params.iter().map(Value::as_str).collect();
    let mut core = shared.lock();
    let result = match (request["method"].as_str(), names) {
        (Some("SUBSCRIBE"), Some(streams)) => {
            let known = core.hub.streams(connection);
            let new = streams.iter().filter(|stream| !known.iter().any(|known| known == *stream)).count();
            if known.len() + new > core.meter.limits().streams_max {
                return invalid(id, &format!("a connection has at most {} streams", core.meter.limits().streams_max));
            }
            streams.iter().for_each(|stream| core.hub.subscribe(connection, stream));
            Value::Null
        }
        (Some("UNSUBSCRIBE"), Some(streams)) => {
            streams.iter().for_each(|stream| core.hub.unsubscribe(connection, stream));
            Value::Null
        }
        (Some("SUBSCRIBE" | "UNSUBSCRIBE"), None) => return invalid(id, "params must be an array of stream names"),
        (Some("LIST_SUBSCRIPTIONS"), _) => json!(core.hub.streams(connection)),
        (Some("GET_PROPERTY"), Some(names)) => match names[..] {
            ["combined"] => json!(core.hub.is_combined(connection)),
            _ => return error(id, 0, "Unknown property"),
        },
        (Some("GET_PROPERTY"), None) => return invalid(id, "property name must be a string"),
        (Some("SET_PROPERTY"), _) => match params {
            [Value::String(name), value] if name == "combined" => match value.as_bool() {
                Some(is_combined) => {
                    core.hub.set_combined(connection, is_combined);
                    Value::Null
                }
                None => return error(id, 1, "Invalid value type: expected Boolean"),
            },
            [Value::String(_), _] => return error(id, 0, "Unknown property"),
            _ => return invalid(id, "property name must be a string"),
        },
        (Some(_), _) => {
            return invalid(
                id,
                "unknown variant; expected SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY or GET_PROPERTY",
            );
        }
        (None, _) => return invalid(id, "missing field `method`"),
    };
    json!({"result": result, "id": id})
}
