//! KPIs at a checkpoint: the value that holds, what it replaced, and the verdict.

use super::super::{Checkpoints, snapshots};
use super::*;
use crate::rollout::given::{given, moment, plan_of};

const FIELDS: &[(&str, &str, &str)] = &[
    ("kpis/1", "Letters sent", "at least 1,000"),
    ("kpis/2", "Calls", "fewer calls than before"),
    ("kpis/3", "Errors", "[FILL_IN]"),
];

fn kpis(history: &str) -> Vec<Kpi> {
    let plan = plan_of(1, "01-01 00:00", FIELDS);
    let history = format!("{plan}\n01-15 15:00 rollout.launched exposures=all\n{history}");
    let rollout = Rollout::fold(&given(&history));
    let all = Checkpoints::of(&rollout);
    let kpis = Kpi::of(&rollout, all.get("P7D").unwrap());
    let view = snapshots(&rollout, moment("01-23 00:00")).swap_remove(0);
    assert_eq!(view.kpis, kpis);
    let rests_on = |seq: &u64| view.seqs.contains(seq);
    assert!(kpis.iter().all(|k| k.seqs.iter().all(rests_on)), "{view:?}");
    kpis
}

fn line(kpi: &Kpi) -> String {
    let value = |v: &Value| format!("{} ({}, {})", v.raw, v.basis, v.seq);
    let actual = kpi.actual.as_ref().map_or_else(|| "-".to_owned(), value);
    let before: Vec<_> = kpi.before.iter().map(|v| format!("{} {:?}", v.raw, v.replaced)).collect();
    let before = before.join(", ");
    format!("{}: {actual} [{before}] {}: {}", kpi.name, kpi.verdict.as_str(), kpi.why)
}

const LETTERS: &str = "01-02 00:00 criterion.set criterion=letters; text=at least 1,000; \
    form=threshold; scope=checkpoint; metric=Letters sent; comparison=ge; threshold=\"1000\"; \
    unit=letters";

#[test]
fn the_plans_goals_without_anything_recorded() {
    let expected = [
        "Letters sent: - [] no data: nothing is recorded for it",
        "Calls: - [] no data: nothing is recorded for it",
        "Errors: - [] no data: nothing is recorded for it",
    ];
    assert_eq!(kpis("").iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!(kpis(LETTERS).iter().map(line).collect::<Vec<_>>(), expected);
}

#[test]
fn actual_against_goal_and_baseline() {
    let observed = r#"01-02 00:00 metric.observed metric=Letters sent; checkpoint=baseline; quantity={"raw":"800","value":"800","unit":"letters"}; source=Archive
        01-22 15:00 metric.observed metric=Letters sent; checkpoint=P7D; basis=observed; quantity={"raw":"1,200","value":"1200","unit":"letters"}; source=Mailer
        01-22 15:00 metric.observed metric=Calls; checkpoint=P7D; quantity=#12
        01-22 15:00 metric.observed metric=Speed; checkpoint=P7D; quantity=#3"#;
    let all = kpis(&format!("{LETTERS}\n{observed}"));
    let expected = [
        "Letters sent: 1,200 (observed, 4) [] met: 1,200 against at least 1,000",
        "Calls: 12 (reported, 5) [] cannot be compared: the goal is in words",
        "Errors: - [] no data: nothing is recorded for it",
        "Speed: 3 (reported, 6) [] cannot be compared: no goal is set",
    ];
    assert_eq!(all.iter().map(line).collect::<Vec<_>>(), expected);
    let baseline = all[0].baseline.as_ref().unwrap();
    assert_eq!((baseline.raw.as_str(), baseline.source.as_deref()), ("800", Some("Archive")));
    assert_eq!(all[0].actual.as_ref().unwrap().source.as_deref(), Some("Mailer"));
    assert_eq!(all[0].seqs, [2, 3, 4]);
}

#[test]
fn restated_corrected_and_retaken_values_stand_beside_the_one_that_holds() {
    let snapshot = |at: &str, value: &str| {
        format!(
            "{at} checkpoint.recorded checkpoint=P7D; results={{\"goals\":[{{\"name\":\"Letters \
             sent\",\"quantity\":{{\"raw\":\"{value}\",\"value\":\"{value}\",\"unit\":\"letters\"}}}}]}}"
        )
    };
    let (first, second) = (snapshot("01-22 15:00", "900"), snapshot("01-23 15:00", "1100"));
    let observed = |at: &str, value: &str, more: &str| {
        format!(
            "{at} metric.observed metric=Letters sent; checkpoint=P7D{more}; \
             quantity={{\"raw\":\"{value}\",\"value\":\"{value}\",\"unit\":\"letters\"}}"
        )
    };
    let corrected = "01-24 00:00 event.corrected target=@3; reason=slip; replacement={\"basis\":\
        \"reported\",\"checkpoint\":\"P7D\",\"results\":{\"goals\":[{\"name\":\"Letters sent\",\
        \"quantity\":{\"raw\":\"1010\",\"value\":\"1010\",\"unit\":\"letters\"}}]}}";
    let rows = [
        (
            format!("{first}\n{second}"),
            "1100 (reported, 4) [900 Some(TakenAgain)] met: 1100 against at least 1,000",
        ),
        (
            format!("{first}\n{corrected}"),
            "1010 (reported, 3) [900 Some(Corrected)] met: 1010 against at least 1,000",
        ),
        (
            format!(
                "{}\n{}",
                observed("01-22 15:00", "900", ""),
                observed("01-22 15:00", "1050", "; restates=@3")
            ),
            "1050 (reported, 4) [900 Some(Restated)] met: 1050 against at least 1,000",
        ),
        // Before the launch it says nothing of it.
        (snapshot("01-10 15:00", "1100"), "- [] no data: nothing is recorded for it"),
    ];
    for (more, expected) in rows {
        let all = kpis(&format!("{LETTERS}\n{more}"));
        assert_eq!(line(&all[0]), format!("Letters sent: {expected}"), "{more}");
    }
}

#[test]
fn what_somebody_said_counts_where_numbers_say_nothing() {
    let said = |verdict: &str| {
        format!(
            "01-22 15:00 criterion.evaluated criterion=letters; checkpoint=P7D; verdict={verdict}"
        )
    };
    let number = "01-22 15:00 metric.observed metric=Letters sent; checkpoint=P7D; \
        quantity={\"raw\":\"900\",\"value\":\"900\",\"unit\":\"letters\"}";
    let rows = [
        (said("met"), "met: said so in entry 3; by numbers: nothing is recorded for it"),
        (format!("{number}\n{}", said("missed")), "missed: 900 against at least 1,000"),
        (
            format!("{number}\n{}", said("met")),
            "missed: 900 against at least 1,000; entry 4 says met",
        ),
        (
            format!("{number}\n{}", said("overridden")),
            "missed: 900 against at least 1,000; overridden in entry 4",
        ),
    ];
    for (more, expected) in rows {
        let all = kpis(&format!("{LETTERS}\n{more}"));
        let found = format!("{}: {}", all[0].verdict.as_str(), all[0].why);
        assert_eq!(found, expected, "{more}");
    }
}
