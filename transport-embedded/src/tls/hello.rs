//! Checks that a `ServerHello` chooses what was offered: embedded-tls 0.19 looks at little of it.

use super::failure::{Limit, TlsFailure};

const SERVER_HELLO: u8 = 2;
/// The length of the one hello that is accepted, but for the order of its two extensions.
pub(super) const HELLO_LENGTH: usize =
    4 + 2 + RANDOM_LENGTH + BEHIND_RANDOM.len() + EXTENSIONS_LENGTH as usize;

/// What every version since 1.2 has at the beginning (RFC 8446, section 4.1.3).
const LEGACY_VERSION: [u8; 2] = [3, 3];
const RANDOM_LENGTH: usize = 32;
/// No session, as none was sent; `TLS_AES_128_GCM_SHA256`; no compression; and the extensions' length.
const BEHIND_RANDOM: [u8; 6] = [0, 0x13, 0x01, 0, 0, EXTENSIONS_LENGTH];
const EXTENSIONS_LENGTH: u8 = 79;
/// TLS 1.3.
const SUPPORTED_VERSIONS: [u8; 6] = [0, 43, 0, 2, 3, 4];
/// For P-256, an uncompressed point.
const KEY_SHARE: [u8; 8] = [0, 51, 0, 69, 0, 23, 0, 65];

/// The random of a `HelloRetryRequest`, SHA-256 of those words (RFC 8446, section 4.1.3).
const HELLO_RETRY_REQUEST: [u8; RANDOM_LENGTH] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Checks the first record, or as much of it as a hello has.
pub(super) fn check(record: &[u8]) -> Result<(), TlsFailure> {
    let [SERVER_HELLO, _, _, _, hello @ ..] = record else { return Err(TlsFailure::Malformed) };
    let (random, chosen) = hello
        .strip_prefix(&LEGACY_VERSION)
        .and_then(|hello| hello.split_at_checked(RANDOM_LENGTH))
        .ok_or(Limit::Parameters)?;
    if random == HELLO_RETRY_REQUEST {
        return Err(Limit::HelloRetryRequest.into());
    }
    let share = chosen.strip_prefix(&BEHIND_RANDOM).and_then(|extensions| {
        let before = extensions.strip_prefix(&SUPPORTED_VERSIONS);
        before.or_else(|| extensions.strip_suffix(&SUPPORTED_VERSIONS))
    });
    match share {
        Some(share) if share.starts_with(&KEY_SHARE) && record.len() == HELLO_LENGTH => Ok(()),
        _ => Err(Limit::Parameters.into()),
    }
}
