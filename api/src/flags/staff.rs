//! The map from the addresses in a flag service's log to the account ids of the ledger.

use std::collections::BTreeMap;

use super::{csv_line, holds_address};
use crate::pseudonym::normalised;

/// Longest account id, in characters.
pub const ACCOUNT_LEN_MAX: usize = 128;

/// Account ids of staff by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaffMap(BTreeMap<String, String>);

/// Why a map cannot be used, by its line. Never repeats an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MapError {
    /// Line in the file, from 1.
    pub line: u64,
    pub what: &'static str,
}

impl StaffMap {
    /// Reads a CSV file with the columns `email` and `account_id`; others are passed over.
    ///
    /// # Errors
    /// The first line that is no pair of an address and an account id, or says something else of
    /// an address than a line before it.
    pub fn read(bytes: &[u8]) -> Result<StaffMap, MapError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let no_header = MapError { line: 1, what: "the first line must be: email,account_id" };
        let header = reader.headers().map_err(|_| no_header.clone())?;
        let column = |name| header.iter().position(|column| column == name);
        let (email, account) = column("email").zip(column("account_id")).ok_or(no_header)?;
        let mut map = BTreeMap::new();
        for record in reader.records() {
            let record = record.map_err(|e| MapError {
                line: csv_line(bytes, e.position()),
                what: "not UTF-8 text with as many fields as the first line",
            })?;
            let line = csv_line(bytes, record.position());
            let refuse = |what| Err(MapError { line, what });
            let field = |at| record.get(at).unwrap_or_default();
            let (email, account) = (normalised(field(email)), field(account).to_owned());
            if email.is_empty() || account.is_empty() {
                return refuse("both email and account_id must be there");
            }
            if holds_address(&account) {
                return refuse("the account_id is an e-mail address, which may not be recorded");
            }
            if account.chars().count() > ACCOUNT_LEN_MAX || account.chars().any(char::is_control) {
                return refuse("the account_id must have at most 128 characters, none of control");
            }
            if map.insert(email, account.clone()).is_some_and(|before| before != account) {
                return refuse("this address has another account_id further up");
            }
        }
        Ok(StaffMap(map))
    }

    /// The account id of an address, however it is spelled.
    pub fn account(&self, address: &str) -> Option<&str> {
        self.0.get(&normalised(address)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_however_they_are_spelled() {
        let file = "\u{feff}name,account_id,email\r\nPat, a-17 ,Pat@Example.com\r\n\
                    Pat again,a-17,pat@example.com\r\n";
        let map = StaffMap::read(file.as_bytes()).unwrap();
        assert_eq!(map.account(" pat@example.COM"), Some("a-17"));
        assert_eq!(map.account("kim@example.com"), None);
    }

    #[test]
    fn a_bad_line_is_named_and_not_repeated() {
        let rows = [
            ("", 1, "first line"),
            ("mail,account\n", 1, "first line"),
            ("email,account_id\npat@example.com\n", 2, "as many fields"),
            ("email,account_id\npat@example.com,a-1\nkim@example.com,\n", 3, "both"),
            ("email,account_id\n,a-1\n", 2, "both"),
            ("email,account_id\npat@example.com,pat@example.com\n", 2, "an e-mail"),
            ("email,account_id\npat@example.com,a-1\n\nPAT@example.com,a-2\n", 4, "another"),
            ("email,account_id\r\npat@example.com,a-1\r\n\r\n,a-2\r\n", 4, "both"),
        ];
        for (file, line, words) in rows {
            let error = StaffMap::read(file.as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{file:?}: {error}");
            assert!(error.what.contains(words), "{file:?}: {error}");
            assert!(!error.to_string().contains('@'), "{error}");
        }
        let long = format!("email,account_id\npat@example.com,{}\n", "a".repeat(129));
        assert!(StaffMap::read(long.as_bytes()).is_err());
    }
}
