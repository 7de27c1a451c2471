//! The one writer of a chain, as the cluster sees it: a producer with the chain's transactional id.
//!
//! It never ends a transaction but by a commit, and is never used after anything but a clean one: librdkafka tries
//! the end of a transaction again by itself, and a late copy of it must not meet a transaction that it was not for.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext,
        ThreadedProducer,
    },
};

use super::{
    address::{KafkaAddress, KafkaOptions},
    client::{ANSWER, config, failed, lock, told},
    record::Record,
};
use crate::log::LogError;

/// Every commit is far smaller (`BATCH_SIZE_MAX`), but a commit of copied entries may hold as many of the largest
/// payloads as a commit may hold entries.
const QUEUE_KB: &str = "1048576";
/// The largest request: the largest payload, and room for its headers and for others in the same batch.
const REQUEST_BYTES: &str = "1000000";

/// How often another thread is let go first, before a commit that may be slower: far longer than it takes.
const TURNS_MAX: usize = 10_000;

/// A producer that has taken its chain over: all older ones of the same id are fenced off, nothing of theirs is
/// open, and nothing of theirs can become committed any more.
pub(super) struct Producer {
    inner: ThreadedProducer<Context>,
    seen: Arc<Seen>,
    topic: String,
    timeout: Duration,
}

/// Why a commit may not have happened.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another producer took the chain over.
    Fenced,
    /// Nobody knows.
    Doubt(KafkaError),
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> LogError {
        match failure {
            Failure::Fenced => LogError::Fenced,
            Failure::Doubt(error) => LogError::InDoubt(Some(told(error))),
        }
    }
}

impl Producer {
    /// Takes the chain over.
    pub(super) fn take_over(
        address: &KafkaAddress,
        options: &KafkaOptions,
        transactional_id: &str,
    ) -> Result<Producer, LogError> {
        let timeout = options.transaction_timeout;
        let ms = timeout.as_millis().to_string();
        let seen = Arc::new(Seen::default());
        let mut config = config(address, options);
        config
            .set("transactional.id", transactional_id)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("transaction.timeout.ms", &ms)
            .set("message.timeout.ms", &ms)
            .set("socket.timeout.ms", &ms)
            .set("linger.ms", "1")
            .set("message.max.bytes", REQUEST_BYTES)
            .set("queue.buffering.max.kbytes", QUEUE_KB)
            .set("allow.auto.create.topics", "false")
            .set("statistics.interval.ms", "1000");
        let inner: ThreadedProducer<Context> = config
            .create_with_context(Context(seen.clone()))
            .map_err(failed("making a producer"))?;
        let taken = inner.init_transactions(ANSWER.max(timeout));
        taken.map_err(|error| match failure(error) {
            Failure::Fenced => LogError::Fenced,
            Failure::Doubt(error) => failed(format!("taking over {address}"))(error),
        })?;
        let topic = address.topic().to_owned();
        Ok(Producer { inner, seen, topic, timeout })
    }

    /// Whether something was lost on the way since it was made, so that a copy of a request may still be under way.
    pub(super) fn is_suspect(&self) -> bool {
        self.seen.retried.load(Ordering::Relaxed)
    }

    /// Stores the records in one transaction. After an error this producer must be dropped.
    pub(super) fn commit(&self, records: &[Record]) -> Result<(), Failure> {
        self.inner.begin_transaction().map_err(failure)?;
        *lock(&self.seen.deliveries) = Deliveries { missing: records.len(), failed: None };
        for record in records {
            let message = BaseRecord::to(&self.topic)
                .partition(0)
                .key(&record.key)
                .payload(&record.value)
                .headers(record.headers.clone());
            self.inner.send(message).map_err(|(error, _)| self.failure(error))?;
        }
        // A commit with a record still under way takes 100 ms longer.
        self.wait_for_deliveries()?;
        self.let_go();
        self.inner.commit_transaction(self.timeout).map_err(failure)
    }

    /// The last report is told while its records are still counted: until the thread that tells it is through.
    fn let_go(&self) {
        let counted = || self.inner.in_flight_count() > 0;
        (0..TURNS_MAX).take_while(|_| counted()).for_each(|_| thread::yield_now());
    }

    fn wait_for_deliveries(&self) -> Result<(), Failure> {
        let Seen { deliveries, moved, .. } = &*self.seen;
        let guard = lock(deliveries);
        // Each one is reported within `message.timeout.ms`; waiting for twice as long ends in any case.
        let waited = moved.wait_timeout_while(guard, self.timeout * 2, |deliveries| {
            deliveries.missing > 0 && deliveries.failed.is_none()
        });
        let (mut deliveries, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match deliveries.failed.take() {
            Some(error) => Err(self.failure(error)),
            None if deliveries.missing > 0 => Err(Failure::Doubt(KafkaError::MessageProduction(
                RDKafkaErrorCode::MessageTimedOut,
            ))),
            None => Ok(()),
        }
    }

    /// What an error of a record means. A producer that was fenced off says so in a fatal error beside it.
    fn failure(&self, error: KafkaError) -> Failure {
        let fatal = self.inner.client().fatal_error().map(|(code, _)| code);
        let code = fatal.or(error.rdkafka_error_code());
        if code.is_some_and(is_fenced) {
            return Failure::Fenced;
        }
        // A record only says that its transaction failed. Why, the next call says, which sends nothing.
        match self.inner.begin_transaction() {
            Err(KafkaError::Transaction(why)) if why.txn_requires_abort() => {
                failure(KafkaError::Transaction(why))
            }
            _ => Failure::Doubt(error),
        }
    }
}

fn failure(error: KafkaError) -> Failure {
    match &error {
        KafkaError::Transaction(e) if e.is_fatal() && is_fenced(e.code()) => Failure::Fenced,
        _ => Failure::Doubt(error),
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced)
}

/// What librdkafka's threads tell.
#[derive(Default)]
struct Seen {
    deliveries: Mutex<Deliveries>,
    moved: Condvar,
    /// A connection broke, an answer did not come, or a request was sent again.
    retried: AtomicBool,
}

#[derive(Default)]
struct Deliveries {
    missing: usize,
    failed: Option<KafkaError>,
}

struct Context(Arc<Seen>);

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let again =
            |broker: &rdkafka::statistics::Broker| broker.txretries + broker.req_timeouts > 0;
        if statistics.brokers.values().any(again) {
            self.0.retried.store(true, Ordering::Relaxed);
        }
    }

    fn error(&self, _: KafkaError, _: &str) {
        self.0.retried.store(true, Ordering::Relaxed);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut deliveries = lock(&self.0.deliveries);
        deliveries.missing = deliveries.missing.saturating_sub(1);
        if let Err((error, _)) = result {
            deliveries.failed.get_or_insert_with(|| error.clone());
        }
        self.0.moved.notify_all();
    }
}
