//! The lock against a second process on one database.
//!
//! The kernel holds it, so that it ends with the process, however that ends; the file's text only names the holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::StoreError;

const REMEDY: &str = "Check that the directory exists and may be written";

/// Held as long as it lives.
#[derive(Debug)]
pub struct ProcessLock {
    _file: File,
}

/// The lock file of `database`.
fn path_of(database: &Path) -> PathBuf {
    database.with_extension("lock")
}

impl ProcessLock {
    /// Takes the lock of `database`; `who` is written down for whoever comes second.
    ///
    /// # Errors
    /// [`StoreError::InUse`] names the process that holds it.
    pub fn take(database: &Path, who: &str) -> Result<Self, StoreError> {
        let path = path_of(database);
        let fail = |source| StoreError::File { path: path.display().to_string(), source, remedy: REMEDY };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(fail)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(fail)?;
            return Err(StoreError::InUse { path: database.display().to_string(), holder: holder.trim().to_owned() });
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
        write!(file, "process {} ({who})", std::process::id()).map_err(fail)?;
        Ok(Self { _file: file })
    }

    /// Who holds the lock of `database` now; `None` if nobody does.
    #[must_use]
    pub fn holder(database: &Path) -> Option<String> {
        let mut file = OpenOptions::new().read(true).open(path_of(database)).ok()?;
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            return None;
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).ok()?;
        Some(holder.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_and_the_holder_named() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("portfolio.db");
        let lock = ProcessLock::take(&database, "vigia run").unwrap();
        let error = ProcessLock::take(&database, "vigia run").unwrap_err().to_string();
        assert!(error.contains(&format!("process {} (vigia run)", std::process::id())), "{error}");
        assert!(ProcessLock::holder(&database).is_some());
        drop(lock);
        assert_eq!(ProcessLock::holder(&database), None);
        ProcessLock::take(&database, "vigia run").unwrap();
    }
}
