//! How the events are signed.
//!
//! | argument | default | |
//! |---|---|---|
//! | `sign=KIND` | `pilot` | `pilot`, `standard-webhooks` (with that feature), or both with a comma between |
//! | `secret=TEXT` | none | pilot's secret |
//! | `key=KEY` | none | the keys of Standard Webhooks, with commas between |

use firmware::host::Args;
use pilot_webhook_embassy::{Options, Webhook};

/// Chooses the signer.
pub(crate) fn choose(options: &mut Options, args: &Args<'_>) -> Result<(), &'static str> {
    for kind in kinds(args) {
        match kind {
            "pilot" => {}
            "standard-webhooks" => standard::choose(options, args)?,
            _ => return Err("sign is pilot, standard-webhooks or both"),
        }
    }
    Ok(())
}

/// Gives pilot's signer its secret.
pub(crate) fn start(webhook: Webhook, args: &Args<'_>) -> Result<(), &'static str> {
    match args.get("secret") {
        Some(secret) if kinds(args).any(|kind| kind == "pilot") => {
            webhook.set_secret(secret.as_bytes()).map_err(|_| "bad secret")
        }
        _ => Ok(()),
    }
}

/// Waits until what is signed can have the right time in it.
#[cfg(feature = "standard-webhooks")]
pub(crate) async fn wait_for_time(webhook: Webhook, args: &Args<'_>) {
    if kinds(args).any(|kind| kind == "standard-webhooks") {
        webhook.time_known().await;
    }
}

/// Pilot's signature has no time in it.
#[cfg(not(feature = "standard-webhooks"))]
pub(crate) async fn wait_for_time(_: Webhook, _: &Args<'_>) {}

fn kinds<'a>(args: &Args<'a>) -> impl Iterator<Item = &'a str> {
    args.get("sign").unwrap_or("pilot").split(',')
}

#[cfg(not(feature = "standard-webhooks"))]
mod standard {
    use super::{Args, Options};

    pub(super) fn choose(_: &mut Options, _: &Args<'_>) -> Result<(), &'static str> {
        Err("built without the feature standard-webhooks")
    }
}

#[cfg(feature = "standard-webhooks")]
mod standard {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
    use firmware::println;
    use pilot_webhook_embassy::standard::{KeyError, Keys, SigningKey};

    use super::{Args, Options};

    static KEYS: Keys<CriticalSectionRawMutex> = Keys::new();

    pub(super) fn choose(options: &mut Options, args: &Args<'_>) -> Result<(), &'static str> {
        let keys = args.get("key").ok_or("key=KEY is missing")?;
        keys.split(',').try_for_each(add).map_err(|error| {
            println!("{error}");
            "bad key"
        })?;
        options.signer = &KEYS;
        Ok(())
    }

    fn add(key: &str) -> Result<(), KeyError> {
        KEYS.add(SigningKey::parse(key)?)
    }
}
