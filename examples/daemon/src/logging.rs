//! Log lines on standard error.

use std::io::{self, Write};
use std::panic;

use env_logger::Target;
use log::{Level, error};
use pilot_webhook_std::Printable;

use crate::args::LogFormat;
use crate::stderr;

/// The longest message of a line, in bytes. Arbitrary: room for two errors of the client's.
const MESSAGE_MAX: usize = 2_048;

/// Starts logging at level info; `RUST_LOG` says otherwise. A panic is a log line, too.
pub(crate) fn start(format: LogFormat) {
    start_with(format, "info");
}

/// The same for a command that says itself what happens: only the warnings of the program, about its options.
pub(crate) fn start_for_command() {
    start_with(LogFormat::Text, "off,pilot_webhookd=warn");
}

fn start_with(format: LogFormat, filters: &str) {
    stderr::start(match format {
        LogFormat::Text => |left_out| left_out_line(LogFormat::Text, left_out),
        LogFormat::Json => |left_out| left_out_line(LogFormat::Json, left_out),
    });
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filters).parse_default_env();
    builder.format(move |out, record| {
        let message = record.args().to_string();
        out.write_all(&line(format, record.level(), record.target(), &message))
    });
    builder.target(Target::Pipe(Box::new(Lines))).init();
    panic::set_hook(Box::new(|panic| error!("{}", panic.to_string().replace('\n', " "))));
}

fn left_out_line(format: LogFormat, left_out: u64) -> Vec<u8> {
    let message = format!("{left_out} log lines left out: nobody took them in time");
    line(format, Level::Warn, module_path!(), &message)
}

fn line(format: LogFormat, level: Level, target: &str, message: &str) -> Vec<u8> {
    // Paths, errors and panics may contain text of foreign origin.
    let message = Printable::new(message, MESSAGE_MAX).to_string();
    let time = jiff::Timestamp::now();
    let level = level.as_str().to_ascii_lowercase();
    let line = match format {
        LogFormat::Text => format!("{time:.3} {level}: {message}\n"),
        LogFormat::Json => {
            let line = serde_json::json!({
                "time": format!("{time:.3}"),
                "level": level,
                "target": target,
                "message": message,
            });
            format!("{line}\n")
        }
    };
    line.into_bytes()
}

/// Takes a line with each write, as `env_logger` makes them.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
