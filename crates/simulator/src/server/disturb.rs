//! The administrator's requests that disturb: faults, maintenance, notices.
//!
//! They must never be taken in part: one bad word refuses the request.

use serde_json::Value;

use super::core::Core;
use crate::faults::fault_from_json;

/// One fault, or a list under `faults`; their times count from now on.
pub(super) fn add_faults(core: &mut Core, body: &Value) -> Result<(), String> {
    let faults = match &body["faults"] {
        Value::Null => vec![fault_from_json(body, 1)?],
        list => {
            let list = list.as_array().ok_or("\"faults\" must be a list")?;
            let read = |(number, fault)| fault_from_json(fault, number + 1);
            list.iter().enumerate().map(read).collect::<Result<_, _>>()?
        }
    };
    let now = core.now();
    for fault in faults {
        core.faults.add(fault, now);
    }
    core.run_faults(now);
    Ok(())
}

/// The fault with that `id`, or all.
pub(super) fn remove_faults(core: &mut Core, body: &Value) -> Result<(), String> {
    let id = match &body["id"] {
        Value::Null => None,
        id => Some(id.as_u64().ok_or("\"id\" must be a fault's number")?),
    };
    match (core.remove_faults(id), id) {
        (0, Some(id)) => Err(format!("there is no fault {id}")),
        _ => Ok(()),
    }
}

pub(super) fn set_maintenance(core: &mut Core, body: &Value) -> Result<(), String> {
    core.notices.is_maintenance = body["on"].as_bool().ok_or("\"on\" must be true or false")?;
    Ok(())
}

/// Announces that symbols end or begin; without `time` the notices of these symbols are taken back.
pub(super) fn announce(core: &mut Core, body: &Value, is_end: bool) -> Result<(), String> {
    let names = body["symbols"].as_array().ok_or("\"symbols\" must be a list of symbols")?;
    let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    let names = names.ok_or("\"symbols\" must be a list of texts")?;
    let time = match &body["time"] {
        Value::Null => None,
        time => Some(time.as_i64().ok_or("\"time\" must be milliseconds")?),
    };
    let notices = if is_end { &mut core.notices.delistings } else { &mut core.notices.listings };
    for symbols in notices.values_mut() {
        symbols.retain(|symbol| !names.contains(symbol));
    }
    notices.retain(|_, symbols| !symbols.is_empty());
    if let Some(time) = time {
        notices.entry(time).or_default().extend(names);
    }
    Ok(())
}
