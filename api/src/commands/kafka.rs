//! `kafka init|join|check`: a ledger whose log is a topic.

use ledger::Refusal;
use serde_json::{Value, json};

use super::show_made;
use crate::{
    config::kafka::Kafka,
    context::Context,
    engine,
    exit::{Code, fail},
    home::{Home, NewHome},
    logs::{
        Topic,
        kafka::{
            Address, begin,
            look::{self, Look},
        },
    },
    output,
    pseudonym::PseudonymKey,
    space,
};

pub(super) fn run(context: &Context, command: Kafka) -> anyhow::Result<()> {
    match command {
        Kafka::Init { topic, origin } => init(context, &topic, origin.as_deref()),
        Kafka::Join { topic, key } => join(context, &topic, &PseudonymKey::load(&key)?),
        Kafka::Check { topic } => check(context, topic),
    }
}

/// Makes a ledger on Kafka.
pub(super) fn init(
    context: &Context,
    address: &Address,
    origin: Option<&str>,
) -> anyhow::Result<()> {
    let dir = &context.data_dir;
    let made = engine::init_kafka(dir, origin, address, context.asked.clone());
    show_made(context, &made.map_err(|e| space::full(e, dir))?)
}

/// Makes a directory for a ledger that is there.
fn join(context: &Context, address: &Address, key: &PseudonymKey) -> anyhow::Result<()> {
    let new: NewHome = Home::create(&context.data_dir, key)?.asking(context.asked.clone());
    let head = begin::join(&new, address, key)?;
    let home = new.finish()?;
    let (last, hash) = (head.next.0.saturating_sub(1), head.hash);
    let made = json!({
        "data_dir": home.dir(),
        "entries": head.next.0,
        "head": { "seq": last, "hash": hash.to_string() },
    });
    output::object(context.format, &made, || {
        let dir = home.dir().display();
        format!(
            "{dir} is a directory of the ledger in topic {}\nhead: {last}:{hash}",
            address.topic()
        )
    })?;
    Ok(output::say("access tokens and webhooks are this machine's own: make them here")?)
}

/// Says what could lose entries.
fn check(context: &Context, asked: Option<Address>) -> anyhow::Result<()> {
    let home = match asked {
        Some(_) => Home::at(&context.data_dir).asking(context.asked.clone()),
        None => context.home()?,
    };
    let Look { address, cluster, inspection } = match (asked, Topic::of(&home)?) {
        (Some(address), _) => look::look_at(&home, &address)?,
        (None, Some(topic)) => look::look(&home, &topic)?,
        (None, None) => {
            let what = "the log of this directory is no topic: name one, or another --data-dir";
            return Err(fail(Code::Usage, what));
        }
    };
    let (refusals, unknown) = (&inspection.refusals.0, &inspection.unknown.0);
    let shown = json!({
        "topic": address.topic(),
        "cluster": cluster.id,
        "brokers": cluster.brokers,
        "refusals": refusals.iter().map(shown).collect::<Vec<_>>(),
        "unknown": unknown.iter().map(shown).collect::<Vec<_>>(),
    });
    output::object(context.format, &shown, || {
        let (name, id, brokers) = (address.topic(), &cluster.id, cluster.brokers);
        let mut lines = vec![format!("topic {name} on cluster {id} with {brokers} brokers")];
        lines.extend(refusals.iter().map(|found| format!("could lose entries: {found}")));
        lines.extend(unknown.iter().map(|found| format!("not known: {found}")));
        if refusals.is_empty() {
            lines.push("ok: nothing that was seen could lose entries".to_owned());
        }
        lines.join("\n")
    })?;
    match refusals.len() {
        0 => Ok(()),
        1 => Err(fail(Code::Policy, "1 setting could lose entries; the lines above mend it")),
        len => Err(fail(
            Code::Policy,
            format!("{len} settings could lose entries; the lines above mend them"),
        )),
    }
}

fn shown(refusal: &Refusal) -> Value {
    json!({
        "setting": refusal.setting, "found": refusal.found, "wanted": refusal.wanted,
        "why": refusal.why, "mend": refusal.mend,
    })
}
