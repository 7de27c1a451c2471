//! Receivers on disk. This is no view: nothing but a backup brings a secret or a cursor back.
//!
//! | path below `DIR/state/webhooks/` | holds |
//! |---|---|
//! | `lock` | locked by the process that may change anything here |
//! | `ID/terms.json` | the URL, the filter, the secrets; a directory without it is no receiver |
//! | `ID/progress.json` | the cursor, the state, when the next attempt is due |
//! | `ID/deliveries.json` | the newest attempts |
//!
//! Files are 0600 and replaced whole, directories 0700.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    endpoint::{Endpoint, Progress, Terms},
    record::Deliveries,
};
use crate::{
    exit::{Code, fail},
    home::{Home, write_private},
};

/// Receivers that one ledger may have. Each costs a connection and a page of entries in memory.
pub const ENDPOINTS_LEN_MAX: usize = 16;

const TERMS: &str = "terms.json";
const PROGRESS: &str = "progress.json";
const DELIVERIES: &str = "deliveries.json";

/// The directory of the receivers.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// Held by whoever may change what is stored. The system lets go of it when the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "it is held, not read")] fs::File);

impl Store {
    pub fn of(home: &Home) -> Store {
        Store { dir: home.dir().join("state").join("webhooks") }
    }

    /// Takes the right to change.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        make_dir(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.dir.join("lock")).context("cannot open the webhooks' lock")?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => {
                let why = "another process is changing the webhooks; try again";
                Err(fail(Code::TryAgain, why))
            }
            Err(fs::TryLockError::Error(e)) => Err(e).context("cannot lock the webhooks"),
        }
    }

    /// Every receiver, by id.
    ///
    /// # Errors
    /// When one cannot be read: leaving it out would lose events without a word.
    pub fn load(&self) -> anyhow::Result<Vec<Endpoint>> {
        let listed = match fs::read_dir(&self.dir) {
            Ok(listed) => listed,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).context("cannot list the webhooks"),
        };
        let mut found = Vec::new();
        for entry in listed {
            let dir = entry.context("cannot list the webhooks")?.path();
            // Without terms it was being made or removed when the machine stopped.
            let Some(terms) = read::<Terms>(&dir.join(TERMS))? else { continue };
            let progress = read::<Progress>(&dir.join(PROGRESS))?.with_context(|| {
                format!("{} is missing; put it back from a backup", dir.join(PROGRESS).display())
            })?;
            // What is stored goes by the id, which must not lead elsewhere.
            if dir.file_name() != Some(OsStr::new(&terms.id)) {
                let shown = dir.join(TERMS).display().to_string();
                return Err(fail(Code::Failure, format!("{shown} has another webhook's id")));
            }
            let deliveries = read::<Deliveries>(&dir.join(DELIVERIES))?.unwrap_or_default();
            found.push(Endpoint { terms, progress, deliveries });
        }
        found.sort_by(|a, b| {
            (a.terms.created_us, &a.terms.id).cmp(&(b.terms.created_us, &b.terms.id))
        });
        Ok(found)
    }

    /// Stores a new receiver. Its terms come last, so a crash leaves it whole or absent.
    pub fn add(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        make_dir(&self.place(endpoint)).context("cannot store the webhook")?;
        self.save_progress(endpoint)?;
        self.save_terms(endpoint)?;
        sync_dir(&self.dir).context("cannot store the webhook")
    }

    pub fn save_terms(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        self.save(endpoint, TERMS, &endpoint.terms)
    }

    /// Stores how far the receiver is. What was sent lately goes beside it, and first: it may run
    /// ahead of the cursor, never behind it.
    pub fn save_progress(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        self.save(endpoint, DELIVERIES, &endpoint.deliveries)?;
        self.save(endpoint, PROGRESS, &endpoint.progress)
    }

    /// Removes a receiver, its terms first.
    pub fn remove(&self, endpoint: &Endpoint) -> anyhow::Result<()> {
        let dir = self.place(endpoint);
        fs::remove_file(dir.join(TERMS)).context("cannot remove the webhook")?;
        sync_dir(&dir).context("cannot remove the webhook")?;
        fs::remove_dir_all(&dir).context("cannot remove what is left of the webhook")
    }

    fn place(&self, endpoint: &Endpoint) -> PathBuf {
        self.dir.join(&endpoint.terms.id)
    }

    fn save(&self, endpoint: &Endpoint, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let dir = self.place(endpoint);
        let text = serde_json::to_vec(value).context("what is stored of a webhook is JSON")?;
        write_private(&dir.join(name), &text)
            .and_then(|()| sync_dir(&dir))
            .with_context(|| format!("cannot write {}", dir.join(name).display()))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let read = serde_json::from_slice(&text);
    // What serde says may repeat what stands there, which may be a secret.
    let damaged = || format!("{} is damaged; put it back from a backup", path.display());
    read.map(Some).map_err(|_| fail(Code::Failure, damaged()))
}

/// A directory that only this account can enter, with those above it.
fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::webhooks::endpoint::Conditions;

    fn store() -> (tempfile::TempDir, Store) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state").join("webhooks");
        (temp, Store { dir })
    }

    fn endpoint(id: &str) -> Endpoint {
        let url = "https://a.example/".to_owned();
        let terms = Terms::new(id.to_owned(), url, Conditions::new(), false, 5);
        Endpoint { terms, progress: Progress::at(3), deliveries: Deliveries::default() }
    }

    #[test]
    fn what_is_stored_is_read_back_and_is_private() {
        let (_temp, store) = store();
        let _lock = store.lock().unwrap();
        let one = endpoint("wh-1");
        store.add(&one).unwrap();
        store.add(&endpoint("wh-2")).unwrap();
        let found = store.load().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].terms.newest_secret(), one.terms.newest_secret());
        assert_eq!(found[0].progress, one.progress);
        for path in [TERMS, PROGRESS, DELIVERIES].map(|name| store.dir.join("wh-1").join(name)) {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for dir in [&store.dir, &store.dir.join("wh-1")] {
            assert_eq!(fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
        }
        store.remove(&one).unwrap();
        assert_eq!(store.load().unwrap().len(), 1);
    }

    #[test]
    fn one_process_at_a_time_changes_anything() {
        let (_temp, store) = store();
        let held = store.lock().unwrap();
        assert!(store.lock().is_err());
        drop(held);
        store.lock().unwrap();
    }

    #[test]
    fn a_damaged_file_is_named_and_its_text_is_not_repeated() {
        let (_temp, store) = store();
        let _lock = store.lock().unwrap();
        store.add(&endpoint("wh-1")).unwrap();
        fs::write(store.dir.join("wh-1").join(TERMS), "{\"whsec_abc\"").unwrap();
        let said = format!("{:#}", store.load().unwrap_err());
        assert!(said.contains(TERMS) && !said.contains("whsec_"), "{said}");
        fs::remove_file(store.dir.join("wh-1").join(TERMS)).unwrap();
        assert!(store.load().unwrap().is_empty());
    }
}
