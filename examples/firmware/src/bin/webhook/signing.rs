//! Signatures of Standard Webhooks, with that feature.
//!
//! | argument | default | |
//! |---|---|---|
//! | `sign=pilot\|standard-webhooks` | `pilot` | with the second, the keys sign in addition to the secret |
//! | `key=KEY` | none | up to three keys, with commas between |

use firmware::host::Args;

#[cfg(not(feature = "standard-webhooks"))]
pub(crate) use none::{choose, wait};
#[cfg(feature = "standard-webhooks")]
pub(crate) use standard::{choose, wait};

#[cfg(not(feature = "standard-webhooks"))]
mod none {
    use pilot_webhook_embassy::{Options, Runner};

    use super::Args;

    pub(crate) fn choose(_: &mut Options, args: &Args<'_>) -> Result<(), &'static str> {
        match args.get("sign") {
            None => Ok(()),
            Some(_) => Err("built without the feature standard-webhooks"),
        }
    }

    pub(crate) async fn wait<T>(_: &Runner<T>, _: &Args<'_>) {}
}

#[cfg(feature = "standard-webhooks")]
mod standard {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
    use pilot_webhook_embassy::standard::{Keys, SigningKey};
    use pilot_webhook_embassy::{Options, Runner};

    use super::Args;

    static KEYS: Keys<CriticalSectionRawMutex> = Keys::new();

    /// Whether the keys sign.
    fn asks(args: &Args<'_>) -> Result<bool, &'static str> {
        match args.get("sign") {
            None | Some("pilot") => Ok(false),
            Some("standard-webhooks") => Ok(true),
            Some(_) => Err("sign is pilot or standard-webhooks"),
        }
    }

    /// The signer, with its keys.
    pub(crate) fn choose(options: &mut Options, args: &Args<'_>) -> Result<(), &'static str> {
        if asks(args)? {
            let keys = args.get("key").ok_or("key=KEY is missing")?;
            for key in keys.split(',') {
                let added = SigningKey::parse(key).and_then(|key| KEYS.add(key));
                added.map_err(|_| "bad key")?;
            }
            options.signer = &KEYS;
        }
        Ok(())
    }

    /// Waits for the time, if it is in what is signed.
    pub(crate) async fn wait<T>(runner: &Runner<T>, args: &Args<'_>) {
        if args.get("key").is_some() {
            runner.time_known().await;
        }
    }
}
