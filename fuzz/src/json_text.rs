//! Data that is JSON text. The oracle: `serde_json`, as a reader of raw values and of values.
//!
//! Core must take exactly the text that `serde_json` takes as a raw value. What it writes must be that
//! text without the white space between tokens, and must mean the same.
//!
//! Known differences:
//! - nesting deeper than 128 levels is refused, which raw values of `serde_json` allow;
//! - an escaped lone surrogate becomes U+FFFD; `serde_json` refuses it when it reads a value;
//! - `null` is no data;
//! - numbers beyond the range of a float are taken and passed on as they are, as raw values are.

use serde_json::value::RawValue;

use crate::payload::{self, MAX};

/// Takes text.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if text.len() > MAX / 2 {
        return;
    }
    let taken = payload::data(&pilot_webhook_core::Json(text));
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    let expected = (is_json && depth(text) <= 128).then(|| compact(text));
    let expected = expected.map(|data| if data == "null" { String::new() } else { data });
    assert_eq!(taken, expected, "{text:?}");
    let Some(taken) = taken.filter(|taken| !taken.is_empty()) else { return };
    // Where it can be read as a value, it is the same one.
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(text) {
        assert_eq!(serde_json::from_str::<serde_json::Value>(&taken).ok(), Some(value), "{text:?}");
    }
}

/// The characters of JSON text outside and inside of strings.
fn tokens(text: &str) -> impl Iterator<Item = (char, bool)> {
    let (mut inside, mut escaped) = (false, false);
    text.chars().map(move |char| {
        let was_inside = inside;
        match char {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        (char, was_inside)
    })
}

/// How deep the arrays and objects of a JSON text nest.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (char, inside) in tokens(text) {
        match char {
            '[' | '{' if !inside => depth += 1,
            ']' | '}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The text without white space between tokens, and without lone surrogates.
fn compact(text: &str) -> String {
    let kept = tokens(text).filter(|(char, inside)| *inside || !char.is_ascii_whitespace());
    let mut text: String = kept.map(|(char, _)| char).collect();
    let mut from = 0;
    while let Some((at, unit)) = escape_after(&text, from) {
        let next = escape_after(&text, at + 6).filter(|(next, _)| *next == at + 6);
        let pair = next.is_some_and(|(_, low)| (0xdc00..0xe000).contains(&low));
        from = match unit {
            0xd800..0xdc00 if pair => at + 12,
            0xd800..0xe000 => {
                text.replace_range(at..at + 6, "\\ufffd");
                at + 6
            }
            _ => at + 6,
        };
    }
    text
}

/// The next `\uXXXX`: where it is, and the unit.
fn escape_after(text: &str, from: usize) -> Option<(usize, u32)> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'\\')?;
        if bytes.get(at + 1) == Some(&b'u') {
            return Some((at, u32::from_str_radix(text.get(at + 2..at + 6)?, 16).ok()?));
        }
        at += 2;
    }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar, json};

#[cfg(test)]
mod inputs {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    pub(crate) const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "\\udc00",
        "\\u0000",
        "null",
        "true",
        "false",
        "0",
        "-",
        "+",
        ".",
        "e",
        "1e999",
        "-0",
        " ",
        "\t",
        "\r\n",
        "\u{c}",
        "\u{0}",
        "\u{feff}",
        "[[[[[[[[[[[[[[[[",
        "]]]]]]]]]]]]]]]]",
        "//",
        "NaN",
        "'",
        "\u{10ffff}",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let nested = (120_usize..136, 120_usize..136, select(vec!["[", "{\"a\":"]), json())
            .prop_map(|(up, down, open, inner)| {
                let close = if open == "[" { "]" } else { "}" };
                open.repeat(up) + &inner + &close.repeat(down.min(up + 1))
            });
        prop_oneof![12 => json(), 1 => nested].prop_map(String::into_bytes).boxed()
    }

    /// JSON text, with white space in every place and all escapes.
    pub(crate) fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            2 => select(vec!["null", "true", "false", "0", "-0", "\"\"", "[]", "{}"])
                .prop_map(str::to_owned),
            2 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,4})?",
            2 => string(),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let space = "[ \\t\\n\\r]{0,2}";
            let item =
                (space, inner, space).prop_map(|(before, value, after)| before + &value + &after);
            let key =
                (space, string(), space).prop_map(|(before, key, after)| before + &key + &after);
            let member = (key, item.clone()).prop_map(|(key, value)| key + ":" + &value);
            prop_oneof![
                vec(item, 1..6).prop_map(|items| format!("[{}]", items.join(","))),
                vec(member, 1..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn string() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[a-z ]{1,6}",
            1 => "[^\"\\\\\\x00-\\x1f]{1,3}",
            1 => "\\\\[\"\\\\/bfnrt]",
            1 => "\\\\u[0-9a-fA-F]{4}",
            1 => "(\\\\u[dD][89abAB][0-9a-f]{2}){0,2}(\\\\u[dD][c-fC-F][0-9a-f]{2}){0,2}",
        ];
        vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
    }
}
