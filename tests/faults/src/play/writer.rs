//! The one that writes, as `serve` is one: a log, a writer that many calls share, and a life that ends with a doubt.

use std::{
    io::{self, Write as _},
    process::{self, ExitCode},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use kafka_faults::event::{START_US, note, opening, writer_opened};
use ledger::{
    Draft, Index, KafkaAddress, KafkaLog, Log as _, LogError, Outcome, RecordError, Seq,
    SharedWriter, Writer,
};

use super::{Ended, options};

/// How many calls may wait for the writer; more are refused, which clients must see too.
const WAITING_MAX: usize = 4;
/// What a service that was fenced exits with, so that whoever started it does not think it broken.
const FENCED: u8 = 75;

/// A take-over, until it is in doubt.
struct Life {
    name: String,
    writer: SharedWriter,
}

struct Play {
    name: String,
    address: KafkaAddress,
    timeout_ms: u64,
    reopens: bool,
    lives: AtomicU64,
    current: RwLock<Arc<Life>>,
    /// Taken by the one call that opens the log again.
    opening: Mutex<()>,
}

/// Plays until its input ends.
pub(crate) fn run(
    name: &str,
    address: &str,
    timeout_ms: &str,
    reopens: bool,
) -> Result<ExitCode, Ended> {
    let (address, timeout_ms): (KafkaAddress, u64) = (address.parse()?, timeout_ms.parse()?);
    let life = match open(&address, timeout_ms, &format!("{name}.1")) {
        Err(LogError::Fenced) => return Ok(ExitCode::from(FENCED)),
        life => Arc::new(life?),
    };
    let play = Arc::new(Play {
        name: name.to_owned(),
        address,
        timeout_ms,
        reopens,
        lives: AtomicU64::new(1),
        current: RwLock::new(life),
        opening: Mutex::default(),
    });
    for line in io::stdin().lines() {
        let (line, play) = (line?, play.clone());
        thread::spawn(move || play.answer(&line));
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes the log over and records that.
fn open(address: &KafkaAddress, timeout_ms: u64, life: &str) -> Result<Life, LogError> {
    let log = Arc::new(KafkaLog::open(address, &options(timeout_ms))?);
    let head = log.head();
    let mut writer = Writer::open(log, Index::in_memory())?;
    let mut first: Vec<Draft> = Vec::new();
    if head.next == Seq(0) {
        first.push(opening(&format!("of-{}", address.topic())));
    }
    first.push(writer_opened(life));
    let first = first.into_iter().map(Into::into).collect();
    let opened = writer.commit(first, head.recorded_at_us.max(START_US));
    opened.map_err(|doubt| doubt.0.unwrap_or(LogError::InDoubt(None)))?;
    // Each commit is a microsecond later than the one before, whoever makes it.
    let clock = AtomicU64::new(head.recorded_at_us.max(START_US));
    let tick = move || clock.fetch_add(1, Ordering::Relaxed);
    say(&format!("opened {life}"));
    Ok(Life { name: life.to_owned(), writer: SharedWriter::new(writer, WAITING_MAX, tick) })
}

impl Play {
    fn answer(&self, line: &str) {
        let mut words = line.split(' ');
        let (Some(number), Some(key), Some(body)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let life = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        match life.writer.record(note(key, body).into()) {
            Ok(Outcome::Recorded(receipts)) => {
                for receipt in receipts {
                    let known = if receipt.duplicate { "known" } else { "new" };
                    let (seq, hash) = (receipt.seq, receipt.hash);
                    say(&format!("{number} ok {} {hash} {known} {}", seq.0, life.name));
                }
            }
            Ok(Outcome::Conflict { .. }) => say(&format!("{number} fail conflict")),
            Err(RecordError::Refused(refused)) => say(&format!("{number} fail {refused:?}")),
            Err(RecordError::InDoubt(doubt)) => {
                let why = doubt.0.as_ref().map_or("doubt".to_owned(), ToString::to_string);
                say(&format!("{number} unknown {why}"));
                match doubt.0 {
                    // One of those that hear of it is told why, and decides.
                    None => {}
                    Some(LogError::Fenced) => end(FENCED),
                    Some(LogError::Corrupt(damage)) => {
                        say(&format!("halted {}", damage.code));
                        end(3);
                    }
                    Some(_) if self.reopens => self.live_again(&life),
                    Some(_) => end(1),
                }
            }
        }
    }

    /// Whoever comes first opens the log again; the others find it open.
    fn live_again(&self, doubted: &Arc<Life>) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !Arc::ptr_eq(&current, doubted) {
            return;
        }
        let number = self.lives.fetch_add(1, Ordering::Relaxed) + 1;
        match open(&self.address, self.timeout_ms, &format!("{}.{number}", self.name)) {
            Ok(life) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(life);
            }
            Err(LogError::Fenced) => end(FENCED),
            Err(error) => {
                eprintln!("player {}: {error}", self.name);
                end(1);
            }
        }
    }
}

/// A line, whole. Nobody is left to hear that it cannot be written.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn end(code: u8) {
    process::exit(i32::from(code));
}
