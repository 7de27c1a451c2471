//! What a plan says twice and differently. Warned of, never mended.

use schemas::values::{
    Exposure, ExposureKind, FieldKind, PlanField, PlanValue, PlanWarning, Quantity, Window,
};

use super::{derive::Tree, labels::normal, years::window_of};
use crate::words;

/// The greatest share of a canary, in basis points.
const CANARY_BP_MAX: u32 = 1_000;

/// Every contradiction within the fields of one plan.
pub(crate) fn contradictions(fields: &[PlanField]) -> Vec<PlanWarning> {
    let tree = Tree::of(fields);
    let mut out = Vec::new();
    for name in tree.stages() {
        bugs(&tree, &format!("stages/{name}/results"), &mut out);
        users(&tree, &format!("stages/{name}/results"), &mut out);
        shares(&tree, name, &mut out);
    }
    for name in tree.names("checkpoints") {
        bugs(&tree, &format!("checkpoints/{name}"), &mut out);
        users(&tree, &format!("checkpoints/{name}"), &mut out);
    }
    for row in tree.names("baseline") {
        ratio(&tree.values(&format!("baseline/{row}")), &mut out);
    }
    ratios_in_words(fields, &mut out);
    windows(fields, &mut out);
    order(&tree, &mut out);
    same_names(&tree, &mut out);
    out
}

fn warn(out: &mut Vec<PlanWarning>, code: &str, field: &PlanField, message: String) {
    out.push(PlanWarning { code: code.to_owned(), line: field.line, message });
}

fn quantity(field: Option<&PlanField>) -> Option<&Quantity> {
    match field?.value.as_ref()? {
        PlanValue::Quantity(quantity) => Some(quantity),
        _ => None,
    }
}

/// A number as hundred-millionths, so that comparing it needs no floats.
fn scaled(quantity: &Quantity) -> Option<i128> {
    const DIGITS: usize = 8;
    let text = quantity.value.as_ref()?.as_str();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(DIGITS).collect();
    let digits = format!("{whole}{fraction}");
    if digits.len() > 30 { None } else { digits.parse().ok() }
}

/// The bugs that are counted against those that are listed.
fn bugs(tree: &Tree, base: &str, out: &mut Vec<PlanWarning>) {
    let identified = tree.value(&format!("{base}/bugs_identified"));
    let listed = tree.values(&format!("{base}/bug")).len();
    let Some((field, number)) = identified.zip(quantity(identified)) else { return };
    let count = number.value.as_ref().and_then(|v| v.as_str().parse::<usize>().ok());
    if let Some(count) = count.filter(|count| listed > 0 && *count != listed) {
        let message = format!("the number of bugs is given as {count}, but {listed} are listed");
        warn(out, "bug_count_mismatch", field, message);
    }
    let fixed = tree.value(&format!("{base}/bugs_fixed"));
    if let Some((fixed, found)) = quantity(fixed).and_then(scaled).zip(scaled(number))
        && fixed > found
    {
        let message = "more bugs are fixed than identified; the two may be in reverse order";
        warn(out, "fixed_above_identified", field, message.to_owned());
    }
}

/// Unique users above a total.
fn users(tree: &Tree, base: &str, out: &mut Vec<PlanWarning>) {
    let unique = tree.value(&format!("{base}/unique_users"));
    let Some((field, number)) = unique.zip(quantity(unique).and_then(scaled)) else { return };
    for metric in tree.values(&format!("{base}/metrics")) {
        let label = metric.label.as_deref().map(normal).unwrap_or_default();
        let total = label.contains("total") && !label.contains('%');
        if total && quantity(Some(metric)).and_then(scaled).is_some_and(|total| total < number) {
            let message = format!("more unique users than the total on line {}", metric.line);
            warn(out, "unique_above_total", field, message);
        }
    }
}

/// The share in a stage's heading against the share in its field; a canary's share.
fn shares(tree: &Tree, name: &str, out: &mut Vec<PlanWarning>) {
    let Some(label) = tree.value(&format!("stages/{name}/label")) else { return };
    let planned = tree.value(&format!("stages/{name}/planning/exposure"));
    let field = match planned.and_then(|f| f.value.as_ref()) {
        Some(PlanValue::Exposures(exposures)) => exposures.clone(),
        _ => Vec::new(),
    };
    let heading = label.raw.split_once(':').map_or(label.raw.as_str(), |(_, rest)| rest);
    let heading = words::exposures(heading.trim());
    if let (Some(said), Some(set), Some(planned)) = (share(&heading), share(&field), planned)
        && said != set
    {
        let message = format!(
            "the heading on line {} says {}, the field {}",
            label.line,
            percent(said),
            percent(set)
        );
        warn(out, "stage_share_mismatch", planned, message);
    }
    let canary = normal(&label.raw).contains("canary");
    let above = share(&field).or(share(&heading)).filter(|bp| canary && *bp > CANARY_BP_MAX);
    if let Some(bp) = above {
        let message = format!("a canary of {}; at most 10 % is a canary", percent(bp));
        warn(out, "canary_above_10_percent", planned.unwrap_or(label), message);
    }
}

/// The one share that exposures name.
fn share(exposures: &[Exposure]) -> Option<u32> {
    let mut shares = exposures.iter().filter(|e| e.kind == ExposureKind::Percent);
    match (shares.next(), shares.next()) {
        (Some(one), None) => one.max_bp,
        _ => None,
    }
}

fn percent(bp: u32) -> String {
    match bp % 100 {
        0 => format!("{} %", bp / 100),
        rest => format!("{}.{rest:02} %", bp / 100),
    }
}

/// A percentage in a row against the numbers in that row that it is made of.
fn ratio(row: &[&PlanField], out: &mut Vec<PlanWarning>) {
    let is_percent =
        |f: &&&PlanField| quantity(Some(f)).is_some_and(|q| q.unit.as_deref() == Some("%"));
    let counts: Vec<_> = row
        .iter()
        .filter(|f| !is_percent(f))
        .filter_map(|f| Some((normal(f.label.as_deref()?), quantity(Some(f)).and_then(scaled)?)))
        .collect();
    let Some(whole) = counts.iter().map(|(_, n)| *n).max().filter(|n| *n > 0) else { return };
    for field in row.iter().filter(is_percent) {
        let label = field.label.as_deref().map(normal).unwrap_or_default();
        let mut parts =
            counts.iter().filter(|(name, number)| *number < whole && is_part_of(name, &label));
        let (Some((_, part)), None) = (parts.next(), parts.next()) else { continue };
        let Some(said) = quantity(Some(field)) else { continue };
        judge(field, said, *part, whole, out);
    }
}

/// `233/572 (40 %)`: a ratio with its parts.
fn ratios_in_words(fields: &[PlanField], out: &mut Vec<PlanWarning>) {
    for field in fields.iter().filter(|f| f.kind == FieldKind::Value) {
        let Some(number) = quantity(Some(field)) else { continue };
        let (Some(part), Some(whole)) = (&number.numerator, &number.denominator) else { continue };
        let said = field
            .raw
            .split(['(', '=', ','])
            .skip(1)
            .map(words::quantity)
            .find(|q| q.unit.as_deref() == Some("%"));
        let as_scaled = |decimal: &schemas::id::Decimal| {
            scaled(&Quantity { value: Some(decimal.clone()), ..number.clone() })
        };
        if let (Some(said), Some(part), Some(whole)) = (said, as_scaled(part), as_scaled(whole))
            && whole > 0
        {
            judge(field, &said, part, whole, out);
        }
    }
}

/// Compares a written percentage with part / whole at as many digits as are written. One that is
/// cut off instead of rounded contradicts nothing.
fn judge(field: &PlanField, said: &Quantity, part: i128, whole: i128, out: &mut Vec<PlanWarning>) {
    let (Some(written), Some(text)) = (scaled(said), said.value.as_ref()) else { return };
    let digits = text.as_str().split_once('.').map_or(0, |(_, f)| f.len().min(8));
    let unit = 10_i128.pow(u32::try_from(8 - digits).unwrap_or(0));
    let exact = part.saturating_mul(10_000_000_000) / whole;
    let cut = exact / unit * unit;
    let rounded = (exact + unit / 2) / unit * unit;
    let shown = format!("{}.{:04} %", exact / 100_000_000, exact % 100_000_000 / 10_000);
    if written == rounded {
        return;
    }
    if written == cut {
        let message = format!("truncated, not rounded: its parts give {shown}");
        warn(out, "ratio_truncated", field, message);
    } else {
        warn(out, "ratio_mismatch", field, format!("its parts give {shown}"));
    }
}

/// Whether a count's name has every word of a percentage's: `path starts` of `% path start`.
fn is_part_of(name: &str, percentage: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(|c: char| !c.is_alphanumeric());
        let said =
            split.filter(|w| w.len() > 2 && !["percent", "rate", "share", "the"].contains(w));
        said.map(|word| word.trim_end_matches('s').to_owned()).collect()
    };
    let (name, wanted) = (words(name), words(percentage));
    !wanted.is_empty() && wanted.iter().all(|word| name.contains(word))
}

/// Windows that end before they begin.
fn windows(fields: &[PlanField], out: &mut Vec<PlanWarning>) {
    for field in fields {
        let Some(window) = window_of(field.value.as_ref()) else { continue };
        if let (Some(start), Some(end)) = (&window.start, &window.end)
            && end < start
        {
            let message = format!("the dates end ({end}) before they begin ({start})");
            warn(out, "dates_reversed", field, message);
        }
    }
}

/// Stages that begin before the one above them, or reach fewer users than it.
fn order(tree: &Tree, out: &mut Vec<PlanWarning>) {
    let mut before: Option<(&str, &Window)> = None;
    let mut reached: Option<(&str, u32)> = None;
    for name in tree.stages() {
        let dates = tree.value(&format!("stages/{name}/planning/dates"));
        if let Some((field, window)) = dates.and_then(|f| Some((f, window_of(f.value.as_ref())?))) {
            let earlier =
                before.filter(|(_, last)| window.start.is_some() && window.start < last.start);
            if let Some((last, _)) = earlier {
                let message = format!("{name} begins before {last}, which stands above it");
                warn(out, "dates_out_of_order", field, message);
            }
            if window.start.is_some() {
                before = Some((name, window));
            }
        }
        let exposure = tree.value(&format!("stages/{name}/planning/exposure"));
        if let Some((field, PlanValue::Exposures(exposures))) =
            exposure.and_then(|f| Some((f, f.value.as_ref()?)))
        {
            let Some(bp) = share(exposures) else { continue };
            if let Some((last, _)) = reached.filter(|(_, reached)| bp < *reached) {
                let message =
                    format!("{name} reaches fewer users than {last}, which stands above it");
                warn(out, "share_falls", field, message);
            }
            reached = Some((name, bp));
        }
    }
}

/// Two stages of the same name.
fn same_names(tree: &Tree, out: &mut Vec<PlanWarning>) {
    let mut seen: Vec<(String, &str)> = Vec::new();
    for key in tree.stages() {
        let Some(label) = tree.value(&format!("stages/{key}/label")) else { continue };
        let name = normal(&label.raw);
        let name = name.split([':', '–', '(']).next().unwrap_or_default().trim().to_owned();
        match seen.iter().find(|(known, _)| *known == name) {
            Some((_, other)) => {
                let message =
                    format!("two stages are called the same; this one is {key}, the other {other}");
                warn(out, "duplicate_stage", label, message);
            }
            None => seen.push((name, key)),
        }
    }
}
