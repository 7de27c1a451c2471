//! `serve`.

use crate::{context::Context, serve};

pub(super) fn run(context: &Context, listen: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::run(context, listen))
}
