//! What a person is told about ids: of an index that lies, and of events that were recorded twice.
//!
//! Neither is damage. The entries are as they were written, so the chain holds; but somebody who can
//! write beside it has made a writer take an event again, and that must not pass unseen.

use crate::{index::claims::Judged, verify::Report};

/// Pairs that are named in words; `Report::doubled` has more.
const NAMED_MAX: usize = 10;

impl Report {
    /// Adds what comparing the ids came to, unless the chain itself is broken.
    pub(super) fn tell_ids(&mut self, judged: Option<Judged>) {
        let Some(judged) = judged.filter(|_| self.is_good()) else { return };
        for (path, first) in judged.lying {
            let place = first.map_or_else(String::new, |seq| format!(" of entry {seq}"));
            self.notes.push(format!(
                "{} does not say what the log says{place}: a writer that believes it records events \
                 again that are recorded; stop the writer and remove the directory that this file \
                 is in, which is made again at the next start, and ask who could write there",
                path.display()
            ));
            self.lying.push(path);
        }
        for (one, other) in judged.doubled.iter().take(NAMED_MAX) {
            self.notes.push(format!(
                "entries {one} and {other} have the same source and id, so one event is recorded \
                 twice: both are as they were written; the first is the one that counts"
            ));
        }
        let more = judged.doubled.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            self.notes.push(format!("{more} more pairs of entries, or more, have one id"));
        }
        self.doubled = judged.doubled;
        if judged.partly {
            self.notes.push(
                "the index of ids is missing or of no use, and there are more ids than are compared \
                 without it: some events may be recorded twice"
                    .to_owned(),
            );
        }
    }
}
