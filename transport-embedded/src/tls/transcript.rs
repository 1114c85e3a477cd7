//! The hash over a handshake, though embedded-tls does not read all of it.
//!
//! A server may name groups and signature schemes that a client does not know, and the client ignores them (RFC
//! 8446, sections 4.2.7 and 4.3.2). embedded-tls 0.19 fails on them. It passes over extensions
//! of a type that it does not know, so the cipher [hides](hide) these two lists behind such a type, and the hash,
//! which authenticates what the server sent, has the type that was sent.

use aes_gcm::aead::consts::{U32, U64};
use sha2::Sha256;
use sha2::digest::core_api::BlockSizeUser;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Reset, Update};

const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE_REQUEST: u8 = 13;
const SUPPORTED_GROUPS: u8 = 10;
const SIGNATURE_ALGORITHMS: u8 = 13;

/// The first byte of a hidden type, whose first byte is zero. No such type is assigned: the hash of a
/// server that sends one is another than the server's, and the handshake fails.
const HIDDEN: u8 = 0xf8;

/// Where a handshake message has the type of the list that embedded-tls shall not read.
#[inline(never)]
fn list(message: &[u8]) -> Option<usize> {
    let [kind, _, _, _, body @ ..] = message else { return None };
    let (wanted, body) = match *kind {
        ENCRYPTED_EXTENSIONS => (SUPPORTED_GROUPS, body),
        // Behind the request's context.
        CERTIFICATE_REQUEST => (SIGNATURE_ALGORITHMS, skip::<1>(body)?),
        _ => return None,
    };
    // The length of them all.
    let mut extensions = body.get(2..)?;
    loop {
        match extensions {
            [0 | HIDDEN, kind, ..] if *kind == wanted => {
                return Some(message.len() - extensions.len());
            }
            _ => extensions = skip::<2>(extensions.get(2..)?)?,
        }
    }
}

/// What is behind a length of so many bytes and what it counts.
fn skip<const WIDTH: usize>(input: &[u8]) -> Option<&[u8]> {
    let (length, rest) = input.split_first_chunk::<WIDTH>()?;
    rest.get(length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))..)
}

/// Hides what embedded-tls shall not read of a handshake message.
pub(super) fn hide(message: &mut [u8]) {
    if let Some(at) = list(message) {
        message[at] |= HIDDEN;
    }
}

/// SHA-256 over messages as they were before [`hide`]. Each is hashed in one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript(Sha256);

impl Update for Transcript {
    fn update(&mut self, data: &[u8]) {
        let hidden = list(data).filter(|at| data[*at] == HIDDEN && is_message(data));
        let (before, from) = data.split_at(hidden.unwrap_or(data.len()));
        let (sent, behind): (&[u8], _) = match from {
            [HIDDEN, behind @ ..] => (&[0], behind),
            _ => (&[], from),
        };
        for piece in [before, sent, behind] {
            Update::update(&mut self.0, piece);
        }
    }
}

/// A key that is hashed could look like a message, but for its length.
fn is_message(data: &[u8]) -> bool {
    data.get(1..).and_then(skip::<3>).is_some_and(<[u8]>::is_empty)
}

impl OutputSizeUser for Transcript {
    type OutputSize = U32;
}

impl BlockSizeUser for Transcript {
    type BlockSize = U64;
}

impl FixedOutput for Transcript {
    fn finalize_into(self, out: &mut Output<Self>) {
        self.0.finalize_into(out);
    }
}

impl Reset for Transcript {
    fn reset(&mut self) {
        Reset::reset(&mut self.0);
    }
}

impl HashMarker for Transcript {}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    const GROUPS: [u8; 8] = [0, 10, 0, 4, 0, 2, 0xfe, 0xfe];
    const NAME: [u8; 4] = [0, 0, 0, 0];

    fn message(kind: u8, context: &[u8], extensions: &[&[u8]]) -> std::vec::Vec<u8> {
        let extensions = extensions.concat();
        let length = u8::try_from(extensions.len()).unwrap();
        let body = [context, &[0, length], &extensions].concat();
        [&[kind, 0, 0, u8::try_from(body.len()).unwrap()], &body[..]].concat()
    }

    #[test]
    fn what_is_hidden_is_hashed_as_it_was() {
        let schemes = [0, 13, 0, 4, 0, 2, 0xfe, 0xfe];
        for (sent, at) in [
            (message(8, &[], &[&GROUPS]), Some(6)),
            (message(8, &[], &[&NAME, &GROUPS, &NAME]), Some(10)),
            (message(13, &[0], &[&schemes]), Some(7)),
            (message(13, &[2, 0, 13], &[&GROUPS, &schemes]), Some(17)),
            // The lists of others, and messages that end early.
            (message(8, &[], &[&schemes, &NAME]), None),
            (message(13, &[0], &[&GROUPS]), None),
            (message(11, &[], &[&GROUPS]), None),
            (message(8, &[], &[]), None),
            (message(8, &[], &[&NAME])[..7].to_vec(), None),
            (std::vec![8, 0, 0], None),
            (std::vec![13, 0, 0, 1, 9], None),
        ] {
            let mut read = sent.clone();
            hide(&mut read);
            let mut expected = sent.clone();
            if let Some(at) = at {
                expected[at] = HIDDEN;
            }
            assert_eq!(read, expected);
            assert_eq!(Transcript::digest(&read)[..], Sha256::digest(&sent)[..]);
        }
    }

    #[test]
    fn what_is_no_message_is_hashed_as_it_is() {
        let mut key = message(8, &[], &[&[HIDDEN, 10, 0, 0]]);
        key.push(0);
        assert_eq!(Transcript::digest(&key)[..], Sha256::digest(&key)[..]);
    }
}
