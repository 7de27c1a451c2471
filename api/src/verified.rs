//! `DIR/state/verified.json`: when the whole log was last verified, and what that found.
//!
//! `serve` writes it at each start, and `verify --note` when it is asked to: `verify` alone is the
//! auditor's, and never changes a byte. It is no evidence, and nobody's answer rests on it but `doctor`'s.

use std::{fs, io};

use ledger::Report;
use serde::{Deserialize, Serialize};

use crate::{
    home::{Home, write_private},
    moment,
};

/// What a verification came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When it ended, RFC 3339 in UTC.
    pub at: String,
    /// How many entries hold, from the first on.
    pub entries: u64,
    /// The hash of the last of them.
    pub hash: String,
    /// Whether that was all.
    pub ok: bool,
}

impl Verified {
    pub fn of(report: &Report, now_us: u64) -> Verified {
        Verified {
            at: moment::shown_us(now_us),
            entries: report.entries,
            hash: report.head.hash.to_string(),
            ok: report.is_good(),
        }
    }

    /// Keeps it.
    pub fn write(&self, home: &Home) -> io::Result<()> {
        let text = serde_json::to_vec(self).expect("plain strings are JSON");
        home.make_state()?;
        write_private(&home.verified(), &text)
    }

    /// [`write`](Verified::write). A directory that takes no file costs a note that nobody needs to
    /// go on.
    pub fn note(&self, home: &Home) {
        if let Err(e) = self.write(home) {
            tracing::warn!(error = e.to_string(), "state/verified.json cannot be written");
        }
    }

    /// The newest note; `None` if there never was one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read(home: &Home) -> io::Result<Option<Verified>> {
        match fs::read(home.verified()) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}
