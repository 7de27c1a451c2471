//! Reads the committed records of a topic in order, and refuses what does not chain.

use std::{io, time::Duration};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    access::{Access, named},
    address::{KafkaAddress, KafkaOptions},
    client::{Reading, consumer, ends, failed},
    record::to_entry,
};
use crate::{
    chain::Head,
    entry::{Entry, Seq},
    log::{Damage, LogError},
};

/// How long one wait for a record is. What it waits for ends it sooner.
const WAIT: Duration = Duration::from_millis(100);
/// How many waits without a record mean that the cluster does not answer: as long as any question may take.
pub(super) const PATIENCE: u32 = 300;

/// For whoever waits for what is not there yet.
pub(super) const NO_END: i64 = i64::MAX;

/// A consumer, and how far it has read.
pub(super) struct Reader {
    consumer: Reading,
    address: KafkaAddress,
    options: KafkaOptions,
    /// No record before this offset comes any more.
    offset: i64,
    /// Whether the consumer was told where to begin.
    assigned: bool,
    /// The chain as far as it was read from here on; `None` before the first record after a jump.
    pub(super) head: Option<Head>,
    /// Why it stopped for good: what comes after a record that does not belong there is not looked at.
    halted: Option<Box<Damage>>,
}

impl Reader {
    /// Nothing is read before [`seek`](Reader::seek).
    pub(super) fn new(address: &KafkaAddress, options: &KafkaOptions) -> Result<Reader, LogError> {
        let consumer = consumer(address, options)?;
        let (address, options) = (address.clone(), options.clone());
        Ok(Reader {
            consumer,
            address,
            options,
            offset: 0,
            assigned: false,
            head: None,
            halted: None,
        })
    }

    /// The first offset, and the one after the last that is decided (the last stable offset).
    pub(super) fn bounds(&self) -> Result<(i64, i64), LogError> {
        let topic = self.topic();
        let bounds = ends(&self.consumer, topic);
        bounds.map_err(failed(format_args!("asking where topic {topic} ends"))).map_err(named(
            &self.address,
            &self.options,
            Access::Read,
        ))
    }

    /// Goes on at an offset, where the chain ends in `head` if that is known.
    pub(super) fn seek(&mut self, offset: i64, head: Option<Head>) -> Result<(), LogError> {
        let mut partition = TopicPartitionList::new();
        partition
            .add_partition_offset(self.topic(), 0, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&partition))
            .map_err(failed(format_args!("going to offset {offset} of topic {}", self.topic())))?;
        (self.offset, self.assigned, self.head) = (offset, true, head);
        self.halted = None;
        Ok(())
    }

    /// The entry that it comes to next, if it was told where the chain stands.
    pub(super) fn at(&self) -> Option<Seq> {
        self.head.filter(|_| self.assigned).map(|head| head.next)
    }

    /// The next record and its offset, which follows the one before. `None` when the offset `end` is reached, or
    /// after so many waits if there is no end.
    pub(super) fn next(&mut self, end: i64, waits: u32) -> Result<Option<(Entry, i64)>, LogError> {
        if let Some(damage) = &self.halted {
            return Err(LogError::Corrupt(damage.clone()));
        }
        let next = self.next_unhalted(end, waits);
        if let Err(LogError::Corrupt(damage)) = &next {
            self.halted = Some(damage.clone());
        }
        next.map_err(named(&self.address, &self.options, Access::Read))
    }

    fn topic(&self) -> &str {
        self.address.topic()
    }

    fn next_unhalted(&mut self, end: i64, waits: u32) -> Result<Option<(Entry, i64)>, LogError> {
        let (mut waited, mut trouble) = (0, None);
        while self.offset < end {
            let mut polled = self.consumer.poll(Duration::ZERO);
            if polled.is_none() {
                // Asked only when nothing is there: librdkafka answers it from another thread.
                if end < NO_END && self.passed() >= end {
                    return Ok(None);
                }
                polled = self.consumer.poll(WAIT);
            }
            match polled {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    let entry = to_entry(&message).map_err(|what| self.foreign(offset, &what))?;
                    self.follow(&entry, offset)?;
                    self.offset = offset.saturating_add(1);
                    return Ok(Some((entry, offset)));
                }
                // It may be told so by a leader that does not know all yet.
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    self.refuse(&error)?;
                    trouble = Some(error);
                    waited += 1;
                }
                None => waited += 1,
            }
            if waited > waits {
                let doing = format!("reading topic {} at offset {}", self.topic(), self.offset);
                return match trouble {
                    Some(error) => Err(failed(doing)(error)),
                    None if end == NO_END => Ok(None),
                    // Silence is not the end: whoever took it for that would write after an earlier entry.
                    None => Err(LogError::Unavailable {
                        doing: format!("{doing} of {end}, from which nothing comes"),
                        source: io::ErrorKind::TimedOut.into(),
                    }),
                };
            }
        }
        Ok(None)
    }

    /// No record that is before this offset is still to come: ends of transactions are passed over silently.
    fn passed(&self) -> i64 {
        let position = self.consumer.position().ok();
        let position = position.as_ref().and_then(|list| list.find_partition(self.topic(), 0));
        let position = position.and_then(|partition| partition.offset().to_raw()).unwrap_or(-1);
        position.max(self.offset)
    }

    fn follow(&mut self, entry: &Entry, offset: i64) -> Result<(), LogError> {
        let head = match self.head {
            Some(head) => {
                head.accept(entry).map_err(|broken| self.foreign(offset, &broken.to_string()))?
            }
            None => Head {
                next: entry.seq().next(),
                hash: entry.hash(),
                recorded_at_us: entry.recorded_at_us(),
            },
        };
        self.head = Some(head);
        Ok(())
    }

    fn foreign(&self, offset: i64, what: &str) -> LogError {
        let seq = self.head.map_or(Seq(0), |head| head.next);
        let what =
            format!("the record at offset {offset} of topic {} is not it: {what}", self.topic());
        let advice = "someone else writes to this topic, or it was changed; keep it as it is, find out who may \
                      write to it (kafka-acls.sh --list), and call whoever answers for the ledger";
        Damage { seq, code: "foreign_record", what, place: None, advice }.into()
    }

    /// Errors that waiting does not mend.
    fn refuse(&self, error: &KafkaError) -> Result<(), LogError> {
        use RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Err(self.truncated()),
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::Authentication,
            ) => Err(failed(format_args!("reading topic {}", self.topic()))(error.clone())),
            _ => Ok(()),
        }
    }

    /// An entry that was read once is not before a later one.
    pub(super) fn lacks(&self, seq: Seq) -> LogError {
        truncated(seq, format!("it is not before offset {} of topic {}", self.offset, self.topic()))
    }

    fn truncated(&self) -> LogError {
        truncated(
            self.head.map_or(Seq(0), |head| head.next),
            format!("topic {} has no offset {} any more", self.topic(), self.offset),
        )
    }
}

/// Something was there and is not there now.
pub(super) fn truncated(seq: Seq, what: String) -> LogError {
    let advice = "the topic was cut, or made anew, or a broker lost records that it had confirmed; do not go on \
                  with it, restore the ledger from a copy";
    Damage { seq, code: "truncated", what, place: None, advice }.into()
}
