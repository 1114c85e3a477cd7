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
    /// The session's id, which a server repeats.
    pub(super) session: &'a [u8],
    /// The group of the first key share, as its number in TLS.
    pub(super) group: [u8; 2],
    pub(super) key_share: &'a [u8],
    /// Whether it offers to resume a session.
    pub(super) resumes: bool,
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
        let (session, _suites, _compression) = (skip(1), skip(2), skip(1));
        let mut extensions = skip(2);
        let (mut share, mut resumes) = (None, false);
        while let [a, b, c, d, tail @ ..] = extensions {
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            if [*a, *b] == [0, 51] {
                // The list's length, the group, the key's length, and the only key there is.
                share = Some(([tail[2], tail[3]], &tail[6..length]));
            }
            resumes |= [*a, *b] == [0, 41];
            extensions = &tail[length..];
        }
        let (group, key_share) = share.expect("a key share");
        Self { random, session, group, key_share, resumes }
    }
}

pub(super) fn server_hello(hello: &Hello, client: &ClientHello<'_>, public: &[u8]) -> Vec<u8> {
    let group = client.group;
    let version = [0, 43, 0, 2, 3, 4].to_vec();
    let share = |group: [u8; 2], key: &[u8]| {
        [vec![0, 51], vector(2, &[group.to_vec(), vector(2, key)].concat())].concat()
    };
    let mut random = [0x5a; 32].to_vec();
    let mut suite = 0x1301_u16;
    let (mut legacy, mut compression) = (0x0303_u16, 0);
    let mut extensions = [version.clone(), share(group, public)].concat();
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
        Hello::ShareFirst => extensions = [share(group, public), version].concat(),
        Hello::NoKeyShare => extensions = version,
        Hello::BadKeyShare => extensions = [version, share(group, &[4; 65])].concat(),
    }
    let suite = suite.to_be_bytes().to_vec();
    let legacy = legacy.to_be_bytes().to_vec();
    let session = vector(1, client.session);
    let parts = [legacy, random, session, suite, vec![compression], vector(2, &extensions)];
    handshake(2, &parts.concat())
}

/// Whether one of these whole handshake messages is of this kind.
pub(super) fn holds(mut messages: &[u8], kind: u8) -> bool {
    while let [first, a, b, c, rest @ ..] = messages {
        if *first == kind {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        messages = rest.get(usize::try_from(length).unwrap()..).unwrap_or_default();
    }
    false
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
