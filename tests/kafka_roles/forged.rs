//! What one server says to another, made up by somebody else: signed with another key, too late,
//! twice, changed on the way, sent to one that does not write, or posted where the writer is told.

use std::{fs, process::Command};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Two, health, receipt, serve, shown};
use crate::harness::{Answer, Client, Ledger, note};

const PATH: &str = "/api/v1/events";

/// The key of a ledger's servers, made from its key as `api/src/forward.rs` says.
fn key(ledger: &Ledger) -> Hmac<Sha256> {
    let digits = fs::read_to_string(ledger.dir.join("keys/pseudonym.key")).unwrap();
    let digits = digits.trim();
    let bytes: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let mut own = Hmac::<Sha256>::new_from_slice(&bytes).unwrap();
    own.update(&[0xff]);
    own.update(b"rollout-ledger 2026-11 forwarded request v1");
    Hmac::new_from_slice(&own.finalize().into_bytes()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn now_us() -> i64 {
    let date = Command::new("date").arg("+%s%6N").output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().parse().unwrap()
}

/// A claim to the writer `to` that `authid` of another machine asks, signed so long after now.
fn claim(to: &str, authid: &str, later_us: i64) -> String {
    let claim = json!({
        "at_us": now_us() + later_us, "authid": authid, "nonce": "n", "to": to,
        "who": { "os_account": { "own": "append" } },
    });
    URL_SAFE_NO_PAD.encode(claim.to_string())
}

fn sign(key: &Hmac<Sha256>, path: &str, claim: &str, body: &str) -> String {
    let mut mac = key.clone();
    let digest = Sha256::digest(body);
    let parts: [&[u8]; 5] =
        [b"POST", path.as_bytes(), b"application/json", claim.as_bytes(), &digest];
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    hex(&mac.finalize().into_bytes())
}

fn send(client: &Client, path: &str, claim: &str, signature: &str, body: &str) -> Answer {
    let asked = client.agent().post(format!("{}{path}", client.url));
    let asked = asked.header("content-type", "application/json");
    let asked = asked.header("rollout-ledger-asked-by", claim);
    Answer::of(asked.header("rollout-ledger-signature", signature).send(body).unwrap())
}

/// As the writer calls itself in the log.
fn host_id(writer: &Client) -> String {
    let answer = writer.get("/api/v1/events?limit=500").json();
    let entries = answer["data"].as_array().unwrap();
    let opened = entries.iter().rfind(|entry| entry["event"]["type"] == super::OPENED).unwrap();
    opened["event"]["data"]["host_id"].as_str().unwrap().to_owned()
}

#[test]
fn only_what_a_server_of_this_ledger_signed_just_now_is_believed_and_once() {
    let two = Two::new();
    let writer = serve(&two.first, &[]);
    let reader = serve(&two.second, &[]);
    let ours = key(&two.first);
    let to = &host_id(&writer);
    let claim = |authid: &str, later_us: i64| claim(to, authid, later_us);
    let event = |id: &str| note(id, "said elsewhere").to_string();

    let (real, body) = (claim("uid:4242", 0), event("real"));
    let signature = sign(&ours, PATH, &real, &body);
    let (seq, _) = receipt(&send(&writer, PATH, &real, &signature, &body), 201);
    let entry = shown(&reader, "real", seq);
    assert_eq!(entry["event"]["authid"], "uid:4242");
    assert_eq!(entry["event"]["authtype"], "os_account");

    let refused = |answer: Answer, says: &str| {
        let problem = answer.problem(401, "disbelieved");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    };
    // A copy, in other letters too.
    refused(send(&writer, PATH, &real, &signature, &body), "heard before");
    refused(send(&writer, PATH, &real, &signature.to_uppercase(), &body), "heard before");
    // Another key.
    let theirs = key(&Ledger::new());
    let fresh = claim("uid:1", 0);
    let (body, not_signed) = (event("forged"), "not signed by a server of this ledger");
    refused(send(&writer, PATH, &fresh, &sign(&theirs, PATH, &fresh, &body), &body), not_signed);
    // Changed on the way: the body, the claim, where to; and a half of it.
    let signature = sign(&ours, PATH, &fresh, &body);
    refused(send(&writer, PATH, &fresh, &signature, &event("changed")), not_signed);
    refused(send(&writer, PATH, &claim("uid:0", 0), &signature, &body), not_signed);
    let other = "/api/v1/events?x=1";
    refused(send(&writer, other, &fresh, &signature, &body), not_signed);
    refused(send(&writer, PATH, &fresh, "", &body), not_signed);
    refused(send(&writer, PATH, "", &signature, &body), not_signed);
    // Too early and too late.
    for later_us in [-61_000_000, 62_000_000] {
        let claim = claim("uid:1", later_us);
        let signature = sign(&ours, PATH, &claim, &body);
        refused(send(&writer, PATH, &claim, &signature, &body), "compare the machines' clocks");
    }
    // For a writer before this one: a copy that was kept over a restart.
    let earlier = self::claim("0123456789abcdef", "uid:1", 0);
    let signature = sign(&ours, PATH, &earlier, &body);
    send(&writer, PATH, &earlier, &signature, &body).problem(503, "no_writer");
    // A claim opens nothing that a server answers by itself.
    let rebuild = "/api/v1/views/rebuild";
    let signature = sign(&ours, rebuild, &fresh, "");
    refused(send(&writer, rebuild, &fresh, &signature, ""), "only what the writer alone does");
    // To one that does not write: it says so, and passes nothing on.
    let signature = sign(&ours, PATH, &fresh, &body);
    send(&reader, PATH, &fresh, &signature, &body).problem(503, "no_writer");

    reader.stop();
    writer.stop();
    let ids = two.first.noted();
    assert_eq!(ids, ["real"], "nothing that was refused is recorded");
}

/// Whoever can write to the control topic has no ledger's key, and draws no client's events to
/// another address.
#[test]
fn a_notice_that_is_not_sealed_leads_nowhere() {
    let two = Two::new();
    let writer = serve(&two.first, &[]);
    let writer_at = |seal: String| {
        json!({ "writer": { "url": "http://127.0.0.1:1", "host_id": "h", "seq": 1_000_000 },
                "seal": seal })
    };
    let sealed = |key: &Hmac<Sha256>| {
        // The members in the order in which a server writes them.
        let said = r#"{"url":"http://127.0.0.1:1","host_id":"h","seq":1000000}"#;
        let mut mac = key.clone();
        mac.update(&u64::MAX.to_be_bytes());
        mac.update(said.as_bytes());
        hex(&mac.finalize().into_bytes())
    };
    let theirs = sealed(&key(&Ledger::new()));
    for notice in [writer_at(theirs), writer_at(String::new()), Value::Null] {
        two.posts(&notice.to_string());
    }
    let reader = serve(&two.second, &[]);
    receipt(&reader.post(&note("a", "said")), 201);
    // One that is sealed with the ledger's own key is believed: so the others were not for that.
    two.posts(&writer_at(sealed(&key(&two.first))).to_string());
    super::until("it is believed", || reader.post(&note("b", "said")).status == 503);
    assert_eq!(health(&reader)["writer_known"], true);
    reader.stop();
    writer.stop();
}
