//! An event that has no place in the chain yet, and a group of them that is recorded whole.

use crate::{
    entry::Digest,
    envelope::{Envelope, InvalidEnvelope, Mark},
};

/// The most bytes that one payload may have: 512 KiB. Most are under 1 KiB.
pub const PAYLOAD_SIZE_MAX: usize = 512 * 1024;

/// The most events that one submission, and one commit, may have.
pub const BATCH_LEN_MAX: usize = 1_024;

/// The most bytes that the payloads of one submission, and one commit, may have together.
pub const BATCH_SIZE_MAX: usize = 900_000;

/// Says what the key of an id is for. The index is derived, so this may change with its format.
const KEY_CONTEXT: &str = "rollout-ledger 2026-11 event id v1";

/// A canonical event, read and hashed, waiting for its place.
///
/// All that costs time is done here, so callers can make drafts on many threads before the one
/// writer takes them.
#[derive(Clone, Debug)]
pub struct Draft {
    payload: Vec<u8>,
    digest: Digest,
    key: Key,
    mark: Mark,
}

/// Why a payload cannot be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDraft {
    /// Send less.
    #[error("the payload has {size} bytes, at most {PAYLOAD_SIZE_MAX} are possible")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Send a canonical event.
    #[error(transparent)]
    Envelope(#[from] InvalidEnvelope),
}

impl Draft {
    /// Reads and hashes a payload: the canonical bytes of one `CloudEvents` event.
    pub fn new(payload: Vec<u8>) -> Result<Draft, InvalidDraft> {
        if payload.len() > PAYLOAD_SIZE_MAX {
            return Err(InvalidDraft::TooLarge { size: payload.len() });
        }
        let envelope = Envelope::read(&payload)?;
        let (key, mark) = (Key::of(envelope.source(), envelope.id()), envelope.mark()?);
        Ok(Draft { digest: Digest::of(&payload), key, mark, payload })
    }

    /// The event's canonical bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// SHA-256 of the payload.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the idempotency index knows it by.
    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(crate) fn into_parts(self) -> (Vec<u8>, Mark) {
        (self.payload, self.mark)
    }
}

/// Drafts that are recorded all or none, in this order, in one commit.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    drafts: Vec<Draft>,
    size: usize,
}

/// The submission is larger than one commit may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{len} events of {size} bytes are more than the {BATCH_LEN_MAX} events or {BATCH_SIZE_MAX} \
     bytes that can be recorded together"
)]
pub struct BatchTooLarge {
    /// How many events there are.
    pub len: usize,
    /// How many bytes their payloads have together.
    pub size: usize,
}

impl Submission {
    /// Groups drafts, if one commit can hold them.
    pub fn new(drafts: Vec<Draft>) -> Result<Submission, BatchTooLarge> {
        let (len, size) = (drafts.len(), drafts.iter().map(|draft| draft.payload.len()).sum());
        if len > BATCH_LEN_MAX || size > BATCH_SIZE_MAX {
            return Err(BatchTooLarge { len, size });
        }
        Ok(Submission { drafts, size })
    }

    /// The drafts, in the order in which they will be recorded.
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    pub(crate) fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }

    /// The bytes of all payloads together.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl From<Draft> for Submission {
    fn from(draft: Draft) -> Submission {
        // One payload is always smaller than a batch may be.
        Submission { size: draft.payload.len(), drafts: vec![draft] }
    }
}

/// 16 bytes that stand for a pair of `source` and `id`. Two pairs never meet in one: finding two
/// that do takes 2^64 tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) [u8; 16]);

impl Key {
    /// The lengths are hashed too, so that no two pairs share one run of bytes.
    pub(crate) fn of(source: &str, id: &str) -> Key {
        use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
        static CONTEXT: std::sync::LazyLock<ContextKey> =
            std::sync::LazyLock::new(|| hash_derive_key_context(KEY_CONTEXT));
        let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
        for part in [source, id] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Key(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes hold 16"))
    }

    /// The first eight bytes, by which keys are sorted and spread evenly.
    pub(crate) fn prefix(self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("16 bytes hold 8"))
    }

    /// The last eight bytes.
    pub(crate) fn suffix(self) -> u64 {
        u64::from_be_bytes(*self.0.last_chunk().expect("16 bytes hold 8"))
    }
}
