//! Requests and answers, and their frames.

use std::fmt;

use super::frame::Frame;

/// Bytes for a connection of the overlay. Their client waits for no answer, and would take one for the answer
/// to its next request.
const SEND: u8 = 0x06;
const CLOSE: u8 = 0x08;
const CLOSE_OK: u8 = 0x09;
const ERROR: u8 = 0x0A;
/// A datagram for the overlay; as for `SEND`.
const SEND_TO: u8 = 0x0B;
const INFO: u8 = 0x0D;
const INFO_OK: u8 = 0x0E;
const SET_WEBHOOK: u8 = 0x1B;
const SET_WEBHOOK_OK: u8 = 0x1C;
const HEALTH: u8 = 0x21;
const HEALTH_OK: u8 = 0x22;
/// Gives up connections that are being made; as for `SEND`.
const CANCEL: u8 = 0x2B;
/// Pilot has no such command, and none near it.
const RELOAD: u8 = 0xF0;
const RELOAD_OK: u8 = 0xF1;
/// Pilot knows one code: "an error".
const ERROR_CODE: [u8; 2] = 1_u16.to_be_bytes();

/// A URL as it may be shown: without a user name and password.
pub(crate) fn without_credentials(url: &str) -> String {
    let host = url.find("://").map_or(0, |end| end + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |end| host + end);
    match url[host..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..host], &url[host + at + 1..]),
        None => url.to_owned(),
    }
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// Empty clears.
    SetWebhook(String),
    /// How the daemon is doing, in all detail.
    Info,
    /// Whether the daemon is well.
    Health,
    /// To read its configuration again. Pilot's daemon does not know it.
    Reload,
}

/// Why a frame is no request to this daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRequest {
    /// It is for the overlay, which this daemon has not, and takes no answer.
    Unanswered,
    /// It closes the connection of the overlay that has this number. There is none: it is closed.
    Close(u32),
    /// It closes a connection and does not say which.
    CloseWhat,
    /// A command that this daemon does not know.
    Unknown(u8),
    /// The URL is not UTF-8.
    NotUtf8,
}

impl fmt::Display for NoRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered | Self::Close(_) => f.write_str("this daemon has no overlay"),
            Self::CloseWhat => f.write_str("close: missing conn_id"),
            Self::Unknown(command) => write!(f, "unknown command: 0x{command:02X}"),
            Self::NotUtf8 => f.write_str("the URL is not UTF-8"),
        }
    }
}

impl NoRequest {
    /// What the client gets, if anything.
    #[must_use]
    pub fn reply(self) -> Option<Frame> {
        match self {
            Self::Unanswered => None,
            Self::Close(id) => Some(Frame { command: CLOSE_OK, payload: id.to_be_bytes().into() }),
            Self::CloseWhat | Self::Unknown(_) | Self::NotUtf8 => Some(error(self)),
        }
    }
}

impl Request {
    /// What a client's frame asks for.
    ///
    /// # Errors
    /// When it is no request.
    pub fn read(frame: Frame) -> Result<Self, NoRequest> {
        match frame.command {
            SET_WEBHOOK => String::from_utf8(frame.payload)
                .map(Self::SetWebhook)
                .map_err(|_| NoRequest::NotUtf8),
            // Pilot does not look at the payload.
            INFO => Ok(Self::Info),
            HEALTH => Ok(Self::Health),
            RELOAD => Ok(Self::Reload),
            SEND | SEND_TO | CANCEL => Err(NoRequest::Unanswered),
            CLOSE => Err(match frame.payload.first_chunk() {
                Some(id) => NoRequest::Close(u32::from_be_bytes(*id)),
                None => NoRequest::CloseWhat,
            }),
            command => Err(NoRequest::Unknown(command)),
        }
    }

    /// The frame that asks for it.
    #[must_use]
    pub fn frame(&self) -> Frame {
        match self {
            Self::SetWebhook(url) => {
                Frame { command: SET_WEBHOOK, payload: url.clone().into_bytes() }
            }
            Self::Info => Frame { command: INFO, payload: Vec::new() },
            Self::Health => Frame { command: HEALTH, payload: Vec::new() },
            Self::Reload => Frame { command: RELOAD, payload: Vec::new() },
        }
    }

    /// The command that answers this one well.
    const fn answer(&self) -> u8 {
        match self {
            Self::SetWebhook(_) => SET_WEBHOOK_OK,
            Self::Info => INFO_OK,
            Self::Health => HEALTH_OK,
            Self::Reload => RELOAD_OK,
        }
    }

    /// The answer, well or not.
    #[must_use]
    pub fn reply(&self, outcome: Result<serde_json::Value, String>) -> Frame {
        match outcome {
            Ok(json) => Frame { command: self.answer(), payload: json.to_string().into_bytes() },
            Err(message) => error(&message),
        }
    }

    /// What an answer says, for the client.
    ///
    /// # Errors
    /// When it is a refusal, or cannot be understood.
    pub fn read_reply(&self, reply: &Frame) -> Result<serde_json::Value, NoAnswer> {
        if reply.command == self.answer() {
            serde_json::from_slice(&reply.payload).map_err(|_| NoAnswer::Garbled)
        } else if reply.command == ERROR && reply.payload.len() >= ERROR_CODE.len() {
            let message = &reply.payload[ERROR_CODE.len()..];
            Err(NoAnswer::Refused(String::from_utf8_lossy(message).into_owned()))
        } else {
            Err(NoAnswer::Garbled)
        }
    }
}

/// Why an answer is not the one that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The daemon refused, with this reason.
    Refused(String),
    /// It is not a valid answer.
    Garbled,
}

/// An answer that says what was wrong.
pub fn error(message: impl fmt::Display) -> Frame {
    let mut payload = ERROR_CODE.to_vec();
    payload.extend(message.to_string().into_bytes());
    Frame { command: ERROR, payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(command: u8, payload: &[u8]) -> Frame {
        Frame { command, payload: payload.to_vec() }
    }

    fn refused(command: u8, payload: &[u8]) -> String {
        Request::read(frame(command, payload)).err().unwrap().to_string()
    }

    #[test]
    fn unknown_commands_are_named_as_pilot_names_them() {
        assert_eq!(refused(0x0F, b""), "unknown command: 0x0F");
        assert_eq!(refused(0x00, b"x"), "unknown command: 0x00");
        assert_eq!(refused(0xAB, b""), "unknown command: 0xAB");
        assert_eq!(error("no").encode().unwrap(), b"\x00\x00\x00\x05\x0a\x00\x01no");
    }

    #[test]
    fn frames_for_the_overlay_are_answered_as_their_clients_expect() {
        let reply =
            |command, payload| Request::read(frame(command, payload)).err().unwrap().reply();
        for command in [SEND, SEND_TO, CANCEL] {
            assert_eq!(reply(command, b"\0\0\0\x07data"), None);
            assert_eq!(reply(command, b""), None);
        }
        assert_eq!(reply(CLOSE, b"\0\0\x01\x02"), Some(frame(CLOSE_OK, b"\0\0\x01\x02")));
        assert_eq!(reply(CLOSE, b"\0\0\x01"), Some(error("close: missing conn_id")));
        assert_eq!(reply(0xAB, b""), Some(error("unknown command: 0xAB")));
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, expected) in [
            ("http://u:p@h/a@b?c", "http://h/a@b?c"),
            ("https://u@h:1?x@y", "https://h:1?x@y"),
            ("http://h/u:p@x", "http://h/u:p@x"),
            ("u:p@h", "h"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), expected, "{url}");
        }
    }

    #[test]
    fn a_url_must_be_text() {
        assert_eq!(refused(SET_WEBHOOK, b"http://\xff/"), "the URL is not UTF-8");
        let empty = Request::read(frame(SET_WEBHOOK, b"")).ok().unwrap();
        assert!(empty == Request::SetWebhook(String::new()));
    }

    #[test]
    fn requests_and_answers_find_each_other() {
        for request in [
            Request::Info,
            Request::Health,
            Request::Reload,
            Request::SetWebhook("http://h/é".into()),
        ] {
            assert!(Request::read(request.frame()).ok().unwrap() == request);
            let json = serde_json::json!({"webhook": "http://h/é"});
            let reply = request.reply(Ok(json.clone()));
            assert_eq!(request.read_reply(&reply), Ok(json));
            let reply = request.reply(Err("no".into()));
            assert_eq!(request.read_reply(&reply), Err(NoAnswer::Refused("no".into())));
        }
    }

    #[test]
    fn what_no_daemon_would_say_is_garbled() {
        let request = Request::Info;
        for reply in [
            frame(SET_WEBHOOK_OK, b"{}"),
            frame(INFO_OK, b"{"),
            frame(INFO_OK, b""),
            frame(ERROR, b"\x00"),
            frame(0xFF, b"{}"),
        ] {
            assert_eq!(request.read_reply(&reply), Err(NoAnswer::Garbled), "{reply:?}");
        }
    }
}
