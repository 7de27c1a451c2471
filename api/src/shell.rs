//! Commands as they are printed, so that a shell takes them as they are meant.

use std::path::Path;

/// A path as one word that is no option.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `rollout-ledger WORDS --data-dir DIR`.
pub(crate) fn command(words: &str, dir: &Path) -> String {
    format!("rollout-ledger {words} --data-dir {}", quoted(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        for (path, shown) in [
            ("/var/lib/ledger-1", "/var/lib/ledger-1"),
            ("/a b", "'/a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("-dash", "./-dash"),
            ("-a b", "'./-a b'"),
        ] {
            assert_eq!(quoted(Path::new(path)), shown);
        }
    }
}
