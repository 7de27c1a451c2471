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

    /// So many commits of so many bytes each, one write and one sync each; how long each took.
    pub(crate) fn commits(&mut self, len: usize, size: usize) -> Vec<Duration> {
        self.bytes.resize(size, b'x');
        let commit = |_| {
            let begun = Instant::now();
            self.file.write_all(&self.bytes).unwrap();
            self.file.sync_data().unwrap();
            begun.elapsed()
        };
        (0..len).map(commit).collect()
    }
}
