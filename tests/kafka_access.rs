//! A ledger on a cluster with access control, by the lines of docs/KAFKA.md: its server runs as the one user, who
//! reads reads as another, and whoever lacks something is told the line to type.

use std::fs;

use kafka_cluster::{Cluster, Options};
use serde_json::Value;

use crate::{
    harness::{Ledger, Ran, Server, feed, ndjson, note, root},
    kafka_broker::UNSAFE,
};

/// A directory of this ledger for a user, who joins with its key.
fn joined(of: &Ledger, address: &str, user: &str) -> (Ledger, Ran) {
    let ledger = Ledger::absent();
    let settings = properties(&ledger, user);
    let key = of.dir.join("keys/pseudonym.key");
    let args = ["kafka", "join", address, "--key", key.to_str().unwrap()];
    let ran = ledger.run(&[&args[..], &["--kafka-properties", &settings]].concat());
    (ledger, ran)
}

/// A file with how a user logs in.
fn properties(ledger: &Ledger, user: &str) -> String {
    let lines = format!(
        "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username={user}\nsasl.password={user}-secret\n"
    );
    ledger.file(&format!("{user}.properties"), lines)
}

fn append(ledger: &Ledger, id: &str) -> Ran {
    let args = ["event", "append", UNSAFE];
    feed(&mut ledger.command(&args), ndjson(&[note(id, "said")]).as_bytes())
}

/// Types the lines of the page that give access.
fn follow_the_page(cluster: &Cluster, ledger_id: &str) {
    let page = fs::read_to_string(root().join("docs/KAFKA.md")).unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix("    kafka-acls.sh "));
    let lines: Vec<_> = lines.map(|line| line.replace("LEDGER_ID", ledger_id)).collect();
    assert!(lines.len() >= 8, "{lines:?}");
    for line in lines {
        cluster.tool("kafka-acls.sh", &line.split_whitespace().collect::<Vec<_>>());
    }
}

#[test]
fn by_the_lines_of_the_page_a_server_records_and_a_reader_reads() {
    let cluster = Cluster::start(&Options { access_control: true, ..Options::default() });
    let address = format!("kafka://{}/ledger.events", cluster.bootstrap());
    let admin = Ledger::absent();
    let settings = properties(&admin, "admin");
    admin.run(&["kafka", "init", &address, UNSAFE, "--kafka-properties", &settings]).ok();
    let named = fs::read(admin.dir.join("log.json")).unwrap();
    let named: Value = serde_json::from_slice(&named).unwrap();

    let (_, refused) = joined(&admin, &address, "writer");
    refused.exits(6).says("kafka-acls.sh --bootstrap-server").says("User:writer --operation Read");
    follow_the_page(&cluster, named["ledger"].as_str().unwrap());

    let (writer, ran) = joined(&admin, &address, "writer");
    ran.ok();
    append(&writer, "by-command").ok();
    let args = ["serve", "--listen", "127.0.0.1:0", "--scheduler", "off", UNSAFE];
    let server = Server::start(writer.command(&args));
    let posted = server.post(&note("over-http", "said"));
    assert_eq!(posted.status, 201, "{posted:?}");
    server.stop();

    let (reader, ran) = joined(&admin, &address, "reader");
    ran.ok();
    assert_eq!(reader.noted(), ["by-command", "over-http"]);
    let refused = append(&reader, "by-reader").exits(6);
    refused.says("kafka-acls.sh --bootstrap-server").says("User:reader --operation");
    let (_, refused) = joined(&admin, &address, "intruder");
    refused.exits(6).says("User:intruder --operation Read --topic ledger.events");
    assert_eq!(admin.noted(), ["by-command", "over-http"]);
    writer.verifies();
}
