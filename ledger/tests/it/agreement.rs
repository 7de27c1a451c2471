//! `docs/verify.py` was written from `docs/FORMAT.md`, and answers as `verify` does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ledger::{Report, verify_dir};
use serde_json::{Value, json};

use crate::{
    flips::killed,
    forge::{Ledger, frames, ledger, tampers},
    manifest::cut_with_a_floor_to_fit,
    story::strict,
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.py");
/// Asks the script about many ledgers in one process, to be quick.
const DRIVER: &str = "\
import json, pathlib, sys
sys.path.insert(0, str(pathlib.Path(sys.argv[1]).parent))
sys.dont_write_bytecode = True
import verify
for directory in sys.argv[2:]:
    print(json.dumps(verify.verify(directory)))
";

/// The Python that has what the script needs: `PYTHON`, or the system's.
#[expect(clippy::disallowed_methods, reason = "a test is told by make which Python to use")]
fn python() -> Command {
    let command = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    Command::new(command)
}

fn demand_python() {
    let found = python().args(["-c", "import blake3"]).output();
    let found = found.expect("python3 is needed: apt-get install python3");
    let advice = "the chain can be checked with the Python package blake3 only: \
                  python3 -m pip install blake3, or set PYTHON to a Python that has it";
    assert!(found.status.success(), "{advice}");
}

fn ask(dirs: &[PathBuf]) -> Vec<Value> {
    let output = python().args(["-c", DRIVER, SCRIPT]).args(dirs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn both_verifiers_agree_on_good_and_tampered_ledgers() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    let cases = tampers().into_iter().map(|tamper| {
        let copy = whole.copy_to(&dir.path().join(tamper.name.replace(' ', "-")));
        (tamper.act)(&copy);
        (tamper.name, copy)
    });
    agree(&cases.collect::<Vec<_>>());
}

#[test]
fn both_verifiers_tell_of_a_list_that_does_not_fit() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let cut = cut_with_a_floor_to_fit(&dir.path().join("cut"));
    let stale = cut_with_a_floor_to_fit(&dir.path().join("garbled"));
    let list = stale.log().join("manifest");
    fs::write(&list, fs::read_to_string(&list).unwrap().replace("seg 2 ", "seg 3 ")).unwrap();
    agree(&[("a list of more", cut), ("a garbled list", stale)]);
}

/// A bit in every place of a ledger that is not closed, so that the last commit may be torn.
#[test]
fn both_verifiers_agree_wherever_a_bit_is_flipped() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let whole = ledger(&dir.path().join("whole"));
    whole.remove_head();
    let mut cases = Vec::new();
    for segment in 0..3 {
        for at in (0..900).step_by(17) {
            let name = format!("{segment}-{at}");
            let copy = whole.copy_to(&dir.path().join(&name));
            copy.damage(segment, at);
            cases.push(("a flipped bit", copy));
        }
        for bytes in (1..900).step_by(41) {
            let copy = whole.copy_to(&dir.path().join(format!("{segment}-cut-{bytes}")));
            copy.cut(segment, bytes);
            cases.push(("a cut", copy));
        }
    }
    agree(&cases);
}

/// A bit of the last commit but one decides whether the last is believed.
#[test]
fn both_verifiers_agree_on_flipped_fronts_above_the_floor() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for (n, commits) in [[1, 1], [1, 3], [3, 1]].iter().enumerate() {
        let whole = killed(&dir.path().join(n.to_string()), commits);
        let bytes = fs::read(&whole.segments()[0]).unwrap();
        let start = frames(&bytes)[0].bytes().len();
        for at in (start..start + 88).step_by(3).chain([start + 5, start + 6]) {
            for mask in [0x01, 0x02, 0x04, 0x10, 0x21] {
                let copy = whole.copy_to(&dir.path().join(format!("{n}-{at}-{mask}")));
                let mut bytes = bytes.clone();
                bytes[at] ^= mask;
                fs::write(&copy.segments()[0], bytes).unwrap();
                cases.push(("a changed front", copy));
            }
        }
    }
    agree(&cases);
}

fn agree(cases: &[(&str, Ledger)]) {
    let dirs: Vec<_> = cases.iter().map(|(_, ledger)| ledger.dir.clone()).collect();
    let answers = ask(&dirs);
    assert_eq!(answers.len(), cases.len());
    for ((name, ledger), answer) in cases.iter().zip(answers) {
        let ours = verify_dir(&ledger.log(), &strict()).unwrap();
        let place = ledger.dir.display();
        assert_eq!(answer["chain"], "checked");
        assert_eq!(answer["ok"], ours.is_good(), "{name} in {place}: {answer} {ours:?}");
        let bad = ours.first_bad.as_ref().map(|bad| bad.seq.0);
        assert_eq!(
            answer["first_bad"]["seq"].as_u64(),
            bad,
            "{name} in {place}: {answer} {ours:?}"
        );
        let torn = ours.torn.as_ref().map(|torn| (torn.seq.0, torn.bytes));
        let theirs = &answer["torn"];
        let theirs = theirs["seq"].as_u64().zip(theirs["bytes"].as_u64());
        assert_eq!(theirs, torn, "{name} in {place}");
        assert_eq!(answer["notes"], json!(ours.notes), "{name} in {place}");
        if ours.is_good() {
            assert_listed(&ours, &answer, name);
            assert_eq!(answer["entries"], ours.entries, "{name}");
            assert_eq!(answer["head"]["hash"], ours.head.hash.to_string(), "{name}");
        }
    }
}

fn assert_listed(ours: &Report, answer: &Value, name: &str) {
    let redactions = ours
        .redactions
        .iter()
        .map(|found| json!({"by": found.by.0, "target": found.target.0, "erased": found.erased}));
    assert_eq!(answer["redactions"], redactions.collect::<Value>(), "{name}");
    let steps = ours
        .clock_steps
        .iter()
        .map(|step| json!({"seq": step.seq.0, "from_us": step.from_us, "to_us": step.to_us}));
    assert_eq!(answer["clock_steps"], steps.collect::<Value>(), "{name}");
    let erased = ours.redactions.iter().filter(|found| found.erased).count();
    assert_eq!(answer["erased_payloads_not_checked"], erased, "{name}");
}

/// What a reader of the answer must see, so that two empty lists do not agree.
#[test]
fn the_script_lists_what_is_erased_and_where_time_goes_back() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let answer = ask(std::slice::from_ref(&ledger.dir)).remove(0);
    assert_eq!(answer["redactions"], json!([{"by": 8, "target": 2, "erased": true}]));
    assert_eq!(answer["erased_payloads_not_checked"], 1);
    assert_eq!(answer["clock_steps"][0]["seq"], 9);
    assert_eq!(answer["notes"], json!([]));
}

#[test]
fn the_script_ends_with_0_for_a_good_ledger_and_3_for_a_bad_one() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let run = |args: &[&str]| {
        let output = python().arg(SCRIPT).arg(dir.path()).args(args).output().unwrap();
        output.status.code().unwrap()
    };
    let head = verify_dir(&ledger.log(), &strict()).unwrap().head;
    assert_eq!(run(&[]), 0);
    assert_eq!(run(&[&format!("14:{}", head.hash)]), 0);
    assert_eq!(run(&[&format!("15:{}", head.hash)]), 3);
    ledger.damage(0, 200);
    assert_eq!(run(&[]), 3);
}

/// Without the package the script says what it did not check, and still finds damage.
#[test]
fn without_the_package_the_chain_is_said_to_be_unchecked() {
    demand_python();
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    let run = || {
        let hide = "import sys; sys.modules['blake3'] = None";
        let driver = format!("{hide}\n{DRIVER}");
        let output = python().args(["-c", &driver, SCRIPT]).arg(dir.path()).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let good = run();
    assert_eq!(good["ok"], true);
    assert!(good["chain"].as_str().unwrap().starts_with("NOT CHECKED"), "{good}");
    ledger.forge(1, |frames| frames[1].payload[9] ^= 1);
    assert_eq!(run()["first_bad"]["seq"], 6);
}

#[test]
fn the_script_is_short() {
    let text = fs::read_to_string(Path::new(SCRIPT)).unwrap();
    assert!(text.lines().count() <= 110);
}
