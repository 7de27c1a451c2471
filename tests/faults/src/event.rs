//! The events of these stories: an opening, one for each writer that takes the log over, and notes of clients.

use ledger::{Draft, Entry};
use serde_json::Value;

/// When the stories begin: 2026-01-01, in Unix microseconds.
pub const START_US: u64 = 1_767_225_600_000_000;

const SOURCE: &str = "https://ledger.example/faults";
const OPENED: &str = "rollout.ledger.opened.v1";
const WRITER_OPENED: &str = "rollout.ledger.writer_opened.v1";
const NOTE: &str = "rollout.note.added.v1";
/// Ends no word of a body.
const FILLING: char = '_';
const OCCURRENCE: &str = r#""occurrence":{"earliest":"2026-01-01T00:00:00Z","latest":"2026-01-01T00:00:00Z","precision":"instant"}"#;

/// What an entry is in these stories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Entry 0.
    Opening,
    /// A writer took the log over: which life of which process.
    Life(String),
    /// A client's.
    Note {
        /// What it may be sent again under.
        key: String,
        /// What it says.
        body: String,
    },
    /// Nothing that these stories write.
    Other,
}

/// Entry 0 of a ledger.
///
/// # Panics
///
/// Here and below: if a name needs to be escaped in JSON.
pub fn opening(ledger: &str) -> Draft {
    let data = format!(
        r#"{{"actor":{{"kind":"unknown"}},"basis":"observed","durability":"acknowledged after a read back","home":{{"id":"faults","kind":"topic"}},"ledger_id":"{ledger}",{OCCURRENCE},"origin":"ledger.example","pseudonym_key":"{}","version":"0.1.0"}}"#,
        "00".repeat(32)
    );
    draft(OPENED, "opened", &data, "")
}

/// What a writer records before it serves anyone. `life` is its process's name, `.` and a number.
pub fn writer_opened(life: &str) -> Draft {
    let data = format!(
        r#"{{"actor":{{"kind":"unknown"}},"basis":"observed","host_id":"{life}",{OCCURRENCE},"version":"0.1.0"}}"#
    );
    draft(WRITER_OPENED, &format!("life-{life}"), &data, "")
}

/// What a client records. A body `WORD~SIZE` says the word, and so many bytes more.
pub fn note(key: &str, body: &str) -> Draft {
    let (word, size) = body.split_once('~').unwrap_or((body, "0"));
    let filling = FILLING.to_string().repeat(size.parse().unwrap_or(0));
    let data = format!(
        r#"{{"actor":{{"kind":"unknown"}},"basis":"observed",{OCCURRENCE},"text":"{word}{filling}"}}"#
    );
    // Clients are called `c3`, say, and their keys `c3-17`.
    let rollout = key.split('-').next().unwrap_or(key);
    draft(NOTE, key, &data, &format!(r#""subject":"{rollout}","#))
}

fn draft(event_type: &str, id: &str, data: &str, subject: &str) -> Draft {
    let payload = format!(
        r#"{{"authid":"faults","authtype":"os_account","data":{data},"id":"{id}","recordedvia":"cli","salt":"AAECAwQFBgcICQoLDA0ODw","source":"{SOURCE}","specversion":"1.0",{subject}"time":"2026-01-01T00:00:00Z","type":"{event_type}"}}"#
    );
    Draft::new(payload.into_bytes()).expect("it is canonical JSON")
}

/// Reads an entry by a way that the ledger does not use.
pub fn told(entry: &Entry) -> Told {
    let read = || {
        let event: Value = serde_json::from_slice(entry.payload()?).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let data = event.get("data")?;
        Some(match event.get("type")?.as_str()? {
            OPENED => Told::Opening,
            WRITER_OPENED => Told::Life(text(data.get("host_id")?)?),
            NOTE => {
                Told::Note { key: text(event.get("id")?)?, body: body(data.get("text")?.as_str()?) }
            }
            _ => Told::Other,
        })
    };
    read().unwrap_or(Told::Other)
}

fn body(text: &str) -> String {
    let word = text.trim_end_matches(FILLING);
    format!("{word}~{}", text.len() - word.len())
}

#[cfg(test)]
mod tests {
    use ledger::Head;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let read = |draft| told(&Head::GENESIS.seal(draft, START_US));
        assert_eq!(read(opening("l")), Told::Opening);
        assert_eq!(read(writer_opened("w1.2")), Told::Life("w1.2".into()));
        for body in ["b~0", "b~7"] {
            let told = Told::Note { key: "c1-2".into(), body: body.into() };
            assert_eq!(read(note("c1-2", body)), told);
        }
    }
}
