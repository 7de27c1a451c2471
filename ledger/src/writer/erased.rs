//! Whose payloads are erased: what redactions in the chain say of their targets' ids.
//!
//! An erased entry tells no id any more, so only its redaction proves that a retry is one. The log is
//! read for them when the first such retry comes, and never twice.

use std::collections::HashSet;

use crate::{
    draft::Key,
    entry::{Entry, Seq},
    index::redacted_key,
    log::{Log, LogError, pages},
};

/// What the redactions of a stretch of the chain name.
#[derive(Debug, Default)]
pub(super) struct Erased {
    /// Targets, each with the id that its redaction gives it.
    named: HashSet<(Key, Seq)>,
    /// The stretch that was read: from the first to before the second.
    read: Option<(Seq, Seq)>,
}

impl Erased {
    /// Whether a redaction in the chain says that the entry had this key.
    pub(super) fn holds(&mut self, seq: Seq, key: Key, log: &dyn Log) -> Result<bool, LogError> {
        // A redaction comes after its target.
        let (from, end) = (seq.next(), log.head().next);
        match self.read {
            None => self.note(from, end, log)?,
            Some((first, next)) => {
                self.note(from, first, log)?;
                self.note(next, end, log)?;
            }
        }
        let first = self.read.map_or(from, |(first, _)| first.min(from));
        self.read = Some((first, end));
        Ok(self.named.contains(&(key, seq)))
    }

    fn note(&mut self, from: Seq, end: Seq, log: &dyn Log) -> Result<(), LogError> {
        for page in pages(log, from, end) {
            self.named.extend(page?.iter().map(Entry::mark).filter_map(|mark| redacted_key(&mark)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{Draft, Index, MemoryLog, Outcome, Receipt, Writer};

    fn draft(id: &str, type_name: &str, data: serde_json::Value) -> Draft {
        let event = json!({
            "specversion": "1.0",
            "id": id,
            "source": "urn:t",
            "type": type_name,
            "time": "2026-11-21T00:00:00Z",
            "data": data,
        });
        Draft::new(event.to_string().into_bytes()).unwrap()
    }

    fn note(id: &str) -> Draft {
        draft(id, "rollout.note.v1", json!({}))
    }

    fn record(writer: &mut Writer, id: &str) -> Receipt {
        let outcome = writer.commit(vec![note(id).into()], 9).unwrap().pop().unwrap();
        let Outcome::Recorded(receipts) = outcome else { panic!("{id}: {outcome:?}") };
        receipts[0]
    }

    #[test]
    fn an_index_that_says_what_the_log_does_not_takes_no_event_away() {
        let log = Arc::new(MemoryLog::default());
        let mut writer = Writer::open(log, Index::in_memory()).unwrap();
        record(&mut writer, "kept");
        let gone = record(&mut writer, "gone");
        let target = json!({ "seq": gone.seq.0, "hash": gone.hash.to_string() });
        let data = json!({ "target": target, "source": "urn:t", "id": "gone" });
        writer.redact(draft("r", "rollout.event.redacted.v1", data), 9).unwrap();
        for (id, seq) in [("new-1", gone.seq), ("new-2", Seq(0)), ("new-3", Seq(99))] {
            writer.index.insert(Key::of("urn:t", id), seq);
            let head = writer.head().next;
            let receipt = record(&mut writer, id);
            assert_eq!((receipt.seq, receipt.duplicate), (head, false), "{id}");
        }
        // What the log does hold is known, erased or not.
        let again = record(&mut writer, "gone");
        assert_eq!((again.seq, again.duplicate, again.redacted), (gone.seq, true, true));
        assert!(record(&mut writer, "kept").duplicate && record(&mut writer, "new-1").duplicate);
    }
}
