//! A producer and a consumer of librdkafka that do nothing but send and read: what the benchmarks on Kafka are held
//! against.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use ledger::KafkaAddress;
use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{
        BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext,
        ThreadedProducer,
    },
};

/// Far longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends payloads in transactions, awaiting each delivery before the commit.
pub(crate) struct BareProducer {
    inner: ThreadedProducer<Counting>,
    delivered: Arc<Delivered>,
    topic: String,
}

impl BareProducer {
    pub(crate) fn new(brokers: &str, topic: &str) -> BareProducer {
        let delivered = Arc::new(Delivered::default());
        let inner: ThreadedProducer<Counting> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("transactional.id", topic)
            .set("linger.ms", "1")
            .create_with_context(Counting(delivered.clone()))
            .expect("a producer");
        inner.init_transactions(PATIENCE).expect("the broker answers");
        BareProducer { inner, delivered, topic: topic.to_owned() }
    }

    /// One transaction.
    pub(crate) fn commit(&self, payloads: &[Vec<u8>]) {
        self.inner.begin_transaction().expect("a transaction");
        for payload in payloads {
            let record = BaseRecord::to(&self.topic).partition(0).key("bench").payload(payload);
            self.inner.send(record).map_err(|(e, _)| e).expect("room in the queue");
        }
        self.delivered.wait_for(payloads.len());
        // As the ledger does: else some commits take 100 ms longer, and the baseline would be a slow one.
        while self.inner.in_flight_count() > 0 {
            thread::yield_now();
        }
        self.inner.commit_transaction(PATIENCE).expect("a commit");
    }
}

/// Counts deliveries, of which librdkafka's thread tells.
#[derive(Default)]
struct Delivered {
    count: Mutex<usize>,
    moved: Condvar,
}

impl Delivered {
    fn wait_for(&self, len: usize) {
        let count = self.count.lock().expect("no panic");
        let mut count = self.moved.wait_while(count, |count| *count < len).expect("no panic");
        *count = 0;
    }
}

struct Counting(Arc<Delivered>);

impl ClientContext for Counting {}

impl ProducerContext<NoCustomPartitioner> for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "every record is delivered");
        *self.0.count.lock().expect("no panic") += 1;
        self.0.moved.notify_all();
    }
}

/// Reads so many committed records, and looks at none.
pub(crate) fn bare_consumer(address: &KafkaAddress, len: usize) -> Duration {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address.brokers())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset(address.topic(), 0, Offset::Beginning).expect("a partition");
    let begun = Instant::now();
    consumer.assign(&partition).expect("a partition");
    let read = consumer.iter().take(len).flatten().count();
    assert_eq!(read, len, "every record came");
    begun.elapsed()
}
