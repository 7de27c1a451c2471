//! What a decision looked at, as it stood then.

use expect_test::{Expect, expect};

use super::Considered;
use crate::{
    audit::Approvals,
    rollout::given::{given, moment},
};

/// The first decision of a history, by what had happened by then, and what the answer rests on.
fn check(history: &str, as_of: Option<&str>, expected: &Expect) {
    let events = given(history);
    let as_of = as_of.map(|at| moment(at).0);
    let approvals = Approvals::of("claim-form", &events, as_of, None);
    let Considered { listed, not_listed, .. } = &approvals.decisions[0].considered;
    let mut lines = Vec::new();
    let change = |change: &super::ChangedSince| {
        let what = change.what.as_deref().unwrap_or("-");
        format!("  {:?} by {}: {what}", change.how, change.entry.seq)
    };
    for listed in listed {
        let before: Vec<_> = listed.corrected_before.iter().map(|c| c.seq).collect();
        let afterwards = if listed.recorded_afterwards { " afterwards" } else { "" };
        let what = listed.what.as_deref().unwrap_or("-");
        lines.push(format!("{}{afterwards} {before:?}: {what}", listed.seq));
        assert_eq!(listed.changed_since, !listed.changes.is_empty());
        lines.extend(listed.changes.iter().map(change));
    }
    for fact in not_listed {
        let mark = if fact.may_be_later { " may be later" } else { "" };
        lines.push(format!("not named {}{mark}: {}", fact.entry.seq, fact.what));
        lines.extend(fact.changes.iter().map(change));
    }
    let rests_on: Vec<_> = approvals.rests_on.iter().map(|c| c.seq).collect();
    lines.push(format!("rests on {rests_on:?}"));
    expected.assert_eq(&lines.join("\n"));
}

const READING: &str = r#"{"metric":"errors","stage":"stage-a","quantity":{"raw":"N","value":"N"},"basis":"reported"}"#;

#[test]
fn a_decision_shows_what_it_looked_at_as_it_stood_then_and_what_was_said_since() {
    let reading = |percent: &str| READING.replace('N', percent);
    let history = format!(
        "01-05 09:00 stage.started stage=stage-a
        01-06 09:00 metric.observed metric=errors; stage=stage-a; quantity=#0.4
        01-06 10:00 event.corrected target=@1; reason=typo; replacement={}
        01-06 11:00 metric.observed metric=calls; stage=stage-a; quantity=#7
        01-07 09:00 gate.decided gate=stage; stage=stage-b; verdict=go; considered=[1,8]
        01-08 09:00 event.corrected target=@1; reason=slip; replacement={}
        01-09 09:00 event.corrected target=@1; reason=counted; replacement={}
        01-09 10:00 event.withdrawn target=@3; reason=staging
        01-09 11:00 metric.observed metric=late; stage=stage-a; quantity=#1
        01-09 12:00 metric.observed metric=errors; stage=stage-a; quantity=#6; restates=@1",
        reading("0.5"),
        reading("4"),
        reading("5"),
    );
    check(
        &history,
        None,
        &expect![[r#"
        1 [2]: The metric errors was read in stage stage-a: 0.5.
          Corrected by 5: The metric errors was read in stage stage-a: 4.
          Corrected by 6: The metric errors was read in stage stage-a: 5.
          Restated by 9: The metric errors was read in stage stage-a: 6, which restates event 1.
        8 afterwards []: The metric late was read in stage stage-a: 1.
        not named 3: metric.observed: The metric calls was read in stage stage-a: 7.
          Withdrawn by 7: Event 3 was withdrawn: staging.
        rests on [1, 2, 3, 4, 5, 6, 7, 8, 9]"#]],
    );
    check(
        &history,
        Some("01-07 10:00"),
        &expect![[r#"
        1 [2]: The metric errors was read in stage stage-a: 0.5.
          Corrected by 5: The metric errors was read in stage stage-a: 4.
          Corrected by 6: The metric errors was read in stage stage-a: 5.
          Restated by 9: The metric errors was read in stage stage-a: 6, which restates event 1.
        8 afterwards []: The metric late was read in stage stage-a: 1.
        not named 3: metric.observed: The metric calls was read in stage stage-a: 7.
          Withdrawn by 7: Event 3 was withdrawn: staging.
        rests on [1, 2, 3, 4, 5, 6, 7, 8, 9]"#]],
    );
}

#[test]
fn what_had_not_happened_is_not_known_by_then() {
    check(
        "01-05 09:00 @02-01 09:00 stage.started stage=stage-a
        01-06 09:00 @02-01 09:00 metric.observed metric=before; stage=stage-a; quantity=#1
        01-08 09:00 @02-01 09:00 metric.observed metric=behind; stage=stage-a; quantity=#2
        - @02-01 09:00 metric.observed metric=unknown; stage=stage-a; quantity=#3; occurrence.precision=unknown
        - @02-01 09:00 metric.observed metric=bounded; stage=stage-a; quantity=#4; occurrence.precision=day; occurrence.latest=2025-01-06T23:59:59Z
        01-07 09:00 @02-01 09:00 gate.decided gate=stage; stage=stage-b; verdict=go",
        None,
        &expect![[r#"
            not named 1: metric.observed: The metric before was read in stage stage-a: 1.
            not named 3 may be later: metric.observed: The metric unknown was read in stage stage-a: 3.
            not named 4: metric.observed: The metric bounded was read in stage stage-a: 4.
            rests on [1, 3, 4, 5]"#]],
    );
}

#[test]
fn an_erased_event_names_its_erasure() {
    let mut events = given(
        "01-05 09:00 stage.started stage=stage-a
        01-06 09:00 metric.observed metric=errors; stage=stage-a; quantity=#1
        01-07 09:00 gate.decided gate=stage; stage=stage-b; verdict=go; considered=[1]
        01-08 09:00 event.redacted target=@1; source=test; id=e-1; reason=law",
    );
    let first = &events[1];
    let erased = crate::recorded::Recorded::read(1, &first.hash, first.recorded_at_us, None);
    events[1] = erased;
    let approvals = Approvals::of("claim-form", &events, None, None);
    let listed = &approvals.decisions[0].considered.listed[0];
    assert_eq!((&listed.what, listed.changes[0].entry.seq), (&None, 3));
    assert_eq!(listed.changes[0].how, super::HowChanged::Erased);
    assert!(approvals.rests_on.iter().any(|cited| cited.seq == 3));
}
