//! The safety latch on disk: a small file beside the database, which a restore does not touch.
//!
//! A tightening is in this file before it is in the journal. A file that cannot be read counts as the tightest state.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use domain::Permission;
use serde::{Deserialize, Serialize};

use crate::StoreError;

const REMEDY: &str = "Check that the disk has room, and that the directory may be written";

/// The latch file of one database.
#[derive(Debug, Clone)]
pub struct LatchFile {
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    permission: Permission,
}

impl LatchFile {
    /// The latch file beside `database`.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        Self { path: database.with_extension("latch") }
    }

    /// What it permits. No file means that nothing was ever tightened; one that cannot be read permits nothing.
    #[must_use]
    pub fn read(&self) -> Permission {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice::<Content>(&bytes).map_or(Permission::Nothing, |c| c.permission),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Permission::All,
            Err(_) => Permission::Nothing,
        }
    }

    /// Writes it, whole or not at all, and waits for the disk.
    ///
    /// # Errors
    /// Where it cannot be written; the tightening in memory holds all the same.
    pub fn write(&self, permission: Permission) -> Result<(), StoreError> {
        let fail = |source| StoreError::File { path: self.path.display().to_string(), source, remedy: REMEDY };
        let temporary = self.path.with_extension("latch.new");
        let bytes = serde_json::to_vec(&Content { permission }).expect("invariant: a permission is JSON");
        let mut file = File::create(&temporary).map_err(fail)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(fail)?;
        fs::rename(&temporary, &self.path).map_err(fail)?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i5_the_latch_survives_and_a_damaged_one_permits_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let latch = LatchFile::beside(&directory.path().join("portfolio.db"));
        assert_eq!(latch.read(), Permission::All);
        latch.write(Permission::GuardedExits).unwrap();
        assert_eq!(latch.read(), Permission::GuardedExits);
        fs::write(&latch.path, b"{\"permi").unwrap();
        assert_eq!(latch.read(), Permission::Nothing);
    }
}
