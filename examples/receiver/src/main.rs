//! `pilot-webhook-receiver`: shows what a webhook receives, and fails on request.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper::StatusCode;
use pilot_webhook_core::Secret;
use pilot_webhook_receiver::{BODY_MAX, Behaviour, Received, Receiver, Tls};
use tokio::net::TcpListener;

/// Prints the events that a webhook gets, a line each, and verifies their signatures.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Speak TLS, with a certificate made at the start, and write that of its CA to this file, for the
    /// sender to trust: in DER if the name ends with .der, else in PEM.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// What the certificate is for: a host name or an address. May be given more than once.
    #[arg(
        long, value_name = "NAME", requires = "tls_ca",
        default_values = ["localhost", "127.0.0.1", "::1", "10.0.2.2"]
    )]
    tls_name: Vec<String>,
    /// Verify X-Pilot-Signature-256 with the secret in this file; answer 401 when it is wrong.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The status of each answer: 500 fails, 410 rejects.
    #[arg(long, default_value = "204")]
    status: StatusCode,
    /// Wait so many milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Send Retry-After with each answer, in seconds.
    #[arg(long)]
    retry_after: Option<u32>,
    /// Answer 413 to bodies of more bytes.
    #[arg(long, value_name = "BYTES", default_value_t = BODY_MAX)]
    max_body: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pilot-webhook-receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> std::io::Result<()> {
    let secret = args.secret_file.as_deref().map(read_secret).transpose()?;
    let receiver = Receiver::new(secret, print);
    receiver.behave(Behaviour {
        status: args.status,
        delay: Duration::from_millis(args.delay_ms),
        retry_after: args.retry_after,
        max_body: args.max_body,
    });
    let listener = TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    let Some(file) = args.tls_ca else {
        println!("listening on http://{address}");
        return receiver.serve(listener).await;
    };
    let tls = Tls::new(&args.tls_name).map_err(std::io::Error::other)?;
    if file.extension().is_some_and(|extension| extension == "der") {
        fs::write(&file, tls.ca_der())?;
    } else {
        fs::write(&file, tls.ca_pem())?;
    }
    println!("listening on https://{address}, trusted by {}", file.display());
    receiver.serve_tls(listener, tls).await
}

/// As the sender reads it: without the line's end.
fn read_secret(path: &Path) -> std::io::Result<Secret> {
    let secret = Secret::new(fs::read(path)?.trim_ascii_end());
    secret.ok_or_else(|| std::io::Error::other(format!("{}: the secret is empty", path.display())))
}

fn print(received: &Received) {
    let verdict = match received.verified {
        Some(true) => " signed",
        Some(false) => " NOT SIGNED",
        None => "",
    };
    let body = String::from_utf8_lossy(&received.body);
    // A closed pipe ends the printing, not the receiving.
    let _ = writeln!(std::io::stdout(), "{}{verdict} {body}", received.status.as_u16());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The default of `--status` was once written in a form that did not parse.
    #[test]
    fn it_starts_without_arguments() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["pilot-webhook-receiver"]).unwrap();
        assert_eq!(args.status, StatusCode::NO_CONTENT);
    }
}
