//! The brokers go away and come back: servers answer questions meanwhile, and record again after.

use std::time::Instant;

use kafka_cluster::{Cluster, Options};

use super::{TAKE_OVER_MAX, health, is_writer, receipt, serve, until};
use crate::{
    harness::{Ledger, note},
    kafka_broker::{UNSAFE, joined},
};

#[test]
fn servers_outlive_their_brokers_and_record_again() {
    let cluster = Cluster::start(&Options::default());
    let address = format!("kafka://{}/ledger.outage", cluster.bootstrap());
    let first = Ledger::absent();
    first.run(&["kafka", "init", &address, UNSAFE]).ok();
    let (second, ran) = joined(&first, &address);
    ran.ok();
    let (one, two) = (serve(&first, &[]), serve(&second, &[]));
    let (before, _) = receipt(&two.post(&note("before", "said")), 201);
    until("both hold it", || {
        [&one, &two].iter().all(|server| {
            server.get(&format!("/api/v1/events/{before}?min_seq={before}")).status == 200
        })
    });

    cluster.kill(1);
    // An append that the brokers do not answer is in doubt, and then nobody records.
    let answer = one.post(&note("lost", "said to nobody"));
    assert!([502, 503].contains(&answer.status), "{answer:?}");
    until("there is no writer", || !is_writer(&one) && !is_writer(&two));
    for server in [&one, &two] {
        assert_eq!(server.get("/api/v1/rollouts").status, 200, "answered from the views");
        server.post(&note("during", "said")).problem(503, "no_writer");
    }
    // What stands in the log alone is waited for, and then it is told to come again.
    two.get(&format!("/api/v1/events/{before}")).problem(503, "unavailable");
    until("it is told", || two.get("/readyz").text.contains("log_unreachable"));

    cluster.restart(1);
    let back = Instant::now();
    until("one of them is the writer", || is_writer(&one) || is_writer(&two));
    // Sent again, each is recorded once, whatever became of it before.
    for (id, text) in [("lost", "said to nobody"), ("during", "said")] {
        for server in [&one, &two] {
            until(id, || [200, 201].contains(&server.post(&note(id, text)).status));
        }
    }
    let took = back.elapsed();
    eprintln!("recorded again {took:?} after the broker was back");
    assert!(took < TAKE_OVER_MAX, "{took:?}");
    for server in [&one, &two] {
        until("it is well", || server.get("/readyz").status == 200);
        assert!(["writer", "standby"].contains(&health(server)["role"].as_str().unwrap()));
    }
    two.stop();
    one.stop();
    let mut noted = first.noted();
    noted.sort();
    assert_eq!(noted, ["before", "during", "lost"]);
    first.verifies();
}
