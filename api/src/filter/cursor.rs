//! The place after which the next page begins, bound to the question that it belongs to.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Question;
use crate::exit::{Code, fail};

/// A cursor that goes on after `seq`.
pub fn write(question: &Question, seq: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{seq}:{:016x}", bound(question)))
}

/// The seq that a cursor goes on after.
///
/// # Errors
/// When the cursor belongs to another filter or order.
pub fn read(question: &Question, cursor: &str) -> anyhow::Result<u64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let seq = text.as_deref().and_then(|text| {
        let (seq, sum) = text.split_once(':')?;
        (u64::from_str_radix(sum, 16).ok()? == bound(question)).then(|| seq.parse().ok())?
    });
    let what = "cursor belongs to another filter or order; begin without one";
    seq.ok_or_else(|| fail(Code::Usage, what))
}

/// What a question goes on after is no part of what binds, since the cursor replaces it.
fn bound(question: &Question) -> u64 {
    checksum(&Question { after: None, ..question.clone() }.shown().to_string())
}

/// Ties a cursor to its question (FNV-1a, 64 bits). Not a secret: a wrong cursor only gives a wrong
/// page.
pub fn checksum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, b| (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
