//! What a player plays.

use std::{fs, io, io::Write as _, path::Path, time::Duration};

use ledger::{Anchor, Hash, KafkaOptions, Seq};

pub(crate) mod projector;
pub(crate) mod writer;

/// Why a player ends before it was told to.
pub(crate) type Ended = Box<dyn std::error::Error + Send + Sync>;

/// One node on this machine: what that could lose is allowed.
pub(crate) fn options(timeout_ms: &str, properties: &[&str]) -> Result<KafkaOptions, Ended> {
    let property = |property: &&str| property.split_once('=').map(|(n, v)| (n.into(), v.into()));
    Ok(KafkaOptions {
        allow_unsafe: true,
        transaction_timeout: Duration::from_millis(timeout_ms.parse()?),
        properties: properties.iter().filter_map(property).collect(),
        ..KafkaOptions::default()
    })
}

/// The last record that whoever kept this knew to be there.
pub(crate) fn read_anchor(dir: &Path) -> Option<Anchor> {
    let text = fs::read_to_string(dir.join("anchor")).ok()?;
    let mut words = text.split_whitespace();
    let (offset, seq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let hash: Hash = words.next()?.parse().ok()?;
    Some(Anchor { offset, seq: Seq(seq), hash })
}

/// A rename is done or not. `by` is in the name of the file that is renamed.
pub(crate) fn write_anchor(dir: &Path, by: &str, anchor: Anchor) -> io::Result<()> {
    let new = dir.join(format!("anchor.{by}"));
    let mut text = fs::File::create(&new)?;
    writeln!(text, "{} {} {}", anchor.offset, anchor.seq.0, anchor.hash)?;
    fs::rename(new, dir.join("anchor"))
}
