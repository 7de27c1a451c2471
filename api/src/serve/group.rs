//! The servers of a ledger among each other: a thread that waits for its turn to write, and one that
//! reads where the writer is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ledger::{KafkaAddress, KafkaBoard, KafkaCandidate, KafkaOptions, LogError, Turn};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    forward::ForwardKey,
    station::{Station, WriterAt},
};

/// How long one wait for news is: a stop is seen after it.
const POLL_WAIT: Duration = Duration::from_millis(200);

/// How long to wait for brokers that do not answer.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// A process whose waits of [`POLL_WAIT`] last so long was stopped, and half a session is over.
const SLEEP_MIN: Duration = Duration::from_secs(5);

/// How often it is told at most that the group does not answer.
const REPORT_PERIOD: Duration = Duration::from_secs(10);

/// How long leaving the group may take; after that its members wait for the session to end.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(3);

/// The longest address that is believed, in bytes.
const URL_LEN_MAX: usize = 256;

/// Where the servers of a ledger meet.
#[derive(Clone)]
pub(super) struct Group {
    pub address: KafkaAddress,
    pub options: KafkaOptions,
    pub key: ForwardKey,
}

/// Membership of the group: what becomes of the place, and a way out of it.
pub(super) struct Membership {
    pub turns: mpsc::UnboundedReceiver<Turn>,
    /// Set when this process did not run for so long that its place was another's meanwhile.
    pub slept: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    left: Option<oneshot::Receiver<()>>,
    /// Keeps the turns open for a server that does not stand by.
    _turns: Option<mpsc::UnboundedSender<Turn>>,
}

/// A writer's word about itself, sealed with the ledger's key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notice {
    writer: WriterAt,
    seal: String,
}

/// A notice that a server of the ledger with this key wrote.
pub(crate) fn believed(key: &ForwardKey, notice: &[u8]) -> Option<WriterAt> {
    let Notice { writer, seal } = serde_json::from_slice(notice).ok()?;
    let sealed = key.is_sealed(&said(&writer), &seal);
    (sealed && writer.url.len() <= URL_LEN_MAX).then_some(writer)
}

impl Group {
    /// Follows where the writer is and, if it stands by, waits for its turn.
    pub(super) fn enter(
        &self,
        stands_by: bool,
        station: &Arc<Station>,
    ) -> anyhow::Result<Membership> {
        let stop = Arc::new(AtomicBool::new(false));
        let (group, station, ending) = (self.clone(), station.clone(), stop.clone());
        thread::Builder::new()
            .name("notices".to_owned())
            .spawn(move || group.read_notices(&station, &ending))?;
        let ((tell, turns), slept) = (mpsc::unbounded_channel(), Arc::<AtomicBool>::default());
        if !stands_by {
            return Ok(Membership { turns, slept, stop, left: None, _turns: Some(tell) });
        }
        let (group, ending, (leave, left)) = (self.clone(), stop.clone(), oneshot::channel());
        let sleep = slept.clone();
        thread::Builder::new().name("turns".to_owned()).spawn(move || {
            group.wait_for_turns(&tell, &sleep, &ending);
            let _ = leave.send(());
        })?;
        Ok(Membership { turns, slept, stop, left: Some(left), _turns: None })
    }

    /// Says where the writer is, until it is said or there is nothing to say any more.
    pub(super) fn tell(&self, writer: WriterAt, over: Arc<AtomicBool>) -> anyhow::Result<()> {
        let group = self.clone();
        let notice = serde_json::to_vec(&group.noticed(writer))?;
        thread::Builder::new().name("notice".to_owned()).spawn(move || {
            while !over.load(Ordering::Relaxed) {
                match KafkaBoard::post(&group.address, &group.options, &notice) {
                    Ok(()) => return,
                    Err(e) => {
                        report(&e, "other servers cannot be told where the writer is");
                        thread::sleep(RETRY_WAIT);
                    }
                }
            }
        })?;
        Ok(())
    }

    fn noticed(&self, writer: WriterAt) -> Notice {
        let seal = self.key.seal(&said(&writer));
        Notice { writer, seal }
    }

    fn believed(&self, notice: &[u8]) -> Option<WriterAt> {
        believed(&self.key, notice)
    }

    fn read_notices(&self, station: &Station, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if let Err(e) = self.read_board(station, stop) {
                report(&e, "where the writer is cannot be read; trying again");
                thread::sleep(RETRY_WAIT);
            }
        }
    }

    fn read_board(&self, station: &Station, stop: &AtomicBool) -> Result<(), LogError> {
        let board = KafkaBoard::open(&self.address, &self.options)?;
        while !stop.load(Ordering::Relaxed) {
            for notice in board.news(POLL_WAIT)? {
                if let Some(writer) = self.believed(&notice) {
                    station.learn(writer);
                } else {
                    tracing::warn!(
                        "a record of the control topic was not written by a server of this ledger"
                    );
                }
            }
        }
        Ok(())
    }

    fn wait_for_turns(
        &self,
        tell: &mpsc::UnboundedSender<Turn>,
        slept: &AtomicBool,
        stop: &AtomicBool,
    ) {
        let (mut candidate, mut reported, mut awake) = (None, None, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            if awake.elapsed() >= SLEEP_MIN {
                slept.store(true, Ordering::Relaxed);
            }
            awake = Instant::now();
            let Some(joined) = &candidate else {
                match KafkaCandidate::join(&self.address, &self.options) {
                    Ok(joined) => candidate = Some(joined),
                    Err(e) => {
                        report(&e, "the group of servers cannot be joined; trying again");
                        thread::sleep(RETRY_WAIT);
                    }
                }
                continue;
            };
            match joined.poll(POLL_WAIT) {
                Ok(Some(turn)) if tell.send(turn).is_err() => return,
                // Each error of each connection comes here, and a turn behind them: they are passed
                // over as fast as they come.
                Err(e) if reported.is_none_or(|at: Instant| at.elapsed() >= REPORT_PERIOD) => {
                    report(&e, "the group of servers does not answer");
                    reported = Some(Instant::now());
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}

impl Membership {
    /// Leaves the group, so that another server takes over at once.
    pub(super) async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(left) = self.left.take() {
            let _ = tokio::time::timeout(LEAVE_WAIT_MAX, left).await;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The bytes that a seal is of.
fn said(writer: &WriterAt) -> Vec<u8> {
    serde_json::to_vec(writer).expect("plain strings are JSON")
}

fn report(e: &LogError, what: &str) {
    match e {
        LogError::Unavailable { doing, source } => {
            tracing::warn!(doing, error = %source, "{what}");
        }
        e => tracing::warn!(error = %e, "{what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::PseudonymKey;

    fn group(byte: u8) -> Group {
        Group {
            address: "kafka://127.0.0.1:1/t".parse().unwrap(),
            options: KafkaOptions::default(),
            key: ForwardKey::of(&PseudonymKey::generate([byte; 32])),
        }
    }

    #[test]
    fn only_a_server_of_the_ledger_says_where_the_writer_is() {
        let writer = |url: &str| WriterAt { url: url.to_owned(), host_id: "h".to_owned(), seq: 7 };
        let real = writer("http://127.0.0.1:8080");
        let notice = group(1).noticed(real.clone());
        let text = serde_json::to_vec(&notice).unwrap();
        assert_eq!(group(1).believed(&text), Some(real));
        assert_eq!(group(2).believed(&text), None);
        let forged = Notice { writer: writer("http://127.0.0.2:8080"), seal: notice.seal };
        assert_eq!(group(1).believed(&serde_json::to_vec(&forged).unwrap()), None);
        for text in ["", "{}", "{\"url\":\"http://127.0.0.1:1\"}"] {
            assert_eq!(group(1).believed(text.as_bytes()), None, "{text}");
        }
        let long = group(1).noticed(writer(&"x".repeat(URL_LEN_MAX + 1)));
        assert_eq!(group(1).believed(&serde_json::to_vec(&long).unwrap()), None);
    }
}
