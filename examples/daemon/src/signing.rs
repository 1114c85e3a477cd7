//! What events are signed with, from the files that the options name.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use pilot_webhook_receiver::Check;
use pilot_webhook_receiver::secrets::{Secrets, Sign};
use pilot_webhook_std::standard::{MAX_KEYS, SigningKey};
use pilot_webhook_std::{ClientBuilder, HubEndpoint};
use tracing::{info, warn};

use crate::Failure;
use crate::args::Run;
use crate::aside::aside;
use crate::delivery::EndpointArgs;
use crate::endpoint::Endpoint;
use crate::ingress::Serving;
use crate::wrong::Wrong;

/// What signs, of each kind.
struct Signing {
    pilot: Option<Vec<u8>>,
    keys: Vec<SigningKey>,
}

impl Signing {
    fn read(options: &Endpoint) -> Result<Self, String> {
        if options.secret_file.is_empty() {
            return Ok(Self { pilot: None, keys: Vec::new() });
        }
        // Said when all is well: what is wrong is said in one line.
        let mut warnings = Vec::new();
        let warn = |warning| warnings.push(warning);
        let secrets = Secrets::read(&options.sign, &options.secret_file, warn)?;
        let keys = secrets.keys(SigningKey::parse)?;
        if keys.len() > MAX_KEYS {
            return Err(format!("{} keys, and {MAX_KEYS} may sign", keys.len()));
        }
        warnings.iter().for_each(|warning| warn!("{warning}"));
        Ok(Self { pilot: secrets.pilot, keys })
    }
}

/// Signs as the options say. Reads files, which may be pipes.
///
/// # Errors
/// When a file or a key cannot be used.
pub(crate) fn sign(builder: ClientBuilder, options: &Endpoint) -> Result<ClientBuilder, Wrong> {
    let signing = Signing::read(options).map_err(|error| Wrong::new("secret_file", error))?;
    let Signing { pilot, keys } = signing;
    let builder = keys.into_iter().fold(builder, ClientBuilder::signing_key);
    Ok(pilot.iter().fold(builder, |builder, secret| builder.secret(secret)))
}

/// How events are signed, in a log line.
pub(crate) fn word(options: &Endpoint) -> &'static str {
    let is_standard = options.sign.contains(&Sign::StandardWebhooks);
    match (options.secret_file.is_empty(), is_standard, options.sign.contains(&Sign::Pilot)) {
        (true, ..) => "unsigned",
        (false, false, _) => "signed",
        (false, true, false) => "signed by Standard Webhooks",
        (false, true, true) => "signed twice, by Standard Webhooks too",
    }
}

/// What posts are verified with. Reads files, which may be pipes.
///
/// # Errors
/// When a file or a key cannot be used.
pub(crate) fn check_of_posts(options: &Run) -> Result<Check, String> {
    let mut warnings = Vec::new();
    let warn = |warning| warnings.push(warning);
    let check = Check::read(&options.listen_sign, &options.listen_secret_file, warn)?;
    warnings.iter().for_each(|warning| warn!("{warning}"));
    Ok(check)
}

/// Reads the secrets of an endpoint again. Where that fails, the old ones still count. `of` is what log lines call it.
pub(crate) async fn reload(endpoint: &HubEndpoint, args: &Arc<EndpointArgs>, of: &str) {
    let (files, again) = (args.delivery.endpoint.secret_file.clone(), Arc::clone(args));
    let has_files = !files.is_empty();
    let read = read_again(files, move || Signing::read(&again.delivery.endpoint));
    let signing = read.await.and_then(|signing| set(endpoint, &signing));
    report(has_files, &format!("the secret{of}"), signing);
}

/// Reads the secrets of posts again, if there are any. Where that fails, the old ones still count.
pub(crate) async fn reload_of_posts(serving: Option<&Serving>, options: &Arc<Run>) {
    let Some(serving) = serving else { return };
    let (files, again) = (options.listen_secret_file.clone(), Arc::clone(options));
    let has_files = !files.is_empty();
    let check = read_again(files, move || check_of_posts(&again)).await;
    report(has_files, "the secret of posts", check.map(|check| serving.set_check(check)));
}

fn set(endpoint: &HubEndpoint, signing: &Signing) -> Result<(), Failure> {
    endpoint.set_secret(signing.pilot.as_deref()).map_err(Failure::runtime)?;
    endpoint.set_signing_keys(&signing.keys).map_err(Failure::runtime)
}

/// What is in these files. A pipe has no second content.
pub(crate) async fn read_again<T: Send + 'static>(
    files: Vec<PathBuf>,
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Failure> {
    if files.is_empty() {
        return read().map_err(Failure::runtime);
    }
    let is_gone = |path: &&PathBuf| fs::metadata(path).is_ok_and(|found| !found.is_file());
    let read = aside(move || match files.iter().find(is_gone) {
        Some(path) => Err(Failure::runtime(format!("{}: not a regular file", path.display()))),
        None => read().map_err(Failure::runtime),
    });
    read.await.and_then(|read| read)
}

/// Says whether something was read again, if there was something to read.
pub(crate) fn report(has_files: bool, what: &str, set: Result<(), Failure>) {
    match set {
        Ok(()) if has_files => info!("{what} was read again"),
        Ok(()) => {}
        Err(failure) => warn!("{what} is still the old one: {}", failure.message),
    }
}
