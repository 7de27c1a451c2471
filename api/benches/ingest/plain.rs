//! The baseline: a file that nothing is promised of but its bytes.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

pub(crate) struct Plain {
    file: File,
    bytes: Vec<u8>,
}

impl Plain {
    pub(crate) fn create(path: &Path) -> Plain {
        Plain { file: File::create(path).unwrap(), bytes: Vec::new() }
    }

    /// So many commits of so many bytes each, one write and one sync each; how long they took.
    pub(crate) fn commits(&mut self, len: usize, size: usize) -> Duration {
        self.bytes.resize(size, b'x');
        let begun = Instant::now();
        for _ in 0..len {
            self.file.write_all(&self.bytes).unwrap();
            self.file.sync_data().unwrap();
        }
        begun.elapsed()
    }
}
