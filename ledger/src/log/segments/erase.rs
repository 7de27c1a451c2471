//! Taking a payload out of a segment file: the one way in which written bytes ever change.

use std::{collections::HashSet, fs, sync::Arc};

use crate::{
    entry::{Entry, Hash, Seq},
    envelope::{Envelope, Mark},
    log::{
        Log as _, LogError,
        segments::{
            Active, SegmentLog, State,
            append::{file_id, open_for_writing},
            files, frame, manifest,
            map::Segment,
            open::read_all,
        },
    },
    verify::rules::{Findings, missing},
};

/// The payloads that are gone from a segment, and those that its redactions take away: what tells
/// a lawful gap from a theft without reading the entries again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Erasures {
    /// Entries recorded here that have no payload any more, in order.
    pub(crate) erased: Vec<(Seq, Hash)>,
    /// Entries, here or before, whose payloads a redaction recorded here takes away. A redaction
    /// need not be placed: it can only hold the hash of an entry before it.
    pub(crate) redacted: Vec<(Seq, Hash)>,
}

impl Erasures {
    pub(crate) fn of(findings: Findings) -> Erasures {
        let redactions = findings.redactions.into_iter();
        let redacted = redactions.map(|(_, redaction)| (redaction.target, redaction.hash));
        Erasures { erased: findings.erased, redacted: redacted.collect() }
    }

    pub(super) fn append(&mut self, mut other: Erasures) {
        self.erased.append(&mut other.erased);
        self.redacted.append(&mut other.redacted);
    }

    /// Takes note of the redactions in a commit, and of what a copy brings without its payload.
    pub(super) fn note_commit(&mut self, commit: &[Entry]) {
        let gone = commit.iter().filter(|entry| entry.payload().is_none());
        self.erased.extend(gone.map(|entry| (entry.seq(), entry.hash())));
        self.redacted.extend(commit.iter().filter_map(|entry| match entry.mark() {
            Mark::Redacted(redaction) => Some((redaction.target, redaction.hash)),
            _ => None,
        }));
    }

    /// Takes note that a payload is gone now.
    fn note_erased(&mut self, target: Seq, hash: Hash) {
        let at = self.erased.partition_point(|(seq, _)| *seq < target);
        self.erased.insert(at, (target, hash));
    }
}

impl SegmentLog {
    pub(super) fn erase_payload(&self, target: Seq) -> Result<(), LogError> {
        let mut appender = self.appender()?;
        if appender.in_doubt {
            return Err(LogError::InDoubt(None));
        }
        // A read checks the frame, so what is rewritten is known to be whole.
        let hash = match self.read(target, 1)?.first() {
            Some(entry) if entry.payload().is_some() => entry.hash(),
            _ => return Ok(()),
        };
        let (first, offsets) = self.state().whereabouts(&self.dir, target)?;
        let path = files::segment(&self.dir, first);
        let reading = LogError::while_(format!("reading {}", path.display()));
        let mut bytes = fs::read(&path).map_err(reading)?;
        let place = usize::try_from(target.0 - first.0).expect("a segment is far under 4 GiB");
        let cut_size = cut_payload(&mut bytes, &offsets, place);
        let offsets = shifted(offsets, place, cut_size);

        // Until the rename the old file is whole, and after it the new one is. A crash on either
        // side is finished at the next opening, because the redaction is in the chain already.
        appender.in_doubt = true;
        files::replace(&*self.disk, &path, &bytes)?;
        if first == self.state().active.first {
            appender.file = open_for_writing(&*self.disk, &self.dir, first)?;
            let file_id = file_id(&self.dir, first)?;
            let active = &mut self.state_mut().active;
            active.erasures.note_erased(target, hash);
            *active = Active { size: bytes.len() as u64, offsets, file_id, ..active.clone() };
        } else {
            self.replace_sealed(first, (target, hash), bytes.len() as u64, offsets);
        }
        appender.in_doubt = false;
        Ok(())
    }

    fn replace_sealed(
        &self,
        first: Seq,
        (target, hash): (Seq, Hash),
        size: u64,
        offsets: Vec<u32>,
    ) {
        let mut state = self.state_mut();
        let Some(old) = state.sealed.iter_mut().find(|segment| segment.first == first) else {
            return;
        };
        let mut erasures = old.erasures.clone();
        erasures.note_erased(target, hash);
        *old = Arc::new(Segment::known(&self.dir, (first, old.head), size, erasures, offsets));
        let (new, all) = (old.clone(), state.sealed.clone());
        drop(state);
        // Derived: an old one does not fit the new file's size, so it is not believed.
        let _ = new.save(&*self.disk, &self.dir);
        let _ = manifest::save(&*self.disk, &self.dir, &all, &[]);
    }

    /// Erases what redactions in the chain name and a crash has left in place.
    ///
    /// A map only hints that there may be something. What cannot be undone is done on the word of
    /// the chain alone, for which all segments are read.
    pub(super) fn finish_erasures(&self) -> Result<(), LogError> {
        let mut left = Vec::new();
        for (target, hash) in self.state().redacted() {
            let entries = self.read(target, 1)?;
            if entries.first().is_some_and(|entry| may_be_erased(entry, hash)) {
                left.push((target, hash));
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let recorded: HashSet<_> = read_all(&self.dir)?.redacted().into_iter().collect();
        for (target, _) in left.into_iter().filter(|left| recorded.contains(left)) {
            self.erase_payload(target)?;
        }
        Ok(())
    }
}

/// Whether the redaction that names this hash fits the entry. What holds the ledger together is
/// never erased, whatever a redaction says.
pub(crate) fn may_be_erased(entry: &Entry, hash: Hash) -> bool {
    let envelope = entry.payload().map(Envelope::read);
    entry.hash() == hash && matches!(envelope, Some(Ok(envelope)) if !envelope.is_reserved())
}

impl State {
    pub(super) fn erasures(&self) -> impl Iterator<Item = &Erasures> {
        let sealed = self.sealed.iter().map(|segment| &segment.erasures);
        sealed.chain([&self.active.erasures])
    }

    fn redacted(&self) -> Vec<(Seq, Hash)> {
        self.erasures().flat_map(|erasures| &erasures.redacted).copied().collect()
    }

    /// Checks that a redaction in the chain allows each payload to be gone.
    pub(super) fn check_missing(&self) -> Result<(), LogError> {
        let redacted = self.erasures().flat_map(|erasures| &erasures.redacted);
        let redacted: HashSet<_> = redacted.collect();
        let mut erased = self.erasures().flat_map(|erasures| &erasures.erased);
        match erased.find(|erased| !redacted.contains(erased)) {
            Some((seq, _)) => Err(missing(*seq).into()),
            None => Ok(()),
        }
    }

    /// The segment that holds an entry, and where each of its entries begins.
    fn whereabouts(&self, dir: &std::path::Path, seq: Seq) -> Result<(Seq, Vec<u32>), LogError> {
        match self.sealed.iter().rfind(|s| s.first <= seq && seq < s.head.next) {
            Some(segment) => Ok((segment.first, segment.offsets(dir)?.to_vec())),
            None => Ok((self.active.first, self.active.offsets.clone())),
        }
    }
}

/// Replaces a frame by one without its payload, and returns how many bytes were taken away.
fn cut_payload(bytes: &mut Vec<u8>, offsets: &[u32], place: usize) -> usize {
    let start = offsets.get(place).map_or(bytes.len(), |at| *at as usize);
    let Ok(found) = frame::decode(bytes.get(start..).unwrap_or_default()) else { return 0 };
    let (size, left, header) = (found.size(), found.left, found.header);
    let mut erased = Vec::new();
    frame::encode(&mut erased, &header, None, left);
    let cut_size = size - erased.len();
    bytes.splice(start..start + size, erased);
    cut_size
}

/// Where entries begin once the one at `place` is shorter.
fn shifted(mut offsets: Vec<u32>, place: usize, cut_size: usize) -> Vec<u32> {
    let cut_size = u32::try_from(cut_size).expect("a payload is under 512 KiB");
    offsets.iter_mut().skip(place + 1).for_each(|at| *at -= cut_size);
    offsets
}
