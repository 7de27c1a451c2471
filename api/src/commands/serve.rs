//! `serve`.

use crate::{
    config::{Switch, door::Door},
    context::Context,
    serve, webhooks,
};

pub(super) fn run(
    context: &Context,
    listen: &str,
    scheduler: Switch,
    streams: usize,
    webhooks: webhooks::Settings,
    door: Door,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::run(context, listen, scheduler, streams, webhooks, door))
}
