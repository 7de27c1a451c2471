//! `doctor`: what is wrong, and what to do.

use serde_json::json;

use crate::{
    context::Context,
    doctor::{Check, Examination, Verdict, examine},
    exit::{Code, fail},
    home::Home,
    output::{self, Format, Rows},
};

pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let home =
        Home::at(&context.data_dir).keeping_free(context.min_free).asking(context.asked.clone());
    let examination = examine(&home);
    show(context.format, &examination)?;
    let count = examination.checks.iter().filter(|c| c.verdict == Verdict::Problem).count();
    if examination.tampered {
        return Err(fail(Code::Tampered, "what is stored does not verify; see the lines above"));
    }
    if count > 0 {
        let what = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
        return Err(fail(Code::Failure, format!("{what}; the lines above say what to do")));
    }
    Ok(())
}

fn show(format: Format, examination: &Examination) -> anyhow::Result<()> {
    let checks = &examination.checks;
    if format == Format::Table {
        for check in checks {
            output::print(&output::printable(&line(check)))?;
        }
        return Ok(());
    }
    if format == Format::Json {
        let verdict = examination.verdict();
        return output::object(
            format,
            &json!({ "verdict": verdict, "checks": checks }),
            String::new,
        );
    }
    let mut rows = Rows::new(&["check", "verdict", "finding", "remedy"]);
    for check in checks {
        let remedy = check.remedy.clone().unwrap_or_else(|| output::ABSENT.to_owned());
        let verdict = check.verdict.name().to_owned();
        rows.push(vec![check.check.to_owned(), verdict, check.finding.clone(), remedy], check);
    }
    Ok(rows.print(format, "")?)
}

/// One line whatever a path or a system's words hold.
fn line(check: &Check) -> String {
    let Check { check: name, verdict, finding, remedy } = check;
    let remedy = remedy.as_ref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
    format!("{:<8} {name:<12} {finding}{remedy}", verdict.name()).replace('\n', " ")
}
