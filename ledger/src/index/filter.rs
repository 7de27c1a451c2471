//! Says quickly, and from memory, that an id is certainly not in a run.

use crate::draft::Key;

/// Bits kept for each key. With these, about two ids in a thousand are looked for in vain.
const BITS_PER_KEY: usize = 16;
/// Words in a block, which is one line of the processor's cache: a lookup costs one miss.
const BLOCK_LEN: usize = 8;
/// Bits set for a key in its block.
const PROBES: u32 = 6;

/// A Bloom filter in blocks of 64 bytes.
#[derive(Debug)]
pub(crate) struct Filter {
    blocks: Vec<[u64; BLOCK_LEN]>,
}

impl Filter {
    pub(crate) fn with_capacity(keys: usize) -> Filter {
        Filter { blocks: vec![[0; BLOCK_LEN]; Filter::words_for(keys) / BLOCK_LEN] }
    }

    /// How many words the filter of so many keys has.
    pub(crate) fn words_for(keys: usize) -> usize {
        let bits = keys.max(1).saturating_mul(BITS_PER_KEY);
        bits.div_ceil(BLOCK_LEN * 64) * BLOCK_LEN
    }

    pub(crate) fn from_blocks(blocks: Vec<[u64; BLOCK_LEN]>) -> Filter {
        Filter { blocks }
    }

    pub(crate) fn words(&self) -> &[u64] {
        self.blocks.as_flattened()
    }

    pub(crate) fn insert(&mut self, key: Key) {
        let probe = Probe::of(key);
        let place = self.place(&probe);
        if let Some(block) = self.blocks.get_mut(place) {
            for (word, mask) in block.iter_mut().zip(probe.masks) {
                *word |= mask;
            }
        }
    }

    /// `false` is certain, `true` is not.
    pub(crate) fn may_hold(&self, probe: &Probe) -> bool {
        let Some(block) = self.blocks.get(self.place(probe)) else { return false };
        let lacking = block.iter().zip(probe.masks).map(|(word, mask)| mask & !word);
        // Every word is looked at, because a jump for each would cost more than the words do.
        lacking.fold(0, |any, bits| any | bits) == 0
    }

    fn place(&self, probe: &Probe) -> usize {
        let place = (u128::from(probe.prefix) * self.blocks.len() as u128) >> 64;
        usize::try_from(place).unwrap_or(0)
    }
}

/// What to look for in a filter: made once for a key, and asked of the filter of every run.
pub(crate) struct Probe {
    prefix: u64,
    /// What the key sets in each word of its block.
    masks: [u64; BLOCK_LEN],
}

impl Probe {
    pub(crate) fn of(key: Key) -> Probe {
        let mut masks = [0; BLOCK_LEN];
        let mut bits = key.suffix();
        for _ in 0..PROBES {
            let word = usize::try_from(bits & 7).unwrap_or(0);
            if let Some(mask) = masks.get_mut(word) {
                *mask |= 1 << ((bits >> 3) & 63);
            }
            bits >>= 9;
        }
        Probe { prefix: key.prefix(), masks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_denies_what_it_holds_and_seldom_doubts_what_it_does_not() {
        let key = |n: u32| Key::of("source", &n.to_string());
        let mut filter = Filter::with_capacity(20_000);
        (0..20_000).for_each(|n| filter.insert(key(n)));
        assert!((0..20_000).all(|n| filter.may_hold(&Probe::of(key(n)))));
        let doubted = (20_000..40_000).filter(|n| filter.may_hold(&Probe::of(key(*n)))).count();
        assert!(doubted < 200, "{doubted} of 20,000 unknown ids are doubted");
    }
}
