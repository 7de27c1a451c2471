//! What clients were told, and what readers applied, as it happened: a line of JSON each in a file.
//!
//! All times are microseconds of one clock that is never set, of the process that runs the clients.

mod check;

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

pub use check::{Summary, Violation, check, summary};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A client's call, from its beginning to what it was told.
    Call(Call),
    /// A reader took these entries for recorded, in this order.
    Applied {
        /// Who. Whoever begins again gets another name.
        reader: String,
        /// The seq of the first.
        from: u64,
        /// The hash of each.
        hashes: Vec<String>,
    },
    /// A reader stopped with an alarm.
    Halted {
        /// Who.
        reader: String,
        /// Why, in a word.
        code: String,
    },
    /// Views were compared with the fold of the log up to their position.
    Viewed {
        /// Whose they are.
        projector: String,
        /// How many entries they are made from.
        next: u64,
        /// The hash of the last of them.
        hash: String,
        /// Rows that are not what the fold gives.
        differences: Vec<String>,
    },
    /// Something was broken.
    Fault {
        /// What, in words.
        what: String,
        /// When.
        at_us: u64,
    },
    /// Nothing is broken any more.
    Healed {
        /// Since when.
        at_us: u64,
        /// Within which time a call must succeed that begins after it.
        bound_us: u64,
    },
}

/// One call of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Which event it was about: the same key again is the same event, or a mistake.
    pub key: String,
    /// What the event says.
    pub body: String,
    /// The process that it was sent to.
    pub writer: String,
    /// When it began.
    pub invoked_us: u64,
    /// When the client knew, or gave up.
    pub returned_us: u64,
    /// What it was told.
    pub answer: Answer,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is recorded.
    Ok {
        /// Its place.
        seq: u64,
        /// Its hash.
        hash: String,
        /// It had been before.
        duplicate: bool,
        /// Which life of the process said so.
        life: String,
    },
    /// It is not recorded by this call.
    Fail(String),
    /// Nobody can tell.
    Unknown(String),
}

/// Takes lines down as they happen. Shared by all threads of a test.
#[derive(Debug)]
pub struct Recorder {
    begun: Instant,
    path: PathBuf,
    lines: Mutex<Lines>,
}

#[derive(Debug)]
struct Lines {
    file: File,
    events: Vec<Event>,
}

impl Recorder {
    /// Begins a file, whose directory is made if need be.
    pub fn begin(path: &Path) -> io::Result<Recorder> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let lines = Lines { file: File::create(path)?, events: Vec::new() };
        let (begun, path) = (Instant::now(), path.to_owned());
        Ok(Recorder { begun, path, lines: Mutex::new(lines) })
    }

    /// Where the lines are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time now.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Adds a line.
    ///
    /// # Panics
    ///
    /// If the file cannot be written: a history with holes proves nothing.
    pub fn add(&self, event: Event) {
        let mut line = serde_json::to_string(&event).expect("it is plain data");
        line.push('\n');
        let mut lines = self.lines();
        lines.file.write_all(line.as_bytes()).expect("the history can be written");
        lines.events.push(event);
    }

    /// Says that something is broken now.
    pub fn fault(&self, what: impl Into<String>) {
        self.add(Event::Fault { what: what.into(), at_us: self.now_us() });
    }

    /// Says that nothing is broken any more, and when the service must be back; returns when that was.
    pub fn healed(&self, bound: Duration) -> u64 {
        let (at_us, bound_us) =
            (self.now_us(), u64::try_from(bound.as_micros()).unwrap_or(u64::MAX));
        self.add(Event::Healed { at_us, bound_us });
        at_us
    }

    /// Whether a call that began after this time has succeeded.
    pub fn served_since(&self, at_us: u64) -> bool {
        let is = |event: &Event| {
            matches!(event, Event::Call(Call { invoked_us, answer: Answer::Ok { .. }, .. })
                if *invoked_us > at_us)
        };
        self.lines().events.iter().rev().take(5_000).any(is)
    }

    /// All that happened so far.
    pub fn events(&self) -> Vec<Event> {
        self.lines().events.clone()
    }

    /// Removes the file, when nothing was wrong.
    pub fn discard(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file of lines again.
pub fn read(path: &Path) -> io::Result<Vec<Event>> {
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::other)).collect()
}

#[cfg(test)]
mod tests;
