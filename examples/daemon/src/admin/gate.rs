//! Who has the token: in a header, or by a cookie that was given for it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use pilot_webhook_core::Secret;

use super::token::random_hex;

/// How long a log-in counts.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// So many wrong tokens are told apart from the right one; then none is, for a while. A token that was made is beyond
/// guessing, one that was chosen may not be.
const GUESSES: u32 = 10;
/// The while.
const GUESS_TIME: Duration = Duration::from_secs(60);

/// What is said to one who asks for more than everybody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The token, or a log-in that counts.
    Granted(By),
    /// Neither.
    Refused,
    /// There were too many wrong tokens: nobody's is looked at before this time is over.
    Later(Duration),
}

/// What one has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Token,
    Cookie,
}

/// Compares tokens, and knows its own cookies.
pub(super) struct Gate {
    token: Secret,
    /// The token, signed with itself: tokens are compared by their signatures, in constant time.
    signature: Vec<u8>,
    /// Signs cookies. It is of this start only, and not the token: who has a cookie cannot try tokens on it.
    session: Secret,
    /// How often somebody logged out: cookies from before do not count any more.
    log_outs: AtomicU64,
    start: Instant,
    /// The cookie's name. Cookies are shared by all ports of a host.
    cookie: String,
    guesses: Mutex<Guesses>,
}

/// Wrong tokens since some time.
#[derive(Clone, Copy)]
struct Guesses {
    since: Instant,
    wrong: u32,
}

impl Gate {
    /// For the address with this port.
    ///
    /// # Errors
    /// When the system has no random numbers, or the token is empty.
    pub(super) fn new(token: &[u8], port: u16) -> io::Result<Self> {
        let secret = |key: &[u8]| Secret::new(key).ok_or(io::ErrorKind::InvalidInput);
        let session = secret(random_hex()?.as_bytes())?;
        let key = secret(token)?;
        let start = Instant::now();
        Ok(Self {
            signature: key.sign(token).as_str().into(),
            token: key,
            session,
            log_outs: AtomicU64::new(0),
            start,
            cookie: format!("pilot-webhookd-{port}"),
            guesses: Mutex::new(Guesses { since: start, wrong: 0 }),
        })
    }

    /// What the request has shown.
    pub(super) fn pass(&self, headers: &HeaderMap, now: Instant) -> Pass {
        if let Some(value) = headers.get(AUTHORIZATION) {
            return self.try_token(bearer(value).unwrap_or_default(), now);
        }
        let mut cookies = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii));
        if cookies.any(|cookie| self.is_session(cookie, now)) {
            return Pass::Granted(By::Cookie);
        }
        Pass::Refused
    }

    /// Looks at a token. Wrong ones are counted.
    pub(super) fn try_token(&self, token: &[u8], now: Instant) -> Pass {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(guesses.since);
        if age >= GUESS_TIME {
            *guesses = Guesses { since: now, wrong: 0 };
        } else if guesses.wrong >= GUESSES {
            return Pass::Later(GUESS_TIME - age);
        }
        if self.token.verify(token, &self.signature) {
            return Pass::Granted(By::Token);
        }
        guesses.wrong += 1;
        Pass::Refused
    }

    /// The `Set-Cookie` of a log-in.
    pub(super) fn log_in(&self, now: Instant) -> String {
        let until = (self.elapsed(now) + SESSION).as_secs().to_string();
        let signature = self.session.sign(&self.signed(until.as_bytes()));
        let (name, signature, age) = (&self.cookie, signature.as_str(), SESSION.as_secs());
        format!("{name}={until}.{signature}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict")
    }

    /// The `Set-Cookie` of a log-out. It ends all log-ins: a copy of a cookie is of no use then.
    pub(super) fn log_out(&self) -> String {
        self.log_outs.fetch_add(1, Relaxed);
        format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", self.cookie)
    }

    fn is_session(&self, cookie: &[u8], now: Instant) -> bool {
        let value = cookie.strip_prefix(self.cookie.as_bytes());
        let Some(value) = value.and_then(|value| value.strip_prefix(b"=")) else { return false };
        let Some(dot) = value.iter().position(|byte| *byte == b'.') else { return false };
        let (until, signature) = (&value[..dot], &value[dot + 1..]);
        let time = std::str::from_utf8(until).ok().and_then(|until| until.parse::<u64>().ok());
        self.session.verify(&self.signed(until), signature)
            && time.is_some_and(|until| self.elapsed(now).as_secs() < until)
    }

    /// What is signed of a log-in that counts until then.
    fn signed(&self, until: &[u8]) -> Vec<u8> {
        let log_outs = self.log_outs.load(Relaxed).to_string();
        [until, b" ", log_outs.as_bytes()].concat()
    }

    /// The time since the start, which the clock on the wall does not move.
    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}

/// The token of `Authorization: Bearer TOKEN`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &[u8] = b"0123456789abcdef";

    fn gate() -> Gate {
        Gate::new(TOKEN, 9912).unwrap()
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        [(name.parse().unwrap(), value.parse().unwrap())].into_iter().collect()
    }

    fn cookie(gate: &Gate, now: Instant) -> String {
        gate.log_in(now).split(';').next().unwrap().to_owned()
    }

    #[test]
    fn the_token_passes_and_nothing_else() {
        let now = Instant::now();
        for (value, expected) in [
            ("Bearer 0123456789abcdef", Pass::Granted(By::Token)),
            ("bearer  0123456789abcdef ", Pass::Granted(By::Token)),
            ("Bearer 0123456789abcdeF", Pass::Refused),
            ("Bearer 0123456789abcdef0", Pass::Refused),
            ("Bearer ", Pass::Refused),
            ("Basic 0123456789abcdef", Pass::Refused),
            ("0123456789abcdef", Pass::Refused),
        ] {
            assert_eq!(gate().pass(&with("authorization", value), now), expected, "{value}");
        }
        assert_eq!(gate().pass(&HeaderMap::new(), now), Pass::Refused);
    }

    #[test]
    fn a_cookie_counts_for_its_time_at_its_port_and_in_its_process() {
        let gate = gate();
        let now = Instant::now();
        let cookie = cookie(&gate, now);
        let several = format!("a=b; {cookie}; c=d");
        assert_eq!(gate.pass(&with("cookie", &several), now), Pass::Granted(By::Cookie));
        let late = now + SESSION + Duration::from_secs(2);
        assert_eq!(gate.pass(&with("cookie", &cookie), late), Pass::Refused);
        for other in [Gate::new(TOKEN, 9912).unwrap(), Gate::new(TOKEN, 9913).unwrap()] {
            assert_eq!(other.pass(&with("cookie", &cookie), now), Pass::Refused);
        }
        for wrong in [cookie.replace('=', "=9"), format!("{cookie}0"), cookie.replace('.', "")] {
            assert_eq!(gate.pass(&with("cookie", &wrong), now), Pass::Refused, "{wrong}");
        }
    }

    #[test]
    fn a_log_out_ends_all_log_ins_before_it() {
        let gate = gate();
        let now = Instant::now();
        let before = cookie(&gate, now);
        gate.log_out();
        assert_eq!(gate.pass(&with("cookie", &before), now), Pass::Refused);
        let after = cookie(&gate, now);
        assert_eq!(gate.pass(&with("cookie", &after), now), Pass::Granted(By::Cookie));
    }

    #[test]
    fn no_script_reads_the_cookie_and_no_other_site_sends_it() {
        let cookie = gate().log_in(Instant::now());
        for word in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains("0123456789abcdef;"), "the token itself is not in it");
    }

    #[test]
    fn guesses_are_few_and_log_ins_that_count_go_on() {
        let gate = gate();
        let now = Instant::now();
        let cookie = cookie(&gate, now);
        for _ in 0..GUESSES {
            assert_eq!(gate.try_token(b"a guess", now), Pass::Refused);
        }
        assert!(matches!(gate.try_token(TOKEN, now), Pass::Later(_)));
        assert_eq!(gate.pass(&with("cookie", &cookie), now), Pass::Granted(By::Cookie));
        assert_eq!(gate.try_token(TOKEN, now + GUESS_TIME), Pass::Granted(By::Token));
    }
}
