//! What the servers of a ledger tell each other: records of the control topic, of which the newest count.
//!
//! They are no history. Each says what its server wants to be believed, and who reads them checks that.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    consumer::Consumer as _,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, ProducerContext, ThreadedProducer,
    },
};

use super::{
    address::{InvalidKafkaAddress, KafkaAddress, KafkaOptions},
    client::{ANSWER, Reading, config, consumer, ends, failed, lock},
};
use crate::log::LogError;

/// How many records before the end are read first: each take-over writes one.
const FIRST_LEN: i64 = 16;
/// The largest record that is looked at, in bytes.
const NOTICE_SIZE_MAX: usize = 4 * 1024;
/// How many records one look takes in.
const NEWS_LEN: usize = 64;
/// How long a record may take to be stored.
const POSTED: &str = "10000";

/// Reads the control topic.
pub struct KafkaBoard {
    consumer: Reading,
    topic: String,
}

impl KafkaBoard {
    /// Begins shortly before the end of the control topic of the log at `address`.
    pub fn open(address: &KafkaAddress, options: &KafkaOptions) -> Result<KafkaBoard, LogError> {
        let topic = control_of(address)?.topic().to_owned();
        let consumer = consumer(address, options)?;
        let doing = format!("asking where topic {topic} ends");
        let (low, high) = ends(&consumer, &topic).map_err(failed(&doing))?;
        let first = low.max(high.saturating_sub(FIRST_LEN));
        let mut partition = TopicPartitionList::new();
        partition
            .add_partition_offset(&topic, 0, Offset::Offset(first))
            .and_then(|()| consumer.assign(&partition))
            .map_err(failed(format_args!("going to offset {first} of topic {topic}")))?;
        Ok(KafkaBoard { consumer, topic })
    }

    /// What is new, waiting so long for the first of it. After an error, open it again.
    pub fn news(&self, wait: Duration) -> Result<Vec<Vec<u8>>, LogError> {
        let (mut news, mut wait) = (Vec::new(), wait);
        while news.len() < NEWS_LEN {
            match self.consumer.poll(wait) {
                Some(Ok(record)) => {
                    let notice = record.payload().filter(|notice| notice.len() <= NOTICE_SIZE_MAX);
                    news.extend(notice.map(<[u8]>::to_vec));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    return Err(failed(format_args!("reading topic {}", self.topic))(error));
                }
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(news)
    }

    /// Posts a record, and returns when it is stored.
    pub fn post(
        address: &KafkaAddress,
        options: &KafkaOptions,
        notice: &[u8],
    ) -> Result<(), LogError> {
        let topic = control_of(address)?.topic().to_owned();
        let posted = Arc::<Posted>::default();
        let producer: ThreadedProducer<Posting> = config(address, options)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", POSTED)
            .set("allow.auto.create.topics", "false")
            .create_with_context(Posting(posted.clone()))
            .map_err(failed("making a producer"))?;
        let doing = format!("writing to topic {topic}");
        let record = BaseRecord::<(), [u8]>::to(&topic).partition(0).payload(notice);
        producer.send(record).map_err(|(error, _)| failed(&doing)(error))?;
        // It is told within `message.timeout.ms` in any case; this ends however it is.
        let waited = posted.told.wait_timeout_while(lock(&posted.how), ANSWER, |how| how.is_none());
        let (mut how, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match how.take() {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(failed(doing)(error)),
            None => {
                Err(failed(doing)(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut)))
            }
        }
    }
}

/// The topic beside a ledger's, over which its servers agree who writes.
pub(super) fn control_of(address: &KafkaAddress) -> Result<KafkaAddress, LogError> {
    address.control().map_err(|error: InvalidKafkaAddress| LogError::Unavailable {
        doing: "naming the topic of who writes".to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, error),
    })
}

#[derive(Default)]
struct Posted {
    how: Mutex<Option<Result<(), KafkaError>>>,
    told: Condvar,
}

struct Posting(Arc<Posted>);

impl ClientContext for Posting {}

impl ProducerContext<NoCustomPartitioner> for Posting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let how = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        *lock(&self.0.how) = Some(how);
        self.0.told.notify_all();
    }
}
