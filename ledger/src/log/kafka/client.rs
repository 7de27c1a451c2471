//! How librdkafka is set up, and what its errors mean here.

use std::{
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::AdminClient,
    client::{ClientContext, DefaultClientContext},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::address::{KafkaAddress, KafkaOptions};
use crate::log::LogError;

/// How long one question to the cluster may take: twice what a broker may be away while another takes over.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// The group that consumers name, because they must. None ever joins it or stores an offset there.
pub(super) const GROUP: &str = "ledger-reader";

/// How long one broker is asked. One that is up answers within milliseconds; one that hangs is the leader of what it
/// led, and named by the others, for some seconds yet.
pub(super) const BROKER_ANSWER: Duration = Duration::from_secs(5);
/// After how many milliseconds a consumer takes a broker for gone that does not send what it has, a megabyte at most,
/// and asks who leads now. librdkafka's own minute is longer than a writer waits for what it has committed.
const FETCH_MS: &str = "10000";

/// What every client begins with: the caller's settings, so that ours come last and win.
pub(super) fn config(address: &KafkaAddress, options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    config.set("bootstrap.servers", address.brokers());
    config
}

/// A consumer of committed records.
pub(super) type Reading = BaseConsumer<Quiet>;

/// Logs what goes wrong. That a reader is at the end of its topic, librdkafka calls an error, too.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            DefaultClientContext.error(error, reason);
        }
    }
}

impl ConsumerContext for Quiet {}

/// A consumer that sees what is committed alone, checks what it gets, and never decides by itself where to begin.
pub(super) fn consumer(
    address: &KafkaAddress,
    options: &KafkaOptions,
) -> Result<Reading, LogError> {
    let mut config = config(address, options);
    if config.get("socket.timeout.ms").is_none() {
        config.set("socket.timeout.ms", FETCH_MS);
    }
    config
        // `assign` fails without a group. Nothing is ever committed to it.
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "50")
        .set("allow.auto.create.topics", "false")
        .create_with_context(Quiet)
        .map_err(failed("making a consumer"))
}

/// Where a topic's partition 0 begins, and where all is decided up to. If its leader does not answer, who leads is
/// asked again.
pub(super) fn ends(consumer: &Reading, topic: &str) -> Result<(i64, i64), KafkaError> {
    use RDKafkaErrorCode as Code;
    let others = ANSWER.as_secs() / BROKER_ANSWER.as_secs();
    for _ in 1..others {
        let ends = consumer.fetch_watermarks(topic, 0, BROKER_ANSWER);
        match ends.as_ref().err().and_then(KafkaError::rdkafka_error_code) {
            Some(
                Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::BrokerTransportFailure
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable,
            ) => {
                // It says nothing that the next question would not.
                let _ = consumer.fetch_metadata(Some(topic), BROKER_ANSWER);
            }
            _ => return ends,
        }
    }
    consumer.fetch_watermarks(topic, 0, BROKER_ANSWER)
}

/// A client that creates and describes topics.
pub(super) fn admin(
    address: &KafkaAddress,
    options: &KafkaOptions,
) -> Result<AdminClient<DefaultClientContext>, LogError> {
    config(address, options).create().map_err(failed("making an administrator"))
}

/// For `map_err`: what was being done when Kafka said no.
pub(super) fn failed(doing: impl fmt::Display) -> impl FnOnce(KafkaError) -> LogError {
    move |error| LogError::Unavailable { doing: doing.to_string(), source: told(error) }
}

/// The error with what can be done about it as its kind: `TimedOut` where waiting may help,
/// `PermissionDenied` where someone else must allow it.
pub(super) fn told(error: KafkaError) -> io::Error {
    use RDKafkaErrorCode as Code;
    if let KafkaError::ClientConfig(_, _, name, _) = &error {
        // Its own text shows the value, which may be a password.
        let what =
            format!("the Kafka setting {name} is not known, or cannot have the value it has");
        return io::Error::new(io::ErrorKind::InvalidInput, what);
    }
    let kind = match error.rdkafka_error_code() {
        Some(
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::NotController
            | Code::BrokerNotAvailable
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::ConcurrentTransactions
            | Code::WaitingForCoordinator,
        ) => io::ErrorKind::TimedOut,
        Some(
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::SecurityDisabled
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed,
        ) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// The same for errors that are a number alone.
pub(super) fn refused(doing: impl fmt::Display, code: RDKafkaErrorCode) -> LogError {
    failed(doing)(KafkaError::Global(code))
}

/// Waits for a future. Those of an administrator are woken by a thread of its own, so this needs no runtime.
pub(super) fn wait_for<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Takes a lock that librdkafka's threads share, so it is never shuttle's (`crate::sync`), whoever panicked with it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_does_not_fit_is_named_without_its_value() {
        let address = "kafka://127.0.0.1:1/ledger".parse().unwrap();
        for name in ["sasl.pasword", "security.protocol"] {
            let properties = vec![(name.to_owned(), "hunter2".to_owned())];
            let options = KafkaOptions { properties, ..KafkaOptions::default() };
            let Err(LogError::Unavailable { source, .. }) = consumer(&address, &options) else {
                panic!("{name} was taken");
            };
            let said = format!("{source} {source:?}");
            assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
        }
    }

    /// What librdkafka can do is decided when it is built.
    #[test]
    fn tls_scram_and_zstd_are_there_with_their_feature() {
        let address = "kafka://127.0.0.1:9/ledger".parse().unwrap();
        let rows: [&[(&str, &str)]; 3] = [
            &[("security.protocol", "ssl")],
            &[
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", "writer"),
                ("sasl.password", "secret"),
            ],
            &[("compression.type", "zstd")],
        ];
        for settings in rows {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let properties = settings.iter().map(own).collect();
            let options = KafkaOptions { properties, ..KafkaOptions::default() };
            let made = admin(&address, &options);
            assert_eq!(made.is_ok(), cfg!(feature = "kafka-tls"), "{settings:?}");
        }
    }
}
