//! Checks each record by its header, and the `ServerHello` as a whole.
//!
//! embedded-tls 0.19 panics on some records and misreads others. The scanner passes only what a
//! client may meet, and says by name what it stops:
//! - an encrypted record without content, on which embedded-tls panics;
//! - anything unencrypted once keys are there: embedded-tls would take it as if it were decrypted,
//!   and panics on some of it after the handshake;
//! - a hello that chooses what was not offered, a record larger than the buffer, and the code of an early
//!   alert.
//!
//! It also marks each encrypted record that comes after the handshake, for
//! [`Suite`](super::suite::Suite): by the second version byte, which has no meaning (RFC 8446, section
//! 5.2) and which embedded-tls hands on to the cipher unread. Nothing else reaches a cipher.

use heapless::Vec;

use super::failure::{Limit, TlsFailure};
use super::hello::{self, HELLO_LENGTH};

/// What the server may send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its hello.
    Hello,
    /// The rest of its handshake, encrypted.
    Flight,
    /// Data and what goes with it, encrypted.
    Data,
}

pub(super) const VERSION_HANDSHAKE: u8 = 3;
/// The mark of a record after the handshake. Never on the wire.
pub(super) const VERSION_DATA: u8 = 4;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

const HEADER: usize = 5;
/// 2^14 bytes, and 256 for padding and tag (RFC 8446, section 5.2).
const RECORD_MAX: u16 = 16_640;
/// One byte of content and the tag of AES-GCM.
const ENCRYPTED_MIN: u16 = 17;
/// A server may send one; twice that is more than enough.
const CHANGE_CIPHER_SPEC_MAX: u8 = 2;

/// Follows the records of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    stage: Stage,
    /// The longest record that fits into the receive buffer.
    room: u16,
    header: [u8; HEADER],
    /// Bytes of the header that have passed.
    have: usize,
    /// Bytes of the content that have passed.
    at: usize,
    length: usize,
    change_cipher_specs: u8,
    /// What has passed of the `ServerHello`, and one byte more if it is too long.
    hello: Vec<u8, { HELLO_LENGTH + 1 }>,
}

impl Scanner {
    pub(super) fn new(room: usize) -> Self {
        Self {
            stage: Stage::Hello,
            room: u16::try_from(room).unwrap_or(u16::MAX),
            header: [0; HEADER],
            have: 0,
            at: 0,
            length: 0,
            change_cipher_specs: 0,
            hello: Vec::new(),
        }
    }

    /// Whether a record has begun and not ended.
    pub(super) const fn is_in_record(&self) -> bool {
        self.have > 0
    }

    /// To be called before each write. embedded-tls writes nothing between its hello and the end of
    /// the server's flight: what it writes after the server's hello ends the handshake.
    pub(super) fn client_writes(&mut self) {
        if self.stage == Stage::Flight {
            self.stage = Stage::Data;
        }
    }

    /// Checks `bytes`, which the server sent, and marks them.
    pub(super) fn scan(&mut self, mut bytes: &mut [u8]) -> Result<(), TlsFailure> {
        while !bytes.is_empty() {
            if self.have < HEADER {
                let (byte, rest) = bytes.split_at_mut(1);
                self.header[self.have] = byte[0];
                let marks = self.have == 2 && self.header[0] == APPLICATION_DATA;
                let data = self.stage == Stage::Data;
                if marks && data && self.header[1..3] == [3, VERSION_HANDSHAKE] {
                    byte[0] = VERSION_DATA;
                }
                self.have += 1;
                if self.have == HEADER {
                    self.begin()?;
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
    fn begin(&mut self) -> Result<(), TlsFailure> {
        let length = u16::from_be_bytes([self.header[3], self.header[4]]);
        self.at = 0;
        self.length = length.into();
        if length > RECORD_MAX {
            return Err(TlsFailure::Malformed);
        }
        if length > self.room {
            return Err(Limit::RecordTooLarge(length).into());
        }
        let fine = match (self.stage, self.header[0]) {
            (Stage::Hello, HANDSHAKE) => {
                self.stage = Stage::Flight;
                length > 0
            }
            (Stage::Hello, ALERT) => length == 2,
            (Stage::Flight, CHANGE_CIPHER_SPEC) => {
                self.change_cipher_specs += 1;
                length == 1 && self.change_cipher_specs <= CHANGE_CIPHER_SPEC_MAX
            }
            (Stage::Flight | Stage::Data, APPLICATION_DATA) => {
                length >= ENCRYPTED_MIN && self.header[1..3] == [3, VERSION_HANDSHAKE]
            }
            _ => false,
        };
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
                for byte in content {
                    // A full vector is too long, whatever follows.
                    let _ = self.hello.push(*byte);
                }
                if self.at + content.len() == self.length {
                    hello::check(&self.hello)?;
                }
            }
            _ => {}
        }
        self.at += content.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 1_000;

    fn scanner(stage: Stage) -> Scanner {
        Scanner { stage, ..Scanner::new(ROOM) }
    }

    fn scan(pieces: &[&[u8]], stage: Stage) -> Result<(), TlsFailure> {
        let mut scanner = scanner(stage);
        for piece in pieces {
            let mut bytes = [0; 128];
            bytes[..piece.len()].copy_from_slice(piece);
            scanner.scan(&mut bytes[..piece.len()])?;
        }
        Ok(())
    }

    #[test]
    fn an_early_alert_tells_its_code_in_one_piece_or_byte_by_byte() {
        let alert = [21, 3, 3, 0, 2, 2, 40];
        let expected = Err(TlsFailure::Alert(40));
        assert_eq!(scan(&[&alert], Stage::Hello), expected);
        let bytes: [&[u8]; 7] = core::array::from_fn(|i| &alert[i..=i]);
        assert_eq!(scan(&bytes, Stage::Hello), expected);
    }

    #[test]
    fn unencrypted_records_after_the_handshake_are_refused() {
        for kind in [20, 21, 22, 24, 0, 255] {
            let record = [kind, 3, 3, 0, 1, 1];
            assert_eq!(scan(&[&record], Stage::Data), Err(TlsFailure::Malformed), "{kind}");
        }
    }

    #[test]
    fn encrypted_records_are_marked_only_after_the_handshake() {
        for (stage, mark) in [(Stage::Flight, 3), (Stage::Data, 4)] {
            let mut header = [23, 3, 3, 0, 17];
            assert_eq!(scanner(stage).scan(&mut header), Ok(()));
            assert_eq!(header, [23, 3, mark, 0, 17]);
        }
    }

    #[test]
    fn the_first_write_after_the_servers_hello_ends_the_handshake() {
        let mut scanner = Scanner::new(ROOM);
        // The client's own hello, and then the server's.
        scanner.client_writes();
        assert_eq!(scanner.stage, Stage::Hello);
        assert_eq!(scanner.scan(&mut [22, 3, 3, 0, 123]), Ok(()));
        assert_eq!(scanner.stage, Stage::Flight);
        scanner.client_writes();
        assert_eq!(scanner.stage, Stage::Data);
    }

    #[test]
    fn an_encrypted_record_has_content_and_fits() {
        let empty = [23, 3, 3, 0, 16];
        assert_eq!(scan(&[&empty], Stage::Data), Err(TlsFailure::Malformed));
        let large = [23, 3, 3, 0x3f, 0xff];
        let limit = TlsFailure::Unsupported(Limit::RecordTooLarge(0x3fff));
        assert_eq!(scan(&[&large], Stage::Data), Err(limit));
        let absurd = [23, 3, 3, 0xff, 0xff];
        assert_eq!(scan(&[&absurd], Stage::Data), Err(TlsFailure::Malformed));
        let mark_on_the_wire = [23, 3, 4, 0, 17];
        assert_eq!(scan(&[&mark_on_the_wire], Stage::Data), Err(TlsFailure::Malformed));
    }
}
