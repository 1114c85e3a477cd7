//! What went wrong, out of the chain of errors that reqwest tells: the proxy, the way, TLS, or the answer.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::http::HttpError;
use crate::over_reqwest::proxy::Hop;
use crate::over_reqwest::resolver::LookUpFault;

/// How the errors of `CONNECT` begin. hyper-util does not export their type.
const TUNNEL: &str = "tunnel error: ";

/// What an attempt ended with, that went through this proxy.
pub(crate) fn explain(error: &reqwest::Error, is_https: bool, hop: Option<&Hop>) -> HttpError {
    if let Some(fault) = find::<LookUpFault>(error).and_then(LookUpFault::take) {
        return match hop {
            Some(hop) => of_proxy(hop, format!("cannot be found: {fault}")),
            None => fault,
        };
    }
    if error.is_builder() {
        return HttpError::InvalidRequest;
    }
    if error.is_connect() || error.is_timeout() {
        return of_connecting(error, is_https, hop);
    }
    match find::<hyper::Error>(error) {
        Some(answer) if answer.is_parse() => HttpError::NotHttp(answer.to_string().into()),
        _ => HttpError::Disconnected(system(error)),
    }
}

fn of_connecting(error: &reqwest::Error, is_https: bool, hop: Option<&Hop>) -> HttpError {
    let tls = find::<rustls::Error>(error);
    let tunnel = chain(error).map(ToString::to_string).find(|text| text.starts_with(TUNNEL));
    match (hop, tunnel, tls) {
        (Some(hop), Some(tunnel), _) => of_proxy(
            hop,
            match &tunnel[TUNNEL.len()..] {
                "proxy authorization required" => NO_CREDENTIALS.to_owned(),
                "unsuccessful" => "does not connect to the endpoint".to_owned(),
                what => format!("cannot be used: {what}: {}", system(error)),
            },
        ),
        (Some(hop), None, _) if !is_https => {
            of_proxy(hop, format!("cannot be reached: {}", system(error)))
        }
        (_, _, Some(tls)) => {
            HttpError::Tls(io::Error::new(io::ErrorKind::InvalidData, tls.clone()))
        }
        // Behind the proxy only TLS is left to fail.
        (Some(_), ..) => HttpError::Tls(system(error)),
        (None, ..) => HttpError::Unreachable(system(error)),
    }
}

/// What a proxy wants that has none.
pub(crate) const NO_CREDENTIALS: &str = "asks for credentials: give user:password@ in its URL";

/// A fault of the proxy.
pub(crate) fn of_proxy(hop: &Hop, reason: impl Into<Box<str>>) -> HttpError {
    HttpError::Proxy { proxy: hop.name.clone(), reason: reason.into() }
}

/// The system's error in the chain, or the last words of it.
fn system(error: &reqwest::Error) -> io::Error {
    if let Some(code) =
        chain(error).find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
    {
        return io::Error::from_raw_os_error(code);
    }
    let kind = find::<io::Error>(error).map_or(io::ErrorKind::Other, io::Error::kind);
    let last = chain(error).last().map(ToString::to_string);
    // None of the texts but reqwest's own first one has the URL in it.
    io::Error::new(kind, last.unwrap_or_default())
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// The causes of an error, without itself. What an [`io::Error`] wraps is among them.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), cause)
}

fn cause<'a>(error: &&'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let error = *error;
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as _),
        None => error.source(),
    }
}
