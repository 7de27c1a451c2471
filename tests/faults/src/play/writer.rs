//! The one that writes, as `serve` is one: a log, a writer that many calls share, and a life that ends with a doubt.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use kafka_faults::event::{START_US, note, opening, writer_opened};
use ledger::{
    Draft, Index, KafkaAddress, KafkaLog, KafkaOptions, Log as _, LogError, Outcome, RecordError,
    Seq, SharedWriter, Writer,
};

use super::{Ended, read_anchor, write_anchor};

/// How many calls may wait for the writer; more are refused, which clients must see too.
const WAITING_MAX: usize = 4;
/// What a service that was fenced exits with, so that whoever started it does not think it broken.
const FENCED: u8 = 75;
/// What one exits with that found the log not to be what it was.
const HALTED: u8 = 3;

/// A take-over, until it is in doubt.
struct Life {
    name: String,
    log: Arc<KafkaLog>,
    writer: SharedWriter,
}

struct Play {
    name: String,
    address: KafkaAddress,
    options: KafkaOptions,
    dir: PathBuf,
    reopens: bool,
    lives: AtomicU64,
    current: RwLock<Arc<Life>>,
    /// Taken by the one call that opens the log again.
    opening: Mutex<()>,
}

/// Plays until its input ends.
pub(crate) fn run(
    name: &str,
    (address, options): (&str, &KafkaOptions),
    dir: &str,
    reopens: bool,
) -> Result<ExitCode, Ended> {
    let (address, dir): (KafkaAddress, PathBuf) = (address.parse()?, dir.into());
    let life = match open(&address, options, &dir, &format!("{name}.1")) {
        Err(LogError::Fenced) => return Ok(ExitCode::from(FENCED)),
        Err(LogError::Corrupt(damage)) => {
            say(&format!("halted {}", damage.code));
            return Ok(ExitCode::from(HALTED));
        }
        life => Arc::new(life?),
    };
    let play = Arc::new(Play {
        name: name.to_owned(),
        address,
        options: options.clone(),
        dir,
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
fn open(
    address: &KafkaAddress,
    options: &KafkaOptions,
    dir: &Path,
    life: &str,
) -> Result<Life, LogError> {
    let options = KafkaOptions { anchor: read_anchor(dir), ..options.clone() };
    let log = Arc::new(KafkaLog::open(address, &options)?);
    let head = log.head();
    let mut writer = Writer::open(log.clone(), Index::in_memory())?;
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
    Ok(Life { name: life.to_owned(), log, writer: SharedWriter::new(writer, WAITING_MAX, tick) })
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
                self.keep_anchor(&life);
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
                    Some(LogError::Corrupt(damage)) => halt(damage.code),
                    Some(_) if self.reopens => self.live_again(&life),
                    Some(_) => end(1),
                }
            }
        }
    }

    /// Before an acknowledgement: who opens the log next must find it there.
    fn keep_anchor(&self, life: &Life) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = life.log.anchor().map(|anchor| write_anchor(&self.dir, &self.name, anchor));
        if let Some(Err(error)) = kept {
            eprintln!("player {}: {error}", self.name);
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
        match open(&self.address, &self.options, &self.dir, &format!("{}.{number}", self.name)) {
            Ok(life) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(life);
            }
            Err(LogError::Fenced) => end(FENCED),
            Err(LogError::Corrupt(damage)) => halt(damage.code),
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

fn halt(code: &str) {
    say(&format!("halted {code}"));
    end(HALTED);
}

fn end(code: u8) {
    process::exit(i32::from(code));
}
