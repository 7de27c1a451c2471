//! Opening, reading, verifying and appending, in a directory that holds anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ledger_fuzz::open(bytes));
