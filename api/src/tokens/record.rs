//! The events of a token, each with an id made of the token's: sending one again records nothing.

use serde_json::{Value, json};

use super::{Stage, Token, file::Held};
use crate::{engine::OWN_SOURCE, exit, moment};

/// Why a token is revoked that nobody was ever told.
const UNFINISHED: &str = "its making did not finish, so nobody was told the token";

/// `token.created`.
pub fn created(token: &Token) -> Value {
    let scopes: Vec<_> = token.scopes.iter().map(ToString::to_string).collect();
    json!({
        "specversion": "1.0",
        "id": format!("token-created-{}", token.id),
        "source": OWN_SOURCE,
        "type": "rollout.token.created.v1",
        "time": moment::shown(token.created_us),
        "data": {
            "token_id": token.id,
            "scopes": scopes,
            "sources": token.sources,
            "expires_at": moment::shown(token.expires_us),
            "for_whom": token.for_whom,
            "basis": "observed",
        },
    })
}

/// The id of a token's `token.revoked`.
fn revocation_id(token_id: &str) -> String {
    format!("token-revoked-{token_id}")
}

/// Refuses each token whose revocation the ledger holds and the file does not, as when an older file
/// was put back. `entry_of` finds the entry of one of the ledger's own events by its id.
///
/// # Errors
/// When the ledger cannot be asked, or the file not be written.
pub fn revoke_recorded(
    held: &Held,
    tokens: &mut [Token],
    now_us: i64,
    mut entry_of: impl FnMut(&str) -> anyhow::Result<Option<u64>>,
) -> anyhow::Result<()> {
    let mut changed = false;
    for token in tokens.iter_mut() {
        if matches!(token.stage, Stage::Revoked { .. }) {
            continue;
        }
        let Some(seq) = entry_of(&revocation_id(&token.id))? else { continue };
        tracing::warn!(token = %token.id, seq, "a token is live in tokens.json, but was revoked");
        let reason = format!("revoked by entry {seq}");
        token.stage = Stage::Revoked { at_us: now_us, reason, recorded: true };
        changed = true;
    }
    if changed { held.write(tokens) } else { Ok(()) }
}

/// `token.revoked`, of one that is.
pub fn revoked(token: &Token) -> Option<Value> {
    let Stage::Revoked { at_us, reason, .. } = &token.stage else { return None };
    Some(json!({
        "specversion": "1.0",
        "id": revocation_id(&token.id),
        "source": OWN_SOURCE,
        "type": "rollout.token.revoked.v1",
        "time": moment::shown(*at_us),
        "data": { "token_id": token.id, "reason": reason, "basis": "observed" },
    }))
}

/// Settles what was begun: a pending token is revoked, and revocations whose event may be missing
/// are recorded. `append` records events, all or none, and each once however often it is sent.
///
/// # Errors
/// When the file cannot be written or the events not be recorded. Every token that was revoked
/// stays refused, and settling again goes on where this stopped.
pub fn settle(
    held: &Held,
    tokens: &mut [Token],
    now_us: i64,
    mut append: impl FnMut(&[Value]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pending = tokens.iter_mut().filter(|t| t.stage == Stage::Pending).peekable();
    if pending.peek().is_some() {
        for token in pending {
            let reason = UNFINISHED.to_owned();
            token.stage = Stage::Revoked { at_us: now_us, reason, recorded: false };
        }
        held.write(tokens)?;
    }
    let mut settled = false;
    for token in tokens.iter_mut() {
        let Stage::Revoked { recorded: false, .. } = token.stage else { continue };
        let events: Vec<_> = [Some(created(token)), revoked(token)].into_iter().flatten().collect();
        match append(&events) {
            // The ledger holds its revocation in other words, as when an older file was put back.
            Err(e) if exit::is_conflict(&e) => {
                tracing::warn!(token = %token.id, "its revocation is recorded already");
            }
            appended => appended?,
        }
        if let Stage::Revoked { recorded, .. } = &mut token.stage {
            (*recorded, settled) = (true, true);
        }
    }
    if settled { held.write(tokens) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        home::Home,
        intake::{Submitter, admit_all, own::Own},
        principal::Scope,
        tokens::file::TokenFile,
    };

    fn token(id: &str, stage: Stage) -> Token {
        Token {
            id: id.to_owned(),
            sha256: "0".repeat(64),
            scopes: vec![Scope::EventsAppend(None), Scope::EventsRead],
            sources: vec!["https://ci.example/deploys".to_owned()],
            for_whom: "the deploy pipeline".to_owned(),
            created_us: 1_000_000,
            expires_us: 2_000_000,
            rate: None,
            stage,
        }
    }

    fn revocation(recorded: bool) -> Stage {
        Stage::Revoked { at_us: 1_500_000, reason: "moved".to_owned(), recorded }
    }

    #[test]
    fn the_events_fit_their_schemas_and_come_through_the_door() {
        let token = token("abcdefghijkl", revocation(false));
        let events = [created(&token), revoked(&token).unwrap()];
        admit_all(&events, &Submitter::here(Own::Tokens)).unwrap();
    }

    #[test]
    fn what_a_crash_left_is_settled_once() {
        let temp = tempfile::tempdir().unwrap();
        let file = TokenFile::of(&Home::at(temp.path()));
        let held = file.lock().unwrap();
        let mut tokens = vec![
            token("live", Stage::Live),
            token("pending", Stage::Pending),
            token("torn", revocation(false)),
            token("done", revocation(true)),
        ];
        let mut ids = Vec::new();
        let mut append = |events: &[Value]| {
            ids.extend(events.iter().map(|e| e["id"].as_str().unwrap().to_owned()));
            Ok(())
        };
        settle(&held, &mut tokens, 9, &mut append).unwrap();
        settle(&held, &mut tokens, 10, &mut append).unwrap();
        let expected = ["created-pending", "revoked-pending", "created-torn", "revoked-torn"];
        assert_eq!(ids, expected.map(|id| format!("token-{id}")));
        assert_eq!(held.read().unwrap(), tokens);
        assert_eq!(tokens[0].stage, Stage::Live);
        let reason = UNFINISHED.to_owned();
        assert_eq!(tokens[1].stage, Stage::Revoked { at_us: 9, reason, recorded: true });
        assert_eq!(tokens[2].stage, revocation(true));
    }

    #[test]
    fn a_token_of_an_older_file_is_refused_when_the_ledger_holds_its_revocation() {
        let temp = tempfile::tempdir().unwrap();
        let held = TokenFile::of(&Home::at(temp.path())).lock().unwrap();
        let mut tokens = vec![token("kept", Stage::Live), token("gone", Stage::Live)];
        let entry_of = |id: &str| Ok((id == "token-revoked-gone").then_some(7));
        revoke_recorded(&held, &mut tokens, 9, entry_of).unwrap();
        assert_eq!(tokens[0].stage, Stage::Live);
        let reason = "revoked by entry 7".to_owned();
        assert_eq!(tokens[1].stage, Stage::Revoked { at_us: 9, reason, recorded: true });
        assert_eq!(held.read().unwrap(), tokens);
    }

    #[test]
    fn a_revocation_that_the_ledger_holds_in_other_words_is_settled() {
        let temp = tempfile::tempdir().unwrap();
        let held = TokenFile::of(&Home::at(temp.path())).lock().unwrap();
        let mut tokens = vec![token("again", revocation(false))];
        let mut append = |_: &[Value]| Err(exit::fail(exit::Code::Conflict, "something else"));
        settle(&held, &mut tokens, 9, &mut append).unwrap();
        assert_eq!(held.read().unwrap(), [token("again", revocation(true))]);
    }

    #[test]
    fn a_pending_token_is_refused_on_disk_before_its_event_is_sent() {
        let temp = tempfile::tempdir().unwrap();
        let file = TokenFile::of(&Home::at(temp.path()));
        let held = file.lock().unwrap();
        let mut tokens = vec![token("pending", Stage::Pending)];
        let failed = settle(&held, &mut tokens, 9, |_| anyhow::bail!("the server went away"));
        assert!(failed.is_err());
        let kept = held.read().unwrap();
        assert!(matches!(kept[0].stage, Stage::Revoked { recorded: false, .. }), "{kept:?}");
    }
}
