//! What a client of the cluster sees and does that knows nothing of the ledger.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ledger::{Entry, KafkaAddress, log::kafka::LEDGER_HEADER};
use rdkafka::{
    ClientConfig, ClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    metadata::MetadataPartition,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};

/// How long one question may take; it is asked again until it is answered.
const ANSWER: Duration = Duration::from_secs(5);

/// The node that leads the topic's partition.
pub(crate) fn leader(address: &KafkaAddress) -> usize {
    loop {
        // -1 while there is none.
        if let Ok(leader) = usize::try_from(partition(address, MetadataPartition::leader)) {
            return leader;
        }
    }
}

/// How many brokers have all that the topic holds, as its leader sees it.
pub(crate) fn in_sync(address: &KafkaAddress) -> usize {
    partition(address, |partition| partition.isr().len())
}

fn partition<T>(address: &KafkaAddress, of: impl Fn(&MetadataPartition) -> T) -> T {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", address.brokers()).create().unwrap();
    loop {
        let Ok(metadata) = consumer.fetch_metadata(Some(address.topic()), ANSWER) else { continue };
        if let Some(partition) =
            metadata.topics().first().and_then(|topic| topic.partitions().first())
        {
            return of(partition);
        }
    }
}

/// A record that the ledger did not write.
pub(crate) struct Foreign {
    pub(crate) header: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
}

impl Foreign {
    /// What the ledger would have written for this entry.
    pub(crate) fn of(entry: &Entry) -> Foreign {
        let (header, value) = (entry.header().encode(), entry.payload());
        Foreign { header: Some(header.into()), value: value.map(<[u8]>::to_vec) }
    }

    /// Writes it as anyone may whom no access control keeps from it: in a transaction if there is an id for one.
    pub(crate) fn write(
        &self,
        address: &KafkaAddress,
        transactional_id: Option<&str>,
        properties: &[(&str, &str)],
    ) -> Result<(), KafkaError> {
        let mut config = ClientConfig::new();
        for (name, value) in properties {
            config.set(*name, *value);
        }
        config.set("bootstrap.servers", address.brokers()).set("message.timeout.ms", "10000");
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        let refused = Refused::default();
        let producer: BaseProducer<_> = config.create_with_context(refused.clone())?;
        if transactional_id.is_some() {
            producer.init_transactions(ANSWER * 3)?;
            producer.begin_transaction()?;
        }
        let mut headers = OwnedHeaders::new();
        if let Some(header) = &self.header {
            headers = headers.insert(Header { key: LEDGER_HEADER, value: Some(header) });
        }
        let mut record = BaseRecord::<str, [u8]>::to(address.topic()).partition(0).headers(headers);
        record.payload = self.value.as_deref();
        producer.send(record).map_err(|(error, _)| error)?;
        if transactional_id.is_some() {
            producer.commit_transaction(ANSWER * 3)?;
        }
        producer.flush(ANSWER * 3)?;
        let refused = refused.0.lock().unwrap().take();
        refused.map_or(Ok(()), Err)
    }
}

/// What became of a record.
#[derive(Clone, Default)]
struct Refused(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            *self.0.lock().unwrap() = Some(error.clone());
        }
    }
}
