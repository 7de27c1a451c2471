//! A broker's disk is full: T9.

use std::time::Duration;

use crate::{
    clusters::triple,
    past::leader,
    story::{Story, wait_for},
};

/// What is left on the disk, and what clients fill it with: a second or two, if the topic's file is large already.
const ROOM_KB: u64 = 4_096;
const LARGE: (usize, usize) = (6, 200_000);
/// How long it may take all the same.
const FULL: Duration = Duration::from_mins(2);
/// The others notice at once that a broker has gone; a commit that was under way may have to time out.
const BACK: Duration = Duration::from_secs(30);

/// T9: a replica's disk is full, or the leader's, in turn. The broker stops, the others go on, and with room it is back.
#[test]
fn t9_a_disk_is_full() {
    let stage = triple();
    let mut story = Story::begin("t9", &stage.cluster.bootstrap(), 3);
    story.go_on();
    let (mut leads, mut round) = (story.chance.happens(50), 0);
    while story.another_round(1) {
        (leads, round) = (!leads, round + 1);
        let leader = leader(&story.address);
        let node = if leads { leader } else { leader % 3 + 1 };
        let who = if leads { "the leader" } else { "a replica" };
        story.fault(format!("the disk of broker {node}, {who}, fills"));
        stage.cluster.leave_room(node, story.address.topic(), ROOM_KB);
        let large = story.crowd(&format!("large{round}x"), LARGE.0, LARGE.1);
        let full = wait_for(|| !stage.cluster.alive(node), FULL);
        large.end();
        assert!(full, "the disk of broker {node} did not fill, or it goes on");
        story.healed(BACK);
        stage.cluster.restart(node);
        story.healed(BACK);
    }
    story.end();
}
