//! Personal data never enters: refused at every door, named by rule and place, never repeated, and
//! in no file of the directory.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{Ledger, Ran, examples, files, note};

/// Made up, one for each rule.
const FINDINGS: [(&str, &str); 5] = [
    ("email", "pat.sample@mail.example"),
    ("ssn", "123-45-6789"),
    ("ssn", "234567890"),
    ("icn", "1012345678V123456"),
    ("phone", "(202) 555-0143"),
];

/// Asserts that no file below a directory holds a text, in any capitals.
#[track_caller]
fn check_absent(dir: &Path, text: &str) {
    let wanted = text.to_ascii_lowercase().into_bytes();
    for (path, bytes) in files(dir) {
        let bytes = bytes.to_ascii_lowercase();
        let found = bytes.windows(wanted.len()).any(|piece| piece == wanted);
        assert!(!found, "{} holds {text}", path.display());
    }
}

/// Asserts that nothing printed repeats a text.
#[track_caller]
fn check_unsaid(ran: &Ran, text: &str) {
    assert!(!ran.out.contains(text) && !ran.err.contains(text), "{text} is repeated: {ran:?}");
}

/// The same event with a text in every place where a sender may write one.
fn everywhere(text: &str) -> Vec<Value> {
    let in_text = |text: &str| format!("Called {text} about it");
    let mut events = vec![note("a", &in_text(text))];
    let mut place = |pointer: &str, value: Value| {
        let mut event = note("a", "said");
        event["data"]["actor"] = json!({ "kind": "person", "id": "acct-0042" });
        event["data"]["evidence"] = json!([{ "kind": "link", "url": "https://wiki.example/a" }]);
        *event.pointer_mut(pointer).unwrap() = value;
        events.push(event);
    };
    place("/id", json!(text));
    place("/source", json!(text));
    place("/subject", json!(text));
    place("/data/actor/id", json!(text));
    place("/data/evidence/0/url", json!(in_text(text)));
    let mut surprise = note("a", "said");
    surprise["data"][text] = json!(1);
    events.push(surprise);
    let mut note_member = note("a", "said");
    note_member["data"]["note"] = json!(in_text(text));
    events.push(note_member);
    events
}

#[test]
fn events_with_personal_data_are_refused_and_never_repeated() {
    let ledger = Ledger::new();
    let server = ledger.serve();
    for (rule, text) in FINDINGS {
        for event in everywhere(text) {
            let answer = server.post(&event);
            let problem = answer.problem(422, "personal_data");
            assert!(problem["detail"].as_str().unwrap().contains(rule), "{problem}");
            assert!(!answer.text.contains(text), "{}", answer.text);
            let ran = ledger.append(&[event]).exits(7).says(rule);
            check_unsaid(&ran, text);
        }
        let path = format!("/api/v1/rollouts/{}", text.replace(' ', "%20"));
        assert!(!server.get(&path).text.contains(text));
    }
    let log = server.stop();
    for (_, text) in FINDINGS {
        assert!(!log.contains(text), "the server's log repeats {text}");
        check_absent(&ledger.dir, text);
        for event in everywhere(text) {
            check_unsaid(&ledger.append(&[event]).exits(7), text);
        }
        let said = format!("Called {text}");
        let record = ["record", "note", "added", "--rollout", "trial", "--text", &said];
        check_unsaid(&ledger.run(&record).exits(7), text);
        check_absent(&ledger.dir, text);
    }
    assert!(ledger.noted().is_empty());
}

#[test]
fn what_only_looks_alike_is_taken() {
    let ledger = Ledger::new();
    let harmless = [
        "toll-free 800-555-0143",
        "https://monitors.example/123456789?to=2025550143",
        "ticket #123456789",
        "12,661 users on 2026-01-14",
    ];
    let events: Vec<_> =
        harmless.iter().enumerate().map(|(n, text)| note(&format!("n-{n}"), text)).collect();
    ledger.append(&events).ok();
}

#[test]
fn no_address_of_a_flag_log_reaches_a_file() {
    let ledger = Ledger::new();
    let log = &examples("flags", "csv");
    let log = log.iter().find(|path| path.ends_with("appointment_reminders.csv")).unwrap();
    let text = fs::read_to_string(log).unwrap();
    let words = text.split([',', '\n', ' ', '"']);
    let mut addresses: Vec<_> = words.filter(|word| word.contains('@')).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert!(addresses.len() > 5);
    let import = ["flags", "import", log.to_str().unwrap(), "--source", "flags", "--environment"];
    // Without a map of accounts staff are pseudonyms too.
    let ran = ledger.run(&[&import[..], &["production"]].concat()).ok();
    ledger.run(&["views", "rebuild"]).ok();
    let server = ledger.serve();
    server.ready();
    let history = server.get("/api/v1/flags/appointment_reminders_enabled/history").text;
    let said = server.stop();
    for address in addresses {
        check_unsaid(&ran, address);
        assert!(!history.contains(address) && !said.contains(address));
        check_absent(&ledger.dir, address);
        check_absent(&ledger.dir, address.split('@').next().unwrap());
    }
    assert!(history.contains("u1:"), "pseudonyms stand in their place");
    // With another key the same people would have other names, so that is refused.
    fs::write(ledger.dir.join("keys/pseudonym.key"), "00".repeat(32)).unwrap();
    let more = ledger.file("more.csv", format!("{text}99999,a_flag,add,,,,2026-03-01 00:00:00\n"));
    let ran =
        ledger.run(&["flags", "import", &more, "--source", "flags", "--environment", "production"]);
    assert!(ran.code != Some(0) && ran.err.contains("key"), "{ran:?}");
}

#[test]
fn a_plan_with_personal_data_is_refused_by_line_and_rule_or_redacted() {
    let ledger = Ledger::new();
    let path = examples("plans", "md").pop().unwrap();
    let plan = fs::read_to_string(path).unwrap();
    for (n, (rule, text)) in FINDINGS.into_iter().enumerate() {
        let line = plan.lines().count() + 2;
        let file = ledger.file(&format!("plan-{n}.md"), format!("{plan}\nAsk {text} first.\n"));
        let ran = ledger.run(&["plan", "import", &file]).exits(7);
        assert!(ran.err.contains(&format!("line {line} (rule {rule})")), "{}", ran.err);
        check_unsaid(&ran, text);
        let lint = ledger.run(&["plan", "lint", &file, "--output", "json"]).ok().json();
        assert_eq!(lint["personal_data"], json!([{ "line": line, "rule": rule }]));
        assert_eq!(ledger.entries().len(), 1 + n_recorded(&ledger));

        let ran = ledger.run(&["plan", "import", &file, "--redact"]).ok();
        check_unsaid(&ran, text);
        check_absent(&ledger.dir, text);
        let id = format!("plan-{n}");
        let export = ledger.run(&["plan", "export", &id, "--revision", "1"]).ok();
        assert_eq!(export.out, format!("{plan}\nAsk [redacted: {rule}] first.\n"));
        // The same file again, redacted again, is the same.
        let again = ledger.run(&["plan", "import", &file, "--redact", "--output", "json"]).ok();
        assert_eq!(again.json()["recorded"], 0);
    }
    let file = ledger.file("named.md", format!("{plan}\nApproved by the lead.\n"));
    let line = (plan.lines().count() + 2).to_string();
    ledger.run(&["plan", "import", &file, "--redact-lines", &line]).ok();
    let export = ledger.run(&["plan", "export", "named", "--revision", "1"]).ok();
    assert_eq!(export.out, format!("{plan}\n[redacted: named_person]\n"));
    check_absent(&ledger.dir, "Approved by the lead");
}

/// Entries that imports of plans recorded so far.
fn n_recorded(ledger: &Ledger) -> usize {
    ledger.entries().iter().filter(|e| e["event"]["subject"].is_string()).count()
}
