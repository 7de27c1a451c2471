//! The records, the same for every store: canonical events of 600 bytes, whose ids come in no order.

use ledger::{Digest, Draft};

use crate::store::Fault;

/// Bytes of one event.
pub(crate) const PAYLOAD_SIZE: usize = 600;

/// What stands for an event's `source` and `id`: the ledger's own index knows an id by as many bytes.
pub(crate) type Key = [u8; 16];

/// An event that has no place yet. Reading and hashing it is done, as by the callers' threads.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) key: Key,
    pub(crate) draft: Draft,
}

impl Event {
    pub(crate) fn digest(&self) -> Digest {
        self.draft.digest()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.draft.payload()
    }
}

/// The `n`th event's canonical bytes.
pub(crate) fn payload(n: u64) -> Vec<u8> {
    let tail = format!(
        r#""}},"id":"{}","source":"bench","specversion":"1.0","type":"rollout.note.added.v1"}}"#,
        id(n)
    );
    let head = r#"{"data":{"text":""#;
    // Text that a compressing store can make smaller by about as much as prose.
    let filler = blake3::hash(&n.to_be_bytes()).to_hex();
    let filler = filler.as_bytes().iter().copied().cycle();
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend(filler.take(PAYLOAD_SIZE - head.len() - tail.len()));
    bytes.extend(tail.as_bytes());
    bytes
}

/// Ids of many senders: any order but that of the chain.
fn id(n: u64) -> String {
    let hash = blake3::keyed_hash(&[7; 32], &n.to_be_bytes()).to_hex();
    hash.chars().take(32).collect()
}

/// The `n`th event.
pub(crate) fn event(n: u64) -> Result<Event, Fault> {
    let mut hasher = blake3::Hasher::new();
    for part in ["bench", &id(n)] {
        hasher.update(&(part.len() as u64).to_be_bytes()).update(part.as_bytes());
    }
    let key = *hasher.finalize().as_bytes().first_chunk().ok_or("32 bytes hold 16")?;
    Ok(Event { key, draft: Draft::new(payload(n))? })
}

/// `len` events from the `first` on.
pub(crate) fn events(first: u64, len: usize) -> Result<Vec<Event>, Fault> {
    (first..).take(len).map(event).collect()
}
