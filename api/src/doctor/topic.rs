//! A ledger on Kafka: does the cluster answer, could it lose entries, is what was verified still there,
//! who writes.

use std::{
    thread,
    time::{Duration, Instant},
};

use ledger::{Log, LogError, Refusal};

use super::{Check, Examination, command, log, place, running};
use crate::{
    clock::{Clock, ClockError},
    exit::{Code, Failure},
    home::Home,
    logs::{
        self, Topic,
        kafka::look::{self, Look},
    },
};

/// How long a transaction may be open before it hangs: a second longer than a writer's may be.
const OPEN_MAX: Duration = Duration::from_secs(16);

/// Between two looks at whether it ended.
const LOOK_GAP: Duration = Duration::from_secs(1);

/// Looks at the rest of a directory whose log is a topic.
pub(super) fn examine(
    home: &Home,
    topic: &Topic,
    mut checks: Vec<Check>,
    watch: Result<Clock, ClockError>,
) -> Examination {
    checks.push(place::space(home, None));
    checks.push(place::inodes(home));
    let server = running::server(home);
    checks.push(running::open_files(None));
    let (mut tampered, mut found) = (false, None);
    match look::look(home, topic) {
        Err(e) => checks.push(unreached(home, &e)),
        Ok(look) => {
            checks.extend(cluster(home, &look));
            checks.push(stable(home, topic));
            let opened = logs::readable(home);
            tampered = opened.as_ref().err().is_some_and(is_tampering);
            checks.push(read(home, topic, &opened));
            checks.push(writer(home, topic, &server));
            found = opened.ok();
        }
    }
    checks.push(log::clock(watch, found.as_ref().map(|log| log.head().recorded_at_us)));
    checks.extend(found.as_ref().map(|log| log::home(home, &**log)));
    let (verified, differs) = log::last_verify(home, found.as_deref());
    checks.push(verified);
    checks.push(running::views(home, &server));
    Examination { checks, tampered: tampered || differs }
}

fn is_tampering(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let of_log = cause.downcast_ref::<LogError>();
        let ours = cause.downcast_ref::<Failure>();
        matches!(of_log, Some(LogError::Corrupt(_)))
            || ours.is_some_and(|failure| failure.code == Code::Tampered)
    })
}

fn unreached(home: &Home, error: &anyhow::Error) -> Check {
    let remedy = format!(
        "start the brokers, or name others: `{}`",
        command("doctor --log kafka://HOST:PORT,.../TOPIC", home)
    );
    Check::problem("brokers", format!("{error:#}"), remedy)
}

/// What the cluster is, and each setting of it that could lose entries.
fn cluster(home: &Home, look: &Look) -> Vec<Check> {
    let Look { address, cluster, inspection } = look;
    let (id, brokers, name) = (&cluster.id, cluster.brokers, address.topic());
    let mut checks =
        vec![Check::ok("brokers", format!("cluster {id} with {brokers} brokers answers"))];
    let said = |found: &Refusal| {
        let Refusal { setting, found, wanted, why, .. } = found;
        format!("{setting} is {found} and must be {wanted}: {why}")
    };
    for refusal in &inspection.refusals.0 {
        checks.push(Check::problem("topic", said(refusal), format!("`{}`", refusal.mend)));
    }
    if let [first, rest @ ..] = inspection.unknown.0.as_slice() {
        let more =
            if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) };
        let finding = format!("{} is {}{more}", first.setting, first.found);
        let remedy = format!("`{}` names them and what allows it", command("kafka check", home));
        checks.push(Check::warning("topic", finding, remedy));
    }
    if inspection.refusals.0.is_empty() && inspection.unknown.0.is_empty() {
        checks.push(Check::ok("topic", format!("topic {name} keeps what it is given")));
    }
    checks
}

/// Whether readers can get to the topic's end.
fn stable(home: &Home, topic: &Topic) -> Check {
    let (name, begun) = ("transactions", Instant::now());
    let mut first = None;
    loop {
        let (decided, end) = match look::ends(home, topic) {
            Ok(ends) => ends,
            Err(e) => return Check::warning(name, format!("{e:#}"), "look again in a moment"),
        };
        let stuck = *first.get_or_insert(decided);
        if decided >= end || decided > stuck {
            let finding =
                format!("everything up to offset {decided} is decided, and readers get there");
            return Check::ok(name, finding);
        }
        if begun.elapsed() >= OPEN_MAX {
            let finding = format!(
                "a transaction has been open at offset {decided} for {} s, and readers wait there",
                OPEN_MAX.as_secs()
            );
            let remedy = format!(
                "as an administrator: `kafka-transactions.sh --bootstrap-server HOST:PORT find-hanging \
                 --topic {}`, then `abort` it",
                topic.name()
            );
            return Check::problem(name, finding, remedy);
        }
        thread::sleep(LOOK_GAP);
    }
}

/// Whether what was verified is still there, and the rest follows it.
fn read(home: &Home, topic: &Topic, opened: &anyhow::Result<std::sync::Arc<dyn Log>>) -> Check {
    let log = match opened {
        Ok(log) => log,
        Err(e) if is_tampering(e) => {
            let remedy =
                "change nothing, keep the topic and state/anchor.json; docs/OPERATING.md, exit 3";
            return Check::problem("log", format!("{e:#}"), remedy);
        }
        Err(e) => return Check::problem("log", format!("{e:#}"), "see the lines above"),
    };
    let head = log.head();
    let (entries, last) = (head.next.0, head.next.0.saturating_sub(1));
    match look::anchored(home, topic) {
        Ok(Some(anchor)) => Check::ok(
            "log",
            format!(
                "{entries} entries, head {last}:{}; the record at offset {} that was verified last from \
                 here is there, and what came since chains",
                head.hash, anchor.offset
            ),
        ),
        Ok(None) => Check::ok(
            "log",
            format!(
                "{entries} entries, head {last}:{}; all of them were read, since none was verified from \
                 here before",
                head.hash
            ),
        ),
        Err(e) => Check::problem("log", format!("{e:#}"), "move the file away"),
    }
}

/// Who writes, of all machines.
fn writer(home: &Home, topic: &Topic, server: &running::Server) -> Check {
    let here = running::answering(server);
    match look::writer(home, topic) {
        Err(e) => Check::warning(
            "writer",
            format!("who serves this ledger is not to be seen: {e:#}"),
            "allow this user to read the control topic and its group: docs/KAFKA.md",
        ),
        Ok((newest, servers)) => {
            let said = newest.map_or_else(
                || "no server has said yet that it writes".to_owned(),
                |at| {
                    format!(
                        "the last to say that it writes was {} from entry {} on",
                        at.url, at.seq
                    )
                },
            );
            let count = match servers.len() {
                0 => "no server is at work".to_owned(),
                1 => format!("1 server is at work, from {}", servers.join(", ")),
                len => format!("{len} servers are at work, from {}", servers.join(", ")),
            };
            let here =
                here.map_or_else(String::new, |url| format!("; {url} serves this directory"));
            Check::ok("writer", format!("{count}; {said}{here}"))
        }
    }
}
