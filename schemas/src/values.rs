//! What events are made of. Every parsed value keeps the raw text beside it, or is absent.

mod measure;
mod people;
mod plan;
mod time;

pub use measure::{
    Answer, AnswerValue, CategoryCount, Exposure, ExposureKind, ExposureUnit, LabelledText,
    MetricValue, Qualifier, Quantity, Results, Statistic,
};
pub use people::{Actor, ActorKind, Basis, Evidence, Home, HomeKind, Party, SignOff, Target};
pub use plan::{
    FieldKind, PlanDifference, PlanField, PlanPlace, PlanValue, PlanWarning, Redaction,
};
pub use time::{Duration, Occurrence, Precision, Window};

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Visitor};

use crate::id::Decimal;

/// An absent member is `None`; a member that is there must hold a value, so that `null` and
/// absence are not two spellings of one fact.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Reads records by the names of their members only. serde's records would also be read from an
/// array, by position: a second spelling, which the schemas do not know.
pub(crate) struct Named<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Named<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Declares plain records whose members are required (`req`), optional (`opt`) or lists that may
/// be absent when empty (`list`), closed against unknown members.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$fdoc:meta])* $kind:ident $field:ident: $ty:ty),* $(,)?
    }) => {
        $crate::values::record!(@build [$(#[$doc])*] $name [] $($(#[$fdoc])* $kind $field: $ty,)*);
    };
    (@build [$($doc:tt)*] $name:ident [$($done:tt)*]
        $(#[$fdoc:meta])* req $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::values::record!(@build [$($doc)*] $name
            [$($done)* $(#[$fdoc])* pub $field: $ty,] $($rest)*);
    };
    (@build [$($doc:tt)*] $name:ident [$($done:tt)*]
        $(#[$fdoc:meta])* opt $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::values::record!(@build [$($doc)*] $name [$($done)* $(#[$fdoc])*
            #[serde(default, skip_serializing_if = "Option::is_none",
                deserialize_with = "crate::values::present")]
            pub $field: Option<$ty>,] $($rest)*);
    };
    (@build [$($doc:tt)*] $name:ident [$($done:tt)*]
        $(#[$fdoc:meta])* list $field:ident: $ty:ty, $($rest:tt)*) => {
        $crate::values::record!(@build [$($doc)*] $name [$($done)* $(#[$fdoc])*
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub $field: Vec<$ty>,] $($rest)*);
    };
    (@build [$($doc:tt)*] $name:ident [$($done:tt)*]) => {
        $($doc)*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema)]
        #[serde(deny_unknown_fields, remote = "Self")]
        pub struct $name { $($done)* }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $name::deserialize($crate::values::Named(from))
            }
        }
    };
}
pub(crate) use record;

/// Declares an enum of words, written in `snake_case`.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident {
        $($(#[doc = $vdoc:literal])? $variant:ident = $text:literal),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[doc = $vdoc])? #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every word, in the order of the catalogue.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let meaning = concat!($($doc,)* $($(" `", $text, "`:", $vdoc,)?)*).trim();
                schemars::json_schema!({
                    "type": "string", "description": meaning, "enum": [$($text),*],
                })
            }
        }
    };
}
pub(crate) use words;

record!(
    /// The gates of a flag that are set at one moment. A state is a set of gates, not one number:
    /// a flag can be at 5 % of actors and on for two named actors at once.
    FlagState {
        /// Whether the boolean gate is on: everyone.
        req boolean: bool,
        /// Percent of actors, `"0"` when unset.
        req percentage_of_actors: Decimal,
        /// Percent of time, `"0"` when unset.
        req percentage_of_time: Decimal,
        /// Pseudonyms of the actors that the flag is on for, each once.
        #[serde(deserialize_with = "distinct")]
        req actors: BTreeSet<String>,
        /// Names of the groups that the flag is on for, each once.
        #[serde(deserialize_with = "distinct")]
        req groups: BTreeSet<String>,
        /// Whether an expression is set.
        req expression: bool,
    }
);

/// A set whose members stand once: a reader that keeps sets would drop the second.
fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let items = Vec::<String>::deserialize(deserializer)?;
    let len = items.len();
    let set: BTreeSet<String> = items.into_iter().collect();
    if set.len() == len {
        Ok(set)
    } else {
        Err(serde::de::Error::custom("a member that stands twice in one set"))
    }
}

impl Default for FlagState {
    fn default() -> Self {
        let zero = || Decimal::try_from("0".to_owned()).expect("0 is a decimal");
        FlagState {
            boolean: false,
            percentage_of_actors: zero(),
            percentage_of_time: zero(),
            actors: BTreeSet::new(),
            groups: BTreeSet::new(),
            expression: false,
        }
    }
}

/// Any JSON object, checked by whoever reads it against the type that it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AnyObject(pub serde_json::Map<String, serde_json::Value>);
