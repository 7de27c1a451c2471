//! Finds where the plain part of a JSON string ends: payloads are checked whole at every verify, and
//! strings are most of them.
//!
//! Where quotes, backslashes and control characters are is found for a whole window at once, without
//! a jump that depends on the bytes. Then a string's end is found by counting zero bits: whoever looks
//! for it byte by byte, or word by word, guesses wrong at the end of nearly every short string, and a
//! wrong guess costs a processor as much as hashing some bytes. And the end of one string is known
//! before that of the one before has been used, so a processor can work at several.

/// Bytes that one mask speaks of, one bit each.
const BLOCK_LEN: usize = 64;
/// Masks made at a time, in advance. Most payloads are shorter than three times this.
const MASKS_LEN: usize = 4;
/// Bytes that they speak of.
const WINDOW_LEN: usize = BLOCK_LEN * MASKS_LEN;

/// The places of the quotes, backslashes and control characters, in order.
pub(super) struct Specials<'a> {
    /// What has not been looked at yet.
    bytes: &'a [u8],
    masks: [u64; MASKS_LEN],
    /// Which of the masks is next.
    next: usize,
    /// What is left of the one before, and where its block begins.
    mask: u64,
    base: usize,
    /// The length of it all.
    len: usize,
}

impl<'a> Specials<'a> {
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Specials<'a> {
        let base = 0usize.wrapping_sub(BLOCK_LEN);
        Specials { bytes, masks: [0; MASKS_LEN], next: MASKS_LEN, mask: 0, base, len: bytes.len() }
    }

    /// The next one. When there is none left, the length of it all.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        while self.mask == 0 {
            if self.next == MASKS_LEN {
                if self.bytes.is_empty() {
                    return self.len;
                }
                self.look();
            }
            self.mask = self.masks.get(self.next).copied().unwrap_or(0);
            self.next += 1;
            self.base = self.base.wrapping_add(BLOCK_LEN);
        }
        let at = self.base + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        at
    }

    /// Makes the masks of the next window.
    #[inline(never)]
    fn look(&mut self) {
        self.next = 0;
        if let Some((window, rest)) = self.bytes.split_first_chunk::<WINDOW_LEN>() {
            self.masks = masks(window);
            self.bytes = rest;
        } else {
            let mut window = [b' '; WINDOW_LEN];
            if let Some(window) = window.get_mut(..self.bytes.len()) {
                window.copy_from_slice(self.bytes);
            }
            self.masks = masks(&window);
            self.bytes = &[];
        }
    }
}

fn masks(window: &[u8; WINDOW_LEN]) -> [u64; MASKS_LEN] {
    let mut masks = [0; MASKS_LEN];
    let (blocks, _) = window.as_chunks();
    for (mask, block) in masks.iter_mut().zip(blocks) {
        *mask = specials(block);
    }
    masks
}

/// A bit for each byte, the lowest for the first: whether it is a quote, a backslash or a control
/// character.
fn specials(block: &[u8; BLOCK_LEN]) -> u64 {
    // Times this, eight bytes that are 1 or 0 have their lowest bits side by side in the top byte:
    // the bit of byte i moves by 56 - 7i, and no two others meet.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut flags = [0; BLOCK_LEN];
    for (flag, byte) in flags.iter_mut().zip(block) {
        #[expect(clippy::needless_bitwise_bool, reason = "`||` would be a jump")]
        let special = (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
        *flag = u8::from(special);
    }
    let (words, _) = flags.as_chunks::<8>();
    words.iter().zip((0..).step_by(8)).fold(0, |mask, (word, at)| {
        let gathered = u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56;
        mask | gathered << at
    })
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_LEN, Specials, WINDOW_LEN, specials};

    fn is_special(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[test]
    fn a_mask_says_of_every_byte_at_every_place_what_it_is() {
        for byte in 0..=255u8 {
            for filler in [b'a', b'"'] {
                for at in 0..BLOCK_LEN {
                    let mut block = [filler; BLOCK_LEN];
                    block[at] = byte;
                    let expected = block.iter().rev();
                    let expected = expected.fold(0, |m, b| m << 1 | u64::from(is_special(*b)));
                    assert_eq!(specials(&block), expected, "{byte} at {at} among {filler}");
                }
            }
        }
    }

    #[test]
    fn each_is_handed_out_once_and_in_order_over_windows() {
        for size in [0, 1, 63, 64, 65, WINDOW_LEN - 1, WINDOW_LEN, WINDOW_LEN + 1, 3 * WINDOW_LEN] {
            for (every, before) in [(1, usize::MAX), (7, usize::MAX), (3, 60), (1_023, usize::MAX)]
            {
                let places: Vec<_> = (0..size.min(before)).step_by(every).collect();
                let mut bytes = vec![b'a'; size];
                for at in &places {
                    bytes[*at] = b"\"\\\n"[at % 3];
                }
                let mut specials = Specials::of(&bytes);
                let found: Vec<_> = places.iter().map(|_| specials.next()).collect();
                assert_eq!(found, places, "{size}, {every}");
                assert_eq!([specials.next(), specials.next()], [size, size]);
            }
        }
    }
}
