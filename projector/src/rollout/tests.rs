//! What really happens in rollouts, and what the fold makes of it.

use expect_test::{Expect, expect};
use proptest::{strategy::Strategy as _, test_runner::Config};

use schemas::StageKey;

use super::{
    Rollout, exposure,
    given::{given, moment, short},
    stages::Ended,
};

const PLAN: &str = "
    - @01-01 09:00 stage.planned stage=stage-a; label=Stage A; ordinal=1; exposures=10%
    - @01-01 09:00 stage.planned stage=stage-b; label=Stage B; ordinal=2; exposures=25%
    - @01-01 09:00 stage.planned stage=stage-c; label=Stage C; ordinal=3; exposures=100%";

#[track_caller]
fn check(history: &str, expected: Expect) {
    expected.assert_eq(&show(&Rollout::fold(&given(history))));
}

/// `status stage#attempt at exposure; then every stage with its attempts`.
fn show(rollout: &Rollout) -> String {
    let now = rollout.current();
    let word = serde_json::to_value(now.status).unwrap();
    let mut parts = vec![format!(
        "{}{}{}{}",
        word.as_str().unwrap(),
        now.stage.map_or(String::new(), |s| format!(" {s}#{}", now.attempt.unwrap_or(0))),
        if now.exposures.is_empty() { "" } else { " at " },
        exposure::words(&now.exposures),
    )];
    for stage in rollout.stages.iter() {
        let mut attempts: Vec<String> = stage.attempts.iter().map(show_attempt).collect();
        attempts.extend(stage.skipped.iter().map(|_| "skipped".to_owned()));
        parts.push(format!("{}: {}", stage.key, attempts.join(", ")));
    }
    parts.join("; ")
}

fn show_attempt(attempt: &super::Attempt) -> String {
    let mut text = format!("#{}", attempt.number);
    if let Some(started) = &attempt.started {
        text.push_str(&started.time().map_or(" at ?".into(), |t| format!(" {}", short(t))));
    }
    for hold in &attempt.holds {
        text.push_str(if hold.resumed.is_some() { " paused" } else { " held" });
    }
    text.push_str(&" retargeted".repeat(attempt.retargeted.len()));
    text.push_str(&" rolled-back".repeat(attempt.rollback_seqs.len()));
    for ended in &attempt.ended {
        text.push_str(match ended {
            Ended::Completed(_) => " completed",
            Ended::Cancelled(_) => " cancelled",
        });
    }
    for results in &attempt.results {
        let users = results.value.results.unique_users.as_ref().map_or("?", |q| q.raw.as_str());
        text = format!("{text} results={users}");
    }
    if attempt.inferred_ran {
        text.push_str(" inferred");
    }
    text
}

#[test]
fn a_plan_alone_has_not_started() {
    check(PLAN, expect!["not_started; stage-a: ; stage-b: ; stage-c: "]);
}

#[test]
fn a_start_without_exposure_takes_the_plans_and_says_so() {
    let history = format!("{PLAN}\n01-13 15:00 stage.started stage=stage-a");
    let now = Rollout::fold(&given(&history)).current();
    assert!(now.exposure_is_planned);
    assert_eq!((now.exposure_seq, now.rests_on), (Some(3), vec![3]));
    check(
        &history,
        expect!["running stage-a#1 at 10 %; stage-a: #1 01-13 15:00; stage-b: ; stage-c: "],
    );
}

#[test]
fn a_rollback_may_be_partial() {
    check(
        &format!(
            "{PLAN}
            01-13 15:00 stage.started stage=stage-a; exposures=10%
            01-13 16:00 rollback.started trigger=bug; from=10%; to=5%
            01-13 16:10 rollback.step_completed kind=flag_reduced
            01-13 17:00 rollback.completed to=5%"
        ),
        expect![
            "rolled_back stage-a#1 at 5 %; stage-a: #1 01-13 15:00 rolled-back; stage-b: ; stage-c: "
        ],
    );
}

#[test]
fn a_stage_is_attempted_again() {
    check(
        &format!(
            "{PLAN}
            01-13 15:00 stage.started stage=stage-a; exposures=10%
            01-13 16:00 rollback.started trigger=bug; to=off
            01-13 17:00 rollback.completed to=off
            01-20 15:00 stage.started stage=stage-a; exposures=10%
            01-21 15:00 stage.results_recorded stage=stage-a; results.unique_users=#1204
            01-21 16:00 stage.results_recorded stage=stage-a; attempt=1; results.unique_users=#40"
        ),
        expect![
            "running stage-a#2 at 10 %; stage-a: #1 01-13 15:00 rolled-back results=40, #2 01-20 15:00 results=1204; stage-b: ; stage-c: "
        ],
    );
}

#[test]
fn stages_are_skipped_retargeted_paused_and_cancelled() {
    check(
        &format!(
            "{PLAN}
            01-13 15:00 stage.skipped stage=stage-a; reason=merged into B
            01-13 15:00 stage.started stage=stage-b; exposures=25%
            01-14 15:00 stage.retargeted stage=stage-b; exposures=50%
            01-17 22:00 stage.held stage=stage-b; reason=weekend
            01-20 14:00 stage.resumed stage=stage-b
            01-21 14:00 stage.completed stage=stage-b
            01-22 14:00 stage.started stage=stage-c; exposures=100%
            01-22 15:00 stage.cancelled stage=stage-c"
        ),
        expect![
            "cancelled stage-c#1 at 100 %; stage-a: skipped; stage-b: #1 01-13 15:00 paused retargeted completed; stage-c: #1 01-22 14:00 cancelled"
        ],
    );
}

#[test]
fn an_exposure_is_not_always_a_percentage() {
    check(
        r#"01-13 15:00 stage.started stage=uat; exposures=[{"kind":"actors","count":3}]
        01-14 15:00 stage.started stage=phase-2; exposures=[{"kind":"cohort","raw":"friends and family"},{"kind":"percent","max_bp":500,"min_bp":500,"unit":"time"}]
        01-15 15:00 stage.started stage=phase-3; exposures=[{"kind":"facility","scope":"two sites"}]"#,
        expect![
            "running phase-3#1 at facility two sites; uat: #1 01-13 15:00; phase-2: #1 01-14 15:00; phase-3: #1 01-15 15:00"
        ],
    );
}

#[test]
fn results_alone_only_let_us_infer_that_a_stage_ran() {
    check(
        &format!(
            "{PLAN}
            - @02-01 09:00 stage.results_recorded basis=imported; stage=stage-a; results.unique_users=#233"
        ),
        expect!["not_started; stage-a: #1 results=233 inferred; stage-b: ; stage-c: "],
    );
}

#[test]
fn a_start_that_is_recorded_later_joins_the_results_of_unknown_time() {
    check(
        &format!(
            "{PLAN}
            - @02-01 09:00 stage.results_recorded basis=imported; stage=stage-a; results.unique_users=#233
            02-02 10:00 stage.started stage=stage-a"
        ),
        expect!["running stage-a#1 at 10 %; stage-a: #1 02-02 10:00 results=233; stage-b: ; stage-c: "],
    );
}

#[test]
fn a_withdrawn_event_counts_for_nothing_and_a_corrected_one_for_its_correction() {
    let history = format!(
        "{PLAN}
        01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-14 15:00 stage.started stage=stage-b; exposures=25%
        01-15 10:00 event.withdrawn target=@4; reason=never happened
        01-15 11:00 event.corrected target=@3; reason=typo; replacement.basis=reported; replacement.stage=stage-a; replacement.exposures=5%"
    );
    check(
        &history,
        expect!["running stage-a#1 at 5 %; stage-a: #1 01-13 15:00; stage-b: ; stage-c: "],
    );
    let rollout = Rollout::fold(&given(&history));
    let started = rollout.stages.iter().next().unwrap().attempts[0].started.clone().unwrap();
    assert_eq!(started.from.corrected_by, [6]);
    assert_eq!(started.from.first.unwrap()["exposures"][0]["max_bp"], 1000);
    assert_eq!(rollout.withdrawn, [4]);
}

#[test]
fn a_correction_binds_only_with_the_hash_and_unless_it_is_withdrawn() {
    let at = "01-13 15:00 stage.started stage=stage-a; exposures=10%";
    let correct = "01-15 11:00 event.corrected target=@0; reason=typo; replacement.basis=reported; replacement.stage=stage-a; replacement.exposures=5%";
    let wrong_hash = correct.replace("target=@0", r#"target={"seq":0,"hash":"ff00000000000000000000000000000000000000000000000000000000000000"}"#);
    let not_its_type = "01-15 11:00 event.corrected target=@0; reason=typo; replacement.basis=reported; replacement.text=5";
    let rows = [
        (vec![correct], "5 %"),
        (vec![wrong_hash.as_str()], "10 %"),
        (vec![not_its_type], "10 %"),
        (vec![correct, "01-16 11:00 event.withdrawn target=@1; reason=was right"], "10 %"),
        (
            vec![
                correct,
                "01-16 11:00 event.corrected target=@1; reason=again; replacement.basis=reported; replacement.target=@0; replacement.reason=typo; replacement.replacement.basis=reported; replacement.replacement.stage=stage-a; replacement.replacement.exposures=7%",
            ],
            "7 %",
        ),
        (
            vec![
                correct,
                "01-14 11:00 event.corrected target=@0; reason=newer; replacement.basis=reported; replacement.stage=stage-a; replacement.exposures=8%",
            ],
            "8 %",
        ),
    ];
    for (amendments, expected) in rows {
        let history = [vec![at], amendments].concat().join("\n");
        let now = Rollout::fold(&given(&history)).current();
        assert_eq!(exposure::words(&now.exposures), expected, "{history}");
    }
}

#[test]
fn what_had_happened_and_what_was_known_are_two_clocks() {
    let history = given(
        r#"01-13 15:00 @02-01 09:00 stage.started basis=backfilled; stage=stage-a; exposures=10%
        01-20 15:00 stage.started stage=stage-b; exposures=25%
        - @02-01 09:00 stage.started basis=imported; stage=stage-c; exposures=100%
        - @02-02 09:00 stage.skipped basis=imported; stage=stage-d; occurrence={"precision":"unknown","latest":"2025-01-25T00:00:00Z"}
        - @02-03 09:00 stage.skipped stage=stage-e
        02-04 09:00 event.corrected target=@1; reason=a day later; replacement={"basis":"reported","stage":"stage-b","occurrence":{"precision":"minute","earliest":"2025-01-21T15:00:00Z"}}"#,
    );
    // What had happened by, what was known at, and which stages an answer then knows.
    let rows = [
        (None, None, "stage-a stage-b stage-c stage-d stage-e"),
        (Some("01-14 00:00"), None, "stage-a"),
        (Some("01-14 00:00"), Some("01-15 00:00"), ""),
        (Some("01-20 16:00"), None, "stage-a"),
        (Some("01-20 16:00"), Some("02-03 12:00"), "stage-a stage-b"),
        (Some("01-21 15:00"), None, "stage-a stage-b"),
        (Some("01-24 00:00"), None, "stage-a stage-b"),
        (Some("01-25 00:00"), None, "stage-a stage-b stage-d"),
        (Some("02-03 08:59"), None, "stage-a stage-b stage-d"),
        // That it was reported on that day says not that it happened then.
        (Some("02-03 09:00"), None, "stage-a stage-b stage-d"),
        (Some("02-03 09:00"), Some("02-03 09:00"), "stage-a stage-b stage-d"),
        (None, Some("02-03 09:00"), "stage-a stage-b stage-c stage-d stage-e"),
        (None, Some("01-31 00:00"), "stage-b"),
        (None, Some("02-01 09:00"), "stage-a stage-b stage-c"),
    ];
    for (as_of, known_at, expected) in rows {
        let at = |text: Option<&str>| text.map(|t| moment(t).0);
        let rollout = Rollout::at(&history, at(as_of), at(known_at));
        let mut keys: Vec<_> = rollout.stages.iter().map(|s| s.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), expected, "as of {as_of:?}, known at {known_at:?}");
    }
}

#[test]
fn go_or_no_go_is_repeated_and_conditional() {
    let rollout = Rollout::fold(&given(
        r#"01-10 15:00 gate.decided gate=launch; verdict=no_go; blockers=["copy review"]
        01-11 15:00 gate.decided gate=launch; verdict=conditional; conditions=["fix the header","alert set up"]
        01-12 15:00 gate.condition_resolved gate=launch; condition=Fix the header.; outcome=met
        01-12 16:00 gate.condition_resolved gate=launch; condition=something else; outcome=met"#,
    ));
    let open: Vec<_> =
        rollout.decisions.open_conditions().iter().map(|(_, c)| c.text.clone()).collect();
    assert_eq!(rollout.decisions.gates.len(), 2);
    assert_eq!(open, ["alert set up"]);
    assert_eq!(rollout.decisions.unasked.len(), 1);
}

#[test]
fn bugs_cross_stages_and_words_are_no_fix() {
    let rollout = Rollout::fold(&given(
        "01-10 15:00 bug.found bug=b1; title=Blank page; stage=uat; resolution=resolved
        01-11 15:00 bug.found bug=b2; title=Slow; stage=uat
        01-12 15:00 bug.deferred bug=b2; until=stage B
        01-13 15:00 bug.found bug=b2; title=Slow; stage=stage-a
        01-14 15:00 bug.fixed bug=b2
        01-15 15:00 bug.verified bug=b2
        01-16 15:00 bug.found bug=b3; title=Odd; checkpoint=P7D
        01-17 15:00 bug.disputed bug=b3; reason=not reproducible",
    ));
    let states: Vec<_> = rollout
        .measurements
        .bugs
        .iter()
        .map(|(id, bug)| {
            let stages: Vec<_> = bug.stages().map(StageKey::as_str).collect();
            format!("{id} {} {}", bug.state().as_str(), stages.join("+"))
        })
        .collect();
    assert_eq!(states, ["b1 open uat", "b2 verified uat+stage-a", "b3 disputed "]);
}

#[test]
fn a_restated_metric_stands_beside_the_first() {
    let rollout = Rollout::fold(&given(
        "01-10 15:00 metric.defined metric=Downloads; unit=clicks
        01-14 15:00 metric.observed metric=Downloads; stage=stage-a; quantity=#118
        01-15 15:00 metric.redefined metric=Downloads; reason=bots left out
        01-15 16:00 metric.observed metric=Downloads; stage=stage-a; quantity=#101; restates=@1",
    ));
    let metric = &rollout.measurements.metrics["Downloads"];
    assert_eq!(metric.observed.len(), 2);
    assert_eq!(metric.observed[0].from.restated_by, [3]);
    let stage = "stage-a".parse().unwrap();
    let reading = metric.reading(Some(&stage), None).unwrap();
    assert_eq!(reading.value.quantity.as_ref().unwrap().raw, "101");
}

#[test]
fn rollback_durations_run_from_the_trigger() {
    let rollout = Rollout::fold(&given(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 15:50 alert.raised monitor=errors; incident=i1
        01-13 16:00 rollback.started trigger=incident; triggered_by=[1]; to=off
        01-13 16:05 rollback.step_completed kind=flag_off
        - @01-20 09:00 rollback.step_completed basis=backfilled; kind=ticket_created
        01-13 17:00 rollback.completed to=off",
    ));
    let after: Vec<_> = rollout.rollbacks.actual[0]
        .steps
        .iter()
        .map(|s| s.after_us.map(|us| us / 60_000_000))
        .collect();
    assert_eq!(after, [Some(15), None]);
}

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    let mut history = given("01-13 15:00 stage.started stage=stage-a\n01-14 15:00 future.thing");
    history.push(crate::recorded::Recorded::read(2, &"0".repeat(64), 0, None));
    let rollout = Rollout::fold(&history);
    assert_eq!((rollout.unread_events, rollout.redacted), (vec![1], vec![2]));
}

#[test]
fn the_next_missing_fact_comes_with_its_command() {
    let steps = [
        ("", ""),
        ("- @01-01 09:00 stage.planned stage=stage-a; label=Stage A; ordinal=1; exposures=10%", ""),
        ("01-10 15:00 gate.decided gate=launch; verdict=go", ""),
        (
            r#"- @01-01 09:00 rollback.planned steps=[{"step":"1","kind":"flag_off","text":"Turn it off"}]"#,
            "",
        ),
        ("01-13 15:00 stage.started stage=stage-a", ""),
        ("01-13 16:00 rollback.started trigger=bug", ""),
        ("01-13 16:10 rollback.step_completed kind=flag_off", ""),
        ("01-13 17:00 rollback.completed", ""),
        ("01-14 15:00 stage.started stage=stage-a", ""),
        ("01-15 15:00 stage.results_recorded stage=stage-a; results.unique_users=#5", ""),
        ("01-16 15:00 rollout.launched exposures=all", ""),
        ("", "02-20 09:00"),
        ("02-20 10:00 checkpoint.recorded checkpoint=P7D; results={}", "02-20 09:00"),
        ("02-20 10:00 checkpoint.recorded checkpoint=P1M; results={}", "02-20 09:00"),
        ("02-20 11:00 cleanup.planned flag=claim_form", "02-20 09:00"),
        ("02-21 11:00 cleanup.done flag=claim_form", "02-20 09:00"),
    ];
    let (mut history, mut said) = (String::from("01-01 09:00 note.added text=hello"), vec![]);
    for (line, now) in steps {
        history = format!("{history}\n{line}");
        let now = moment(if now.is_empty() { "01-17 00:00" } else { now });
        let next = Rollout::fold(&given(&history)).next_missing(now);
        said.push(format!("{} | {}", next.what, next.command.unwrap_or_default()));
    }
    said.dedup();
    expect![[r#"
        No plan is recorded. | rollout-ledger plan import FILE.md --rollout claim-form
        No go of the launch gate is recorded. | rollout-ledger record gate decided --rollout claim-form --gate launch --verdict go --happened now
        No start of stage-a is recorded. | rollout-ledger record stage started --rollout claim-form --stage stage-a --happened now
        No results of stage-a are recorded. | rollout-ledger record stage results-recorded --rollout claim-form --stage stage-a --happened now
        The rollback lacks a step of the plan: Turn it off | rollout-ledger record rollback step-completed --rollout claim-form --step 1 --kind flag_off --happened now
        The rollback that began has no recorded end. | rollout-ledger record rollback completed --rollout claim-form --happened now
        stage-a was rolled back; no further attempt is recorded. | rollout-ledger record stage started --rollout claim-form --stage stage-a --happened now
        No results of stage-a are recorded. | rollout-ledger record stage results-recorded --rollout claim-form --stage stage-a --happened now
        No launch is recorded; it anchors the snapshots. | rollout-ledger record rollout launched --rollout claim-form --happened now
        Nothing is missing until the P7D snapshot falls due at 2025-01-23T14:00:00.000000Z. | 
        The P7D snapshot is overdue. | rollout-ledger record checkpoint recorded --rollout claim-form --checkpoint P7D --happened now
        The P1M snapshot is due. | rollout-ledger record checkpoint recorded --rollout claim-form --checkpoint P1M --happened now
        Nothing is missing that the plan calls for. | 
        Clean-up was planned and not done. | rollout-ledger record cleanup done --rollout claim-form --flag claim_form --happened now
        Nothing is missing that the plan calls for. | "#]].assert_eq(&said.join("\n"));
}

/// The state with everything left out that depends on when it was written down.
fn timeless(rollout: &Rollout) -> serde_json::Value {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) => {
                map.retain(|key, _| {
                    !["seq", "rollback_seqs", "recorded_at"].contains(&key.as_str())
                });
                map.values_mut().for_each(strip);
            }
            serde_json::Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(rollout).unwrap();
    strip(&mut value);
    value
}

#[test]
fn any_order_of_recording_gives_the_same_state() {
    let lines = [
        "01-01 09:00 stage.planned stage=stage-a; label=A; ordinal=1; exposures=10%",
        "01-01 09:01 stage.planned stage=stage-b; label=B; ordinal=2; exposures=25%",
        "01-10 15:00 gate.decided gate=launch; verdict=conditional; conditions=[\"alert\"]",
        "01-11 15:00 gate.condition_resolved gate=launch; condition=alert; outcome=met",
        "01-13 15:00 stage.started stage=stage-a; exposures=10%",
        "01-13 16:00 rollback.started trigger=bug; to=off",
        "01-13 16:10 rollback.step_completed kind=flag_off",
        "01-13 17:00 rollback.completed to=off",
        "01-14 09:00 stage.results_recorded stage=stage-a; results.unique_users=#40",
        "01-20 15:00 stage.started stage=stage-a; exposures=10%",
        "01-21 15:00 stage.held stage=stage-a",
        "01-22 15:00 stage.resumed stage=stage-a",
        "01-23 15:00 stage.results_recorded stage=stage-a; results.unique_users=#1204",
        "01-24 15:00 bug.found bug=b1; title=Slow; stage=stage-a",
        "01-25 15:00 bug.fixed bug=b1",
        "01-26 15:00 stage.started stage=stage-b; exposures=100%",
        "01-27 15:00 rollout.launched exposures=all",
        "02-03 15:00 checkpoint.recorded checkpoint=P7D; results.unique_users=#20000",
    ];
    let in_order = timeless(&Rollout::fold(&given(&lines.join("\n"))));
    proptest::proptest!(Config { cases: 64, failure_persistence: None, ..Config::default() }, |(
        shuffled in proptest::sample::subsequence((0..lines.len()).collect::<Vec<_>>(), lines.len())
            .prop_shuffle()
    )| {
        let history: Vec<_> = shuffled.iter().map(|&place| lines[place]).collect();
        let backfilled = history.join("\n").replace(" stage.", " @06-01 09:00 stage.");
        proptest::prop_assert!(timeless(&Rollout::fold(&given(&backfilled))) == in_order);
    });
}
