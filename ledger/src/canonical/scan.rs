//! Finds where the plain part of a JSON string ends: payloads are checked whole at every verify, and
//! strings are most of them.
//!
//! Where quotes, backslashes and control characters are is found for a whole window at once, without
//! a jump that depends on the bytes. Then a string's end is found by counting zero bits: looking for
//! it byte by byte, or word by word, guesses wrong at the end of nearly every short string, and a
//! wrong guess costs a processor as much as hashing twenty bytes.

/// Bytes that one mask speaks of, one bit each.
const BLOCK_LEN: usize = 64;
/// Bytes looked at at a time, in advance: as many as a place of one byte can tell apart.
const WINDOW_LEN: usize = 256;

/// The places of the quotes, backslashes and control characters, in order.
pub(super) struct Specials<'a> {
    bytes: &'a [u8],
    /// Where the window begins: a multiple of its length.
    window: usize,
    /// Places in the window, and how many there are. Behind them may be others, which mean nothing.
    places: [u8; WINDOW_LEN],
    len: usize,
    /// How many of them have been handed out.
    passed: usize,
}

impl<'a> Specials<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Specials<'a> {
        let places = [0; WINDOW_LEN];
        let mut specials = Specials { bytes, window: 0, places, len: 0, passed: 0 };
        specials.look();
        specials
    }

    /// The next one. When there is none left, the length of it all.
    #[inline]
    pub(super) fn next(&mut self) -> usize {
        while self.passed >= self.len {
            if self.bytes.len() - self.window <= WINDOW_LEN {
                return self.bytes.len();
            }
            self.window += WINDOW_LEN;
            self.look();
        }
        let place = self.places.get(self.passed).copied().map_or(0, usize::from);
        self.passed += 1;
        self.window + place
    }

    /// Finds all in the window.
    #[inline(never)]
    fn look(&mut self) {
        let bytes = self.bytes.get(self.window..).unwrap_or_default();
        let bytes = bytes.get(..WINDOW_LEN).unwrap_or(bytes);
        let (blocks, rest) = bytes.as_chunks();
        let (mut len, mut base) = (0, 0u8);
        for block in blocks {
            len = self.note(specials(block), base, len);
            base = base.wrapping_add(64);
        }
        if !rest.is_empty() {
            let mut last = [b' '; BLOCK_LEN];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            len = self.note(specials(&last), base, len);
        }
        (self.len, self.passed) = (len, 0);
    }

    /// Writes down the places of a block behind the first `len`, and returns how many there are then.
    #[inline]
    fn note(&mut self, mut mask: u64, base: u8, len: usize) -> usize {
        let mut len = len;
        while mask != 0 {
            if let Some(place) = self.places.get_mut(len) {
                let [at, ..] = mask.trailing_zeros().to_le_bytes();
                *place = base | at;
            }
            len += 1;
            mask &= mask - 1;
        }
        len
    }
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
