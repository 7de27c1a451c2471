//! A running server of this directory, asked instead of opening the log twice.

use std::time::Duration;

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use crate::{
    exit::{Code, Failure, fail},
    home::{Home, Serving, hex, random_hex},
};

/// How long a command waits for the server's answer.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Says by which command an event came; believed only with the local token.
pub const VIA_HEADER: &str = "rollout-ledger-via";

/// One event's receipt as it goes over HTTP and out of `event append`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, Deserialize, schemars::JsonSchema)]
pub struct Receipt {
    pub seq: u64,
    /// 64 hexadecimal digits.
    pub hash: String,
    /// RFC 3339 in UTC.
    pub recorded_at: String,
    /// It had been recorded before.
    pub duplicate: bool,
    /// Its payload has been erased since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl From<ledger::Receipt> for Receipt {
    fn from(receipt: ledger::Receipt) -> Self {
        Receipt {
            seq: receipt.seq.0,
            hash: receipt.hash.to_string(),
            recorded_at: crate::moment::shown_us(receipt.recorded_at_us),
            duplicate: receipt.duplicate,
            redacted: receipt.redacted,
        }
    }
}

/// A server that answers.
pub struct Remote {
    serving: Serving,
    agent: ureq::Agent,
}

impl Remote {
    /// The server that holds this directory, if it is alive. A leftover of a dead one is named on
    /// stderr and passed over.
    pub fn of(home: &Home) -> anyhow::Result<Option<Remote>> {
        let Some(serving) = home.serving() else { return Ok(None) };
        let remote = Remote::named(serving, WAIT_MAX);
        if remote.proves_itself() {
            if remote.serving.place == home.place()? {
                return Ok(Some(remote));
            }
            let what =
                "this directory is a copy of one that a server holds, and copies are read-only";
            return Err(fail(Code::Conflict, format!("{what}; write to {}", remote.serving.url)));
        }
        // It is left where it is: who asks may be an auditor, who changes nothing.
        let pid = remote.serving.pid;
        crate::output::say(&format!(
            "note: serve.json is left over from process {pid}, which does not answer; going on \
             without it"
        ))?;
        Ok(None)
    }

    /// The server that a file names, alive or not, for answers that come within `wait`.
    pub fn named(serving: Serving, wait: Duration) -> Remote {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(wait))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Remote { serving, agent: config.into() }
    }

    /// What `/readyz` answers: its status and its body.
    pub fn readiness(&self) -> anyhow::Result<(u16, Value)> {
        let asked = self.agent.get(format!("{}/readyz", self.serving.url)).call();
        let mut response = asked.with_context(|| self.silence())?;
        let body = response.body_mut().read_json().context("the server's answer is no JSON")?;
        Ok((response.status().as_u16(), body))
    }

    /// Whether whoever answers there knows the token. It is not told to anyone who does not: the
    /// port may be another program's by now.
    pub fn proves_itself(&self) -> bool {
        let nonce = random_hex::<16>();
        let url = format!("{}/healthz?nonce={nonce}", self.serving.url);
        let Ok(mut response) = self.agent.get(&url).call() else { return false };
        let body: Value = response.body_mut().read_json().unwrap_or_default();
        let proof = body.get("proof").and_then(Value::as_str);
        proof == Some(prove(&self.serving.token, &nonce).as_str())
    }

    /// Where it listens, and the token that it knows commands by.
    pub fn address(&self) -> (&str, &str) {
        (&self.serving.url, &self.serving.token)
    }

    /// Has the server record events, all or none.
    pub fn append(&self, events: &[Value], via: &str) -> anyhow::Result<Vec<Receipt>> {
        let body = self.post("/api/v1/events", &Value::from(events), via)?;
        let receipts = body.get("receipts").cloned().unwrap_or_default();
        serde_json::from_value(receipts).context("the server's receipts are unreadable")
    }

    /// Has the server `diff` or `rebuild` its views.
    pub fn views(&self, what: &str) -> anyhow::Result<Value> {
        self.post(&format!("/api/v1/views/{what}"), &Value::Null, "cli")
    }

    /// Has the server do something.
    pub fn post(&self, path: &str, body: &Value, via: &str) -> anyhow::Result<Value> {
        let response = self
            .agent
            .post(format!("{}{path}", self.serving.url))
            .header("authorization", format!("Bearer {}", self.serving.token))
            .header(VIA_HEADER, via)
            .send_json(body)
            .with_context(|| self.silence())?;
        understood(response)
    }

    /// Asks the server.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let asked = self.agent.get(format!("{}{path}", self.serving.url));
        let asked = asked.header("authorization", format!("Bearer {}", self.serving.token));
        understood(asked.call().with_context(|| self.silence())?)
    }

    /// Has the server remove something.
    pub fn delete(&self, path: &str) -> anyhow::Result<()> {
        let asked = self.agent.delete(format!("{}{path}", self.serving.url));
        let asked = asked.header("authorization", format!("Bearer {}", self.serving.token));
        understood(asked.call().with_context(|| self.silence())?).map(drop)
    }

    fn silence(&self) -> String {
        format!("no answer from the server at {}", self.serving.url)
    }
}

/// The body of an answer, or the failure that it tells of.
fn understood(mut response: ureq::http::Response<ureq::Body>) -> anyhow::Result<Value> {
    let status = response.status().as_u16();
    if status == 204 {
        return Ok(Value::Null);
    }
    let body: Value = response.body_mut().read_json().context("the server's answer is no JSON")?;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let detail = body.get("detail").and_then(Value::as_str).unwrap_or("the server refused it");
    let index = body.get("index").and_then(Value::as_u64).and_then(|i| usize::try_from(i).ok());
    Err(Failure { code: code_of(status, &body), index, message: detail.to_owned() }.into())
}

/// Shows that one knows the token without saying it: HMAC-SHA-256 of the nonce.
pub fn prove(token: &str, nonce: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any length is a key");
    mac.update(nonce.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The exit code that a problem document stands for.
pub(crate) fn code_of(status: u16, body: &Value) -> Code {
    match (status, body.get("code").and_then(Value::as_str)) {
        (_, Some("personal_data" | "own_door" | "refused")) => Code::Policy,
        (401 | 403, _) => Code::Auth,
        (404, _) => Code::NotFound,
        (409, _) => Code::Conflict,
        (429 | 502 | 503, _) => Code::TryAgain,
        _ => Code::Failure,
    }
}
