//! Numbers that a seed decides.

/// `SplitMix64`: small, and good enough to choose faults by.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same numbers each time.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Numbers that have nothing to do with those of another `part` of the same seed.
    pub fn of(seed: u64, part: &str) -> Chance {
        let mixed = part.bytes().fold(seed, |mixed, byte| Chance(mixed ^ u64::from(byte)).number());
        Chance(mixed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` to before `to`, which is more.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.number() % (to - from)
    }

    /// Whether something happens that does so `percent` times in a hundred.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    /// One of them.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.between(0, all.len() as u64);
        let chosen = usize::try_from(at).ok().and_then(|at| all.get(at));
        chosen.expect("there is at least one")
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn a_seed_decides_and_parts_differ() {
        let numbers = |mut chance: Chance| (0..9).map(|_| chance.number()).collect::<Vec<_>>();
        assert_eq!(numbers(Chance::of(7, "a")), numbers(Chance::of(7, "a")));
        assert_ne!(numbers(Chance::of(7, "a")), numbers(Chance::of(7, "b")));
        assert_ne!(numbers(Chance::of(7, "a")), numbers(Chance::of(8, "a")));
        let mut chance = Chance::new(1);
        assert!((0..999).all(|_| (3..5).contains(&chance.between(3, 5))));
        assert!((0..999).all(|_| chance.happens(100) && !chance.happens(0)));
    }
}
