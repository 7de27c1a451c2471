//! `serve`.

use crate::{
    config::Switch,
    context::Context,
    logging::{self, LogFormat},
    serve, webhooks,
};

pub(super) fn run(
    context: &Context,
    listen: &str,
    scheduler: Switch,
    log_format: Option<LogFormat>,
    streams: usize,
    webhooks: webhooks::Settings,
) -> anyhow::Result<()> {
    logging::start(log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::run(context, listen, scheduler, streams, webhooks))
}
