//! Sentences of every type, and the marks of a row.

use expect_test::{expect, expect_file};

use super::timeline;
use crate::{
    recorded::Recorded,
    rollout::given::{given, moment, short},
};

#[test]
fn every_type_of_event_has_its_sentence() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/fixtures");
    let mut said = Vec::new();
    for kind in schemas::event::TYPES {
        let bytes = std::fs::read(format!("{folder}/{}.json", kind.name)).unwrap();
        let recorded = Recorded::read(0, "", 0, Some(&bytes));
        let sentence = super::sentence(recorded.known().expect(kind.name));
        assert_ne!(sentence, format!("{}.", kind.name), "no sentence");
        let (subject, verb) = kind.subject_verb();
        said.push(format!("{subject} {verb}: {sentence}"));
    }
    expect_file!["sentences.txt"].assert_eq(
        &(said.join(
            "
",
        ) + "
"),
    );
}

#[test]
fn a_row_says_what_to_know_before_resting_on_it() {
    let history = "
        01-13 15:00 stage.started stage=stage-a; exposures=10%; actor=&acct-7
        01-14 15:00 @01-20 09:00 stage.started stage=stage-b; basis=backfilled; actor={\"kind\":\"unknown\",\"reason_unknown\":\"not_via_ui\"}
        - @01-21 09:00 stage.results_recorded stage=stage-c; basis=imported; results.unique_users=#233
        - @01-21 09:00 stage.results_recorded stage=uat; basis=imported; results.unique_users=#3
        01-22 09:00 event.withdrawn target=@1; reason=other rollout
        01-22 09:05 event.corrected target=@0; reason=typo; replacement.basis=reported; replacement.stage=stage-a; replacement.exposures=5%
        01-22 09:06 value.confirmed target=@3; by.role=analyst; source=Datadog
        01-23 09:00 future.thing";
    let rows = timeline(&given(history), None, None);
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            let marks: Vec<_> = row.marks.iter().map(super::Mark::words).collect();
            let time = row.time.map_or_else(|| "?".to_owned(), short);
            let first = row.first.as_ref().map_or_else(String::new, |f| format!(" [first: {f}]"));
            let actor = row.actor.as_deref().unwrap_or("-");
            format!("{} {time} {actor}: {}{first} {{{}}}", row.seq, row.what, marks.join(", "))
        })
        .collect();
    expect![[r#"
        0 01-13 15:00 -: Stage stage-a began with 5 %. [first: Stage stage-a began with 10 %.] {corrected by 5}
        1 01-14 15:00 unknown (not_via_ui): Stage stage-b began. {recorded late, withdrawn by 4}
        2 ? -: Results of stage stage-c were recorded: 233 unique users. {unverified, time unknown, that it ran is inferred}
        3 ? -: Results of stage uat were recorded: 3 unique users. {time unknown, confirmed by 6, that it ran is inferred}
        4 01-22 09:00 -: Event 1 was withdrawn: other rollout. {}
        5 01-22 09:05 -: Event 0 was corrected: typo. {}
        6 01-22 09:06 -: Event 3 was confirmed by analyst from Datadog. {}
        7 01-23 09:00 -: Something that this version of the program cannot read. {unread}"#]].assert_eq(&shown.join("\n"));
    let known = timeline(&given(history), None, Some(moment("01-20 08:00").0));
    assert_eq!(known.iter().map(|r| r.seq).collect::<Vec<_>>(), [0]);
}
