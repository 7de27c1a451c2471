//! Events and chains for tests to tell their stories with.

use ledger::{Draft, Entry, Head, Index, Log, SegmentLog, Seq, Submission, VerifyOptions, Writer};

/// When the stories begin: 2026-01-01, in Unix microseconds.
pub(crate) const START_US: u64 = 1_767_225_600_000_000;

/// A note under this id.
pub(crate) fn note(id: &str) -> Draft {
    note_saying(id, "all is well")
}

pub(crate) fn note_saying(id: &str, text: &str) -> Draft {
    event("rollout.note.added.v1", id, &format!(r#"{{"text":"{text}"}}"#))
}

/// An event of this type, whose data is canonical JSON already.
pub(crate) fn event(event_type: &str, id: &str, data: &str) -> Draft {
    let payload = format!(
        r#"{{"data":{data},"id":"{id}","source":"test","specversion":"1.0","type":"{event_type}"}}"#
    );
    Draft::new(payload.into_bytes()).unwrap()
}

/// The first entry of every ledger.
pub(crate) fn opened() -> Draft {
    event("rollout.ledger.opened.v1", "opened", r#"{"home":"h","ledger":"l","origin":"o"}"#)
}

/// A redaction of an entry that was recorded under this id.
pub(crate) fn redaction(id: &str, target: &Entry, target_id: &str) -> Draft {
    let data = format!(
        r#"{{"id":"{target_id}","source":"test","target":{{"hash":"{}","seq":{}}}}}"#,
        target.hash(),
        target.seq()
    );
    event("rollout.event.redacted.v1", id, &data)
}

/// A chain of this many entries: an opening and notes.
pub(crate) fn chain(len: usize) -> Vec<Entry> {
    let mut head = Head::GENESIS;
    let drafts = std::iter::once(opened()).chain((1..).map(|n| note(&format!("note-{n}"))));
    let seal = |(n, draft): (u64, Draft)| {
        let entry = head.seal(draft, START_US + n * 1_000);
        head = head.accept(&entry).unwrap();
        entry
    };
    (0..).zip(drafts).map(seal).take(len).collect()
}

/// Commits each group of drafts at once, through a writer.
pub(crate) fn record(log: &std::sync::Arc<SegmentLog>, groups: Vec<Vec<Draft>>) {
    let mut writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
    for (n, group) in (0..).zip(groups) {
        let submission = Submission::new(group).unwrap();
        writer.commit(vec![submission], START_US + n * 1_000).unwrap();
    }
}

/// The one entry at a place.
pub(crate) fn entry(log: &dyn Log, seq: u64) -> Entry {
    log.read(Seq(seq), 1).unwrap().pop().unwrap()
}

/// Everything is checked.
pub(crate) fn strict() -> VerifyOptions {
    VerifyOptions { threads: 2, ..VerifyOptions::default() }
}
