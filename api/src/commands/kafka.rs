//! `kafka init|join|check`: a ledger whose log is a topic.

use serde_json::json;

use super::show_made;
use crate::{
    config::kafka::Kafka,
    context::Context,
    engine,
    home::{Home, NewHome},
    logs::kafka::{Address, begin},
    output,
    pseudonym::PseudonymKey,
    space,
};

pub(super) fn run(context: &Context, command: Kafka) -> anyhow::Result<()> {
    match command {
        Kafka::Init { topic, origin } => init(context, &topic, origin.as_deref()),
        Kafka::Join { topic, key } => join(context, &topic, &PseudonymKey::load(&key)?),
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
