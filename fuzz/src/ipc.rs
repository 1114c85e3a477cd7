//! Frames of the daemon's socket, and what they say. The oracle: the format, read a second time from
//! the whole input at once, and `serde_json` for answers.
//!
//! Takes two bytes of piece sizes (see `pieces`), then the stream. However it is cut, the same frames
//! must come out, the end must be the same one, and no more room is made at once than 4 KiB.
//!
//! Known differences: none.

use std::time::Duration;

use pilot_webhookd::ipc::frame::{FRAME_MAX, Frame, FrameError, Frames};
use pilot_webhookd::ipc::message::{NoAnswer, NoRequest, Request};
use serde_json::Value;

use crate::pieces::Pieces;

/// Takes a stream.
pub fn run(data: &[u8]) {
    let Some(mut pieces) = Pieces::new(data) else { return };
    let expected = read_at_once(pieces.rest());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut frames = Frames::new(&mut pieces, Duration::from_secs(60));
    for (at, expected) in expected.into_iter().enumerate() {
        match (expected, runtime.block_on(frames.next())) {
            (Ok(expected), Ok(found)) => {
                assert_eq!(found, expected, "frame {at}");
                let Some(frame) = found else { break };
                request(frame.clone());
                reply(&frame);
            }
            (Err(None), Err(FrameError::Cut)) => {}
            (Err(Some(length)), Err(FrameError::TooLong(found))) => assert_eq!(found, length),
            (expected, found) => panic!("frame {at}: {found:?}, not {expected:?}"),
        }
    }
    assert!(pieces.room <= 4 * 1_024, "room for {} bytes at once", pieces.room);
}

/// The frames of a stream and its end: `Ok(None)`, or an error with the length that is too long.
fn read_at_once(mut bytes: &[u8]) -> Vec<Result<Option<Frame>, Option<usize>>> {
    let mut frames = Vec::new();
    loop {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            frames.push(if bytes.is_empty() { Ok(None) } else { Err(None) });
            return frames;
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > FRAME_MAX || length > rest.len() {
            frames.push(Err((length > FRAME_MAX).then_some(length)));
            return frames;
        }
        if let Some((command, payload)) = rest[..length].split_first() {
            frames.push(Ok(Some(Frame { command: *command, payload: payload.to_vec() })));
        }
        bytes = &rest[length..];
    }
}

fn request(frame: Frame) {
    let text = String::from_utf8(frame.payload.clone());
    match (frame.command, Request::read(frame.clone())) {
        (0x0d, Ok(Request::Info)) | (0x21, Ok(Request::Health)) | (0xf0, Ok(Request::Reload)) => {}
        (0x06 | 0x0b | 0x2b, Err(NoRequest::Unanswered)) => {}
        (0x08, Err(NoRequest::Close(id))) => assert_eq!(frame.payload[..4], id.to_be_bytes()),
        (0x08, Err(NoRequest::CloseWhat)) => assert!(frame.payload.len() < 4),
        (0x1b, Ok(Request::SetWebhook(url))) => assert_eq!(Ok(&url), text.as_ref()),
        (0x1b, Err(NoRequest::NotUtf8)) => assert!(text.is_err()),
        (command, Err(NoRequest::Unknown(unknown))) => {
            assert!(
                command == unknown
                    && ![0x06, 0x08, 0x0b, 0x0d, 0x1b, 0x21, 0x2b].contains(&command)
            );
        }
        _ => panic!("{frame:?} is read as another request"),
    }
    let encoded = frame.encode().expect("it was not too long");
    assert_eq!(encoded.len(), 5 + frame.payload.len());
    assert_eq!(read_at_once(&encoded)[0], Ok(Some(frame.clone())));
    if let Ok(request) = Request::read(frame) {
        assert!(Request::read(request.frame()).is_ok_and(|again| again == request));
    }
}

fn reply(frame: &Frame) {
    let set = Request::SetWebhook("u".into());
    for (request, well) in [(Request::Info, 0x0e), (Request::Health, 0x22), (set, 0x1c)] {
        let answer = request.read_reply(frame);
        let expected = match (frame.command, frame.payload.as_slice()) {
            (command, json) if command == well => {
                serde_json::from_slice::<Value>(json).map_err(|_| NoAnswer::Garbled)
            }
            (0x0a, [_, _, message @ ..]) => {
                Err(NoAnswer::Refused(String::from_utf8_lossy(message).into_owned()))
            }
            _ => Err(NoAnswer::Garbled),
        };
        assert_eq!(answer, expected, "{frame:?}");
        let outcome = answer.map_err(|_| "no".to_owned());
        let again = request.read_reply(&request.reply(outcome.clone()));
        assert_eq!(again, outcome.map_err(NoAnswer::Refused));
    }
}

#[cfg(test)]
pub(crate) use inputs::{WORDS, grammar};

#[cfg(test)]
mod inputs {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    pub(crate) const WORDS: &[&str] = &[
        "\0",
        "\0\0\0",
        "\0\0\0\u{1}\u{d}",
        "\0\0\0\u{2}\u{1b}",
        "\u{a}\0\u{1}",
        "http://h/",
        "{}",
        "\u{e}",
        "\u{1c}",
        "\0\u{10}\0\0",
        "\0\u{10}\0\u{1}",
    ];

    pub(crate) fn grammar() -> BoxedStrategy<Vec<u8>> {
        let command = prop_oneof![
            4 => select(vec![0x0a_u8, 0x0d, 0x0e, 0x1b, 0x1c]),
            1 => any::<u8>(),
        ];
        let payload = prop_oneof![
            2 => "(http://[a-z.]{1,10}/)?".prop_map(String::into_bytes),
            2 => crate::json_text::json().prop_map(String::into_bytes),
            1 => vec(any::<u8>(), 0..12),
            1 => vec(any::<u8>(), 5_000..9_000),
        ];
        // The length is right, mostly.
        let off = prop_oneof![12 => Just(0_u32), 1 => 0_u32..4, 1 => 0xf_fff0_u32..0x10_0010];
        let frame = prop_oneof![
            8 => (command, payload, off).prop_map(|(command, payload, off)| {
                let length = u32::try_from(1 + payload.len()).unwrap() + off;
                [&length.to_be_bytes()[..], &[command], &payload].concat()
            }),
            1 => Just(vec![0; 4]),
        ];
        let sizes = "[@-_]{2}".prop_map(String::into_bytes);
        (sizes, vec(frame, 0..5))
            .prop_map(|(sizes, frames)| [sizes, frames.concat()].concat())
            .boxed()
    }
}
