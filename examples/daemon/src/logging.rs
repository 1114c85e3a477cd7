//! Log lines on standard error.

use std::fmt::{self, Write as _};
use std::panic;

use pilot_webhook_std::Printable;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber, error, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::args::LogFormat;
use crate::stderr;

/// The longest message of a line, and the longest text of a field, in bytes. Arbitrary: room for two errors of the
/// client's.
const MESSAGE_MAX: usize = 2_048;
/// The environment variable that says what is logged.
const FILTER: &str = "RUST_LOG";

/// Starts logging at level info; `RUST_LOG` says otherwise. A panic is a log line, too.
pub(crate) fn start(format: LogFormat) {
    start_with(format, Targets::new().with_default(LevelFilter::INFO));
}

/// The same for a command that says itself what happens: only the warnings of the program, about its options.
pub(crate) fn start_for_command() {
    let filter = Targets::new().with_target("pilot_webhookd", LevelFilter::WARN);
    start_with(LogFormat::Text, filter);
}

fn start_with(format: LogFormat, filter: Targets) {
    stderr::start(match format {
        LogFormat::Text => |left_out| left_out_line(LogFormat::Text, left_out),
        LogFormat::Json => |left_out| left_out_line(LogFormat::Json, left_out),
    });
    let asked_for = std::env::var(FILTER).ok().filter(|text| !text.is_empty());
    let asked_for = asked_for.map(|text| text.parse::<Targets>());
    let is_wrong = matches!(asked_for, Some(Err(_)));
    let filter = asked_for.and_then(Result::ok).unwrap_or(filter);
    let subscriber = tracing_subscriber::registry().with(Lines(format).with_filter(filter));
    // Fails only where another one was set, which nobody does.
    let _ = tracing::subscriber::set_global_default(subscriber);
    if is_wrong {
        warn!("{FILTER} is no list of levels and targets, and is passed over");
    }
    panic::set_hook(Box::new(|panic| error!("{}", panic.to_string().replace('\n', " "))));
}

fn left_out_line(format: LogFormat, left_out: u64) -> Vec<u8> {
    let message = format!("{left_out} log lines left out: nobody took them in time");
    line(format, Level::WARN, module_path!(), Said { message, fields: Map::new() })
}

/// What an event says: its message, which says everything to people, and its fields, for programs.
#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn field(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Cannot fail: it goes to memory.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.field(field, printable(&format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, printable(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }
}

/// Paths, errors and panics may contain text of foreign origin.
fn printable(text: &str) -> String {
    Printable::new(text, MESSAGE_MAX).to_string()
}

fn line(format: LogFormat, level: Level, target: &str, said: Said) -> Vec<u8> {
    let message = printable(&said.message);
    let time = jiff::Timestamp::now();
    let level = level.as_str().to_ascii_lowercase();
    let line = match format {
        LogFormat::Text => {
            let endpoint = said.fields.get("endpoint").and_then(Value::as_str);
            let endpoint = endpoint.map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{time:.3} {level}: {endpoint}{message}\n")
        }
        LogFormat::Json => {
            let mut line = said.fields;
            line.insert("time".to_owned(), format!("{time:.3}").into());
            line.insert("level".to_owned(), level.into());
            line.insert("target".to_owned(), target.into());
            line.insert("message".to_owned(), message.into());
            format!("{}\n", Value::Object(line))
        }
    };
    line.into_bytes()
}

/// What the targets of this program's own lines begin with. Nobody has looked at what others say: an HTTP library
/// may trace headers, in which secrets are.
const OWN: &str = "pilot_webhook";

/// Writes a line for each event of this program.
struct Lines(LogFormat);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Here and not in `enabled`, which a filter around this layer does not ask.
        if !metadata.target().starts_with(OWN) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        stderr::line(&line(self.0, *metadata.level(), metadata.target(), said));
    }
}
