//! All entries in order, each checked on the way, with their places in their commits: for whoever
//! takes a log away.

use std::fs::File;

use crate::{
    chain::Head,
    entry::{Hash, Header, Seq},
    log::{
        Damage, Log as _, LogError,
        segments::{
            SegmentLog,
            frame::{FrameReader, NoFrame},
            stat::SegmentInfo,
        },
    },
    verify::rules::{COMPARE, Checks, Rules, damage},
};

/// An entry as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The part that the chain is made of.
    pub header: Header,
    /// The header's hash.
    pub hash: Hash,
    /// The event's canonical bytes; `None` once they are erased.
    pub payload: Option<&'a [u8]>,
    /// How many entries of its commit come after it.
    pub left: u16,
}

impl SegmentLog {
    /// Hands each entry from `from` on to `each`, up to the head as it is now, and returns that
    /// head. An entry is checked before it is handed on: its place in the chain, its digest, and
    /// that its payload is a canonical event. Entries are read once and never kept.
    ///
    /// It holds beside a writer, also while that erases payloads.
    pub fn walk<E: From<LogError>>(
        &self,
        from: Seq,
        mut each: impl FnMut(&Stored<'_>) -> Result<(), E>,
    ) -> Result<Head, E> {
        let (head, segments) = (self.head(), self.segments());
        let checks = Checks { payloads: true, opened_first: true, ..Checks::default() };
        let start = if from == Seq(0) { Head::GENESIS } else { Head { next: from, ..head } };
        let mut rules = Rules::new(&checks, start);
        for segment in segments.iter().filter(|segment| segment.head.next > from) {
            walk_segment(segment, from, &mut rules, &mut each)?;
        }
        Ok(head)
    }
}

fn walk_segment<E: From<LogError>>(
    segment: &SegmentInfo,
    from: Seq,
    rules: &mut Rules<'_>,
    each: &mut impl FnMut(&Stored<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let reading = || LogError::while_(format!("reading {}", segment.path.display()));
    let file = File::open(&segment.path).map_err(reading())?;
    let mut frames = FrameReader::new(file, 0);
    let mut next = segment.first;
    // Counted by places and not by bytes: a file that an erasure has put here is shorter.
    while next < segment.head.next {
        let at = frames.offset();
        let frame = match frames.peek().map_err(reading())? {
            Ok(frame) => frame,
            Err(why) => return Err(LogError::from(unreadable(segment, next, at, why)).into()),
        };
        if next >= from {
            if next == from && from != Seq(0) {
                rules.head.hash = frame.header.parent;
                rules.head.recorded_at_us = frame.header.recorded_at_us;
            }
            let (header, hash) = (frame.header, frame.hash());
            rules.step(&header, hash, frame.payload).map_err(|damage| {
                let place = Some((segment.path.clone(), at));
                LogError::from(Damage { place, ..damage })
            })?;
            each(&Stored { header, hash, payload: frame.payload, left: frame.left })?;
        }
        let size = frame.size();
        frames.skip(size);
        next = next.next();
    }
    Ok(())
}

fn unreadable(segment: &SegmentInfo, seq: Seq, at: u64, why: NoFrame) -> Damage {
    let what = match why {
        NoFrame::Damaged => "its checksum does not match its bytes",
        NoFrame::Unknown(why) => why,
        NoFrame::End | NoFrame::CutOff => "the file ends before it, or inside it",
    };
    let place = Some((segment.path.clone(), at));
    Damage { place, ..damage(seq, "unreadable", what, COMPARE) }
}
