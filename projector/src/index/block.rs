//! One block of a list: up to so many seqs in ascending order, as differences.

use serde::{Deserialize, Serialize};

use crate::codec::Row;

/// How many seqs a full block holds.
pub const BLOCK_LEN_MAX: u32 = 512;

/// The row of a block. Its first seq is the last part of its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Block {
    /// The greatest seq in it.
    pub last: u64,
    /// How many seqs it holds, the first included.
    pub len: u32,
    /// For each seq after the first, its distance from the one before, as an LEB128 number.
    pub distances: Vec<u8>,
}

impl Row for Block {
    const TYPE: u8 = 2;
}

impl Block {
    /// A block that holds one seq.
    pub(super) fn new(first: u64) -> Block {
        Block { last: first, len: 1, distances: Vec::new() }
    }

    /// Adds a seq greater than the last.
    pub(super) fn push(&mut self, seq: u64) {
        debug_assert!(seq > self.last && self.len < BLOCK_LEN_MAX);
        let mut distance = seq - self.last;
        while distance >= 0x80 {
            self.distances.push((distance & 0x7f) as u8 | 0x80);
            distance >>= 7;
        }
        self.distances.push((distance & 0x7f) as u8);
        (self.last, self.len) = (seq, self.len + 1);
    }

    /// The seqs of the block that begins with `first`, ascending; `None` if they do not add up.
    pub(super) fn seqs(&self, first: u64) -> Option<Vec<u64>> {
        let mut seqs = Vec::with_capacity(self.len.min(BLOCK_LEN_MAX) as usize);
        seqs.push(first);
        let (mut seq, mut distance, mut shift) = (first, 0_u64, 0_u32);
        for byte in &self.distances {
            distance |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                seq = seq.checked_add(distance)?;
                seqs.push(seq);
                (distance, shift) = (0, 0);
            }
        }
        let whole = seqs.len() == self.len as usize && seq == self.last && shift == 0;
        whole.then_some(seqs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_back_what_was_put_in() {
        let rows: &[&[u64]] = &[
            &[0],
            &[0, 1, 2],
            &[5, 132, 133, 16_517, 1 << 40],
            &[u64::MAX - 1, u64::MAX],
            &[0, u64::MAX],
        ];
        for seqs in rows {
            let mut block = Block::new(seqs[0]);
            seqs[1..].iter().for_each(|seq| block.push(*seq));
            assert_eq!(block.seqs(seqs[0]).unwrap(), *seqs);
        }
    }

    #[test]
    fn what_does_not_add_up_is_no_block() {
        let good = Block { last: 200, len: 2, distances: vec![0xc8, 0x01] };
        assert_eq!(good.seqs(0), Some(vec![0, 200]));
        let rows = [
            Block { last: 201, ..good.clone() },
            Block { len: 3, ..good.clone() },
            Block { distances: vec![0xc8], ..good.clone() },
            Block { distances: vec![0xff; 12], ..good.clone() },
        ];
        for block in rows {
            assert_eq!(block.seqs(0), None, "{block:?}");
        }
        assert_eq!(good.seqs(u64::MAX), None);
    }
}
