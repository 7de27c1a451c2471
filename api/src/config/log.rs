//! `log`, `backup` and `restore`: their commands and settings.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::moving::Place;

#[derive(Debug, Subcommand)]
pub enum Log {
    /// What the log consists of: entries, head, segments, sizes; also beside a running server
    #[command(after_help = "Examples:
  rollout-ledger log stat
  rollout-ledger log stat --output json")]
    Stat,
    /// Write the log to a file: headers, payloads and commits, to be verified or imported elsewhere
    #[command(after_help = "Examples:
  rollout-ledger log export -o ledger.jsonl
  rollout-ledger log export --from 2 -o newer.jsonl
  rollout-ledger log export | gzip > ledger.jsonl.gz

The last line says whether the file is complete. docs/FORMAT.md describes the lines.")]
    Export(Export),
    /// Make a copy of a ledger from a file of `log export`: the same entries, read-only until `restore`
    #[command(after_help = "Examples:
  rollout-ledger log import ledger.jsonl --to copy
  gunzip < ledger.jsonl.gz | rollout-ledger log import - --to another-copy

Everything is verified on the way. Nothing is there if anything is wrong.")]
    Import(Import),
    /// Copy the ledger to a topic of Kafka or to a directory: the same entries, for reading
    #[command(after_help = "Examples:
  rollout-ledger log copy --to kafka://localhost:9092/ledger.events
  rollout-ledger log copy --to copy

Stop it as you like: the same command goes on. At the end all of the copy is read and verified. What
was redacted is left out. docs/MOVING.md has the whole of it.")]
    Copy(Copy),
    /// Move the ledger to a topic of Kafka or to a directory: from then on nobody writes here
    #[command(after_help = "Examples:
  rollout-ledger log move --to kafka://localhost:9092/ledger.events --reason 'one machine is not enough'
  rollout-ledger log move --to kafka://localhost:9092/ledger.events.2 --reason 'payloads were redacted'
  rollout-ledger log move --to new-dir

Stop the server before. A move that was broken off is finished by the same command. To a topic, the
data directory goes along; to a directory, a new one is made. docs/MOVING.md has the whole of it.")]
    Move(Move),
}

#[derive(Debug, Args)]
pub struct Copy {
    /// kafka://HOST:PORT,.../TOPIC, or the directory to make
    #[arg(long, value_name = "PLACE")]
    pub to: Place,
    /// Settings of librdkafka for the topic to copy to, if they are other ones than the ledger's own
    #[arg(long, value_name = "FILE")]
    pub to_properties: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Move {
    /// kafka://HOST:PORT,.../TOPIC, or the directory to make
    #[arg(long, value_name = "PLACE")]
    pub to: Place,
    /// Settings of librdkafka for the new topic, if they are other ones than the ledger's own
    #[arg(long, value_name = "FILE")]
    pub to_properties: Option<PathBuf>,
    /// Why, in words; recorded
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The file, which is there only once it is whole; `-` or nothing for standard output
    #[arg(short = 'o', long = "out", default_value = "-", value_name = "FILE")]
    pub out: PathBuf,
    /// Only entries from this seq on
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    pub from: u64,
}

#[derive(Debug, Args)]
pub struct Import {
    /// The file; `-` for standard input
    pub file: PathBuf,
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// A head that you kept elsewhere: proves that nothing was cut off since
    #[arg(long, value_name = "SEQ:HASH")]
    pub head: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollout-ledger backup backup
  rollout-ledger backup backup --output json
  rollout-ledger backup backup --with-keys

Run it again to bring the backup up to date: unchanged segments are not copied again, and what was
erased since is erased there too.")]
pub struct Backup {
    /// The backup's directory; made if it is not there
    #[arg(value_name = "DIR")]
    pub to: PathBuf,
    /// Copy the key of pseudonyms too: whoever has it and the log can test guesses of who is meant
    #[arg(long)]
    pub with_keys: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rollout-ledger restore backup --to restored --accept-loss
  rollout-ledger restore copy --head SEQ:HASH --reason 'The disk of the old one failed'

Stop the old ledger for good before: it cannot know that it is not the ledger's home any more.")]
pub struct Restore {
    /// The backup or copy
    #[arg(value_name = "COPY")]
    pub copy: PathBuf,
    /// Make the ledger there, and leave the copy as it is; the copy itself when absent
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// A head that you kept elsewhere: the copy must hold it
    #[arg(long, value_name = "SEQ:HASH")]
    pub head: Option<String>,
    /// Go on without such a head, or with a copy that ends before it. It is recorded
    #[arg(long)]
    pub accept_loss: bool,
    /// Why, in words; recorded
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
}
