//! How far long work is, for whoever waits at a terminal.
//!
//! Nothing is shown in the first second, and nothing ever where stderr is a pipe or a file. The work
//! counts what it has done; a thread beside it looks at the count and draws.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::{Entry, Head, Header, Log, LogError, Seq};

/// Work that ends sooner shows nothing.
const SILENT: Duration = Duration::from_secs(1);
/// From one look at the count to the next: a bar moves smoothly, and costs nothing.
const LOOK_GAP: Duration = Duration::from_millis(100);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Entries,
    /// Nothing but the time that it takes.
    Time,
}

/// Does `work`, which cannot tell how far it is, and shows for how long it has been at it.
pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    watched(what, Unit::Time, None, &|| 0, work)
}

/// Does `work`, which adds what it has done to its argument, and shows it beside `total`, if that is known.
pub fn counted<T>(
    what: &str,
    unit: Unit,
    total: Option<u64>,
    work: impl FnOnce(&AtomicU64) -> T,
) -> T {
    let done = AtomicU64::new(0);
    watched(what, unit, total, &|| done.load(Ordering::Relaxed), || work(&done))
}

/// Does `work`, which reads entries of the log that it is given, and shows beside `total` how many.
pub fn reading<T>(
    what: &str,
    total: u64,
    log: &Arc<dyn Log>,
    work: impl FnOnce(&dyn Log) -> T,
) -> T {
    let counting = Counting { log: log.clone(), read: AtomicU64::new(0) };
    let read = || counting.read.load(Ordering::Relaxed).min(total);
    watched(what, Unit::Entries, Some(total), &read, || work(&counting))
}

/// A log that counts the entries that are read of it.
struct Counting {
    log: Arc<dyn Log>,
    read: AtomicU64,
}

impl Log for Counting {
    fn head(&self) -> Head {
        self.log.head()
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        self.log.append(entries)
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        let entries = self.log.read(from, limit)?;
        self.read.fetch_add(entries.len() as u64, Ordering::Relaxed);
        Ok(entries)
    }

    fn headers(&self, from: Seq, limit: usize) -> Result<Vec<Header>, LogError> {
        self.log.headers(from, limit)
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        self.log.erase(target)
    }

    fn close(&self) -> Result<(), LogError> {
        self.log.close()
    }
}

/// Does `work`, and shows beside `total` what `done` says meanwhile.
pub fn watched<T>(
    what: &str,
    unit: Unit,
    total: Option<u64>,
    done: &(dyn Fn() -> u64 + Sync),
    work: impl FnOnce() -> T,
) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    // Dropped when the work ends, however it ends.
    let (working, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || draw(what, unit, total, done, &end));
        let result = work();
        drop(working);
        result
    })
}

fn draw(
    what: &str,
    unit: Unit,
    total: Option<u64>,
    done: &(dyn Fn() -> u64 + Sync),
    end: &mpsc::Receiver<()>,
) {
    if end.recv_timeout(SILENT) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    bar.set_style(style(unit, total.is_some()));
    bar.set_message(what.to_owned());
    // The work began a second before the bar.
    let bar = bar.with_elapsed(SILENT);
    loop {
        bar.set_position(done());
        if end.recv_timeout(LOOK_GAP) != Err(RecvTimeoutError::Timeout) {
            return bar.finish_and_clear();
        }
    }
}

fn style(unit: Unit, known: bool) -> ProgressStyle {
    let form = match (unit, known) {
        (Unit::Bytes, true) => "{msg} [{bar:30}] {bytes} of {total_bytes}, {eta} left",
        (Unit::Entries, true) => "{msg} [{bar:30}] {human_pos} of {human_len} entries, {eta} left",
        (Unit::Time, _) => "{msg}, {elapsed}",
        (Unit::Bytes, false) => "{msg} {bytes}, {elapsed}",
        (Unit::Entries, false) => "{msg} {human_pos} entries, {elapsed}",
    };
    ProgressStyle::with_template(form).expect("the form is a template").progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_templates() {
        for unit in [Unit::Bytes, Unit::Entries, Unit::Time] {
            style(unit, true);
            style(unit, false);
        }
    }
}
