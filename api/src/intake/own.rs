//! The product's own sources: as which of its components a submitter may write.
//!
//! What stands under `urn:rollout-ledger:` is read as the product's own word: an import, the
//! scheduler, the ledger itself. So nobody else writes there, however it is spelled.

use projector::schedule;

use crate::engine::OWN_SOURCE;

/// What every own `source` begins with.
const PREFIX: &str = "urn:rollout-ledger:";

/// What the scheduler announces.
const ANNOUNCEMENTS: [&str; 3] =
    ["rollout.checkpoint.due.v1", "rollout.checkpoint.missed.v1", "rollout.cleanup.due.v1"];

/// Tokens of this ledger: only its own commands make and revoke them.
const OF_TOKENS: [&str; 2] = ["rollout.token.created.v1", "rollout.token.revoked.v1"];

/// As which of the product's components somebody submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// None of them: HTTP and `event append`.
    Nobody,
    /// What a person says on the command line: `record`, `correct`, `confirm`.
    Words,
    /// `plan import` and `flags import`.
    Import,
    /// `token create` and `token revoke`, and the start of `serve`, which settles these.
    Tokens,
    Scheduler,
}

impl Own {
    /// All of them by the names that go over the wire from a command to its server.
    const NAMES: [(Own, &str); 5] = [
        (Own::Nobody, "append"),
        (Own::Words, "cli"),
        (Own::Import, "import"),
        (Own::Tokens, "token"),
        (Own::Scheduler, "scheduler"),
    ];

    /// The name of the component on the wire.
    pub fn name(self) -> &'static str {
        Own::NAMES.iter().find(|(own, _)| *own == self).map_or("append", |(_, name)| name)
    }

    /// The component of this name; none of them for a name that is none.
    pub fn of(name: &str) -> Own {
        Own::NAMES.iter().find(|(_, n)| *n == name).map_or(Own::Nobody, |(own, _)| *own)
    }

    /// The `recordedvia` of what a command of this machine submits so.
    pub fn via(self) -> &'static str {
        match self {
            Own::Nobody | Own::Words | Own::Tokens => "cli",
            Own::Import => "import",
            Own::Scheduler => "scheduler",
        }
    }

    /// As what a token may submit that lists these sources.
    pub fn of_sources(sources: &[String]) -> Own {
        let scheduler = sources.iter().any(|source| source == schedule::SOURCE);
        if scheduler { Own::Scheduler } else { Own::Nobody }
    }

    /// Looks whether an event of this type may be submitted under this source.
    ///
    /// # Errors
    /// The place in the event that is kept for others.
    pub fn admits(self, kind: &str, source: &str) -> Result<(), &'static str> {
        if OF_TOKENS.contains(&kind) && !(self == Own::Tokens && source == OWN_SOURCE) {
            return Err("/type");
        }
        if !is_own(source) {
            return Ok(());
        }
        let below = |name: &str| source.strip_prefix(PREFIX).is_some_and(|s| s.starts_with(name));
        let may = match self {
            Own::Nobody => false,
            Own::Words => source == crate::record::SOURCE,
            Own::Import => below("plan:") || below("flags:"),
            Own::Tokens => source == OWN_SOURCE && OF_TOKENS.contains(&kind),
            Own::Scheduler => source == schedule::SOURCE && ANNOUNCEMENTS.contains(&kind),
        };
        if may { Ok(()) } else { Err("/source") }
    }
}

/// Whether a reader, or a program that compares loosely, could take a `source` for one of the
/// product's own: in other letters, with escapes, with blanks around it.
pub fn is_own(source: &str) -> bool {
    let mut plain = source.to_owned();
    // An escape may be escaped itself. Each round makes the text shorter, or is the last.
    loop {
        let next = decoded(&plain);
        if next == plain {
            break;
        }
        plain = next;
    }
    let invisible = |c: char| c.is_whitespace() || c.is_control();
    let plain: String = plain.chars().filter(|c| !invisible(*c)).collect();
    plain.to_lowercase().starts_with(PREFIX)
}

/// With each `%41` of ASCII as the character that it stands for.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let byte = after.get(..2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        if let Some(byte) = byte {
            out.push(char::from(byte));
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push('%');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "rollout.note.added.v1";

    #[test]
    fn an_own_source_is_known_however_it_is_spelled() {
        for source in [
            "urn:rollout-ledger:self",
            "URN:Rollout-Ledger:SELF",
            "urn:rollout-ledger:self#a",
            "urn:rollout-ledger:self ",
            " urn:rollout-ledger:self",
            "urn:rollout-ledger:%73elf",
            "%75rn:rollout-ledger:self",
            "urn%3Arollout%2dledger%3aself",
            "urn%253Arollout-ledger:self",
            "urn:rollout-ledger:",
        ] {
            assert!(is_own(source), "{source}");
            assert_eq!(Own::Nobody.admits(NOTE, source), Err("/source"), "{source}");
        }
        for source in ["https://ci.example/%73elf", "urn:rollout-ledgers:self", "urn:x", "%", "%zz"]
        {
            assert_eq!(Own::Nobody.admits(NOTE, source), Ok(()), "{source}");
        }
    }

    #[test]
    fn each_component_writes_as_itself_and_what_it_says() {
        let (due, made) = ("rollout.checkpoint.due.v1", "rollout.token.created.v1");
        let (plan, flags) = ("urn:rollout-ledger:plan:a", "urn:rollout-ledger:flags:a:b");
        let rows = [
            (Own::Scheduler, due, schedule::SOURCE, Ok(())),
            (Own::Scheduler, NOTE, schedule::SOURCE, Err("/source")),
            (Own::Scheduler, due, "urn:rollout-ledger:Scheduler", Err("/source")),
            (Own::Scheduler, due, OWN_SOURCE, Err("/source")),
            (Own::Nobody, due, schedule::SOURCE, Err("/source")),
            (Own::Nobody, due, "https://due.example", Ok(())),
            (Own::Import, NOTE, plan, Ok(())),
            (Own::Import, NOTE, flags, Ok(())),
            (Own::Import, NOTE, OWN_SOURCE, Err("/source")),
            (Own::Nobody, NOTE, plan, Err("/source")),
            (Own::Words, NOTE, crate::record::SOURCE, Ok(())),
            (Own::Words, NOTE, flags, Err("/source")),
            (Own::Words, made, OWN_SOURCE, Err("/type")),
            (Own::Tokens, made, OWN_SOURCE, Ok(())),
            (Own::Tokens, made, "https://tokens.example", Err("/type")),
            (Own::Tokens, NOTE, OWN_SOURCE, Err("/source")),
            (Own::Nobody, made, "https://tokens.example", Err("/type")),
        ];
        for (own, kind, source, expected) in rows {
            assert_eq!(own.admits(kind, source), expected, "{own:?} {kind} {source}");
        }
        assert!(Own::NAMES.iter().all(|(own, name)| Own::of(name) == *own && own.name() == *name));
    }
}
