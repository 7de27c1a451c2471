//! The beginning of a ledger on Kafka: its topics, and the directories of the machines that have part
//! in it.

use std::{fs, sync::Arc};

use anyhow::Context as _;
use ledger::{Head, KafkaLog, KafkaOptions, LogError, Seq};
use serde_json::Value;

use super::{
    super::{Asked, Opened, Topic},
    Address, TopicLog, cluster, ledger_id, options, refused, unreached,
};
use crate::{
    exit::{Code, fail},
    home::{Home, NewHome, write_private},
    pseudonym::PseudonymKey,
};

/// On how many brokers each record is kept.
const COPIES: usize = 3;

/// Makes the topics of a new ledger, where they are not there yet, and opens the log for writing.
/// `home` is the directory that is being made.
///
/// # Errors
/// Exit 5 when the topic holds a ledger already; exit 7 when it or its cluster could lose entries.
pub fn create(home: &Home, address: &Address, ledger: &str) -> anyhow::Result<(Opened, Topic)> {
    let mut options = options(home.asked(), None)?;
    let found = cluster(address, &options)?;
    options.copies = copies(home.asked(), address, found.brokers)?;
    let too_long = "the topic's name is too long: 241 letters are the most";
    address.control().map_err(|_| fail(Code::Usage, too_long))?;
    let log = match KafkaLog::create(address, &options) {
        Err(LogError::Exists(_)) => {
            check_empty(home, address, &options)?;
            KafkaLog::open(address, &options)
        }
        made => made,
    };
    let log = log.map_err(|e| refused(e, home, address))?;
    KafkaLog::create_control(address, &options).map_err(|e| unreached(e, address))?;
    let topic = Topic { log: address.to_string(), cluster: found.id, ledger: ledger.to_owned() };
    topic.write(home)?;
    keep_properties(home)?;
    let allowed = log.allowed().0.iter().map(|refusal| refusal.setting.clone()).collect();
    let log = Arc::new(TopicLog::of(home, log));
    Ok((Opened { log, torn: None, ids: home.ids(), allowed, takes_over: true }, topic))
}

/// On how many brokers the topics are kept: fewer than three only where that is allowed.
pub(super) fn copies(asked: &Asked, address: &Address, brokers: usize) -> anyhow::Result<i32> {
    if brokers < COPIES && !asked.allow_unsafe {
        let what = format!(
            "the cluster at {} has {brokers} of the {COPIES} brokers that are to keep each entry",
            address.brokers()
        );
        let way = "start more, or on a machine for trying out say --allow-unsafe-kafka, which is \
                   recorded";
        return Err(fail(Code::Policy, format!("{what}; {way}")));
    }
    Ok(i32::try_from(brokers.clamp(1, COPIES)).unwrap_or(1))
}

/// A topic that an earlier try left empty is gone on with, and nobody is shut out of another one.
fn check_empty(home: &Home, address: &Address, options: &KafkaOptions) -> anyhow::Result<()> {
    let log = KafkaLog::follow(address, options).map_err(|e| refused(e, home, address))?;
    let head = log.advance(1, false).map_err(|e| refused(e, home, address))?;
    if head == Head::GENESIS {
        return Ok(());
    }
    let name = address.topic();
    let what = format!("topic {name} holds a ledger already");
    let way = format!(
        "`rollout-ledger kafka join {address} --key FILE --data-dir NEW` makes a directory for it; a \
         new ledger needs a topic of another name"
    );
    Err(fail(Code::Conflict, format!("{what}; {way}")))
}

/// Makes a directory on another machine for a ledger that is on Kafka already. `key` is the ledger's
/// key of pseudonyms.
///
/// # Errors
/// Exit 5 when it is another ledger's key, or the ledger moved away from there; exit 4 when there is
/// no ledger.
pub fn join(new: &NewHome, address: &Address, key: &PseudonymKey) -> anyhow::Result<Head> {
    let home = &new.home;
    let options = options(home.asked(), None)?;
    let found = cluster(address, &options)?;
    let log = KafkaLog::open_read_only(address, &options).map_err(|e| refused(e, home, address))?;
    let log = TopicLog::of(home, log);
    let Some(ledger) = ledger_id(&*log)? else {
        let what = format!("topic {} holds no ledger yet", address.topic());
        let way = format!("`rollout-ledger kafka init {address} --data-dir NEW` makes one");
        return Err(fail(Code::NotFound, format!("{what}; {way}")));
    };
    check_key(&log, key)?;
    let topic = Topic { log: address.to_string(), cluster: found.id, ledger };
    topic.write(home)?;
    keep_properties(home)?;
    crate::engine::check_home_in_full(home, &*log)?;
    log.keep();
    Ok(log.anchor().map_or(Head::GENESIS, |_| ledger::Log::head(&log)))
}

/// Makes sure that a key is the one that entry 0 names.
fn check_key(log: &dyn ledger::Log, key: &PseudonymKey) -> anyhow::Result<()> {
    let first = log.read(Seq(0), 1)?;
    let payload = first.first().and_then(|entry| entry.payload());
    let opened: Value = payload.and_then(|p| serde_json::from_slice(p).ok()).unwrap_or_default();
    let named = opened.pointer("/data/pseudonym_key").and_then(Value::as_str);
    if named.is_none_or(|named| named == String::from(key.fingerprint())) {
        return Ok(());
    }
    let what = "the key is another ledger's: entry 0 names another fingerprint";
    let way =
        "take keys/pseudonym.key from a machine that serves this ledger, or from where it is kept";
    Err(fail(Code::Conflict, format!("{what}; {way}")))
}

/// Keeps the settings that the command line named, so that later commands need not name them. They may
/// hold a password, and are this account's alone.
fn keep_properties(home: &Home) -> anyhow::Result<()> {
    let Some(named) = &home.asked().properties else { return Ok(()) };
    let text = fs::read(named).with_context(|| format!("cannot read {}", named.display()))?;
    let path = home.kafka_properties();
    write_private(&path, &text).with_context(|| format!("cannot write {}", path.display()))
}
