//! The administrator's requests: state, pace, steps, crashes, deposits, statuses of symbols.
//!
//! They must never be answered to anybody who does not sit on the same machine.

use actix_web::{HttpRequest, HttpResponse, web};
use domain::{Asset, Quantity, Ratio, Symbol, SymbolStatus};
use serde_json::{Value, json};

use super::core::Core;
use super::pace::SPEED_MAX;
use super::params::admin_decimal;
use super::shared::Shared;
use crate::model::AccountId;

/// 2100-01-01: no market goes further.
const UNTIL_MAX: i64 = 4_102_444_800_000;
/// Events of a step that are applied under one hold of the lock.
const STEP_MAX: usize = 2000;

fn refused(status: actix_web::http::StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({"error": message}))
}

fn bad(message: &str) -> HttpResponse {
    refused(actix_web::http::StatusCode::BAD_REQUEST, message)
}

/// Any request below `/admin/`.
pub(super) async fn admin(request: HttpRequest, body: web::Bytes, shared: web::Data<Shared>) -> HttpResponse {
    if !request.peer_addr().is_some_and(|peer| peer.ip().is_loopback()) {
        let message = "the administrator's requests are answered on the same machine only";
        return refused(actix_web::http::StatusCode::FORBIDDEN, message);
    }
    let body: Value = if body.is_empty() {
        json!({})
    } else {
        match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(error) => return bad(&format!("the body is no JSON: {error}")),
        }
    };
    let (verb, path) = (request.method().as_str(), request.path().trim_start_matches("/admin/"));
    if (verb, path) == ("POST", "step") {
        return step(&shared, &body).await;
    }
    let mut core = shared.lock();
    let done = match (verb, path) {
        ("GET", "state") => Ok(()),
        ("POST", "state") => set_state(&mut core, &body),
        ("POST", "speed") => set_speed(&mut core, &body["speed"]),
        ("POST", "pause") => set_paused(&mut core, true),
        ("POST", "resume") => set_paused(&mut core, false),
        ("POST", "crash") => crash(&mut core, &body),
        ("POST", "deposit") => deposit(&mut core, &body),
        ("POST", "status") => set_status(&mut core, &body),
        ("GET", "faults") => Ok(()),
        ("POST", "faults") => super::disturb::add_faults(&mut core, &body),
        ("DELETE", "faults") => super::disturb::remove_faults(&mut core, &body),
        ("POST", "revoke") => text(&body, "apiKey").and_then(|key| core.revoke(key)),
        ("POST", "maintenance") => super::disturb::set_maintenance(&mut core, &body),
        ("POST", "delistings") => super::disturb::announce(&mut core, &body, true),
        ("POST", "listings") => super::disturb::announce(&mut core, &body, false),
        ("POST", "shutdown-notice") => {
            let now = core.now();
            core.hub.announce_shutdown(now);
            Ok(())
        }
        _ => {
            let known = "GET state, faults; POST state, speed, pause, resume, step, crash, deposit, status, faults, revoke, \
                         maintenance, delistings, listings, shutdown-notice; DELETE faults";
            return refused(actix_web::http::StatusCode::NOT_FOUND, &format!("unknown request; there are: {known}"));
        }
    };
    let done = done.and_then(|()| core.commit().map_err(|error| error.to_string()));
    let answer = match done {
        Ok(()) if path == "faults" => {
            let now = core.now();
            HttpResponse::Ok().json(json!({"faults": core.faults.list(now)}))
        }
        Ok(()) => HttpResponse::Ok().json(core.status()),
        Err(message) => bad(&message),
    };
    drop(core);
    shared.changed.notify_waiters();
    answer
}

fn set_state(core: &mut Core, body: &Value) -> Result<(), String> {
    if !body["speed"].is_null() {
        set_speed(core, &body["speed"])?;
    }
    match &body["paused"] {
        Value::Null => Ok(()),
        Value::Bool(paused) => set_paused(core, *paused),
        _ => Err("\"paused\" must be true or false".to_owned()),
    }
}

fn set_speed(core: &mut Core, speed: &Value) -> Result<(), String> {
    if core.clock.is_stepped() {
        return Err("time only steps here; start the simulator timed to give it a speed".to_owned());
    }
    match speed.as_f64().filter(|speed| *speed > 0.0 && *speed <= SPEED_MAX) {
        Some(speed) => {
            core.set_speed(speed);
            Ok(())
        }
        None => Err(format!("\"speed\" must be a number above 0 and at most {SPEED_MAX}")),
    }
}

fn set_paused(core: &mut Core, paused: bool) -> Result<(), String> {
    if core.clock.is_stepped() {
        return Err("time only steps here; there is nothing to pause".to_owned());
    }
    core.set_paused(paused);
    Ok(())
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, String> {
    body[name].as_str().ok_or_else(|| format!("\"{name}\" is missing or no text"))
}

fn symbol(body: &Value) -> Result<Symbol, String> {
    Symbol::new(text(body, "symbol")?).map_err(|error| error.to_string())
}

fn crash(core: &mut Core, body: &Value) -> Result<(), String> {
    let share: Ratio = admin_decimal(&body["share"]).ok_or("\"share\" must be a number: -0.3 is a fall by 30 %")?;
    core.crash(&symbol(body)?, share).map_err(|error| error.to_string())
}

fn deposit(core: &mut Core, body: &Value) -> Result<(), String> {
    let account = match (body["account"].as_str(), body["apiKey"].as_str().or(body["api_key"].as_str())) {
        (Some(account), _) => AccountId::new(account),
        (None, Some(key)) => core.keys.find(Some(key)).map_err(|refusal| refusal.to_string())?.account.clone(),
        (None, None) => return Err("name an \"account\" or an \"api_key\"".to_owned()),
    };
    let asset = Asset::new(text(body, "asset")?).map_err(|error| error.to_string())?;
    let amount: Quantity =
        admin_decimal(&body["amount"]).ok_or("\"amount\" must be a number; below zero it is taken away")?;
    core.deposit(&account, &asset, amount).map_err(|refusal| refusal.to_string())
}

fn set_status(core: &mut Core, body: &Value) -> Result<(), String> {
    let status = SymbolStatus::from(smol_str::SmolStr::new(text(body, "status")?));
    core.set_status(&symbol(body)?, status).map_err(|refusal| refusal.to_string())
}

/// How far a step goes.
#[derive(Clone, Copy)]
enum Reach {
    Events(u64),
    Until(i64),
}

fn reach(core: &Core, body: &Value) -> Result<Reach, String> {
    if !core.clock.is_stepped() {
        return Err("time runs by itself here; start the simulator stepped, or use pause and resume".to_owned());
    }
    match (&body["events"], &body["until"]) {
        (Value::Null, Value::Null) => {
            Ok(core.market.peek_time().map_or(Reach::Events(0), |next| Reach::Until(next.as_millis())))
        }
        (events, Value::Null) => {
            events.as_u64().map(Reach::Events).ok_or("\"events\" must be a whole number".to_owned())
        }
        (Value::Null, until) => {
            let until = until.as_i64().filter(|until| *until < UNTIL_MAX).map(Reach::Until);
            until.ok_or("\"until\" must be milliseconds before the year 2100".to_owned())
        }
        _ => Err("give \"events\" or \"until\", not both".to_owned()),
    }
}

/// Moves a stepped clock. Every frame is in its client's queue before this answers, however slowly the client reads.
///
/// `received` holds what a client has had so far, by connection: while anything is on its way to it nothing moves, and the
/// answer says `waiting`.
async fn step(shared: &Shared, body: &Value) -> HttpResponse {
    let (first, sent) = {
        let core = shared.lock();
        (reach(&core, body), core.hub.counts())
    };
    let had = body["received"].as_object();
    let is_on_its_way = |(id, had): (&String, &Value)| {
        let sent = id.parse().ok().and_then(|id: u64| sent.get(&id));
        sent.is_some_and(|sent| had.as_u64().is_some_and(|had| had < *sent))
    };
    if had.is_some_and(|had| had.iter().any(is_on_its_way)) {
        let time = shared.lock().now();
        return HttpResponse::Ok().json(json!({"time": time, "frames": sent, "done": false, "waiting": true}));
    }
    let mut reach = match first {
        Ok(reach) => reach,
        Err(message) => return bad(&message),
    };
    loop {
        let (is_done, delivery) = {
            let mut core = shared.lock();
            let is_done = advance(&mut core, &mut reach);
            (is_done, core.commit_taking())
        };
        let delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => return refused(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        };
        for (queue, parcel) in delivery {
            // A client that went away gets nothing; its connection's own task takes it off the list.
            let _ = queue.send(parcel).await;
        }
        if is_done {
            break;
        }
        // A long step leaves room for requests.
        tokio::task::yield_now().await;
    }
    let mut core = shared.lock();
    let done = core.market.peek_time().is_none();
    HttpResponse::Ok().json(json!({"time": core.now(), "frames": core.hub.counts(), "done": done}))
}

/// One part of a step; true when it is all.
fn advance(core: &mut Core, reach: &mut Reach) -> bool {
    match reach {
        Reach::Events(left) => {
            let part = usize::try_from(*left).unwrap_or(STEP_MAX).min(STEP_MAX);
            let released = core.release(i64::MAX, part);
            *left -= released as u64;
            *left == 0 || released == 0
        }
        Reach::Until(until) => {
            let is_done = core.release(*until, STEP_MAX) < STEP_MAX;
            if is_done {
                core.clock.step_to(*until);
            }
            is_done
        }
    }
}
