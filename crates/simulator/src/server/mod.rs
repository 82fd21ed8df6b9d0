//! A server that speaks the exchange's protocol on loopback: REST, market streams, WebSocket API, and an administrator's
//! side.
//!
//! Its time is the market's: it runs at a multiple of real time or moves by steps, and nothing is served that is ahead of
//! it. It must never be reachable from another machine by default, and never serve a time that is behind one it served
//! before, not even after a kill (see `state`).
//!
//! Order of things in one answer: what is due by the clock is released first, then the request acts, then the state is
//! written, then events and answer leave.

mod account_reads;
mod admin;
mod auth;
mod book;
mod clock;
mod config;
mod control;
mod core;
mod disturb;
mod endpoints;
mod faults;
mod feed;
mod http;
mod hub;
mod keys;
mod klines;
mod limits;
mod micros;
mod order_lists;
mod order_params;
mod pace;
mod params;
mod quotes;
mod routes;
mod sapi;
mod sessions;
mod shared;
mod state;
mod steer;
mod streams;
mod tape;
mod tell;
mod trading;
mod windows;
mod wire;
mod wire_lists;
mod wire_orders;
mod wire_symbol;
mod ws_api;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use domain::Timestamp;
use tokio::sync::oneshot;

pub use self::auth::KeyMaterial;
pub use self::config::{AccountConfig, KeyConfig, KeyPermissions, Limits, ServerConfig};
use self::core::Core;
pub use self::pace::Pace;
use self::shared::Shared;
pub use self::state::{StateError, StateSummary, peek_state};
use crate::model::Refusal;

/// The longest the pacing sleeps, so that it notices a clock that was changed.
const NAP_MAX: Duration = Duration::from_millis(250);
/// The shortest it sleeps, so that a fast market leaves time for requests.
const NAP_MIN: Duration = Duration::from_millis(1);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not there.
    #[error("the simulator cannot listen on {address}: {source}; choose another address, or port 0 for any free port")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The speed is no speed.
    #[error("the simulator's speed {0} must be above 0 and at most 1000000")]
    BadSpeed(f64),
    /// The market has no events.
    #[error("the simulator's market has no events; give it data files with rows, or a seed with symbols")]
    EmptyMarket,
    /// A key cannot be read.
    #[error(
        "a key of the simulator's account {0:?} is no public key; give PEM or base64, Ed25519 with 32 bytes or RSA with \
         at least 2048 bits"
    )]
    BadKey(String),
    /// Two keys have one name.
    #[error("a key of the simulator's account {0:?} has the name of another one; keys need names of their own")]
    SameKey(String),
    /// A deposit is impossible.
    #[error("a deposit of the simulator's account {0:?} is refused ({1}); deposits must not be below zero")]
    BadDeposit(String, Refusal),
    /// The state file cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The thread or its runtime did not come up.
    #[error("the simulator's thread did not start: {0}; see the system's limits on threads and files")]
    Thread(std::io::Error),
}

/// A server that runs; dropping it stops it.
pub struct ServerHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The market's time now.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.shared.lock().now())
    }

    /// Ends all connections, writes the state with its exact time, and waits until all of it is done.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only when the thread has ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the simulator's thread ended by a panic");
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a server in a thread of its own; it answers when this returns.
///
/// # Errors
/// The address, the accounts or the state file cannot be used.
pub fn start(config: ServerConfig) -> Result<ServerHandle, ServerError> {
    if let Pace::Timed { speed } = config.pace
        && !(speed > 0.0 && speed <= pace::SPEED_MAX)
    {
        return Err(ServerError::BadSpeed(speed));
    }
    let bind_error = |source| ServerError::Bind { address: config.bind, source };
    let listener = TcpListener::bind(config.bind).map_err(bind_error)?;
    let address = listener.local_addr().map_err(bind_error)?;
    let shared = web::Data::new(Shared::new(Core::new(config)?));
    let kept = shared.clone().into_inner();
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    let run = move || actix_rt::System::new().block_on(serve(listener, shared, ready, stopped));
    let thread = std::thread::Builder::new().name("simulator".into()).spawn(run).map_err(ServerError::Thread)?;
    let handle = ServerHandle { address, shared: kept, stop: Some(stop), thread: Some(thread) };
    match is_ready.recv() {
        Ok(Ok(())) => Ok(handle),
        Ok(Err(error)) => Err(ServerError::Thread(error)),
        Err(_) => Err(ServerError::Thread(std::io::Error::other("it ended at once"))),
    }
}

/// The server's thread: from listening to the last write.
async fn serve(
    listener: TcpListener,
    shared: web::Data<Shared>,
    ready: mpsc::Sender<Result<(), std::io::Error>>,
    stopped: oneshot::Receiver<()>,
) {
    let data = shared.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/ws", web::get().to(streams::market))
            .route("/ws/{stream:.*}", web::get().to(streams::market))
            .route("/stream", web::get().to(streams::market))
            .route("/ws-api/v3", web::get().to(ws_api::api))
            .route("/admin/{request:.*}", web::route().to(admin::admin))
            .default_service(web::route().to(http::rest))
    })
    .workers(1)
    .on_connect(http::keep_socket)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener);
    let server = match server {
        Ok(server) => server.run(),
        Err(error) => return drop(ready.send(Err(error))),
    };
    let handle = server.handle();
    actix_rt::spawn(server);
    let pacing = actix_rt::spawn(keep_pace(shared.clone().into_inner()));
    let _ = ready.send(Ok(()));
    // An error means that the handle is gone, which is a stop too.
    let _ = stopped.await;
    pacing.abort();
    shared.lock().hub.disconnect_all();
    shared.closing.notify_waiters();
    handle.stop(true).await;
    let saved = shared.lock().save_exact();
    if let Err(error) = saved {
        tracing::error!(%error, "the simulator stopped without its last state");
    }
}

/// Releases events as their time comes.
async fn keep_pace(shared: Arc<Shared>) {
    loop {
        let nap = {
            let mut core = shared.lock();
            if let Err(error) = core.commit() {
                tracing::error!(%error, "events are withheld: their state is not written");
            }
            core.until_next().unwrap_or(NAP_MAX)
        };
        tokio::select! {
            () = tokio::time::sleep(nap.clamp(NAP_MIN, NAP_MAX)) => {}
            () = shared.changed.notified() => {}
        }
    }
}

#[cfg(test)]
mod trading_tests;
