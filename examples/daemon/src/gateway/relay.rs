//! The format of events that were published by another daemon: their bodies and their messages' ids stay as they are.

use pilot_webhook_core::{
    Bound, EncodeError, Events, Format, Headers, MESSAGE_ID_HEADER, PilotFormat, Writer,
};

/// What stands around the id and the body in the data of an event that is relayed.
const BEFORE_ID: &str = "{\"id\":\"";
const BEFORE_BODY: &str = "\",\"body\":";
const END: &str = "}";

/// Sends what [`wrap`] wrapped. Other events (the daemon's own) go out in pilot's format.
pub(crate) struct Relay;

/// The data of an event with this message id and this body, which is JSON. The id needs no escapes in JSON.
pub(crate) fn wrap(out: &mut String, id: &str, body: &str) {
    out.clear();
    for part in [BEFORE_ID, id, BEFORE_BODY, body, END] {
        out.push_str(part);
    }
}

/// The id and the body of an event that is alone in its message.
fn unwrap<'e>(events: &Events<'e>) -> Option<(&'e str, &'e str)> {
    let mut all = events.iter();
    let (event, None) = (all.next()?, all.next()) else { return None };
    let data = event.data?.as_str().strip_prefix(BEFORE_ID)?.strip_suffix(END)?;
    data.split_once(BEFORE_BODY)
}

impl Format for Relay {
    fn bound(&self) -> Bound {
        // What is taken away is shorter than what the other format adds.
        PilotFormat::BOUND
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match unwrap(events) {
            Some((_, body)) => out.push(body.as_bytes()),
            None => PilotFormat.encode(events, out),
        }
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        match unwrap(events) {
            Some((id, _)) => {
                headers.push("Content-Type", "application/json");
                headers.push(MESSAGE_ID_HEADER, id);
            }
            None => PilotFormat.headers(events, headers),
        }
    }
}
