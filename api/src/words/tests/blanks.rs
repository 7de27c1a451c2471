//! What is a blank, what is advice, and what is an answer.

use super::super::*;
use super::check;

fn show_filled(raw: &str) -> String {
    match filled(raw) {
        Filled::Blank { placeholder } => format!("blank {placeholder}").trim().to_owned(),
        Filled::Guidance(text) => format!("guidance {text}"),
        Filled::Value(text) => format!("value {text}"),
    }
}

#[test]
fn blanks_and_guidance() {
    check(
        &[
            ("", "blank"),
            ("   ", "blank"),
            (" [FILL_IN]", "blank [FILL_IN]"),
            (r" \[FILL\_IN\]  ", r"blank \[FILL\_IN\]"),
            (r"\[FILL\_IN\]/\[FILL\_IN\]", r"blank \[FILL\_IN\]/\[FILL\_IN\]"),
            ("[FILL_IN ticket numbers]", "blank [FILL_IN ticket numbers]"),
            ("[FILL_IN]%", "blank [FILL_IN]%"),
            ("[FILL_IN]/[FILL_IN]", "blank [FILL_IN]/[FILL_IN]"),
            ("[FILL_IN].", "blank [FILL_IN]"),
            ("[FILL_IN] users", "blank [FILL_IN]"),
            ("[FILL_IN] (*minimum 2 hours*)", "blank [FILL_IN]"),
            ("[FILL_IN]% (*Recommendation: at most 10%*)", "blank [FILL_IN]%"),
            ("[FILL_IN] a list that includes [goals](#goals)", "blank [FILL_IN]"),
            ("[FILL_IN] with links to boards (example: ours)", "blank [FILL_IN]"),
            ("[FILL_IN] : list", "blank [FILL_IN]"),
            ("**[FILL_IN]**", "blank [FILL_IN]"),
            ("** [FILL_IN]", "blank [FILL_IN]"),
            ("lorem ipsum", "blank lorem ipsum"),
            ("xx lorem ipsum   ", "blank xx lorem ipsum"),
            (r"\[_lorem ipsum_\]", r"blank \[_lorem ipsum_\]"),
            ("yes/no", "blank yes/no"),
            ("yes/no, lorem ipsum", "blank yes/no, lorem ipsum"),
            ("yes/no, [FILL_IN]", "blank yes/no, [FILL_IN]"),
            ("xx", "blank xx"),
            ("XX%", "blank XX%"),
            ("x", "blank x"),
            ("x/x", "blank x/x"),
            ("x  ", "blank x"),
            ("** x", "blank x"),
            ("x (_minimum 1 day_)", "blank x"),
            ("TBD", "blank TBD"),
            ("[TBD]", "blank [TBD]"),
            (
                "[tbd - make an [issue](https://example.org/1)]",
                "blank [tbd - make an [issue](https://example.org/1)]",
            ),
            ("TBD ❓", "blank TBD ❓"),
            ("TBA", "blank TBA"),
            ("TK", "blank TK"),
            ("???", "blank ???"),
            ("❓", "blank ❓"),
            ("[DEV TO PROVIDE]", "blank [DEV TO PROVIDE]"),
            ("[PICK_ONE]: yes | no |  N/A", "blank [PICK_ONE]: yes | no |  N/A"),
            (r"\[PICK\_ONE\]: yes | no | N/A", r"blank \[PICK\_ONE\]: yes | no | N/A"),
            ("yes | no | N/A", "blank yes | no | N/A"),
            ("pick one: yes/no/N/A", "blank pick one: yes/no/N/A"),
            ("mm/dd/yy", "blank mm/dd/yy"),
            ("mm/dd/yyyy - mm/dd/yyyy", "blank mm/dd/yyyy - mm/dd/yyyy"),
            (r"_\[mm/dd/yy - mm/dd/yy\]_", r"blank \[mm/dd/yy - mm/dd/yy\]"),
            ("[date - date]", "blank [date - date]"),
            ("(ready / not ready)", "blank (ready / not ready)"),
            ("1. ", "blank 1."),
            ("(ready / not ready)[https://example.org/t.md]", "blank (ready / not ready)"),
            (
                r"\(ready / not ready\)\[<https://example.org/t.md>\]",
                r"blank \(ready / not ready\)",
            ),
            ("[template](https://example.org/t)", "guidance [template](https://example.org/t)"),
            ("(*minimum 2 hours*)", "guidance (*minimum 2 hours*)"),
            ("_Recommendation: start small_", "guidance Recommendation: start small"),
            (r"\[use your KPIs as a guide\]", r"guidance \[use your KPIs as a guide\]"),
        ],
        show_filled,
    );
}

#[test]
fn values_without_what_stands_beside_them() {
    check(
        &[
            ("[PICK_ONE]: No", "value No"),
            ("[PICK_ONE]: yes | no | N/A no complaints", "value no complaints"),
            ("pick one: No", "value No"),
            ("yes/no, NO", "value NO"),
            ("[FILL_IN] 25", "value 25"),
            ("[FILL_IN] .5%", "value .5%"),
            ("N/A", "value N/A"),
            ("none", "value none"),
            ("0", "value 0"),
            ("x% (500 users) (_at most 10%_)", "value x% (500 users)"),
            ("one week (_minimum 2 hours_)", "value one week"),
            ("**February 20, 2026**  ", "value February 20, 2026"),
            ("*one* and *two*", "value *one* and *two*"),
            ("** 8", "value 8"),
            ("25% (x users)", "value 25% (x users)"),
            ("[TBD](https://example.org/plan)", "value [TBD](https://example.org/plan)"),
            ("[3/6/2024 - 3/20/2024]", "value [3/6/2024 - 3/20/2024]"),
            ("XX people were routed", "value XX people were routed"),
            ("TBD, waiting for numbers", "value TBD, waiting for numbers"),
            ("xylophone", "value xylophone"),
            ("1.5", "value 1.5"),
            ("minimum 2 hours", "value minimum 2 hours"),
        ],
        show_filled,
    );
}
