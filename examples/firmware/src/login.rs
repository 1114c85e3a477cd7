//! How the node logs in to a NATS server, from the arguments.
//!
//! | argument | default | |
//! |---|---|---|
//! | `token=TEXT` | none | the token of all clients |
//! | `nkey=SEED` | none | with the feature `nkeys`: the user's key |
//! | `creds=PATH` | none | with the feature `nkeys`: a user's JWT and key, a file of the host |

use pilot_webhook_embassy::NatsLogin;

use crate::host::Args;

/// The login that the arguments ask for.
///
/// # Errors
/// When it is none. It may be asked for once.
pub fn login(args: Args<'static>) -> Result<NatsLogin<'static>, &'static str> {
    #[cfg(feature = "nkeys")]
    if let Some(login) = by_key(args) {
        return login;
    }
    Ok(args.get("token").map_or(NatsLogin::None, NatsLogin::Token))
}

#[cfg(feature = "nkeys")]
fn by_key(args: Args<'static>) -> Option<Result<NatsLogin<'static>, &'static str>> {
    use pilot_webhook_embassy::{NatsCredentials, NatsSeed};
    use static_cell::{ConstStaticCell, StaticCell};

    /// The longest file. Arbitrary: one with a few permissions is half as long.
    const FILE: usize = 2048;
    static TEXT: ConstStaticCell<[u8; FILE]> = ConstStaticCell::new([0; FILE]);
    static SEED: StaticCell<NatsSeed> = StaticCell::new();
    static CREDENTIALS: StaticCell<NatsCredentials<'static>> = StaticCell::new();

    if let Some(seed) = args.get("nkey") {
        let seed = NatsSeed::parse(seed).map_err(|_| "bad nkey");
        return Some(seed.map(|seed| NatsLogin::NKey(SEED.init(seed))));
    }
    let path = args.get("creds")?;
    let buffer = TEXT.take();
    let text = match crate::host::read_file(path, buffer) {
        Ok(length) if length < FILE => core::str::from_utf8(&buffer[..length]).ok(),
        _ => None,
    };
    let credentials = text.and_then(|text| NatsCredentials::parse(text).ok());
    let credentials = credentials.ok_or("the credentials cannot be read, or are too long");
    Some(credentials.map(|credentials| NatsLogin::Jwt(CREDENTIALS.init(credentials))))
}
