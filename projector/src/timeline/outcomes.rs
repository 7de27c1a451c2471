//! Sentences about measurements, bugs and what came after launch.

use schemas::{
    Event,
    event::{
        measurement::{AlertRaised, BugFound, MetricObserved},
        outcome::{Assumption, QuestionAnswered},
    },
};

use super::{
    sentence::{because, listed, party, quantity, with},
    stages::of_results,
};

pub(super) fn sentence(event: &Event) -> Option<String> {
    measurement(event).or_else(|| bug(event)).or_else(|| outcome(event))
}

fn measurement(event: &Event) -> Option<String> {
    Some(match event {
        Event::MetricDefined(e) => {
            format!("The metric {} was defined{}", e.metric, because(e.description.as_ref()))
        }
        Event::MetricRedefined(e) => {
            format!("The metric {} means something else{}", e.metric, because(Some(&e.reason)))
        }
        Event::MetricObserved(e) => observed(e),
        Event::AlertRaised(e) => raised(e),
        Event::AlertCleared(e) => format!("The monitor {} calmed down.", e.monitor),
        Event::ErrorObserved(e) => {
            let count = e.count.as_ref().map(|c| format!(", {} times", quantity(c)));
            format!("Errors {} were seen{}.", e.code, count.unwrap_or_default())
        }
        Event::DownstreamAffected(e) => {
            format!("The service {} was affected{}", e.service, because(e.detail.as_ref()))
        }
        _ => return None,
    })
}

fn observed(e: &MetricObserved) -> String {
    let categories: Vec<String> =
        e.categories.iter().map(|c| format!("{} {}", c.label, quantity(&c.quantity))).collect();
    let value = e.quantity.as_ref().map_or_else(|| listed(&categories), |q| quantity(q).to_owned());
    let place = match (&e.stage, &e.checkpoint) {
        (Some(stage), _) => format!(" in stage {stage}"),
        (None, Some(checkpoint)) => format!(" at {checkpoint}"),
        (None, None) => String::new(),
    };
    let restates = e
        .restates
        .as_ref()
        .map_or_else(String::new, |t| format!(", which restates event {}", t.seq));
    format!("The metric {} was read{place}: {value}{restates}.", e.metric)
}

fn raised(e: &AlertRaised) -> String {
    let severity = e.severity.map_or_else(String::new, |s| format!(" ({s})"));
    format!("The monitor {} went off{severity}{}", e.monitor, because(e.title.as_ref()))
}

fn bug(event: &Event) -> Option<String> {
    Some(match event {
        Event::BugFound(e) => found(e),
        Event::BugDeferred(e) => {
            let until = e.until.as_ref().map_or_else(String::new, |u| format!(" until {u}"));
            format!("Bug {} was put off{until}{}", e.bug, because(e.reason.as_ref()))
        }
        Event::BugFixed(e) => format!("Bug {} was fixed{}", e.bug, because(e.resolution.as_ref())),
        Event::BugVerified(e) => {
            format!("The fix of bug {} was seen to work{}", e.bug, because(e.detail.as_ref()))
        }
        Event::BugDisputed(e) => {
            format!("Bug {} is said to be none{}", e.bug, because(e.reason.as_ref()))
        }
        _ => return None,
    })
}

fn found(e: &BugFound) -> String {
    let place = match (&e.stage, &e.checkpoint) {
        (Some(stage), _) => format!(" in stage {stage}"),
        (None, Some(checkpoint)) => format!(" at {checkpoint}"),
        (None, None) => String::new(),
    };
    let blocking = if e.launch_blocking == Some(true) { ", which blocks the launch" } else { "" };
    format!("Bug {} was found{place}{blocking}{}", e.bug, because(Some(&e.title)))
}

fn outcome(event: &Event) -> Option<String> {
    Some(match event {
        Event::RolloutLaunched(e) => {
            let what = if e.relaunch == Some(true) { "launched again" } else { "launched" };
            format!("The rollout was {what}{}{}", with(&e.exposures), because(e.reason.as_ref()))
        }
        Event::CheckpointDue(e) => format!("The {} snapshot fell due.", e.checkpoint),
        Event::CheckpointRecorded(e) => format!(
            "The {} snapshot was recorded{}",
            e.checkpoint,
            because(Some(&of_results(&e.results)))
        ),
        Event::CheckpointMissed(e) => {
            format!("The {} snapshot was missed; it was due at {}.", e.checkpoint, e.due)
        }
        Event::FeedbackNoted(e) => {
            format!("Feedback came in by {}{}", e.channel, because(Some(&e.gist)))
        }
        Event::OwnershipTransferred(e) => {
            let to = party(&e.to);
            format!("The rollout was handed over to {to}{}", because(e.reason.as_ref()))
        }
        Event::QuestionAnswered(e) => answered(e),
        Event::CleanupPlanned(e) => {
            let ticket = e.ticket.as_ref().or(e.raw.as_ref());
            let due = e.due.as_ref().map_or_else(String::new, |due| format!(", due {due}"));
            format!("Clean-up{} was planned{due}{}", of_flag(e.flag.as_ref()), because(ticket))
        }
        Event::CleanupDue(e) => format!("Clean-up{} fell due.", of_flag(e.flag.as_ref())),
        Event::CleanupDone(e) => {
            format!("Clean-up{} was done{}", of_flag(e.flag.as_ref()), because(e.ticket.as_ref()))
        }
        _ => return None,
    })
}

fn answered(e: &QuestionAnswered) -> String {
    let assumption = match e.assumption {
        Some(Assumption::Validated) => ", the assumption held",
        Some(Assumption::NotValidated) => ", the assumption did not hold",
        Some(Assumption::NotApplicable) | None => "",
    };
    let (question, answer) = (e.question.trim(), e.answer.trim().trim_end_matches('.'));
    format!("The question \u{201c}{question}\u{201d} was answered{assumption}: {answer}.")
}

fn of_flag(flag: Option<&schemas::FlagKey>) -> String {
    flag.map_or_else(String::new, |key| format!(" of the flag {key}"))
}
