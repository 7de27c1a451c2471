//! A process that works on a ledger, what it was told, and what must be true of it afterwards.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ledger::{
    Entry, Envelope, Hash, Index, Log, LogError, Outcome, RedactError, SegmentLog, Seq, Submission,
    Writer, verify_dir,
};

use crate::{
    sim::{disk::SimDisk, image::Image},
    story::{START_US, note, opened, redaction, strict},
};

/// Small, so that a few commits make several segments.
pub(crate) const SEGMENT_SIZE: u64 = 780;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Create,
    Open,
    /// So many entries in one commit.
    Commit(usize),
    /// Takes the payload of this entry away.
    Redact(u64),
    Close,
    /// The process ends without closing, as by kill -9.
    Stop,
}

/// What was answered, which is what must be there ever after.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The log was made.
    pub(crate) exists: bool,
    /// Every entry that was acknowledged, or was there when a writer had opened the log.
    pub(crate) hashes: Vec<Hash>,
    /// What was sent last and not answered: all of it may be there, or nothing.
    doubt: Vec<String>,
    /// Whether the doubt is about a redaction, which has one entry.
    doubtful_redaction: bool,
    sent: usize,
}

/// What the next opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found(pub(crate) BTreeSet<&'static str>);

pub(crate) struct Process {
    pub(crate) disk: SimDisk,
    log_dir: PathBuf,
    open: Option<(Arc<SegmentLog>, Writer)>,
    pub(crate) known: Known,
    /// By each opening.
    pub(crate) found: Vec<Found>,
    /// What it was in doubt about, to be sent again.
    unanswered: Vec<String>,
    /// Torn tails that were cut off, by the files that keep them.
    kept: Vec<(PathBuf, Vec<u8>)>,
}

impl Process {
    pub(crate) fn new(disk: SimDisk, root: &Path, known: Known) -> Process {
        let (log_dir, found) = (root.join("log"), Vec::new());
        let (unanswered, kept) = (Vec::new(), Vec::new());
        Process { disk, log_dir, open: None, known, found, unanswered, kept }
    }

    /// Does it, and takes note of what was answered. An `Err` is for people.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Create | Act::Open => {
                let disk = Arc::new(self.disk.clone());
                let open =
                    if act == Act::Create { SegmentLog::create_on } else { SegmentLog::open_on };
                let log = Arc::new(open(disk, &self.log_dir, SEGMENT_SIZE).map_err(said)?);
                let writer = Writer::open(log.clone(), Index::in_memory()).map_err(said)?;
                self.open = Some((log, writer));
                self.known.exists = true;
                self.survey();
                Ok(())
            }
            Act::Commit(len) => {
                // The first entry of all opens the ledger.
                let first = if self.known.hashes.is_empty() { 0 } else { self.known.sent };
                self.known.sent = first + len;
                self.send((first..first + len).map(|n| format!("n{n}")).collect())
            }
            Act::Redact(target) => self.redact(target),
            Act::Close => self.log().close().map_err(said),
            Act::Stop => {
                self.open = None;
                Ok(())
            }
        }
    }

    pub(crate) fn log(&self) -> &SegmentLog {
        &self.open.as_ref().unwrap().0
    }

    /// Whether the log is open for writing.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn send(&mut self, ids: Vec<String>) -> Result<(), String> {
        let draft = |id: &String| if id == "n0" { opened() } else { note(id) };
        let submission = Submission::new(ids.iter().map(draft).collect()).unwrap();
        self.known.doubt = ids;
        self.known.doubtful_redaction = false;
        let (_, writer) = self.open.as_mut().unwrap();
        let outcomes = writer.commit(vec![submission], START_US).map_err(said)?;
        let [Outcome::Recorded(receipts)] = &outcomes[..] else { panic!("{outcomes:?}") };
        let new = receipts.iter().filter(|receipt| !receipt.duplicate).count();
        assert!(new == 0 || new == receipts.len(), "a commit is there in part: {receipts:?}");
        for receipt in receipts {
            self.known.note(receipt.seq, receipt.hash);
        }
        self.known.doubt.clear();
        Ok(())
    }

    fn redact(&mut self, target: u64) -> Result<(), String> {
        let (log, writer) = self.open.as_mut().unwrap();
        let Some(entry) = log.read(Seq(target), 1).unwrap().pop() else { return Ok(()) };
        let Some(payload) = entry.payload() else { return Ok(()) };
        let envelope = Envelope::read(payload).unwrap();
        if envelope.is_reserved() {
            return Ok(());
        }
        let id = format!("r{}", self.known.sent);
        self.known.sent += 1;
        self.known.doubt = vec![id.clone()];
        self.known.doubtful_redaction = true;
        match writer.redact(redaction(&id, &entry, envelope.id()), START_US) {
            Ok(receipt) => self.known.note(receipt.seq, receipt.hash),
            Err(RedactError::NotErased(receipt, e)) => {
                self.known.note(receipt.seq, receipt.hash);
                self.known.doubt.clear();
                return Err(said(e));
            }
            Err(RedactError::InDoubt(e)) => return Err(said(e)),
            Err(e) => panic!("{e}"),
        }
        self.known.doubt.clear();
        assert_eq!(entry_at(&**log, target).payload(), None);
        Ok(())
    }

    /// After a failure nothing more is taken, and nothing more is changed.
    pub(crate) fn assert_poisoned(&mut self) {
        let Some((log, writer)) = self.open.as_mut() else { return };
        let before = self.disk.steps_len();
        let submission = Submission::new(vec![note("refused")]).unwrap();
        assert!(writer.commit(vec![submission], START_US).is_err(), "the writer goes on");
        let entry = log.head().seal(note("refused"), START_US);
        let again = log.append(&[entry]);
        assert!(matches!(again, Err(LogError::InDoubt(None))), "the log goes on: {again:?}");
        assert!(matches!(log.close(), Err(LogError::InDoubt(None))), "a doubt is no clean stop");
        assert_eq!(self.disk.steps_len(), before, "a failed writer touches nothing more");
        assert_eq!(log.read(Seq(0), 999).unwrap().len(), log.head().len_from(Seq(0)));
    }

    /// Opens the ledger after whatever has happened, and demands all that is promised.
    pub(crate) fn recover(&mut self) -> Found {
        self.open = None;
        self.assert_good_to_an_auditor();
        if let Err(e) = self.open_again() {
            panic!("the next start does not succeed: {e}");
        }
        let found = self.found.last().unwrap().clone();
        // What was in doubt is sent again, and is there once.
        let (before, unanswered) = (self.known.hashes.len(), std::mem::take(&mut self.unanswered));
        if !unanswered.is_empty() {
            let lost = if found.0.contains("+") { 0 } else { unanswered.len() };
            self.send(unanswered).unwrap();
            assert_eq!(self.known.hashes.len(), before + lost, "sent again, recorded twice");
        }
        self.act(Act::Commit(1)).expect("the next append succeeds");
        found
    }

    /// What an opening must have found.
    fn survey(&mut self) {
        let torn = self.log().torn_tail().cloned();
        let entries = self.log().read(Seq(0), 9_999).unwrap();
        let extra = entries.len().checked_sub(self.known.hashes.len());
        let extra = extra.unwrap_or_else(|| panic!("acknowledged entries are lost: {entries:?}"));
        assert!(extra == 0 || extra == self.known.doubt.len(), "{extra} entries more");
        for (entry, hash) in entries.iter().zip(&self.known.hashes) {
            assert_eq!(entry.hash(), *hash, "entry {} is another one", entry.seq());
        }
        let mut found = BTreeSet::from([if extra == 0 { "=" } else { "+" }]);
        if let Some(torn) = torn {
            found.insert("t");
            let path = torn.kept_at.unwrap();
            let below = path.strip_prefix(self.log_dir.parent().unwrap()).unwrap();
            self.kept.push((below.to_path_buf(), fs::read(&path).unwrap()));
        }
        self.found.push(Found(found));
        self.known.hashes = entries.iter().map(Entry::hash).collect();
        self.assert_redacted(&entries);
        let doubt = std::mem::take(&mut self.known.doubt);
        self.unanswered = if self.known.doubtful_redaction { Vec::new() } else { doubt };
    }

    pub(crate) fn open_again(&mut self) -> Result<(), String> {
        if self.known.exists {
            return self.act(Act::Open);
        }
        // The making had no answer, so whoever wanted it asks again.
        match self.act(Act::Create) {
            Err(said) if said.contains("already") => self.act(Act::Open),
            made => made,
        }
    }

    /// What `verify` says before anyone has mended anything.
    fn assert_good_to_an_auditor(&self) {
        match verify_dir(&self.log_dir, &strict()) {
            Ok(report) => assert!(report.is_good(), "{report:?}"),
            Err(LogError::Missing(_)) if !self.known.exists => {}
            Err(e) => panic!("{e}"),
        }
    }

    /// Every payload that a recorded redaction names is gone from every file that is kept.
    fn assert_redacted(&self, entries: &[Entry]) {
        let named: BTreeSet<u64> = entries.iter().filter_map(redacted_by).collect();
        for entry in entries {
            let gone = named.contains(&entry.seq().0);
            assert_eq!(entry.payload().is_none(), gone, "entry {}", entry.seq());
        }
        let image = Image::read(&self.log_dir);
        let half_done = image.0.keys().any(|path| path.to_string_lossy().ends_with(".seg.tmp"));
        assert!(!half_done, "it may hold a payload");
    }

    /// A clean stop, and then the power goes: what was promised is on the disk by itself.
    pub(crate) fn close_and_cut_power(&mut self, scratch: &Path) {
        self.assert_durable(scratch);
        self.act(Act::Close).expect("a clean stop");
        self.open = None;
        self.assert_good_to_an_auditor();
        self.assert_durable(scratch);
    }

    /// All that was acknowledged is on the disk, if nothing is that was not synced.
    pub(crate) fn assert_durable(&self, scratch: &Path) {
        let image = self.disk.durable();
        if scratch.exists() {
            fs::remove_dir_all(scratch).unwrap();
        }
        image.write(scratch);
        let log = SegmentLog::open_read_only(scratch.join("log"));
        let log = log.unwrap_or_else(|e| panic!("it is not on the disk: {e}\n{image}"));
        let stored = log.headers(Seq(0), 9_999).unwrap();
        assert!(stored.len() >= self.known.hashes.len(), "acknowledged and not on the disk");
        for (header, hash) in stored.iter().zip(&self.known.hashes) {
            assert_eq!(header.hash(), *hash);
        }
        let report = verify_dir(&scratch.join("log"), &strict()).unwrap();
        assert!(report.is_good(), "{report:?}");
        for (path, bytes) in &self.kept {
            assert_eq!(image.0.get(path), Some(&Some(bytes.clone())), "a torn tail is lost");
        }
    }
}

impl Known {
    fn note(&mut self, seq: Seq, hash: Hash) {
        let at = usize::try_from(seq.0).unwrap();
        assert!(at <= self.hashes.len(), "a gap before entry {seq}");
        if at == self.hashes.len() {
            self.hashes.push(hash);
        }
        assert_eq!(self.hashes[at], hash);
    }

    /// Two with the same key expect the same of a directory.
    pub(crate) fn key(&self) -> (usize, usize, usize) {
        (self.hashes.len(), self.doubt.len(), self.sent)
    }
}

/// The entry that a redaction takes the payload of.
fn redacted_by(entry: &Entry) -> Option<u64> {
    let event: serde_json::Value = serde_json::from_slice(entry.payload()?).unwrap();
    let redacts = event["type"] == "rollout.event.redacted.v1";
    redacts.then(|| event["data"]["target"]["seq"].as_u64().unwrap())
}

fn entry_at(log: &dyn Log, seq: u64) -> Entry {
    log.read(Seq(seq), 1).unwrap().pop().unwrap()
}

/// An error with its sources.
fn said(e: impl std::error::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    text
}
