//! Why a log is not safe to write to as it is set up, and the command that mends it.

use std::fmt;

/// One setting with which entries could be lost or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The setting's name, such as `cleanup.policy`, or a name for what is no setting.
    pub setting: String,
    /// What it is set to.
    pub found: String,
    /// What it must be.
    pub wanted: String,
    /// What could happen as it is.
    pub why: &'static str,
    /// The command that mends it, ready to be typed.
    pub mend: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { setting, found, wanted, why, mend } = self;
        write!(f, "{setting} is {found} and must be {wanted}: {why}; type: {mend}")
    }
}

/// All that was found at once, one a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals(pub Vec<Refusal>);

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|refusal| write!(f, "\n- {refusal}"))
    }
}
