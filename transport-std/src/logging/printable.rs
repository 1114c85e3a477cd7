//! Makes text of foreign origin fit for a log.

use std::fmt::{self, Display, Write};

/// Shows a text in one line of bounded length, in which nothing acts on a terminal: control characters, line
/// separators and marks of the writing direction are escaped, and what is too long is cut.
///
/// What a server says stands in errors as it is, such as the names in its certificate. The client's own log lines
/// show it in this way; a host that logs what its hook for notices is told does well to do the same.
///
/// ```
/// use pilot_webhook_std::Printable;
/// let said = "CN=\u{1b}[2Jroot\n and so on, and so on";
/// assert_eq!(Printable::new(said, 23).to_string(), r"CN=\u{1b}[2Jroot\u{a} a [cut]");
/// ```
pub struct Printable<T> {
    text: T,
    limit: usize,
}

impl<T: Display> Printable<T> {
    /// At most `limit` bytes of the text, escapes included.
    pub const fn new(text: T, limit: usize) -> Self {
        Self { text, limit }
    }
}

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Filter { out: f, room: self.limit };
        let written = write!(out, "{}", self.text);
        // An error of the filter's own: there is no more room.
        if written.is_err() && out.room == 0 { f.write_str(" [cut]") } else { written }
    }
}

struct Filter<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    room: usize,
}

impl Write for Filter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        let length = if acts(c) { c.escape_unicode().len() } else { c.len_utf8() };
        let Some(room) = self.room.checked_sub(length) else {
            self.room = 0;
            return Err(fmt::Error);
        };
        self.room = room;
        if acts(c) { write!(self.out, "{}", c.escape_unicode()) } else { self.out.write_char(c) }
    }
}

/// Whether it does something to a line rather than stand in it.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        let text = r"event 1: no connection to [::1]:80: \u{1b} größer 日本";
        assert_eq!(Printable::new(text, text.len()).to_string(), text);
        assert_eq!(Printable::new(text, text.len() - 1).to_string().len(), text.len() - 3 + 6);
        assert_eq!(Printable::new("", 0).to_string(), "");
    }

    #[test]
    fn what_acts_on_a_terminal_or_a_line_is_escaped() {
        let text = "\0\t\r\n\u{7f}\u{9b}\u{2028}\u{202e}\u{2066}\u{200f}";
        let expected = r"\u{0}\u{9}\u{d}\u{a}\u{7f}\u{9b}\u{2028}\u{202e}\u{2066}\u{200f}";
        assert_eq!(Printable::new(text, 200).to_string(), expected);
    }

    proptest! {
        #[test]
        fn it_is_one_line_of_bounded_length_and_shown_again_the_same(
            text: String,
            limit in 0_usize..100,
        ) {
            let shown = Printable::new(&text, limit).to_string();
            prop_assert!(shown.len() <= limit + " [cut]".len());
            prop_assert!(!shown.contains(acts));
            prop_assert_eq!(&Printable::new(&shown, shown.len()).to_string(), &shown);
        }
    }
}
