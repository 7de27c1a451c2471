//! How many connections there may be at once, over all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The seats of one server, over all addresses that it listens on.
#[derive(Clone, Debug)]
pub struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    len_max: usize,
    len_max_of_one: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    len: usize,
    /// Counted only where one address has a limit; never larger than `len`.
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's seat, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Inner>,
    address: IpAddr,
}

impl Room {
    pub fn new(len_max: usize, len_max_of_one: Option<usize>) -> Room {
        Room(Arc::new(Inner { len_max, len_max_of_one, taken: Mutex::default() }))
    }

    /// A seat, if there is one for this address.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        let mut taken = self.0.taken();
        if taken.len >= self.0.len_max {
            return None;
        }
        if let Some(len_max) = self.0.len_max_of_one {
            let of_one = taken.by_address.entry(address).or_default();
            if *of_one >= len_max {
                return None;
            }
            *of_one += 1;
        }
        taken.len += 1;
        drop(taken);
        Some(Seat { room: self.0.clone(), address })
    }
}

impl Inner {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.len -= 1;
        if let Some(of_one) = taken.by_address.get_mut(&self.address) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_over_all_and_by_address_and_given_back() {
        let room = Room::new(3, Some(2));
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let one = room.enter(address(1)).unwrap();
        let two = room.enter(address(1)).unwrap();
        assert!(room.enter(address(1)).is_none());
        assert!(room.enter("::ffff:10.0.0.1".parse().unwrap()).is_none());
        let three = room.enter(address(2)).unwrap();
        assert!(room.enter(address(3)).is_none());
        drop(one);
        assert!(room.enter(address(1)).is_some());
        drop((two, three));
        assert_eq!(room.0.taken().len, 0);
        assert!(room.0.taken().by_address.is_empty());
    }
}
