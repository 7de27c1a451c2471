//! What every command has at hand: the directory, the form of output, a way to read and to write.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    engine::Engine,
    exit::{Code, fail},
    history::History,
    home::Home,
    intake::{self, Submitter, own::Own},
    logs::{self, Asked},
    output::Format,
    remote::{Receipt, Remote},
};

/// The surroundings of one command.
pub struct Context {
    pub data_dir: PathBuf,
    pub format: Format,
    /// Bytes of the log's disk that recording leaves free.
    pub min_free: u64,
    /// What is said of the log.
    pub asked: Asked,
}

/// A way to record: through the server that holds the directory, or by opening the log here.
pub enum Appender {
    Remote(Remote),
    Local(Box<Engine>),
}

impl Context {
    pub fn home(&self) -> anyhow::Result<Home> {
        Ok(Home::existing(&self.data_dir)?.keeping_free(self.min_free).asking(self.asked.clone()))
    }

    /// The log, for reading: no lock, and nothing is written.
    pub fn history(&self) -> anyhow::Result<History> {
        History::open(&self.home()?)
    }

    /// A way to record, through the running server if there is one.
    pub fn appender(&self) -> anyhow::Result<Appender> {
        let home = self.home()?;
        match Remote::of(&home)? {
            Some(remote) => Ok(Appender::Remote(remote)),
            None => Ok(Appender::Local(Box::new(open(&home)?))),
        }
    }

    /// Opens the log here, for what only the log's own process may do.
    ///
    /// # Errors
    /// When a server holds the directory.
    pub fn engine(&self) -> anyhow::Result<Engine> {
        open(&self.alone()?)
    }

    /// Makes sure that no server holds the directory.
    pub fn alone(&self) -> anyhow::Result<Home> {
        let home = self.home()?;
        if Remote::of(&home)?.is_some() {
            let why = "a server holds this directory; stop it, then try again";
            return Err(fail(Code::TryAgain, why));
        }
        Ok(home)
    }
}

/// Opens the log here. Whoever holds it, no server does, so what one left behind goes.
fn open(home: &Home) -> anyhow::Result<Engine> {
    logs::check_unserved(home)?;
    let engine = Engine::open(home)?;
    home.withdraw();
    Ok(engine)
}

impl Appender {
    /// Records events, all or none.
    pub fn append(&mut self, events: &[Value], own: Own) -> anyhow::Result<Vec<Receipt>> {
        match self {
            Appender::Remote(remote) => {
                // Looked at here too, so that nothing refused travels.
                intake::admit_all(events, &Submitter::here(own))
                    .map_err(|refusal| refusal.failure())?;
                remote.append(events, own.name())
            }
            Appender::Local(engine) => {
                let admitted = intake::admit_all(events, &Submitter::here(own))
                    .map_err(|refusal| refusal.failure())?;
                Ok(engine.append(admitted)?.into_iter().map(Receipt::from).collect())
            }
        }
    }

    /// Ends well: what is recorded is then checked on the next opening.
    pub fn close(self) -> anyhow::Result<()> {
        if let Appender::Local(engine) = self {
            engine.log.close()?;
        }
        Ok(())
    }
}
