//! Room on the log's disk: below a limit nothing more is taken in, before a write can fail.
//!
//! A write that finds the disk full poisons the writer, and a server ends. So events are refused
//! while there is still room for what is under way, and for what the ledger says of itself: opening,
//! a clean stop, a redaction, making room. There is room again when somebody has made some, and then
//! recording goes on by itself.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Free bytes below which nothing is taken in unless `--min-free` says otherwise: 256 MiB are two
/// segments (a redaction writes one anew), the views' files and what is under way.
pub const MIN_FREE: u64 = 256 * 1024 * 1024;

/// How long a look at the disk holds: others fill it too.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// How many bytes are taken in before the disk is looked at again: 16 MiB.
const LOOK_SIZE: u64 = 16 * 1024 * 1024;

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this account may still write.
    pub free: u64,
    /// Bytes in all.
    pub size: u64,
    /// Files that this account may still make.
    pub inodes_free: u64,
    /// Files in all; 0 where the file system does not count them.
    pub inodes: u64,
}

impl Disk {
    /// The file system that a path lies on.
    pub fn of(path: &Path) -> io::Result<Disk> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Disk {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            size: stat.f_blocks.saturating_mul(stat.f_frsize),
            inodes_free: stat.f_favail,
            inodes: stat.f_files,
        })
    }
}

/// Adds a way out to an error of a full disk; `place` is what was being written. Another one stays as
/// it is.
pub fn full(error: anyhow::Error, place: &Path) -> anyhow::Error {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let is_full = |e: &io::Error| matches!(e.kind(), StorageFull | QuotaExceeded);
    if !error.chain().any(|cause| cause.downcast_ref().is_some_and(is_full)) {
        return error;
    }
    let what = format!(
        "there is no room left for {} on its disk; make room and run the same command again, or \
         name a place on another disk",
        place.display()
    );
    error.context(what)
}

/// There is less room than recording keeps free. Nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "only {} are free on the log's disk and recording stops below {} (--min-free); make room, then \
     send it again: nothing was recorded now", shown(*.free), shown(*.min_free)
)]
pub struct SpaceLow {
    pub free: u64,
    pub min_free: u64,
}

/// Watches the room on one disk, cheaply: one system call a second, or for 16 MiB.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    min_free: u64,
    look: Mutex<Option<Look>>,
}

/// What was seen, and since when.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    free: u64,
    /// Bytes taken in since.
    taken: u64,
}

impl Space {
    /// Watches the disk that a directory lies on. `min_free` is in bytes; 0 takes in until the disk
    /// is full.
    pub fn of(dir: &Path, min_free: u64) -> Space {
        Space { dir: dir.to_owned(), min_free, look: Mutex::new(None) }
    }

    /// Whether so many bytes may be taken in.
    ///
    /// # Errors
    /// When less than the limit is free. A disk that does not tell stops nothing.
    pub fn admits(&self, size: u64) -> Result<(), SpaceLow> {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let holds = |look: &Look| {
            // Who waits for room is told of it at the next look, and that costs nobody much.
            look.at.elapsed() < LOOK_PERIOD && look.taken < LOOK_SIZE
        };
        let mut seen = match look.filter(holds) {
            Some(seen) => seen,
            None => match Disk::of(&self.dir) {
                Ok(disk) => Look { at: Instant::now(), free: disk.free, taken: 0 },
                Err(_) => return Ok(()),
            },
        };
        let free = seen.free.saturating_sub(seen.taken);
        let low = free < self.min_free;
        if !low {
            seen.taken = seen.taken.saturating_add(size);
        }
        *look = Some(seen);
        if low { Err(SpaceLow { free, min_free: self.min_free }) } else { Ok(()) }
    }

    /// Free bytes now, where the disk tells, and the limit.
    pub fn now(&self) -> (Option<u64>, u64) {
        (Disk::of(&self.dir).ok().map(|disk| disk.free), self.min_free)
    }
}

/// A number of bytes for people: `311.5 MiB`.
pub fn shown(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, bits) in UNITS {
        if bytes >> bits > 0 {
            let tenths = (u128::from(bytes) * 10) >> bits;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

/// Reads a number of bytes: `1000000`, `256MiB`, `1.5` is none.
///
/// # Errors
/// Says which forms there are.
pub fn parse(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (digits, size) = unit.unwrap_or((text, 1));
    let number = digits.trim_end().parse::<u64>().ok().and_then(|n| n.checked_mul(size));
    number.ok_or_else(|| "wants a size such as 256MiB, 1GiB or 1000000 (bytes)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [
            ("0", 0),
            ("256MiB", MIN_FREE),
            ("1 GiB", 1 << 30),
            ("2MB", 2_000_000),
            ("77", 77),
            ("5B", 5),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5GiB", "99999999999TiB", "1 mib"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(shown(MIN_FREE), "256.0 MiB");
        assert_eq!(shown(1_023), "1023 bytes");
        assert_eq!(shown((5 << 30) + (1 << 29)), "5.5 GiB");
    }

    #[test]
    fn below_the_limit_nothing_is_admitted_and_what_was_taken_counts() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let none = Space::of(here, 0);
        assert_eq!(none.admits(u64::MAX), Ok(()));
        let all = Space::of(here, u64::MAX);
        assert_eq!(all.admits(1).map_err(|low| low.min_free), Err(u64::MAX));
        // What was admitted since the last look is as good as written.
        let free = Disk::of(here).unwrap().free;
        let space = Space::of(here, 1);
        let seen = Look { at: Instant::now(), free, taken: 0 };
        *space.look.lock().unwrap() = Some(Look { free: LOOK_SIZE, ..seen });
        assert_eq!(space.admits(LOOK_SIZE - 1), Ok(()));
        assert_eq!(space.admits(1), Ok(()), "one byte is free still");
        *space.look.lock().unwrap() = Some(Look { free: 10, taken: 10, ..seen });
        assert_eq!(space.admits(1), Err(SpaceLow { free: 0, min_free: 1 }));
        // A disk that does not tell stops nothing.
        assert_eq!(Space::of(Path::new("/nowhere/at/all"), u64::MAX).admits(1), Ok(()));
    }
}
