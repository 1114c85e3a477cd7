//! Answers, right and nearly right.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 298 Third\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
    "Connection: close\r\n",
    "Keep-Alive: timeout=5\r\n",
    "Retry-After: 7\r\n",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
    "Retry-After: Thu, 01 Jan 1970 00:01:00 GMT\r\n",
    "\0",
    "\u{ff}",
    "-",
    "+",
    "0x",
    "ffffffffffffffff",
    "18446744073709551616",
    "204",
    "304",
    "101",
    "103",
    "\r\n ",
];

pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
    let ending = prop_oneof![6 => Just("c"), 1 => Just("r"), 5 => Just("s"), 1 => Just("f")];
    let interim = "HTTP/1\\.1 1[0-9]{2} Interim\r\n(X: y\r\n){0,2}\r\n";
    let interims = prop_oneof![3 => Just(Vec::new()), 1 => vec(interim, 1..4)];
    let behind = prop_oneof![
        6 => Just(""),
        1 => select(vec!["x", "\r\n", "HTTP/1.1 298 Third\r\nContent-Length: 0\r\n\r\n"]),
    ];
    let long = prop_oneof![12 => Just(0_usize), 1 => 1_usize..200, 1 => 30_000_usize..36_000];
    ("[@-_]{2}", ending, interims, answer(), behind, long)
        .prop_map(|(sizes, ending, interims, (line, headers, body), behind, long)| {
            let filler = match long {
                0 => String::new(),
                count @ 1..200 => "X-More: y\r\n".repeat(count),
                length => format!("X-Long: {}\r\n", "y".repeat(length)),
            };
            let interims = interims.concat();
            let text =
                format!("{sizes}{ending}{interims}{line}\r\n{filler}{headers}\r\n{body}{behind}");
            text.into_bytes()
        })
        .boxed()
}

/// A status line, headers and a body that mostly fit.
fn answer() -> impl Strategy<Value = (String, String, String)> {
    let line = prop_oneof![
        6 => "HTTP/1\\.[01] (200|204|304|404|408|429|500|503)( [ -~]{0,10})?",
        1 => "HTTP/[0-9.]{1,4} [0-9]{1,4}[ -~]{0,6}",
        1 => "\\PC{0,20}",
    ];
    let extra = vec(header(), 0..4).prop_map(|headers| headers.concat());
    (line, extra, framed())
        .prop_map(|(line, extra, (framing, body))| (line, extra + &framing, body))
}

fn header() -> impl Strategy<Value = String> {
    let seconds = "[rR]etry-[aA]fter:[ \t]{0,2}[0-9]{1,11}[ \t]{0,2}\r\n";
    let name = select(vec!["Retry-After", "Date"]);
    let date = (name, 0_i64..4_102_444_800).prop_map(|(name, second)| {
        let date = jiff::Timestamp::from_second(second).unwrap();
        format!("{name}: {}\r\n", date.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    });
    prop_oneof![
        2 => seconds,
        2 => date,
        1 => "Retry-After:[ -~]{0,12}\r\n",
        1 => "Connection: (close|keep-alive|Close, x|x|upgrade)\r\n",
        1 => "Keep-Alive: (timeout=[0-9]{1,3}|max=5|x)\r\n",
        1 => "(Content-Length|Transfer-Encoding|Connection)[ :]{0,3}[ -~]{0,8}\r\n",
        1 => "[A-Za-z0-9-]{1,8}: [ -~]{0,12}\r\n",
        1 => " [a-z]{0,5}(: 5)?\r\n",
        1 => "\\PC{0,12}\r?\n",
    ]
}

/// The headers that frame a body, and the body.
fn framed() -> impl Strategy<Value = (String, String)> {
    let text = "([a-z]{0,12}|HTTP/1\\.1 298 Third\r\nContent-Length: 0\r\n\r\n)";
    let sized = (text, prop_oneof![6 => Just(0_i64), 1 => -3_i64..40])
        .prop_map(|(body, off)| (format!("Content-Length: {}\r\n", body.len() as i64 + off), body));
    let chunk = (text, "(;[a-z=\"]{0,5}|[ \t]{0,2})", 0..12).prop_map(|(text, extension, off)| {
        let length = if off == 0 { text.len() + 1 } else { text.len() };
        if length == 0 { String::new() } else { format!("{length:x}{extension}\r\n{text}\r\n") }
    });
    let trailers = "(0{1,3}(;x)?\r\n([A-Z]: [a-z]{0,3}\r\n){0,2}\r\n)?";
    let chunked = (vec(chunk, 0..4), trailers)
        .prop_map(|(chunks, end)| {
            ("Transfer-Encoding: chunked\r\n".to_owned(), chunks.concat() + &end)
        })
        .boxed();
    let doubtful = ("Content-Length: [0-9]{1,3}\r\n", chunked.clone())
        .prop_map(|(length, (encoding, body))| (length + &encoding, body));
    prop_oneof![
        5 => sized,
        3 => chunked,
        1 => doubtful,
        1 => text.prop_map(|text| (String::new(), text)),
    ]
}
