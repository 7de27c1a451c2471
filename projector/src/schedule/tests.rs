//! What falls due when, and what was announced already.

use super::*;
use crate::{
    recorded::Recorded,
    rollout::given::{given, moment, short},
};

fn rollout(history: &str) -> Rollout {
    Rollout::fold(&given(history))
}

/// What is to be announced, a line each.
fn shown(rollout: &Rollout) -> Vec<String> {
    let line = |scheduled: &Scheduled| match &scheduled.what {
        What::CheckpointDue(of) => {
            format!("{} due {} @{}", short(scheduled.at), of.checkpoint, of.anchor.seq)
        }
        What::CheckpointMissed(of) => {
            format!("{} missed {} @{}", short(scheduled.at), of.checkpoint, of.anchor.seq)
        }
        What::CleanupDue { flag, ticket } => {
            let ticket = ticket.as_deref().unwrap_or("-");
            format!("{} cleanup {flag} {ticket}", short(scheduled.at))
        }
    };
    of(rollout).iter().map(line).collect()
}

/// The history with everything recorded that has fallen due by then.
fn announced(history: &str, by: &str) -> Vec<Recorded> {
    let mut events = given(history);
    loop {
        let rollout = Rollout::fold(&events);
        let due: Vec<_> = of(&rollout).into_iter().filter(|s| s.at <= moment(by)).collect();
        if due.is_empty() {
            return events;
        }
        for scheduled in due {
            let seq = events.len() as u64;
            let event = scheduled.event(&"claim-form".parse().unwrap());
            let payload = serde_json::to_vec(&event).unwrap();
            let hash = crate::rollout::given::hash_of(seq);
            let recorded = Recorded::read(seq, &hash, moment(by).0, Some(&payload));
            assert!(recorded.known().is_some(), "not an event: {event}");
            assert_eq!(recorded.time, Some(scheduled.at.0));
            events.push(recorded);
        }
    }
}

const LAUNCHED: &str = "01-15 15:00 rollout.launched exposures=all";

#[test]
fn snapshots_fall_due_and_are_missed() {
    let four = ["01-22 14:00 due P7D @0", "01-29 14:00 missed P7D @0", "02-15 14:00 due P1M @0"];
    let missed_month = "02-22 14:00 missed P1M @0";
    let rows: Vec<(String, Vec<&str>)> = vec![
        (LAUNCHED.to_owned(), [&four[..], &[missed_month]].concat()),
        // Taken in time; taken early; taken when nobody knows.
        (
            format!("{LAUNCHED}\n01-23 10:00 checkpoint.recorded checkpoint=P7D; results={{}}"),
            vec![four[0], four[2], missed_month],
        ),
        (
            format!("{LAUNCHED}\n01-22 13:00 checkpoint.recorded checkpoint=P7D; results={{}}"),
            vec![four[2], missed_month],
        ),
        (
            format!(
                "{LAUNCHED}\n- @06-01 00:00 checkpoint.recorded checkpoint=P7D; results={{}}; \
                 basis=imported"
            ),
            vec![four[2], missed_month],
        ),
        // Taken only after the grace: it was missed nevertheless.
        (
            format!("{LAUNCHED}\n02-01 10:00 checkpoint.recorded checkpoint=P7D; results={{}}"),
            vec![four[0], four[1], four[2], missed_month],
        ),
        // A relaunch counts anew; what had not fallen due by then never does.
        (
            format!("{LAUNCHED}\n01-27 15:00 rollout.launched relaunch=true"),
            vec![
                four[0],
                "02-03 14:00 due P7D @1",
                "02-10 14:00 missed P7D @1",
                "02-27 14:00 due P1M @1",
                "03-06 14:00 missed P1M @1",
            ],
        ),
        // Of unknown time, or taken back: nothing is counted from it.
        ("- @01-15 15:00 rollout.launched basis=imported; exposures=all".to_owned(), vec![]),
        (format!("{LAUNCHED}\n01-16 00:00 event.withdrawn target=@0; reason=slip"), vec![]),
        ("01-15 15:00 stage.started stage=stage-a; exposures=10%".to_owned(), vec![]),
    ];
    for (history, expected) in rows {
        assert_eq!(shown(&rollout(&history)), expected, "{history}");
    }
}

#[test]
fn what_was_announced_is_not_said_again() {
    let by = "03-01 00:00";
    let events = announced(LAUNCHED, by);
    assert_eq!(events.len(), 5, "due and missed of two checkpoints");
    assert_eq!(shown(&Rollout::fold(&events)), Vec::<String>::new());
    // One that is taken back is not made again.
    let back = "01-22 14:00 checkpoint.due checkpoint=P7D; anchor=@0; due=2025-01-22T14:00:00Z
        01-23 00:00 event.withdrawn target=@1; reason=slip";
    let mut events = given(&format!("{LAUNCHED}\n{back}"));
    // Somebody else's announcement is a fact of theirs, and silences nobody.
    assert_eq!(shown(&Rollout::fold(&events))[0], "01-22 14:00 due P7D @0");
    events[1].source = SOURCE.to_owned();
    assert_eq!(shown(&Rollout::fold(&events))[0], "01-29 14:00 missed P7D @0");
}

#[test]
fn an_outage_of_forty_days_changes_nothing_but_when_it_is_recorded() {
    let history = format!("{LAUNCHED}\n02-10 15:00 rollout.launched relaunch=true");
    let mut day_by_day: Vec<Recorded> = given(LAUNCHED);
    let days = (16..=31).map(|d| format!("01-{d:02} 23:59"));
    for day in days.chain((1..=24).map(|d| format!("02-{d:02} 23:59"))) {
        if day.starts_with("02-10") {
            day_by_day.push(given(&history).pop().unwrap());
        }
        let seq = day_by_day.len() as u64 + 10;
        for (n, scheduled) in (seq..).zip(of(&Rollout::fold(&day_by_day))) {
            if scheduled.at <= moment(&day) {
                let payload = scheduled.event(&"claim-form".parse().unwrap());
                let bytes = serde_json::to_vec(&payload).unwrap();
                let hash = crate::rollout::given::hash_of(n);
                day_by_day.push(Recorded::read(n, &hash, moment(&day).0, Some(&bytes)));
            }
        }
    }
    let ids = |events: &[Recorded]| {
        let scheduler = events.iter().filter(|e| e.source == SOURCE);
        let mut ids: Vec<_> = scheduler.map(|e| (e.time, e.id.clone())).collect();
        ids.sort();
        ids
    };
    let at_once = announced(&history, "02-24 23:59");
    assert_eq!(ids(&at_once), ids(&day_by_day));
    assert_eq!(ids(&at_once).len(), 4, "P7D due and missed, and again after the relaunch");
}

#[test]
fn an_id_is_one_event() {
    let id = |history: &str| {
        let all = of(&rollout(history));
        let (first, rollout) = (&all[0], "claim-form".parse().unwrap());
        (first.id(&rollout), first.event(&rollout))
    };
    let (launched, event) = id(LAUNCHED);
    // The recipe is in the documents; other languages may follow it.
    let lines = format!(
        "rollout.checkpoint.due.v1\nclaim-form\nP7D\n0:{}\n2025-01-22T14:00:00.000000Z\n\
         2025-01-15/2025-01-21\n2025-01-22T14:00:00.000000Z",
        "0".repeat(64)
    );
    assert_eq!(launched, format!("checkpoint-due-{}", Digest::of(lines.as_bytes())));
    assert_eq!(event["id"], launched.as_str());
    let tokyo =
        format!("{LAUNCHED}\n01-15 16:00 release.defined title=t; kind=flag; time_zone=Asia/Tokyo");
    let later = format!(
        "{LAUNCHED}\n01-16 16:00 event.corrected target=@0; reason=slip; \
         replacement={{\"basis\":\"reported\",\"occurrence\":{{\"precision\":\"instant\",\
         \"earliest\":\"2025-01-17T15:00:00Z\",\"latest\":\"2025-01-17T15:00:00Z\"}}}}"
    );
    let mut seen = std::collections::BTreeMap::from([(launched, event)]);
    for history in [tokyo, later, format!("01-01 00:00 note.added text=x\n{LAUNCHED}")] {
        let (id, event) = id(&history);
        assert!(seen.insert(id, event).is_none(), "{history}");
    }
    assert!(seen.iter().all(|(id, event)| event["id"] == id.as_str()));
}

#[test]
fn flags_that_are_on_for_everyone_are_to_be_removed() {
    let full = "01-10 15:00 flag.registered key=letter; role=rollout
        01-15 15:00 flag.changed key=letter; operation=enable; gate=boolean; value=\"true\"; \
        service=app; environment=production; row=1";
    let off = "02-01 15:00 flag.changed key=letter; operation=disable; gate=boolean; \
        service=app; environment=production; row=2";
    let planned = "01-16 00:00 cleanup.planned flag=letter; due=2025-03-31; ticket=T-9";
    let rows = [
        ("", vec!["04-15 15:00 cleanup letter -"]),
        (planned, vec!["03-31 13:00 cleanup letter T-9"]),
        // A ticket alone means the only flag; a day without one is the day all the same.
        ("01-16 00:00 cleanup.planned ticket=T-9", vec!["04-15 15:00 cleanup letter T-9"]),
        ("01-16 00:00 cleanup.planned due=2025-03-31", vec!["03-31 13:00 cleanup letter -"]),
        (
            "01-16 00:00 cleanup.planned flag=other; due=2025-03-31",
            vec!["04-15 15:00 cleanup letter -"],
        ),
        // The day had passed when everyone got it.
        (
            "01-11 00:00 cleanup.planned flag=letter; due=2025-01-12",
            vec!["01-15 15:00 cleanup letter -"],
        ),
        (off, vec![]),
        ("02-01 15:00 flag.retired key=letter", vec![]),
        // Somebody else says so; the scheduler says it all the same.
        (
            "04-15 15:00 cleanup.due flag=letter; due=2025-04-15T15:00:00Z",
            vec!["04-15 15:00 cleanup letter -"],
        ),
    ];
    for (more, expected) in rows {
        let rollout = rollout(&format!("{full}\n{more}"));
        assert_eq!(shown(&rollout), expected, "{more}");
    }
    let kill = full.replace("role=rollout", "role=kill_switch");
    assert_eq!(shown(&rollout(&kill)), Vec::<String>::new());
}

#[test]
fn a_flag_that_is_on_only_where_it_is_tried_out_is_not_on_for_everyone() {
    let on = |at: &str, environment: &str, row: u32| {
        format!(
            "{at} flag.changed key=letter; operation=enable; gate=boolean; value=\"true\"; \
             service=app; environment={environment}; row={row}"
        )
    };
    let off = on("01-20 15:00", "us", 3).replace("enable", "disable");
    let rows = [
        (on("01-15 15:00", "staging", 1), vec![]),
        (on("01-15 15:00", "uat-2", 1), vec![]),
        (on("01-15 15:00", "pre-prod", 1), vec![]),
        (on("01-15 15:00", "app", 1), vec!["04-15 15:00 cleanup letter -"]),
        (
            format!("{}\n{}", on("01-11 15:00", "staging", 1), on("01-15 15:00", "prod-eu", 2)),
            vec!["04-15 15:00 cleanup letter -"],
        ),
        // On for everyone once it is so wherever it is.
        (
            format!("{}\n{}", on("01-11 15:00", "eu", 1), on("01-15 15:00", "us", 2)),
            vec!["04-11 15:00 cleanup letter -"],
        ),
        (format!("{}\n{}\n{off}", on("01-11 15:00", "eu", 1), on("01-15 15:00", "us", 2)), vec![]),
    ];
    for (more, expected) in rows {
        let history = format!("01-10 15:00 flag.registered key=letter; role=rollout\n{more}");
        assert_eq!(shown(&rollout(&history)), expected, "{more}");
    }
}
