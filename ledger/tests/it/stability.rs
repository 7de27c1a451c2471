//! The bytes and hashes that history is made of. If this fails, no old ledger verifies any more.

use std::fs;

use expect_test::expect;
use ledger::{Digest, Draft, Entry, Hash, Head, Header, Log, SegmentLog, Seq, canonical};

/// Payloads like those of the published vectors: an id that counts, and a text of 0 to 4 letters.
fn payload(seq: u64) -> Vec<u8> {
    let text = "é".repeat(usize::try_from(seq % 5).unwrap());
    let source = r#""source":"vectors","specversion":"1.0","type":"rollout.note.added.v1""#;
    format!(r#"{{"data":{{"text":"{text}"}},"id":"vector-{seq:06}",{source}}}"#).into_bytes()
}

fn chain(len: u64) -> Vec<Entry> {
    let mut head = Head::GENESIS;
    let seal = |seq| {
        let draft = Draft::new(payload(seq)).unwrap();
        let entry = head.seal(draft, 1_767_225_600_000_000 + 1_000 * seq);
        head = head.accept(&entry).unwrap();
        entry
    };
    (0..len).map(seal).collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[test]
fn header_and_hash_of_the_first_entries() {
    let entries = chain(600);
    let shown: Vec<_> = entries[..2]
        .iter()
        .map(|entry| format!("{}\n{}", hex(&entry.header().encode()), entry.hash()))
        .collect();
    expect![[r#"
        010000000000000000000647484620400000000000000000000000000000000000000000000000000000000000000000008cb4a9937c3dca1036e574ccb5f3fdce8a6923c7812140673da1610f8b930a5a
        001d09bdc3641d5fe0f9d69c11c0b66d1ecd61e521322bb86f5c47a036ed2d0f
        01000000000000000100064748462043e8001d09bdc3641d5fe0f9d69c11c0b66d1ecd61e521322bb86f5c47a036ed2d0f8bc7bcffc2a8f522fd5e830146e71a91659bad0d7f00d51ca833c4e59cde7f9f
        74243901e9e8504f09a1bfd775f0d04be04d1df7c0f97ff220b51ca7458bd4a7"#]]
    .assert_eq(&shown.join("\n"));
    let last = "26a80caac6edf7a7b66dbd43afe1de9623fc9c4919685be88bcf90b8e8daff2d";
    assert_eq!(entries[599].hash().to_string(), last);
    for entry in &entries {
        let decoded = Header::decode(&entry.header().encode()).unwrap();
        assert_eq!(decoded, *entry.header());
    }
}

#[test]
fn frames_of_three_commits_and_of_an_erased_entry() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create(dir.path()).unwrap();
    let entries = chain(5);
    for commit in [&entries[..1], &entries[1..4], &entries[4..]] {
        log.append(commit).unwrap();
    }
    let file = dir.path().join("00000000000000000000.seg");
    let bytes = fs::read(&file).unwrap();
    // The second commit: three frames, with 2, 1 and 0 entries after them.
    let second = &hex(&bytes[203..])[..186];
    expect!["0000007100000201000000000000000100064748462043e8001d09bdc3641d5fe0f9d69c11c0b66d1ecd61e521322bb86f5c47a036ed2d0f8bc7bcffc2a8f522fd5e830146e71a91659bad0d7f00d51ca833c4e59cde7f9f7b22646174"].assert_eq(second);
    expect!["291371ca3d9e056a2c743bd65be3ee6a21fdb39e9837e45b91e85ae15640230b"]
        .assert_eq(&Digest::of(&bytes).to_string());
    log.erase(Seq(2)).unwrap();
    let erased = &fs::read(&file).unwrap()[203 + 205..][..92];
    expect!["0000000001000101000000000000000200064748462047d074243901e9e8504f09a1bfd775f0d04be04d1df7c0f97ff220b51ca7458bd4a7648a51ba7fa602f784d4d71753bf24c9e497234dcf4ffcc738402c74054589a2371cab9a"].assert_eq(&hex(erased));
}

#[test]
fn a_head_is_one_line_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create(dir.path()).unwrap();
    log.append(&chain(2)).unwrap();
    log.close().unwrap();
    let text = fs::read_to_string(dir.path().join("head")).unwrap();
    expect![[r#"
        1 74243901e9e8504f09a1bfd775f0d04be04d1df7c0f97ff220b51ca7458bd4a7
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_hash_is_64_lowercase_digits_and_nothing_else() {
    let text = "0123456789abcdef".repeat(4);
    assert_eq!(text.parse::<Hash>().unwrap().to_string(), text);
    for wrong in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &"g".repeat(64)] {
        assert!(wrong.parse::<Hash>().is_err(), "{wrong}");
    }
}

/// The vectors that were made without our code, where they are at hand.
#[expect(clippy::print_stdout, reason = "what is not tested is said")]
fn vectors(name: &str) -> Option<serde_json::Value> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/");
    let Ok(text) = fs::read_to_string(format!("{root}{name}")) else {
        println!("vectors absent: {name}");
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_published_entries_are_met() {
    let Some(vectors) = vectors("entries.json") else { return };
    let entries = chain(600);
    assert_eq!(vectors["context"], ledger::HASH_CONTEXT);
    for (entry, vector) in entries.iter().zip(vectors["entries"].as_array().unwrap()) {
        assert_eq!(vector["payload_hex"], hex(entry.payload().unwrap()));
        assert_eq!(vector["header_hex"], hex(&entry.header().encode()));
        assert_eq!(vector["digest"], entry.header().digest.to_string());
        assert_eq!(vector["hash"], entry.hash().to_string());
    }
    assert_eq!(vectors["head_after_600"], entries[599].hash().to_string());
}

#[test]
fn the_published_frames_are_met() {
    let Some(vectors) = vectors("frames.json") else { return };
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::create(dir.path()).unwrap();
    let entries = chain(5);
    let mut expected = String::new();
    for commit in vectors["commits"].as_array().unwrap() {
        let seqs = commit["seqs"].as_array().unwrap();
        let first = usize::try_from(seqs[0].as_u64().unwrap()).unwrap();
        log.append(&entries[first..first + seqs.len()]).unwrap();
        expected += commit["hex"].as_str().unwrap();
    }
    let file = dir.path().join("00000000000000000000.seg");
    assert_eq!(hex(&fs::read(&file).unwrap()), expected);
    log.erase(Seq(2)).unwrap();
    assert!(hex(&fs::read(&file).unwrap()).contains(vectors["erased"]["hex"].as_str().unwrap()));
}

#[test]
fn the_published_canonical_texts_are_told_apart() {
    let Some(vectors) = vectors("canonical.json") else { return };
    for case in vectors["accepted"].as_array().unwrap() {
        let (text, canonical) = (case["text"].as_str().unwrap(), &case["canonical_hex"]);
        let found = canonical::check(text.as_bytes()).is_ok();
        assert_eq!(found, *canonical == hex(text.as_bytes()), "{text}");
        let bytes: Vec<_> = (0..canonical.as_str().unwrap().len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&canonical.as_str().unwrap()[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(canonical::check(&bytes), Ok(()), "{text}");
    }
    for text in vectors["refused"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        assert!(canonical::check(text.as_bytes()).is_err(), "{text}");
    }
}
