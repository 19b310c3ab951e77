#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| usherd_fuzz::xinetd_conf::check(text));
