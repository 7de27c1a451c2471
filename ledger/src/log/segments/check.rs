//! Reads a segment file from some place on and checks every frame. Opening and verifying share it.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom},
    path::Path,
};

use crate::{
    chain::Head,
    entry::{Header, Seq},
    log::{
        Damage, LogError,
        segments::frame::{FrameReader, NoFrame},
    },
    regular,
    verify::rules::{COMPARE, Checks, Findings, RESTORE, Rules, damage, describe, name_swap},
};

/// What a segment file, or the rest of one, holds.
#[derive(Debug)]
pub(crate) struct SegmentCheck {
    /// The first entry read, and whether it may take time back: for joining it to what is before.
    first: Option<(Header, bool)>,
    /// After the last whole commit; if the check stopped at damage, after the last good entry.
    pub(crate) head: Head,
    /// Where the last whole commit ends in the file.
    pub(crate) end: u64,
    /// Where each entry of the whole commits begins.
    pub(crate) offsets: Vec<u32>,
    pub(crate) findings: Findings,
    pub(crate) stop: Stop,
}

/// Why reading ended.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file ends with a whole commit.
    End,
    /// An entry is not what it must be.
    Damage(Damage),
    /// The last commit read is incomplete, or a frame in it is unreadable: perhaps a torn tail.
    Unfinished {
        /// The first entry that cannot be read.
        seq: Seq,
        /// Where it begins in the file.
        at: u64,
        /// Why it cannot be read.
        why: NoFrame,
    },
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// At the file's first byte, where the entry that the file is named after must be. What comes
    /// before it is not known here: see [`SegmentCheck::join`].
    Unjoined(Seq),
    /// At this byte, where the entry after this head must be.
    After(Head, u64),
}

/// Reads and checks. An `Err` is the system's; what is wrong with the file is in the result.
pub(crate) fn check(path: &Path, start: Start, checks: &Checks) -> Result<SegmentCheck, LogError> {
    let reading = || LogError::while_(format!("reading {}", path.display()));
    let mut file = regular::open(path).map_err(reading())?;
    let (head, offset) = match start {
        Start::Unjoined(first) => (Head { next: first, ..Head::GENESIS }, 0),
        Start::After(head, offset) => (head, offset),
    };
    file.seek(SeekFrom::Start(offset)).map_err(reading())?;
    let mut frames = FrameReader::new(file, offset);
    let mut checker = Checker {
        path,
        rules: Rules::new(checks, head),
        unjoined: matches!(start, Start::Unjoined(_)),
        first: None,
        committed: (head, offset),
        left: 0,
        offsets: Vec::new(),
    };
    let stop = loop {
        // Only a failure is worth a text: there are millions of steps.
        match checker.step(&mut frames) {
            Ok(None) => {}
            Ok(Some(stop)) => break stop,
            Err(e) => return Err(reading()(e)),
        }
    };
    Ok(checker.finish(stop))
}

impl SegmentCheck {
    /// Joins a segment read from its first byte to the chain before it, and returns its end.
    pub(crate) fn join(&mut self, before: Head) -> Result<Head, Damage> {
        let Some((header, steps_clock)) = self.first else {
            return Ok(if self.head.next == before.next { before } else { self.head });
        };
        before.accept_header(&header, header.hash(), || steps_clock).map_err(describe)?;
        if let Some(step) = self.findings.clock_steps.first_mut()
            && step.seq == header.seq
        {
            step.from_us = before.recorded_at_us;
        }
        // An unfinished first commit leaves the head where the chain before it ends.
        if self.head.next == before.next {
            self.head = before;
        }
        Ok(self.head)
    }
}

impl Stop {
    /// What an unfinished commit is when it cannot be a torn tail.
    pub(crate) fn as_damage(&self, path: &Path) -> Option<Damage> {
        let (seq, at, why) = match self {
            Stop::End => return None,
            Stop::Damage(damage) => return Some(damage.clone()),
            Stop::Unfinished { seq, at, why } => (*seq, *at, *why),
        };
        let damage = if why == NoFrame::Damaged {
            damage(seq, "crc", "its checksum does not match its bytes", COMPARE)
        } else {
            damage(seq, "truncated", "the file ends before it, or inside it", RESTORE)
        };
        Some(Damage { place: Some((path.to_path_buf(), at)), ..damage })
    }
}

/// One pass over a file.
struct Checker<'a> {
    path: &'a Path,
    rules: Rules<'a>,
    /// Whether the entry before the next one is unknown.
    unjoined: bool,
    first: Option<(Header, bool)>,
    /// The end of the last whole commit, in the chain and in the file.
    committed: (Head, u64),
    /// How many entries of the commit must still follow.
    left: u16,
    offsets: Vec<u32>,
}

impl Checker<'_> {
    /// Reads and checks one frame. `Some` ends the pass.
    fn step(&mut self, frames: &mut FrameReader<File>) -> std::io::Result<Option<Stop>> {
        let at = frames.offset();
        let seq = self.rules.head.next;
        let frame = match frames.peek()? {
            Ok(frame) => frame,
            Err(NoFrame::End) if self.left == 0 => return Ok(Some(Stop::End)),
            Err(NoFrame::Unknown(why)) => {
                return Ok(Some(self.damaged(at, damage(seq, "unknown", why, COMPARE))));
            }
            Err(why) => return Ok(Some(Stop::Unfinished { seq, at, why })),
        };
        let (left, size, header) = (frame.left, frame.size(), frame.header);
        if std::mem::take(&mut self.unjoined) {
            self.rules.head.hash = header.parent;
            self.rules.head.recorded_at_us = header.recorded_at_us;
        }
        let (starts_commit, before) = (self.left == 0, self.rules.head);
        if let Err(mut damage) = self.rules.step(&header, frame.hash(), frame.payload) {
            frames.skip(size);
            let following = frames.peek()?.ok().map(|frame| frame.header.seq);
            name_swap(&mut damage, header.seq, following);
            return Ok(Some(self.damaged(at, damage)));
        }
        if !starts_commit && left != self.left - 1 {
            self.rules.head = before;
            let what = "it does not count down the entries left in its commit";
            return Ok(Some(self.damaged(at, damage(seq, "commit_count", what, COMPARE))));
        }
        if self.first.is_none() {
            let stepped = self.rules.findings.clock_steps.first().is_some_and(|s| s.seq == seq);
            self.first = Some((header, stepped));
        }
        frames.skip(size);
        self.left = left;
        self.offsets.push(u32::try_from(at).unwrap_or(u32::MAX));
        if left == 0 {
            self.committed = (self.rules.head, frames.offset());
        }
        Ok(None)
    }

    fn damaged(&self, at: u64, damage: Damage) -> Stop {
        Stop::Damage(Damage { place: Some((self.path.to_path_buf(), at)), ..damage })
    }

    fn finish(mut self, stop: Stop) -> SegmentCheck {
        let (committed, end) = self.committed;
        // What an unfinished commit holds does not count: it may be a torn tail.
        let torn = self.rules.head.len_from(committed.next);
        self.offsets.truncate(self.offsets.len().saturating_sub(torn));
        let mut head = self.rules.head;
        if matches!(stop, Stop::Unfinished { .. }) {
            self.rules.findings.forget_from(committed.next);
            head = committed;
        }
        let (offsets, findings) = (self.offsets, self.rules.findings);
        SegmentCheck { first: self.first, head, end, offsets, findings, stop }
    }
}
