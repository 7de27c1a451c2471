//! What is printed: a line for each measure, and at the end all of them as one table.

use std::time::Duration;

/// What was measured so far.
#[derive(Default)]
pub(crate) struct Results(Vec<Measure>);

struct Measure {
    store: &'static str,
    what: String,
    value: f64,
    ratio: f64,
}

impl Results {
    /// Prints a line; both values are from turns that alternated.
    pub(crate) fn add(
        &mut self,
        (store, what): (&'static str, &str),
        unit: &str,
        value: f64,
        baseline: f64,
    ) {
        let ratio = value / baseline;
        let (shown, beside) = (number(value), number(baseline));
        println!("bench {what}_{store} {shown} {unit} baseline {beside} ratio {ratio:.2}");
        self.0.push(Measure { store, what: format!("{what}, {unit}"), value, ratio });
    }

    /// Rows of measures and columns of stores, in the order in which they came; in each cell the
    /// value, and the ratio to the plain file in brackets.
    pub(crate) fn print_table(&self) {
        let (mut stores, mut rows) = (Vec::new(), Vec::new());
        for measure in &self.0 {
            if !stores.contains(&measure.store) {
                stores.push(measure.store);
            }
            if !rows.contains(&&measure.what) {
                rows.push(&measure.what);
            }
        }
        println!("\n| measure | {} |", stores.join(" | "));
        println!("| --- |{}", " ---: |".repeat(stores.len()));
        for row in rows {
            let cell = |store: &&str| {
                let here = |measure: &&Measure| measure.store == *store && measure.what == *row;
                let found = self.0.iter().find(here);
                found.map_or_else(
                    || "-".to_owned(),
                    |found| format!("{} ({:.2})", number(found.value), found.ratio),
                )
            };
            let cells: Vec<_> = stores.iter().map(cell).collect();
            println!("| {row} | {} |", cells.join(" | "));
        }
    }
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.4}"),
        value if value < 100.0 => format!("{value:.2}"),
        value => format!("{value:.0}"),
    }
}

/// Events a second.
#[expect(clippy::cast_precision_loss, reason = "a benchmark rounds")]
pub(crate) fn rate(events: u64, elapsed: Duration) -> f64 {
    events as f64 / elapsed.as_secs_f64()
}

/// The duration that this share of all is not longer than, in microseconds.
pub(crate) fn percentile_us(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let at = (durations.len() * percent / 100).min(durations.len().saturating_sub(1));
    durations.get(at).map_or(0.0, |found| found.as_secs_f64() * 1e6)
}
