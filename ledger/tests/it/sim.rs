//! A simulated disk, and the table of faults and truths: `docs/FAULTS.md` says it in words.

mod backup;
mod disk;
mod image;
mod random;
mod table;
mod truth;
