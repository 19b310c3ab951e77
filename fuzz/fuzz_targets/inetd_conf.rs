#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| usherd_fuzz::inetd_conf::check(text));
