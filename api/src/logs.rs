//! The one place that opens a ledger's log, whatever keeps it: segments in `DIR/log/`, or the topic of
//! Kafka that `DIR/log.json` names.
//!
//! Commands ask for a log to read or to write and get a [`Log`]. What is about files, such as
//! `backup`, asks for [`segments`]; what is about Kafka is in [`kafka`].

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use ledger::{
    Head, Index, Log, LogError, Report, SegmentLog, Seq, Stored, TornTail, VerifyOptions,
    segments_size, verify_dir_with_ids, verify_with_ids,
};

#[cfg(feature = "kafka")]
pub use self::kafka::{TopicLog, follow};
pub use self::topic::Topic;
use serde_json::Value;

use crate::{
    exit::{Code, fail},
    history::History,
    home::Home,
    output,
    progress::{self, Unit},
};

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(not(feature = "kafka"))]
#[path = "logs/no_kafka.rs"]
pub mod kafka;
mod topic;

/// What an acknowledgement promises where the log is segments, in words for entry 0.
const DURABILITY: &str = "segments: fdatasync before every acknowledgement";

/// What was said of the log on the command line or in the environment.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `--log`: the topic, and the brokers to begin with.
    pub address: Option<kafka::Address>,
    /// `--kafka-properties`: settings of librdkafka in the place of `DIR/kafka.properties`.
    pub properties: Option<PathBuf>,
    /// `--allow-unsafe-kafka`.
    pub allow_unsafe: bool,
}

/// A log that this process may write to, and what opening it found.
pub struct Opened {
    pub log: Arc<dyn Log>,
    /// What a crash left behind and opening cut off.
    pub torn: Option<TornTail>,
    /// Where the index of ids lies. It is derived from the log.
    ids: PathBuf,
    /// What could lose entries and was allowed.
    pub allowed: Vec<String>,
    /// Whether opening it shut another writer out, so that it is recorded who writes now.
    pub takes_over: bool,
}

impl Opened {
    /// The index of ids, as far as it was kept.
    pub fn index(&self) -> Index {
        Index::in_dir(self.ids.clone())
    }
}

/// Opens a ledger's log for writing. Nobody else may write to it from then on.
///
/// # Errors
/// As [`LogError`] tells them; exit 5 where the command line names another log.
pub fn writable(home: &Home) -> anyhow::Result<Opened> {
    if let Some(topic) = of_kafka(home)? {
        return kafka::writable(home, &topic);
    }
    let segments = SegmentLog::open(home.log())?;
    if segments.floor_missing() {
        output::say(
            "note: log/head is missing, so only a head kept elsewhere shows whether entries \
             were cut off: `verify --head SEQ:HASH`; it is written again at the next clean stop",
        )?;
    }
    let (torn, ids) = (segments.torn_tail().cloned(), segments.index_dir());
    let (log, allowed) = (Arc::new(segments), Vec::new());
    Ok(Opened { log, torn, ids, allowed, takes_over: false })
}

/// Opens a ledger's log for reading: no lock, and nothing is written.
///
/// # Errors
/// As [`writable`].
pub fn readable(home: &Home) -> anyhow::Result<Arc<dyn Log>> {
    match of_kafka(home)? {
        Some(topic) => kafka::readable(home, &topic),
        None => Ok(Arc::new(segments_of(home)?)),
    }
}

/// Makes sure that a command which opens the log here for one record shuts no server out that writes it
/// from another machine.
///
/// # Errors
/// Exit 75 when there is one.
pub fn check_unserved(home: &Home) -> anyhow::Result<()> {
    kafka::look::check_unserved(home)
}

/// What `log stat` tells of a log on Kafka; `None` of segments.
///
/// # Errors
/// As [`readable`].
pub fn topic_stat(home: &Home) -> anyhow::Result<Option<Value>> {
    of_kafka(home)?.map(|topic| kafka::look::stat(home, &topic)).transpose()
}

/// A log to be read from one end to the other.
pub enum Reading {
    Segments(Box<SegmentLog>),
    Topic(Arc<dyn Log>),
}

impl Reading {
    /// Opens a ledger's log.
    ///
    /// # Errors
    /// As [`readable`].
    pub fn of(home: &Home) -> anyhow::Result<Reading> {
        Ok(match of_kafka(home)? {
            Some(topic) => Reading::Topic(kafka::readable(home, &topic)?),
            None => Reading::Segments(Box::new(segments_of(home)?)),
        })
    }

    pub fn head(&self) -> Head {
        match self {
            Reading::Segments(log) => log.head(),
            Reading::Topic(log) => log.head(),
        }
    }

    /// Hands each entry from `from` on to `each`, checked, and returns the head. What was one commit of
    /// a topic is not told: each entry is its own.
    ///
    /// # Errors
    /// When the log cannot be read, or `each` says so.
    pub fn walk(
        &self,
        from: Seq,
        mut each: impl FnMut(&Stored<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Head> {
        match self {
            Reading::Segments(log) => log.walk(from, each),
            Reading::Topic(log) => {
                let history = History::of(log.clone());
                history.each(from.0, |entry| {
                    let (header, hash) = (*entry.header(), entry.hash());
                    each(&Stored { header, hash, payload: entry.payload(), left: 0 }).map(|()| true)
                })?;
                Ok(history.head)
            }
        }
    }
}

/// The segments of a ledger's log, for reading: for what is about files.
///
/// # Errors
/// Exit 2 where there are none, since the log is a topic.
pub fn segments(home: &Home) -> anyhow::Result<SegmentLog> {
    check_segments(home)?;
    Ok(segments_of(home)?)
}

/// Makes sure that a log is files.
///
/// # Errors
/// Exit 2 where it is a topic.
pub fn check_segments(home: &Home) -> anyhow::Result<()> {
    if of_kafka(home)?.is_some() {
        let dir = home.dir().display();
        let what = format!("the log of {dir} is a topic of Kafka, which this command cannot do");
        let way = "`rollout-ledger log copy` makes a copy in a directory, with which it can";
        return Err(fail(Code::Usage, format!("{what}; {way}")));
    }
    Ok(())
}

/// The segments in a directory's `log/`, whatever else it says: for whoever examines it.
///
/// # Errors
/// As [`LogError`] tells them.
pub(crate) fn segments_of(home: &Home) -> Result<SegmentLog, LogError> {
    SegmentLog::open_read_only(home.log())
}

/// Verifies a whole log without trusting anything derived from it, and shows how far it is.
///
/// # Errors
/// When it cannot be read. What is wrong with it is in the report.
pub fn verified(home: &Home, options: &VerifyOptions) -> anyhow::Result<Report> {
    if of_kafka(home)?.is_none() {
        return verified_segments(&home.log(), options);
    }
    let log = progress::timed("opening the log", || readable(home))?;
    let total = log.head().next.0;
    let report = progress::counted("verifying", Unit::Entries, Some(total), |done| {
        let checked = |entries| {
            done.fetch_add(entries, Ordering::Relaxed);
        };
        verify_with_ids(&*log, &home.ids(), options, &checked)
    });
    Ok(report?)
}

/// [`verified`] for a directory of segments.
///
/// # Errors
/// As [`verified`].
pub fn verified_segments(log: &Path, options: &VerifyOptions) -> anyhow::Result<Report> {
    let total = segments_size(log)?;
    let report = progress::counted("verifying", Unit::Bytes, Some(total), |done| {
        let checked = |bytes| {
            done.fetch_add(bytes, Ordering::Relaxed);
        };
        verify_dir_with_ids(log, options, &checked)
    });
    Ok(report?)
}

/// Makes the log of a new ledger in a directory.
///
/// # Errors
/// When there is one already, or its place cannot be written.
pub fn create(home: &Home) -> Result<Opened, LogError> {
    let segments = SegmentLog::create(home.log())?;
    let ids = segments.index_dir();
    let (log, allowed) = (Arc::new(segments), Vec::new());
    Ok(Opened { log, torn: None, ids, allowed, takes_over: false })
}

/// What an acknowledgement promises, in words for entry 0.
pub fn durability(home: &Home) -> anyhow::Result<&'static str> {
    Ok(if Topic::of(home)?.is_some() { kafka::DURABILITY } else { DURABILITY })
}

/// The topic that holds the log. What the command line asks for must agree with the directory.
fn of_kafka(home: &Home) -> anyhow::Result<Option<Topic>> {
    let topic = Topic::of(home)?;
    let Some(address) = &home.asked().address else { return Ok(topic) };
    let dir = home.dir().display();
    let way = match &topic {
        Some(topic) if topic.name() == address.topic() => return Ok(Some(topic.clone())),
        Some(topic) => format!("{dir} is of topic {}", topic.name()),
        None => format!("the log of {dir} is in its log/"),
    };
    let what = format!("--log names topic {}, and {way}", address.topic());
    let other = "leave --log out, or name another directory with --data-dir; `kafka join` makes one \
                 for a topic";
    Err(fail(Code::Conflict, format!("{what}; {other}")))
}
