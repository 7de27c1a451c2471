//! What must hold for each entry, wherever it is kept.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    chain::{Break, Head},
    draft::Key,
    entry::{Digest, Hash, Header, Seq},
    envelope::{Envelope, Mark, OPENED, Redaction},
    index::claims::{Claims, Tally},
    log::Damage,
};

/// What to do about a chain that was changed.
pub(crate) const COMPARE: &str = "what is recorded from here on cannot be trusted; keep this \
                                  directory as it is, and compare it with a backup or an exported copy";
/// What to do about entries that are gone.
pub(crate) const RESTORE: &str = "entries are lost; keep this directory as it is, and restore the \
                                  log from a backup";

/// What is to be checked beyond the chain itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    /// Whether every payload must be a canonical event.
    pub(crate) payloads: bool,
    /// Whether entry 0 must be `rollout.ledger.opened.v1`.
    pub(crate) opened_first: bool,
    /// Hashes that are known from elsewhere.
    pub(crate) known: Vec<Known>,
    /// What an index claims, if ids are compared.
    pub(crate) claims: Option<Arc<Claims>>,
}

/// A hash that some entry must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) seq: Seq,
    pub(crate) hash: Hash,
    /// What to call it when the entry has another one.
    pub(crate) code: &'static str,
    /// Where it is known from, for people.
    pub(crate) from: &'static str,
}

/// An entry that took time back, or could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// The `ledger.clock_stepped`.
    pub seq: Seq,
    /// When the entry before it was recorded, in Unix microseconds.
    pub from_us: u64,
    /// When it was recorded itself.
    pub to_us: u64,
}

/// What was seen on the way that is judged, or listed, at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) erased: Vec<(Seq, Hash)>,
    pub(crate) redactions: Vec<(Seq, Redaction)>,
    pub(crate) clock_steps: Vec<ClockStep>,
    /// What the entries say about ids.
    pub(crate) ids: Tally,
}

impl Findings {
    /// Forgets what was found from this place on.
    pub(crate) fn forget_from(&mut self, next: Seq) {
        self.erased.retain(|(seq, _)| *seq < next);
        self.redactions.retain(|(seq, _)| *seq < next);
        self.clock_steps.retain(|step| step.seq < next);
    }

    pub(crate) fn append(&mut self, mut other: Findings) {
        self.erased.append(&mut other.erased);
        self.redactions.append(&mut other.redactions);
        self.clock_steps.append(&mut other.clock_steps);
        self.ids.append(other.ids);
    }

    /// The ids that redactions give the erased entries, each after its redaction.
    pub(crate) fn redacted_ids(&self, erased: &HashSet<Seq>) -> Vec<(Seq, Key, Seq)> {
        let redactions = self.redactions.iter().filter(|(_, r)| erased.contains(&r.target));
        redactions.map(|(by, r)| (*by, Key::of(&r.source, &r.id), r.target)).collect()
    }

    /// The first entry whose payload is gone without a redaction that allows it.
    pub(crate) fn first_missing(&self) -> Option<Damage> {
        let redactions = self.redactions.iter();
        // In order, so the last redaction of a target is the one that is kept.
        let last_by: HashMap<_, _> = redactions.map(|(by, r)| ((r.target, r.hash), *by)).collect();
        let allowed = |erased: &(Seq, Hash)| last_by.get(erased).is_some_and(|by| *by > erased.0);
        self.erased.iter().find(|erased| !allowed(erased)).map(|(seq, _)| missing(*seq))
    }
}

/// The damage of an entry whose payload was taken away, and nobody said why.
pub(crate) fn missing(seq: Seq) -> Damage {
    let what = "its payload is missing, and no redaction in the chain allows that";
    damage(seq, "missing", what, COMPARE)
}

/// The rules, and how far they have been applied.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    checks: &'a Checks,
    /// The end of what holds so far.
    pub(crate) head: Head,
    pub(crate) findings: Findings,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(checks: &'a Checks, head: Head) -> Rules<'a> {
        Rules { checks, head, findings: Findings::default() }
    }

    /// Applies every rule to the next entry.
    pub(crate) fn step(
        &mut self,
        header: &Header,
        hash: Hash,
        payload: Option<&[u8]>,
    ) -> Result<(), Damage> {
        let seq = self.head.next;
        let envelope = payload.map(Envelope::read);
        let mark = match &envelope {
            Some(Ok(envelope)) => envelope.mark().unwrap_or(Mark::Other),
            _ => Mark::Other,
        };
        let head = self
            .head
            .accept_header(header, hash, || mark == Mark::ClockStepped)
            .map_err(describe)?;
        if payload.is_some_and(|payload| Digest::of(payload) != header.digest) {
            let what = "its payload is not the one that its header's digest was made of";
            return Err(damage(seq, "digest", what, COMPARE));
        }
        for known in self.checks.known.iter().filter(|known| known.seq == seq) {
            if known.hash != hash {
                let what = format!("its hash is {hash}, but {} says {}", known.from, known.hash);
                return Err(damage(seq, known.code, what, COMPARE));
            }
        }
        let key = match &envelope {
            Some(Ok(envelope)) if self.checks.claims.is_some() => {
                Some(Key::of(envelope.source(), envelope.id()))
            }
            _ => None,
        };
        self.check_payload(seq, envelope)?;
        if let Some(claims) = &self.checks.claims {
            claims.add(&mut self.findings.ids, seq, hash, key);
        }
        self.note(header, hash, payload.is_none(), mark);
        self.head = head;
        Ok(())
    }

    fn check_payload(
        &self,
        seq: Seq,
        envelope: Option<Result<Envelope<'_>, crate::envelope::InvalidEnvelope>>,
    ) -> Result<(), Damage> {
        let opened = matches!(&envelope, Some(Ok(found)) if found.event_type() == OPENED);
        if let Some(Err(e)) = envelope
            && self.checks.payloads
        {
            return Err(damage(seq, "not_canonical", e, COMPARE));
        }
        if self.checks.opened_first && seq == Seq(0) && !opened {
            let what = "the first entry of a ledger is a `ledger.opened`, and this is none";
            return Err(damage(seq, "not_opened", what, COMPARE));
        }
        Ok(())
    }

    fn note(&mut self, header: &Header, hash: Hash, erased: bool, mark: Mark) {
        let seq = header.seq;
        if erased {
            self.findings.erased.push((seq, hash));
        }
        match mark {
            Mark::Redacted(redaction) => self.findings.redactions.push((seq, *redaction)),
            Mark::ClockStepped => self.findings.clock_steps.push(ClockStep {
                seq,
                from_us: self.head.recorded_at_us,
                to_us: header.recorded_at_us,
            }),
            Mark::Opened | Mark::Other => {}
        }
    }
}

/// Damage without a place in a file.
pub(crate) fn damage(
    seq: Seq,
    code: &'static str,
    what: impl ToString,
    advice: &'static str,
) -> Damage {
    Damage { seq, code, what: what.to_string(), place: None, advice }
}

/// A break of the chain, with its name.
pub(crate) fn describe(broken: Break) -> Damage {
    let (seq, code) = match broken {
        Break::Place { expected, found } if found < expected => (expected, "duplicate"),
        Break::Place { expected, .. } => (expected, "gap"),
        Break::Parent { seq, .. } => (seq, "parent"),
        Break::ClockBack { seq, .. } => (seq, "clock_back"),
        Break::TimeOutOfRange { seq, .. } => (seq, "time_out_of_range"),
    };
    damage(seq, code, broken, COMPARE)
}

/// A gap is a swap if the missing entry stands right after the one that took its place.
pub(crate) fn name_swap(damage: &mut Damage, found: Seq, following: Option<Seq>) {
    if damage.code == "gap" && found == damage.seq.next() && following == Some(damage.seq) {
        damage.code = "swapped";
        damage.what = format!("entries {} and {found} stand in each other's place", damage.seq);
    }
}
