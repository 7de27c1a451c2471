//! Is a ledger's directory well? One line a check, each with what helps. Never writes a byte.
//!
//! It works on what is damaged, copied, mounted read-only, empty or no ledger at all, beside a server
//! and without one, and takes no lock: not even for a moment, since a writer could meet it.

mod backup;
mod log;
mod place;
mod running;
#[cfg(feature = "kafka")]
mod topic;

use ledger::Log;
use serde::Serialize;

use crate::{
    clock::Clock,
    home::Home,
    logs::{self, Topic},
    shell::{self, quoted},
};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// It works, but somebody should know or act some day.
    Warning,
    /// It does not work, or evidence is in danger.
    Problem,
}

impl Verdict {
    /// The word that is printed. Never changes.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        }
    }
}

/// What one look found.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// For programs. Never changes.
    pub check: &'static str,
    pub verdict: Verdict,
    /// What was found, in words.
    pub finding: String,
    /// The command to type, or what else to do. `None` when there is nothing to do.
    pub remedy: Option<String>,
}

impl Check {
    fn ok(check: &'static str, finding: impl Into<String>) -> Check {
        Check { check, verdict: Verdict::Ok, finding: finding.into(), remedy: None }
    }

    fn warning(
        check: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        let (finding, remedy) = (finding.into(), Some(remedy.into()));
        Check { check, verdict: Verdict::Warning, finding, remedy }
    }

    fn problem(
        check: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check { verdict: Verdict::Problem, ..Check::warning(check, finding, remedy) }
    }
}

/// All that was found.
#[derive(Debug)]
pub struct Examination {
    pub checks: Vec<Check>,
    /// Something that is stored does not verify.
    pub tampered: bool,
}

impl Examination {
    /// The worst of all verdicts.
    pub fn verdict(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }
}

/// Looks at a directory.
pub fn examine(home: &Home) -> Examination {
    let (watch, home) = (Clock::start(0), home.clone());
    let mut checks = vec![];
    let backup = backup::backup(&home);
    if backup.as_ref().is_some_and(|check| check.verdict != Verdict::Ok) {
        // What there is of it is not judged: the rest may be on its way, or never come.
        checks.extend(place::permissions(&home));
        checks.extend(backup);
        return Examination { checks, tampered: false };
    }
    checks.push(place::directory(&home));
    if checks.iter().any(|check| check.verdict == Verdict::Problem) {
        return Examination { checks, tampered: false };
    }
    checks.extend(place::permissions(&home));
    checks.extend(backup);
    match Topic::of(&home) {
        Ok(None) => {}
        #[cfg(feature = "kafka")]
        Ok(Some(topic)) => return topic::examine(&home, &topic, checks, watch),
        other => {
            let what = other.err().map_or_else(String::new, |e| format!("{e:#}"));
            let remedy = "put log.json back, or use a program that was built with Kafka";
            checks.push(Check::problem("log", what, remedy));
            return Examination { checks, tampered: false };
        }
    }
    let opened = logs::segments_of(&home);
    let log = opened.as_ref().ok();
    checks.push(place::space(&home, log));
    checks.push(place::inodes(&home));
    let holder = running::lock_holder(&home);
    let server = running::server(&home);
    checks.push(running::writer(&home, holder.as_ref(), &server));
    checks.push(running::open_files(holder.as_ref()));
    let mut tampered =
        matches!(&opened, Err(ledger::LogError::Corrupt(damage)) if !log::is_of_floor(damage));
    checks.push(log::log(&home, &opened));
    checks.extend(log.map(|log| log::floor(&home, log)));
    checks.extend(log.map(|log| log::torn_tail(log, holder.is_some())));
    checks.push(log::derived(&home, log, holder.is_some()));
    checks.extend(log.map(|log| log::format(&home, log)));
    checks.push(log::clock(watch, log.map(|log| log.head().recorded_at_us)));
    checks.extend(log.map(|log| log::home(&home, log)));
    let (verified, differs) = log::last_verify(&home, log.map(|log| log as &dyn Log));
    tampered |= differs;
    checks.push(verified);
    checks.push(running::views(&home, &server));
    Examination { checks, tampered }
}

/// `rollout-ledger COMMAND --data-dir DIR`.
fn command(words: &str, home: &Home) -> String {
    shell::command(words, home.dir())
}
