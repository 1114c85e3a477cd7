//! A look at each record's header before embedded-tls sees it.
//!
//! embedded-tls 0.19 panics on some records and misreads others. This filter passes only what a
//! client may meet, and says by name what it stops:
//! - an encrypted record without content, on which embedded-tls panics;
//! - anything unencrypted once keys are there: embedded-tls would take it as if it were decrypted,
//!   and panics on some of it after the handshake;
//! - a `HelloRetryRequest`, a record larger than the buffer, and the code of an early alert.
//!
//! It also tells [`Suite`](super::suite::Suite) the phase, in the only place that reaches it: the
//! second version byte of an encrypted record, which has no meaning (RFC 8446, section 5.2) and which
//! embedded-tls hands on unread.

use super::{Limit, TlsFailure};

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No TLS.
    Plain,
    /// Before the server was authenticated. Holds the largest record that fits.
    Handshake(u16),
    /// After it.
    Data(u16),
}

pub(crate) const VERSION_HANDSHAKE: u8 = 3;
/// Never on the wire.
pub(crate) const VERSION_DATA: u8 = 4;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const HEADER: usize = 5;
/// 2^14 bytes, and 256 for padding and tag (RFC 8446, section 5.2).
const RECORD_MAX: u16 = 16_640;
/// One byte of content and the tag of AES-GCM.
const ENCRYPTED_MIN: u16 = 17;
/// A server may send one; twice that is more than enough.
const CHANGE_CIPHER_SPEC_MAX: u8 = 2;

const SERVER_HELLO: u8 = 2;
/// Where a `ServerHello` has its random: behind the message's header and the version.
const RANDOM: usize = 6;
/// What follows it: no session, as we sent none, and the one cipher suite that we offered.
/// embedded-tls checks neither.
const CHOICE: [u8; 3] = [0, 0x13, 0x01];
/// The random of a `HelloRetryRequest`, SHA-256 of those words (RFC 8446, section 4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Follows the records of one connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    header: [u8; HEADER],
    /// Bytes of the header that have passed.
    have: usize,
    /// Bytes of the content that have passed.
    at: usize,
    length: usize,
    hello_passed: bool,
    change_cipher_specs: u8,
    /// Bytes of the `ServerHello`'s random that are those of a `HelloRetryRequest`.
    retry: usize,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self {
            header: [0; HEADER],
            have: 0,
            at: 0,
            length: 0,
            hello_passed: false,
            change_cipher_specs: 0,
            retry: 0,
        }
    }

    /// Whether a record has begun and not ended.
    pub(crate) const fn is_in_record(&self) -> bool {
        self.have > 0
    }

    /// Checks `bytes`, which the server sent, and marks them for [`Suite`](super::suite::Suite).
    pub(crate) fn scan(&mut self, mut bytes: &mut [u8], phase: Phase) -> Result<(), TlsFailure> {
        while !bytes.is_empty() {
            if self.have < HEADER {
                let (byte, rest) = bytes.split_at_mut(1);
                self.header[self.have] = byte[0];
                let marks = self.have == 2 && self.header[0] == APPLICATION_DATA;
                if marks && self.header[1..3] == [3, VERSION_HANDSHAKE] && is_data(phase) {
                    byte[0] = VERSION_DATA;
                }
                self.have += 1;
                if self.have == HEADER {
                    self.begin(phase)?;
                }
                bytes = rest;
            } else {
                let (content, rest) = bytes.split_at_mut(bytes.len().min(self.length - self.at));
                self.content(content)?;
                bytes = rest;
            }
            if self.have == HEADER && self.at == self.length {
                self.have = 0;
            }
        }
        Ok(())
    }

    /// A header is complete.
    fn begin(&mut self, phase: Phase) -> Result<(), TlsFailure> {
        let length = u16::from_be_bytes([self.header[3], self.header[4]]);
        self.at = 0;
        self.length = length.into();
        let (Phase::Handshake(room) | Phase::Data(room)) = phase else { return Ok(()) };
        if length > RECORD_MAX {
            return Err(TlsFailure::Malformed);
        }
        if length > room {
            return Err(TlsFailure::Unsupported(Limit::RecordTooLarge(length)));
        }
        let encrypted = self.header[0] == APPLICATION_DATA;
        let fine = if encrypted {
            let version = self.header[1..3] == [3, VERSION_HANDSHAKE];
            length >= ENCRYPTED_MIN && version && self.hello_passed
        } else if is_data(phase) {
            false
        } else {
            match self.header[0] {
                HANDSHAKE => length > 0 && !self.hello_passed,
                ALERT => length == 2 && !self.hello_passed,
                CHANGE_CIPHER_SPEC => {
                    self.change_cipher_specs += 1;
                    let few = self.change_cipher_specs <= CHANGE_CIPHER_SPEC_MAX;
                    length == 1 && few && self.hello_passed
                }
                _ => false,
            }
        };
        self.hello_passed |= self.header[0] == HANDSHAKE;
        if fine { Ok(()) } else { Err(TlsFailure::Malformed) }
    }

    fn content(&mut self, content: &[u8]) -> Result<(), TlsFailure> {
        match self.header[0] {
            ALERT => {
                if let Some(code) = 1_usize.checked_sub(self.at).and_then(|at| content.get(at)) {
                    return Err(TlsFailure::Alert(*code));
                }
            }
            HANDSHAKE => {
                for (at, byte) in (self.at..).zip(content) {
                    self.hello(at, *byte)?;
                }
            }
            _ => {}
        }
        self.at += content.len();
        Ok(())
    }

    /// One byte of the `ServerHello`.
    fn hello(&mut self, at: usize, byte: u8) -> Result<(), TlsFailure> {
        if at == 0 && byte != SERVER_HELLO {
            return Err(TlsFailure::Malformed);
        }
        let Some(at) = at.checked_sub(RANDOM) else { return Ok(()) };
        if let Some(expected) = HELLO_RETRY_REQUEST.get(at) {
            self.retry += usize::from(*expected == byte);
            if self.retry == HELLO_RETRY_REQUEST.len() {
                return Err(TlsFailure::Unsupported(Limit::HelloRetryRequest));
            }
        } else if CHOICE.get(at - HELLO_RETRY_REQUEST.len()).is_some_and(|chosen| *chosen != byte) {
            return Err(TlsFailure::Unsupported(Limit::Parameters));
        }
        Ok(())
    }
}

const fn is_data(phase: Phase) -> bool {
    matches!(phase, Phase::Data(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u16 = 1_000;

    fn scan(pieces: &[&[u8]], phase: Phase) -> Result<(), TlsFailure> {
        let mut scanner = Scanner::new();
        scanner.hello_passed = is_data(phase);
        for piece in pieces {
            let mut bytes = [0; 128];
            bytes[..piece.len()].copy_from_slice(piece);
            scanner.scan(&mut bytes[..piece.len()], phase)?;
        }
        Ok(())
    }

    #[test]
    fn an_early_alert_tells_its_code_in_one_piece_or_byte_by_byte() {
        let alert = [21, 3, 3, 0, 2, 2, 40];
        let expected = Err(TlsFailure::Alert(40));
        assert_eq!(scan(&[&alert], Phase::Handshake(ROOM)), expected);
        let bytes: [&[u8]; 7] = core::array::from_fn(|i| &alert[i..=i]);
        assert_eq!(scan(&bytes, Phase::Handshake(ROOM)), expected);
    }

    #[test]
    fn unencrypted_records_after_the_handshake_are_refused() {
        for kind in [20, 21, 22, 24, 0, 255] {
            let record = [kind, 3, 3, 0, 1, 1];
            assert_eq!(scan(&[&record], Phase::Data(ROOM)), Err(TlsFailure::Malformed), "{kind}");
        }
    }

    #[test]
    fn encrypted_records_are_marked_only_after_the_handshake() {
        for (phase, mark) in [(Phase::Handshake(ROOM), 3), (Phase::Data(ROOM), 4)] {
            let mut scanner = Scanner::new();
            scanner.hello_passed = true;
            let mut header = [23, 3, 3, 0, 17];
            assert_eq!(scanner.scan(&mut header, phase), Ok(()));
            assert_eq!(header, [23, 3, mark, 0, 17]);
        }
    }

    #[test]
    fn an_encrypted_record_has_content_and_fits() {
        let empty = [23, 3, 3, 0, 16];
        assert_eq!(scan(&[&empty], Phase::Data(ROOM)), Err(TlsFailure::Malformed));
        let large = [23, 3, 3, 0x3f, 0xff];
        let limit = TlsFailure::Unsupported(Limit::RecordTooLarge(0x3fff));
        assert_eq!(scan(&[&large], Phase::Data(ROOM)), Err(limit));
        let absurd = [23, 3, 3, 0xff, 0xff];
        assert_eq!(scan(&[&absurd], Phase::Data(ROOM)), Err(TlsFailure::Malformed));
        let mark_on_the_wire = [23, 3, 4, 0, 17];
        assert_eq!(scan(&[&mark_on_the_wire], Phase::Data(ROOM)), Err(TlsFailure::Malformed));
    }
}
