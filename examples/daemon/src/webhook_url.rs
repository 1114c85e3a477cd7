//! Where the webhook's URL comes from at the start, as it is often a secret and the command line is none.

use std::fs;
use std::path::Path;

use pilot_webhook_core::Policy;
use pilot_webhook_std::{Destination, pilot_home, read_home_file};
use serde::Deserialize;
use tracing::{info, warn};

use crate::Failure;
use crate::args::Run;

/// The environment variable that may have it.
pub(crate) const VARIABLE: &str = "PILOT_WEBHOOK_URL";

/// Pilot's own configuration, in its home: pilotctl keeps the URL there, too.
const CONFIG: &str = "config.json";
/// The longest configuration that is read. Arbitrary: pilot's has a few lines.
const CONFIG_MAX: usize = 1024 * 1024;

/// What is read of pilot's configuration.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    webhook: Option<String>,
}

/// The first URL that there is: on the command line, in the file that is named there, in the environment, in
/// pilot's configuration. Empty where there is none. Reads files, which may be pipes.
///
/// # Errors
/// When the URL that is asked for cannot be used. A configuration that cannot is logged and passed over.
pub(crate) fn initial(options: &Run, policy: Policy) -> Result<String, Failure> {
    if !options.webhook.is_empty() {
        // What is wrong with it is said without more words.
        return Ok(options.webhook.clone());
    }
    if let Some(path) = &options.webhook_file {
        return checked(of_file(path)?, policy, &path.display().to_string());
    }
    match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => return checked(url, policy, VARIABLE),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(Failure::usage(format!("{VARIABLE}: not UTF-8")));
        }
        _ => {}
    }
    let home = options.home.clone().or_else(|| pilot_home().ok());
    let path = home.as_deref().map(|home| home.join(CONFIG)).unwrap_or_default();
    match home.as_deref().map_or(Ok(None), |home| of_config(home, policy)) {
        Ok(None) => Ok(String::new()),
        Ok(Some(url)) => {
            info!("the webhook is that of {}", path.display());
            Ok(url)
        }
        Err(error) => {
            warn!("the webhook of pilot's configuration is not used: {error}");
            Ok(String::new())
        }
    }
}

/// Whether there is one among the options, or in the environment.
pub(crate) fn is_given(options: &Run) -> bool {
    !options.webhook.is_empty()
        || options.webhook_file.is_some()
        || std::env::var_os(VARIABLE).is_some_and(|url| !url.is_empty())
}

/// The URL on the command line, or else in a file.
///
/// # Errors
/// When the file cannot be read, or there is no URL.
pub(crate) fn given(url: Option<String>, file: Option<&Path>) -> Result<String, Failure> {
    match (url, file) {
        (Some(url), _) => Ok(url),
        (None, Some(file)) => of_file(file),
        (None, None) => Err(Failure::usage("there is no URL")),
    }
}

/// The URL in a file. White space and a byte order mark around it are passed over.
///
/// # Errors
/// When it cannot be read, or is empty.
fn of_file(path: &Path) -> Result<String, Failure> {
    let fail = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| fail(&error.to_string()))?;
    let url = text.strip_prefix('\u{FEFF}').unwrap_or(&text).trim();
    if url.is_empty() {
        return Err(fail("there is no URL in it"));
    }
    Ok(url.to_owned())
}

fn checked(url: String, policy: Policy, source: &str) -> Result<String, Failure> {
    match Destination::parse(&url, policy) {
        Ok(_) => Ok(url),
        Err(error) => Err(Failure::usage(format!("{source}: {error}"))),
    }
}

/// The URL in pilot's configuration, or why there is none. Nothing that is in it is shown.
fn of_config(home: &Path, policy: Policy) -> Result<Option<String>, String> {
    let text = read_home_file(home, CONFIG, CONFIG_MAX).map_err(|error| error.to_string())?;
    let Some(text) = text else { return Ok(None) };
    let name = home.join(CONFIG);
    let config: Config = serde_json::from_str(&text).map_err(|error| {
        format!("{}: line {}: not a configuration", name.display(), error.line())
    })?;
    let Some(url) = config.webhook.filter(|url| !url.is_empty()) else { return Ok(None) };
    match Destination::parse(&url, policy) {
        Ok(_) => Ok(Some(url)),
        Err(error) => Err(format!("{}: {error}", name.display())),
    }
}
