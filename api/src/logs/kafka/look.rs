//! What can be told of a ledger's topic and its cluster without opening it for writing.

use std::time::Instant;

use ledger::{Anchor, Inspection, KafkaBoard, KafkaCluster, KafkaLog};
use serde_json::{Value, json};

use super::{super::Topic, Address, anchor, reached, readable, refused, unreached};
use crate::{
    exit::{Code, fail},
    forward::ForwardKey,
    home::Home,
    moment,
    serve::group::believed,
    station::WriterAt,
};

/// What was found about a topic and its cluster.
pub struct Look {
    pub address: Address,
    pub cluster: KafkaCluster,
    pub inspection: Inspection,
}

/// Looks at a directory's topic: could it lose entries?
///
/// # Errors
/// When the cluster does not answer, is another one, or has no such topic.
pub fn look(home: &Home, topic: &Topic) -> anyhow::Result<Look> {
    let (address, _) = reached(home, topic, None)?;
    look_at(home, &address)
}

/// Looks at a topic, with the settings of a directory if it has some.
///
/// # Errors
/// As [`look`].
pub fn look_at(home: &Home, address: &Address) -> anyhow::Result<Look> {
    let options = super::options(home.asked(), Some(&home.kafka_properties()))?;
    let cluster = super::cluster(address, &options)?;
    let inspection = KafkaLog::inspect(address, &options).map_err(|e| refused(e, home, address))?;
    Ok(Look { address: address.clone(), cluster, inspection })
}

/// The record that was verified last from a directory, if one was kept.
///
/// # Errors
/// As [`anchor::read`].
pub fn anchored(home: &Home, topic: &Topic) -> anyhow::Result<Option<Anchor>> {
    anchor::read(home, topic.name())
}

/// Up to which offset a topic is decided, and where it ends.
///
/// # Errors
/// When the cluster does not answer.
pub fn ends(home: &Home, topic: &Topic) -> anyhow::Result<(i64, i64)> {
    let (address, options) = super::address(home, topic)?;
    KafkaLog::ends(&address, &options).map_err(|e| unreached(e, &address))
}

/// Who writes, as the newest notice on the control topic says, and the addresses of all servers that are
/// at work now.
///
/// # Errors
/// When the cluster does not answer, or does not tell this user.
pub fn writer(home: &Home, topic: &Topic) -> anyhow::Result<(Option<WriterAt>, Vec<String>)> {
    let (address, options) = super::address(home, topic)?;
    let servers = KafkaLog::servers(&address, &options).map_err(|e| unreached(e, &address))?;
    let board = KafkaBoard::open(&address, &options).map_err(|e| unreached(e, &address))?;
    let key = ForwardKey::of(&home.pseudonym_key()?);
    let mut newest: Option<WriterAt> = None;
    let begun = Instant::now();
    loop {
        let news = board.news(super::NEWS_WAIT).map_err(|e| unreached(e, &address))?;
        // A moment without news is the end, but there may be none at first.
        if news.is_empty() && (newest.is_some() || begun.elapsed() >= super::NEWS_WAIT_MAX) {
            return Ok((newest, servers));
        }
        let notices = news.iter().filter_map(|notice| believed(&key, notice));
        newest = newest.into_iter().chain(notices).max_by_key(|writer| writer.seq);
    }
}

/// Makes sure that no server writes: a command that opened the log here would shut it out.
///
/// # Errors
/// Exit 75 when one does.
pub fn check_unserved(home: &Home) -> anyhow::Result<()> {
    let Some(topic) = super::super::of_kafka(home)? else { return Ok(()) };
    let (address, options) = super::address(home, &topic)?;
    // A user who may not see the group can still write: the server is shut out then, and nothing is lost.
    let servers = KafkaLog::servers(&address, &options).unwrap_or_default();
    if servers.is_empty() {
        return Ok(());
    }
    let at = match writer(home, &topic) {
        Ok((Some(writer), _)) => format!(" ({})", writer.url),
        _ => String::new(),
    };
    let what = match servers.len() {
        1 => format!("1 server of this ledger is at work{at}"),
        len => format!("{len} servers of this ledger are at work{at}"),
    };
    let way = "this command would shut out the one that writes: run it in the directory of one of them, \
               or beside `serve` here, or send the events to its address";
    Err(fail(Code::TryAgain, format!("{what}; {way}")))
}

/// What `log stat` tells of a topic.
///
/// # Errors
/// As [`readable`].
pub fn stat(home: &Home, topic: &Topic) -> anyhow::Result<Value> {
    let log = readable(home, topic)?;
    let head = log.head();
    let first = log.headers(ledger::Seq(0), 1)?.first().map(|header| header.recorded_at_us);
    let last = head.last_seq().map(|_| head.recorded_at_us);
    let (decided, end) = ends(home, topic)?;
    let anchor = anchored(home, topic)?;
    Ok(json!({
        "entries": head.next.0,
        "head": { "seq": head.last_seq().map(|seq| seq.0), "hash": head.hash.to_string() },
        "first_recorded_at": first.map(moment::shown_us),
        "last_recorded_at": last.map(moment::shown_us),
        "topic": topic.name(),
        "cluster": topic.cluster,
        "decided_offset": decided,
        "end_offset": end,
        "anchor": anchor.map(|anchor| json!({
            "seq": anchor.seq.0, "offset": anchor.offset, "hash": anchor.hash.to_string(),
        })),
    }))
}
