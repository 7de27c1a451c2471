//! One entry: a header of 81 bytes, the payload that it speaks of, and the hash that names both.
//!
//! The header is hashed and stored, so its layout is set in stone. Integers are big-endian.
//!
//! | bytes   | field            | meaning                                                    |
//! |---------|------------------|------------------------------------------------------------|
//! | 0       | `version`        | 1                                                          |
//! | 1 - 8   | `seq`            | place in the chain, from 0, no gaps                        |
//! | 9 - 16  | `recorded_at_us` | Unix microseconds, stamped by the writer                   |
//! | 17 - 48 | `parent`         | hash of the entry before; zeros at seq 0                   |
//! | 49 - 80 | `digest`         | SHA-256 of the payload                                     |
//!
//! `hash = BLAKE3 in key-derivation mode, context HASH_CONTEXT, over the 81 bytes`. The payload is
//! bound by its digest, so it can be erased by law while its header, and the chain, stay.

use std::{fmt, str::FromStr, sync::LazyLock};

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::envelope::Mark;

/// Says what an entry's hash is for, so that bytes meant for something else never collide with it.
pub const HASH_CONTEXT: &str = "rollout-ledger 2026-11 entry v1";

/// The size of a header in bytes.
pub const HEADER_SIZE: usize = 81;

/// The only layout of a header that there is so far.
pub const HEADER_VERSION: u8 = 1;

/// The last microsecond of the year 9999: RFC 3339 has no way to write a later one.
pub const RECORDED_AT_US_MAX: u64 = 253_402_300_799_999_999;

/// A place in the chain, from 0, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an entry and, through its parent, all of history before it. Shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// SHA-256 of a payload's bytes. Shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes. The slow part of recording, so it is done before the writer's turn.
    pub fn of(payload: &[u8]) -> Digest {
        Digest(Sha256::digest(payload).into())
    }
}

/// The text is not 64 lowercase hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lowercase hex digits")]
pub struct InvalidHash;

macro_rules! shown_as_hex {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidHash;
            fn from_str(text: &str) -> Result<Self, InvalidHash> {
                read_hex(text).map($name)
            }
        }
    };
}
shown_as_hex!(Hash);
shown_as_hex!(Digest);

fn write_hex(bytes: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn read_hex(text: &str) -> Result<[u8; 32], InvalidHash> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidHash),
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(InvalidHash) };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().map_err(|_| InvalidHash)?;
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Ok(bytes)
}

/// The part of an entry that the chain is made of, and that stays for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Place in the chain.
    pub seq: Seq,
    /// When the writer recorded it, in Unix microseconds.
    pub recorded_at_us: u64,
    /// Hash of the entry before; zeros at seq 0.
    pub parent: Hash,
    /// SHA-256 of the payload.
    pub digest: Digest,
}

/// The first byte of a header names a layout that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header version {0} is unknown, this version reads {HEADER_VERSION}")]
pub struct UnknownVersion(pub u8);

impl Header {
    /// The bytes that are stored and hashed.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let (version, rest) = bytes.split_at_mut(1);
        version.fill(HEADER_VERSION);
        let (seq, rest) = rest.split_at_mut(8);
        seq.copy_from_slice(&self.seq.0.to_be_bytes());
        let (at, rest) = rest.split_at_mut(8);
        at.copy_from_slice(&self.recorded_at_us.to_be_bytes());
        let (parent, digest) = rest.split_at_mut(32);
        parent.copy_from_slice(&self.parent.0);
        digest.copy_from_slice(&self.digest.0);
        bytes
    }

    /// Reads the bytes back. Every value of every field but `version` is a header.
    pub fn decode(bytes: &[u8; HEADER_SIZE]) -> Result<Header, UnknownVersion> {
        let [version, rest @ ..] = bytes;
        if *version != HEADER_VERSION {
            return Err(UnknownVersion(*version));
        }
        let (seq, rest) = rest.split_first_chunk().expect("80 bytes hold 8");
        let (at, rest) = rest.split_first_chunk().expect("72 bytes hold 8");
        let (parent, rest) = rest.split_first_chunk().expect("64 bytes hold 32");
        let digest = rest.first_chunk().expect("32 bytes hold 32");
        Ok(Header {
            seq: Seq(u64::from_be_bytes(*seq)),
            recorded_at_us: u64::from_be_bytes(*at),
            parent: Hash(*parent),
            digest: Digest(*digest),
        })
    }

    /// The hash that names this header, and so the entry.
    pub fn hash(&self) -> Hash {
        hash_of(&self.encode())
    }
}

/// The hash of a header's bytes.
pub(crate) fn hash_of(header: &[u8; HEADER_SIZE]) -> Hash {
    // The context string is hashed once: doing it for each entry would double the work.
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(HASH_CONTEXT));
    Hash(*blake3::Hasher::new_from_context_key(&KEY).update(header).finalize().as_bytes())
}

/// A recorded event: its header, its hash, and its payload unless that was erased by law.
///
/// An `Entry` has a place in the chain; a [`Draft`](crate::Draft) has none yet.
///
/// The payloads of entries that were read together are slices of the pages they were read in, so
/// cloning one is cheap, and keeping one keeps its page: up to 64 KiB. Whoever keeps a few entries
/// out of many, and for long, keeps what it needs of them or takes [`detached`](Entry::detached).
#[derive(Clone, Debug)]
pub struct Entry {
    header: Header,
    /// Always `header.hash()`; kept, because everyone asks for it.
    hash: Hash,
    /// `None` once it is erased. Perhaps a part of a page that other entries share.
    payload: Option<Bytes>,
    /// What the ledger itself reads out of the payload, if someone has already looked.
    mark: Option<Mark>,
}

impl Entry {
    /// An entry as it was stored. The payload is not compared with the header's digest.
    pub fn stored(header: Header, payload: Option<Vec<u8>>) -> Entry {
        Entry { header, hash: header.hash(), payload: payload.map(Bytes::from), mark: None }
    }

    /// An entry as it was read, whose hash is known.
    pub(crate) fn read(header: Header, hash: Hash, payload: Option<Bytes>) -> Entry {
        Entry { header, hash, payload, mark: None }
    }

    /// An entry of which the caller knows the mark, because its draft has been read.
    pub(crate) fn sealed(header: Header, payload: Vec<u8>, mark: Mark) -> Entry {
        Entry { header, hash: header.hash(), payload: Some(payload.into()), mark: Some(mark) }
    }

    /// The part that the chain is made of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Place in the chain.
    pub fn seq(&self) -> Seq {
        self.header.seq
    }

    /// The hash that names this entry and all before it.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// When the writer recorded it, in Unix microseconds.
    pub fn recorded_at_us(&self) -> u64 {
        self.header.recorded_at_us
    }

    /// The event's canonical bytes, or `None` if they were erased by law.
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The same entry with a payload of its own, for whoever keeps it for long.
    pub fn detached(&self) -> Entry {
        let payload = self.payload.as_deref().map(Bytes::copy_from_slice);
        Entry { payload, ..self.clone() }
    }

    /// Whether the payload is the one that the header was made for. An erased one is no mismatch.
    pub fn digest_matches(&self) -> bool {
        self.payload().is_none_or(|payload| Digest::of(payload) == self.header.digest)
    }

    /// What the ledger itself reads out of the payload.
    pub(crate) fn mark(&self) -> Mark {
        match (&self.mark, &self.payload) {
            (Some(mark), _) => mark.clone(),
            (None, Some(payload)) => Mark::read(payload),
            (None, None) => Mark::Other,
        }
    }

    /// Takes the payload away and leaves the header.
    pub(crate) fn erase(&mut self) {
        self.payload = None;
        self.mark = None;
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.header == other.header && self.payload == other.payload
    }
}

impl Eq for Entry {}
