//! Stages that stand under another key than in the revision before, because one was inserted or
//! taken out above them.

use std::collections::BTreeMap;

use schemas::values::{PlanField, PlanWarning};

use super::{derive::Tree, labels::normal};
use crate::words;

/// Each moved stage: its key now, and the key that it had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    keys: BTreeMap<String, String>,
}

impl Moved {
    /// The stages whose name, or else share, stood under another key and stands there no more.
    pub fn between(before: &[PlanField], now: &[PlanField]) -> Moved {
        let (before, now) = (Tree::of(before), Tree::of(now));
        let (old, new) = (names(&before), names(&now));
        let mut keys = BTreeMap::new();
        for (key, names) in &new {
            for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let same = |names: &[String; 2]| names.get(at) == Some(name);
                let stays = old.iter().any(|(was, names)| was == key && same(names));
                let twice = new.iter().filter(|(_, names)| same(names)).count() > 1;
                let mut from = old.iter().filter(|(_, names)| same(names));
                match (from.next(), from.next()) {
                    (Some((was, _)), None) if !stays && !twice => {
                        keys.insert((*key).to_owned(), (*was).to_owned());
                        break;
                    }
                    _ if stays => break,
                    _ => {}
                }
            }
        }
        Moved { keys }
    }

    /// The field as it stood in the revision before, when its stage has moved.
    pub fn earlier(&self, field: &PlanField) -> Option<PlanField> {
        let (key, rest) = field.path.strip_prefix("stages/")?.split_once('/')?;
        let was = self.keys.get(key)?;
        Some(PlanField { path: format!("stages/{was}/{rest}"), ..field.clone() })
    }

    /// A warning for each stage that moved, at its label.
    pub fn warnings(&self, now: &[PlanField]) -> Vec<PlanWarning> {
        let tree = Tree::of(now);
        let warning = |(key, was): (&String, &String)| PlanWarning {
            code: "stage_moved".to_owned(),
            line: tree.value(&format!("stages/{key}/label")).map_or(1, |label| label.line),
            message: format!(
                "this stage is {key} now and was {was} in the revision before; what was recorded \
                 of it stays under {was}"
            ),
        };
        self.keys.iter().map(warning).collect()
    }
}

/// Each stage with its name, without the letter or number that moves with its place, and its share.
fn names<'f>(tree: &Tree<'f>) -> Vec<(&'f str, [String; 2])> {
    let of = |key: &&'f str| {
        let value =
            |leaf: &str| tree.value(&format!("stages/{key}/{leaf}")).map(|f| normal(&f.raw));
        let label = value("label").unwrap_or_default();
        let name = label.split_once([':', '–', '-']).map_or("", |(_, rest)| rest.trim()).to_owned();
        let planned = value("planning/exposure").unwrap_or_else(|| name.clone());
        let share = words::exposures(&planned).first().and_then(|e| Some((e.min_bp?, e.max_bp?)));
        (*key, [name, share.map_or(String::new(), |(min, max)| format!("{min}-{max}"))])
    };
    tree.stages().iter().map(of).collect()
}
