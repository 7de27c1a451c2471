//! More of what really happens and a simple model misses: flags, revisions, hand-overs, stale
//! copies.

use super::{
    Rollout, exposure,
    given::{digest_of, given, moment, plan_of},
};

fn change(
    at: &str,
    key: &str,
    operation: &str,
    gate: &str,
    value: &str,
    environment: &str,
) -> String {
    format!(
        "{at} flag.changed basis=observed; key={key}; operation={operation}; gate={gate}; \
         value=\"{value}\"; service=flipper; environment={environment}"
    )
}

#[test]
fn several_flags_each_with_its_role_and_environment() {
    let history = [
        "01-02 09:00 flag.registered key=form; role=rollout; valid_from=2025-01-10T00:00:00Z",
        "01-02 09:00 flag.registered key=form_off; role=kill_switch",
        // Before the flag counted for this rollout.
        &change("01-05 09:00", "form", "enable", "boolean", "true", "production"),
        &change("01-09 09:00", "form", "disable", "boolean", "f", "production"),
        &change("01-13 15:00", "form", "enable", "percentage_of_actors", "5", "production"),
        &change("01-13 14:00", "form", "enable", "boolean", "t", "staging"),
        &change("01-13 16:00", "form", "enable", "actor", "p1", "production"),
        &change("01-14 15:00", "other", "enable", "boolean", "t", "production"),
    ]
    .join("\n");
    let now = Rollout::fold(&given(&history)).current();
    let flags: Vec<String> = now
        .flags
        .iter()
        .map(|f| {
            let (key, environment) = (&f.newest.key, &f.newest.environment);
            format!("{key} {environment}: {}", exposure::words(&f.newest.exposures))
        })
        .collect();
    assert_eq!(flags, ["form production: 5 %, 1 user", "form staging: everyone"]);

    let rollout = Rollout::fold(&given(&history));
    let (_, form) = rollout.flags.registered().next().unwrap();
    assert!(form.moves().iter().all(|m| m.at() >= moment("01-10 00:00")));
}

#[test]
fn a_flag_may_be_registered_after_its_changes() {
    let history = format!(
        "{}\n02-01 09:00 flag.registered key=form; role=rollout",
        change("01-13 15:00", "form", "enable", "percentage_of_actors", "10", "production")
    );
    let now = Rollout::fold(&given(&history)).current();
    assert_eq!(now.flags[0].newest.share_bp(), Some(1_000));
}

#[test]
fn every_revision_of_the_plan_is_kept() {
    let history = [
        plan_of(1, "01-02 09:00", &[("kpis/1", "KPI 1", "[FILL_IN]"), ("title", "", "Form")]),
        plan_of(2, "02-02 09:00", &[("kpis/1", "KPI 1", "35%"), ("title", "", "Form")]),
    ];
    let rollout = Rollout::fold(&given(&history.join("\n")));
    let shown: Vec<_> = rollout
        .plan
        .revisions
        .iter()
        .map(|r| (r.number, r.digest.clone(), r.values, r.blanks))
        .collect();
    assert_eq!(shown, [(1, digest_of(1), 1, 1), (2, digest_of(2), 2, 0)]);
}

#[test]
fn imported_values_are_unverified_until_somebody_confirms_them() {
    let history = "
        - @02-01 09:00 stage.results_recorded basis=imported; stage=stage-a; results.unique_users=#5
        - @02-01 09:00 stage.results_recorded basis=imported; stage=stage-b; results.unique_users=#6
        02-02 09:00 value.confirmed target=@1; by.role=analyst; source=Datadog";
    let rollout = Rollout::fold(&given(history));
    let unverified: Vec<_> = rollout
        .stages
        .iter()
        .flat_map(|s| &s.attempts)
        .flat_map(|a| &a.results)
        .map(|r| (r.value.stage.as_str(), r.from.unverified, r.from.confirmed_by.clone()))
        .collect();
    assert_eq!(unverified, [("stage-a", true, vec![]), ("stage-b", false, vec![2])]);
}

#[test]
fn an_owner_hands_over() {
    let rollout = Rollout::fold(&given(
        r#"01-02 09:00 release.defined title=Form; kind=flag; owners=[{"role":"product"},{"role":"engineering"}]
        02-02 09:00 ownership.transferred from.role=product; to.role=support"#,
    ));
    let roles: Vec<_> = rollout.owners().into_iter().filter_map(|p| p.role).collect();
    assert_eq!(roles, ["engineering", "support"]);
}

#[test]
fn a_false_alarm_is_an_alert_that_ended_and_a_rollback_that_says_so() {
    let rollout = Rollout::fold(&given(
        "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 15:50 alert.raised monitor=errors; incident=i1
        01-13 16:00 rollback.started trigger=false_alarm; to=off
        01-13 16:20 alert.cleared monitor=errors; incident=i1
        01-13 16:30 rollback.completed to=off
        01-13 17:00 rollout.resumed stage=stage-a; exposures=10%",
    ));
    assert!(rollout.measurements.alerts[0].cleared.is_some());
    assert_eq!(rollout.rollbacks.actual[0].resumed.as_ref().map(super::Fact::seq), Some(5));
    let now = rollout.current();
    assert_eq!(
        (now.status, exposure::words(&now.exposures)),
        (super::Status::Running, "10 %".into())
    );
}

#[test]
fn a_stage_given_up_in_a_rollback_does_not_end_the_rollback() {
    let history = "01-13 15:00 stage.started stage=stage-a; exposures=10%
        01-13 16:00 rollback.started trigger=bug; to=off
        01-13 16:10 stage.cancelled stage=stage-a";
    assert_eq!(Rollout::fold(&given(history)).status(), super::Status::RollingBack);
    let ended = format!("{history}\n01-13 17:00 rollback.completed to=off");
    assert_eq!(Rollout::fold(&given(&ended)).status(), super::Status::RolledBack);
    let again = format!("{ended}\n01-14 17:00 stage.started stage=stage-a");
    assert_eq!(Rollout::fold(&given(&again)).status(), super::Status::Running);
}

const ROLLED_BACK: &str = "
    - @01-01 09:00 stage.planned stage=stage-a; label=A; ordinal=1; exposures=10%
    - @01-01 09:00 stage.planned stage=stage-b; label=B; ordinal=2; exposures=25%
    01-13 15:00 stage.started stage=stage-a; exposures=10%
    01-13 16:00 rollback.started trigger=bug; to=off
    01-13 17:00 rollback.completed to=off";

#[test]
fn going_on_after_a_rollback_is_another_attempt() {
    let again = "01-20 15:00 stage.started stage=stage-a; exposures=10%";
    let rows: [(&[&str], &str, &str); 8] = [
        (&["01-20 15:00 rollout.resumed"], "running #2 at 10 %", "5, resumed"),
        (
            &["01-20 15:00 rollout.resumed stage=stage-a; exposures=5%"],
            "running #2 at 5 %",
            "5, resumed",
        ),
        // One attempt, whichever of the two is recorded first, and said twice at most.
        (&["01-20 15:00 rollout.resumed stage=stage-a", again], "running #2 at 10 %", "6"),
        (&[again, "01-20 15:00 rollout.resumed stage=stage-a"], "running #2 at 10 %", "5"),
        (
            &[
                "01-20 15:00 rollout.resumed",
                "01-20 15:00 stage.started stage=stage-a; attempt=2; exposures=10%",
            ],
            "running #2 at 10 %",
            "6",
        ),
        (
            &["01-20 15:00 rollout.resumed", "01-21 15:00 stage.completed stage=stage-a"],
            "between_stages #2 at 10 %",
            "5, resumed, completed",
        ),
        (
            &[
                "01-20 15:00 rollout.resumed",
                "01-20 16:00 rollback.started trigger=bug; to=off",
                "01-20 17:00 rollout.resumed",
            ],
            "running #3 at 10 %",
            "5, resumed, rolled back",
        ),
        // Another stage than the one that was rolled back.
        (&["01-20 15:00 rollout.resumed stage=stage-b; exposures=25%"], "running #1 at 25 %", ""),
    ];
    for (lines, now, second) in rows {
        let rollout = Rollout::fold(&given(&format!("{ROLLED_BACK}\n{}", lines.join("\n"))));
        let current = rollout.current();
        let status = serde_json::to_value(current.status).unwrap();
        let (attempt, at) = (current.attempt.unwrap(), exposure::words(&current.exposures));
        assert_eq!(format!("{} #{attempt} at {at}", status.as_str().unwrap()), now, "{lines:?}");
        let stage = rollout.stages.iter().next().unwrap();
        assert_eq!(stage.attempts[0].rollback_seqs, [3]);
        let shown = stage.attempts.get(1).map_or(String::new(), |a| {
            let resumed = if a.by_resumption { ", resumed" } else { "" };
            let ended = if a.ended.is_empty() { "" } else { ", completed" };
            let back = if a.rollback_seqs.is_empty() { "" } else { ", rolled back" };
            format!("{}{resumed}{ended}{back}", a.started.as_ref().unwrap().seq())
        });
        assert_eq!(shown, second, "{lines:?}");
    }
}

#[test]
fn what_follows_going_on_belongs_to_the_new_attempt() {
    let history = format!(
        "{ROLLED_BACK}
        01-20 15:00 rollout.resumed stage=stage-a; exposures=10%; reason=fixed"
    );
    let now = moment("01-22 00:00");
    let rollout = Rollout::fold(&given(&history));
    assert_eq!(rollout.next_missing(now).what, "No results of stage-a are recorded.");
    let facts = rollout.unplaced_facts(&[]).into_iter().filter(|f| f.seqs == [5]);
    assert_eq!(facts.count(), 1, "going on is told once");

    let history = format!(
        "{history}\n01-21 15:00 stage.results_recorded stage=stage-a; results.unique_users=#7"
    );
    let rollout = Rollout::fold(&given(&history));
    let rows = crate::report::Report::of(&rollout, now).stages;
    let shown: Vec<_> = rows
        .iter()
        .map(|r| format!("{} {:?} {} {}", r.stage, r.attempt, r.outcome, r.results.len()))
        .collect();
    assert_eq!(
        shown,
        [
            "stage-a Some(1) rolled back 0",
            "stage-a Some(2) running 1",
            "stage-b None not started 0"
        ]
    );
    assert_eq!(rollout.next_missing(now).what, "No start of stage-b is recorded.");
}
