//! Which text is JSON.

use pilot_webhook_core::{EmitError, EncodeError, Json};
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{data_of, emitted, event};

#[test]
fn json_text_is_checked() {
    for (text, expected) in [
        (" { \"a\" : [ 1 , -0.5e+3 , true ] } ", Some("{\"a\":[1,-0.5e+3,true]}")),
        ("\"\\ud83d\\ude00\"", Some("\"\\ud83d\\ude00\"")),
        ("\"\\ud800\\ud800\\udc00\"", Some("\"\\ufffd\\ud800\\udc00\"")),
        ("\"\\udc00\\ud800\"", Some("\"\\ufffd\\ufffd\"")),
        ("\"\\ud800\\n\"", Some("\"\\ufffd\\n\"")),
        ("[]", Some("[]")),
        ("{}", Some("{}")),
        ("0", Some("0")),
        ("", None),
        ("  ", None),
        ("01", None),
        ("1.", None),
        ("-", None),
        ("+1", None),
        ("1e", None),
        ("nul", None),
        ("nullx", None),
        ("[1,]", None),
        ("[,1]", None),
        ("[1 2]", None),
        ("{\"a\"}", None),
        ("{\"a\":}", None),
        ("{\"a\":1,}", None),
        ("{1:2}", None),
        ("{\"a\":1]", None),
        ("[1}", None),
        ("]", None),
        ("[", None),
        ("{} {}", None),
        ("1,", None),
        ("\"a", None),
        ("\"\u{1}\"", None),
        ("\"\\x\"", None),
        ("\"\\u12g4\"", None),
        ("\"\\u+123\"", None),
        ("\"\\u12", None),
        ("\"\\ud800\\u12\"", None),
        ("\u{c}1", None),
        ("NaN", None),
        ("'a'", None),
    ] {
        let expected = expected.map(str::to_owned).ok_or(EmitError::Payload(EncodeError::Json));
        assert_eq!(data_of(&Json(text)), expected, "{text:?}");
    }
}

proptest! {
    /// serde_json is the judge of what is JSON (but for lone surrogates, which it refuses).
    #[test]
    fn text_is_taken_when_serde_json_takes_it(text in "[\\[\\]{},:\"a1\\-.eE+ \\\\un]{0,12}") {
        let ours = data_of(&Json(&text)).is_ok();
        let theirs = serde_json::from_str::<&RawValue>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn no_text_panics(text in ".*", topic in ".*") {
        let _ = emitted(&event(&topic), &Json(&text));
        let body = emitted(&event(&topic), text.as_str()).unwrap();
        let parsed: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(parsed["event"].as_str(), Some(topic.as_str()));
        prop_assert_eq!(parsed["data"].as_str(), Some(text.as_str()));
    }
}
