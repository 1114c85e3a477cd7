//! `pilot-webhookd`: a pilot daemon's events to a webhook.

fn main() -> std::process::ExitCode {
    pilot_webhookd::main()
}
