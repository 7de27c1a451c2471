//! What the scanner finds, what it leaves alone, and what a redaction changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails should panic")]

use std::path::Path;

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn personal_data_is_found_and_nothing_else() {
    let rows: &[(&str, &[&str])] = &[
        ("write to pat.doe@example.invalid now", &["email"]),
        ("the list team-all@lists.example.org", &["email"]),
        ("pat.doe\\@example.org", &["email"]),
        ("[Pat](mailto:pat@example.org)", &["email"]),
        ("https://example.org/?who=pat@example.org&x=1", &["email"]),
        ("https://example.org/?who=pat%40example.org", &["email"]),
        ("?query=%40payload.controller%3Ax", &[]),
        ("ask @pat or package@1.2.3", &[]),
        ("SSN 123-45-6789.", &["ssn"]),
        ("SSN 123 45 6789", &["ssn"]),
        ("id 123456789", &["ssn"]),
        ("id 923456789", &[]),
        ("10,123,456,789 views", &[]),
        ("https://example.org/monitors/123456789?to=2025550143", &[]),
        ("[issue](../issues/123456789)", &[]),
        ("#123456789", &[]),
        ("ICN 1012345678V123456", &["icn"]),
        ("call 202-555-0143 or (202) 555-0144", &["phone", "phone"]),
        ("+1 202.555.0143", &["phone"]),
        ("2025550143", &["phone"]),
        ("call 800-555-0143, 1-877-555-0143, (888) 555-0143", &[]),
        ("from 1734903344987 to 1737581744", &[]),
        ("5/13-5/15, 2024-05-13, 12,661 users, 4.5.2025", &[]),
        ("ssn=123-45-6788", &["ssn"]),
        ("SSN,123-45-6788", &["ssn"]),
        ("SSN:#123-45-6788", &["ssn"]),
        ("a/123-45-6788", &["ssn"]),
        ("ff_123-45-6788", &["ssn"]),
        ("SSN-123-45-6788, SSN123-45-6788", &["ssn", "ssn"]),
        ("ssn=123456788", &["ssn"]),
        ("_123-45-6788_ and _123456788_", &["ssn", "ssn"]),
        ("17,123-45-6788,2024", &["ssn"]),
        ("a=123 45 6788", &["ssn"]),
        ("**123**-45-6788", &["ssn"]),
        ("123-**45**-`6788`", &["ssn"]),
        ("123\\-45\\-6788", &["ssn"]),
        ("123<b>-45</b>-6788", &["ssn"]),
        ("123\u{a0}45\u{a0}6788", &["ssn"]),
        ("123\u{2014}45\u{2014}6788", &["ssn"]),
        ("123\u{2212}45\u{2212}6788", &["ssn"]),
        ("123\u{2012}45\u{2012}6788", &["ssn"]),
        ("123&#45;45&ndash;6788", &["ssn"]),
        ("12\u{200b}3-45-67\u{ad}88", &["ssn"]),
        ("\u{ff11}\u{ff12}\u{ff13}-\u{ff14}\u{ff15}-\u{ff16}\u{ff17}\u{ff18}\u{ff18}", &["ssn"]),
        ("https://example.org/?a=1&ssn=123-45-6788&b=2", &["ssn"]),
        ("https://example.org/?ssn=123%2D45%2D6788", &["ssn"]),
        ("tel=202-555-0143,202-555-0144", &["phone", "phone"]),
        ("ICN_1012345678V123456", &["icn"]),
        ("ICN-1012345678v123456", &["icn"]),
        ("https://example.org/icn/1012345678V123456?x", &["icn"]),
        ("a&#64;b.org", &["email"]),
        ("a&#x40;b.org", &["email"]),
        ("a&amp;#64;b.org", &["email"]),
        ("a&commat;b&period;org", &["email"]),
        ("https://example.org/?who=pat%40example.museum", &["email"]),
        ("https://example.org/?who=pat%2540example.io", &["email"]),
        ("a\u{ff20}b.org", &["email"]),
        ("a\u{200b}@\u{2060}b.o\u{ad}rg", &["email"]),
        ("\"a b\"@x.org", &["email"]),
        ("pat@b\u{fc}cher.example, pat@xn--bcher-kva.example", &["email", "email"]),
        ("pat@x.xn--p1ai", &["email"]),
        ("a@<b>x.org</b>", &["email"]),
        ("**a**@x.org", &["email"]),
        ("ask a @x.org or a@ x.org.", &["email", "email"]),
        ("ask a @x.org.Test or a @x.controller, 4 @ 100%", &[]),
        ("https://example.org/?q=a%20%40x.org", &[]),
        ("+44 20 7946 0958", &["phone"]),
        ("tel:+44-20-7946-0958", &["phone"]),
        ("[call](tel:+44-20-7946-0958)", &["phone"]),
        ("+44 (0)20 7946 0958, 2026-11-21", &["phone"]),
        ("+44 20 7946 0958 2026-11-21", &["phone"]),
        ("+33 1 23 45 67 89 or +442079460958", &["phone", "phone"]),
        ("+49.30.1234567", &["phone"]),
        ("+50 000 000 users, +8.2%, +6.18%, +5 2026-11-21, +25.5 2026-11-21", &[]),
        ("+50,000,000 and +20000000", &[]),
        ("2026-11-21T10:11:12.123456789Z 2026-11-21T10:11:12+05:00", &[]),
        ("0af7651916cd43dd8448eb211c80319c7651916123456789abcdef0123456789", &[]),
        ("01890a5d-ac96-774b-bcce-b302099a8057 and 12345678-1234-1234-1234-123456789012", &[]),
        ("u1:12345678:12345678901234567890123456789012", &[]),
        ("u1:0af76519:0123456789abcdef0123456789abcdef", &[]),
        ("$1,234,567.89, 1,234 567 8901, 1_000_000_000, 2*31*12345", &[]),
        ("v1.234.567.8901 and 2.34.5678", &[]),
        ("monitor 1234567890", &[]),
        ("https://example.org/d/2025550143?from=1734903344987&to=123456789%20x", &[]),
        ("https://example.org/?cols=host%2Cservice%2C%40payload.claim%20%40tags.org", &[]),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let rules: Vec<_> = scan(text).iter().map(|f| f.rule).collect();
        if rules != *expected {
            wrong.push((*text, rules));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_redaction_changes_its_own_bytes_only() {
    let text = "\u{feff}a\r\nSSN 123-45-6789 é pat@example.org\r\n";
    let (out, redactions) = redact(text, &scan(text));
    assert_eq!(out, "\u{feff}a\r\nSSN [redacted: ssn] é [redacted: email]\r\n");
    let rows: Vec<_> = redactions.iter().map(|r| (r.line, r.rule.as_str())).collect();
    assert_eq!(rows, [(2, "ssn"), (2, "email")]);
    assert!(scan(&out).is_empty());
}

#[test]
fn a_withheld_line_keeps_its_place() {
    let text = "a\r\n  - [x] Pat signs\r\nc";
    let (out, redactions) = withhold_lines(text, &[2, 9]);
    assert_eq!(out, "a\r\n  - [x] [redacted: named_person]\r\nc");
    assert_eq!(redactions.len(), 1);
}

#[test]
fn what_is_disguised_is_replaced_as_it_was_written() {
    let rows = [
        ("é **123**-45-6788!", "é **[redacted: ssn]!"),
        ("é a&#64;b.org!", "é [redacted: email]!"),
        ("?w=a%40b%2Eorg&é", "?w=[redacted: email]&é"),
        ("\u{ff41}\u{200b}\u{ff20}b.org é", "[redacted: email] é"),
        ("ﬁ a@<b>x.org</b> é", "ﬁ [redacted: email]</b> é"),
        ("½ 123\u{2014}45\u{2014}6788 é", "½ [redacted: ssn] é"),
    ];
    for (text, expected) in rows {
        let (out, _) = redact(text, &scan(text));
        assert_eq!(out, expected);
        assert!(scan(&out).is_empty(), "{out}");
    }
}

#[test]
fn broken_escapes_are_left_alone() {
    for text in
        ["%", "%4", "%zz@", "%E2%82", "%25", "%2525", "&#x110000;@", "&#0;@", "&;@", "<@", "\\@"]
    {
        let found = scan(&format!("{text} 12345678"));
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}

/// The plans of others, where they are at hand, and the examples of this project.
#[test]
fn plans_hold_what_they_are_known_to_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("../shared/seeds"), root.join("../shared/corpus")];
    let mut examples = vec![root.join("examples")];
    while let Some(folder) = examples.pop() {
        let inner = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        examples.extend(inner.filter(|path| path.is_dir()));
        folders.push(folder);
    }
    let mut read = 0;
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("{} absent", folder.display());
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // The e-mails of the flag examples are there to be turned into pseudonyms.
            if name.starts_with("021") || folder.ends_with("examples/flags") {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let found: Vec<_> =
                scan(&text).iter().map(|f| (f.rule, line_of(&text, f.start))).collect();
            assert!(found.is_empty(), "{name}: {found:?}");
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}
