//! Where a ledger is copied or moved to: a directory that gets segments, or a topic of Kafka.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, atomic::AtomicBool},
};

use ledger::{
    Log, SegmentLog, Seq,
    copy::{CopyError, Survey, kept},
};

use crate::{
    backup::{Mark, MarkHead, mirror, prepare},
    clock,
    exit::{Code, fail},
    home::{Home, HomeId, random_hex, remove_if_there},
    logs::{self, Topic, kafka::Address},
    moment,
};

/// A place as it is typed.
#[derive(Clone, Debug)]
pub enum Place {
    /// A path.
    Directory(PathBuf),
    /// `kafka://HOST:PORT,.../TOPIC`.
    Topic(Address),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        if text.starts_with("kafka:") {
            return text.parse().map(Place::Topic).map_err(|e| format!("{e}"));
        }
        Ok(Place::Directory(text.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Directory(dir) => dir.display().fmt(f),
            Place::Topic(address) => address.fmt(f),
        }
    }
}

/// A place that takes entries: nobody else copies to it as long as this is kept.
pub struct Target {
    pub log: Arc<dyn Log>,
    kind: Kind,
}

enum Kind {
    Topic(Topic),
    Directory { home: Home, mark: Mark, _held: fs::File },
}

impl Target {
    /// Makes the place, or goes on with what an earlier run has made of it. `properties` are the settings of a
    /// topic, if they are other ones than the ledger's own.
    ///
    /// # Errors
    /// Exit 5 when something else is there.
    pub fn open(
        home: &Home,
        source: &dyn Log,
        place: &Place,
        properties: Option<&Path>,
    ) -> anyhow::Result<Target> {
        let from = Topic::of(home)?;
        match place {
            Place::Topic(address) => {
                let (log, topic) = logs::kafka::copies::open(home, source, address, properties)?;
                Ok(Target { log, kind: Kind::Topic(topic) })
            }
            Place::Directory(_) if from.is_none() => {
                let what =
                    "the ledger is in segments already, which need no other log to be copied";
                let way =
                    "`rollout-ledger backup DIR` copies them, and `restore` makes a copy the home";
                Err(fail(Code::Usage, format!("{what}; {way}")))
            }
            Place::Directory(dir) => {
                let (mark, held) = prepare(home, source, dir, &AtomicBool::new(false))?;
                let home = Home::at(dir);
                let log = Arc::new(SegmentLog::open_for_copy(home.log())?);
                Ok(Target { log, kind: Kind::Directory { home, mark, _held: held } })
            }
        }
    }

    /// The home that this place will be. A directory's id is chosen once, and kept over a crash.
    pub fn home(&mut self) -> anyhow::Result<HomeId> {
        match &mut self.kind {
            Kind::Topic(topic) => Ok(topic.home_id()),
            Kind::Directory { home, mark, .. } => {
                if mark.home.is_none() {
                    mark.home = Some(random_hex::<16>());
                    mark.write(home.dir())?;
                }
                Ok(HomeId::directory(mark.home.clone().unwrap_or_default()))
            }
        }
    }

    /// Entries that were redacted, whose payloads this place has and cannot erase.
    pub fn keeps(&self, survey: &Survey) -> Result<Vec<Seq>, CopyError> {
        match self.kind {
            Kind::Topic(_) => kept(survey, &*self.log),
            Kind::Directory { .. } => Ok(Vec::new()),
        }
    }

    /// Ends a copy that is no move: what is there is whole, and for reading.
    pub fn finish_copy(&self) -> anyhow::Result<()> {
        self.log.close()?;
        let Kind::Directory { home, mark, .. } = &self.kind else { return Ok(()) };
        let head = Some(MarkHead::of(self.log.head()));
        let finished_at = Some(moment::shown_us(clock::wall_us()));
        Mark { head, finished_at, ..mark.clone() }.write(home.dir())
    }

    /// Ends a move, from the directory `from`: there the topic takes the place of the log that was; a directory
    /// gets what else lay beside that. `after` is called when each step is durable.
    pub fn finish_move(
        &self,
        from: &Home,
        properties: Option<&Path>,
        after: super::After<'_>,
    ) -> anyhow::Result<()> {
        self.log.close()?;
        match &self.kind {
            Kind::Topic(topic) => {
                topic.write(from)?;
                after(super::Step::Named)?;
                logs::kafka::copies::keep_properties(from, properties)?;
                set_aside(from)
            }
            Kind::Directory { home, mark, .. } => {
                mirror(&from.state(), &home.state())?;
                mirror(&from.keys(), &home.keys())?;
                // It speaks of a topic.
                remove_if_there(&home.anchor())?;
                home.claim(mark.home.as_deref().unwrap_or_default())?;
                after(super::Step::Named)?;
                Ok(Mark::remove(home.dir())?)
            }
        }
    }
}

/// The segments of a ledger that moved to a topic stay, under a name at which nothing looks for a log.
pub(super) fn set_aside(home: &Home) -> anyhow::Result<()> {
    let (log, aside) = (home.log(), home.log_moved());
    if !log.is_dir() {
        return Ok(());
    }
    // Derived, and of use: else the whole topic is read for it.
    let (ids, kept) = (log.join("index"), home.ids());
    if ids.is_dir() && !kept.exists() {
        fs::rename(ids, kept)?;
    }
    fs::rename(log, aside)?;
    Ok(fs::File::open(home.dir())?.sync_all()?)
}
