//! One function for each command: ask, print.

mod audit;
mod backup;
mod doctor;
mod event;
mod export;
mod flags;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod plan;
mod record;
mod restore;
mod rollout;
mod schedule;
mod serve;
mod tail;
mod token;
mod verify;
mod views;
mod webhook;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use ledger::Receipt;

use crate::{
    config::{Cli, Clock, Command, Global},
    context::Context,
    engine::{self, Engine},
    exit::{Code, fail},
    home::Home,
    logging, moment, output, space,
};

/// The whole command line: what `config` declares, and the commands made from the schemas.
pub fn command_line() -> clap::Command {
    let record = crate::record::command();
    Cli::command().subcommand(record).subcommand(crate::record::correct::command())
}

/// Runs what the command line asks for.
pub fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let context = |global: &Global| Context {
        data_dir: global.data_dir.clone(),
        format: global.output,
        min_free: global.min_free,
        asked: global.kafka.clone().into(),
    };
    match matches.subcommand() {
        Some(("record", chosen)) => {
            let global = Global::from_arg_matches(matches)?;
            record::record(&context(&global), chosen)
        }
        Some(("correct", chosen)) => {
            let global = Global::from_arg_matches(matches)?;
            record::correct(&context(&global), chosen)
        }
        _ => {
            let cli = Cli::from_arg_matches(matches)?;
            dispatch(&context(&cli.global), cli.command)
        }
    }
}

fn dispatch(context: &Context, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Init { origin } => init(context, origin.as_deref()),
        Command::Plan(command) => plan::run(context, command),
        Command::Flags(command) => flags::run(context, command),
        Command::Event(command) => event::run(context, command),
        Command::Rollout(command) => rollout::run(context, command),
        Command::Audit(command) => audit::run(context, command),
        Command::Report { id, format, moment } => rollout::report(context, &id, format, &moment),
        Command::Verify { dir, head, note } => verify::run(context, dir, head.as_deref(), note),
        Command::Log(command) => log::run(context, command),
        #[cfg(feature = "kafka")]
        Command::Kafka(command) => kafka::run(context, command),
        Command::Backup(asked) => backup::run(context, &asked),
        Command::Restore(asked) => restore::run(context, &asked),
        Command::Schedule(command) => schedule::run(context, command),
        Command::Doctor => doctor::run(context),
        Command::Views(command) => views::run(context, command),
        Command::Clock(Clock::Step { reason }) => clock_step(context, &reason),
        Command::Token(command) => token::run(context, command),
        Command::Webhook(command) => webhook::run(context, command),
        Command::Serve { listen, scheduler, log_format, max_streams, webhooks, door } => {
            logging::start(log_format);
            serve::run(context, &listen, scheduler, max_streams, webhooks.settings(), door)
        }
    }
}

fn init(context: &Context, origin: Option<&str>) -> anyhow::Result<()> {
    #[cfg(feature = "kafka")]
    if let Some(address) = &context.asked.address {
        return kafka::init(context, address, origin);
    }
    let dir = &context.data_dir;
    let made = engine::init(dir, origin).map_err(|e| space::full(e, dir))?;
    show_made(context, &made)
}

/// Says what was made.
fn show_made(context: &Context, (home, receipt): &(Home, Receipt)) -> anyhow::Result<()> {
    let made = serde_json::json!({
        "data_dir": home.dir(), "seq": receipt.seq.0, "hash": receipt.hash.to_string(),
    });
    output::object(context.format, &made, || {
        let (dir, hash) = (home.dir().display(), receipt.hash);
        format!("made a ledger in {dir}\nentry 0 {hash}")
    })?;
    output::say(
        "keep the directory keys/ in a safe place apart from the ledger; next: `rollout-ledger \
         plan import FILE.md`",
    )?;
    Ok(())
}

/// The only entry that may be earlier than the one before it.
fn clock_step(context: &Context, reason: &str) -> anyhow::Result<()> {
    crate::intake::check_words("--reason", reason)?;
    let home = context.alone()?;
    let mut engine = Engine::open_after_step(&home)?;
    let (from, to) = (engine.writer.head().recorded_at_us, engine.clock.now_us()?);
    if to >= from {
        let what = "the clock is not behind the newest entry, so there is no step to record";
        return Err(fail(Code::Conflict, what));
    }
    let data = serde_json::json!({
        "from": moment::shown_us(from), "to": moment::shown_us(to), "reason": reason,
        "basis": "observed",
    });
    let id = format!("clock-stepped-{from}");
    let receipt = engine.append_own("rollout.ledger.clock_stepped.v1", &id, data)?;
    engine.note_taken(&home)?;
    engine.log.close()?;
    Ok(output::print(&format!("recorded as entry {}", receipt.seq))?)
}
