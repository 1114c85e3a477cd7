//! The engine's and the workload's settings, from the arguments.
//!
//! | argument | default | |
//! |---|---|---|
//! | `on_open=skip\|hold` | `skip` | what happens to events while the breaker is open |
//! | `timeout_ms=MS`, `backoff_ms=MS`, `cooldown_ms=MS`, `threshold=N` | the engine's | |

use core::time::Duration;

use firmware::{host::Args, println};
use pilot_webhook_core::{Backoff, Config, OnOpen};

use crate::workload::Workload;

const NO_NUMBER: &str = "an argument is no number, or too large a one";

pub(crate) fn config(args: &Args<'_>) -> Result<Config, &'static str> {
    let defaults = Config::DEFAULT;
    Ok(Config {
        on_open: match args.get("on_open").unwrap_or("skip") {
            "skip" => OnOpen::Skip,
            "hold" => OnOpen::Hold,
            _ => return Err("on_open is skip or hold"),
        },
        http_timeout: millis(args, "timeout_ms", defaults.http_timeout)?,
        backoff: Backoff {
            initial: millis(args, "backoff_ms", defaults.backoff.initial)?,
            ..defaults.backoff
        },
        circuit_cooldown: millis(args, "cooldown_ms", defaults.circuit_cooldown)?,
        circuit_threshold: number(args, "threshold", defaults.circuit_threshold)?,
        ..defaults
    })
}

pub(crate) fn workload(args: &Args<'_>) -> Result<Workload, &'static str> {
    Ok(Workload {
        events: number(args, "events", 20)?,
        pace: pause(args, "pace_ms")?,
        waits_for_room: number(args, "drop", 0_u8)? == 0,
        burst: number(args, "isr", 0)?,
        idle: pause(args, "idle_ms")?,
    })
}

pub(crate) fn number<T: TryFrom<u64>>(
    args: &Args<'_>,
    key: &'static str,
    default: T,
) -> Result<T, &'static str> {
    match wide_number(args, key)? {
        None => Ok(default),
        Some(number) => T::try_from(number).map_err(|_| NO_NUMBER),
    }
}

/// Compiled once, for numbers of all lengths.
#[inline(never)]
fn wide_number(args: &Args<'_>, key: &'static str) -> Result<Option<u64>, &'static str> {
    match args.get(key) {
        None => Ok(None),
        Some(_) => args.parse_or(key, 0).map(Some).map_err(|error| {
            println!("{error}");
            NO_NUMBER
        }),
    }
}

fn millis(args: &Args<'_>, key: &'static str, default: Duration) -> Result<Duration, &'static str> {
    Ok(match args.get(key) {
        None => default,
        Some(_) => Duration::from_millis(number(args, key, 0)?),
    })
}

fn pause(args: &Args<'_>, key: &'static str) -> Result<embassy_time::Duration, &'static str> {
    Ok(embassy_time::Duration::from_millis(number(args, key, 0_u32)?.into()))
}
