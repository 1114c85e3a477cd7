//! What to mend, for each way in which an event is not accepted.

use std::io;

use jiff::Timestamp;
use pilot_webhook_std::{ErrorKind, HttpError, HttpReport, Refusal, TransportError as _};

use super::certificate::Certificate;

/// Of an answer that is no success.
pub(super) const fn of_status(status: u16, is_https: bool) -> &'static str {
    match status {
        200..=299 => "it is not among the statuses of --success",
        300..=399 => "redirects are not followed: give the URL that this one leads to",
        // What servers of TLS answer to what is not encrypted.
        400 if !is_https => {
            "the receiver does not understand the body: check --format. If it speaks TLS, the URL begins with https://"
        }
        400 | 422 => "the receiver does not understand the body: check --format",
        401 => {
            "the signature or the credentials are missing or wrong: check --secret-file and --sign, or --bearer-file and \
             --basic-file. By Standard Webhooks, this machine's clock counts, too"
        }
        403 => {
            "the receiver does not let this sender in: check its rules, and the signature and the credentials"
        }
        404 => "the receiver is not at this path: check the URL's",
        405 => "this path takes no POST: check the URL's",
        406 | 415 => "the receiver does not take this kind of body: check --format",
        407 => "a proxy before the receiver asks for credentials",
        408 => "the receiver waited for the event for too long: look at the network between",
        410 => {
            "the receiver is gone for good: give another URL. Nothing is sent to this one any more"
        }
        413 => "the body is too long for the receiver: raise its limit",
        421 => "the server at this address is not responsible for this host: check the URL's",
        426 => {
            "the receiver wants another protocol: if it speaks TLS, the URL begins with https://"
        }
        429 => "the receiver gets more than it wants: send less often, by --rate",
        400..=499 => "the receiver refuses the event: look at its log",
        502 | 504 => "what stands before the receiver gets no answer from it: look whether it runs",
        503 => "the receiver is not ready: try again later, or look at its log",
        500..=599 => "the receiver failed: look at its log",
        _ => "no receiver of webhooks answers so: check the URL's host and port",
    }
}

/// Of an answer that is none.
const NO_HTTP: &str = "what answers there is no HTTP server: check the port. If it speaks TLS, the URL begins with https://";

/// Of an attempt without an answer.
pub(super) fn of_error(
    error: &HttpError,
    certificate: Option<&Certificate>,
    is_https: bool,
) -> &'static str {
    if error.kind() == ErrorKind::Local {
        return "this machine has too few ports, descriptors or threads: look at its limits";
    }
    match error {
        HttpError::Resolve(_) => "check the host in the URL, and this machine's DNS",
        HttpError::LookUpTimedOut { .. } => "no DNS server answers: check /etc/resolv.conf",
        HttpError::NoAddress => "check the host in the URL, and its DNS records",
        HttpError::Refused(Refusal::Private) => {
            "leave --deny-private away if the receiver is meant to be there"
        }
        HttpError::Refused(_) => {
            "events never go there: check the host in the URL, and its DNS records"
        }
        HttpError::Connect { error, .. } => of_connect(error),
        HttpError::ServerName => "give the host by a name or address that a certificate can be for",
        HttpError::NoTrustRoots => "install the system's CA certificates, or give --ca-file",
        HttpError::Tls(_) => of_tls(certificate, Timestamp::now()),
        #[cfg(feature = "proxy")]
        HttpError::Unreachable(error) => of_connect(error),
        #[cfg(feature = "proxy")]
        HttpError::Proxy { .. } => "check the proxy's URL, and what it lets through",
        HttpError::NoConsent(_) => {
            "ask whoever runs the receiver to allow this origin, or leave --cloudevents-origin away"
        }
        HttpError::Disconnected(_) if !is_https => {
            "the receiver may have got the event: look whether it, or what stands before it, crashed. If it speaks TLS, the \
             URL begins with https://"
        }
        HttpError::Closed(_) => "the receiver ends connections at once: look at its log",
        HttpError::Disconnected(_) => {
            "the receiver may have got the event: look whether it, or what stands before it, crashed"
        }
        #[cfg(feature = "proxy")]
        HttpError::NotHttp(_) => NO_HTTP,
        HttpError::Malformed(_) => NO_HTTP,
        _ => "check the options for headers",
    }
}

fn of_connect(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: check that the receiver runs, and the port"
        }
        io::ErrorKind::TimedOut => {
            "nothing answers there: check the address, and firewalls between"
        }
        _ => "there is no way there: check the address, and this machine's network",
    }
}

fn of_tls(certificate: Option<&Certificate>, now: Timestamp) -> &'static str {
    match certificate {
        None => {
            "check that the receiver speaks TLS at this port: if not, the URL begins with http://"
        }
        Some(shown) if now > shown.valid_until => "the receiver needs a new certificate",
        Some(shown) if now < shown.valid_from => {
            "check the clocks: the certificate is not valid yet"
        }
        Some(_) => {
            "the certificate must be for the host in the URL, by an authority that this machine or --ca-file trusts"
        }
    }
}

/// Of an attempt whose time was over.
pub(super) const fn of_silence(report: &HttpReport, is_https: bool) -> &'static str {
    if is_https && report.secured.is_none() && report.connected.is_some() {
        return "the TLS handshake did not end: check that the receiver speaks TLS at this port";
    }
    "the receiver should answer first and work then; --http-timeout gives it more time. It may have got the event"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_advice() {
        for (status, word) in [
            (202, "--success"),
            (301, "redirects"),
            (304, "redirects"),
            (400, "--format"),
            (401, "--secret-file"),
            (403, "rules"),
            (404, "path"),
            (405, "POST"),
            (410, "another URL"),
            (413, "limit"),
            (418, "log"),
            (429, "--rate"),
            (500, "log"),
            (502, "before"),
            (503, "later"),
            (599, "log"),
            (999, "host and port"),
        ] {
            assert!(
                of_status(status, true).contains(word),
                "{status}: {}",
                of_status(status, true)
            );
        }
        assert!(
            of_status(400, false).contains("https://")
                && !of_status(400, true).contains("https://")
        );
    }

    #[test]
    fn a_certificate_out_of_date_is_told_from_one_that_is_not_trusted() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let certificate = Certificate {
            subject: String::new(),
            issuer: String::new(),
            valid_from: time("2020-01-01T00:00:00Z"),
            valid_until: time("2030-01-01T00:00:00Z"),
        };
        let of = |now| of_tls(Some(&certificate), time(now));
        assert!(of("2019-12-31T00:00:00Z").contains("clocks"));
        assert!(of("2025-01-01T00:00:00Z").contains("--ca-file"));
        assert!(of("2030-01-02T00:00:00Z").contains("new certificate"));
        assert!(of_tls(None, time("2025-01-01T00:00:00Z")).contains("speaks TLS"));
    }
}
