//! The one door through which a log changes what is on disk, so that a test can stand in it.
//!
//! Reading goes past it, by `std::fs`: what a failing disk does to a reader is an error or other
//! bytes, and both are found by the checks of every frame. What it does to a writer is worse: a
//! change that was made and not synced may be there, be gone, or be there in part, and after a
//! failed sync the system may show bytes that no disk holds. `docs/FAULTS.md` says what the log
//! promises for each of these, and the simulated disk of this crate's tests tries them.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use crate::regular;

/// Changes names and makes them durable.
///
/// A change is durable once a sync that began after it has returned `Ok`: [`sync_dir`] for what a
/// directory lists, [`DiskFile::sync_data`] for what a file holds. Until then a crash may undo it,
/// alone or with others, in any order; a rename it does whole or not at all. After a failed sync
/// nobody knows, and syncing again proves nothing: the change has to be made again.
///
/// [`sync_dir`]: Disk::sync_dir
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a directory. An error of kind `AlreadyExists` if there is one.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file, or empties the one that is there, and opens it for writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a file and opens it for writing. An error of kind `AlreadyExists` if there is one.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is there for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same directory, in place of what has that name now.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which files and directories this directory lists.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file if there is none, and locks it until what is returned is dropped.
    fn lock(&self, path: &Path) -> Result<File, TryLockError>;
}

/// A file that is open for writing.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes the first bytes of these at a place, and returns how many: at least one, unless there
    /// were none.
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Cuts the file off, or fills it up with zeros.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes durable what the file holds, its size included.
    fn sync_data(&mut self) -> io::Result<()>;

    /// The same, and what the system knows about the file besides.
    fn sync_all(&mut self) -> io::Result<()>;
}

/// Writes all the bytes at a place; what the system does not take at once is offered again.
pub(crate) fn write_all_at(
    file: &mut dyn DiskFile,
    mut bytes: &[u8],
    mut at: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        regular::check(path)?;
        Ok(Box::new(File::create(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> Result<File, TryLockError> {
        regular::check(path).map_err(TryLockError::Error)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(TryLockError::Error)?;
        file.try_lock().map(|()| file)
    }
}

impl DiskFile for File {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, at)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&mut self) -> io::Result<()> {
        File::sync_all(self)
    }
}
