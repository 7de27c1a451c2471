//! A question is the same in a query string and on a command line, and a cursor belongs to it.

use clap::Args as _;

use super::*;

fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn asked(query: &[(&str, &str)]) -> anyhow::Result<Question> {
    super::asked(&pairs(query), |_, _| Ok(false))
}

#[test]
fn every_flag_is_a_parameter_of_the_same_name() {
    let command = EventFilter::augment_args(clap::Command::new("event"));
    let flags = command.get_arguments().filter_map(|arg| arg.get_long());
    let mut flags: Vec<String> = flags.map(|flag| flag.replace('-', "_")).collect();
    let mut parameters = PARAMETERS.map(str::to_owned).to_vec();
    flags.sort();
    parameters.sort();
    assert_eq!(flags, parameters);
    // Each is understood, and shown again under its name.
    let values = [
        ("rollout", "r1"),
        ("flag", "f1"),
        ("stage", "stage-a"),
        ("actor", "acct-1"),
        ("type", "stage,bug.found.v1"),
        ("source", "urn:x"),
        ("basis", "observed"),
        ("ticket", " #12 "),
        ("severity", "high,low"),
        ("text", "Grey BUTTON"),
        ("since", "2026-01-01"),
        ("until", "2026-01-02"),
        ("recorded_since", "2026-01-01"),
        ("recorded_until", "2026-01-02"),
        ("after", "7"),
        ("order", "desc"),
    ];
    let shown = asked(&values).unwrap().shown();
    assert_eq!(shown.as_object().unwrap().len(), PARAMETERS.len() + 2);
    let expected = json!({
        "rollout": "r1", "flag": "f1", "stage": "stage-a", "actor": "acct-1", "source": "urn:x",
        "type": ["rollout.stage", "rollout.bug.found.v1"], "basis": ["observed"], "ticket": "12",
        "severity": ["high", "low"], "text": ["button", "grey"], "after": 7, "order": "desc",
        "since": "2026-01-01T00:00:00.000000Z", "until": "2026-01-02T00:00:00.000000Z",
        "recorded_since": "2026-01-01T00:00:00.000000Z",
        "recorded_until": "2026-01-02T00:00:00.000000Z",
    });
    assert_eq!(shown, expected);
}

#[test]
fn what_is_refused_names_the_parameter_and_not_the_value() {
    let long = "x".repeat(49);
    let many = (0..21).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let rows: [(&str, &str); 18] = [
        ("rollout", "No Rollout"),
        ("flag", ""),
        ("stage", "Stage A"),
        ("actor", ""),
        ("type", "Rollout*"),
        ("type", ""),
        ("source", ""),
        ("basis", "guessed"),
        ("ticket", " # "),
        ("severity", "awful"),
        ("text", "..."),
        ("text", &long),
        ("text", &many),
        ("since", "someday"),
        ("recorded_until", "someday"),
        ("after", "minus"),
        ("order", "random"),
        ("unheard_of", "someday"),
    ];
    for (name, value) in rows {
        let error = asked(&[(name, value)]).unwrap_err().to_string();
        let named =
            if name == "unheard_of" { "a parameter that this path does not have" } else { name };
        assert!(error.contains(named), "{name}: {error}");
        let word = value.split_whitespace().next().filter(|word| word.len() > 4);
        assert!(word.is_none_or(|word| !error.contains(word)), "{name}: {error}");
    }
    let twice = asked(&[("rollout", "a"), ("rollout", "b")]).unwrap_err().to_string();
    assert!(twice.contains("rollout stands twice"), "{twice}");
    let turned = asked(&[("since", "2026-01-02"), ("until", "2026-01-02")]).unwrap_err();
    assert!(turned.to_string().contains("until must be after since"), "{turned}");
}

#[test]
fn lists_come_with_commas_or_one_by_one() {
    let one = asked(&[("type", "stage,bug"), ("severity", "high")]).unwrap();
    let other = asked(&[("type", "stage"), ("severity", "high"), ("type", "rollout.bug")]).unwrap();
    assert_eq!(one, other);
    assert_eq!(
        asked(&[("text", "a b")]).unwrap(),
        asked(&[("text", "B"), ("text", "a a")]).unwrap()
    );
}

#[test]
fn a_cursor_belongs_to_its_filter_and_order() {
    let base = asked(&[("type", "stage")]).unwrap();
    let cursor = cursor::write(&base, 41);
    assert_eq!(cursor::read(&base, &cursor).unwrap(), 41);
    // Another spelling of the same question is the same question.
    let same = asked(&[("type", "rollout.stage"), ("order", "asc"), ("after", "3")]).unwrap();
    assert_eq!(cursor::read(&same, &cursor).unwrap(), 41);
    let others: [&[(&str, &str)]; 3] =
        [&[], &[("type", "stage"), ("order", "desc")], &[("type", "stage"), ("text", "a")]];
    for other in others {
        assert!(cursor::read(&asked(other).unwrap(), &cursor).is_err(), "{other:?}");
    }
    assert!(cursor::read(&base, "nonsense").is_err());
}
