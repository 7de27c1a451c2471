//! Readers that follow the log and write down what they take for recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use kafka_faults::{
    chance::Chance,
    history::{Event, Recorder},
};
use ledger::{Entry, KafkaAddress, KafkaLog, KafkaOptions, Log as _, LogError, Seq};

/// Entries applied at once.
const PAGE_LEN: usize = 200;
/// In a hundred looks: begin again with a new connection, from the anchor.
const AGAIN: u64 = 1;

pub(crate) struct Readers {
    /// Where the log ends, once nobody writes any more.
    end: Arc<AtomicU64>,
    all: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn begin(
        address: &KafkaAddress,
        options: &KafkaOptions,
        recorder: &Arc<Recorder>,
        count: usize,
        seed: u64,
    ) -> Readers {
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let reader = |number: usize| {
            let reader = Reader {
                name: format!("r{number}"),
                lives: 0,
                address: address.clone(),
                options: options.clone(),
                recorder: recorder.clone(),
                chance: Chance::of(seed, &format!("reader {number}")),
                next: 0,
            };
            let end = end.clone();
            thread::spawn(move || reader.go_on_until(&end))
        };
        Readers { all: (1..=count).map(reader).collect(), end }
    }

    /// Waits until each has applied all of it, or has stopped with an alarm.
    pub(crate) fn end(self, end: Seq) {
        self.end.store(end.0, Ordering::Relaxed);
        self.all.into_iter().for_each(|reader| reader.join().unwrap());
    }
}

struct Reader {
    name: String,
    lives: usize,
    address: KafkaAddress,
    options: KafkaOptions,
    recorder: Arc<Recorder>,
    chance: Chance,
    next: u64,
}

impl Reader {
    fn go_on_until(mut self, end: &AtomicU64) {
        while self.next < end.load(Ordering::Relaxed) {
            self.lives += 1;
            match self.follow(end) {
                Ok(()) | Err(LogError::Unavailable { .. } | LogError::Missing(_)) => {}
                Err(LogError::Corrupt(damage)) => {
                    let code = format!("{}: {damage}", damage.code);
                    self.recorder.add(Event::Halted { reader: self.name.clone(), code });
                    return;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn follow(&mut self, end: &AtomicU64) -> Result<(), LogError> {
        let log = KafkaLog::follow(&self.address, &self.options)?;
        // It is where the anchor is; a life that ended before the anchor was taken applied no more than that.
        while self.next < end.load(Ordering::Relaxed) {
            let head = log.advance(PAGE_LEN, true)?;
            while self.next < head.next.0 {
                let page = log.read(Seq(self.next), PAGE_LEN)?;
                let hashes = page.iter().map(|entry| Entry::hash(entry).to_string()).collect();
                let reader = format!("{}.{}", self.name, self.lives);
                self.recorder.add(Event::Applied { reader, from: self.next, hashes });
                self.next += page.len() as u64;
            }
            self.options.anchor = log.anchor();
            if self.chance.happens(AGAIN) {
                break;
            }
        }
        Ok(())
    }
}
