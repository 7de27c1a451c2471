//! Every share that a flag's log shows, and the many names of a rollback's step.

use expect_test::{Expect, expect};

use super::{FLAG, check, flag};
use crate::{
    deviations::Deviations,
    rollout::{
        Rollout,
        given::{given, moment},
    },
};

#[test]
fn every_share_of_the_flags_log_is_held_against_the_plan() {
    let rows: [(&[(&str, u32)], Expect); 6] = [
        (
            &[("01-15 14:59", 25), ("01-15 15:01", 30)],
            expect![
                "stage-b, attempt 1: broken: It was at 30 %; planned was 25 %. The flag's log has 30 % (event 7); recorded was 25 % (event 4). [4, 6, 7]"
            ],
        ),
        // Never at the recorded share at all, set before or after the recorded moment.
        (
            &[("01-15 14:59", 30)],
            expect![
                "stage-b, attempt 1: broken: It was at 30 %; planned was 25 %. The flag's log has 30 % (event 6); recorded was 25 % (event 4). [4, 6]"
            ],
        ),
        (
            &[("01-15 15:01", 30)],
            expect![
                "stage-b, attempt 1: broken: It was at 30 %; planned was 25 %. The flag's log has 30 % (event 6); recorded was 25 % (event 4). [4, 6]"
            ],
        ),
        // In steps, and the next stage a little before it was recorded.
        (
            &[("01-15 14:30", 5), ("01-15 15:10", 25), ("01-16 14:50", 100)],
            expect!["stage-b, attempt 1: kept: It was at 25 %; planned was 25 %. [4, 7]"],
        ),
        (
            &[("01-15 15:00", 25), ("01-15 18:00", 20), ("01-16 15:10", 100)],
            expect![
                "stage-b, attempt 1: kept: It was at 25 %; planned was 25 %. The flag's log has 20 % (event 7); recorded was 25 % (event 4). [4, 6, 7]"
            ],
        ),
        (
            &[("01-15 15:00", 25), ("01-16 14:00", 100), ("01-16 14:05", 60)],
            expect!["stage-b, attempt 1: kept: It was at 25 %; planned was 25 %. [4, 6]"],
        ),
    ];
    for (moves, expected) in rows {
        let mut history = vec![
            FLAG.to_owned(),
            "01-15 15:00 stage.started stage=stage-b; exposures=25%".to_owned(),
            "01-16 15:00 rollout.launched".to_owned(),
        ];
        history.extend(moves.iter().map(|(at, percent)| flag(at, *percent)));
        check(&history.join("\n"), "other_percentage_than_planned", expected);
    }
}

#[test]
fn a_step_is_named_by_number_words_path_or_kind() {
    const LIST: &str = r#"
    01-02 09:00 rollback.planned steps=[{"step":"1","kind":"team_alerted","text":"Alert the team"},{"step":"2","kind":"team_alerted","text":"Alert the service desk"},{"step":"3","kind":"other","text":"Close the form"}]
    01-13 16:00 rollback.started trigger=bug; to=off"#;
    let rows = [
        ("step=\"2\"; kind=team_alerted", "broken, kept, broken"),
        ("step=Alert the service desk.; kind=team_alerted", "broken, kept, broken"),
        ("step=Alert the service; kind=other", "broken, kept, broken"),
        ("step=rollback/plan/steps/3; kind=other", "broken, broken, kept"),
        ("kind=other; text=close the form", "broken, broken, kept"),
        ("step=Rang everyone; kind=team_alerted", "kept, kept, broken"),
        ("kind=team_alerted", "kept, kept, broken"),
        ("step=Took it offline; kind=other", "broken, broken, undecided"),
    ];
    for (step, expected) in rows {
        let history = format!(
            "{LIST}\n01-13 16:05 rollback.step_completed {step}\n01-13 17:00 rollback.completed"
        );
        let all = Deviations::of(&Rollout::fold(&given(&history)), moment("12-01 00:00"));
        let found: Vec<_> =
            all.verdicts.iter().filter(|v| v.code == "rollback_step_missing").collect();
        let outcomes: Vec<_> = found.iter().map(|v| v.outcome.as_str()).collect();
        assert_eq!(outcomes.join(", "), expected, "{step}");
        for verdict in found.iter().filter(|v| v.outcome.as_str() == "undecided") {
            assert!(verdict.why.contains("Took it offline"), "{}", verdict.why);
            assert_eq!(verdict.seqs, [1, 2]);
        }
    }
}
