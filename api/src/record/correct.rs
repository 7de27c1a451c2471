//! `correct SEQ`: the flags of the entry's own type, laid over what it said.

use clap::{Arg, ArgAction, Command};
use schemas::{CloudEvent, event::EventType};
use serde_json::{Value, json};

use super::{HashOf, Known, Request, SOURCE, read, verb};
use crate::{
    exit::{Code, fail},
    home,
    json::set,
};

/// The entry that is corrected.
pub struct Original<'a> {
    pub seq: u64,
    pub hash: &'a str,
    pub event: &'a Value,
}

/// `correct SEQ [FLAGS]`; which flags there are depends on the entry's type.
pub fn command() -> Command {
    Command::new("correct")
        .about("Correct an entry: its replacement is recorded and the first value stays visible")
        .after_help(
            "The flags are those of `record` for the entry's type:\n  \
             rollout-ledger correct 41 --unique-users 120 --reason 'counted twice'\n  \
             rollout-ledger correct 41 --withdraw --reason 'recorded for the wrong rollout'\n\
             `rollout-ledger correct SEQ --help` lists them.",
        )
        .disable_help_flag(true)
        .arg(
            Arg::new("seq")
                .value_name("SEQ")
                .help("The entry to correct")
                .allow_hyphen_values(true),
        )
        .arg(
            Arg::new("flags")
                .value_name("FLAGS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true),
        )
}

/// The flags of a correction that an entry's own members may be called like.
const OWN: [&str; 2] = ["reason", "approver"];

/// A member of the entry gets another flag where the correction has one of that name.
fn apart(arg: Arg) -> Arg {
    match arg.get_long().map(str::to_owned) {
        Some(flag) if OWN.contains(&flag.as_str()) => arg.long(format!("new-{flag}")),
        Some(flag) if flag == "event-source" => arg.hide(true),
        _ => arg,
    }
}

/// The flags for an entry of one type.
pub(super) fn command_for(event: &EventType) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading("The correction")
    };
    verb(event)
        .no_binary_name(true)
        .name("rollout-ledger correct SEQ")
        .mut_args(apart)
        .arg(text("reason", "TEXT", "Why, for whoever reads both values (required)"))
        .arg(text("approver", "PARTY", "Who approved it").action(ArgAction::Append))
        .arg(
            Arg::new("withdraw")
                .long("withdraw")
                .action(ArgAction::SetTrue)
                .help("It should not have been recorded at all")
                .help_heading("The correction"),
        )
}

/// The correcting event, and whether it is only to be shown.
///
/// # Errors
/// When a flag cannot be read, nothing is changed, or the result does not fit the type.
pub fn event(
    kind: &'static EventType,
    original: &Original,
    flags: &[String],
    known: &Known,
    hash_of: &HashOf,
    now_us: i64,
) -> anyhow::Result<(Value, bool)> {
    let matches = command_for(kind).try_get_matches_from(flags)?;
    let request = Request { event: kind, matches: &matches };
    let text = |name: &str| matches.get_one::<String>(name);
    let reason = text("reason").ok_or_else(|| {
        fail(Code::Usage, "--reason is missing: why, for whoever reads both values")
    })?;
    let mut data = json!({
        "target": { "seq": original.seq, "hash": original.hash },
        "reason": reason, "basis": text("basis").map_or("reported", String::as_str),
    });
    let withdraw = matches.get_flag("withdraw");
    if !withdraw {
        set(&mut data, "replacement", replacement(&request, original, known, hash_of, now_us)?);
    }
    if let Some(actor) = text("actor") {
        set(&mut data, "actor", json!(read::person(actor)));
    }
    if let Some(parties) = matches.get_many::<String>("approver") {
        set(&mut data, "approvers", json!(parties.map(|p| read::party(p)).collect::<Vec<_>>()));
    }
    let verb = if withdraw { "withdrawn" } else { "corrected" };
    let mut event = json!({
        "specversion": "1.0",
        "id": text("id").cloned().unwrap_or_else(home::random_hex::<16>),
        "source": SOURCE, "type": format!("rollout.event.{verb}.v1"), "data": data,
    });
    if let Some(subject) = original.event.get("subject") {
        set(&mut event, "subject", subject.clone());
    }
    Ok((event, request.dry_run()))
}

/// The whole data of the target's type: what it said, with what was given laid over it.
fn replacement(
    request: &Request,
    original: &Original,
    known: &Known,
    hash_of: &HashOf,
    now_us: i64,
) -> anyhow::Result<Value> {
    let mut corrected = original.event.clone();
    for attribute in schemas::envelope::INTAKE_ATTRIBUTES {
        corrected.as_object_mut().map(|event| event.remove(attribute));
    }
    let (data, results) = request.given(&request.fields(), known, hash_of)?;
    let moved = request.matches.get_one::<String>("happened");
    if data.is_empty() && results.is_empty() && moved.is_none() {
        let how = "give the flags that should say something else, or --withdraw";
        return Err(fail(Code::Usage, format!("nothing is corrected: {how}")));
    }
    let mut said = corrected.get_mut("data").map(Value::take).unwrap_or_default();
    if let (false, Some(block)) = (results.is_empty(), said.get_mut("results")) {
        results.into_iter().for_each(|(name, value)| set(block, &name, value));
    }
    data.into_iter().for_each(|(name, value)| set(&mut said, &name, value));
    if let Some(when) = moved {
        let occurrence = super::happened(when, known, now_us)?;
        set(&mut corrected, "time", json!(occurrence.earliest));
        set(&mut said, "occurrence", json!(occurrence));
    }
    set(&mut corrected, "data", said);
    CloudEvent::from_sender(&corrected)
        .map_err(|e| fail(Code::Usage, format!("the corrected event would not be valid: {e}")))?;
    Ok(corrected.get_mut("data").map(Value::take).unwrap_or_default())
}
