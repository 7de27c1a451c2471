//! What is kept, what is broken, and what cannot be told.

mod shares_and_steps;

use expect_test::{Expect, expect};

use super::Deviations;
use crate::rollout::{
    Rollout,
    given::{given, moment},
};

/// Stage A runs for a day at most 10 % of users, stage B is 25 %, stage C everyone.
const PLAN: &str = r#"
    01-01 09:00 stage.planned stage=stage-a; label=Stage A: Canary; ordinal=1; exposures=10%; minimum=~PT24H; minimum_clause=plan
    01-01 09:00 stage.planned stage=stage-b; label=Stage B; ordinal=2; exposures=25%; minimum=~PT2H; minimum_clause=guidance
    01-01 09:00 stage.planned stage=stage-c; label=Stage C; ordinal=3; exposures=100%"#;

/// Every verdict of a rule: what was judged, the outcome, why, the events.
#[track_caller]
fn check(history: &str, code: &str, expected: Expect) {
    check_at(history, code, "12-01 00:00", expected);
}

#[track_caller]
fn check_at(history: &str, code: &str, now: &str, expected: Expect) {
    let rollout = Rollout::fold(&given(&format!("{PLAN}\n{history}")));
    let all = Deviations::of(&rollout, moment(now));
    let shown: Vec<String> = all
        .verdicts
        .iter()
        .filter(|v| v.code == code)
        .map(|v| {
            let changed = match v.changed_afterwards.as_slice() {
                [] => String::new(),
                seqs => format!(" changed afterwards {seqs:?}"),
            };
            let late = if v.plan_recorded_afterwards { " (plan recorded afterwards)" } else { "" };
            format!("{}: {}: {} {:?}{changed}{late}", v.about, v.outcome.as_str(), v.why, v.seqs)
        })
        .collect();
    expected.assert_eq(&shown.join("\n"));
}

const FLAG: &str = "01-02 09:00 flag.registered key=form; role=rollout";

fn flag(at: &str, percent: u32) -> String {
    format!(
        "{at} flag.changed basis=observed; key=form; operation=enable; gate=percentage_of_actors; \
         value=\"{percent}\"; service=flipper; environment=production"
    )
}

#[test]
fn a_stage_runs_as_long_as_its_minimum() {
    const CODE: &str = "stage_shorter_than_minimum";
    check(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-14 15:00 stage.started stage=stage-b; exposures=25%
        01-14 16:00 stage.started stage=stage-c; exposures=100%",
        CODE,
        expect![[r#"
            stage-a, attempt 1: kept: It ran 1 d of at least 1 d. [3, 4]
            stage-b, attempt 1: broken: It ran 1 h of at least 2 h. [4, 5]
            stage-c, attempt 1: undecided: Neither plan nor guidance gives a minimum. [5]"#]],
    );
    // Pauses do not count, and a rollback ends it.
    check(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 16:00 stage.held stage=stage-a
        01-14 14:00 stage.resumed stage=stage-a
        01-14 16:00 rollback.started trigger=bug; to=off
        01-15 15:00 stage.started stage=stage-a; exposures=10%",
        CODE,
        expect![[r#"
            stage-a, attempt 1: undecided: It was given up after 3 h; the minimum of 1 d is for going on. [3, 4, 5, 6]
            stage-a, attempt 2: kept: It has run 319 d 9 h of at least 1 d. [7]"#]],
    );
    // The plan was changed while it ran, and recorded only afterwards.
    check(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 18:00 stage.replanned stage=stage-a; label=A; ordinal=1; exposures=10%; minimum=~PT1H
        01-13 19:00 stage.started stage=stage-b; exposures=25%
        2024-12-01 10:00 stage.started stage=stage-c; exposures=100%",
        CODE,
        expect![[r#"
            stage-a, attempt 1: broken: It ran 4 h of at least 1 d. [3, 5] changed afterwards [4]
            stage-b, attempt 1: kept: It has run 321 d 5 h of at least 2 h. [5]
            stage-c, attempt 1: undecided: Neither plan nor guidance gives a minimum. [6] (plan recorded afterwards)"#]],
    );
    // Known to the day alone.
    check(
        r#"01-13 05:00 stage.started stage=stage-a; exposures=10%; occurrence={"precision":"day","earliest":"2025-01-13T05:00:00Z","latest":"2025-01-14T04:59:59Z"}
        01-14 05:00 stage.started stage=stage-b; exposures=25%; occurrence={"precision":"day","earliest":"2025-01-14T05:00:00Z","latest":"2025-01-15T04:59:59Z"}
        - @01-20 09:00 stage.started basis=imported; stage=stage-c; exposures=100%"#,
        CODE,
        expect![[r#"
            stage-a, attempt 1: undecided: Its begin and end are not known well enough to tell 1 d apart. [3, 4]
            stage-b, attempt 1: undecided: When the next exposure began is not known. [4, 5]
            stage-c, attempt 1: undecided: Neither plan nor guidance gives a minimum. [5]"#]],
    );
    check_at(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%",
        CODE,
        "01-13 20:00",
        expect!["stage-a, attempt 1: undecided: It still runs, for 5 h of 1 d. [3]"],
    );
}

#[test]
fn the_flags_log_wins_over_what_was_recorded() {
    check(
        &[
            FLAG,
            &flag("01-13 14:00", 10),
            "01-13 15:00 stage.started stage=stage-a; exposures=10%",
            &flag("01-14 13:00", 25),
            "01-14 15:30 stage.started stage=stage-b; exposures=25%",
        ]
        .join("\n"),
        "stage_shorter_than_minimum",
        expect![[r#"
            stage-a, attempt 1: broken: It ran 23 h of at least 1 d. The flag's log has its begin; it was recorded 1 h after that. [4, 5, 6]
            stage-b, attempt 1: kept: It has run 320 d 11 h of at least 2 h. The flag's log has its begin; it was recorded 2 h 30 min after that. [6, 7]"#]],
    );
}

#[test]
fn it_is_exposed_to_as_many_as_planned() {
    const CODE: &str = "other_percentage_than_planned";
    check(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-14 15:00 stage.retargeted stage=stage-a; exposures=15%
        01-15 15:00 stage.started stage=stage-b; exposures=25%
        01-16 15:00 stage.started stage=stage-c",
        CODE,
        expect![[r#"
            stage-a, attempt 1: broken: It was at 15 %; planned was 10 %. [3, 4]
            stage-b, attempt 1: kept: It was at 25 %; planned was 25 %. [5]
            stage-c, attempt 1: undecided: No percentage is recorded for it. [6]"#]],
    );
    check(
        r#"01-02 15:00 stage.planned stage=stage-d; label=D; ordinal=4; exposures=[{"kind":"percent_range","min_bp":3000,"max_bp":6000}]
        01-02 15:00 stage.planned stage=uat; label=UAT; ordinal=5; exposures=[{"kind":"actors","count":3}]
        01-15 15:00 stage.started stage=stage-d; exposures=45%
        01-16 15:00 stage.started stage=uat; exposures=[{"kind":"actors","count":4}]"#,
        CODE,
        expect![[r#"
            stage-d, attempt 1: kept: It was at 45 %; planned was 30 to 60 %. [5]
            uat, attempt 1: undecided: The plan's exposure is no percentage. [6]"#]],
    );
    check(
        "01-13 15:00 stage.started stage=stage-a; exposures=20%",
        "canary_above_10_percent",
        expect!["stage-a, attempt 1: broken: The canary was at 20 %. [3]"],
    );
}

#[test]
fn it_goes_on_only_with_results_a_go_and_nothing_open() {
    let advance = "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-15 15:00 stage.started stage=stage-b; exposures=25%";
    let rows: [(&str, &str, &str); 13] = [
        ("advanced_without_results", "", "broken, undecided"),
        (
            "advanced_without_results",
            "01-14 15:00 stage.results_recorded stage=stage-a; results={}",
            "kept, undecided",
        ),
        (
            "advanced_without_results",
            "01-16 15:00 stage.results_recorded stage=stage-a; results={}",
            "broken, undecided",
        ),
        (
            "advanced_without_results",
            "- @01-16 15:00 stage.results_recorded basis=imported; stage=stage-a; results={}",
            "undecided, undecided",
        ),
        ("advanced_without_go", "", "broken, broken"),
        ("advanced_without_go", "01-12 15:00 gate.decided gate=launch; verdict=go", "kept, kept"),
        (
            "advanced_without_go",
            "01-12 15:00 gate.decided gate=launch; verdict=go
            01-15 14:00 gate.decided gate=stage; stage=stage-b; verdict=no_go",
            "kept, broken",
        ),
        (
            "advanced_with_open_condition",
            r#"01-12 15:00 gate.decided gate=launch; verdict=conditional; conditions=["script"]
            01-14 15:00 gate.condition_resolved gate=launch; condition=script; outcome=met"#,
            "broken, kept",
        ),
        ("advanced_with_open_condition", "", "undecided, undecided"),
        (
            "advanced_with_launch_blocking_bug",
            "01-12 15:00 bug.found bug=b1; title=x; launch_blocking=true
            01-14 15:00 bug.fixed bug=b1",
            "broken, kept",
        ),
        (
            "advanced_with_launch_blocking_bug",
            "01-14 15:00 bug.found bug=b1; title=x; launch_blocking=true
            01-14 16:00 bug.disputed bug=b1",
            "kept, undecided",
        ),
        (
            "advanced_with_criterion_unmet",
            "01-02 15:00 criterion.set criterion=c1; text=few errors; form=qualitative; scope=stage
            01-14 15:00 criterion.evaluated criterion=c1; verdict=overridden; why=known cause",
            "kept, undecided",
        ),
        // An evaluation of what nobody is known to have set.
        (
            "advanced_with_criterion_unmet",
            "01-14 15:00 criterion.evaluated criterion=c1; verdict=missed",
            "undecided, undecided",
        ),
    ];
    for (code, more, expected) in rows {
        let history = format!("{PLAN}\n{advance}\n{more}");
        let all = Deviations::of(&Rollout::fold(&given(&history)), moment("12-01 00:00"));
        let outcomes: Vec<_> =
            all.verdicts.iter().filter(|v| v.code == code).map(|v| v.outcome.as_str()).collect();
        assert_eq!(outcomes.join(", "), expected, "{code} with {more}");
    }
}

#[test]
fn a_go_ends_with_a_rollback() {
    check(
        "01-12 15:00 gate.decided gate=launch; verdict=go
        01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 16:00 rollback.started trigger=bug; to=off
        01-15 15:00 stage.started stage=stage-a; exposures=10%
        01-16 15:00 gate.decided gate=relaunch; verdict=go
        01-17 15:00 stage.started stage=stage-b; exposures=25%",
        "advanced_without_go",
        expect![[r#"
            stage-a, attempt 1: kept: The launch gate said go. [3, 4]
            stage-a, attempt 2: broken: No go is recorded since the rollback. [6]
            stage-b, attempt 1: kept: The relaunch gate said go. [7, 8]"#]],
    );
}

const STEPS: &str = r#"
    01-02 09:00 rollback.planned severity=high; steps=[{"step":"1","kind":"flag_off","text":"Turn it off","within":{"min":"PT15M"}},{"step":"2","kind":"team_alerted","text":"Alert the team"}]
    01-02 09:00 rollback.planned steps=[{"step":"1","kind":"ticket_created","text":"Make a ticket","within":{"max":"PT2H"}}]"#;

#[test]
fn a_rollback_follows_the_list_for_its_severity() {
    let with = |history: &str| format!("{STEPS}\n{FLAG}\n{history}");
    let started = "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 16:00 rollback.started trigger=bug; severity=high; to=off";
    let low = "01-13 16:00 rollback.started trigger=bug; severity=low; to=off
        01-13 18:30 rollback.step_completed kind=ticket_created
        01-13 19:00 rollback.completed";
    let done = format!(
        "{started}\n01-13 16:05 rollback.step_completed step=\"1\"; kind=flag_off
        01-13 17:00 rollback.completed"
    );
    check(
        &with(&done),
        "rollback_step_missing",
        expect![[r#"
        rollback 1, step 1: kept: It is claimed to be done; no flag's log confirms it. [7, 8]
        rollback 1, step 2: broken: It is not recorded that it was done. [7]"#]],
    );
    check(
        &with(&done),
        "rollback_step_late",
        expect!["rollback 1, step 1: kept: It was done after 5 min; promised was 15 min. [7, 8]"],
    );
    let confirmed = format!("{}\n{done}\n{}", flag("01-13 15:00", 10), flag("01-13 16:20", 0));
    check(
        &with(&confirmed),
        "rollback_step_missing",
        expect![[r#"
        rollback 1, step 1: kept: It was done; the flag's log confirms it. [8, 9, 11]
        rollback 1, step 2: broken: It is not recorded that it was done. [8]"#]],
    );
    check(
        &with(&confirmed),
        "rollback_step_late",
        expect![
            "rollback 1, step 1: broken: It was done after 20 min; promised was 15 min. [8, 9, 11]"
        ],
    );
    check(
        &with(low),
        "rollback_step_late",
        expect![
            "rollback 1, step 1: broken: It was done after 2 h 30 min; promised was 2 h. [6, 7]"
        ],
    );
    check_at(
        &with(started),
        "rollback_step_missing",
        "01-13 16:10",
        expect![[r#"
        rollback 1, step 1: undecided: The rollback still runs. [7]
        rollback 1, step 2: undecided: The rollback still runs. [7]"#]],
    );
    check_at(
        &with(started),
        "rollback_step_late",
        "01-13 16:20",
        expect!["rollback 1, step 1: broken: It is not done after 20 min. [7]"],
    );
    check(
        "01-13 16:00 rollback.started trigger=bug",
        "rollback_step_missing",
        expect!["rollback 1: undecided: The plan has no list of steps for it. [3]"],
    );
}

#[test]
fn a_flag_moves_only_with_the_rollout() {
    const CODE: &str = "flag_moved_without_stage";
    let stages = "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-16 15:00 stage.started stage=stage-b; exposures=25%
        01-18 15:00 rollback.started trigger=bug; to=5%
        01-18 16:00 rollback.completed to=5%";
    let moves = |moves: &[(&str, u32)]| {
        let moves: Vec<_> = moves.iter().map(|(at, percent)| flag(at, *percent)).collect();
        format!("{FLAG}\n{stages}\n{}", moves.join("\n"))
    };
    let good = moves(&[("01-13 14:55", 10), ("01-16 15:02", 25), ("01-18 15:05", 5)]);
    check(
        &good,
        CODE,
        expect![
            "flag form: kept: Every change of the flag goes with a stage, a rollback or a launch. [8, 9, 10]"
        ],
    );
    let stray = moves(&[("01-13 14:55", 10), ("01-14 20:00", 50), ("01-30 09:00", 7)]);
    check(
        &stray,
        CODE,
        expect![[r#"
        flag form: broken: It moved to 50 % and no stage, rollback or launch goes with it. [9]
        flag form: broken: It moved to 7 % and no stage, rollback or launch goes with it. [10]"#]],
    );
    check(
        &format!("{FLAG}\n{stages}"),
        CODE,
        expect![
            "flag form: undecided: No change of the flag is recorded: its service's log was not imported. []"
        ],
    );
    check(stages, CODE, expect!["flags: undecided: No flag is registered for the rollout. []"]);
}

#[test]
fn a_flag_on_for_everyone_is_removed_within_90_days() {
    const CODE: &str = "flag_not_removed_after_90_days";
    let on = format!("{FLAG}\n{}", flag("01-16 15:00", 100));
    let removed = |at: &str| {
        format!(
            "{on}\n{at} flag.changed key=form; operation=remove; service=flipper; environment=production"
        )
    };
    let rows = [
        (on.clone(), "03-01 00:00", "undecided"),
        (on.clone(), "04-17 00:00", "broken"),
        (removed("03-01 00:00"), "12-01 00:00", "kept"),
        (removed("06-01 00:00"), "12-01 00:00", "broken"),
        (format!("{FLAG}\n{}", flag("01-16 15:00", 50)), "12-01 00:00", "kept"),
        (FLAG.to_owned(), "12-01 00:00", "undecided"),
    ];
    for (history, now, expected) in rows {
        let all = Deviations::of(&Rollout::fold(&given(&history)), moment(now));
        let found = all.verdicts.iter().find(|v| v.code == CODE).unwrap();
        assert_eq!(found.outcome.as_str(), expected, "{history} by {now}: {}", found.why);
    }
}

#[test]
fn snapshots_goals_and_approval() {
    let launched = "01-15 15:00 rollout.launched exposures=all";
    let snapshot = |at: &str, live: &str| {
        format!(
            "{launched}\n{at} checkpoint.recorded checkpoint=P7D; results={{}}; evidence=[{live}]"
        )
    };
    let live = r#"{"kind":"dashboard","live":true}"#;
    let criterion = "01-02 09:00 criterion.set criterion=c; text=x; form=threshold; scope=stage; metric=m; threshold=\"1\"";
    let observed = "01-14 09:00 metric.observed metric=m; quantity=#2";
    let moved = "01-15 09:00 criterion.set criterion=c; text=x; form=threshold; scope=stage; metric=m; threshold=\"3\"";
    let again = moved.replace("\"3\"", "\"1\"");
    let imported =
        |basis: &str| moved.replace("criterion=c", &format!("basis={basis}; criterion=c"));
    let plan = format!("{}; actor=&ada", crate::rollout::given::plan_of(1, "01-01 09:00", &[]));
    let gate = |by: &str| {
        format!("{plan}\n01-10 09:00 gate.decided gate=launch; verdict=go; decided_by=[{by}]")
    };
    let person = |id: &str| format!(r#"{{"actor":{{"kind":"person","id":"{id}"}}}}"#);
    let rows: [(&str, String, &str, &str); 16] = [
        ("snapshot_overdue", launched.into(), "01-20 00:00", "undecided"),
        ("snapshot_overdue", launched.into(), "01-25 00:00", "undecided"),
        ("snapshot_overdue", launched.into(), "01-30 00:00", "broken"),
        ("snapshot_overdue", String::new(), "01-30 00:00", "undecided"),
        ("snapshot_overdue", snapshot("01-23 09:00", live), "12-01 00:00", "kept"),
        ("snapshot_overdue", snapshot("02-20 09:00", live), "12-01 00:00", "broken"),
        ("snapshot_on_live_link_alone", snapshot("01-23 09:00", live), "12-01 00:00", "broken"),
        ("snapshot_on_live_link_alone", snapshot("01-23 09:00", ""), "12-01 00:00", "undecided"),
        ("goal_set_after_result", format!("{criterion}\n{observed}"), "12-01 00:00", "kept"),
        (
            "goal_set_after_result",
            format!("{criterion}\n{observed}\n{moved}"),
            "12-01 00:00",
            "broken",
        ),
        (
            "goal_set_after_result",
            format!("{criterion}\n{observed}\n{again}"),
            "12-01 00:00",
            "kept",
        ),
        (
            "goal_set_after_result",
            format!("{observed}\n{}", imported("imported")),
            "12-01 00:00",
            "undecided",
        ),
        (
            "goal_set_after_result",
            format!("{observed}\n{}", imported("reported")),
            "12-01 00:00",
            "broken",
        ),
        ("author_is_approver", gate(&person("ada")), "12-01 00:00", "broken"),
        (
            "author_is_approver",
            gate(&format!("{},{}", person("ada"), person("bo"))),
            "12-01 00:00",
            "kept",
        ),
        ("author_is_approver", gate(r#"{"role":"product owner"}"#), "12-01 00:00", "undecided"),
    ];
    for (code, history, now, expected) in rows {
        let history = format!("{history}\n01-01 08:00 note.added text=x");
        let all = Deviations::of(&Rollout::fold(&given(&history)), moment(now));
        let found = all.verdicts.iter().find(|v| v.code == code).unwrap();
        assert_eq!(found.outcome.as_str(), expected, "{code} {history} by {now}: {}", found.why);
    }
}

#[test]
fn what_was_never_recorded_is_named() {
    check(
        "- @01-20 09:00 stage.results_recorded basis=imported; stage=stage-a; results.unique_users=#5
        01-21 09:00 stage.started stage=stage-c; exposures=100%",
        "stage_not_recorded",
        expect![[r#"
            stage-a: undecided: Its results say that it ran, but no start of it is recorded. [3]
            stage-b: undecided: A later stage began; of this one neither a start nor a skip is recorded. []"#]],
    );
}

#[test]
fn a_promised_sign_off_is_there_before_the_go_at_the_launch_gate() {
    let plan =
        |fields: &[(&str, &str, &str)]| crate::rollout::given::plan_of(1, "01-01 09:00", fields);
    let officer = plan(&[("other/notes/1", "Sign-offs", "privacy officer")]);
    let sign_off = |verdict: &str| {
        format!(
            "sign_offs=[{{\"party\":{{\"role\":\"privacy officer\"}},\"verdict\":\"{verdict}\"}}]"
        )
    };
    let go =
        |more: &str| format!("{officer}\n01-09 09:00 gate.decided gate=launch; verdict=go{more}");
    let late = format!(
        "01-10 09:00 gate.decided gate=stage; stage=stage-a; verdict=go; {}",
        sign_off("go")
    );
    let rows = [
        (go(&format!("; {}", sign_off("go"))), "kept"),
        (go(&format!("; {}", sign_off("no_go"))), "broken"),
        (go(&format!("; {}", sign_off("go once it is fixed"))), "undecided"),
        (go(""), "broken"),
        (format!("{}\n{late}", go("")), "broken"),
        (officer.clone(), "undecided"),
        (format!("{officer}\n01-09 09:00 stage.started stage=stage-a"), "broken"),
        (format!("{officer}\n01-09 09:00 stage.started stage=pilot"), "undecided"),
        (format!("{}\n01-09 09:00 gate.decided gate=launch; verdict=go", plan(&[])), "undecided"),
        ("01-09 09:00 gate.decided gate=launch; verdict=go".to_owned(), "undecided"),
    ];
    for (history, expected) in rows {
        let all = Deviations::of(&Rollout::fold(&given(&history)), moment("12-01 00:00"));
        let found = all.verdicts.iter().find(|v| v.code == "sign_off_absent").unwrap();
        assert_eq!(found.outcome.as_str(), expected, "{history}: {}", found.why);
    }
}
