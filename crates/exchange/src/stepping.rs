//! Stepped pacing: the embedded simulator's time moves only when it is asked to.
//!
//! It is the one thing here that is not the exchange's protocol: the simulator's admin address. It must never be used on
//! a real exchange; there it would only get an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// How long a step may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// The simulator's time after it, in milliseconds since the epoch.
    pub time: i64,
    /// Market frames and events of accounts sent so far, by connection.
    pub frames: BTreeMap<u64, u64>,
    /// It did not move, because something that was sent has not been received.
    #[serde(default)]
    pub waiting: bool,
    /// The market has ended.
    pub done: bool,
}

/// Asks the simulator for steps.
pub struct Stepper {
    http: awc::Client,
    url: String,
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Stepper {
    /// For the simulator at `rest_url`.
    #[must_use]
    pub fn new(rest_url: &str) -> Self {
        crate::binance::install_crypto_provider();
        let http = awc::Client::builder().disable_redirects().timeout(TIMEOUT).finish();
        Self { http, url: format!("{rest_url}/admin/step") }
    }

    /// Moves the simulator to its next moment with events, unless one was sent on a connection that has had fewer than
    /// `received` says.
    ///
    /// # Errors
    /// Why it did not.
    pub async fn step(&self, received: &BTreeMap<u64, u64>) -> Result<Step, String> {
        let body = serde_json::json!({"received": received}).to_string();
        let request = self.http.post(&self.url).insert_header(("content-type", "application/json")).send_body(body);
        let mut answer = request.await.map_err(|error| format!("{}: {error}", self.url))?;
        let body = answer.body().await.map_err(|error| format!("{}: {error}", self.url))?;
        serde_json::from_slice(&body).map_err(|error| format!("{}: {error}", self.url))
    }
}
