//! Where errors are said, and which: all of them, each once, and none that only follows from another.

use super::tests::{GOOD, endpoint, error, errors, load};

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "retry_backof = \"1s\"\nlisten = true\nfollow = true\nbatch = 1\nbatch = 2\n\
        [[endpoint]]\nname = \"a\"\nretry_jitter = 101\n\
        [[endpoint]]\nname = \"a\"\nurl = \"ftp://h/\"\non_open = \"never\"\n";
    assert_eq!(
        errors(text),
        [
            "1: retry_backof: there is no such key; did you mean retry_backoff?",
            "2: listen: expected text or a whole number, and found true or false",
            "3: follow: it needs events, which is missing",
            "5: duplicate key",
            "6: url: it needs a url, or a url_file",
            "8: retry_jitter: \"101\": expected a number from 0 to 100",
            "10: name: another endpoint is called a (line 7)",
            "11: url: the URL must begin with http:// or https://, or for a NATS server with nats:// or tls://",
            "12: on_open: \"never\" is none of skip, hold",
        ]
    );
}

#[test]
fn all_that_is_wrong_with_an_endpoint_is_said_at_its_keys() {
    let bad = "http_timeout = \"0s\"\nbatch = 5\nformat = \"cloudevents-binary\"\nsource = \"not a uri\"\n\
        type_prefix = \"a b\"\nheader = [\"X\", \"Host: a\"]\nsecret_file = \"none\"\nsign = \"standard-webhooks\"\n\
        cloudevents_origin = \" \"\n";
    let text = format!("listen = 1\n{}", endpoint(bad).replace("url = ", "url = \"h\" # "));
    let keys = |errors: Vec<String>| -> Vec<String> {
        let key = |error: &String| error.splitn(3, ": ").take(2).collect::<Vec<_>>().join(" ");
        errors.iter().map(key).collect()
    };
    let expected = [
        "4 url",
        "5 http_timeout",
        "6 batch",
        "8 source",
        "9 type_prefix",
        "10 header",
        "11 secret_file",
        "13 cloudevents_origin",
    ];
    assert_eq!(keys(errors(&text)), expected, "{:?}", errors(&text));
    // At the top, at the top's lines, and once for all endpoints.
    let top =
        "batch = 5\nformat = \"cloudevents-binary\"\nhttp_timeout = \"0s\"\nca_file = \"none\"\n";
    let text = format!("{top}{}{}", endpoint(""), endpoint("").replace("\"a\"", "\"b\""));
    assert_eq!(keys(errors(&text)), ["1 batch", "3 http_timeout", "4 ca_file"]);
    // Of two endpoints that are made of the same, each at its own lines.
    let text =
        endpoint("source = \"u:a\"\n") + &endpoint("source = \"u:a\"\n").replace("\"a\"", "\"b\"");
    assert_eq!(
        errors(&text),
        [
            "4: source: it goes with the format cloudevents",
            "8: source: it goes with the format cloudevents",
        ]
    );
}

#[test]
fn nothing_is_said_twice_and_nothing_that_follows_from_it() {
    for (text, expected) in [
        // What the file lacks is not missing, as far as anybody can tell.
        ("[[endpoint]]\nname = \"a\nurl = \"http://h/\"\n", "2: "),
        ("[[endpoint]]\nname\nurl = \"http://h/\"\n", "2: "),
        ("[[endpoint]]\n= \"a\"\nurl = \"http://h/\"\n", "2: "),
        ("[[endpoint]]\nname = \"a\"\nurl = http://h/\n", "3: "),
        ("[[endpoint]]\nname = 5\nurl = true\n", "3: url: expected text"),
        ("[[endpoint]]\nname = \"a\"\nurl_file = \"none\"\n", "3: url_file: "),
        ("[[endpoint]]\nname = \"pilot\"\nurl_file = \"none\"\n", "3: url_file: "),
        ("webhook_file = \"none\"\n", "1: webhook_file: "),
        ("admin = \"x\"\nadmin_token_file = \"t\"\n", "1: admin: "),
        ("listen = true\nlisten_secret_file = \"t\"\nlisten_sign = \"pilot\"\n", "1: listen: "),
        ("listen_secret_file = \"t\"\n", "1: listen_secret_file: it needs listen"),
        ("bearer_file = \"none\"\n", "1: bearer_file: "),
    ] {
        let said = errors(text);
        assert!(said[0].starts_with(expected), "{said:?}");
        let is_name = |it: &&String| it.starts_with("2: name: \"5\"");
        assert_eq!(said.iter().filter(|it| !is_name(it)).count(), 1, "{said:?}");
    }
}

#[test]
fn what_run_would_refuse_at_its_start_is_refused() {
    let own = endpoint("").replace("127.0.0.1:1/", "localhost:9911/x");
    for (top, endpoints, expected) in [
        ("listen = 9911", &own, "4: url: is the address that listen takes"),
        ("outbox = \"none/e.db\"", &endpoint(""), "1: outbox: "),
        ("outbox = \"/\"", &endpoint(""), "1: outbox: /: not a regular file"),
        ("stats_file = \"none/stats\"", &endpoint(""), "1: stats_file: "),
        ("socket = \"none/socket\"", &endpoint(""), "1: socket: "),
        ("events = \"none\"", &endpoint(""), "1: events: "),
        ("admin = 9912\nadmin_token_file = \"none\"", &endpoint(""), "2: admin_token_file: "),
        (
            "listen = 9911\nhome = \".\"\nadmin = \"127.0.0.1:9911\"",
            &endpoint(""),
            "3: admin: it is the address of listen (line 1)",
        ),
        ("listen = 9911\nhome = \".\"", &String::new(), "1: there is no webhook for the events"),
    ] {
        let error = error(&format!("{top}\n{endpoints}"));
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(load(&endpoint("")).ok().unwrap().warnings, [super::NO_SOURCE]);
    assert!(load(GOOD).ok().unwrap().warnings.is_empty());
}
