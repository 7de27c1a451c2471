//! The one place that opens a ledger's log, whatever keeps it.
//!
//! Commands ask for a log to read or to write and get a [`Log`]. Only what is about files, such as
//! `backup`, asks for [`segments`].

use std::{path::PathBuf, sync::Arc};

use ledger::{Index, Log, LogError, SegmentLog, TornTail};

use crate::{home::Home, output};

/// A log that this process may write to, and what opening it found.
pub struct Opened {
    pub log: Arc<dyn Log>,
    /// What a crash left behind and opening cut off.
    pub torn: Option<TornTail>,
    /// Where the index of ids lies. It is derived from the log.
    ids: PathBuf,
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
/// As [`LogError`] tells them.
pub fn writable(home: &Home) -> anyhow::Result<Opened> {
    let segments = SegmentLog::open(home.log())?;
    if segments.floor_missing() {
        output::say(
            "note: log/head is missing, so only a head kept elsewhere shows whether entries \
             were cut off: `verify --head SEQ:HASH`; it is written again at the next clean stop",
        )?;
    }
    let (torn, ids) = (segments.torn_tail().cloned(), segments.index_dir());
    Ok(Opened { log: Arc::new(segments), torn, ids })
}

/// Opens a ledger's log for reading: no lock, and nothing is written.
///
/// # Errors
/// As [`LogError`] tells them.
pub fn readable(home: &Home) -> Result<Arc<dyn Log>, LogError> {
    Ok(Arc::new(segments(home)?))
}

/// The segments of a ledger's log, for reading: for what is about files.
///
/// # Errors
/// As [`LogError`] tells them.
pub fn segments(home: &Home) -> Result<SegmentLog, LogError> {
    SegmentLog::open_read_only(home.log())
}

/// Makes the log of a new ledger.
///
/// # Errors
/// When there is one already, or its place cannot be written.
pub fn create(home: &Home) -> Result<Arc<dyn Log>, LogError> {
    Ok(Arc::new(SegmentLog::create(home.log())?))
}
