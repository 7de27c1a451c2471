//! An entry as a record of Kafka.
//!
//! | part                    | meaning                                                             |
//! |-------------------------|---------------------------------------------------------------------|
//! | value                   | the payload's bytes as they were hashed: a whole CloudEvents event; empty, and never null, once it is erased |
//! | header `content-type`   | `application/cloudevents+json`: CloudEvents' structured mode        |
//! | header `ledger-header`  | the 81 bytes of the entry's header                                  |
//! | header `ledger-erased`  | `1`, only where the payload was erased by law                       |
//! | headers `type`, `rollout` | copies out of the payload, for routing; nothing is decided by them |
//! | key                     | the rollout, else the ledger's id                                   |
//!
//! Everything that counts is in the value and in `ledger-header`, which is checked against the value's bytes.

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header as Copy, Headers as _, Message as _, OwnedHeaders};

use crate::{
    entry::{Digest, Entry, HEADER_SIZE, Header, hash_of},
    envelope::Envelope,
};

/// Says that the value is a whole event.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The header with the bytes that are hashed.
pub const LEDGER_HEADER: &str = "ledger-header";
/// The header of a record whose payload is gone.
pub const LEDGER_ERASED: &str = "ledger-erased";

/// What is sent for an entry.
pub(super) struct Record {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) headers: OwnedHeaders,
}

/// `ledger` is the key of an entry that is about no rollout.
pub(super) fn of_entry(entry: &Entry, ledger: &str) -> Record {
    let header = entry.header().encode();
    let mut headers = OwnedHeaders::new_with_capacity(4)
        .insert(Copy { key: "content-type", value: Some(CONTENT_TYPE) })
        .insert(Copy { key: LEDGER_HEADER, value: Some(header.as_slice()) });
    let mut key = ledger.to_owned();
    match entry.payload() {
        // A copy that cannot be made is left out: readers do not rest on it.
        Some(payload) => {
            if let Ok(envelope) = Envelope::read(payload) {
                headers = headers.insert(Copy { key: "type", value: Some(envelope.event_type()) });
                if let Some(rollout) = envelope.subject() {
                    headers = headers.insert(Copy { key: "rollout", value: Some(rollout) });
                    rollout.clone_into(&mut key);
                }
            }
        }
        None => headers = headers.insert(Copy { key: LEDGER_ERASED, value: Some("1") }),
    }
    Record { key, value: entry.payload().unwrap_or_default().to_vec(), headers }
}

/// The entry in a record, whose value is the one that its header was made for; else what is wrong with it.
pub(super) fn to_entry(message: &BorrowedMessage<'_>) -> Result<Entry, String> {
    let headers = message.headers();
    let all = || headers.into_iter().flat_map(|headers| headers.iter());
    let mut ours = all().filter(|header| header.key == LEDGER_HEADER);
    let (Some(first), None) = (ours.next(), ours.next()) else {
        return Err(format!("it does not have one header `{LEDGER_HEADER}`"));
    };
    let bytes: &[u8; HEADER_SIZE] = first
        .value
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("its `{LEDGER_HEADER}` is not {HEADER_SIZE} bytes long"))?;
    let header = Header::decode(bytes).map_err(|e| e.to_string())?;
    let value = message.payload().ok_or("its value is null, which this ledger never writes")?;
    let erased = all().any(|header| header.key == LEDGER_ERASED);
    let payload = match (erased, value) {
        (true, []) => None,
        (true, _) => return Err(format!("it has `{LEDGER_ERASED}` and a value all the same")),
        (false, []) => return Err(format!("its value is empty without `{LEDGER_ERASED}`")),
        (false, value) if Digest::of(value) == header.digest => Some(Bytes::copy_from_slice(value)),
        (false, _) => return Err("its value is not the one that its header was made for".into()),
    };
    Ok(Entry::read(header, hash_of(bytes), payload))
}
