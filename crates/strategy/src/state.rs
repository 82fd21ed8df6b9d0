//! Saving and restoring a strategy: the state together with the configuration that it belongs to.
//!
//! It must never restore a state under another configuration, nor half of one.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::StrategyConfig;

/// Why a saved state cannot be continued. The strategy then has to warm up again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It is no state of this kind of strategy.
    #[error("the saved state of the strategy cannot be read: {0}")]
    Malformed(String),
    /// It was saved under another configuration, so that its numbers mean something else.
    #[error("the saved state belongs to the configuration {saved}, but the strategy has {configured}")]
    OtherConfiguration {
        /// The configuration in the saved state, as JSON.
        saved: String,
        /// The configuration of the strategy that should continue, as JSON.
        configured: String,
    },
}

/// A state as it is persisted. The configuration is kept as text, because text is equal exactly where the numbers are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved<S> {
    config: String,
    state: S,
}

fn fingerprint(config: &StrategyConfig) -> String {
    serde_json::to_string(config).expect("invariant: a configuration has only plain fields, which JSON can hold")
}

/// `state` with the configuration it belongs to.
pub(crate) fn save<S: Serialize>(config: &StrategyConfig, state: &S) -> Value {
    serde_json::to_value(Saved { config: fingerprint(config), state })
        .expect("invariant: a state has only plain fields, which JSON can hold")
}

/// The state in `saved`, if it belongs to `config`.
pub(crate) fn restore<S: DeserializeOwned>(config: &StrategyConfig, saved: &Value) -> Result<S, StateError> {
    let malformed = |error: serde_json::Error| StateError::Malformed(error.to_string());
    let outer = Saved::<Value>::deserialize(saved).map_err(malformed)?;
    let configured = fingerprint(config);
    if outer.config != configured {
        return Err(StateError::OtherConfiguration { saved: outer.config, configured });
    }
    S::deserialize(outer.state).map_err(malformed)
}
