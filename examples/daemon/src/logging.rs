//! Log lines on standard error.

use std::io::Write as _;

use log::LevelFilter;

use crate::args::LogFormat;

/// Starts logging at level info; `RUST_LOG` says otherwise.
pub(crate) fn start(format: LogFormat) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info).parse_default_env();
    builder.format(move |out, record| {
        let time = jiff::Timestamp::now();
        let level = record.level().as_str().to_ascii_lowercase();
        match format {
            LogFormat::Text => writeln!(out, "{time:.3} {level}: {}", record.args()),
            LogFormat::Json => {
                let line = serde_json::json!({
                    "time": format!("{time:.3}"),
                    "level": level,
                    "target": record.target(),
                    "message": record.args().to_string(),
                });
                writeln!(out, "{line}")
            }
        }
    });
    builder.init();
}
