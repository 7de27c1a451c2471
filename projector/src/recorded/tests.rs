//! What two clocks select.

use super::*;
use crate::{
    checkpoints::snapshots,
    rollout::{
        Rollout,
        given::{given, moment, plan_of},
    },
};

const OBSERVED: &str = "01-12 15:00 metric.observed metric=B; checkpoint=P7D; quantity=#30
    01-15 15:00 metric.observed metric=B; checkpoint=P7D; quantity=#31; restates=@0";

fn readings(as_of: &str) -> Vec<(String, Option<String>)> {
    let history = format!("{OBSERVED}\n01-10 15:00 rollout.launched exposures=all");
    let now = moment(as_of);
    let rollout = Rollout::at(&given(&history), Some(now.0), None);
    let week = snapshots(&rollout, now).swap_remove(0);
    let actual = |kpi: &crate::checkpoints::kpis::Kpi| kpi.actual.as_ref().map(|v| v.raw.clone());
    week.kpis.iter().map(|kpi| (kpi.name.clone(), actual(kpi))).collect()
}

#[test]
fn a_reading_holds_until_it_is_restated() {
    assert_eq!(readings("01-13 00:00"), [("B".to_owned(), Some("30".to_owned()))]);
    assert_eq!(readings("01-16 00:00"), [("B".to_owned(), Some("31".to_owned()))]);
    // As of then a restatement of later is not there, whoever asks.
    let chosen = select(&given(OBSERVED), Some(moment("01-13 00:00").0), None);
    assert_eq!(chosen.len(), 1);
    assert!(chosen.iter().all(|e| e.amended.restated_by.is_empty()));
    let chosen = select(&given(OBSERVED), None, None);
    assert_eq!(chosen.first().unwrap().amended.restated_by, [1]);
}

#[test]
fn a_plan_holds_whenever_one_looks_unless_its_events_have_a_time() {
    let plan = plan_of(1, "- @02-01 09:00", &[("kpis/1", "Letters", "at least 10")]);
    let history = format!(
        "{plan}
         - @02-01 09:00 stage.planned stage=stage-a; label=Stage A; ordinal=1; exposures=10%
         - @02-01 09:00 stage.started stage=stage-a; basis=imported
         02-01 09:00 criterion.set criterion=late; text=x; form=threshold; scope=checkpoint
         01-10 15:00 rollout.launched exposures=all"
    );
    let events = given(&history);
    let seqs = |as_of: Option<&str>, known_at: Option<&str>| {
        let us = |text: Option<&str>| text.map(|text| moment(text).0);
        let chosen = select(&events, us(as_of), us(known_at));
        chosen.iter().map(|e| e.seq).collect::<Vec<_>>()
    };
    // What the plan declares is there; what it says happened, nobody knows when, is not.
    assert_eq!(seqs(Some("01-13 00:00"), None), [4, 0, 1]);
    assert_eq!(seqs(Some("01-13 00:00"), Some("01-13 00:00")), [4]);
    assert_eq!(seqs(Some("02-02 00:00"), None), [4, 0, 1, 3]);
    let early = Rollout::at(&events, Some(moment("01-13 00:00").0), None);
    assert_eq!(early.plan.newest().map(|r| r.fields.len()), Some(1));
}
