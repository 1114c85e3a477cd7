//! The messages of a handshake, as bytes.

use sha2::{Digest, Sha256};

use super::Hello;

/// Whether the body is complete, by its `Content-Length`.
pub(super) fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.and_then(|length| length.parse().ok()).is_none_or(|length: usize| body.len() >= length)
}

pub(super) struct ClientHello<'a> {
    pub(super) random: &'a [u8],
    pub(super) key_share: &'a [u8],
}

impl<'a> ClientHello<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Self {
        let random = &message[6..38];
        let mut rest = &message[38..];
        let mut skip = |width: usize| {
            let length = rest[..width].iter().fold(0, |n, b| n << 8 | usize::from(*b));
            let field = &rest[width..width + length];
            rest = &rest[width + length..];
            field
        };
        let (_session, _suites, _compression) = (skip(1), skip(2), skip(1));
        let mut extensions = skip(2);
        while let [a, b, c, d, tail @ ..] = extensions {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            if [*a, *b] == [0, 51] {
                // The list's length, the group, the key's length, and the only key there is.
                return Self { random, key_share: &tail[6..length] };
            }
            extensions = &tail[length..];
        }
        panic!("no key share");
    }
}

pub(super) fn server_hello(hello: &Hello, public: &[u8]) -> Vec<u8> {
    let version = [0, 43, 0, 2, 3, 4].to_vec();
    let share = |group: [u8; 2], key: &[u8]| {
        [vec![0, 51], vector(2, &[group.to_vec(), vector(2, key)].concat())].concat()
    };
    let mut random = [0x5a; 32].to_vec();
    let mut suite = 0x1301_u16;
    let (mut legacy, mut compression) = (0x0303_u16, 0);
    let mut extensions = [version.clone(), share([0, 23], public)].concat();
    match hello {
        Hello::Good | Hello::Wire(_) => {}
        Hello::RetryRequest => {
            random = Sha256::digest(b"HelloRetryRequest").to_vec();
            extensions = [version, vec![0, 51, 0, 2, 0, 29]].concat();
        }
        Hello::CipherSuite(other) => suite = *other,
        Hello::Version(other) => extensions[4..6].copy_from_slice(&other.to_be_bytes()),
        Hello::LegacyVersion(other) => legacy = *other,
        Hello::Group(other) => {
            extensions = [version, share(other.to_be_bytes(), public)].concat();
        }
        Hello::Compression(method) => compression = *method,
        Hello::Extension(more) => extensions.extend_from_slice(more),
        Hello::ShareFirst => extensions = [share([0, 23], public), version].concat(),
        Hello::NoKeyShare => extensions = version,
        Hello::BadKeyShare => extensions = [version, share([0, 23], &[4; 65])].concat(),
    }
    let suite = suite.to_be_bytes().to_vec();
    let legacy = legacy.to_be_bytes().to_vec();
    let parts = [legacy, random, vec![0], suite, vec![compression], vector(2, &extensions)];
    handshake(2, &parts.concat())
}

/// A length in `width` bytes, and the bytes.
pub(super) fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

/// A handshake message.
pub fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [vec![kind], vector(3, body)].concat()
}

/// A record without encryption.
pub fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [vec![kind, 3, 3], vector(2, content)].concat()
}
