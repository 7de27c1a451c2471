//! A ledger opened for writing in this process: the log, its one writer and the clock.
//!
//! Opening appends nothing of its own but what must not be forgotten: that a torn tail was cut.

mod begin;
mod lives;
mod opened;

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use ledger::{Log, Outcome, Receipt, Seq, Submission, TornTail, Writer};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    exit::{Code, Failure, fail},
    home::{Home, random_hex},
    intake::{self, Submitter, own::Own},
    logs::{self, Opened},
    output, progress,
    space::Space,
};

pub use self::begin::init;
#[cfg(feature = "kafka")]
pub use self::begin::init_kafka;
pub(crate) use self::lives::{check_home, check_home_in_full, homes_in, moved_to};

/// The `source` of what the ledger says about itself.
pub const OWN_SOURCE: &str = "urn:rollout-ledger:self";

/// The version that the binary's own entries name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A ledger that this process may write to.
pub struct Engine {
    pub log: Arc<dyn Log>,
    pub writer: Writer,
    pub clock: Clock,
    /// Bytes of a torn tail that opening set aside.
    pub torn_bytes: u64,
    /// Room on the log's disk.
    pub space: Arc<Space>,
    /// Whether opening the log shut another writer out.
    takes_over: bool,
    /// What could lose entries and was allowed.
    allowed: Vec<String>,
    /// The random id under which it was recorded that this process writes, once it was.
    host_id: Option<String>,
}

impl Engine {
    /// Opens a ledger for writing: locks it, checks that it lives here and that the clock can be
    /// trusted.
    pub fn open(home: &Home) -> anyhow::Result<Engine> {
        let mut engine = Engine::open_with(home, Clock::start)?;
        engine.note_taken(home)?;
        Ok(engine)
    }

    /// [`open`](Engine::open) for the one command that mends a clock that was set back: first comes the
    /// step, then [`note_taken`](Engine::note_taken).
    pub fn open_after_step(home: &Home) -> anyhow::Result<Engine> {
        Engine::open_with(home, |_| Clock::start(0))
    }

    fn open_with(
        home: &Home,
        clock: impl FnOnce(u64) -> Result<Clock, crate::clock::ClockError>,
    ) -> anyhow::Result<Engine> {
        lives::check_id(home)?;
        let (mut engine, opened) = Engine::open_log(home, clock)?;
        engine.check_lives_at(home)?;
        engine.note_torn(opened.torn)?;
        Ok(engine)
    }

    /// Locks the log and brings the index of ids to its head.
    fn open_log(
        home: &Home,
        clock: impl FnOnce(u64) -> Result<Clock, crate::clock::ClockError>,
    ) -> anyhow::Result<(Engine, Opened)> {
        // After a kill, what came since the last clean stop is read once more.
        let opened = progress::timed("opening the log", || logs::writable(home))?;
        let clock = clock(opened.log.head().recorded_at_us)?;
        let writer = progress::timed("opening the index of ids", || {
            Writer::open(opened.log.clone(), opened.index())
        })?;
        Ok((Engine::of(home, &opened, writer, clock), opened))
    }

    fn of(home: &Home, opened: &Opened, writer: Writer, clock: Clock) -> Engine {
        Engine {
            log: opened.log.clone(),
            writer,
            clock,
            torn_bytes: opened.torn.as_ref().map_or(0, |torn| torn.bytes),
            space: Arc::new(Space::of(&home.disk(), home.min_free())),
            takes_over: opened.takes_over,
            allowed: opened.allowed.clone(),
            host_id: None,
        }
    }

    /// Says and records that a torn tail was cut off.
    fn note_torn(&mut self, torn: Option<TornTail>) -> anyhow::Result<()> {
        let Some(torn) = torn else { return Ok(()) };
        let kept = torn.kept_at.as_deref().and_then(Path::file_name).unwrap_or_default();
        let kept = format!("log/torn/{}", kept.to_string_lossy());
        let (seq, bytes) = (torn.seq, torn.bytes);
        output::say(&format!(
            "note: a crash left an unfinished commit at entry {seq}, of which nobody was told \
             that it is recorded; its {bytes} bytes are cut off and kept in {kept}"
        ))?;
        self.append_own(
            "rollout.ledger.tail_cut.v1",
            &format!("tail-cut-{}-{}", torn.seq, random_hex::<8>()),
            json!({
                "first_seq": torn.seq.0,
                "bytes": torn.bytes,
                "kept_as": kept,
                "basis": "observed",
            }),
        )?;
        Ok(())
    }

    /// Records one of the ledger's own events.
    pub fn append_own(&mut self, kind: &str, id: &str, data: Value) -> anyhow::Result<Receipt> {
        let event = json!({
            "specversion": "1.0", "id": id, "source": OWN_SOURCE, "type": kind, "data": data,
        });
        let draft = intake::own_draft(0, &event, &Submitter::here(Own::Tokens));
        let draft = draft.map_err(|refusal| refusal.failure())?;
        let now = self.clock.now_us()?;
        match self.writer.commit(vec![draft.into()], now)?.pop() {
            Some(Outcome::Recorded(receipts)) => {
                Ok(*receipts.first().context("one event has one receipt")?)
            }
            _ => Err(fail(Code::Conflict, format!("the id {id} belongs to another event"))),
        }
    }

    /// Records a submission, whole or not at all.
    ///
    /// # Errors
    /// Exit 75 when the disk is nearly full; others as the log and its rules say.
    pub fn append(&mut self, submission: Submission) -> anyhow::Result<Vec<Receipt>> {
        let admitted = self.space.admits(submission.size() as u64);
        admitted.map_err(|low| fail(Code::TryAgain, low.to_string()))?;
        self.append_regardless(submission)
    }

    /// [`append`](Engine::append) however little room there is, for what a start must settle.
    pub fn append_regardless(&mut self, submission: Submission) -> anyhow::Result<Vec<Receipt>> {
        let now = self.clock.now_us()?;
        match self.writer.commit(vec![submission], now)?.pop() {
            Some(Outcome::Recorded(receipts)) => Ok(receipts),
            Some(Outcome::Conflict { index, seq }) => Err(conflict(index, seq)),
            None => Err(anyhow::anyhow!("the writer gave no answer")),
        }
    }
}

/// One id, two events.
pub fn conflict(index: usize, seq: Option<Seq>) -> anyhow::Error {
    let with = seq.map_or_else(
        || "an earlier event of the same array".to_owned(),
        |seq| format!("entry {seq}"),
    );
    let message = format!(
        "its source and id belong to {with}, which says something else; it was not recorded; \
         give the event an id of its own, or `correct` the entry"
    );
    Failure::of_event(index, Code::Conflict, message).into()
}

impl Submitter {
    /// Someone at this machine's command line.
    pub fn here(own: Own) -> Submitter {
        let authid = crate::home::os_account();
        Submitter { authtype: "os_account", authid, via: own.via(), own }
    }
}
