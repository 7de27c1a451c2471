//! The example of each event type: the files of `examples/events/`, and the help of `record`.

use serde_json::Value;

macro_rules! example {
    ($name:literal) => {
        ($name, include_str!(concat!("../../examples/events/", $name, ".json")))
    };
}

/// Types and the text of their example.
const EXAMPLES: &[(&str, &str)] = &[
    example!("rollout.alert.cleared.v1"),
    example!("rollout.alert.raised.v1"),
    example!("rollout.bug.deferred.v1"),
    example!("rollout.bug.disputed.v1"),
    example!("rollout.bug.fixed.v1"),
    example!("rollout.bug.found.v1"),
    example!("rollout.bug.verified.v1"),
    example!("rollout.checklist.item_set.v1"),
    example!("rollout.checkpoint.due.v1"),
    example!("rollout.checkpoint.missed.v1"),
    example!("rollout.checkpoint.recorded.v1"),
    example!("rollout.cleanup.done.v1"),
    example!("rollout.cleanup.due.v1"),
    example!("rollout.cleanup.planned.v1"),
    example!("rollout.criterion.evaluated.v1"),
    example!("rollout.criterion.set.v1"),
    example!("rollout.downstream.affected.v1"),
    example!("rollout.error.observed.v1"),
    example!("rollout.event.corrected.v1"),
    example!("rollout.event.withdrawn.v1"),
    example!("rollout.feedback.noted.v1"),
    example!("rollout.flag.changed.v1"),
    example!("rollout.flag.drifted.v1"),
    example!("rollout.flag.registered.v1"),
    example!("rollout.flag.retired.v1"),
    example!("rollout.gate.condition_resolved.v1"),
    example!("rollout.gate.decided.v1"),
    example!("rollout.metric.defined.v1"),
    example!("rollout.metric.observed.v1"),
    example!("rollout.metric.redefined.v1"),
    example!("rollout.note.added.v1"),
    example!("rollout.ownership.transferred.v1"),
    example!("rollout.plan.imported.v1"),
    example!("rollout.plan.revised.v1"),
    example!("rollout.question.answered.v1"),
    example!("rollout.release.defined.v1"),
    example!("rollout.rollback.completed.v1"),
    example!("rollout.rollback.planned.v1"),
    example!("rollout.rollback.started.v1"),
    example!("rollout.rollback.step_completed.v1"),
    example!("rollout.rollout.launched.v1"),
    example!("rollout.rollout.resumed.v1"),
    example!("rollout.source.imported.v1"),
    example!("rollout.stage.cancelled.v1"),
    example!("rollout.stage.completed.v1"),
    example!("rollout.stage.held.v1"),
    example!("rollout.stage.planned.v1"),
    example!("rollout.stage.replanned.v1"),
    example!("rollout.stage.results_recorded.v1"),
    example!("rollout.stage.resumed.v1"),
    example!("rollout.stage.retargeted.v1"),
    example!("rollout.stage.skipped.v1"),
    example!("rollout.stage.started.v1"),
    example!("rollout.value.confirmed.v1"),
];

/// The example of a type.
pub fn of(name: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// The end of `record SUBJECT VERB --help`.
pub(crate) fn help(name: &str) -> String {
    let Some(example) = of(name) else { return String::new() };
    let file = format!("examples/events/{name}.json");
    match crate::record::command_line(&parse(example)) {
        Some(line) => format!("Example:\n  {line}\n\nThe same as an event ({file}):\n{example}"),
        None => format!("Example as an event ({file}):\n{example}"),
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("the examples are JSON, as the tests of `schemas` prove")
}
