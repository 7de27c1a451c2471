//! An append-only chain of entries that nobody can change without being noticed.
//!
//! Each entry carries the hash of the entry before it, so one hash, the [`Head`], commits to all of
//! history. Whoever keeps an old head can check that a later ledger still holds the same past.
//!
//! ```
//! use std::sync::Arc;
//! use ledger::{Draft, Index, MemoryLog, VerifyOptions, Writer, verify};
//!
//! let log = Arc::new(MemoryLog::default());
//! let mut writer = Writer::open(log.clone(), Index::in_memory())?;
//! let event = br#"{"id":"1","source":"example","type":"rollout.note.added.v1"}"#;
//! let now_us = 1_767_225_600_000_000;
//! writer.commit(vec![Draft::new(event.to_vec())?.into()], now_us)?;
//!
//! let options = VerifyOptions { opened_first: false, ..VerifyOptions::default() };
//! let report = verify(&*log, &options)?;
//! assert!(report.is_good());
//! assert_eq!(report.head, writer.head());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading order
//!
//! - [`entry`]: one entry, its bytes and its hash.
//! - [`chain`]: how an entry extends a [`Head`]. Writing and verifying share this one rule.
//! - [`canonical`], [`envelope`]: what a payload must be, and the little that is read out of it.
//! - [`draft`]: an event that has no place yet.
//! - [`log`]: where entries are kept; [`log::memory`], [`log::segments`] and
//!   `log::kafka` keep them.
//! - [`index`]: which ids are recorded.
//! - [`writer`]: the only code that makes the chain longer.
//! - [`queue`], [`shared`]: many threads and tasks before the one writer.
//! - [`verify`](mod@verify): reads a whole log back and checks it.
//! - [`copy`]: moves entries from one log into another.
//!
//! # Invariants
//!
//! - Of a payload, only `envelope` reads anything: a ledger verifies without knowing its events.
//! - Only `writer` calls [`Log::append`] (and `copy`, which gives every entry the place it had).
//! - Nothing here reads the clock, chance or the environment; they are arguments.
//! - Stored bytes are never encoded again to check them.
//!
//! `docs/FORMAT.md` specifies the bytes for whoever has no copy of this code.

pub mod canonical;
pub mod chain;
pub mod copy;
pub mod draft;
pub mod entry;
pub mod envelope;
pub mod follower;
pub mod index;
pub mod log;
pub mod queue;
mod regular;
pub mod shared;
mod sync;
pub mod verify;
pub mod writer;

pub use chain::{Break, Head};
pub use draft::{
    BATCH_LEN_MAX, BATCH_SIZE_MAX, BatchTooLarge, Draft, InvalidDraft, PAYLOAD_SIZE_MAX, Submission,
};
pub use entry::{Digest, Entry, HASH_CONTEXT, HEADER_SIZE, Hash, Header, RECORDED_AT_US_MAX, Seq};
pub use envelope::{Envelope, same_event};
pub use follower::Follower;
pub use index::{Index, IndexWatch};
#[cfg(feature = "kafka")]
pub use log::kafka::{
    Anchor, Inspection, KafkaAddress, KafkaBoard, KafkaCandidate, KafkaCluster, KafkaLog,
    KafkaOptions, Turn,
};
pub use log::{
    Damage, Log, LogError,
    memory::MemoryLog,
    refusal::{Refusal, Refusals},
    segments::{
        BackedUp, BackupError, Beside, Build, Manifest, SegmentInfo, SegmentLog, Stored, TornTail,
    },
};
pub use queue::{Queue, Refused, Reply};
pub use shared::{RecordError, SharedWriter};
pub use verify::{
    Report, VerifyOptions, segments_size, verify, verify_dir, verify_dir_watched,
    verify_dir_with_ids, verify_with_ids, verify_with_index,
};
pub use writer::{InDoubt, Outcome, Receipt, RedactError, Writer};
