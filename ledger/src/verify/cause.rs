//! Tells from what stands around the first bad entry what somebody seems to have done to it. What is
//! bad, and where, is decided before; this only gives it its name.

use std::{
    collections::VecDeque,
    fs::File,
    io::{Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    chain::Head,
    entry::{Header, Seq},
    log::{
        Damage,
        segments::{
            files::{self, Floor},
            frame::FrameReader,
        },
    },
};

/// The log around a damage.
pub(crate) struct Around<'a> {
    pub(crate) dir: &'a Path,
    /// The segments that are there.
    pub(crate) names: &'a [Seq],
    pub(crate) floor: Floor,
    /// The end of what holds.
    pub(crate) before: Head,
}

impl Around<'_> {
    /// Gives a break of the chain the name of its cause, if that shows.
    pub(crate) fn name(&self, mut damage: Damage) -> Damage {
        let cause = match damage.code {
            "parent" => self.foreign(&damage),
            "gap" | "duplicate" => self.moved(&damage),
            _ => None,
        };
        if let Some((code, what)) = cause {
            damage.code = code;
            damage.what = format!("{}; {what}", damage.what);
        }
        damage
    }

    /// An entry that does not follow the one before it: who of the two is the stranger shows where
    /// the entries behind it lead.
    fn foreign(&self, damage: &Damage) -> Option<(&'static str, String)> {
        let mut walk = self.walk_from(damage)?;
        let first = walk.next()?;
        let (mut last, mut promised) = (first, None);
        let next = loop {
            if let Floor::At(seq, hash) = self.floor
                && seq == last.seq
            {
                promised = Some(hash == last.hash());
            }
            match walk.next() {
                Some(next) if next.seq == last.seq.next() && next.parent == last.hash() => {
                    last = next;
                }
                next => break next,
            }
        };
        let block = || {
            if last.seq == first.seq {
                return format!("entry {}", first.seq);
            }
            format!("all from entry {} to {}", first.seq, last.seq)
        };
        match (next, promised) {
            (Some(next), _) if self.follows(&next) => {
                let what = "the true successor of the entry before comes behind";
                Some(("inserted", format!("{what}: put in was {}", block())))
            }
            (Some(next), _) if next.seq == last.seq.next() => {
                let what = "neither what is before nor what is behind fits";
                Some(("spliced", format!("{what}: put in the place of others was {}", block())))
            }
            (_, Some(false)) => {
                let what = "it leads to another end than the one that the file `head` promises";
                Some(("spliced", format!("{what}: put in the place of others was {}", block())))
            }
            (None, Some(true)) => {
                let changed = first.seq.0.saturating_sub(1);
                let what = format!(
                    "the entries from here on lead to what the file `head` promises, so entry \
                     {changed} was changed, together with its digest and checksum"
                );
                Some(("parent", what))
            }
            _ => None,
        }
    }

    /// An entry under another number than its place's.
    fn moved(&self, damage: &Damage) -> Option<(&'static str, String)> {
        let (_, at) = damage.place.as_ref()?;
        let found = self.walk_from(damage)?.next()?;
        if *at == 0 && self.names.contains(&found.seq) {
            let what = format!(
                "the file begins with entry {}, as {:020}.seg should: segments were exchanged, or one \
                 was copied over another",
                found.seq, found.seq.0
            );
            return Some(("segment_exchanged", what));
        }
        if found.seq >= self.before.next {
            return None;
        }
        let home = self.names.iter().rev().find(|first| **first <= found.seq)?;
        let mut walk = self.walk(files::segment(self.dir, *home), 0)?;
        let own = std::iter::from_fn(|| walk.next()).find(|header| header.seq == found.seq)?;
        if own == found {
            return Some(("duplicate", format!("entry {} stands here once more", found.seq)));
        }
        let what = format!(
            "two different entries claim place {}, {} and this one, {}: one of them was put in",
            found.seq,
            own.hash(),
            found.hash()
        );
        Some(("inserted", what))
    }

    fn follows(&self, header: &Header) -> bool {
        header.seq == self.before.next && header.parent == self.before.hash
    }

    fn walk_from(&self, damage: &Damage) -> Option<Walk> {
        let (file, at) = damage.place.clone()?;
        self.walk(file, at)
    }

    fn walk(&self, file: PathBuf, at: u64) -> Option<Walk> {
        let files = self.names.iter().map(|first| files::segment(self.dir, *first));
        let rest = files.skip_while(|path| *path != file).skip(1).collect();
        Walk::open(&file, at, rest)
    }
}

/// Reads headers one after another, across files, as far as checksums hold.
struct Walk {
    frames: FrameReader<File>,
    rest: VecDeque<PathBuf>,
}

impl Walk {
    fn open(file: &Path, at: u64, rest: VecDeque<PathBuf>) -> Option<Walk> {
        let mut file = File::open(file).ok()?;
        file.seek(SeekFrom::Start(at)).ok()?;
        Some(Walk { frames: FrameReader::new(file, at), rest })
    }

    fn next(&mut self) -> Option<Header> {
        loop {
            if let Ok(frame) = self.frames.peek().ok()? {
                let (header, size) = (frame.header, frame.size());
                self.frames.skip(size);
                return Some(header);
            }
            let next = self.rest.pop_front()?;
            *self = Walk::open(&next, 0, std::mem::take(&mut self.rest))?;
        }
    }
}
