//! `DIR/state/tokens.json`: what is kept of tokens, readable by this account alone.
//!
//! It is no view: nothing else holds the digests. A backup takes it along; if it is lost, every
//! token stops working and new ones are made.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Token;
use crate::home::{Home, write_private};

/// The form of the file that this version writes and reads.
const VERSION: u32 = 1;

/// Where the tokens are kept.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    home: Home,
}

/// The file, held so that no other command changes it.
#[derive(Debug)]
pub struct Held {
    file: TokenFile,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    tokens: Vec<Token>,
}

impl TokenFile {
    pub fn of(home: &Home) -> TokenFile {
        TokenFile { path: home.state().join("tokens.json"), home: home.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every token that is kept; none where none was ever made.
    ///
    /// # Errors
    /// When there is a file that cannot be read or understood.
    pub fn read(&self) -> anyhow::Result<Vec<Token>> {
        let shown = self.path.display();
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(|| format!("cannot read {shown}")),
        };
        // The parser's own message could hold a piece of the file.
        let stored = serde_json::from_slice::<Stored>(&text).ok().filter(|s| s.version == VERSION);
        let stored = stored.with_context(|| {
            format!("{shown} is damaged or another version's; put it back from a backup")
        })?;
        Ok(stored.tokens)
    }

    /// Waits until no other command changes the file.
    pub fn lock(&self) -> anyhow::Result<Held> {
        let lock = self.lock_file()?;
        lock.lock().with_context(|| format!("cannot lock {}", self.path.display()))?;
        Ok(Held { file: self.clone(), _lock: lock })
    }

    /// The file, unless another command changes it just now.
    pub fn try_lock(&self) -> anyhow::Result<Option<Held>> {
        let lock = self.lock_file()?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Held { file: self.clone(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e.into()),
        }
    }

    fn lock_file(&self) -> anyhow::Result<File> {
        self.home.make_state().context("cannot make the directory state/")?;
        let path = self.path.with_extension("lock");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.with_context(|| format!("cannot make {}", path.display()))
    }
}

impl Held {
    pub fn read(&self) -> anyhow::Result<Vec<Token>> {
        self.file.read()
    }

    /// Replaces the file, whole or not at all; once this returns it is durable.
    pub fn write(&self, tokens: &[Token]) -> anyhow::Result<()> {
        let stored = Stored { version: VERSION, tokens: tokens.to_vec() };
        let mut text = serde_json::to_vec_pretty(&stored).expect("tokens are JSON");
        text.push(b'\n');
        write_private(&self.file.path, &text)
            .with_context(|| format!("cannot write {}", self.file.path.display()))
    }
}
