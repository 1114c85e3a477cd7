//! Which statuses mean success, where an endpoint has its own idea of that.

use core::fmt;
use core::str::FromStr;

use heapless::Vec;

use crate::ascii::number;

/// The most ranges of a set.
const MOST: usize = 8;

/// The statuses that mean that the receiver has the message: up to 8 ranges between 200 and 599.
///
/// ```
/// use pilot_webhook_core::Verdict;
/// use pilot_webhook_core::http::{Response, Success};
/// let success: Success = "200-299,409".parse()?;
/// assert_eq!(Response::status(409).verdict_by(&success), Verdict::Accepted);
/// let success: Success = "200".parse()?;
/// assert_eq!(Response::status(202).verdict_by(&success), Verdict::Refused);
/// # Ok::<(), pilot_webhook_core::http::NoSuccess>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    ranges: Vec<(u16, u16), MOST>,
}

impl Success {
    /// Whether a status is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

/// 200 to 299.
impl Default for Success {
    fn default() -> Self {
        let mut ranges = Vec::new();
        let _ = ranges.push((200, 299));
        Self { ranges }
    }
}

/// The text names no set of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoSuccess;

impl fmt::Display for NoSuccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected up to 8 statuses or ranges from 200 to 599, such as 200-299,409")
    }
}

impl core::error::Error for NoSuccess {}

/// Statuses and ranges of them with commas between them.
impl FromStr for Success {
    type Err = NoSuccess;

    fn from_str(text: &str) -> Result<Self, NoSuccess> {
        let mut ranges = Vec::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (status(first)?, status(last)?);
            if first > last {
                return Err(NoSuccess);
            }
            ranges.push((first, last)).map_err(|_| NoSuccess)?;
        }
        Ok(Self { ranges })
    }
}

fn status(text: &str) -> Result<u16, NoSuccess> {
    let status = number(text.as_bytes(), 10).and_then(|status| u16::try_from(status).ok());
    status.filter(|status| (200..=599).contains(status)).ok_or(NoSuccess)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Response;
    use crate::transport::Verdict;

    #[test]
    fn a_set_is_what_its_text_says() {
        let success: Success = "200-204,302,409,599".parse().unwrap();
        for status in 100..=999 {
            let expected = matches!(status, 200..=204 | 302 | 409 | 599);
            assert_eq!(success.contains(status), expected, "{status}");
            let (ours, usual) =
                (Response::status(status).verdict_by(&success), Response::status(status).verdict());
            let expected = match usual {
                _ if expected => Verdict::Accepted,
                Verdict::Accepted => Verdict::Refused,
                usual => usual,
            };
            assert_eq!(ours, expected, "{status}");
        }
        let usual = Success::default();
        for status in 100..=999 {
            let response = Response::status(status);
            assert_eq!(response.verdict_by(&usual), response.verdict(), "{status}");
        }
    }

    #[test]
    fn what_is_no_set_is_an_error() {
        for text in [
            "",
            ",",
            "200,",
            "199",
            "600",
            "200-",
            "-299",
            "299-200",
            "2xx",
            "+200",
            " 200",
            "200-700",
            "200,201,202,203,204,205,206,207,208",
            "70000",
        ] {
            assert_eq!(text.parse::<Success>(), Err(NoSuccess), "{text}");
        }
    }
}
