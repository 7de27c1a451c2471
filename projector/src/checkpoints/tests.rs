//! When snapshots fall due, and what becomes of them.

use super::*;
use crate::rollout::given::{given, moment, short};

/// When a checkpoint falls due after a launch, in a plan's zone.
fn due(launched: &str, name: &str, zone: &str) -> Option<String> {
    let history = format!(
        "01-01 00:00 release.defined title=t; kind=flag; time_zone={zone}
         {launched} rollout.launched exposures=all
         {launched} criterion.set criterion=c; text=t; form=unspecified; scope=checkpoint; checkpoint={name}"
    );
    let all = Checkpoints::of(&Rollout::fold(&given(&history)));
    all.get(name).unwrap().due.map(short)
}

#[test]
fn due_at_nine_local_time_whatever_the_clocks_do() {
    let rows = [
        ("01-15 15:00", "P7D", "America/New_York", "01-22 14:00"),
        // Already the 16th in UTC, still the 15th in New York.
        ("01-16 03:00", "P7D", "America/New_York", "01-22 14:00"),
        // Clocks go forward on 9 March and back on 2 November.
        ("03-05 20:00", "P7D", "America/New_York", "03-12 13:00"),
        ("10-30 15:00", "P7D", "America/New_York", "11-06 14:00"),
        // Due on the very days on which the clocks change.
        ("03-08 20:00", "P1D", "America/New_York", "03-09 13:00"),
        ("11-01 20:00", "P1D", "America/New_York", "11-02 14:00"),
        // Launched in the hour that is skipped, and in either of those that come twice.
        ("03-09 07:30", "P7D", "America/New_York", "03-16 13:00"),
        ("11-02 05:30", "P7D", "America/New_York", "11-09 14:00"),
        ("11-02 06:30", "P7D", "America/New_York", "11-09 14:00"),
        ("03-29 20:00", "P1D", "Europe/Berlin", "03-30 07:00"),
        ("10-25 20:00", "P1D", "Europe/Berlin", "10-26 08:00"),
        ("02-20 15:00", "P1M", "America/New_York", "03-20 13:00"),
        // Months have no thirty-first day to fall on.
        ("01-31 15:00", "P1M", "America/New_York", "02-28 14:00"),
        ("2028-01-31 15:00", "P1M", "America/New_York", "2028-02-29 14:00"),
        ("08-31 15:00", "P3M", "America/New_York", "11-30 14:00"),
        ("2027-11-30 15:00", "P3M", "America/New_York", "2028-02-29 14:00"),
        ("01-15 15:00", "P3M", "America/Los_Angeles", "04-15 16:00"),
        ("01-15 15:00", "P1D", "UTC", "01-16 09:00"),
        // Across the date line it is the next day already.
        ("01-15 15:00", "P1D", "Pacific/Auckland", "01-16 20:00"),
    ];
    for (anchor, name, zone, expected) in rows {
        assert_eq!(due(anchor, name, zone).as_deref(), Some(expected), "{anchor} {name} {zone}");
    }
}

#[test]
fn grace_is_seven_days_of_local_time() {
    let history = given("03-01 15:00 rollout.launched exposures=all");
    let all = Checkpoints::of(&Rollout::fold(&history));
    let week = all.get("P7D").unwrap();
    // Due before the clocks go forward, at nine o'clock; the grace ends at nine o'clock too.
    assert_eq!(week.due.map(short).as_deref(), Some("03-08 14:00"));
    assert_eq!(week.grace_ends.map(short).as_deref(), Some("03-15 13:00"));
}

#[test]
fn what_became_of_each_by_an_instant() {
    let launched = "01-15 15:00 rollout.launched exposures=all";
    let unknown = "- @01-15 15:00 rollout.launched basis=imported; exposures=all";
    let relaunched = format!("{launched}\n02-03 15:00 rollout.launched relaunch=true");
    let recorded =
        format!("{launched}\n01-23 10:00 checkpoint.recorded checkpoint=P7D; results={{}}");
    let late = recorded.replace("01-23", "01-29 14:01").replace("14:01 10:00", "14:01");
    let stale = format!("{recorded}\n02-03 15:00 rollout.launched relaunch=true");
    let missed = format!(
        "{launched}\n01-30 10:00 checkpoint.missed checkpoint=P7D; due=2025-01-22T14:00:00Z"
    );
    let quarter =
        format!("{launched}\n01-15 16:00 checkpoint.due checkpoint=P3M; due=2025-04-15T13:00:00Z");
    let rows = [
        (launched, "01-22 13:59", "P7D pending, P1M pending"),
        (launched, "01-22 14:00", "P7D due, P1M pending"),
        (launched, "01-29 14:00", "P7D overdue, P1M pending"),
        (unknown, "06-01 00:00", "P7D not anchored, P1M not anchored"),
        (&relaunched, "02-04 00:00", "P7D pending, P1M pending"),
        (&recorded, "01-29 14:00", "P7D recorded, P1M pending"),
        (&late, "02-01 14:00", "P7D recorded late, P1M pending"),
        (&stale, "02-04 00:00", "P7D pending, P1M pending"),
        (&missed, "01-31 00:00", "P7D missed, P1M pending"),
        // What a stranger announces, no plan asks for.
        (&quarter, "01-16 00:00", "P7D pending, P1M pending"),
    ];
    for (history, now, expected) in rows {
        let all = Checkpoints::of(&Rollout::fold(&given(history)));
        let state = |c: &Checkpoint| format!("{} {}", c.name, c.state(moment(now)).as_str());
        let shown: Vec<_> = all.iter().map(state).collect();
        assert_eq!(shown.join(", "), expected, "{history} by {now}");
    }
}

#[test]
fn a_plan_names_more_checkpoints() {
    assert_eq!(checkpoint_of("checkpoints/P3M/unique_users"), Some("P3M"));
    assert_eq!(checkpoint_of("checkpoints/later/unique_users"), None);
    assert_eq!(checkpoint_of("stages/P3M/results/latency"), None);
}

#[test]
fn events_name_checkpoints_too() {
    let rows = [
        (
            "01-10 09:00 criterion.set criterion=c; text=x; form=threshold; scope=checkpoint; \
             checkpoint=P1D",
            "P1D P7D P1M",
        ),
        ("01-17 09:00 metric.observed metric=B; checkpoint=P3M; quantity=#3", "P7D P1M P3M"),
        ("01-17 09:00 bug.found bug=b; title=t; checkpoint=P2W", "P7D P2W P1M"),
        ("01-10 09:00 metric.observed metric=B; checkpoint=baseline; quantity=#3", "P7D P1M"),
        ("01-10 09:00 metric.observed metric=B; checkpoint=P0D; quantity=#3", "P7D P1M"),
        ("01-10 09:00 metric.observed metric=B; checkpoint=PT2H; quantity=#3", "P7D P1M"),
    ];
    for (more, expected) in rows {
        let launched = "01-15 15:00 rollout.launched exposures=all";
        let rollout = Rollout::fold(&given(&format!("{launched}\n{more}")));
        let names: Vec<String> = Checkpoints::of(&rollout).0.into_iter().map(|c| c.name).collect();
        assert_eq!(names.join(" "), expected, "{more}");
        let falls_due = crate::schedule::of(&rollout);
        let falls_due = falls_due.iter().filter_map(|scheduled| match &scheduled.what {
            crate::schedule::What::CheckpointDue(of) => Some(of.checkpoint.as_str()),
            _ => None,
        });
        assert_eq!(falls_due.collect::<Vec<_>>().join(" "), expected, "{more}");
    }
}

#[test]
fn a_plan_names_what_it_counts_from() {
    let history = |words: &str, more: &str| {
        let fields = [("checkpoints/P7D/anchor", "", words)];
        let plan = crate::rollout::given::plan_of(1, "01-01 00:00", &fields);
        format!(
            "{plan}
             01-05 15:00 stage.started stage=stage-e; exposures=100%
             01-10 15:00 rollout.launched exposures=all
             {more}"
        )
    };
    let back = "01-11 15:00 rollback.started to=10%; trigger=bug";
    let again = format!("{back}\n02-01 15:00 stage.started stage=stage-e; exposures=100%");
    let relaunched = format!("{back}\n02-03 15:00 rollout.launched relaunch=true");
    let both = format!("{again}\n02-03 15:00 rollout.launched relaunch=true");
    let rows = [
        ("1-week results", "", Some((2, "01-17 14:00"))),
        ("1-week results (at 100%)", "", Some((1, "01-12 14:00"))),
        ("1-week results post 100 % rollout", back, Some((1, "01-12 14:00"))),
        ("1-week results at 100%", &again, Some((4, "02-08 14:00"))),
        ("1-week results at 100%", &relaunched, Some((4, "02-10 14:00"))),
        ("1-week results at 100%", &both, Some((5, "02-10 14:00"))),
        ("1-week results", &relaunched, Some((4, "02-10 14:00"))),
        ("1 week after the relaunch", "", None),
        ("1 week after the relaunch", &relaunched, Some((4, "02-10 14:00"))),
    ];
    for (words, more, expected) in rows {
        let all = Checkpoints::of(&Rollout::fold(&given(&history(words, more))));
        let week = all.get("P7D").unwrap();
        let found = week.anchor.zip(week.due.map(short));
        let found = found.as_ref().map(|(seq, due)| (*seq, due.as_str()));
        assert_eq!(found, expected, "{words} {more}");
        // The other one is counted from the launch whatever the plan says of this one.
        assert_eq!(all.get("P1M").unwrap().counted_from, CountedFrom::Launch);
    }
}

#[test]
fn an_announcement_that_no_longer_holds_is_kept_apart() {
    let announced = "01-15 15:00 rollout.launched exposures=all
        01-22 14:00 checkpoint.due checkpoint=P7D; anchor=@0; due=2025-01-22T14:00:00Z
        01-29 14:00 checkpoint.missed checkpoint=P7D; anchor=@0; due=2025-01-22T14:00:00Z";
    let zone = "01-30 00:00 release.defined title=t; kind=flag; time_zone=Asia/Tokyo";
    let withdrawn = "01-30 00:00 event.withdrawn target=@0; reason=slip";
    let relaunched = "02-03 15:00 rollout.launched relaunch=true";
    let rows = [
        ("", "missed, announced [1], superseded []"),
        (zone, "overdue, announced [], superseded [1, 2]"),
        (withdrawn, "not anchored, announced [], superseded [1, 2]"),
        // True of the launch before; nothing that holds for this one is taken back.
        (relaunched, "pending, announced [], superseded []"),
    ];
    for (more, expected) in rows {
        let all = Checkpoints::of(&Rollout::fold(&given(&format!("{announced}\n{more}"))));
        let week = all.get("P7D").unwrap();
        let state = week.state(moment("02-04 00:00")).as_str();
        let (announced, superseded) = (&week.announced, &week.superseded);
        let found = format!("{state}, announced {announced:?}, superseded {superseded:?}");
        assert_eq!(found, expected, "{more}");
    }
}

#[test]
fn a_relaunch_takes_back_nothing_that_is_true_of_the_launch_before() {
    let history = r#"01-05 15:00 rollout.launched exposures=all
        01-12 14:00 checkpoint.due checkpoint=P7D; anchor=@0; due=2025-01-12T14:00:00Z
        01-13 10:00 checkpoint.recorded checkpoint=P7D; results={"goals":[{"name":"Calls","quantity":{"raw":"12","value":"12"}}]}
        01-13 11:00 metric.observed metric=Speed; checkpoint=P7D; quantity=#3
        02-04 14:00 checkpoint.due checkpoint=P1M; anchor=@0; due=2025-02-05T14:00:00Z
        02-06 15:00 rollout.launched relaunch=true
        02-14 10:00 metric.observed metric=Speed; checkpoint=P7D; quantity=#9"#;
    let rollout = Rollout::fold(&given(history));
    let line = |s: &Snapshot| {
        let kpis = s.kpis.iter().map(|k| k.actual.as_ref().map_or("-", |v| v.raw.as_str()));
        let (state, kpis) = (s.state.as_str(), kpis.collect::<Vec<_>>().join(" "));
        format!(
            "{} {state} from {:?} by {:?}, said {:?} {:?}, {kpis}",
            s.checkpoint, s.anchor, s.recorded_by, s.announced, s.superseded
        )
    };
    let all = snapshots(&rollout, moment("02-14 12:00"));
    let expected = [
        "P7D recorded from Some(0) by Some(2), said [1] [], 12 3",
        "P7D due from Some(5) by None, said [] [], 9",
        "P1M replaced from Some(0) by None, said [4] [], ",
        "P1M pending from Some(5) by None, said [] [], ",
    ];
    assert_eq!(all.iter().map(line).collect::<Vec<_>>(), expected);
    // A launch that moved takes its announcements along: those no longer hold.
    let moved = format!(
        "{history}\n03-01 00:00 event.corrected target=@0; reason=slip; replacement={{\"basis\":\
         \"reported\",\"exposures\":[{{\"kind\":\"all\"}}],\"occurrence\":{{\"precision\":\"minute\",\
         \"earliest\":\"2025-01-06T15:00:00Z\"}}}}"
    );
    let all = snapshots(&Rollout::fold(&given(&moved)), moment("02-14 12:00"));
    let found = all.iter().map(|s| (s.announced.as_slice(), s.superseded.as_slice()));
    let expected: [(&[u64], &[u64]); 4] = [(&[], &[1]), (&[], &[]), (&[], &[4]), (&[], &[])];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
