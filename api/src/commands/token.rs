//! `token create|list|revoke`: beside a running server as well as alone.

use std::num::NonZeroU32;

use projector::schedule;
use serde_json::{Value, json};

use crate::{
    clock,
    config::token::{Create, Token as Command},
    context::{Appender, Context},
    exit::{Code, fail},
    intake::{
        check_words,
        own::{self, Own},
    },
    moment,
    output::{self, Rows},
    principal::Scope,
    tokens::{
        Rate, SOURCES_LEN_MAX, Stage, Standing, TOKENS_LEN_MAX, Token, expiry,
        file::{Held, TokenFile},
        record,
        secret::Secret,
    },
};

/// How much of its rate a token may use at once, unless told.
const TWICE: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Longest name of whoever uses a token, in characters.
const NAME_LEN_MAX: usize = 128;

pub(super) fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create(asked) => create(context, asked),
        Command::List => list(context),
        Command::Revoke { id, reason } => revoke(context, &id, &reason),
    }
}

fn create(context: &Context, asked: Create) -> anyhow::Result<()> {
    let home = context.home()?;
    let secret = Secret::draw();
    let token = drafted(asked, &secret)?;
    let held = TokenFile::of(&home).lock()?;
    let mut appender = context.appender()?;
    let mut tokens = held.read()?;
    settle(&held, &mut appender, &mut tokens)?;
    make_room(&mut tokens, token.created_us)?;
    let place = tokens.len();
    tokens.push(token);
    // Pending, then recorded, then live: no token works that has no event.
    held.write(&tokens)?;
    let event = tokens.last().map(record::created).unwrap_or_default();
    let receipts = appender.append(&[event], Own::Tokens);
    appender.close()?;
    let seq = receipts?.first().map(|receipt| receipt.seq);
    if let Some(token) = tokens.get_mut(place) {
        token.stage = Stage::Live;
    }
    held.write(&tokens)?;
    let Some(token) = tokens.get(place) else { return Ok(()) };
    let mut shown = described(token, Standing::Live);
    crate::json::set(&mut shown, "token", json!(secret.reveal()));
    crate::json::set(&mut shown, "seq", json!(seq));
    output::object(context.format, &shown, || secret.reveal().to_owned())?;
    let until = moment::shown(token.expires_us);
    let who = &token.for_whom;
    output::say(&format!(
        "token {} for {who}, until {until}; it is shown this once and kept nowhere",
        token.id
    ))?;
    Ok(())
}

/// What is asked for, checked.
fn drafted(asked: Create, secret: &Secret) -> anyhow::Result<Token> {
    check_words("--for", &asked.for_whom)?;
    asked.sources.iter().try_for_each(|source| check_words("--source", source))?;
    let named = asked.for_whom.trim();
    if named.is_empty() || named.chars().count() > NAME_LEN_MAX {
        let what = format!("--for wants 1 to {NAME_LEN_MAX} characters");
        return Err(fail(Code::Usage, what));
    }
    let appends = |scope: &Scope| scope.allows(&Scope::EventsAppend(None), None);
    if asked.scopes.iter().any(appends) && asked.sources.is_empty() && !asked.any_source {
        let what = "a token that may append names each --source it may write as, or --any-source";
        return Err(fail(Code::Usage, what));
    }
    if asked.sources.len() > SOURCES_LEN_MAX {
        return Err(fail(Code::Usage, format!("a token has at most {SOURCES_LEN_MAX} sources")));
    }
    let fits = |source: &String| {
        (1..=schemas::envelope::SOURCE_LEN_MAX).contains(&source.chars().count())
            && !source.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    if !asked.sources.iter().all(fits) {
        return Err(fail(Code::Usage, "--source wants the `source` of events, without spaces"));
    }
    if asked.sources.iter().any(|source| own::is_own(source) && source != schedule::SOURCE) {
        let what = "nobody writes as the product itself; name the source of whoever uses the token";
        return Err(fail(Code::Policy, what));
    }
    let now = clock::now();
    let rate = asked.rate.map(|per_second| Rate {
        per_second,
        burst: asked.burst.unwrap_or(per_second.saturating_mul(TWICE)),
    });
    let (mut scopes, mut sources) = (asked.scopes, asked.sources);
    scopes.sort();
    scopes.dedup();
    sources.sort();
    sources.dedup();
    Ok(Token {
        id: secret.id().to_owned(),
        sha256: secret.sha256(),
        scopes,
        sources,
        for_whom: named.to_owned(),
        created_us: now.as_microsecond(),
        expires_us: expiry::parse(&asked.expires, now)?,
        rate,
        stage: Stage::Pending,
    })
}

/// Drops the oldest dead tokens where the file is full.
fn make_room(tokens: &mut Vec<Token>, now_us: i64) -> anyhow::Result<()> {
    while tokens.len() >= TOKENS_LEN_MAX {
        let dead = |token: &Token| {
            let standing = token.standing(now_us);
            matches!(standing, Standing::Expired | Standing::Revoked)
        };
        let Some(oldest) = tokens.iter().position(dead) else {
            let what = format!("there are {TOKENS_LEN_MAX} tokens that work");
            return Err(fail(Code::Conflict, format!("{what}; revoke one that nobody needs")));
        };
        tokens.remove(oldest);
    }
    Ok(())
}

fn settle(held: &Held, appender: &mut Appender, tokens: &mut [Token]) -> anyhow::Result<()> {
    let now_us = clock::now().as_microsecond();
    record::settle(held, tokens, now_us, |events| appender.append(events, Own::Tokens).map(drop))
}

fn list(context: &Context) -> anyhow::Result<()> {
    let now_us = clock::now().as_microsecond();
    let columns = ["id", "for", "scopes", "sources", "created_at", "expires_at", "state"];
    let mut rows = Rows::new(&columns);
    for token in TokenFile::of(&context.home()?).read()? {
        let standing = token.standing(now_us);
        let object = described(&token, standing);
        let words = |name: &str| {
            let list = object.get(name).and_then(Value::as_array);
            let texts: Vec<_> = list.into_iter().flatten().filter_map(Value::as_str).collect();
            if texts.is_empty() { output::ABSENT.to_owned() } else { texts.join(" ") }
        };
        let cells = vec![
            token.id.clone(),
            token.for_whom.clone(),
            words("scopes"),
            words("sources"),
            moment::shown(token.created_us),
            moment::shown(token.expires_us),
            standing.as_str().to_owned(),
        ];
        rows.push(cells, &object);
    }
    Ok(rows.print(context.format, "no token was made in this directory")?)
}

/// What may be told of a token.
fn described(token: &Token, standing: Standing) -> Value {
    let scopes: Vec<_> = token.scopes.iter().map(ToString::to_string).collect();
    let mut shown = json!({
        "id": token.id,
        "for": token.for_whom,
        "scopes": scopes,
        "sources": token.sources,
        "created_at": moment::shown(token.created_us),
        "expires_at": moment::shown(token.expires_us),
        "state": standing.as_str(),
    });
    if let Some(rate) = token.rate {
        crate::json::set(&mut shown, "rate", json!(rate));
    }
    if let Stage::Revoked { at_us, reason, recorded } = &token.stage {
        crate::json::set(&mut shown, "revoked_at", json!(moment::shown(*at_us)));
        crate::json::set(&mut shown, "reason", json!(reason));
        crate::json::set(&mut shown, "recorded", json!(recorded));
    }
    shown
}

fn revoke(context: &Context, id: &str, reason: &str) -> anyhow::Result<()> {
    check_words("--reason", reason)?;
    let held = TokenFile::of(&context.home()?).lock()?;
    let mut tokens = held.read()?;
    let Some(token) = tokens.iter_mut().find(|token| token.id == id) else {
        let what = "there is no token with this id; `rollout-ledger token list` lists them";
        return Err(fail(Code::NotFound, what));
    };
    let at_us = clock::now().as_microsecond();
    let before = match &token.stage {
        Stage::Revoked { at_us, .. } => Some(*at_us),
        Stage::Pending | Stage::Live => None,
    };
    if before.is_none() {
        // The file first: it is refused from here on, whatever comes of the rest.
        token.stage = Stage::Revoked { at_us, reason: reason.to_owned(), recorded: false };
        held.write(&tokens)?;
    }
    let recorded = context.appender().and_then(|mut appender| {
        let settled = settle(&held, &mut appender, &mut tokens);
        appender.close()?;
        settled
    });
    recorded.map_err(|e| {
        let what = "the token is refused from now on, but that is not recorded yet; run it again";
        e.context(what)
    })?;
    Ok(output::print(&match before {
        Some(at_us) => format!("token {id} was revoked at {}", moment::shown(at_us)),
        None => format!("token {id} is revoked"),
    })?)
}
