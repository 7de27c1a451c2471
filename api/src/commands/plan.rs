//! `plan lint|import|export`.

use crate::{
    config::Plan,
    context::Context,
    exit::{Code, fail},
};

pub(super) fn run(_context: &Context, _command: Plan) -> anyhow::Result<()> {
    Err(fail(Code::Failure, "plans cannot be read yet"))
}
