//! Requests of the writer are lost, late, or cut off from their answers, that which ends a transaction above all: T5, T6.

use std::time::Duration;

use kafka_cluster::{
    Action,
    api_key::{ADD_PARTITIONS_TO_TXN, END_TXN, INIT_PRODUCER_ID, PRODUCE},
};
use kafka_faults::chance::Chance;

use crate::{clusters::single, story::Story};

/// After the proxy forwards again, a writer that lost its way must have given up its commit and have been replaced.
const BACK: Duration = Duration::from_secs(30);
/// Clients, and the size of their events: a transaction of some of them takes several requests, so that its beginning
/// may be there without its end.
const LARGE: (usize, usize) = (3, 300_000);
/// How long one kind of loss goes on before all is whole for a moment.
const SPELL: Duration = Duration::from_secs(3);

/// T5: the broker commits, and nobody hears of it.
#[test]
fn t5_the_answer_to_a_commit_is_lost() {
    let stage = single();
    let mut story = Story::begin("t5", &stage.cluster.bootstrap(), 1);
    story.go_on();
    let proxy = stage.cluster.proxy(1);
    while story.another_round(1) {
        let (mut chance, percent) =
            (Chance::new(story.chance.number()), story.chance.between(3, 60));
        story.fault(format!("{percent} of 100 answers to commits are lost"));
        proxy.set_rule(move |request| match request.api_key {
            END_TXN if chance.happens(percent) => Action::ForwardThenCut,
            _ => Action::Forward,
        });
        story.pass(SPELL);
        proxy.clear_rule();
        story.healed(BACK);
    }
    story.end();
}

/// T6: a commit is cut off, tried again, and its first copy arrives up to two seconds later, when another transaction
/// of the same writer may be under way.
#[test]
fn t6_a_late_commit_meets_the_next_transaction() {
    let stage = single();
    let mut story = Story::begin("t6", &stage.cluster.bootstrap(), 1);
    story.go_on();
    let large = story.crowd("large", LARGE.0, LARGE.1);
    let proxy = stage.cluster.proxy(1);
    while story.another_round(1) {
        let (mut chance, percent) =
            (Chance::new(story.chance.number()), story.chance.between(3, 60));
        let longest = story.chance.between(20, 2_000);
        story.fault(format!("{percent} of 100 commits are late, by up to {longest} ms"));
        proxy.set_rule(move |request| match request.api_key {
            END_TXN if chance.happens(percent) => {
                Action::CutThenForward(Duration::from_millis(chance.between(1, longest + 1)))
            }
            _ => Action::Forward,
        });
        story.pass(SPELL);
        proxy.clear_rule();
        story.healed(BACK);
    }
    large.end();
    story.end();
}

/// The same with all that a writer asks, and with all that may become of it.
#[test]
fn t6_any_request_of_a_writer_is_late_or_lost() {
    let stage = single();
    let mut story = Story::begin("t6-any", &stage.cluster.bootstrap(), 1);
    story.go_on();
    let large = story.crowd("large", LARGE.0, LARGE.1);
    let proxy = stage.cluster.proxy(1);
    while story.another_round(2) {
        let mut chance = Chance::new(story.chance.number());
        let key = *chance.one_of(&[INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, PRODUCE, END_TXN]);
        let percent = chance.between(3, 50);
        story.fault(format!("{percent} of 100 requests of kind {key} are late or lost"));
        proxy.set_rule(move |request| {
            if request.api_key != key || !chance.happens(percent) {
                return Action::Forward;
            }
            // Also longer than a writer waits for an answer.
            let time = Duration::from_millis(chance.between(1, 6_000));
            *chance.one_of(&[
                Action::Cut,
                Action::ForwardThenCut,
                Action::CutThenForward(time),
                Action::Delay(time),
            ])
        });
        story.pass(SPELL);
        proxy.clear_rule();
        story.healed(BACK);
    }
    large.end();
    story.end();
}
