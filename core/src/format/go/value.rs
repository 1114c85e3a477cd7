//! JSON values as Go's `encoding/json` writes them.

use core::cmp::Ordering;

use crate::ascii::hex;
use crate::format::go::number::{self, Floats};
use crate::json::{EncodeError, Unescaped, Writer};

type Done = Result<(), EncodeError>;

/// Writes a value again. `text` is JSON without white space, nested no deeper than data may be.
pub(super) fn write(text: &str, out: &mut Writer<'_>, floats: Floats) -> Done {
    match text.as_bytes().first() {
        Some(b'{') => object(inside(text), out, floats),
        Some(b'[') => array(inside(text), out, floats),
        Some(b'"') => string(text, out),
        Some(b'-' | b'0'..=b'9') => number::write(text, out, floats),
        _ => out.push(text.as_bytes()),
    }
}

/// What stands between brackets.
fn inside(text: &str) -> &str {
    text.get(1..text.len().saturating_sub(1)).unwrap_or_default()
}

fn array(elements: &str, out: &mut Writer<'_>, floats: Floats) -> Done {
    out.push(b"[")?;
    for (at, element) in Parts::of(elements) {
        out.push(if at == 0 { b"" } else { b"," })?;
        write(element, out, floats)?;
    }
    out.push(b"]")
}

/// Bytes of a member's place in the index that members are sorted in.
const PLACE: usize = size_of::<u32>();

/// The index of the members stands at the end of the room while they are written to its beginning.
fn object(members: &str, out: &mut Writer<'_>, floats: Floats) -> Done {
    let count = Parts::of(members).count();
    let (mut front, index) = out.split_spare(count * PLACE)?;
    let (index, _) = index.as_chunks_mut::<PLACE>();
    for (place, (at, _)) in index.iter_mut().zip(Parts::of(members)) {
        *place = u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes();
    }
    sort(index, members);
    let mut before = b"{";
    let mut places = index.iter().peekable();
    while let Some(place) = places.next() {
        let own = member(members, place);
        // The last of the same key is the one that counts.
        if places.peek().is_some_and(|next| compare_keys(own, member(members, next)).is_eq()) {
            continue;
        }
        let (key, value) = split(split(own, b',').0, b':');
        front.push(before)?;
        string(key, &mut front)?;
        front.push(b":")?;
        write(value, &mut front, floats)?;
        before = b",";
    }
    front.push(if count == 0 { b"{}" } else { b"}" })?;
    let end = front.length();
    out.advance_to(end);
    Ok(())
}

/// Sorts the places of members by their keys, those of the same key by where they stand: a heap sort, as the library's
/// sort takes 4 KB of flash.
fn sort(index: &mut [[u8; PLACE]], members: &str) {
    let is_less = |index: &[[u8; PLACE]], left: usize, right: usize| match (
        index.get(left),
        index.get(right),
    ) {
        (Some(left), Some(right)) => {
            let order = compare_keys(member(members, left), member(members, right));
            order.then_with(|| u32::from_le_bytes(*left).cmp(&u32::from_le_bytes(*right))).is_lt()
        }
        _ => false,
    };
    let count = index.len();
    // The first half of the steps makes the heap, the others take its greatest away.
    for step in (0..count + count / 2).rev() {
        let (mut parent, end) = if step < count { (0, step) } else { (step - count, count) };
        if step < count {
            index.swap(0, step);
        }
        let heap = index.get_mut(..end).unwrap_or_default();
        loop {
            let left = 2 * parent + 1;
            let greater = left + usize::from(is_less(heap, left, left + 1));
            if !is_less(heap, parent, greater) {
                break;
            }
            heap.swap(parent, greater);
            parent = greater;
        }
    }
}

/// The member that begins at a place, and those behind it.
fn member<'t>(members: &'t str, place: &[u8; PLACE]) -> &'t str {
    members.get(u32::from_le_bytes(*place) as usize..).unwrap_or_default()
}

/// By code points, which is the order of UTF-8's bytes. Both texts begin with a key.
fn compare_keys(left: &str, right: &str) -> Ordering {
    let [left, right] = [left, right].map(|member| Unescaped::new(split(member, b':').0));
    left.cmp(right)
}

/// What stands between commas, and where.
struct Parts<'t> {
    whole: &'t str,
    at: usize,
}

impl<'t> Parts<'t> {
    const fn of(whole: &'t str) -> Self {
        Self { whole, at: 0 }
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.whole.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (part, _) = split(rest, b',');
        let at = self.at;
        self.at += part.len() + 1;
        Some((at, part))
    }
}

/// Splits at the first `end` that is in no string, array or object, or at the end of the array or object that
/// the text is in.
fn split(text: &str, end: u8) -> (&str, &str) {
    let (mut depth, mut is_string, mut is_escaped) = (0_u32, false, false);
    let is_end = |byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return true,
            },
            _ => return byte == end && depth == 0,
        }
        false
    };
    let length = text.bytes().position(is_end).unwrap_or(text.len());
    (text.get(..length).unwrap_or_default(), text.get(length + 1..).unwrap_or_default())
}

/// A string with its quotes.
fn string(quoted: &str, out: &mut Writer<'_>) -> Done {
    // U+2028 and U+2029 begin with 0xe2.
    if !quoted.bytes().any(|byte| matches!(byte, b'\\' | b'<' | b'>' | b'&' | 0xe2)) {
        return out.push(quoted.as_bytes());
    }
    out.push(b"\"")?;
    Unescaped::new(quoted).try_for_each(|character| escaped(character, out))?;
    out.push(b"\"")
}

fn escaped(character: char, out: &mut Writer<'_>) -> Done {
    match character {
        '"' => out.push(b"\\\""),
        '\\' => out.push(b"\\\\"),
        '\u{8}' => out.push(b"\\b"),
        '\u{c}' => out.push(b"\\f"),
        '\n' => out.push(b"\\n"),
        '\r' => out.push(b"\\r"),
        '\t' => out.push(b"\\t"),
        '\u{2028}' => out.push(b"\\u2028"),
        '\u{2029}' => out.push(b"\\u2029"),
        '\0'..='\u{1f}' | '<' | '>' | '&' => {
            let [high, low] = hex(character as u8);
            out.push(&[b'\\', b'u', b'0', b'0', high, low])
        }
        other => out.push(other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}
