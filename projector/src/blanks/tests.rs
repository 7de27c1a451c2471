//! What goes into which blank, and what goes into none.

use expect_test::expect;

use crate::rollout::{
    Rollout,
    given::{digest_of, given, plan_of},
};

const FIELDS: &[(&str, &str, &str)] = &[
    ("flags/1/name", "", "[FILL_IN]"),
    ("flags/1/description", "", "[FILL_IN]"),
    ("checklist/before/1", "", "Alerts reach the on-call engineer"),
    ("checklist/before/2", "", "Content is approved"),
    ("gates/launch/verdict", "Verdict", "[FILL_IN]"),
    ("rollout/criteria/1", "Reminders sent", "[FILL_IN]"),
    ("stages/uat/results/bugs", "Bugs identified / fixed", "[FILL_IN]"),
    ("stages/stage-a/planning/length", "Length of time", "[FILL_IN]"),
    ("stages/stage-b/planning/length", "Length of time", "[FILL_IN]"),
    ("stages/stage-a/results/unique_users", "Number of unique users", "[FILL_IN]"),
    ("stages/stage-a/results/metrics/1", "Reminders sent", ""),
    ("stages/stage-a/results/metrics/2", "Reminders saved", ""),
    ("stages/stage-a/results/metrics/3", "Reminders opened", ""),
    ("stages/stage-a/results/bugs", "Bugs identified / fixed", "[FILL_IN]"),
    ("stages/stage-a/results/bug/1", "", ""),
    ("stages/stage-a/results/downstream", "Downstream affected?", "[PICK_ONE]"),
    ("stages/stage-a/results/errors", "Types of errors", "[FILL_IN]"),
    ("stages/stage-a/results/changes", "Changes necessary?", "[FILL_IN]"),
    ("stages/stage-b/results/unique_users", "Number of unique users", "[FILL_IN]"),
    ("stages/stage-b/results/errors", "Types of errors", "[FILL_IN]"),
    ("kpis/1", "Post-launch KPI 1", "35% have reminders on"),
    ("checkpoints/P7D/kpis/1", "KPI 1 actual", "[FILL_IN]"),
    ("checkpoints/P7D/changes", "Any changes?", "[PICK_ONE]"),
    ("checkpoints/P7D/changes_detail", "If yes, what", "[FILL_IN]"),
    ("checkpoints/P7D/processing", "Issues?", "[PICK_ONE]"),
    ("questions/1/question", "", "What did people say?"),
    ("questions/1/answer", "", ""),
    ("questions/2/question", "", "What is next?"),
    ("questions/2/answer", "", ""),
];

const HISTORY: &str = r#"
    - @01-02 09:00 stage.planned basis=imported; stage=uat; label=UAT; ordinal=1
    - @01-02 09:00 stage.planned basis=imported; stage=stage-a; label=A; ordinal=2; length=~PT24H
    - @01-02 09:00 stage.planned basis=imported; stage=stage-b; label=B; ordinal=3
    01-03 09:00 flag.registered key=reminders_enabled; role=rollout
    01-03 09:00 stage.replanned stage=stage-b; label=B; ordinal=3; length=~P2D
    01-04 09:00 checklist.item_set item=Alerts reach the on-call engineer; state=done; evidence=[{"kind":"screenshot"}]
    01-04 09:00 checklist.item_set item=Content is approved; state=done
    01-05 09:00 gate.decided gate=launch; verdict=no_go; blockers=["copy"]
    01-06 09:00 gate.decided gate=launch; verdict=conditional; conditions=["script published"]
    01-07 09:00 bug.found bug=b1; title=Blank page; stage=uat
    01-08 09:00 bug.fixed bug=b1
    01-13 15:00 stage.started stage=stage-a; exposures=5%
    01-14 15:00 stage.results_recorded stage=stage-a; results={"unique_users":{"raw":"694"},"bugs_identified":{"raw":"1"}}
    01-14 16:00 metric.observed metric=Reminders saved; stage=stage-a; quantity=#311
    01-20 15:00 stage.started stage=stage-a; exposures=5%
    01-21 15:00 stage.results_recorded stage=stage-a; results={"unique_users":{"raw":"1,204"},"metrics":[{"name":"Reminders sent","quantity":{"raw":"~4k"}}],"bugs_identified":{"raw":"3"},"bugs_fixed":{"raw":"2"},"downstream":{"raw":"No","value":"no"},"error_types":["timeouts","503"],"changes_needed":{"raw":"Yes","value":"yes","detail":"a clearer switch"},"latency":{"raw":"0.9 s"}}
    01-22 15:00 error.observed code="504"; stage=stage-b
    01-27 15:00 rollout.launched exposures=all
    02-04 15:00 checkpoint.recorded checkpoint=P7D; results={"goals":[{"name":"Post-launch KPI 1","quantity":{"raw":"30%"}}],"changes_needed":{"raw":"Yes","value":"yes","detail":"two switches"}}
    02-05 15:00 question.answered question=What did people say; answer=They like it,
    02-06 15:00 note.added text=All quiet"#;

#[test]
fn what_the_ledger_knows_goes_into_its_place() {
    let rollout =
        Rollout::fold(&given(&format!("{}\n{HISTORY}", plan_of(1, "01-02 09:00", FIELDS))));
    let shown: Vec<String> = FIELDS
        .iter()
        .map(|(path, label, _)| {
            let label = Some(*label).filter(|l| !l.is_empty());
            let filled = rollout.answer_for(path, label);
            let text = filled.map_or_else(|| "-".into(), |f| format!("{} {:?}", f.text, f.seqs));
            format!("{path} = {text}")
        })
        .collect();
    expect![[r#"
        flags/1/name = reminders_enabled [4]
        flags/1/description = -
        checklist/before/1 = x [6]
        checklist/before/2 = -
        gates/launch/verdict = Conditional go: script published [9]
        rollout/criteria/1 = -
        stages/uat/results/bugs = 1 / 1 [10, 11]
        stages/stage-a/planning/length = -
        stages/stage-b/planning/length = P2D [5]
        stages/stage-a/results/unique_users = 1,204 [16]
        stages/stage-a/results/metrics/1 = ~4k [16]
        stages/stage-a/results/metrics/2 = 311 [14]
        stages/stage-a/results/metrics/3 = -
        stages/stage-a/results/bugs = 3 / 2 [16]
        stages/stage-a/results/bug/1 = -
        stages/stage-a/results/downstream = No [16]
        stages/stage-a/results/errors = timeouts, 503 [16]
        stages/stage-a/results/changes = Yes: a clearer switch [16]
        stages/stage-b/results/unique_users = -
        stages/stage-b/results/errors = 504 [17]
        kpis/1 = -
        checkpoints/P7D/kpis/1 = 30% [19]
        checkpoints/P7D/changes = Yes [19]
        checkpoints/P7D/changes_detail = two switches [19]
        checkpoints/P7D/processing = -
        questions/1/question = -
        questions/1/answer = They like it, [20]
        questions/2/question = -
        questions/2/answer = -"#]]
    .assert_eq(&shown.join("\n"));

    let blanks = rollout.plan.newest().unwrap().blanks().map(|f| f.path.clone());
    let filled: Vec<String> = blanks
        .filter(|path| {
            let label = rollout.plan.field(None, path).and_then(|f| f.label.clone());
            rollout.answer_for(path, label.as_deref()).is_some()
        })
        .collect();
    let unplaced: Vec<String> = rollout
        .unplaced_facts(&filled)
        .into_iter()
        .map(|u| format!("{:?} {}", u.seqs, u.what))
        .collect();
    expect![[r#"
        [8] The launch gate was decided: no-go; blockers: copy.
        [6] A checklist item was ticked: Alerts reach the on-call engineer.
        [7] A checklist item was ticked: Content is approved.
        [12] Stage stage-a began with 5 %.
        [13] Stage stage-a: unique users: 694.
        [13] Stage stage-a: bugs identified: 1.
        [15] Stage stage-a began with 5 %.
        [16] Stage stage-a: latency: 0.9 s.
        [18] The rollout was launched with everyone.
        [21] Note: All quiet."#]]
    .assert_eq(&unplaced.join("\n"));
}

#[test]
fn what_stands_in_the_file_fills_nothing_and_is_not_unplaced() {
    let path = "stages/stage-a/results/unique_users";
    let result = |revision| {
        let (digest, basis) = (digest_of(revision), "imported");
        format!(
            r#"- @01-02 10:00 stage.results_recorded basis={basis}; stage=stage-a; results.unique_users=#233; plan={{"digest":"{digest}","path":"{path}","line":1}}"#
        )
    };
    let in_file =
        format!("{}\n{}", plan_of(1, "01-02 09:00", &[(path, "Users", "233")]), result(1));
    let rollout = Rollout::fold(&given(&in_file));
    assert_eq!(rollout.answer_for(path, None), None);
    assert_eq!(rollout.unplaced_facts(&[]), []);

    // A later revision holds it still, under a digest of its own.
    let kept = format!("{in_file}\n{}", plan_of(2, "01-03 09:00", &[(path, "Users", "233")]));
    assert_eq!(Rollout::fold(&given(&kept)).unplaced_facts(&[]), []);

    // A later revision lost it.
    let lost = format!("{in_file}\n{}", plan_of(2, "01-03 09:00", &[(path, "Users", "")]));
    let rollout = Rollout::fold(&given(&lost));
    assert_eq!(rollout.answer_for(path, None).unwrap().text, "233");
}

#[test]
fn an_answer_names_its_question_by_number_or_beginning() {
    let fields: &[(&str, &str, &str)] = &[
        ("questions/1/question", "", "What did people say?"),
        ("questions/1/answer", "", ""),
        ("questions/2/question", "", "What is next for the form?"),
        ("questions/2/answer", "", ""),
    ];
    let rows = [
        ("\"1\"", "x, -", "What is next for the form?"),
        ("question 2", "-, x", "What did people say?"),
        ("questions/2/question", "-, x", "What did people say?"),
        ("What is next", "-, x", "What did people say?"),
        ("What", "-, -", "What did people say? What is next for the form?"),
    ];
    for (question, expected, open) in rows {
        let plan = plan_of(1, "01-02 09:00", fields);
        let history =
            format!("{plan}\n02-05 15:00 question.answered question={question}; answer=x");
        let rollout = Rollout::fold(&given(&history));
        let answer = |path| rollout.answer_for(path, None).map_or("-".to_owned(), |f| f.text);
        let answers = [answer("questions/1/answer"), answer("questions/2/answer")];
        assert_eq!(answers.join(", "), expected, "{question}");
        assert_eq!(rollout.open_questions().join(" "), open, "{question}");
        let report =
            crate::report::Report::of(&rollout, crate::rollout::given::moment("03-01 00:00"));
        assert_eq!(report.unanswered.join(" "), open, "{question}");
        if expected == "x, -" {
            assert_eq!(report.questions[0].question, "What did people say?");
        }
    }
}

#[test]
fn an_unplaced_fact_is_one_line_and_says_an_answer_once() {
    let history = r#"
        01-13 15:00 stage.started stage=stage-a; exposures=5%; reason="Go,\nand on\n\n- we go"
        01-14 15:00 stage.results_recorded stage=stage-a; results={"changes_needed":{"raw":"A clearer\nswitch","value":"other","detail":"A clearer switch"}}
        01-15 15:00 stage.results_recorded stage=stage-a; results={"changes_needed":{"raw":"Yes","value":"yes","detail":"two switches"}}
        01-16 15:00 cleanup.planned flag=form; due=2025-03-31"#;
    let rollout = Rollout::fold(&given(history));
    let facts = rollout.unplaced_facts(&[]).into_iter().map(|f| f.what);
    expect![[r#"
        Stage stage-a began with 5 %: Go, and on - we go.
        Stage stage-a: changes necessary: A clearer switch.
        Stage stage-a: changes necessary: Yes.
        Stage stage-a: changes: two switches.
        Clean-up of the flag form was planned, due 2025-03-31."#]]
    .assert_eq(&facts.collect::<Vec<_>>().join("\n"));
}
