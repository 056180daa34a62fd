#![no_main]

#[path = "../feed.rs"]
#[allow(dead_code, reason = "the other targets use the rest")]
mod feed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| feed::plan(data));
