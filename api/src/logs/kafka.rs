//! A log that is a topic: how it is opened, and what of it is kept in the directory.
//!
//! | file | holds |
//! |---|---|
//! | `log.json` | the topic, its cluster and the ledger: [`Topic`] |
//! | `kafka.properties` | settings of librdkafka, one `name=value` a line; may hold a password, 0600 |
//! | `state/anchor.json` | the last record that was verified here: [`anchor`] |
//! | `ids/` | the index of ids |

use std::{
    fs, io,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
pub use ledger::KafkaAddress as Address;
use ledger::{
    Anchor, Entry, Envelope, Head, Header, KafkaCluster, KafkaLog, KafkaOptions, Log, LogError, Seq,
};

use super::{Asked, Opened, Topic};
use crate::{
    exit::{Code, fail},
    home::Home,
    output, shell,
};

pub mod anchor;
pub mod begin;
pub mod copies;
pub mod look;

/// What an acknowledgement promises where the log is a topic, in words for entry 0.
pub(super) const DURABILITY: &str =
    "kafka: one transaction with acks=all, read back as committed before every acknowledgement";

/// How often a writer keeps the last record that it verified: what a cluster loses that is older is
/// noticed, and the disk is asked for one sync a second.
const ANCHOR_PERIOD: Duration = Duration::from_secs(1);

/// How long the next notice of who writes is waited for: they stand at the end of the topic already.
const NEWS_WAIT: Duration = Duration::from_secs(1);

/// How long the first of them is waited for: a server that has just begun says so in a moment.
const NEWS_WAIT_MAX: Duration = Duration::from_secs(5);

/// Bytes of a file of settings: certificates stand in files of their own.
const PROPERTIES_SIZE_MAX: u64 = 64 * 1024;

/// A topic opened as a log, which keeps its anchor in the directory.
#[derive(Debug)]
pub struct TopicLog {
    log: KafkaLog,
    home: Home,
    kept: Mutex<Option<(Instant, Option<Anchor>)>>,
}

impl Deref for TopicLog {
    type Target = KafkaLog;

    fn deref(&self) -> &KafkaLog {
        &self.log
    }
}

impl TopicLog {
    fn of(home: &Home, log: KafkaLog) -> TopicLog {
        TopicLog { log, home: home.clone(), kept: Mutex::new(None) }
    }

    /// Reads and checks what is new, as [`KafkaLog::advance`], and keeps how far it is.
    pub fn advance(&self, limit: usize, wait: bool) -> Result<Head, LogError> {
        let head = self.log.advance(limit, wait)?;
        self.keep_soon();
        Ok(head)
    }

    /// Keeps the last verified record, so that the next opening begins there and notices its loss.
    pub fn keep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = self.log.anchor();
        if kept.is_some_and(|(_, before)| before == anchor) {
            return;
        }
        *kept = Some((Instant::now(), anchor));
        let Some(anchor) = anchor else { return };
        if let Err(e) = anchor::write(&self.home, self.log.address().topic(), anchor) {
            tracing::warn!(error = e.to_string(), "state/anchor.json cannot be written");
        }
    }

    fn keep_soon(&self) {
        let kept = *self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none_or(|(at, _)| at.elapsed() >= ANCHOR_PERIOD) {
            self.keep();
        }
    }
}

impl Log for TopicLog {
    fn head(&self) -> Head {
        self.log.head()
    }

    fn append(&self, entries: &[Entry]) -> Result<(), LogError> {
        self.log.append(entries)?;
        self.keep_soon();
        Ok(())
    }

    fn read(&self, from: Seq, limit: usize) -> Result<Vec<Entry>, LogError> {
        self.log.read(from, limit)
    }

    fn headers(&self, from: Seq, limit: usize) -> Result<Vec<Header>, LogError> {
        self.log.headers(from, limit)
    }

    fn erased(&self, from: Seq, until: Seq) -> u64 {
        self.log.erased(from, until)
    }

    fn erase(&self, target: Seq) -> Result<(), LogError> {
        self.log.erase(target)
    }

    fn close(&self) -> Result<(), LogError> {
        self.keep();
        self.log.close()
    }
}

/// Takes the log over: every older writer is shut out from then on.
pub(super) fn writable(home: &Home, topic: &Topic) -> anyhow::Result<Opened> {
    let (address, options) = reached(home, topic, anchor::read(home, topic.name())?)?;
    let log = KafkaLog::open(&address, &options).map_err(|e| refused(e, home, &address))?;
    let allowed = log.allowed().0.iter().map(|refusal| refusal.setting.clone()).collect();
    let unknown = log.unknown().0.len();
    if unknown > 0 {
        output::say(&format!(
            "note: {unknown} settings of the cluster are not to be seen by this user, so nobody knows \
             whether they could lose entries; `{}` names them",
            shell::command("kafka check", home.dir())
        ))?;
    }
    let log = Arc::new(TopicLog::of(home, log));
    check_ledger(&*log, topic)?;
    log.keep();
    Ok(Opened { log, torn: None, ids: home.ids(), allowed, takes_over: true })
}

/// Reads and checks what is new since the anchor, and writes nothing.
pub(super) fn readable(home: &Home, topic: &Topic) -> anyhow::Result<Arc<dyn Log>> {
    let (address, options) = reached(home, topic, anchor::read(home, topic.name())?)?;
    let log =
        KafkaLog::open_read_only(&address, &options).map_err(|e| refused(e, home, &address))?;
    check_ledger(&log, topic)?;
    Ok(Arc::new(log))
}

/// A log that follows its writer, whoever that is: [`TopicLog::advance`] moves it on. It begins at the
/// anchor.
///
/// # Errors
/// As [`readable`](super::readable); exit 2 when the log is no topic.
pub fn follow(home: &Home) -> anyhow::Result<Arc<TopicLog>> {
    let Some(topic) = super::of_kafka(home)? else {
        let what = format!("the log of {} is no topic of Kafka", home.dir().display());
        return Err(fail(Code::Usage, what));
    };
    let (address, options) = reached(home, &topic, anchor::read(home, topic.name())?)?;
    let log = KafkaLog::follow(&address, &options).map_err(|e| refused(e, home, &address))?;
    let log = TopicLog::of(home, log);
    if log.head() == Head::GENESIS {
        log.advance(1, false).map_err(|e| refused(e, home, &address))?;
    }
    check_ledger(&log, &topic)?;
    Ok(Arc::new(log))
}

/// Where a directory's topic is and how it is reached, without asking anyone: for another client of it.
///
/// # Errors
/// When the settings cannot be read.
pub fn address(home: &Home, topic: &Topic) -> anyhow::Result<(Address, KafkaOptions)> {
    let address = match &home.asked().address {
        Some(address) => address.clone(),
        None => topic
            .log
            .parse()
            .map_err(|e| fail(Code::Failure, format!("{}: {e}", home.log_json().display())))?,
    };
    Ok((address, options(home.asked(), Some(&home.kafka_properties()))?))
}

/// The same, when the cluster that answers is the one that the directory names.
fn reached(
    home: &Home,
    topic: &Topic,
    anchor: Option<Anchor>,
) -> anyhow::Result<(Address, KafkaOptions)> {
    let (address, options) = address(home, topic)?;
    let found = cluster(&address, &options)?;
    if found.id != topic.cluster {
        let (brokers, id, wanted) = (address.brokers(), found.id, &topic.cluster);
        let dir = home.dir().display();
        let what = format!("{brokers} is cluster {id}, and the ledger of {dir} is on {wanted}");
        let way = "name that cluster's brokers with --log kafka://HOST:PORT,.../TOPIC";
        return Err(fail(Code::Conflict, format!("{what}; {way}")));
    }
    Ok((address, KafkaOptions { anchor, ..options }))
}

/// Which cluster answers at an address.
fn cluster(address: &Address, options: &KafkaOptions) -> anyhow::Result<KafkaCluster> {
    KafkaLog::cluster(address, options).map_err(|e| unreached(e, address))
}

/// Adds what to do to an error of a cluster that does not answer.
fn unreached(error: LogError, address: &Address) -> anyhow::Error {
    let brokers = address.brokers();
    let told = match &error {
        LogError::Unavailable { source, .. } if source.kind() == io::ErrorKind::TimedOut => {
            format!(
                "no broker of {brokers} answers, or none takes this user; start them, or name others \
                 with --log, and see security.protocol and sasl.* in kafka.properties"
            )
        }
        LogError::Unavailable { source, .. }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            format!("{brokers} does not allow it to this user; docs/KAFKA.md lists the ACLs")
        }
        _ => return error.into(),
    };
    anyhow::Error::from(error).context(told)
}

/// Adds the way out to an error of opening.
fn refused(error: LogError, home: &Home, address: &Address) -> anyhow::Error {
    let told = match &error {
        LogError::Unsafe(_) => {
            "this topic or cluster could lose entries; type what each line says, \
                                or allow it on a machine for trying out: --allow-unsafe-kafka"
                .to_owned()
        }
        LogError::Missing(_) if was_there(home, address) => format!(
            "topic {}, where this directory's ledger is, is not on {}: it was deleted, or these are brokers of \
             another cluster; stop all writers, make no topic of that name, and look for the copy with \
             the highest verified head: docs/KAFKA.md, Disasters",
            address.topic(),
            address.brokers()
        ),
        LogError::Missing(_) => format!(
            "there is no topic {} on {}; `rollout-ledger kafka init {address} --data-dir NEW` makes \
             it and a ledger in it",
            address.topic(),
            address.brokers()
        ),
        LogError::Corrupt(damage) if damage.code == "truncated" => {
            let path = home.anchor();
            let shown = path.display();
            format!(
                "the topic does not hold what was read from it before ({shown} says what); do not \
                 write to it: compare with another machine's copy, and make the topic again from a \
                 backup with `log copy`"
            )
        }
        _ => return unreached(error, address),
    };
    anyhow::Error::from(error).context(told)
}

/// Whether the directory names the topic: then it was there, and a ledger in it.
fn was_there(home: &Home, address: &Address) -> bool {
    Topic::read(home).is_ok_and(|topic| topic.is_some_and(|t| t.name() == address.topic()))
}

/// What entry 0 says this ledger is.
fn ledger_id(log: &dyn Log) -> Result<Option<String>, LogError> {
    let first = log.read(Seq(0), 1)?;
    let payload = first.first().and_then(Entry::payload);
    let envelope = payload.and_then(|payload| Envelope::read(payload).ok());
    Ok(envelope.and_then(|envelope| envelope.ledger_text("ledger_id")))
}

/// Makes sure that the topic holds the directory's ledger and no other.
fn check_ledger(log: &dyn Log, topic: &Topic) -> anyhow::Result<()> {
    let found = ledger_id(log)?;
    if found.as_deref() == Some(&topic.ledger) {
        return Ok(());
    }
    let name = topic.name();
    let what = match found {
        Some(found) => format!("topic {name} holds the ledger {found}"),
        None => format!("topic {name} holds no ledger"),
    };
    let way = "the topic was made anew or is another one: do not write to it, and find out what became \
               of the old one";
    Err(fail(Code::Tampered, format!("{what}, and log.json names {}; {way}", topic.ledger)))
}

/// The options that the command line and a directory's file of settings make.
pub(super) fn options(asked: &Asked, kept: Option<&Path>) -> anyhow::Result<KafkaOptions> {
    let properties = match (&asked.properties, kept) {
        (Some(named), _) => read_properties(named)?,
        (None, Some(kept)) if kept.exists() => read_properties(kept)?,
        _ => Vec::new(),
    };
    check_built_for(&properties)?;
    Ok(KafkaOptions { allow_unsafe: asked.allow_unsafe, properties, ..KafkaOptions::default() })
}

/// Makes sure that this program can do what the settings want.
fn check_built_for(properties: &[(String, String)]) -> anyhow::Result<()> {
    let protocol = properties.iter().rev().find(|(name, _)| name == "security.protocol");
    let tls = protocol.is_some_and(|(_, value)| value.to_ascii_lowercase().ends_with("ssl"));
    if !tls || cfg!(feature = "kafka-tls") {
        return Ok(());
    }
    let what = "security.protocol asks for TLS, and this program was built without";
    let way = "build it with `cargo build -p api --release --features kafka-tls`";
    Err(fail(Code::Usage, format!("{what}; {way}")))
}

/// Reads `name=value` lines. `#` begins a line that says nothing.
fn read_properties(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let shown = path.display();
    let size = fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    if size > PROPERTIES_SIZE_MAX {
        return Err(fail(Code::Usage, format!("{shown} is no file of settings: it is too large")));
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let mut properties = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself may hold a password, and is not shown.
        let Some((name, value)) = line.split_once('=') else {
            let what = format!("line {} of {shown} is not NAME=VALUE", at + 1);
            return Err(fail(Code::Usage, what));
        };
        properties.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<KafkaOptions> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        options(&Asked::default(), Some(file.path()))
    }

    #[test]
    fn settings_are_lines_of_names_and_values() {
        let found = read("# who\n\n sasl.username = writer \nsasl.password=a=b\n").unwrap();
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let wanted = [("sasl.username", "writer"), ("sasl.password", "a=b")].map(own);
        assert_eq!(found.properties, wanted);
        assert_eq!(options(&Asked::default(), None).unwrap().properties, []);
    }

    #[test]
    fn a_line_that_is_none_is_not_shown() {
        let told = format!("{:#}", read("sasl.username=w\nhunter2\n").unwrap_err());
        assert!(told.contains("line 2") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_program_without_tls_says_how_it_is_built_with_it() {
        for protocol in ["SSL", "sasl_ssl"] {
            let found = read(&format!("security.protocol={protocol}\n"));
            assert_eq!(found.is_ok(), cfg!(feature = "kafka-tls"), "{protocol}");
            assert!(found.err().is_none_or(|e| e.to_string().contains("--features kafka-tls")));
        }
        assert!(read("security.protocol=sasl_plaintext\n").is_ok());
    }
}
