//! Whether the index says what the log says, found while the whole log is read for another reason.
//!
//! A run that lacks an id, or whose filter denies one, has every checksum that it should, and makes
//! a writer record an event twice. So of each run a sum over all of its rows is compared with the
//! same sum over the entries, whatever their order. Its secret is a hash of the rows: to find other
//! rows with the same sum, somebody would have to know the secret before there are any.
//!
//! Where the sums agree, the runs hold every id of the log in order, and an id that is recorded
//! twice stands twice in a row when they are merged. What no run holds is kept in memory, and read
//! again where a run lies.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    draft::Key,
    entry::{Hash, Seq},
    index::{
        building::Cursor,
        filter::Probe,
        own_key,
        run::{Damaged, Run},
    },
    log::{Log, LogError, pages},
    verify::rules::Findings,
};

/// Ids that no run holds and that are kept to be compared: 24 bytes each, 50 MB. A writer's own tail
/// is a tenth of it; an index that is missing is made up for up to here.
const REST_MAX: usize = 1 << 21;
/// Pairs of entries with one id that are named. Whoever made more has made them on purpose.
const DOUBLED_MAX: usize = 100;

/// What the files of an index claim.
#[derive(Debug)]
pub(crate) struct Claims {
    /// In the order of the chain; they do not overlap.
    runs: Vec<Claim>,
    /// How many ids are kept in all tallies.
    kept: AtomicUsize,
}

#[derive(Debug)]
struct Claim {
    run: Arc<Run>,
    secret: [u64; 4],
}

/// What the entries say, as far as they have been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// One for each run; none before there is anything to add.
    sums: Vec<Sum>,
    /// The ids of entries that no run covers.
    rest: Vec<(Key, Seq)>,
    /// There were more than may be kept.
    overflowed: bool,
}

/// Rows without their order.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    ids: u64,
    total: u128,
    /// Hash of the stretch's last entry.
    end: Option<Hash>,
}

/// What comparing came to.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Runs that do not say what the log says, each with the first entry whose id they do not give.
    pub(crate) lying: Vec<(PathBuf, Option<Seq>)>,
    /// Two entries with one id each, the earlier first.
    pub(crate) doubled: Vec<(Seq, Seq)>,
    /// Not every id could be compared with every other.
    pub(crate) partly: bool,
}

impl Claims {
    /// Opens what a log of at most so many entries can have an index of. Changes nothing.
    pub(crate) fn open(dir: Option<&Path>, entries_max: u64) -> Claims {
        let files = dir.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten();
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        let named = paths.filter(|path| path.extension().is_some_and(|e| e == "ids"));
        // One that cannot be read is one less: a writer makes it again.
        let mut runs: Vec<_> =
            named.filter_map(|path| Run::open(&path, entries_max).ok()).collect();
        // After a crash inside a merge both the parts and the whole are there: the whole wins.
        runs.sort_by_key(|run| (run.stretch.first, std::cmp::Reverse(run.stretch.next)));
        let mut next = Seq(0);
        runs.retain(|run| {
            let follows = run.stretch.first >= next;
            next = next.max(run.stretch.next);
            follows
        });
        let claim = |run: Run| Some(Claim { secret: secret(&run).ok()?, run: Arc::new(run) });
        Claims { runs: runs.into_iter().filter_map(claim).collect(), kept: AtomicUsize::new(0) }
    }

    /// Adds an entry, with the id that its payload gives if it has one.
    pub(crate) fn add(&self, tally: &mut Tally, seq: Seq, hash: Hash, key: Option<Key>) {
        let at = self.runs.partition_point(|claim| claim.run.stretch.next <= seq);
        let claim = self.runs.get(at).filter(|claim| claim.run.stretch.first <= seq);
        let Some(claim) = claim else {
            return if let Some(key) = key {
                self.keep(tally, key, seq);
            };
        };
        tally.sums.resize(self.runs.len(), Sum::default());
        let Some(sum) = tally.sums.get_mut(at) else { return };
        if let Some(key) = key {
            sum.add(&claim.secret, key, seq);
        }
        if seq.next() == claim.run.stretch.next {
            sum.end = Some(hash);
        }
    }

    fn keep(&self, tally: &mut Tally, key: Key, seq: Seq) {
        if self.kept.fetch_add(1, Ordering::Relaxed) < REST_MAX {
            tally.rest.push((key, seq));
        } else {
            tally.overflowed = true;
        }
    }

    /// Compares the runs with the entries below `head`, and the ids of these with each other.
    pub(crate) fn judge(
        &self,
        findings: &Findings,
        head: Seq,
        log: &dyn Log,
    ) -> Result<Judged, LogError> {
        let mut tally = findings.ids.clone();
        tally.rest.retain(|(_, seq)| *seq < head);
        tally.sums.resize(self.runs.len(), Sum::default());
        let erased: HashSet<_> = findings.erased.iter().map(|(seq, _)| *seq).collect();
        let (mut judged, mut sound) = (Judged::default(), Vec::new());
        for (claim, found) in self.runs.iter().zip(tally.sums.clone()) {
            let said = claim.said(&erased);
            if found.end != Some(claim.run.stretch.hash) {
                // Of another history, so that no writer believes it.
                self.read_again(claim, head, log, &mut tally)?;
            } else if said.is_some_and(|said| (said.ids, said.total) == (found.ids, found.total)) {
                sound.push(claim.run.clone());
            } else {
                let truth = self.read_again(claim, head, log, &mut tally)?;
                if let Err(first) = claim.compare(&truth) {
                    judged.lying.push((claim.run.path().to_path_buf(), first));
                }
            }
        }
        let ids = findings.redacted_ids(&erased);
        for (by, key, target) in &ids {
            tally.rest.push((*key, *target));
            // It belongs to the run of its target, or to the one of its redaction.
            let holds = |seq: Seq| move |run: &&Arc<Run>| run.covers(seq);
            let (here, there) = (sound.iter().find(holds(*by)), sound.iter().find(holds(*target)));
            let known =
                sound.iter().any(|run| matches!(run.find(*key, &Probe::of(*key)), Ok(Some(_))));
            if let (Some(run), Some(_), false) = (here, there, known) {
                judged.lying.push((run.path().to_path_buf(), Some(*target)));
            }
        }
        tally.rest.sort_unstable();
        tally.rest.dedup();
        judged.doubled = doubled(&sound, &tally.rest);
        judged.partly = tally.overflowed;
        Ok(judged)
    }

    /// The ids of a run's stretch as the log itself has them, in order, and kept with the others.
    fn read_again(
        &self,
        claim: &Claim,
        head: Seq,
        log: &dyn Log,
        tally: &mut Tally,
    ) -> Result<Vec<(Key, Seq)>, LogError> {
        let (from, end) = (claim.run.stretch.first, claim.run.stretch.next.min(head));
        let mut truth = Vec::new();
        let mut pages = pages(log, from, end);
        while !tally.overflowed
            && let Some(page) = pages.next().transpose()?
        {
            for (key, seq) in page.iter().filter_map(|entry| Some((own_key(entry)?, entry.seq()))) {
                self.keep(tally, key, seq);
                truth.push((key, seq));
            }
        }
        truth.sort_unstable();
        Ok(truth)
    }
}

impl Claim {
    /// The sum over the rows of entries that have their payloads; `None` if there are rows of other
    /// entries, or some that a search would not find.
    fn said(&self, erased: &HashSet<Seq>) -> Option<Sum> {
        let (mut sum, mut own) = (Sum::default(), true);
        let found = self.run.for_each_row(|key, seq| {
            if !erased.contains(&seq) {
                own &= self.run.covers(seq);
                sum.add(&self.secret, key, seq);
            }
        });
        (matches!(found, Ok(true)) && own).then_some(sum)
    }

    /// `Err`: the run does not say what its stretch says; with the first entry whose id it lacks. Two
    /// entries with one id have but one row.
    fn compare(&self, truth: &[(Key, Seq)]) -> Result<(), Option<Seq>> {
        let has = |key: Key| match self.run.find(key, &Probe::of(key)) {
            Ok(Some(seq)) => truth.binary_search(&(key, seq)).is_ok(),
            _ => false,
        };
        let lacking = truth.iter().filter(|(key, _)| !has(*key)).map(|(_, seq)| *seq).min();
        let doubled = truth.iter().zip(truth.iter().skip(1)).any(|(a, b)| a.0 == b.0);
        if lacking.is_none() && doubled { Ok(()) } else { Err(lacking) }
    }
}

impl Tally {
    /// Joins two tallies of different entries.
    pub(crate) fn append(&mut self, mut other: Tally) {
        let len = self.sums.len().max(other.sums.len());
        self.sums.resize(len, Sum::default());
        for (sum, more) in self.sums.iter_mut().zip(other.sums) {
            sum.ids += more.ids;
            sum.total = sum.total.wrapping_add(more.total);
            sum.end = sum.end.or(more.end);
        }
        self.rest.append(&mut other.rest);
        self.overflowed |= other.overflowed;
    }
}

impl Sum {
    fn add(&mut self, secret: &[u64; 4], key: Key, seq: Seq) {
        let [a, b, c, d] = *secret;
        let product = |x: u64, y: u64| u128::from(x) * u128::from(y);
        let fold = |x: u64, y: u64| {
            let bytes = product(x, y).to_be_bytes();
            let (high, low) = bytes.split_first_chunk::<8>().expect("16 bytes are two times 8");
            u64::from_be_bytes(*high) ^ u64::from_be_bytes(*low.first_chunk().expect("8 are left"))
        };
        let id = fold(key.prefix() ^ a, key.suffix() ^ b);
        let place = fold(seq.0 ^ c, id ^ d);
        self.ids += 1;
        self.total = self.total.wrapping_add(product(place ^ b, id.rotate_left(32) ^ c));
    }
}

/// What nobody knows before all the rows are written.
fn secret(run: &Run) -> Result<[u64; 4], Damaged> {
    let mut hasher = blake3::Hasher::new();
    run.for_each_row(|key, seq| {
        hasher.update(&key.0);
        hasher.update(&seq.0.to_be_bytes());
    })?;
    let mut secret = [0; 4];
    let hash = hasher.finalize();
    for (word, bytes) in secret.iter_mut().zip(hash.as_bytes().as_chunks::<8>().0) {
        *word = u64::from_be_bytes(*bytes);
    }
    Ok(secret)
}

/// Entries with one id: in runs, each of which says what the log says, and in these sorted ids.
fn doubled(runs: &[Arc<Run>], rest: &[(Key, Seq)]) -> Vec<(Seq, Seq)> {
    let mut found = Vec::new();
    let mut note = |one: (Key, Seq), other: (Key, Seq)| {
        let pair = (one.1.min(other.1), one.1.max(other.1));
        if one.0 == other.0 && one.1 != other.1 && found.len() < DOUBLED_MAX {
            found.push(pair);
        }
    };
    // One that can no longer be read has been merged with others by the writer beside us.
    let mut cursors: Vec<_> = runs.iter().filter_map(|run| Cursor::at_start(run).ok()).collect();
    let mut before = None;
    while let Some(least) =
        cursors.iter_mut().filter(|cursor| cursor.next.is_some()).min_by_key(|cursor| cursor.next)
        && let Some(row) = least.next
    {
        if let Some(before) = before.replace(row) {
            note(before, row);
        }
        if least.advance().is_err() {
            break;
        }
    }
    for (one, other) in rest.iter().zip(rest.iter().skip(1)) {
        note(*one, *other);
    }
    for (key, seq) in rest {
        let probe = Probe::of(*key);
        for other in runs.iter().filter_map(|run| run.find(*key, &probe).ok().flatten()) {
            note((*key, other), (*key, *seq));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}
