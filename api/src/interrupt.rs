//! Ctrl-C and SIGTERM in a command that makes something.
//!
//! A signal runs no destructors, and half-made copies hold payloads. So what is begun is noted here
//! with what undoes it. A thread that waits for signals undoes it, says so in one line, and ends the
//! process as a shell expects of one that a signal ended: 129 for a hang-up, 130 for Ctrl-C, 143 for
//! SIGTERM.
//!
//! From the signal to the end of the process the thread holds what is noted locked. Whoever would put
//! something in its place, or say how the command ended, meets that lock and says nothing more.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// The signals that ask a command to end.
const ASKING: [SignalKind; 3] =
    [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];

/// A shell's status of a process that a signal ended is the signal's number above this.
const STATUS_BASE: i32 = 128;

static NOTED: Mutex<Noted> = Mutex::new(Noted { begun: Vec::new(), next: 0, watched: false });

struct Noted {
    begun: Vec<Work>,
    next: u64,
    /// Whether the thread waits for signals.
    watched: bool,
}

struct Work {
    id: u64,
    /// What is said, after `interrupted: `: what happened and how to go on.
    says: String,
    /// Takes away what was begun, and may be called again.
    undo: Box<dyn Fn() -> io::Result<()> + Send>,
}

/// Work that a signal undoes until this is dropped.
#[derive(Debug)]
pub struct Begun {
    id: u64,
}

impl Begun {
    /// Notes work. `says` stands behind `interrupted: ` on stderr.
    ///
    /// # Errors
    /// When the process cannot wait for signals.
    pub fn note(
        says: String,
        undo: impl Fn() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Begun> {
        let mut noted = noted();
        if !noted.watched {
            watch()?;
            noted.watched = true;
        }
        let id = noted.next;
        noted.next += 1;
        noted.begun.push(Work { id, says, undo: Box::new(undo) });
        Ok(Begun { id })
    }

    /// Does the step after which there is nothing to undo. A signal comes before it or after it.
    pub fn conclude<T>(self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut noted = noted();
        let result = step()?;
        noted.begun.retain(|work| work.id != self.id);
        Ok(result)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        noted().begun.retain(|work| work.id != self.id);
    }
}

/// Takes a step that leaves something to undo. It is over before a signal's thread undoes anything, or
/// never begins: what is made after that thread has looked would stay. Not for a step of
/// [`Begun::conclude`], which holds the same lock.
pub fn before_the_end<T>(step: impl FnOnce() -> T) -> T {
    let _noted = noted();
    step()
}

/// Returns unless a signal is ending the process: then whatever is left to say has been said.
pub fn settle() {
    drop(noted());
}

/// Every change is complete before it can be seen, so a panic elsewhere breaks nothing here.
fn noted() -> MutexGuard<'static, Noted> {
    NOTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the thread that waits for signals.
fn watch() -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut waiting = {
        let _inside = runtime.enter();
        let asking = ASKING.into_iter().filter(|kind| !is_ignored(kind.as_raw_value()));
        asking.map(|kind| Ok((kind, signal(kind)?))).collect::<io::Result<Vec<_>>>()?
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let number = runtime.block_on(first(&mut waiting));
        end(number);
    })?;
    Ok(())
}

/// The number of the first signal that comes.
async fn first(waiting: &mut [(SignalKind, Signal)]) -> i32 {
    std::future::poll_fn(|context| {
        for (kind, signal) in &mut *waiting {
            if signal.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(kind.as_raw_value());
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Whether whoever started this process wants the signal ignored, as `nohup` does.
fn is_ignored(number: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

fn end(number: i32) -> ! {
    let noted = noted();
    let mut lines = Vec::new();
    for work in noted.begun.iter().rev() {
        lines.push(match (work.undo)() {
            Ok(()) => format!("interrupted: {}", work.says),
            Err(e) => {
                format!("interrupted: {}; what was begun could not be taken away: {e}", work.says)
            }
        });
    }
    let mut stderr = io::stderr();
    // A bar may stand there.
    let clear = if stderr.is_terminal() { "\r\u{1b}[2K" } else { "" };
    for line in lines {
        // If stderr is gone there is nobody left to tell.
        let _ = writeln!(stderr, "{clear}{}", crate::output::printable(&line));
    }
    // Held until here, so that nothing is put in place, and nothing else said, meanwhile.
    let status = STATUS_BASE + number;
    let _noted = noted;
    process::exit(status)
}
