//! Keys from files and from the environment.
//!
//! It must never take a secret from a file that others of the machine can read, nor show any of it in an error.

use std::path::{Path, PathBuf};

use super::sign::{Credentials, KeyError, Secret};

/// The largest file that can be a key, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// A file cannot be read.
    #[error("the key file {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// Others can read or write a file.
    #[error("the key file {path} is open to others (mode {mode:o}): run `chmod 600 {path}`, and make a new key")]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file is no plain file, or far too large for a key.
    #[error("the key file {path} is no plain file of at most 16 KiB: name the file that has the key alone")]
    NoKeyFile {
        /// Which.
        path: PathBuf,
    },
    /// A variable is absent, or no text.
    #[error("the environment variable {name} is not set: set it, or name a key file in the configuration")]
    Variable {
        /// Which.
        name: String,
    },
    /// What was read is no key.
    #[error("{place}: {reason}")]
    Key {
        /// Where it was read.
        place: String,
        /// What is wrong with it.
        reason: KeyError,
    },
}

impl Credentials {
    /// From two files: the API key, and the secret (any text that [`Secret::from_text`] takes).
    ///
    /// # Errors
    /// Which file, and what to do about it.
    pub fn from_files(api_key: &Path, secret: &Path) -> Result<Self, KeySourceError> {
        let at = |path: &Path| path.display().to_string();
        let (api_key_text, secret_text) = (key_file(api_key)?, key_file(secret)?);
        make(&api_key_text, &at(api_key), &secret_text, &at(secret))
    }

    /// From two variables, by their names. `variable` is `std::env::var` but for tests.
    ///
    /// # Errors
    /// Which variable, and what to do about it.
    pub fn from_variables(
        api_key: &str,
        secret: &str,
        variable: impl Fn(&str) -> Result<String, std::env::VarError>,
    ) -> Result<Self, KeySourceError> {
        let read = |name: &str| variable(name).map_err(|_| KeySourceError::Variable { name: name.to_owned() });
        make(&read(api_key)?, api_key, &read(secret)?, secret)
    }
}

fn make(api_key: &str, key_place: &str, secret: &str, secret_place: &str) -> Result<Credentials, KeySourceError> {
    let at = |place: &str| {
        let place = place.to_owned();
        move |reason| KeySourceError::Key { place, reason }
    };
    let secret = Secret::from_text(secret).map_err(at(secret_place))?;
    Credentials::new(api_key, secret).map_err(at(key_place))
}

/// The text of a key file that only its owner can open.
fn key_file(path: &Path) -> Result<String, KeySourceError> {
    use std::io::Read;
    let unreadable = |reason| KeySourceError::File { path: path.to_owned(), reason };
    // Opened once: what is checked is what is read.
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(KeySourceError::NoKeyFile { path: path.to_owned() });
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeySourceError::Open { path: path.to_owned(), mode });
        }
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_open_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (key, secret) = (file("key", "abc\n", 0o600), file("secret", "very secret\n", 0o400));
        let credentials = Credentials::from_files(&key, &secret).unwrap();
        assert_eq!(credentials.api_key(), "abc");
        for mode in [0o640, 0o604, 0o620, 0o666] {
            let error = Credentials::from_files(&key, &file("secret", "very secret", mode)).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && !error.contains("very secret"), "{error}");
            std::fs::remove_file(&secret).unwrap();
        }
        let error = Credentials::from_files(&key, &file("secret", "  ", 0o600)).unwrap_err().to_string();
        assert!(error.ends_with("secret: the secret is empty"), "{error}");
        let large = file("large", &"x".repeat(17 * 1024), 0o600);
        for wrong in [large.as_path(), directory.path()] {
            let error = Credentials::from_files(&key, wrong).unwrap_err();
            assert!(matches!(error, KeySourceError::NoKeyFile { .. }), "{error}");
        }
        let error = Credentials::from_files(&directory.path().join("absent"), &key).unwrap_err();
        assert!(matches!(error, KeySourceError::File { .. }), "{error}");
    }

    #[test]
    fn variables_are_named_where_they_are_absent() {
        let variable = |name: &str| match name {
            "KEY" => Ok("abc".into()),
            "SECRET" => Ok("very secret".into()),
            _ => Err(std::env::VarError::NotPresent),
        };
        assert!(Credentials::from_variables("KEY", "SECRET", variable).is_ok());
        let error = Credentials::from_variables("KEY", "OTHER", variable).unwrap_err().to_string();
        assert!(error.contains("OTHER") && !error.contains("abc"), "{error}");
    }
}
