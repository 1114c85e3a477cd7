//! What a configuration with a stream as its source may say.

use tempfile::TempDir;

use super::tests::{endpoint, error, errors, load, load_with};

#[test]
fn a_stream_goes_to_several_endpoints_as_it_is() {
    let from = "from = \"nats://127.0.0.1/S\"\n";
    let b = endpoint("").replace("\"a\"", "\"b\"");
    load(&format!("{from}{}{b}", endpoint(""))).ok().unwrap();
    // What says the same as the gateway does is no problem.
    let same = "on_full = \"block\"\non_open = \"hold\"\nbatch = 1\n";
    load(&format!("{from}{}{same}", endpoint(""))).ok().unwrap();
    let waits = "it cannot be used with from: events wait in the stream; leave it out";
    assert_eq!(
        errors(&format!(
            "{from}on_full = \"drop-oldest\"\n{}format = \"cloudevents\"\nbatch = 2\n{b}on_open = \"skip\"\n",
            endpoint("")
        )),
        [
            format!("2: on_full: {waits}"),
            "6: format: it cannot be used with from: bodies are those of the stream".to_owned(),
            "7: batch: it cannot be used with from: events keep their messages' ids, so each goes out alone".to_owned(),
            format!("11: on_open: {waits}"),
        ]
    );
}

#[test]
fn what_a_gateway_cannot_take_is_said_with_its_line() {
    let b = endpoint("").replace("\"a\"", "\"b\"");
    let outbox = "from = \"nats://127.0.0.1/S\"\noutbox = \"events.db\"\n";
    load(&format!("{outbox}{}", endpoint(""))).ok().unwrap();
    assert_eq!(
        error(&format!("{outbox}{}{b}", endpoint(""))),
        "2: outbox: with from it goes with one endpoint: the stream keeps what each of several has not got; leave it out"
    );
    assert_eq!(
        error(&format!("\nfrom = \"nats://127.0.0.1/a.b\"\n{b}")),
        "2: from: the path is the name of a stream, without dots"
    );
    let from = "from = \"nats://127.0.0.1/S\"\n";
    assert_eq!(
        errors(&format!("{from}consumer = \"a.b\"\nsubject_prefix = \"pilot.>\"\n{b}")),
        [
            "2: consumer: \"a.b\": expected 1 to 64 letters, digits, `_` and `-`",
            "3: subject_prefix: \"pilot.>\": expected letters, digits, `_` and `-`, in tokens with dots between them",
        ]
    );
    let directory = TempDir::new().unwrap();
    let batch = load_with(directory.path(), &format!("{from}{b}"), &["--batch", "2"]);
    let said = batch.err().unwrap().message;
    assert!(said.contains("pilot.toml:1: batch: it cannot be used with from"), "{said}");
}
