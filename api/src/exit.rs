//! How a command ends when it does not succeed: an exit code for scripts, a sentence for people.

use std::{fmt, process::ExitCode};

/// Why a command failed. There is one variant for each exit code, and scripts rely on the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 1: it did not work.
    Failure,
    /// 2: it was called wrongly.
    Usage,
    /// 3: what is stored does not verify.
    Tampered,
    /// 4: there is no such thing.
    NotFound,
    /// 5: something else stands there already.
    Conflict,
    /// 6: not allowed.
    Auth,
    /// 7: a rule refuses it, such as the guard against personal data.
    Policy,
    /// 75: it may work later.
    TryAgain,
}

impl Code {
    /// The number that the process ends with.
    pub fn number(self) -> u8 {
        match self {
            Code::Failure => 1,
            Code::Usage => 2,
            Code::Tampered => 3,
            Code::NotFound => 4,
            Code::Conflict => 5,
            Code::Auth => 6,
            Code::Policy => 7,
            Code::TryAgain => 75,
        }
    }
}

/// A failure with its exit code, carried through `anyhow` to `main`.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    /// Which of several submitted events is meant, from 0.
    pub index: Option<usize>,
    pub message: String,
}

impl Failure {
    /// `message` says what is wrong, where, and the way out; lower-case, no full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, index: None, message: message.into() }
    }

    /// Whether trying again changes nothing: the caller is not allowed, or called wrongly.
    pub fn is_for_good(&self) -> bool {
        matches!(self.code, Code::Auth | Code::Usage | Code::NotFound)
    }

    /// A failure of one of several submitted events, from 0.
    pub fn of_event(index: usize, code: Code, message: impl Into<String>) -> Self {
        Failure { code, index: Some(index), message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "event {}: {}", index + 1, self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}

/// For `?`: a failure with this code.
pub fn fail(code: Code, message: impl Into<String>) -> anyhow::Error {
    Failure::new(code, message).into()
}

/// Whether something else stands where this was to be.
pub fn is_conflict(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>());
    causes.any(|failure| failure.code == Code::Conflict)
}

/// The exit code that an error asks for. What says nothing else is a plain failure.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.code.number().into();
        }
        if let Some(error) = cause.downcast_ref::<ledger::LogError>() {
            return code_of_log(error).number().into();
        }
    }
    Code::Failure.number().into()
}

fn code_of_log(error: &ledger::LogError) -> Code {
    use ledger::LogError;
    match error {
        LogError::Corrupt(_) => Code::Tampered,
        LogError::Locked(_) | LogError::Fenced => Code::TryAgain,
        LogError::Missing(_) => Code::NotFound,
        LogError::Exists(_) => Code::Conflict,
        LogError::Unavailable { source, .. } | LogError::InDoubt(Some(source)) => {
            code_of_io(source)
        }
        LogError::InDoubt(None) | LogError::ReadOnly | LogError::ErasurePending(_) => Code::Failure,
        LogError::Unsafe(_) => Code::Policy,
    }
}

/// What a file system says is a failure; what a log over the network says tells what may help.
fn code_of_io(error: &std::io::Error) -> Code {
    use std::io::ErrorKind;
    match error.kind() {
        _ if error.raw_os_error().is_some() => Code::Failure,
        ErrorKind::TimedOut => Code::TryAgain,
        ErrorKind::PermissionDenied => Code::Auth,
        _ => Code::Failure,
    }
}
