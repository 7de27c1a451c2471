//! Where rows are kept: one sled tree beside the log. The only file that names sled.
//!
//! Nothing here exists nowhere else: what cannot be read is set aside, and the caller rebuilds it.
//! Rows and the position that they were folded to are one batch, so after any crash they agree.

use std::{
    fs::{self, File, TryLockError},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Row};

/// What sled may keep in memory, in bytes. Its own default is a gigabyte.
pub const CACHE_SIZE: u64 = 64 << 20;

/// How often opening is tried while the files are still locked: sled frees its lock a moment after
/// a store is dropped.
pub const OPEN_TRIES_MAX: u32 = 200;

/// The pause between two tries, in milliseconds.
pub const OPEN_PAUSE_MS: u64 = 10;

/// The key of the position. Rows have keys that begin with another byte.
const POSITION_KEY: &[u8] = &[0];

/// How far the rows have been folded. Stored with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The seq of the first entry that is not in the rows.
    pub next: u64,
    /// Hash of the last entry that is; zeros if none is.
    pub hash: [u8; 32],
    /// The version of the views that wrote the rows.
    pub version: u32,
}

impl Row for Position {
    const TYPE: u8 = 1;
}

/// Why a store failed. There is one variant for each thing that a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it; ask that process, or wait until it ends.
    #[error("another process uses the views in {}", .0.display())]
    Locked(PathBuf),
    /// Make room or give access, and try again.
    #[error("the views cannot be used now")]
    Unavailable(#[source] io::Error),
    /// Rebuild: the files cannot be read any more.
    #[error("the views are damaged: {0}")]
    Damaged(String),
    /// Rebuild: a row is not what its key says.
    #[error("a row of the views cannot be read")]
    Row(#[from] CodecError),
}

/// The right to write the views of one directory. One process has it at a time.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    /// Locked as long as this lives. Beside the directory, because that may be renamed.
    _lock: File,
}

/// A store, and what had to be set aside to get one.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// Where the unreadable files are now.
    pub quarantined: Option<PathBuf>,
}

impl Place {
    /// Takes the right to write the views in `dir`, which is made when needed.
    pub fn claim(dir: &Path) -> Result<Place, StoreError> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(StoreError::Unavailable)?;
        }
        let lock = File::create(beside(dir, "lock")).map_err(StoreError::Unavailable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Place { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_owned())),
            Err(TryLockError::Error(e)) => Err(StoreError::Unavailable(e)),
        }
    }

    /// The store in the directory. One that cannot be read is renamed, and a new one begun.
    pub fn open(&self) -> Result<Opened, StoreError> {
        // Left behind by a crash in `replace` or in a rebuild.
        remove(&beside(&self.dir, "old"))?;
        remove(&beside(&self.dir, "new"))?;
        match Store::open(&self.dir) {
            Ok(store) => Ok(Opened { store, quarantined: None }),
            Err(StoreError::Damaged(_) | StoreError::Row(_)) => {
                let aside = quarantine(&self.dir)?;
                Ok(Opened { store: Store::open(&self.dir)?, quarantined: Some(aside) })
            }
            Err(e) => Err(e),
        }
    }

    /// Sets the files aside after a read of `store` found them damaged, and begins anew.
    pub fn quarantine(&self, store: Store) -> Result<Opened, StoreError> {
        drop(store);
        let aside = quarantine(&self.dir)?;
        Ok(Opened { store: Store::open(&self.dir)?, quarantined: Some(aside) })
    }

    /// An empty store beside the one in use, for a rebuild. `purpose` is part of its name.
    pub fn fresh(&self, purpose: &str) -> Result<Store, StoreError> {
        let dir = beside(&self.dir, purpose);
        remove(&dir)?;
        Store::open(&dir)
    }

    /// Puts `new` in the place of `old`. Between the two renames there is none, which is an empty
    /// one: a crash there costs a rebuild.
    pub fn replace(&self, old: Option<Store>, new: Store) -> Result<Store, StoreError> {
        let (aside, built) = (beside(&self.dir, "old"), new.dir.clone());
        drop((old, new));
        remove(&aside)?;
        fs::rename(&self.dir, &aside).map_err(StoreError::Unavailable)?;
        fs::rename(&built, &self.dir).map_err(StoreError::Unavailable)?;
        let store = Store::open(&self.dir)?;
        remove(&aside)?;
        Ok(store)
    }

    /// Deletes a store that was made by [`fresh`](Place::fresh).
    pub fn discard(&self, store: Store) -> Result<(), StoreError> {
        let dir = store.dir.clone();
        drop(store);
        remove(&dir)
    }
}

/// Rows by key. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug)]
pub struct Store {
    db: sled::Db,
    dir: PathBuf,
}

/// Rows to be stored together.
#[derive(Debug, Default)]
pub struct Rows {
    batch: sled::Batch,
    len: usize,
}

impl Rows {
    /// Adds a row, or replaces the one under this key.
    pub fn put<R: Row>(&mut self, key: Vec<u8>, row: &R) -> Result<(), StoreError> {
        assert!(key.first().is_some_and(|&prefix| prefix != 0), "key 0 is the position's");
        self.batch.insert(key, codec::encode(row)?);
        self.len += 1;
        Ok(())
    }

    /// Takes the row under this key away, if there is one.
    pub fn remove(&mut self, key: Vec<u8>) {
        assert!(key.first().is_some_and(|&prefix| prefix != 0), "key 0 is the position's");
        self.batch.remove(key);
        self.len += 1;
    }

    /// How many rows are changed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no row is changed.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A key and the bytes of its row.
type Found = (Vec<u8>, Vec<u8>);

impl Store {
    /// Opens or makes the store in `dir` and reads all of it once, so that damage shows now.
    fn open(dir: &Path) -> Result<Store, StoreError> {
        let mut tries = 0;
        loop {
            let opened = guarded(|| {
                sled::Config::new()
                    .path(dir)
                    .cache_capacity(CACHE_SIZE)
                    .flush_every_ms(None)
                    .open()
                    .map_err(StoreError::from)
            });
            match opened {
                Err(StoreError::Locked(_)) if tries < OPEN_TRIES_MAX => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(OPEN_PAUSE_MS));
                }
                Err(StoreError::Locked(_)) => return Err(StoreError::Locked(dir.to_owned())),
                Err(e) => return Err(e),
                Ok(db) => {
                    let store = Store { db, dir: dir.to_owned() };
                    store.position()?;
                    for row in store.all() {
                        row?;
                    }
                    return Ok(store);
                }
            }
        }
    }

    /// How far the rows have been folded, or `None` if nothing was ever stored.
    pub fn position(&self) -> Result<Option<Position>, StoreError> {
        let Some(row) = self.bytes(POSITION_KEY)? else { return Ok(None) };
        Ok(Some(codec::decode(&row)?))
    }

    /// Stores the rows and the position: both or none, durable on `Ok`.
    pub fn apply(&self, rows: Rows, position: &Position) -> Result<(), StoreError> {
        self.apply_unsynced(rows, position)?;
        guarded(|| Ok(self.db.flush().map(drop)?))
    }

    /// The same, but durable only once a later [`apply`](Store::apply) is: for a store that nobody
    /// uses before that.
    pub(crate) fn apply_unsynced(&self, rows: Rows, position: &Position) -> Result<(), StoreError> {
        let mut batch = rows.batch;
        batch.insert(POSITION_KEY, codec::encode(position)?);
        guarded(|| Ok(self.db.apply_batch(batch)?))
    }

    /// The row under this key.
    pub fn get<R: Row>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        let Some(row) = self.bytes(key)? else { return Ok(None) };
        Ok(Some(codec::decode(&row)?))
    }

    /// The rows whose keys begin with `prefix` and come after `after`, in the order of keys.
    pub fn scan<R: Row>(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(Vec<u8>, R), StoreError>> + use<R> {
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let mut rows = self.db.range::<&[u8], _>((from, Bound::Unbounded));
        let prefix = prefix.to_owned();
        std::iter::from_fn(move || {
            let found =
                guarded(|| rows.next().map(|row| row.map(owned)).transpose().map_err(Into::into));
            let row = match found.transpose()? {
                Ok((key, row)) if key.starts_with(&prefix) => {
                    codec::decode(&row).map(|row| (key, row)).map_err(StoreError::from)
                }
                Ok(_) => return None,
                Err(e) => Err(e),
            };
            Some(row)
        })
    }

    /// The last row whose key begins with `prefix` and is not greater than `at`.
    pub fn floor<R: Row>(
        &self,
        prefix: &[u8],
        at: &[u8],
    ) -> Result<Option<(Vec<u8>, R)>, StoreError> {
        nearest(prefix, || self.db.range(prefix..=at).next_back())
    }

    /// The first row whose key begins with `prefix` and is not less than `at`.
    pub fn ceiling<R: Row>(
        &self,
        prefix: &[u8],
        at: &[u8],
    ) -> Result<Option<(Vec<u8>, R)>, StoreError> {
        nearest(prefix, || self.db.range(at..).next())
    }

    /// Every key and the bytes of its row, but not the position.
    pub fn all(&self) -> impl Iterator<Item = Result<Found, StoreError>> + use<> {
        let mut rows = self.db.range::<&[u8], _>(&[1][..]..);
        std::iter::from_fn(move || {
            guarded(|| rows.next().map(|row| row.map(owned)).transpose().map_err(Into::into))
                .transpose()
        })
    }

    fn bytes(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        guarded(|| Ok(self.db.get(key)?))
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> StoreError {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error {
            sled::Error::Io(e) if e.to_string().starts_with("could not acquire lock") => {
                StoreError::Locked(PathBuf::new())
            }
            sled::Error::Io(e)
                if matches!(
                    e.kind(),
                    PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull
                ) =>
            {
                StoreError::Unavailable(e)
            }
            damaged => StoreError::Damaged(damaged.to_string()),
        }
    }
}

/// The row that was found, if its key begins with `prefix`.
fn nearest<R: Row>(
    prefix: &[u8],
    find: impl FnOnce() -> Option<sled::Result<(sled::IVec, sled::IVec)>>,
) -> Result<Option<(Vec<u8>, R)>, StoreError> {
    match guarded(|| find().transpose().map_err(Into::into))? {
        Some((key, row)) if key.starts_with(prefix) => {
            Ok(Some((key.to_vec(), codec::decode(&row)?)))
        }
        _ => Ok(None),
    }
}

/// Runs a call into sled, which panics on some damaged files.
fn guarded<T>(call: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // After a panic the store is given up, so no half-changed state of it is ever seen.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Damaged(words.unwrap_or("sled panicked").to_owned()))
    })
}

fn owned((key, row): (sled::IVec, sled::IVec)) -> Found {
    (key.to_vec(), row.to_vec())
}

/// `DIR/views` becomes `DIR/views.lock`, `DIR/views.new`, ...
fn beside(dir: &Path, purpose: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".");
    name.push(purpose);
    name.into()
}

fn remove(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::Unavailable(e)),
        _ => Ok(()),
    }
}

fn quarantine(dir: &Path) -> Result<PathBuf, StoreError> {
    let mut numbered = (1..=u32::MAX).map(|n| beside(dir, &format!("quarantine-{n}")));
    let to = numbered.find(|to| !to.exists()).expect("some number is free");
    fs::rename(dir, &to).map_err(StoreError::Unavailable)?;
    Ok(to)
}

#[cfg(test)]
mod tests;
