//! The text that a server wants to be signed: the member `nonce` of its first INFO.

use heapless::Vec;

/// The longest nonce. nats-server's have 15 letters.
const LONGEST: usize = 64;
const NAME: &[u8] = b"nonce";

/// Looks for the nonce in a line of any length, a byte at a time. Of the line it keeps no more than the nonce.
#[derive(Clone, Debug)]
pub(super) struct Nonce {
    at: At,
    /// Objects and arrays that are open.
    depth: u32,
    /// The nonce, or its beginning.
    kept: Vec<u8, LONGEST>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Between texts.
    Between,
    /// In a text. Of the name so many letters are there, unless it is another text.
    Text { matched: Option<usize>, is_escaped: bool },
    /// Behind the name, and behind the colon.
    Named { has_colon: bool },
    /// In the nonce.
    Value,
    /// Behind the line, or at a nonce that is none.
    End,
}

impl Nonce {
    pub(super) const fn new() -> Self {
        Self { at: At::Between, depth: 0, kept: Vec::new() }
    }

    /// The nonce, once the line has ended; empty when there is none that is text of up to 64 letters.
    pub(super) fn get(&self) -> &[u8] {
        if self.at == At::End { &self.kept } else { &[] }
    }

    /// Takes the next byte of the line.
    pub(super) fn hear(&mut self, byte: u8) {
        self.at = match self.at {
            At::End => At::End,
            _ if byte == b'\n' => {
                if self.at == At::Value {
                    self.kept.clear();
                }
                At::End
            }
            At::Text { matched, is_escaped: false } if byte == b'"' => {
                let is_name = self.depth == 1 && matched == Some(NAME.len());
                if is_name { At::Named { has_colon: false } } else { At::Between }
            }
            At::Text { matched, is_escaped } => {
                let matched = matched.filter(|matched| NAME.get(*matched) == Some(&byte));
                let is_escaped = byte == b'\\' && !is_escaped;
                At::Text { matched: matched.map(|matched| matched + 1), is_escaped }
            }
            At::Named { has_colon } if byte.is_ascii_whitespace() => At::Named { has_colon },
            At::Named { has_colon: false } if byte == b':' => At::Named { has_colon: true },
            At::Named { has_colon: true } if byte == b'"' => {
                self.kept.clear();
                At::Value
            }
            At::Value if byte == b'"' => At::Between,
            // What is signed is the text, not its spelling: a nonce that is escaped is none.
            At::Value if byte != b'\\' && self.kept.push(byte).is_ok() => At::Value,
            At::Value => {
                self.kept.clear();
                At::End
            }
            At::Between | At::Named { .. } => {
                match byte {
                    b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                if byte == b'"' {
                    At::Text { matched: Some(0), is_escaped: false }
                } else {
                    At::Between
                }
            }
        };
    }
}
