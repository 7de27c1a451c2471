//! Tables: flags, metric definitions, launch steps, questions with answers, KPIs, a baseline.

use schemas::values::FieldKind;

use super::{
    headings::{Role, role},
    labels::{self, Label, Labelled, normal},
    outline::Table,
    reader::{Context, Part, Parts, Place, Reader, column_checkpoint},
    results::results_base,
    sheet::{Want, is_measure},
    stages::Wanted,
    text::Span,
};
use crate::words::{self, Filled};

impl Reader<'_> {
    pub(crate) fn table(&mut self, table: &Table, here: &Context) {
        for cell in &table.head {
            self.sheet.structure(*cell);
        }
        let head: Vec<String> =
            table.head.iter().map(|cell| normal(self.sheet.of(*cell))).collect();
        let first = head.first().map(String::as_str).unwrap_or_default();
        let second = head.get(1).map(String::as_str).unwrap_or_default();
        if here.place == Place::Template || here.place == Place::Staged {
            self.rows(table, here, FieldKind::Guidance);
        } else if ["toggle", "flag", "flipper"].iter().any(|word| first.contains(word))
            || here.place == Place::Flags
        {
            table.rows.iter().for_each(|row| self.flag_row(row));
        } else if first.starts_with("metric")
            && (second.contains("description") || second.contains("definition"))
        {
            table.rows.iter().for_each(|row| self.metric_row(row, here.group));
        } else if is_schedule(first) && head.len() > 1 {
            table.rows.iter().for_each(|row| self.launch_row(row, &head, here));
        } else if head
            .iter()
            .skip(1)
            .any(|column| is_goal(column) || column_checkpoint(column).is_some())
        {
            table.rows.iter().for_each(|row| self.kpi_row(row, &head));
        } else if self.is_questions(table, here) {
            table.rows.iter().for_each(|row| self.question_row(row, here));
        } else if self.is_numbers(table) {
            table.rows.iter().for_each(|row| self.baseline_row(row, &head, &table.head));
        } else if head.len() == 2 {
            table.rows.iter().for_each(|row| self.pair(row, here));
        } else {
            self.rows(table, here, FieldKind::Unread);
        }
    }

    /// A row of two: what it is about, and what is said of it.
    fn pair(&mut self, row: &[Span], here: &Context) {
        match row {
            [label, value, ..] if !label.is_empty() => {
                let path = self.sheet.next(&format!("other/{}", here.slug));
                self.sheet.fill(&path, Some(*label), *value, Want::Text);
            }
            _ => self.leftover(row, here),
        }
    }

    /// Keeps the rows as they are.
    fn rows(&mut self, table: &Table, here: &Context, kind: FieldKind) {
        for row in &table.rows {
            let Some((first, last)) = row.first().zip(row.last()) else { continue };
            let whole = Span::new(first.start, last.end);
            if self.sheet.of(whole).chars().any(char::is_alphanumeric) {
                let path = self.sheet.next(&format!("other/{}", here.slug));
                self.sheet.put(&path, None, whole, kind, None);
            } else {
                self.sheet.structure(whole);
            }
        }
    }

    /// A metric and what it means; the line above the table names its group.
    fn metric_row(&mut self, row: &[Span], group: Option<Span>) {
        let base = self.sheet.next("metrics");
        for (cell, leaf) in row.iter().zip(["name", "description", "source"]) {
            let label = group.filter(|_| leaf == "name");
            self.sheet.fill(&format!("{base}/{leaf}"), label, *cell, Want::Text);
        }
    }

    /// A row such as `Launch to 25% | 10/25/2023 | 10/31/2023`.
    fn launch_row(&mut self, row: &[Span], head: &[String], here: &Context) {
        let Some(name) = row.first() else { return };
        let words = self.sheet.of(*name);
        let wanted = match role(words) {
            Role::Stage(name) => Wanted::Stage(name),
            Role::Phase(number) => Wanted::Phase(number),
            Role::GoLive => Wanted::GoLive,
            Role::Uat => Wanted::Uat(None),
            Role::Pilot => Wanted::Pilot(None),
            _ => match words::slug(&normal(words)) {
                slug if slug.is_empty() => return self.leftover(row, here),
                slug => Wanted::Named(
                    slug.get(..40.min(slug.len())).unwrap_or("stage").trim_matches('-').to_owned(),
                ),
            },
        };
        let key = self.stage(&wanted, Parts::default());
        let base = format!("stages/{key}");
        let path = format!("{base}/label");
        if !self.sheet.has(&path) {
            self.sheet.fill(&path, None, *name, Want::Text);
        }
        if words.contains('%') {
            self.sheet.fill(&format!("{base}/planning/exposure"), None, *name, Want::Exposures);
        }
        self.sheet.structure(*name);
        for (cell, column) in row.iter().zip(head).skip(1) {
            let (leaf, want) = launch_column(column);
            let path = if leaf == "planning/note" {
                self.sheet.next(&format!("{base}/{leaf}"))
            } else {
                format!("{base}/{leaf}")
            };
            self.sheet.fill(&path, None, *cell, want);
        }
    }

    fn leftover(&mut self, row: &[Span], here: &Context) {
        let table = Table { head: Vec::new(), rows: vec![row.to_vec()] };
        self.rows(&table, here, FieldKind::Unread);
    }

    /// A row such as `Online submissions | 15,000 | 11,000 | TBD | TBD`: history, goal, checkpoints.
    fn kpi_row(&mut self, row: &[Span], head: &[String]) {
        let Some(name) = row.first() else { return };
        let label = Some(*name);
        self.sheet.structure(*name);
        let kpi = self.sheet.next("kpis");
        let baseline = self.sheet.next("baseline");
        let mut goal = false;
        for (cell, column) in row.iter().zip(head).skip(1) {
            if let Some(distance) = column_checkpoint(column) {
                let path = self.sheet.next(&format!("checkpoints/{distance}/kpis"));
                self.sheet.fill(&path, label, *cell, Want::Quantity);
            } else if is_goal(column) && !goal {
                goal = true;
                self.sheet.fill(&kpi, label, *cell, Want::Text);
            } else if let Some(Wanted::Stage(stage)) = stage_column(column) {
                let key = self.stage(&Wanted::Stage(stage), Parts::default());
                let path = self.sheet.next(&format!("stages/{key}/results/metrics"));
                self.sheet.fill(&path, label, *cell, Want::Quantity);
            } else {
                let column = words::slug(column);
                let column = if column.is_empty() { "value" } else { column.as_str() };
                self.sheet.fill(&format!("{baseline}/{column}"), label, *cell, Want::Quantity);
            }
        }
    }

    /// Whether a table asks and answers: a column of labels, a column of what stands behind them.
    fn is_questions(&self, table: &Table, here: &Context) -> bool {
        let known = |row: &Vec<Span>| {
            row.first().is_some_and(|cell| labels::find(self.sheet.of(*cell)).is_some())
        };
        let results = matches!(here.place, Place::Stage { .. } | Place::Checkpoint(_));
        table.head.len() >= 2
            && (table.rows.iter().any(known) || (results && table.head.len() == 2))
    }

    fn question_row(&mut self, row: &[Span], here: &Context) {
        let Some(name) = row.first() else { return };
        let value = row.get(1).copied().unwrap_or(Span::at(name.end));
        self.sheet.structure(*name);
        let words = self.sheet.of(*name);
        let bare = words.trim_end_matches([':', ' ']).len();
        let found = Labelled { label: name.first(bare), value };
        if let Some(label) = labels::find(words) {
            self.labelled(label, found, &[], &[], here);
        } else if !name.is_empty() || !value.is_empty() {
            let base = match &here.place {
                Place::Stage { part: Part::Planning, key } => format!("stages/{key}/planning/note"),
                Place::Stage { .. } | Place::Checkpoint(_) => {
                    format!("{}/metrics", results_base(here))
                }
                _ => format!("other/{}", here.slug),
            };
            let want = if base.ends_with("metrics") { Want::Quantity } else { Want::Text };
            let path = self.sheet.next(&base);
            self.sheet.fill(&path, Some(found.label), value, want);
        }
        for extra in row.iter().skip(2).filter(|cell| !cell.is_empty()) {
            let path = self.sheet.next(&format!("other/{}", here.slug));
            self.sheet.fill(&path, Some(found.label), *extra, Want::Text);
        }
    }

    /// Whether most cells behind the first column are numbers.
    fn is_numbers(&self, table: &Table) -> bool {
        let cells: Vec<_> = table.rows.iter().flat_map(|row| row.iter().skip(1)).collect();
        let numbers = cells.iter().filter(|cell| {
            let raw = self.sheet.of(***cell);
            raw.starts_with(|c: char| c.is_ascii_digit() || "~<>$.≈".contains(c)) && is_measure(raw)
        });
        !cells.is_empty() && numbers.count() * 2 > cells.len()
    }

    /// A row of a baseline table: when, and what was measured then.
    fn baseline_row(&mut self, row: &[Span], head: &[String], labels: &[Span]) {
        let base = self.sheet.next("baseline");
        for (at, cell) in row.iter().enumerate() {
            let column = head.get(at).map(|column| words::slug(&column.replace('%', "percent ")));
            let column =
                column.filter(|c| !c.is_empty()).unwrap_or_else(|| format!("column-{}", at + 1));
            let label = labels.get(at).copied();
            if at > 0 {
                self.sheet.fill(&format!("{base}/{column}"), label, *cell, Want::Quantity);
            } else if let Filled::Value(raw) = words::filled(self.sheet.of(*cell)) {
                let when = self.sheet.parse(raw, Want::Occurrence, cell.start);
                self.sheet.put(
                    &format!("{base}/{column}"),
                    label,
                    *cell,
                    FieldKind::Value,
                    Some(when),
                );
            } else {
                self.sheet.fill(&format!("{base}/{column}"), label, *cell, Want::Text);
            }
        }
    }
}

/// Whether a table's first column names steps of the rollout.
fn is_schedule(first: &str) -> bool {
    matches!(
        first,
        "launch %"
            | "launch"
            | "phase"
            | "stage"
            | "step"
            | "percentage"
            | "% of users"
            | "rollout %"
            | "rollout"
    ) || first.starts_with("launch %")
        || first.starts_with("stage ")
        || first.starts_with("percentage of users")
}

fn launch_column(column: &str) -> (&'static str, Want) {
    if column.contains("actual") {
        return ("results/dates", Want::Window);
    }
    match labels::find(column) {
        Some(Label::Dates) => ("planning/dates", Want::Window),
        Some(Label::Length) => ("planning/length", Want::Duration),
        Some(Label::Exposure) => ("planning/exposure", Want::Exposures),
        Some(Label::Users) => ("planning/users", Want::Quantity),
        _ if column.contains("date") => ("planning/dates", Want::Window),
        _ => ("planning/note", Want::Text),
    }
}

fn is_goal(column: &str) -> bool {
    column.contains("target") || column.contains("goal")
}

/// `End of 25%`: the stage at whose end something is measured.
fn stage_column(column: &str) -> Option<Wanted> {
    let rest = column.strip_prefix("end of ").or_else(|| column.strip_prefix("at "))?;
    match role(rest) {
        Role::Stage(name) => Some(Wanted::Stage(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_say_what_they_hold() {
        assert_eq!(launch_column("desired date"), ("planning/dates", Want::Window));
        assert_eq!(launch_column("actual date"), ("results/dates", Want::Window));
        assert_eq!(stage_column("end of 25%"), Some(Wanted::Stage("25-percent".into())));
        assert!(is_goal("target"));
    }
}
