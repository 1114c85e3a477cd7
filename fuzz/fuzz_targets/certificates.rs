//! The target `certificates` for libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| pilot_webhook_fuzz::certificates::run(data));

#[cfg(not(fuzzing))]
fn main() {
    pilot_webhook_fuzz::replay(pilot_webhook_fuzz::certificates::run);
}
