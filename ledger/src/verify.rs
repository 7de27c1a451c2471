//! Reads a whole log back and checks it. Trusts nothing that is derived.
//!
//! What a good report proves: the entries are the ones whose hash the head names, in this order,
//! none missing, each with the payload that its header was made for, or with a redaction in the
//! chain that says why not. What it cannot prove is that nobody rewrote everything: only a head
//! that was kept outside does, given as [`VerifyOptions::expect_head`].

mod cause;
mod directory;
mod ids;
pub(crate) mod rules;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use directory::{segments_size, verify_dir, verify_dir_watched, verify_dir_with_ids};
pub use rules::ClockStep;
use rules::{Checks, Findings, Known, RESTORE, Rules, damage, name_swap};

use crate::{
    chain::Head,
    entry::{Hash, Seq},
    index::{IndexWatch, claims::Claims},
    log::{Damage, Log, LogError},
};

/// Entries read at once.
const PAGE_LEN: usize = 500;

/// How thorough to be.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions {
    /// How many segments to read at a time; at least 1.
    pub threads: usize,
    /// Whether every payload must be a canonical event, and not only match its digest.
    pub payloads: bool,
    /// Whether entry 0 must be `rollout.ledger.opened.v1`, as in every ledger.
    pub opened_first: bool,
    /// An entry that must be there with this hash: from a head that was kept outside.
    pub expect_head: Option<(Seq, Hash)>,
}

impl Default for VerifyOptions {
    /// Everything that needs no head from outside, on one thread.
    fn default() -> VerifyOptions {
        VerifyOptions { threads: 1, payloads: true, opened_first: true, expect_head: None }
    }
}

/// What a verification found.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many entries hold, from the first on.
    pub entries: u64,
    /// The end of the last whole commit that holds.
    pub head: Head,
    /// Every redaction in what holds, in order.
    pub redactions: Vec<RedactedEntry>,
    /// Every entry that may take time back, in order.
    pub clock_steps: Vec<ClockStep>,
    /// The first entry that is not as it was written. `None`: the log is good.
    pub first_bad: Option<Damage>,
    /// A commit in pieces behind the last whole one, as a crash or a writer at work leaves it.
    pub torn: Option<Torn>,
    /// Entries that have one source and id, the earlier first: an event that was recorded twice. Each
    /// is as it was written. Empty where ids were not compared.
    pub doubled: Vec<(Seq, Seq)>,
    /// Files of the index of ids that do not say what the log says.
    pub lying: Vec<PathBuf>,
    /// What a person should know, though the entries are as they were written.
    pub notes: Vec<String>,
}

/// A redaction, and what became of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedactedEntry {
    /// The `event.redacted`.
    pub by: Seq,
    /// The entry that it names.
    pub target: Seq,
    /// Whether the target's payload is gone. If not, opening the log for writing erases it.
    pub erased: bool,
}

/// Bytes behind the last whole commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The first entry of the commit in pieces.
    pub seq: Seq,
    /// The segment file.
    pub file: PathBuf,
    /// Where the pieces begin in it.
    pub offset: u64,
    /// How many bytes there are.
    pub bytes: u64,
}

impl Report {
    /// Whether everything holds.
    pub fn is_good(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// Checks all entries of a log, through the log. For a directory, [`verify_dir`] sees more.
pub fn verify(log: &dyn Log, options: &VerifyOptions) -> Result<Report, LogError> {
    verify_by(log, options.checks(None), &|_| ())
}

/// [`verify`], which also compares the ids in the log with each other and with the index in a
/// directory, writes nothing, and tells how many entries were checked as it goes.
pub fn verify_with_ids(
    log: &dyn Log,
    ids: &Path,
    options: &VerifyOptions,
    checked: &dyn Fn(u64),
) -> Result<Report, LogError> {
    let claims = Arc::new(Claims::open(Some(ids), log.head().next.0));
    verify_by(log, Checks { claims: Some(claims), ..options.checks(None) }, checked)
}

/// [`verify`], which also compares the index that a writer uses with the log, and the ids in the log
/// with each other. The writer makes the index again if it lies.
pub fn verify_with_index(
    log: &dyn Log,
    index: &IndexWatch,
    options: &VerifyOptions,
) -> Result<Report, LogError> {
    let claims = Arc::new(Claims::open(index.dir(), log.head().next.0));
    let report = verify_by(log, Checks { claims: Some(claims), ..options.checks(None) }, &|_| ())?;
    if !report.lying.is_empty() {
        index.doubt();
    }
    Ok(report)
}

fn verify_by(log: &dyn Log, checks: Checks, checked: &dyn Fn(u64)) -> Result<Report, LogError> {
    let mut rules = Rules::new(&checks, Head::GENESIS);
    let first_bad = loop {
        let page = log.read(rules.head.next, PAGE_LEN)?;
        if page.is_empty() {
            break None;
        }
        let seqs = page.iter().skip(1).map(|entry| Some(entry.seq())).chain([None]);
        let broken = page.iter().zip(seqs).find_map(|(entry, following)| {
            let stepped = rules.step(entry.header(), entry.hash(), entry.payload());
            let mut damage = stepped.err()?;
            name_swap(&mut damage, entry.seq(), following);
            Some(damage)
        });
        if broken.is_some() {
            break broken;
        }
        checked(page.len() as u64);
    };
    let next = rules.head.next;
    let judged = match (&checks.claims, &first_bad) {
        (Some(claims), None) => Some(claims.judge(&rules.findings, next, log)?),
        _ => None,
    };
    let mut report = Report::conclude(&checks, rules.head, rules.findings, first_bad);
    report.tell_ids(judged);
    Ok(report)
}

impl VerifyOptions {
    /// What to check of each entry, given what the file `head` promises.
    fn checks(&self, floor: Option<(Seq, Hash)>) -> Checks {
        let floor = floor.map(|(seq, hash)| (seq, hash, "floor", "the file `head`"));
        let expected = self
            .expect_head
            .map(|(seq, hash)| (seq, hash, "head_mismatch", "the head that was expected"));
        let known = floor.into_iter().chain(expected);
        Checks {
            payloads: self.payloads,
            opened_first: self.opened_first,
            known: known.map(|(seq, hash, code, from)| Known { seq, hash, code, from }).collect(),
            claims: None,
        }
    }
}

impl Report {
    /// Judges what can only be judged at the end.
    fn conclude(
        checks: &Checks,
        head: Head,
        findings: Findings,
        first_bad: Option<Damage>,
    ) -> Report {
        // Behind a break there may be a redaction that allows what seems to be missing.
        let first_bad = first_bad.or_else(|| {
            let missing = findings.first_missing();
            missing.or_else(|| first_cut_off(checks, head))
        });
        let entries = first_bad.as_ref().map_or(head.next.0, |bad| bad.seq.0);
        let gone = |seq: Seq| findings.erased.iter().any(|(erased, _)| *erased == seq);
        let redactions = findings.redactions.iter().map(|(by, redaction)| {
            let target = redaction.target;
            RedactedEntry { by: *by, target, erased: gone(target) }
        });
        Report {
            entries,
            head,
            redactions: redactions.collect(),
            clock_steps: findings.clock_steps,
            first_bad,
            torn: None,
            doubled: Vec::new(),
            lying: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Names the first entry that is known to have been there and is not.
fn first_cut_off(checks: &Checks, head: Head) -> Option<Damage> {
    let known = checks.known.iter().find(|known| known.seq >= head.next)?;
    let what = format!("the log ends before it, but {} names entry {}", known.from, known.seq);
    let code = if known.code == "floor" { "truncated" } else { "cut_off" };
    Some(damage(head.next, code, what, RESTORE))
}
