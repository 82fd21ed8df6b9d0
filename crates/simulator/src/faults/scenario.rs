//! A scenario: a seed and a list of faults, read from a TOML file.
//!
//! It must never be taken in part: one bad word refuses the file, and the error says which and what is allowed.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::kind::Fault;
use super::read::fault_from_json;

/// Faults that belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scenario {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("the scenario {path} cannot be read: {source}; check the name and its permissions")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML.
    #[error("the scenario {path} is no TOML: {source}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// It says something that there is not.
    #[error("the scenario {path}: {message}")]
    Word {
        /// Which file.
        path: PathBuf,
        /// The key, and what is allowed.
        message: String,
    },
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has a key or value that there is not.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads a text; `path` is for the errors.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ScenarioError> {
        let syntax = |source| ScenarioError::Syntax { path: path.to_owned(), source };
        let value: Value = toml::from_str(text).map_err(syntax)?;
        from_value(&value).map_err(|message| ScenarioError::Word { path: path.to_owned(), message })
    }
}

fn from_value(value: &Value) -> Result<Scenario, String> {
    let table = value.as_object().ok_or("a scenario is a table")?;
    if let Some(key) = table.keys().find(|key| !["seed", "fault"].contains(&key.as_str())) {
        return Err(format!("unknown key `{key}`; a scenario has `seed` and `[[fault]]`"));
    }
    let seed = match table.get("seed") {
        None => 0,
        Some(seed) => seed.as_u64().ok_or("`seed` must be a whole number that is not below zero")?,
    };
    let faults = match table.get("fault") {
        None => &Vec::new(),
        Some(faults) => faults.as_array().ok_or("`fault` must be written as `[[fault]]`")?,
    };
    let read = |(number, fault): (usize, &Value)| fault_from_json(fault, number + 1);
    Ok(Scenario { seed, faults: faults.iter().enumerate().map(read).collect::<Result<_, _>>()? })
}
