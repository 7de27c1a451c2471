//! Brokers die, hang and are cut off: T1, T2, T3, T7, T8.

use std::{sync::mpsc, time::Duration};

use kafka_cluster::{Action, api_key::END_TXN};

use crate::{
    clusters::{Stage, triple},
    past::{in_sync, leader},
    story::{Story, wait_for},
};

/// A new leader and a new coordinator are chosen within seconds; a commit that was under way has to time out, and the
/// writer to take the log over again.
const BACK: Duration = Duration::from_secs(30);
/// A commit comes all the time.
const COMES: Duration = Duration::from_secs(30);

/// Followers that do not ask for five seconds are lost.
const ALONE: Duration = Duration::from_secs(8);
/// How long a confirmation that was under way may take.
const MOMENT: Duration = Duration::from_secs(1);

fn three(name: &'static str) -> (Stage, Story) {
    let stage = triple();
    let mut story = Story::begin(name, &stage.cluster.bootstrap(), 3);
    story.go_on();
    (stage, story)
}

/// T1: two of three brokers go on without the third, and take it in again.
#[test]
fn t1_the_leader_is_killed() {
    let (stage, mut story) = three("t1");
    while story.another_round(1) {
        let node = leader(&story.address);
        let time = Duration::from_millis(story.chance.between(0, 1_000));
        story.pass(time);
        story.fault(format!("broker {node}, the leader, is killed"));
        stage.cluster.kill(node);
        story.healed(BACK);
        stage.cluster.restart(node);
        story.healed(BACK);
    }
    story.end();
}

/// What the coordinator was at when it died.
#[derive(Clone, Copy, Debug)]
enum Dies {
    /// All records are delivered, and the commit does not arrive.
    Before,
    /// The commit has arrived, and nobody knows how far it came.
    Meanwhile,
    /// The commit is confirmed, and its end may not be in the log yet.
    After,
}

/// T2: whoever decides about a transaction dies when it is to be committed.
#[test]
fn t2_the_coordinator_is_killed_at_a_commit() {
    let (stage, mut story) = three("t2");
    let mut left = Vec::new();
    while story.another_round(1) {
        if left.is_empty() {
            left.extend([Dies::Before, Dies::Meanwhile, Dies::After]);
        }
        let at = story.chance.between(0, left.len() as u64);
        let dies = left.swap_remove(usize::try_from(at).unwrap());
        let node = commits_at(&stage, dies);
        story.fault(format!("broker {node}, the coordinator, is killed: {dies:?}"));
        stage.cluster.kill(node);
        for id in 1..=3 {
            let proxy = stage.cluster.proxy(id);
            proxy.clear_rule();
            proxy.watch_answers(|_| {});
            proxy.release();
        }
        story.healed(BACK);
        stage.cluster.restart(node);
        story.healed(BACK);
    }
    story.end();
}

/// Waits for a commit, and returns at which node it is.
fn commits_at(stage: &Stage, dies: Dies) -> usize {
    let (tell, told) = mpsc::channel();
    for id in 1..=3 {
        let (proxy, tell) = (stage.cluster.proxy(id), tell.clone());
        match dies {
            Dies::After => proxy.watch_answers(move |request| {
                if request.api_key == END_TXN {
                    let _ = tell.send(id);
                }
            }),
            Dies::Before | Dies::Meanwhile => proxy.set_rule(move |request| {
                if request.api_key != END_TXN {
                    return Action::Forward;
                }
                let _ = tell.send(id);
                if matches!(dies, Dies::Before) { Action::Hold } else { Action::Forward }
            }),
        }
    }
    told.recv_timeout(COMES).unwrap()
}

/// T3: the leader hangs for longer than a transaction may take, and goes on with what it thinks to know.
#[test]
fn t3_the_leader_hangs_and_goes_on() {
    let (stage, mut story) = three("t3");
    let mut long = false;
    while story.another_round(1) {
        let node = leader(&story.address);
        let seconds = if long { 30 } else { 5 };
        long = !long;
        story.fault(format!("broker {node}, the leader, hangs for {seconds} s"));
        stage.cluster.pause(node);
        story.pass(Duration::from_secs(seconds));
        stage.cluster.resume(node);
        story.healed(BACK);
    }
    story.end();
}

/// T3: a writer has to be started while a broker hangs, whichever it is, and must not wait until that one is given up.
#[test]
fn t3_the_log_is_taken_over_while_a_broker_hangs() {
    let (stage, mut story) = three("t3-over");
    while story.another_round(1) {
        let node = usize::try_from(story.chance.between(1, 4)).unwrap();
        story.fault(format!("broker {node} hangs, and the writer is killed"));
        stage.cluster.pause(node);
        story.service.kill_all();
        story.healed(BACK);
        stage.cluster.resume(node);
        story.healed(BACK);
    }
    story.end();
}

/// T8: the followers cannot copy from the leader any more, which stays the leader, since the controllers see it. It has
/// to refuse: what it alone has is not stored.
#[test]
fn t8_the_leader_is_cut_off_from_its_followers() {
    let (stage, mut story) = three("t8");
    while story.another_round(1) {
        let node = leader(&story.address);
        story.fault(format!("no broker reaches broker {node}, the leader"));
        stage.cluster.inner_proxy(node).partition(true);
        // What was copied before may still be confirmed.
        story.pass(MOMENT);
        let since = story.recorder.now_us();
        // They count as lost as soon as something was written that they lack, if the writer gets that far.
        if wait_for(|| in_sync(&story.address) == 1, ALONE) {
            story.fault("the leader has no followers");
        }
        let time = Duration::from_millis(story.chance.between(0, 6_000));
        story.pass(time);
        let stored = story.recorder.served_since(since);
        stage.cluster.inner_proxy(node).partition(false);
        assert!(!stored, "something was acknowledged that only one broker can have");
        story.healed(BACK);
    }
    story.end();
}

/// T7: clients, writer and readers reach no broker, or all but the leader. The brokers see each other.
#[test]
fn t7_the_network_is_cut() {
    let (stage, mut story) = three("t7");
    let mut all = story.chance.happens(50);
    while story.another_round(1) {
        let leader = leader(&story.address);
        let nodes = if all { 1..=3 } else { leader..=leader };
        all = !all;
        let time = Duration::from_millis(story.chance.between(500, 12_000));
        story.fault(format!("nobody reaches brokers {nodes:?} for {time:?}"));
        nodes.clone().for_each(|id| stage.cluster.proxy(id).partition(true));
        story.pass(time);
        nodes.for_each(|id| stage.cluster.proxy(id).partition(false));
        story.healed(BACK);
    }
    story.end();
}
