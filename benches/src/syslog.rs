//! syslog-ng, whose `http()` posts what it reads from a file, with its disk buffer or without.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use pilot_webhook_benches::Result;

/// Whether it is here.
pub(crate) fn is_there() -> bool {
    let version = Command::new("syslog-ng").arg("--version").stderr(Stdio::null()).output();
    let modules = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let is_there = modules.is_ok_and(|text| text.contains("http"));
    if !is_there {
        eprintln!("SKIPPED: no syslog-ng: apt-get install syslog-ng-core syslog-ng-mod-http");
    }
    is_there
}

/// How it is to deliver.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) workers: u32,
    /// Whether events stand in a reliable disk buffer until they are delivered.
    pub(crate) is_stored: bool,
}

/// A command that reads the file `events` and posts each line to `url`, in a directory of its own.
pub(crate) fn command(directory: &TempDir, events: &Path, url: &str, how: How) -> Result<Command> {
    let config = directory.path().join("syslog-ng.conf");
    fs::write(&config, text(directory.path(), events, url, how))?;
    let place = |name: &str| directory.path().join(name);
    let mut command = Command::new("syslog-ng");
    command.args(["--foreground", "--no-caps", "--worker-threads=8"]);
    command.arg("--cfgfile").arg(config).arg("--persist-file").arg(place("persist"));
    command.arg("--pidfile").arg(place("pid")).arg("--control").arg(place("control"));
    Ok(command)
}

/// Its windows are as wide as the disk buffer's memory, so that nothing waits for the reader; what it is told of an
/// event is the line.
fn text(directory: &Path, events: &Path, url: &str, How { workers, is_stored }: How) -> String {
    let buffer = if is_stored {
        format!(
            "disk-buffer(reliable(yes) disk-buf-size(1073741824) mem-buf-size(16777216) dir(\"{}\"))",
            directory.display()
        )
    } else {
        "log-fifo-size(100000)".to_owned()
    };
    format!(
        "@version: 3.35
options {{ use-dns(no); keep-hostname(yes); stats-freq(0); log-msg-size(8192); }};
source s {{
    file(\"{}\" flags(no-parse) log-fetch-limit(1000) log-iw-size(50000));
}};
destination d {{
    http(
        url(\"{url}\") method(\"POST\") headers(\"Content-Type: application/json\")
        user-agent(\"syslog-ng\") body(\"${{MESSAGE}}\") workers({workers}) timeout(5) {buffer}
    );
}};
log {{ source(s); destination(d); flags(flow-control); }};
",
        events.display()
    )
}
