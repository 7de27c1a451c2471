//! Who asks, and what they may do.
//!
//! The middleware of `http/authorize.rs` puts a [`Principal`] into every request that wants a scope;
//! handlers take it out with axum's `Extension`.

use std::{fmt, str::FromStr};

use crate::intake::own::Own;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Anyone on this machine, while no token was ever made.
    Loopback,
    /// A command that can read `serve.json`.
    OsAccount {
        /// As which of the product's components it says to come.
        own: Own,
    },
    /// Whoever holds an access token.
    Token {
        /// The public part of the token.
        id: String,
        scopes: Vec<Scope>,
        /// The `source`s it may write as; empty for any.
        sources: Vec<String>,
    },
}

/// What a route wants and a token gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `events:append`; with a type or the beginning of one, only events of that.
    EventsAppend(Option<String>),
    /// `events:read`: everything that reads.
    EventsRead,
    /// `metrics:read`.
    MetricsRead,
    /// `subscriptions:manage`: webhooks.
    SubscriptionsManage,
    /// `admin`: views and tokens; implies all others.
    Admin,
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope is events:append, events:append:TYPE, events:read, metrics:read, \
     subscriptions:manage or admin"
)]
pub struct NoScope;

impl Scope {
    /// Whether this scope gives what is required. `event_type` is the type of the event that is to be
    /// appended; while it is not known yet, a narrowed scope is enough to be heard.
    pub fn allows(&self, required: &Scope, event_type: Option<&str>) -> bool {
        match (self, required) {
            (Scope::Admin, _) => true,
            (Scope::EventsAppend(narrow), Scope::EventsAppend(_)) => {
                let (Some(narrow), Some(event_type)) = (narrow, event_type) else { return true };
                let rest = event_type.strip_prefix(narrow.as_str());
                rest.is_some_and(|rest| {
                    rest.is_empty() || narrow.ends_with('.') || rest.starts_with('.')
                })
            }
            (given, required) => given == required,
        }
    }
}

impl Principal {
    /// Whether the principal may use a route that requires this scope.
    pub fn may(&self, required: &Scope) -> bool {
        match self {
            Principal::Loopback | Principal::OsAccount { .. } => true,
            Principal::Token { scopes, .. } => scopes.iter().any(|s| s.allows(required, None)),
        }
    }

    /// Whether the principal may append events of this type, from some source.
    pub fn may_append_type(&self, event_type: &str) -> bool {
        match self {
            Principal::Loopback | Principal::OsAccount { .. } => true,
            Principal::Token { scopes, .. } => {
                let append = Scope::EventsAppend(None);
                scopes.iter().any(|s| s.allows(&append, Some(event_type)))
            }
        }
    }

    /// Whether the principal may append an event of this type that says it comes from this source.
    pub fn may_append(&self, event_type: &str, source: &str) -> bool {
        match self {
            Principal::Loopback | Principal::OsAccount { .. } => true,
            Principal::Token { sources, .. } => {
                let listed = sources.is_empty() || sources.iter().any(|s| s == source);
                listed && self.may_append_type(event_type)
            }
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::EventsAppend(None) => f.write_str("events:append"),
            Scope::EventsAppend(Some(narrow)) => write!(f, "events:append:{narrow}"),
            Scope::EventsRead => f.write_str("events:read"),
            Scope::MetricsRead => f.write_str("metrics:read"),
            Scope::SubscriptionsManage => f.write_str("subscriptions:manage"),
            Scope::Admin => f.write_str("admin"),
        }
    }
}

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Scope, NoScope> {
        Ok(match text {
            "events:append" => Scope::EventsAppend(None),
            "events:read" => Scope::EventsRead,
            "metrics:read" => Scope::MetricsRead,
            "subscriptions:manage" => Scope::SubscriptionsManage,
            "admin" => Scope::Admin,
            other => {
                let narrow = other.strip_prefix("events:append:").ok_or(NoScope)?;
                let plain =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
                if !narrow.starts_with("rollout.") || !narrow.chars().all(plain) {
                    return Err(NoScope);
                }
                Scope::EventsAppend(Some(narrow.to_owned()))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        let all = [
            "events:append",
            "events:append:rollout.stage",
            "events:append:rollout.stage.started.v1",
            "events:read",
            "metrics:read",
            "subscriptions:manage",
            "admin",
        ];
        for text in all {
            assert_eq!(text.parse::<Scope>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "events", "events:append:", "events:append:stage", "Admin", "events:read "]
        {
            assert_eq!(text.parse::<Scope>(), Err(NoScope), "{text}");
        }
    }

    #[test]
    fn a_scope_gives_what_it_says_and_no_more() {
        let scope = |text: &str| text.parse::<Scope>().expect(text);
        let stage = Some("rollout.stage.started.v1");
        let rows = [
            ("admin", "events:read", None, true),
            ("admin", "events:append", stage, true),
            ("events:read", "events:append", None, false),
            ("events:append", "events:read", None, false),
            ("events:append", "events:append", stage, true),
            ("events:append:rollout.stage", "events:append", stage, true),
            ("events:append:rollout.stage.", "events:append", stage, true),
            ("events:append:rollout.st", "events:append", stage, false),
            ("events:append:rollout.gate", "events:append", stage, false),
            ("events:append:rollout.gate", "events:append", None, true),
            ("metrics:read", "admin", None, false),
        ];
        for (given, required, event_type, expected) in rows {
            let allowed = scope(given).allows(&scope(required), event_type);
            assert_eq!(allowed, expected, "{given} for {required} {event_type:?}");
        }
    }

    #[test]
    fn a_token_writes_as_its_sources_only() {
        let token = |sources: &[&str]| Principal::Token {
            id: "t".to_owned(),
            scopes: vec![Scope::EventsAppend(Some("rollout.note".to_owned()))],
            sources: sources.iter().map(ToString::to_string).collect(),
        };
        let note = "rollout.note.added.v1";
        assert!(token(&[]).may_append(note, "https://ci.example"));
        assert!(token(&["https://ci.example"]).may_append(note, "https://ci.example"));
        assert!(!token(&["https://ci.example"]).may_append(note, "https://ci.example/other"));
        assert!(!token(&[]).may_append("rollout.stage.started.v1", "https://ci.example"));
        assert!(!token(&[]).may(&Scope::EventsRead));
    }
}
