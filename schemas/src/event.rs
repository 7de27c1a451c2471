//! The catalogue: one struct for each event, and [`Event`] over them.
//!
//! A new fact about rollouts is a struct in the module of its subject, one line in the catalogue
//! below, a schema in `json/` and a fixture in `fixtures/`. Facts are recorded as they come: that
//! percentages only rise, or that a stage has results before the next begins, is judged by a view
//! and never demanded here.

pub mod change;
pub mod decision;
pub mod flag;
pub mod ledger;
pub mod measurement;
pub mod outcome;
pub mod plan;
pub mod rollback;
pub mod stage;

use serde_json::value::RawValue;

use crate::values::{Actor, Basis, Evidence, Occurrence, PlanPlace};

/// What every event's data carries beside its own members.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    pub basis: Basis,
    pub actor: Option<&'a Actor>,
    pub occurrence: Option<&'a Occurrence>,
    pub evidence: &'a [Evidence],
    pub plan: Option<&'a PlanPlace>,
    pub note: Option<&'a str>,
}

/// The data of one type of event.
pub trait EventData: serde::Serialize + serde::de::DeserializeOwned + schemars::JsonSchema {
    /// The CloudEvents `type`: `rollout.stage.started.v1`.
    const TYPE: &'static str;
    /// Whether the event is about one rollout, so that `subject` must name it.
    const NEEDS_ROLLOUT: bool;
    /// Who may send it.
    const DOOR: Door;

    fn common(&self) -> Common<'_>;
}

/// Who may send an event of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Anyone who may append.
    Open,
    /// Only commands that do what it tells of, such as `token create`; the intake knows them.
    Commands,
    /// Only the ledger's own command; refused at every door.
    Own,
}

/// Declares one event: its own members, then the common ones.
macro_rules! event {
    ($(#[$doc:meta])* $name:ident = $ty:literal, $needs:literal, $door:ident {
        $($(#[$fdoc:meta])* $kind:ident $field:ident: $fty:ty),* $(,)?
    }) => {
        $crate::values::record!(
            $(#[$doc])*
            $name {
                $($(#[$fdoc])* $kind $field: $fty,)*
                /// How the sender knows: observed, reported, imported or backfilled.
                req basis: $crate::values::Basis,
                /// Who did it, as the sender claims.
                opt actor: $crate::values::Actor,
                /// When it happened, as well as is known.
                opt occurrence: $crate::values::Occurrence,
                /// What shows that it is so.
                list evidence: $crate::values::Evidence,
                /// Where it stood in an imported plan.
                opt plan: $crate::values::PlanPlace,
                /// Anything else worth keeping, in words.
                opt note: String,
            }
        );

        impl $crate::event::EventData for $name {
            const TYPE: &'static str = $ty;
            const NEEDS_ROLLOUT: bool = $needs;
            const DOOR: $crate::event::Door = $crate::event::Door::$door;

            fn common(&self) -> $crate::event::Common<'_> {
                $crate::event::Common {
                    basis: self.basis,
                    actor: self.actor.as_ref(),
                    occurrence: self.occurrence.as_ref(),
                    evidence: &self.evidence,
                    plan: self.plan.as_ref(),
                    note: self.note.as_deref(),
                }
            }
        }

        impl $name {
            /// The event as the catalogue knows it.
            pub fn event(self) -> $crate::Event {
                $crate::Event::$name(Box::new(self))
            }
        }
    };
}
pub(crate) use event;

/// One type of event, for whoever lists or looks up types.
#[derive(Clone, Copy)]
pub struct EventType {
    /// The CloudEvents `type`.
    pub name: &'static str,
    pub needs_rollout: bool,
    pub door: Door,
    /// The JSON Schema of its data alone.
    pub data_schema: fn() -> schemars::Schema,
}

impl EventType {
    /// The catalogue's subject and verb: `("stage", "started")`.
    pub fn subject_verb(&self) -> (&'static str, &'static str) {
        let inner = self.name.strip_prefix("rollout.").and_then(|n| n.strip_suffix(".v1"));
        inner.and_then(|n| n.split_once('.')).expect("every type is rollout.<subject>.<verb>.v1")
    }
}

/// The type of an event with its subject and verb: `rollout.stage.started.v1`.
pub fn find(name: &str) -> Option<&'static EventType> {
    TYPES.iter().find(|t| t.name == name)
}

/// Why data is not the data of its type.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Refused at the door; skipped and counted by projectors, which may be older than the log.
    #[error("unknown event type")]
    UnknownType,
    #[error("the data does not fit the type: {0}")]
    Data(#[from] serde_json::Error),
}

macro_rules! catalogue {
    ($($module:ident::$name:ident),* $(,)?) => {
        /// One event of the catalogue. Boxed, because sizes differ by an order of magnitude.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event { $($name(Box<$module::$name>)),* }

        /// Every type, in the order of the catalogue.
        pub const TYPES: &[EventType] = &[$(EventType {
            name: <$module::$name as EventData>::TYPE,
            needs_rollout: <$module::$name as EventData>::NEEDS_ROLLOUT,
            door: <$module::$name as EventData>::DOOR,
            data_schema: || crate::schema::of_data::<$module::$name>(),
        }),*];

        impl Event {
            /// Reads the data of an event of the given type.
            ///
            /// # Errors
            /// [`DecodeError::UnknownType`], or what does not fit and where.
            pub fn decode(name: &str, data: &RawValue) -> Result<Event, DecodeError> {
                match name {
                    $(<$module::$name as EventData>::TYPE => {
                        Ok(Event::$name(serde_json::from_str(data.get())?))
                    })*
                    _ => Err(DecodeError::UnknownType),
                }
            }

            /// Reads the data of an event of the given type where it lies in other JSON.
            pub(crate) fn deserialize_as<'de, D: serde::Deserializer<'de>>(
                name: &str,
                data: D,
            ) -> Result<Event, D::Error> {
                match name {
                    $(<$module::$name as EventData>::TYPE => {
                        serde::Deserialize::deserialize(data).map(Event::$name)
                    })*
                    _ => Err(serde::de::Error::custom(DecodeError::UnknownType)),
                }
            }

            /// The CloudEvents `type`.
            pub fn type_name(&self) -> &'static str {
                match self { $(Event::$name(_) => <$module::$name as EventData>::TYPE),* }
            }

            /// The data as JSON.
            pub fn data(&self) -> serde_json::Value {
                let data = match self { $(Event::$name(e) => serde_json::to_value(e)),* };
                data.expect("events have string keys and no floats")
            }

            pub fn common(&self) -> Common<'_> {
                match self { $(Event::$name(e) => e.common()),* }
            }
        }
    };
}

catalogue! {
    ledger::LedgerOpened, ledger::LedgerSettingsChanged, ledger::LedgerMoved,
    ledger::LedgerTailCut, ledger::LedgerClockStepped, ledger::LedgerWriterOpened,
    ledger::TokenCreated, ledger::TokenRevoked,
    plan::PlanImported, plan::PlanRevised, plan::ReleaseDefined,
    flag::FlagRegistered, flag::FlagRetired, flag::FlagChanged, flag::FlagDrifted,
    flag::SourceImported,
    stage::StagePlanned, stage::StageReplanned, stage::StageStarted, stage::StageHeld,
    stage::StageResumed, stage::StageRetargeted, stage::StageCompleted, stage::StageSkipped,
    stage::StageCancelled, stage::StageResultsRecorded,
    decision::GateDecided, decision::GateConditionResolved, decision::ChecklistItemSet,
    decision::CriterionSet, decision::CriterionEvaluated,
    measurement::MetricDefined, measurement::MetricRedefined, measurement::MetricObserved,
    measurement::AlertRaised, measurement::AlertCleared, measurement::ErrorObserved,
    measurement::DownstreamAffected,
    measurement::BugFound, measurement::BugDeferred, measurement::BugFixed,
    measurement::BugVerified, measurement::BugDisputed,
    rollback::RollbackPlanned, rollback::RollbackStarted, rollback::RollbackStepCompleted,
    rollback::RollbackCompleted, rollback::RolloutResumed,
    outcome::RolloutLaunched, outcome::CheckpointDue, outcome::CheckpointRecorded,
    outcome::CheckpointMissed, outcome::FeedbackNoted, outcome::OwnershipTransferred,
    outcome::QuestionAnswered, outcome::CleanupPlanned, outcome::CleanupDue,
    outcome::CleanupDone,
    change::ValueConfirmed, change::EventCorrected, change::EventWithdrawn,
    change::EventRedacted, change::NoteAdded,
}
