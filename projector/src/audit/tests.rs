//! Hand-made histories, and what the questions say of them.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::{
    Approvals, Cited, Gaps, Restated, State, Trail, Wanted, WhoChanged,
    gaps::{Facts, may_fill},
};
use crate::{
    recorded::{Moment, Recorded},
    rollout::given::{digest_of, given, hash_of, moment, plan_of},
};

const ALL: Wanted = Wanted { after: None, limit: 500 };

/// Everything that an answer names is there, with its own hash.
fn cites_what_is_there(rests_on: &[Cited], events: &[Recorded]) {
    assert!(!rests_on.is_empty());
    for cited in rests_on {
        let event = events.iter().find(|e| e.seq == cited.seq).expect("an event at hand");
        assert_eq!(event.hash, cited.hash, "{}", cited.seq);
    }
}

fn change(at: &str, what: &str) -> String {
    format!("{at} flag.changed key=f; service=s; environment=production; {what}")
}

#[test]
fn who_changed_a_flag_in_the_order_of_its_rows_with_the_state_behind_each() {
    let history = [
        change("01-13 15:00", "row=2; operation=enable; gate=percentage_of_actors; value=\"5\"; actor=&ada"),
        change("01-12 15:00 @01-14 09:00", "row=1; operation=add"),
        change("01-15 15:00", "row=3; operation=enable; gate=boolean; actor=&bo"),
        change("01-16 15:00", "row=4; operation=disable; gate=boolean"),
        "01-17 09:00 event.withdrawn target=@2; reason=staging".to_owned(),
        "01-17 09:10 event.corrected target=@0; reason=typo; replacement={\"key\":\"f\",\"service\":\"s\",\"environment\":\"production\",\"row\":2,\"operation\":\"enable\",\"gate\":\"percentage_of_actors\",\"value\":\"10\",\"basis\":\"reported\"}".to_owned(),
    ];
    let events = given(&history.join("\n"));
    let shown = |wanted| {
        let answer = WhoChanged::of("f", &events, wanted).unwrap();
        cites_what_is_there(&answer.rests_on, &events);
        let row = |c: &super::who_changed::Change| {
            let share = c.state_after.as_ref().map(|g| g.percentage_of_actors.to_string());
            let share = share.unwrap_or_else(|| "-".to_owned());
            let (who, lag) = (c.line.who.claimed.as_deref(), c.line.lag_seconds);
            format!("{} {share} {} {lag:?}", c.line.seq, who.unwrap_or("-"))
        };
        let rows: Vec<_> = answer.changes.iter().map(row).collect();
        format!("{} of {}, next {:?}", rows.join("\n"), answer.total, answer.page.next_after)
    };
    expect![[r#"
        1 0 - Some(151200)
        0 10 - Some(0)
        3 0 - Some(0)
        2 - bo Some(0) of 4, next None"#]]
    .assert_eq(&shown(ALL));
    expect!["0 10 - Some(0) of 4, next Some(0)"]
        .assert_eq(&shown(Wanted { after: Some(1), limit: 1 }));
    assert!(WhoChanged::of("f", &events, Wanted { after: Some(5), limit: 1 }).is_none());
}

#[test]
fn a_state_is_what_had_happened_by_one_moment_as_it_was_known_at_another() {
    let history = [
        change("01-12 15:00", "row=1; operation=enable; gate=percentage_of_actors; value=\"5\""),
        change("01-13 15:00 @01-20 09:00", "row=2; operation=enable; gate=group; value=staff"),
        change("01-14 15:00", "row=3; operation=enable; gate=percentage_of_actors; value=\"25\""),
        "01-21 09:00 event.withdrawn target=@2; reason=staging".to_owned(),
        change("- @01-22 09:00", "row=4; operation=disable; gate=boolean"),
    ];
    let events = given(&history.join("\n"));
    let rows = [
        (None, None, "0 by 4, groups [], exists by 0, unknown []"),
        (Some("01-15 00:00"), None, "5 by 0, groups [staff by 1], exists by 0, unknown [4]"),
        (Some("01-15 00:00"), Some("01-19 00:00"), "25 by 2, groups [], exists by 0, unknown []"),
        (
            Some("01-15 00:00"),
            Some("01-20 10:00"),
            "25 by 2, groups [staff by 1], exists by 0, unknown []",
        ),
        (Some("01-13 00:00"), None, "5 by 0, groups [], exists by 0, unknown [4]"),
        (Some("01-11 00:00"), Some("01-21 00:00"), "0 by -, groups [], exists by -, unknown []"),
    ];
    for (at, known_at, expected) in rows {
        let us = |text: Option<&str>| text.map(|text| moment(text).0);
        let state = State::of("f", &events, us(at), us(known_at));
        let place = &state.places[0];
        let by = |c: &Option<Cited>| c.as_ref().map_or("-".to_owned(), |c| c.seq.to_string());
        let share = &place.percentage_of_actors;
        let groups: Vec<_> =
            place.groups.iter().map(|g| format!("{} by {}", g.value, by(&g.set_by))).collect();
        let unknown: Vec<_> = place.time_unknown.iter().map(|c| c.seq.to_string()).collect();
        let shown = format!(
            "{} by {}, groups [{}], exists by {}, unknown [{}]",
            share.value,
            by(&share.set_by),
            groups.join(" "),
            by(&place.exists_since),
            unknown.join(" ")
        );
        assert_eq!(shown, expected, "at {at:?} known {known_at:?}");
        if place.exists {
            cites_what_is_there(&state.rests_on, &events);
        }
    }
    assert!(State::of("f", &events, None, Some(moment("01-11 00:00").0)).places.is_empty());
}

#[test]
fn a_change_that_may_have_happened_already_is_named() {
    let history = [
        change("01-05 15:00", "row=1; operation=add"),
        change(
            "- @01-20 09:00",
            "row=2; operation=enable; gate=boolean; occurrence={\"latest\":\"2025-01-15T00:00:00Z\",\"precision\":\"unknown\"}",
        ),
    ];
    let events = given(&history.join("\n"));
    for (at, on, unknown) in [("01-09 00:00", false, &[1][..]), ("01-15 00:00", true, &[])] {
        let place = &State::of("f", &events, Some(moment(at).0), None).places[0];
        let named: Vec<_> = place.time_unknown.iter().map(|c| c.seq).collect();
        assert_eq!((place.boolean.value, &named[..]), (on, unknown), "{at}");
    }
}

#[test]
fn a_gate_that_was_turned_off_names_the_event_that_did_so() {
    let rows = [
        ("row=1; operation=disable; gate=boolean", [Some(0), Some(0), Some(0)]),
        ("row=1; operation=clear", [Some(0), Some(0), Some(0)]),
        ("row=1; operation=add", [None; 3]),
        ("row=1; operation=disable; gate=percentage_of_actors", [None, Some(0), None]),
        ("row=1; operation=disable; gate=expression", [None, None, Some(0)]),
    ];
    for (what, expected) in rows {
        let history = [
            change("01-05 15:00", what),
            change("01-06 15:00", "row=2; operation=disable; gate=boolean"),
        ];
        let events = given(&history.join("\n"));
        let place = &State::of("f", &events[..1], None, None).places[0];
        let by = |c: &Option<Cited>| c.as_ref().map(|c| c.seq);
        let set = [
            by(&place.boolean.set_by),
            by(&place.percentage_of_actors.set_by),
            by(&place.expression.set_by),
        ];
        assert_eq!(set, expected, "{what}");
        let place = &State::of("f", &events, None, None).places[0];
        let first = |by| Some(Option::unwrap_or(by, 1));
        assert_eq!(by(&place.boolean.set_by), first(expected[0]), "{what}: the first keeps it off");
    }
}

#[test]
fn a_trail_marks_what_was_corrected_or_withdrawn() {
    let history = "01-05 09:00 note.added text=a
        01-06 09:00 note.added text=b
        01-07 09:00 note.added text=c
        01-08 09:00 event.corrected target=@0; reason=day; replacement={\"text\":\"a\",\"basis\":\"reported\",\"occurrence\":{\"earliest\":\"2025-01-02T09:00:00Z\",\"precision\":\"minute\"}}
        01-08 10:00 event.withdrawn target=@1; reason=staging
        01-08 11:00 event.withdrawn target=@2; reason=staging
        01-08 12:00 event.withdrawn target=@5; reason=it was so";
    let events = given(history);
    let trail = Trail::of(&events[..3], &events[3..], false, None);
    let marks: Vec<_> = trail
        .events
        .iter()
        .map(|s| (s.corrected_by.clone(), s.corrected_time, s.withdrawn_by))
        .collect();
    let day = Some(moment("01-02 09:00"));
    assert_eq!(marks, [(vec![3], day, None), (vec![], None, Some(4)), (vec![], None, None)]);
    let rests_on: Vec<_> = trail.rests_on.iter().map(|c| c.seq).collect();
    assert_eq!(rests_on, [0, 1, 2, 3, 4]);
}

fn approved(history: &str) -> Value {
    let events = given(history);
    let approvals = Approvals::of("claim-form", &events, None, None);
    cites_what_is_there(&approvals.rests_on, &events);
    serde_json::to_value(approvals).unwrap()
}

#[test]
fn an_approval_says_on_which_plan_it_was_made_and_knowing_what() {
    let plan = |n, at| format!("{}; actor=&ada", plan_of(n, at, &[("title", "", "Form")]));
    let story = |named: &str| {
        format!(
            "{}
            01-05 09:00 stage.started stage=stage-a
            01-06 09:00 stage.results_recorded stage=stage-a; results.unique_users=#40
            01-06 10:00 metric.observed metric=errors; stage=stage-a; quantity=#2
            {}
            01-08 09:00 @01-10 09:00 gate.decided gate=stage; stage=stage-b; verdict=conditional; considered=[2,6]; conditions=[\"Fix it\"]; actor=&bo; decided_by=[{{\"actor\":{{\"kind\":\"person\",\"id\":\"ada\"}}}}]{named}
            01-10 09:00 stage.started stage=stage-b",
            plan(1, "01-01 09:00"),
            plan(2, "01-07 09:00"),
        )
    };
    let digest = |n| format!("; plan_revision={}", digest_of(n));
    let rows = [
        (String::new(), "It names no revision; revision 2 was in force."),
        (digest(2), "It names revision 2, which was in force."),
        (digest(1), "It names revision 1; revision 2 was in force."),
        (digest(3), "It names a revision that the ledger does not hold; revision 2 was in force."),
    ];
    for (named, expected) in rows {
        let approvals = approved(&story(&named));
        assert_eq!(approvals["decisions"][0]["plan"]["words"], expected);
    }
    let decision = &approved(&story(""))["decisions"][0];
    assert_eq!(decision["attempt"], 1);
    assert_eq!(decision["lag_seconds"], 172_800);
    assert_eq!(decision["author_is_approver"]["outcome"], "broken");
    assert_eq!(decision["open_conditions"], 1);
    let listed: Vec<_> = decision["considered"]["listed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["seq"].as_u64().unwrap(), l["recorded_afterwards"].as_bool().unwrap()))
        .collect();
    assert_eq!(listed, [(2, false), (6, true)]);
    let not_listed = decision["considered"]["not_listed"].as_array().unwrap();
    assert_eq!(not_listed.len(), 1, "{not_listed:?}");
    assert_eq!((&not_listed[0]["seq"], &not_listed[0]["hash"]), (&3.into(), &hash_of(3).into()));
    assert_eq!(decision["who"]["claimed"], "bo");
    assert_eq!(decision["who"]["claim"], "submitter_not_seen");
}

#[test]
fn promised_sign_offs_are_given_refused_ticked_absent_or_cannot_be_told() {
    let plan = plan_of(
        1,
        "01-01 09:00",
        &[
            ("checklist/before/1", "The text is approved by the content team", "[ ]"),
            ("other/notes/1", "Sign-offs", "privacy officer, each discipline"),
            ("other/notes/2", "Approved by", ""),
        ],
    );
    let party = |role: &str, verdict: &str| {
        format!("{{\"party\":{{\"role\":\"{role}\"}},\"verdict\":\"{verdict}\"}}")
    };
    let told = |sign_offs: &str, more: &str| {
        let history = format!(
            "{plan}\n{more}\n01-09 09:00 gate.decided gate=launch; verdict=go; sign_offs=[{sign_offs}]"
        );
        let approvals = approved(&history);
        let promised = approvals["decisions"][0]["promised"].as_array().unwrap().clone();
        promised.iter().map(|p| p["standing"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (unclear, tick) = (
        "cannot_be_told",
        "01-02 09:00 checklist.item_set item=The text is approved by the content team; state=done",
    );
    assert_eq!(told("", ""), ["absent", "absent", unclear, unclear]);
    assert_eq!(told("", tick), ["ticked_only", "absent", unclear, unclear]);
    let officer = party("Privacy Officer", "go");
    assert_eq!(told(&officer, tick), ["ticked_only", "given", unclear, unclear]);
    let both =
        format!("{},{}", party("privacy officer", "no, not yet"), party("content team", "go"));
    assert_eq!(told(&both, ""), ["given", "refused", unclear, unclear]);
    // Somebody whom the plan calls otherwise may be meant.
    assert_eq!(told(&party("legal", "go"), ""), [unclear; 4]);
    let none =
        approved("01-01 09:00 note.added text=x\n01-09 09:00 gate.decided gate=launch; verdict=go");
    assert_eq!(none["promised"]["says"], "cannot_be_told");
    let silent = plan_of(1, "01-01 09:00", &[("title", "", "Form")]);
    let silent = approved(&format!("{silent}\n01-09 09:00 gate.decided gate=launch; verdict=go"));
    assert_eq!(silent["promised"]["words"], "No line of revision 1 promises a sign-off.");
}

fn check_restated(history: &str, expected: &Expect) {
    let events = given(history);
    let restated = Restated::of("claim-form", &events);
    cites_what_is_there(&restated.rests_on, &events);
    let value = |v: &Option<Value>| v.as_ref().map_or("-".to_owned(), ToString::to_string);
    let mut lines = Vec::new();
    for change in &restated.changes {
        let values: Vec<_> = change
            .values
            .iter()
            .map(|d| format!("{} {} -> {}", d.pointer, value(&d.old), value(&d.new)))
            .collect();
        let relied: Vec<_> =
            change.relied.iter().map(|r| format!("{} {:?}", r.decision.seq, r.how)).collect();
        lines.push(format!(
            "{:?} {} by {}: stood {} s, lag {:?}, [{}], relied [{}]",
            change.kind,
            change.target.seq,
            change.by.seq,
            change.stood_seconds,
            change.target.lag_seconds,
            values.join(", "),
            relied.join(", ")
        ));
    }
    lines.extend(restated.not_applied.iter().map(|v| format!("{}: {}", v.line.seq, v.words)));
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn what_changed_afterwards_shows_both_values_and_who_relied_on_the_old_one() {
    check_restated(
        "01-05 09:00 stage.started stage=stage-a
        01-06 09:00 @01-07 09:00 metric.observed metric=errors; stage=stage-a; quantity=#2
        01-08 09:00 gate.decided gate=stage; stage=stage-b; verdict=go; considered=[1]
        01-08 10:00 gate.decided gate=stage; stage=stage-b; verdict=go
        01-09 09:00 event.corrected target=@1; reason=typo; replacement={\"metric\":\"errors\",\"stage\":\"stage-a\",\"quantity\":{\"raw\":\"20\",\"value\":\"20\"},\"basis\":\"reported\"}
        01-09 10:00 event.corrected target=@1; reason=again; replacement={\"metric\":\"errors\",\"stage\":\"stage-a\",\"quantity\":{\"raw\":\"21\",\"value\":\"21\"},\"basis\":\"reported\"}
        01-09 11:00 gate.decided gate=stage; stage=stage-c; verdict=go; considered=[1]
        01-10 09:00 metric.observed metric=errors; stage=stage-a; quantity=#22; restates=@1
        01-11 09:00 note.added text=x
        01-11 10:00 event.withdrawn target=@8; reason=wrong
        01-12 09:00 metric.defined metric=errors; unit=%
        01-12 10:00 metric.redefined metric=errors; unit=users; reason=new",
        &expect![[r#"
            Corrected 1 by 4: stood 172800 s, lag Some(86400), [/quantity/raw "2" -> "20", /quantity/value "2" -> "20"], relied [2 Listed, 3 KnownOfItsStage]
            Corrected 1 by 5: stood 176400 s, lag Some(86400), [/quantity/raw "20" -> "21", /quantity/value "20" -> "21"], relied [2 Listed, 3 KnownOfItsStage]
            Restated 1 by 7: stood 259200 s, lag Some(86400), [/quantity/raw "21" -> "22", /quantity/value "21" -> "22"], relied [2 Listed, 3 KnownOfItsStage, 6 Listed]
            Withdrawn 8 by 9: stood 3600 s, lag Some(0), [ {"basis":"reported","text":"x"} -> -], relied []
            Redefined 10 by 11: stood 3600 s, lag Some(0), [/unit "%" -> "users"], relied []"#]],
    );
}

#[test]
fn what_does_not_apply_says_why() {
    check_restated(
        "01-05 09:00 stage.started stage=stage-a
        01-06 09:00 event.corrected target={\"seq\":0,\"hash\":\"1111111111111111111111111111111111111111111111111111111111111111\"}; reason=typo; replacement.stage=stage-b; replacement.basis=reported
        01-06 10:00 event.corrected target=@0; reason=type; replacement.text=a note; replacement.basis=reported
        01-06 11:00 event.withdrawn target=@9; reason=future
        01-06 12:00 event.withdrawn target=@0; reason=mistake
        01-06 13:00 event.withdrawn target=@4; reason=undone",
        &expect![[r#"
            Withdrawn 4 by 5: stood 3600 s, lag Some(0), [ {"basis":"reported","reason":"mistake","target":{"hash":"0000000000000000000000000000000000000000000000000000000000000000","seq":0}} -> -], relied []
            1: Not applied: it names event 0 with a hash that is not that event's.
            2: Not applied: its replacement does not fit the type of event 0.
            3: Not applied: it names event 9, which is not earlier than itself.
            4: Not applied: it was itself withdrawn by event 5."#]],
    );
}

#[test]
fn gaps_are_silence_results_stages_conditions_and_rows() {
    let plan = plan_of(1, "01-01 09:00", &[("title", "", "Form")]);
    let history = format!(
        "{plan}
        01-01 09:00 flag.registered key=f; role=rollout
        01-05 09:00 stage.started stage=stage-a; exposures=10%
        01-08 09:00 gate.decided gate=stage; stage=stage-b; verdict=conditional; conditions=[\"Fix it\",\"Say so\"]
        01-08 10:00 gate.condition_resolved gate=stage; stage=stage-b; condition=Say so; outcome=met
        01-09 09:00 stage.started stage=stage-b; exposures=25%
        {}",
        change("01-20 09:00", "row=1; operation=enable; gate=boolean")
    );
    let events = given(&history);
    let gaps_at = |at: &str| {
        let facts =
            Facts { rollouts: vec![("claim-form".to_owned(), events.clone())], ..Facts::default() };
        serde_json::to_value(Gaps::of(facts, moment(at), 14, None)).unwrap()
    };
    let gaps = gaps_at("02-03 09:00");
    let lacks = &gaps["rollouts"][0];
    assert_eq!(lacks["quiet_for_days"], 14);
    assert_eq!(lacks["results_missing"][0]["stage"], "stage-a");
    assert_eq!(lacks["results_missing"].as_array().unwrap().len(), 1, "{lacks:#}");
    assert_eq!(lacks["open_conditions"][0]["condition"], "Fix it");
    assert_eq!(lacks["open_conditions"].as_array().unwrap().len(), 1);
    assert_eq!(lacks["flags_moved_without_stage"][0]["change"]["seq"], 6);
    assert!(gaps_at("02-03 08:59")["rollouts"][0]["quiet_for_days"].is_null());
    let cited: Vec<Cited> = gaps["rests_on"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| Cited {
            seq: c["seq"].as_u64().unwrap(),
            hash: c["hash"].as_str().unwrap().to_owned(),
        })
        .collect();
    cites_what_is_there(&cited, &events);
}

#[test]
fn rows_that_a_later_import_brings_are_missing_no_more() {
    let import = |file: &str, gaps: &str, more: &str| {
        format!(
            "01-01 09:00 source.imported service=s; environment={more}; file_name={file}; file_sha256={}; first_row=1; last_row=20; rows=9; recorded=2; gaps={gaps}",
            digest_of(1)
        )
    };
    let history = [
        import("a.csv", r#"[{"after":3,"before":6},{"after":9,"before":11}]"#, "production"),
        import("b.csv", "[]", "production"),
        import("c.csv", "[]", "staging"),
    ];
    let imports = given(&history.join("\n"));
    assert_eq!(may_fill(&imports).into_iter().collect::<Vec<_>>(), [(1, 2)]);
    let missing = |rows: &[u64]| {
        let rows = [(1, rows.to_vec())].into_iter().collect();
        let facts = Facts { imports: imports.clone(), rows, ..Facts::default() };
        let gaps = Gaps::of(facts, Moment(0), 14, None).row_gaps;
        gaps.iter().map(|g| (g.after, g.before, g.rows, g.import.seq)).collect::<Vec<_>>()
    };
    assert_eq!(missing(&[]), [(3, 6, 2, 0), (9, 11, 1, 0)]);
    assert_eq!(missing(&[4, 10]), [(3, 6, 1, 0)]);
    assert_eq!(missing(&[4, 5, 10, 12]), []);
}
