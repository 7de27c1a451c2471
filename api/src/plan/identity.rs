//! Which rollout a plan file is about.

use std::{collections::BTreeSet, path::Path};

use schemas::{
    RolloutId,
    values::{FieldKind, PlanField},
};

use super::labels::normal;

/// File names that say nothing of what is released; the folder's name does.
const GENERIC: &[&str] = &["release-plan", "readme", "plan", "index"];

/// Longest rollout id.
const ID_LEN_MAX: usize = 64;

/// The id of the rollout that a file is about: its stem, or its folder's name when the stem is
/// generic. `None` when neither says anything.
pub fn rollout_id(file: &Path) -> Option<RolloutId> {
    let stem = file.file_stem().map(|stem| id_of(&stem.to_string_lossy()));
    let stem = stem.filter(|stem| says_something(stem));
    let folder = || {
        let name = file.parent().and_then(Path::file_name)?;
        Some(id_of(&name.to_string_lossy())).filter(|name| says_something(name))
    };
    let chosen = match stem {
        Some(stem) if GENERIC.contains(&stem.as_str()) => folder().unwrap_or(stem),
        Some(stem) => stem,
        None => folder()?,
    };
    chosen.parse().ok()
}

/// Lower case; what is no letter, digit or dash becomes a dash.
fn id_of(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    name.to_lowercase().chars().map(allowed).take(ID_LEN_MAX).collect()
}

fn says_something(id: &str) -> bool {
    id.chars().any(|c| c != '-')
}

/// Whether two readings are of one release: the same title and the same flags; what is absent on
/// both sides agrees.
pub fn agree(before: &[PlanField], now: &[PlanField]) -> bool {
    title(before) == title(now) && flags(before) == flags(now)
}

/// The plan's title, without emphasis and in lower case.
fn title(fields: &[PlanField]) -> Option<String> {
    fields.iter().find(|f| f.path == "title").map(|f| normal(&f.raw))
}

fn flags(fields: &[PlanField]) -> BTreeSet<&str> {
    let names = fields.iter().filter(|f| f.path.starts_with("flags/") && f.path.ends_with("/name"));
    names.filter(|f| f.kind == FieldKind::Value).map(|f| f.raw.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_rollout() {
        let long = format!("{}.md", "a".repeat(70));
        let short = "a".repeat(64);
        let rows = [
            ("plans/Claim Form 2.0.md", Some("claim-form-2-0")),
            ("refund-status/Release_Plan.md", Some("refund-status")),
            ("a/README.md", Some("a")),
            ("release-plan.md", Some("release-plan")),
            (long.as_str(), Some(short.as_str())),
            ("é.md", None),
        ];
        for (file, id) in rows {
            let found = rollout_id(Path::new(file));
            assert_eq!(found.as_ref().map(RolloutId::as_str), id, "{file}");
        }
    }
}
