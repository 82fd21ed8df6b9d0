//! The end of a ban, in a file of its own: a restart must not ask an exchange that has banned the address (I9).
//!
//! It must never shorten a ban, nor keep a start from happening: what cannot be read is told, and counts as no ban.

use std::path::PathBuf;

use domain::Timestamp;

/// The file.
#[derive(Debug, Clone)]
pub struct BanFile(PathBuf);

impl BanFile {
    /// At this place; it need not exist.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Until when the address is banned, in exchange time.
    #[must_use]
    pub fn read(&self) -> Option<Timestamp> {
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(path = %self.0.display(), %error, "the file of bans cannot be read; none is assumed");
                return None;
            }
        };
        let until = text.trim().parse().ok().map(Timestamp::from_millis);
        if until.is_none() {
            tracing::error!(path = %self.0.display(), "the file of bans holds no time; none is assumed");
        }
        until
    }

    /// Keeps the end of a ban; `None` removes the file. It is replaced whole, and durable when this returns.
    pub fn write(&self, until: Option<Timestamp>) {
        let result = match until {
            None => match std::fs::remove_file(&self.0) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            },
            Some(until) => self.replace(until),
        };
        if let Err(error) = result {
            tracing::error!(path = %self.0.display(), %error, "the end of a ban could not be kept; a restart would not know it");
        }
    }

    fn replace(&self, until: Timestamp) -> std::io::Result<()> {
        use std::io::Write as _;
        let new = self.0.with_extension("new");
        let mut file = std::fs::File::create(&new)?;
        writeln!(file, "{}", until.as_millis())?;
        file.sync_all()?;
        std::fs::rename(&new, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_a_ban_outlives_the_process_and_damage_is_no_ban() {
        let directory = tempfile::tempdir().unwrap();
        let file = BanFile::at(directory.path().join("ban"));
        assert_eq!(file.read(), None);
        let until = Timestamp::from_millis(1_767_225_600_123);
        file.write(Some(until));
        assert_eq!(file.read(), Some(until));
        std::fs::write(directory.path().join("ban"), "soon").unwrap();
        assert_eq!(file.read(), None);
        file.write(None);
        file.write(None);
        assert!(!directory.path().join("ban").exists());
    }
}
