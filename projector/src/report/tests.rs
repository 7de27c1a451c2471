//! The retrospective of a small rollout, as people read it.

use expect_test::expect_file;

use super::{Report, report_markdown};
use crate::rollout::{
    Rollout,
    given::{given, moment, plan_of},
};

const FIELDS: &[(&str, &str, &str)] = &[
    ("kpis/1", "KPI 1", "at least 35%"),
    ("kpis/2", "KPI 2", "at most 8%"),
    ("stages/stage-a/results/unique_users", "Unique users", "[FILL_IN]"),
    ("stages/stage-b/results/unique_users", "Unique users", "[FILL_IN]"),
    ("questions/1/question", "", "What did people say?"),
    ("questions/1/answer", "", ""),
    ("questions/2/question", "", "What is next?"),
    ("questions/2/answer", "", ""),
];

const HISTORY: &str = r#"
    01-02 09:00 release.defined title=Claim form; kind=flag
    01-02 09:00 stage.planned stage=stage-a; label=Stage A: Canary; ordinal=1; exposures=10%; minimum=~PT24H; length=~PT24H
    01-02 09:00 stage.planned stage=stage-b; label=Stage B; ordinal=2; exposures=100%
    01-02 09:00 rollback.planned steps=[{"step":"1","kind":"flag_off","text":"Turn it off"},{"step":"2","kind":"team_alerted","text":"Alert the team"}]
    01-03 09:00 criterion.set criterion=c1; text=Few errors; form=qualitative; scope=stage
    01-10 15:00 gate.decided gate=launch; verdict=conditional; conditions=["script"]
    01-11 15:00 gate.condition_resolved gate=launch; condition=script; outcome=met
    01-13 15:00 stage.started stage=stage-a; exposures=10%
    01-13 15:50 alert.raised monitor=errors
    01-13 16:00 rollback.started trigger=bug; triggered_by=[9]; from=10%; to=off
    01-13 16:05 rollback.step_completed step="1"; kind=flag_off
    01-13 17:00 rollback.completed to=off
    01-13 17:30 bug.found bug=b1; title=Blank | page; stage=stage-a; resolution=being worked on
    01-15 15:00 bug.fixed bug=b1
    01-20 15:00 stage.started stage=stage-a; exposures=10%
    01-21 15:00 stage.results_recorded stage=stage-a; results={"unique_users":{"raw":"1,204"},"downstream":{"raw":"No","value":"no"}}
    01-22 15:00 stage.started stage=stage-b; exposures=100%
    01-22 16:00 rollout.launched exposures=all
    01-30 15:00 checkpoint.recorded checkpoint=P7D; results={"goals":[{"name":"KPI 1","quantity":{"raw":"30%","value":"30","unit":"%"},"goal":{"raw":"at least 35%","value":"35","qualifier":"ge","unit":"%"}}]}
    01-31 15:00 question.answered question=What did people say?; answer=They like it.
    02-01 15:00 feedback.noted channel=survey; gist=Fine
    02-02 15:00 cleanup.planned flag=form"#;

#[test]
fn the_retrospective_as_people_read_it() {
    let history = format!("{}\n{HISTORY}", plan_of(1, "01-02 09:00", FIELDS));
    let report = Report::of(&Rollout::fold(&given(&history)), moment("03-01 00:00"));
    expect_file!["report.md"].assert_eq(&report_markdown(&report));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["goals"][0]["actual"][0]["reached"], false);
    assert_eq!(json["unanswered"], serde_json::json!(["What is next?"]));
    assert_eq!(json["blanks"][0]["path"], "stages/stage-b/results/unique_users");
}

#[test]
fn nothing_recorded_is_a_report_too() {
    let report = Report::of(&Rollout::default(), moment("03-01 00:00"));
    assert!(report_markdown(&report).starts_with("# Retrospective: rollout\n"));
}

#[test]
fn a_line_stays_a_line_and_a_bug_without_a_finding_says_so() {
    let history = r#"
        01-02 09:00 release.defined title="Claim\n| form"; kind=flag
        01-02 09:00 stage.planned stage=stage-a; label="Stage A\n| Canary"; ordinal=1; exposures=10%
        01-03 09:00 gate.decided gate=launch; verdict=no_go; blockers=["a\n- b"]
        01-14 15:00 bug.fixed bug=LS-99; resolution="a\nb"
        01-15 15:00 feedback.noted channel=survey; gist="fine\n# so far"
        01-16 15:00 cleanup.planned flag=form; due=2025-03-31; raw="the\n- flag""#;
    let report = Report::of(&Rollout::fold(&given(history)), moment("03-01 00:00"));
    let text = report_markdown(&report);
    for line in [
        "# Retrospective: Claim | form",
        r"| Stage A \| Canary |  | 10 % |  |  |  | not started | [1] |",
        "- 2025-01-03 09:00: launch gate: No-go: a - b [2]",
        "| LS-99 | (never recorded as found) |  | fixed |  | [3] |",
        "- 2025-01-15 15:00: Feedback came in by survey: fine # so far. [4]",
        "- 2025-01-16 15:00: Clean-up of the flag form was planned, due 2025-03-31: the - flag. [5]",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
