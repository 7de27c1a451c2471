//! How rows are written: bincode behind two bytes that say what they are. The only file that names it.
//!
//! | bytes   | field     | meaning                                         |
//! |---------|-----------|-------------------------------------------------|
//! | 0       | `version` | [`CODEC_VERSION`]                               |
//! | 1       | `type`    | [`Row::TYPE`], so no row is read as another one |
//! | 2 - end | `row`     | bincode 1.3: fixed integers, little-endian      |
//!
//! Only rows that a rebuild can make again are written like this. A [`Row`] is a plain struct
//! without serde attributes: bincode writes some of them and cannot read them back.

use bincode::Options;
use serde::{Serialize, de::DeserializeOwned};

/// The version of the layout above. Another one is an error, never a guess.
pub const CODEC_VERSION: u8 = 1;

/// Largest row in bytes. A length that a damaged row claims allocates no more than this.
pub const ROW_SIZE_MAX: u64 = 1 << 20;

/// One kind of row.
pub trait Row: Serialize + DeserializeOwned {
    /// The kind's number. Never used for another kind.
    const TYPE: u8;
}

/// Why bytes are not a row, or a row has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by another version: rebuild.
    #[error("the row has codec version {0}, this version reads {CODEC_VERSION}")]
    Version(u8),
    /// Another kind of row than the key says.
    #[error("the row is of type {found}, not {expected}")]
    Type {
        /// The kind that was asked for.
        expected: u8,
        /// The kind that the bytes claim.
        found: u8,
    },
    /// Cut off, too long, or not of this shape.
    #[error("the row cannot be read or written")]
    Shape(#[source] bincode::Error),
    /// Fewer bytes than every row has.
    #[error("the row is empty")]
    Empty,
}

/// The bytes of a row. Fails only if there are more than [`ROW_SIZE_MAX`].
pub fn encode<R: Row>(row: &R) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![CODEC_VERSION, R::TYPE];
    layout().serialize_into(&mut bytes, row).map_err(CodecError::Shape)?;
    Ok(bytes)
}

/// Reads the bytes back: all of them, and nothing beyond.
pub fn decode<R: Row>(bytes: &[u8]) -> Result<R, CodecError> {
    match bytes {
        [CODEC_VERSION, kind, row @ ..] if *kind == R::TYPE => {
            layout().deserialize(row).map_err(CodecError::Shape)
        }
        [CODEC_VERSION, kind, ..] => Err(CodecError::Type { expected: R::TYPE, found: *kind }),
        [version, _, ..] => Err(CodecError::Version(*version)),
        _ => Err(CodecError::Empty),
    }
}

fn layout() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_little_endian()
        .with_limit(ROW_SIZE_MAX)
        .reject_trailing_bytes()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        number: u32,
        text: String,
        maybe: Option<u8>,
    }

    impl Row for Sample {
        const TYPE: u8 = 0xee;
    }

    fn sample() -> Sample {
        Sample { number: 258, text: "hé".to_owned(), maybe: Some(7) }
    }

    #[test]
    fn the_bytes_are_frozen() {
        let bytes = encode(&sample()).unwrap();
        let expected =
            [&[1, 0xee, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0][..], "hé".as_bytes(), &[1, 7]].concat();
        assert_eq!(bytes, expected);
        assert_eq!(decode::<Sample>(&bytes).unwrap(), sample());
    }

    #[test]
    fn anything_else_is_refused() {
        let good = encode(&sample()).unwrap();
        let mut rows: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", vec![]),
            ("one byte", vec![1]),
            ("another version", [&[2], &good[1..]].concat()),
            ("another type", [&[1, 0xef], &good[2..]].concat()),
            ("a trailing byte", [&good[..], &[0]].concat()),
            ("a length past the limit", [&good[..6], &[0xff; 8], &good[14..]].concat()),
        ];
        rows.extend((2..good.len()).map(|len| ("cut off", good[..len].to_vec())));
        for (name, bytes) in rows {
            assert!(decode::<Sample>(&bytes).is_err(), "{name}: {bytes:?}");
        }
    }

    #[test]
    fn a_row_has_a_largest_size() {
        let room = usize::try_from(ROW_SIZE_MAX).unwrap() - (4 + 8 + 2);
        let row = |len| Sample { text: "x".repeat(len), ..sample() };
        assert_eq!(decode::<Sample>(&encode(&row(room)).unwrap()).unwrap(), row(room));
        assert!(matches!(encode(&row(room + 1)), Err(CodecError::Shape(_))));
    }

    /// bincode cannot read back `tag`, `flatten` and `untagged`, and breaks on skipped members.
    #[test]
    fn rows_have_no_serde_attributes() {
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut dirs = vec![src.join("index"), src.join("views")];
        let mut files: Vec<_> =
            ["store.rs", "codec.rs", "index.rs", "views.rs"].map(|name| src.join(name)).into();
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { dirs.push(path) } else { files.push(path) }
            }
        }
        let banned = concat!("#[", "serde");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains(banned), "{} holds rows", file.display());
        }
    }
}
