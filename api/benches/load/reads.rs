//! Questions at a million events: where a rollout is, a page of its time line, an audit query.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    data::{self, ROLLOUTS},
    open_loop::{Latencies, ask, each_once},
    process::Server,
    report,
};

/// Requests a second.
const RATE: usize = 2_000;

/// How long each turn lasts; each measure and its baseline have two.
const TURN: Duration = Duration::from_secs(5);

/// Milliseconds.
const TARGET: f64 = 5.0;

pub(crate) fn run(dir: &Path) {
    let ledger = data::million(dir);
    let server = Server::of(&ledger, &dir.join("reads.log"));
    let constant = crate::constant::server();
    for (name, paths) in questions() {
        let paths = Arc::new(paths);
        let cold = each_once(server.address, &paths);
        report(&format!("{name}_cold_p99"), "ms", cold.per_mille(990), None, None);
        let turn = |server: &Server, paths: &[String]| ask(server.address, paths, RATE, TURN);
        let constant_paths = ["/".to_owned()];
        let (mut ours, mut baseline): (Vec<Latencies>, Vec<Latencies>) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            baseline.push(turn(&constant, &constant_paths));
            ours.push(turn(&server, &paths));
        }
        let join = |all: Vec<Latencies>| all.into_iter().reduce(Latencies::join).unwrap();
        let (ours, baseline) = (join(ours), join(baseline));
        for (rank, target) in [(500, None), (990, Some(TARGET))] {
            let name = format!("{name}_p{}", rank / 10);
            report(&name, "ms", ours.per_mille(rank), Some(baseline.per_mille(rank)), target);
        }
    }
    let memory = server.memory() as f64 / 1_048_576.0;
    report("serve_memory_1m_events", "MiB", memory, None, None);
    server.stop();
}

/// Names and paths. A step of 389 through the rollouts makes neighbours in the list strangers.
fn questions() -> Vec<(&'static str, Vec<String>)> {
    let each = |path: &dyn Fn(String, usize) -> String| -> Vec<String> {
        (0..ROLLOUTS).map(|n| path(data::rollout(n * 389 % ROLLOUTS), n)).collect()
    };
    let audits = |id: String, n: usize| match n % 4 {
        0 => format!("/api/v1/events?rollout={id}&type=rollout.stage"),
        1 => format!("/api/v1/events?actor=acct-{:04}&limit=20", n % 400),
        2 => format!("/api/v1/events?flag=bench_{n:04}&limit=20"),
        _ => format!("/api/v1/events?rollout={id}&type=rollout.metric.observed.v1&limit=20"),
    };
    vec![
        ("read_current_stage", each(&|id, _| format!("/api/v1/rollouts/{id}/current"))),
        ("read_timeline_page", each(&|id, _| format!("/api/v1/rollouts/{id}/timeline?limit=50"))),
        ("read_audit_query", each(&audits)),
    ]
}
