//! What is measured, by the clock (`main.rs`) and by counting instructions (`benches`).

pub mod events;
pub mod inprocess;

/// Whatever goes wrong ends the measurement.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
