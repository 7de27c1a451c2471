//! A writer is killed at every step of an append and of a take-over: T10.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use kafka_cluster::{Action, Proxy, api_key};

use crate::{clusters::single, service::Service, story::Story};

/// A writer is started again within a second; what its killed one had open is aborted by then.
const BACK: Duration = Duration::from_secs(30);
/// Each step comes with every append or take-over, and those come all the time.
const COMES: Duration = Duration::from_secs(30);

/// How many of the points a run tries at least; chance decides which.
const POINTS_LEAST: usize = 4;

/// What a writer asks of the cluster from its start to an acknowledgement.
const STEPS: [(&str, i16); 6] = [
    ("asks where the log ends", api_key::LIST_OFFSETS),
    ("becomes the producer", api_key::INIT_PRODUCER_ID),
    ("takes the partition in", api_key::ADD_PARTITIONS_TO_TXN),
    ("sends the records", api_key::PRODUCE),
    ("commits", api_key::END_TXN),
    ("reads back", api_key::FETCH),
];

#[derive(Clone, Copy, Debug)]
enum When {
    /// The broker never gets the request.
    Before,
    /// It does, and nobody is there for the answer.
    Meanwhile,
    /// The answer has come, and nothing was done with it yet.
    After,
}

#[test]
fn t10_a_writer_is_killed_at_every_step() {
    let stage = single();
    let mut story = Story::begin("t10", &stage.cluster.bootstrap(), 1);
    story.go_on();
    let mut points = Vec::new();
    for step in STEPS {
        points.extend([When::Before, When::Meanwhile, When::After].map(|when| (step, when)));
    }
    let mut left = Vec::new();
    while story.another_round(POINTS_LEAST) {
        if left.is_empty() {
            left.clone_from(&points);
        }
        let at = story.chance.between(0, left.len() as u64);
        let ((what, step), when) = left.swap_remove(usize::try_from(at).unwrap());
        story.fault(format!("killed when it {what}: {when:?}"));
        let killed = kill_at(stage.cluster.proxy(1), &story.service, step, when);
        if [api_key::LIST_OFFSETS, api_key::INIT_PRODUCER_ID].contains(&step) {
            // These come when a writer starts.
            story.service.kill_all();
        }
        killed.recv_timeout(COMES).unwrap();
        stage.cluster.proxy(1).clear_rule();
        stage.cluster.proxy(1).watch_answers(|_| {});
        story.healed(BACK);
    }
    story.end();
}

/// Kills the writer at the next such request, and tells when that is done.
fn kill_at(proxy: &Proxy, service: &Service, step: i16, when: When) -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    let service = service.clone();
    let first = Arc::new(AtomicBool::new(true));
    let kill = move |api_key: i16| {
        let now = api_key == step && first.swap(false, Ordering::Relaxed);
        if now {
            service.kill_all();
            let _ = tell.send(());
        }
        now
    };
    match when {
        When::After => proxy.watch_answers(move |request| {
            kill(request.api_key);
        }),
        When::Before | When::Meanwhile => {
            proxy.set_rule(move |request| match (kill(request.api_key), when) {
                (true, When::Before) => Action::Cut,
                _ => Action::Forward,
            });
        }
    }
    told
}
