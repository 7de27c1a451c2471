//! `state/anchor.json`: the last record of the topic that was verified from this directory.
//!
//! The next opening begins there, so that it need not read all of history, and finds out if the record
//! is gone or another one: a cluster that lost what it had confirmed is not trusted again.

use std::{fs, io};

use anyhow::Context as _;
use ledger::{Anchor, Seq};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Code, fail},
    home::{Home, write_private},
};

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// A ledger that moved has another topic, which this record is not of.
    topic: String,
    offset: i64,
    seq: u64,
    /// 64 hexadecimal digits.
    hash: String,
}

/// The record that was kept; `None` where none was, or one of another topic.
///
/// # Errors
/// Exit 3 for a file that says nothing: what it was to prove is not known any more.
pub fn read(home: &Home, topic: &str) -> anyhow::Result<Option<Anchor>> {
    let path = home.anchor();
    let shown = path.display();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {shown}")),
    };
    let kept: Option<Kept> = serde_json::from_slice(&text).ok();
    let anchor = kept.and_then(|kept| {
        let hash = kept.hash.parse().ok()?;
        Some((kept.topic, Anchor { offset: kept.offset, seq: Seq(kept.seq), hash }))
    });
    let Some((of, anchor)) = anchor else {
        let what = format!("{shown} does not say which record was verified last");
        let way = "move it away, and the whole topic is read and checked anew; then compare with a head \
                   kept elsewhere: `verify --head SEQ:HASH`";
        return Err(fail(Code::Tampered, format!("{what}; {way}")));
    };
    Ok((of == topic).then_some(anchor))
}

/// Keeps a record.
///
/// # Errors
/// When the file cannot be written.
pub fn write(home: &Home, topic: &str, anchor: Anchor) -> io::Result<()> {
    let kept = Kept {
        topic: topic.to_owned(),
        offset: anchor.offset,
        seq: anchor.seq.0,
        hash: anchor.hash.to_string(),
    };
    let mut text = serde_json::to_vec(&kept).expect("plain values are JSON");
    text.push(b'\n');
    home.make_state()?;
    write_private(&home.anchor(), &text)
}
