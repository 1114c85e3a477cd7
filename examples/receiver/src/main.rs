//! `pilot-webhook-receiver`: shows what a webhook receives, and fails on request.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper::StatusCode;
use pilot_webhook_receiver::secrets::Sign;
use pilot_webhook_receiver::{BODY_MAX, Behaviour, Check, Received, Receiver, Tls};
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
    /// Verify signatures with the secret in this file; answer 401 when one is wrong. With --sign standard-webhooks
    /// there may be several keys, a line each, and the option may be given more than once.
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// Which signatures a request must have: pilot's (X-Pilot-Signature-256), those of Standard Webhooks, or, with a
    /// comma between, both. Pilot's secret is the first file then, and the keys are in the others.
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "pilot",
        requires = "secret_file"
    )]
    sign: Vec<Sign>,
    /// The status of each answer: 500 fails, 404 rejects.
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

/// Why it ends, in one line that names the option.
enum Failure {
    /// The options cannot be used: call it otherwise. It exits 2, as for an option that there is not.
    Usage(String),
    /// This machine or its network does not do it: it exits 1.
    Runtime(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (status, message) = match serve(Args::parse()).await {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => (2, message),
        Err(Failure::Runtime(message)) => (1, message),
    };
    eprintln!("pilot-webhook-receiver: {message}");
    ExitCode::from(status)
}

async fn serve(args: Args) -> Result<(), Failure> {
    let warn = |warning| eprintln!("pilot-webhook-receiver: {warning}");
    let check = Check::read(&args.sign, &args.secret_file, warn);
    let check = check.map_err(|error| Failure::Usage(format!("--secret-file: {error}")))?;
    let receiver = Receiver::new(check, print);
    receiver.behave(Behaviour {
        status: args.status,
        delay: Duration::from_millis(args.delay_ms),
        retry_after: args.retry_after,
        max_body: args.max_body,
    });
    let fail = |error| Failure::Runtime(format!("--listen {}: {error}", args.listen));
    let listener = TcpListener::bind(args.listen).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    let Some(file) = args.tls_ca else {
        println!("listening on http://{address}");
        return receiver.serve(listener).await.map_err(fail);
    };
    let tls = Tls::new(&args.tls_name);
    let tls = tls.map_err(|error| Failure::Usage(format!("--tls-name: {error}")))?;
    let written = if file.extension().is_some_and(|extension| extension == "der") {
        fs::write(&file, tls.ca_der())
    } else {
        fs::write(&file, tls.ca_pem())
    };
    written.map_err(|error| Failure::Runtime(format!("--tls-ca {}: {error}", file.display())))?;
    println!("listening on https://{address}, trusted by {}", file.display());
    receiver.serve_tls(listener, tls).await.map_err(fail)
}

fn print(received: &Received) {
    let verdict = match received.verified {
        Some(Ok(())) => " signed".to_owned(),
        Some(Err(error)) => format!(" NOT SIGNED ({error})"),
        None => String::new(),
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
