//! Events and chains for tests on brokers. Each chain is of a ledger of its own: it is fenced by its id.

use ledger::{Draft, Entry, Head, Log, Seq, VerifyOptions};

use crate::brokers::unique;

/// When the stories begin: 2026-01-01, in Unix microseconds.
pub(crate) const START_US: u64 = 1_767_225_600_000_000;

pub(crate) fn note_saying(id: &str, text: &str) -> Draft {
    event("rollout.note.added.v1", id, &format!(r#"{{"text":"{text}"}}"#), None)
}

/// An event of this type, whose data is canonical JSON already.
pub(crate) fn event(event_type: &str, id: &str, data: &str, rollout: Option<&str>) -> Draft {
    let subject = rollout.map(|rollout| format!(r#""subject":"{rollout}","#)).unwrap_or_default();
    let payload = format!(
        r#"{{"data":{data},"id":"{id}","source":"test","specversion":"1.0",{subject}"type":"{event_type}"}}"#
    );
    Draft::new(payload.into_bytes()).unwrap()
}

/// A redaction of an entry that was recorded under this id.
pub(crate) fn redaction(id: &str, target: &Entry, target_id: &str) -> Draft {
    let (hash, seq) = (target.hash(), target.seq());
    let target = format!(r#"{{"hash":"{hash}","seq":{seq}}}"#);
    let data = format!(r#"{{"id":"{target_id}","source":"test","target":{target}}}"#);
    event("rollout.event.redacted.v1", id, &data, None)
}

/// A chain of this many entries: an opening and notes.
pub(crate) fn chain(len: usize) -> Vec<Entry> {
    chain_of(&format!("l{}", unique()), len)
}

/// The same of a ledger with this id.
pub(crate) fn chain_of(ledger: &str, len: usize) -> Vec<Entry> {
    let mut head = Head::GENESIS;
    let data = format!(r#"{{"home":"h","ledger_id":"{ledger}","origin":"o"}}"#);
    let opened = event("rollout.ledger.opened.v1", "opened", &data, None);
    let notes = (1..).map(|n| note_saying(&format!("note-{n}"), "all is well"));
    let seal = |(n, draft): (u64, Draft)| {
        let entry = head.seal(draft, START_US + n * 1_000);
        head = head.accept(&entry).unwrap();
        entry
    };
    (0..).zip(std::iter::once(opened).chain(notes)).map(seal).take(len).collect()
}

/// The one entry at a place.
pub(crate) fn entry(log: &dyn Log, seq: u64) -> Entry {
    log.read(Seq(seq), 1).unwrap().pop().unwrap()
}

/// Everything is checked.
pub(crate) fn strict() -> VerifyOptions {
    VerifyOptions { threads: 2, ..VerifyOptions::default() }
}
