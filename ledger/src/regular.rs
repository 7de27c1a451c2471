//! Opens and reads files that are files: a pipe in the place of one would keep a reader waiting for
//! ever, and a device would do worse.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Fails if something else than a regular file has this name. Asked before a file is opened,
/// because to open a pipe is to wait already.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let what = "this is no regular file; move it away, and ask who put it there";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
        // What else is wrong with it, opening tells.
        _ => Ok(()),
    }
}

/// Opens a file for reading, if it is a regular one.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    File::open(path)
}

/// The first bytes of a regular file, at most so many: a file may be longer than memory.
pub(crate) fn read(path: &Path, size_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(size_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}
