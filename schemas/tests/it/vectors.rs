//! The shared vectors of canonical JSON, which were made without this code.

use schemas::canonical;
use serde_json::Value;

use crate::files::root;

#[test]
fn the_shared_vectors_of_canonical_json_are_met() {
    let path = root().join("../shared/vectors/canonical.json");
    let Ok(text) = std::fs::read(&path) else {
        println!("../shared/vectors/canonical.json absent");
        return;
    };
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let accepted = vectors["accepted"].as_array().unwrap();
    for row in accepted {
        let value = canonical::parse(row["text"].as_str().unwrap().as_bytes()).unwrap();
        let bytes = canonical::to_bytes(&value);
        let hex = bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        assert_eq!(row["canonical_hex"], hex, "{}", row["text"]);
    }
    let refused = vectors["refused"].as_array().unwrap();
    for row in refused {
        assert!(canonical::parse(row.as_str().unwrap().as_bytes()).is_err(), "{row} was accepted");
    }
    assert!(accepted.len() >= 5 && refused.len() >= 20, "the vectors are not what they were");
}
