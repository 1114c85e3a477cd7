//! What stands in a JSON string, without its quotes and escapes.

use core::str::Chars;

use crate::ascii::number;

/// The characters of a JSON string, from between its quotes. The text is known to be JSON without lone
/// surrogates: what is not becomes U+FFFD.
#[derive(Clone)]
pub(crate) struct Unescaped<'a>(Chars<'a>);

impl<'a> Unescaped<'a> {
    /// `quoted` is the string with its quotes.
    pub(crate) fn new(quoted: &'a str) -> Self {
        let end = quoted.len().saturating_sub(1);
        Self(quoted.get(1..end).unwrap_or_default().chars())
    }

    /// The four digits of `\uXXXX`, from behind the `u`.
    fn unit(&mut self) -> Option<u32> {
        let (digits, rest) = self.0.as_str().split_at_checked(4)?;
        self.0 = rest.chars();
        number(digits.as_bytes(), 16)
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let mut code = self.unit()?;
                if (0xd800..0xdc00).contains(&code) && self.0.as_str().starts_with("\\u") {
                    self.0.nth(1);
                    let low = self.unit()?;
                    code = 0x1_0000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other,
        })
    }
}

impl Iterator for Unescaped<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.0.next()? {
            '\\' => self.escaped(),
            plain => Some(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[test]
    fn every_escape_is_its_character() {
        for (quoted, expected) in [
            (r#""""#, ""),
            (r#""a é \"\\\/""#, "a é \"\\/"),
            (r#""\b\f\n\r\t\u0000\u001F\u00e9""#, "\u{8}\u{c}\n\r\t\0\u{1f}é"),
            (r#""\ud83d\uDE00x""#, "\u{1f600}x"),
            // None of these comes from an emitter.
            (r#""\ud83dx""#, "\u{fffd}x"),
            (r#""\u12""#, ""),
            (r#""\""#, ""),
            ("", ""),
        ] {
            assert_eq!(Unescaped::new(quoted).collect::<String>(), expected, "{quoted}");
        }
    }
}
