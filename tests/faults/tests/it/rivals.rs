//! Two writers, each of which thinks that it is the one: T4.

use std::time::Duration;

use crate::{
    clusters::single,
    service::{DOUBT, FENCED},
    story::Story,
};

/// The second one writes as soon as it has fenced the first.
const BACK: Duration = Duration::from_secs(30);
/// A writer that goes on after it was fenced is told so by its next append.
const ENDS: Duration = Duration::from_secs(20);

/// The active writer is stopped, another one takes over, and the first goes on where it was.
#[test]
fn t4_a_writer_that_was_paused_finds_another_in_its_place() {
    let stage = single();
    let mut story = Story::begin("t4", &stage.cluster.bootstrap(), 1);
    let mut active = story.service.start(Some(false)).unwrap();
    story.begin_with_people();
    while story.another_round(2) {
        let pause = Duration::from_millis(story.chance.between(0, 3_000));
        story.fault(format!(
            "{} is paused, for {pause:?} after another has taken over",
            active.name
        ));
        active.pause();
        let second = story.service.start(Some(false)).unwrap();
        assert!(story.service.is_ready(&second, BACK), "the log cannot be taken over");
        story.pass(pause);
        active.resume();
        let code = story.service.exit_code(&active, ENDS);
        // One that was away for longer than an answer may take is in doubt before it hears that it was fenced.
        let ended = matches!(code, Some(FENCED | DOUBT));
        assert!(ended, "{} still writes, or ended otherwise: {code:?}", active.name);
        story.healed(BACK);
        // One lives, and nobody takes the log back.
        assert_eq!(story.service.writing().join(" "), second.name);
        active = second;
    }
    story.end();
}

/// Many at once, started while others are at it: the last one that took over is the one that goes on.
#[test]
fn t4_of_many_writers_that_start_at_once_one_goes_on() {
    let stage = single();
    let mut story = Story::begin("t4-many", &stage.cluster.bootstrap(), 1);
    drop(story.service.start(Some(false)));
    story.begin_with_people();
    while story.another_round(1) {
        let count = story.chance.between(2, 5);
        story.fault(format!("{count} more writers start"));
        let all: Vec<_> = (0..count).filter_map(|_| story.service.start(Some(false))).collect();
        for player in &all {
            story.service.is_ready(player, BACK);
        }
        story.healed(BACK);
    }
    story.end();
}
