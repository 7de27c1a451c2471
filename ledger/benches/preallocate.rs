//! Whether making room ahead pays: `cargo bench -p ledger --bench preallocate`.
//!
//! The same bytes are written and synced, by fdatasync, to a file that grows; to one that was
//! lengthened ahead without room for its bytes (`set_len`); to one whose room was reserved
//! (`fallocate`); and to one that was filled with zeros. They take turns, so that a busy machine
//! slows all. What making the room costs counts, as it would in the ledger. `docs/PERFORMANCE.md`
//! says what came out, and what was decided.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// What one entry of 600 bytes takes in a segment.
const FRAME_SIZE: usize = 692;
/// How far ahead room is made.
const AHEAD: u64 = 16 * 1024 * 1024;

#[derive(Clone, Copy)]
enum Room {
    None,
    Longer,
    Reserved,
    Zeros,
}

fn main() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory can be made");
    let rooms = [
        ("grows", Room::None),
        ("set_len", Room::Longer),
        ("fallocate", Room::Reserved),
        ("zeros", Room::Zeros),
    ];
    for (len, commits) in [(1, 1_500), (64, 800), (1_024, 300)] {
        let mut files: Vec<_> =
            rooms.iter().map(|(name, room)| Written::new(dir.path(), name, *room)).collect();
        let bytes = vec![b'x'; len * FRAME_SIZE];
        for _ in 0..commits {
            for file in &mut files {
                file.commit(&bytes);
            }
        }
        let baseline = files.first().map(Written::mean).unwrap_or_default();
        for ((name, _), file) in rooms.iter().zip(&files).skip(1) {
            let (ours, ratio) = (file.mean(), file.mean() / baseline);
            println!(
                "bench commit_{len}_{name} {ours:.0} us baseline {baseline:.0} ratio {ratio:.2} \
                 target <= 1 p50 {:.0} baseline {:.0}",
                file.median(),
                files.first().map(Written::median).unwrap_or_default(),
            );
        }
    }
}

struct Written {
    file: File,
    path: std::path::PathBuf,
    room: Room,
    at: u64,
    /// Where the room ends.
    end: u64,
    times: Vec<Duration>,
}

impl Written {
    fn new(dir: &Path, name: &str, room: Room) -> Written {
        let path = dir.join(name);
        let file = File::create(&path).expect("a file can be made");
        Written { file, path, room, at: 0, end: 0, times: Vec::new() }
    }

    fn commit(&mut self, bytes: &[u8]) {
        let start = Instant::now();
        let mut spent_outside = Duration::ZERO;
        while !matches!(self.room, Room::None) && self.at + bytes.len() as u64 > self.end {
            spent_outside += self.make_room();
        }
        self.file.write_all_at(bytes, self.at).expect("the disk has room");
        self.file.sync_data().expect("the disk syncs");
        self.times.push(start.elapsed().saturating_sub(spent_outside));
        self.at += bytes.len() as u64;
    }

    /// Returns the time that only this experiment takes: to start a process.
    fn make_room(&mut self) -> Duration {
        let (from, start) = (self.end, Instant::now());
        self.end += AHEAD;
        match self.room {
            Room::None => {}
            Room::Longer => self.file.set_len(self.end).expect("it can be longer"),
            Room::Reserved => {
                let mut command = Command::new("fallocate");
                command.args(["--offset", &from.to_string(), "--length", &AHEAD.to_string()]);
                let done = command.arg(&self.path).status().expect("util-linux is there");
                assert!(done.success(), "the disk has room");
                self.file.sync_all().expect("the disk syncs");
                return start.elapsed();
            }
            Room::Zeros => {
                let zeros = vec![0; usize::try_from(AHEAD).expect("it is small")];
                self.file.write_all_at(&zeros, from).expect("the disk has room");
                self.file.flush().expect("nothing is buffered");
            }
        }
        self.file.sync_all().expect("the disk syncs");
        Duration::ZERO
    }

    fn mean(&self) -> f64 {
        let total: Duration = self.times.iter().sum();
        total.as_secs_f64() * 1e6 / f64::from(u32::try_from(self.times.len()).unwrap_or(1))
    }

    fn median(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }
}
