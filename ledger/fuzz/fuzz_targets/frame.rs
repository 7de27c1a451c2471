//! The frame decoder on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ledger_fuzz::frame(bytes));
