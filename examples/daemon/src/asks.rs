//! The options of `run` for what an endpoint asks for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pilot_webhook_receiver::secrets;
use pilot_webhook_std::{
    ClientBuilder, HeaderError, HttpConfig, HttpConfigError, Rate, RequestHeaders, Schedule,
    Success,
};
use tracing::warn;

use crate::args::duration;
use crate::wrong::Wrong;

#[derive(Clone, clap::Args)]
pub(crate) struct Asks {
    /// Add a header to every request, as `Name: value`. May be given more than once.
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    /// Add the headers in this file, one a line, so that they are not on the command line, which everybody can read.
    #[arg(long, value_name = "FILE")]
    header_file: Option<PathBuf>,
    /// Send the token in this file as `Authorization: Bearer` (white space around it is ignored).
    #[arg(long, value_name = "FILE", conflicts_with = "basic_file")]
    bearer_file: Option<PathBuf>,
    /// Send the `user:password` in this file as `Authorization: Basic` (white space around it is ignored).
    #[arg(long, value_name = "FILE")]
    basic_file: Option<PathBuf>,
    /// The certificate that is shown to servers that ask for one, in this PEM file.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key, in this PEM file, without a password.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Begin no more attempts than that, as in 50/s, 100/m or 1000/h, at even distances.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<Rate>,
    /// The waits between attempts, as in 5s,5m,30m,2h, in place of the backoff: one attempt more than waits. Of use
    /// with --outbox.
    #[arg(long, value_name = "TIMES", value_parser = schedule)]
    retry_schedule: Option<Schedule>,
    /// The statuses that mean success.
    #[arg(long, value_name = "STATUSES", default_value = "200-299")]
    success: Success,
    /// Compress bodies of more than so many bytes by gzip.
    #[arg(long, value_name = "BYTES")]
    gzip: Option<usize>,
}

/// Adds the headers of an option.
type AddHeaders = fn(&Asks, &mut RequestHeaders) -> Result<(), Wrong>;

impl Asks {
    /// The options of the client.
    ///
    /// # Errors
    /// As [`headers`](Self::headers).
    pub(crate) fn client(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Wrong> {
        if let Some(rate) = self.rate {
            builder = builder.rate(rate);
        }
        if let Some(schedule) = self.retry_schedule {
            builder = builder.retry_schedule(schedule);
        }
        if let Some(over) = self.gzip {
            builder = builder.gzip(over);
        }
        Ok(builder.headers(self.headers()?))
    }

    /// The options of its transport.
    pub(crate) fn http(&self, http: HttpConfig) -> HttpConfig {
        let http = http.success(self.success.clone());
        match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => http.client_certificate(certificate, key),
            _ => http,
        }
    }

    /// The key of the file that an error is about, where it is that of the certificate's key.
    pub(crate) fn key_of(&self, error: &HttpConfigError) -> Option<&'static str> {
        use HttpConfigError::{ClientInvalid, ClientUnreadable};
        let (ClientInvalid { path, .. } | ClientUnreadable { path, .. }) = error else {
            return None;
        };
        (self.client_key.as_ref() == Some(path)).then_some("client_key")
    }

    /// Whether servers that ask for one are shown a certificate.
    pub(crate) const fn shows_certificate(&self) -> bool {
        self.client_cert.is_some()
    }

    /// The files that headers are in.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = [&self.header_file, &self.bearer_file, &self.basic_file];
        files.into_iter().flatten().cloned().collect()
    }

    /// The headers. Reads files, which may be pipes.
    ///
    /// # Errors
    /// When a file cannot be read, or a header cannot be sent. What is in a file is not shown.
    pub(crate) fn headers(&self) -> Result<RequestHeaders, Wrong> {
        let mut headers = RequestHeaders::new();
        Self::SOURCES.iter().try_for_each(|add| add(self, &mut headers))?;
        Ok(headers)
    }

    /// What is wrong with the headers, for each option that there are some in. Reads files, which may be pipes.
    pub(crate) fn wrong_headers(&self) -> Vec<Wrong> {
        let mut headers = RequestHeaders::new();
        Self::SOURCES.iter().filter_map(|add| add(self, &mut headers).err()).collect()
    }

    /// The options that there are headers in.
    const SOURCES: [AddHeaders; 4] = [Self::of_options, Self::of_file, Self::bearer, Self::basic];

    fn of_options(&self, headers: &mut RequestHeaders) -> Result<(), Wrong> {
        for header in &self.header {
            // Not the value, which may be a secret all the same.
            let name = header.split_once(':').map_or("no colon", |(name, _)| name);
            add(headers, header).map_err(|what| wrong("header", name, &what))?;
        }
        Ok(())
    }

    fn of_file(&self, headers: &mut RequestHeaders) -> Result<(), Wrong> {
        let Some(path) = &self.header_file else { return Ok(()) };
        for (number, line) in (1..).zip(text_of_secret("header_file", path)?.lines()) {
            let line = line.trim();
            if !line.is_empty() {
                add(headers, line).map_err(|what| {
                    wrong("header_file", &format!("{}, line {number}", path.display()), &what)
                })?;
            }
        }
        Ok(())
    }

    fn bearer(&self, headers: &mut RequestHeaders) -> Result<(), Wrong> {
        let Some(path) = &self.bearer_file else { return Ok(()) };
        let token = text_of_secret("bearer_file", path)?;
        headers.bearer(token.trim()).map_err(|error| no_credentials("bearer_file", path, error))
    }

    fn basic(&self, headers: &mut RequestHeaders) -> Result<(), Wrong> {
        let Some(path) = &self.basic_file else { return Ok(()) };
        let text = text_of_secret("basic_file", path)?;
        let parts = text.trim().split_once(':').ok_or(HeaderError::Value);
        let added = parts.and_then(|(user, password)| headers.basic(user, password));
        added.map_err(|error| no_credentials("basic_file", path, error))
    }
}

/// `50/s`.
fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.split_once('/').and_then(|(attempts, per)| {
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        let digits = attempts.bytes().all(|byte| byte.is_ascii_digit());
        let attempts = attempts.parse().ok().filter(|_| digits)?;
        Rate::new(attempts, Duration::from_secs(seconds))
    });
    rate.ok_or_else(|| {
        "expected a number above 0 in a time, such as 50/s, 100/m or 1000/h".to_owned()
    })
}

/// `5s,5m,30m`.
fn schedule(text: &str) -> Result<Schedule, String> {
    let waits: Result<Vec<_>, _> = text.split(',').map(duration).collect();
    waits.ok().as_deref().and_then(Schedule::new).ok_or_else(|| {
        "expected 1 to 16 times of up to 49 days (1176h) with commas between them, such as 5s,5m,2h, in us, ms, s, m or h"
            .to_owned()
    })
}

/// Adds `Name: value`.
fn add(headers: &mut RequestHeaders, header: &str) -> Result<(), String> {
    let (name, value) = header.split_once(':').ok_or("it must be as in Name: value")?;
    headers.add(name, value.trim_matches([' ', '\t'])).map_err(|error| error.to_string())
}

fn wrong(key: &'static str, which: &str, what: &str) -> Wrong {
    // One line, whatever was given.
    let which: String = which.chars().filter(|letter| !letter.is_control()).take(256).collect();
    Wrong::new(key, format!("{which}: {what}"))
}

fn no_credentials(key: &'static str, path: &Path, error: HeaderError) -> Wrong {
    let what = match error {
        HeaderError::Value => "these are no credentials that can be sent".to_owned(),
        error => error.to_string(),
    };
    Wrong::new(key, format!("{}: {what}", path.display()))
}

/// What is in a file for secrets, which the option with this key names. One that everybody can read is logged.
///
/// # Errors
/// When it cannot be read, is empty, or is no text.
pub(crate) fn text_of_secret(key: &'static str, path: &Path) -> Result<String, Wrong> {
    let bytes = secrets::read(path, |warning| warn!("{warning}"));
    let bytes = bytes.map_err(|error| Wrong::new(key, error))?;
    String::from_utf8(bytes)
        .map_err(|_| Wrong::new(key, format!("{}: it is not UTF-8", path.display())))
}
