//! `token`: its commands and settings.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};

use crate::principal::Scope;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make an access token and print it, this once
    Create(Create),
    /// Every token: what it allows, for whom, until when. Never the token itself
    List,
    /// Refuse a token from now on
    Revoke {
        id: String,
        /// Why, in words
        #[arg(long, value_name = "WORDS")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// What it allows: events:append (or events:append:TYPE, or the beginning of one), events:read,
    /// metrics:read, subscriptions:manage, admin (everything)
    #[arg(long = "scope", required = true, value_name = "SCOPE")]
    pub scopes: Vec<Scope>,
    /// A `source` that it may write as; wanted of a token that may append
    #[arg(long = "source", value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// It may write as any source but the ledger's own
    #[arg(long, conflicts_with = "sources")]
    pub any_source: bool,
    /// Until when: a duration such as P90D, or a moment; at most 366 days
    #[arg(long, value_name = "WHEN")]
    pub expires: String,
    /// Who is to use it: an account id or the name of a system, never a person's name
    #[arg(long = "for", value_name = "NAME")]
    pub for_whom: String,
    /// Requests a second, instead of the server's limit
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// Requests at once after a while without any; twice the rate when absent
    #[arg(long, requires = "rate", value_name = "N")]
    pub burst: Option<NonZeroU32>,
}
