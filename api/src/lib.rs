//! The service and the one binary, `rollout-ledger`: alone knows HTTP, the clock, the environment
//! and tasks.
//!
//! # Reading order
//!
//! - [`config`]: every command and setting.
//! - [`intake`]: the door that every event comes through; [`guard`] looks for personal data.
//! - [`engine`]: the log opened for writing; [`ingest`]: the writer's thread of a server.
//! - [`history`], [`answers`]: reading the log, and what is answered from it.
//! - [`audit`]: the ready questions of an audit.
//! - [`plan`], [`words`], [`flags`]: what people and flag services wrote, understood.
//! - [`record`]: every event as typed flags.
//! - [`serve`], [`http`], [`facts`], [`kept`]: the running service; [`tail`]: the log, followed;
//!   [`stream`]: the same as messages for thousands.
//! - [`webhooks`]: what is sent to others as it is recorded.
//! - [`tokens`], [`principal`]: who may connect; [`listener`], [`rates`]: how many and how often.
//! - [`metrics`], [`logging`]: what it says of itself; [`space`]: when its disk is nearly full.
//! - [`logs`]: the one place that opens a log, whatever keeps it.
//! - [`station`]: what a server is among others of its ledger; [`slot`]: what comes and goes with it.
//! - [`moving`]: a ledger copied or moved to another log.
//! - [`doctor`]: what is wrong with a directory, and what to do.
//! - [`backup`], [`log_lines`]: a ledger taken elsewhere; [`progress`]: how far long work is;
//!   [`temporary`], [`interrupt`], [`begun_disk`]: what is not whole yet, and what becomes of it.
//! - [`scheduler`]: announces what falls due.
//! - [`forward`]: who asked, told by the server that was asked to the one that writes.
//! - [`remote`]: the server that holds a directory, asked by a command; [`elsewhere`]: one by its
//!   address, with a token.
//! - [`commands`]: one function for each command.

pub mod answers;
pub mod audit;
pub mod backup;
pub mod begun_disk;
pub mod clock;
pub mod commands;
pub mod config;
pub mod context;
pub mod doctor;
pub mod elsewhere;
pub mod engine;
pub mod entries;
pub mod example;
pub mod exit;
pub mod export;
pub mod facts;
pub mod filter;
pub mod flags;
pub mod forward;
pub mod guard;
pub mod history;
pub mod home;
pub mod http;
pub mod ingest;
pub mod intake;
pub mod interrupt;
mod json;
pub mod kept;
pub mod listener;
pub mod log_lines;
pub mod logging;
pub mod logs;
pub mod metrics;
pub mod moment;
pub mod moving;
pub mod output;
pub mod patient;
pub mod plan;
pub mod principal;
pub mod progress;
pub mod pseudonym;
pub mod rates;
pub mod record;
pub mod remote;
pub mod scheduler;
pub mod serve;
mod shell;
pub mod show;
pub mod slot;
pub mod space;
pub mod station;
pub mod stream;
pub mod tail;
pub mod temporary;
pub mod tokens;
pub mod verified;
pub mod webhooks;
pub mod wire;
pub mod words;
