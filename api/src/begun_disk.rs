//! The disk of a command that a signal may end: no file is made there once the signal's thread has
//! begun to take away what is unfinished.

use std::{fs, io, path::Path};

use ledger::log::segments::disk::{Disk, DiskFile, RealDisk};

use crate::interrupt;

/// The real disk, on which each file is made before a signal's thread looks, or not at all.
#[derive(Debug)]
pub struct BegunDisk;

impl Disk for BegunDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        interrupt::before_the_end(|| RealDisk.create_dir(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        interrupt::before_the_end(|| RealDisk.create(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        interrupt::before_the_end(|| RealDisk.create_new(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> Result<fs::File, fs::TryLockError> {
        RealDisk.lock(path)
    }
}
