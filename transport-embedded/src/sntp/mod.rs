//! The wall time from an SNTP server (RFC 5905, section 14), over embassy-net.

mod error;
mod query;

use embassy_net::dns::DnsQueryType;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use pilot_webhook_core::Timestamp;

pub use error::SntpError;
use query::Query;

use crate::clock::{WallTime, timestamp};
use crate::fmt::{debug, warning};
use crate::net::look_up;

const MICROS: u64 = 1_000_000;
/// The longest the look-up of the name may take. smoltcp asks each DNS server for 10 s, and DHCP tells up to
/// three.
const LOOK_UP: Duration = Duration::from_secs(40);

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SntpConfig {
    /// The server's UDP port.
    pub port: u16,
    /// The longest an answer may take. The time that is learned is off by half of what it really took at
    /// most. The look-up of the name has its own 40 s.
    pub timeout: Duration,
    /// From one answer to the next query.
    pub interval: Duration,
    /// From a first failure to the next query. It doubles with each failure in a row, up to
    /// `interval`.
    pub retry: Duration,
    /// No right time is before it. Later is better: the day the program was built, say. It also
    /// decides the era of the server's time, which has 32 bits of seconds and starts anew in 2036: the
    /// one that is nearest. So times up to 59 years after it are understood.
    pub earliest: Timestamp,
}

impl SntpConfig {
    /// Port 123, 5 s, every hour, after a failure 2 s, not before 2026.
    ///
    /// A quartz is off by 0.2 s after an hour, and 2 s is what RFC 5905 allows for the first few
    /// questions; the rest is arbitrary.
    pub const DEFAULT: Self = Self {
        port: 123,
        timeout: Duration::from_secs(5),
        interval: Duration::from_secs(3_600),
        retry: Duration::from_secs(2),
        earliest: Timestamp::new(1_767_225_600, 0),
    };

    /// How long to wait after the `failures`th failure in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
        let ticks = self.retry.as_ticks().saturating_mul(doubled);
        Duration::from_ticks(ticks).min(self.interval)
    }
}

impl Default for SntpConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Keeps a [`WallTime`] right by an SNTP server.
///
/// A query takes one of the stack's sockets, besides the one for DNS. SNTP is not authenticated: an
/// on-path attacker can set any time, and thereby make an expired certificate validate and falsify
/// stamps.
///
/// An answer counts only if it comes from the server's address and port, repeats the question's
/// random stamp, and is one of a server that knows the time, with stamps that agree with each other.
/// Any other datagram is ignored.
///
/// ```no_run
/// # use embassy_net::Stack;
/// # use pilot_webhook_embassy::{Sntp, SntpConfig, WallTime};
/// static WALL: WallTime = WallTime::new();
///
/// /// To be spawned. `seed` is as random as the one for the stack.
/// async fn keep_time(stack: Stack<'static>, seed: u64) {
///     let mut sntp = Sntp::new(stack, "pool.ntp.org", &WALL, seed, SntpConfig::DEFAULT);
///     // It ends when the server says never to ask it again: another one may follow.
///     sntp.run(|_| ()).await;
/// }
/// ```
pub struct Sntp<'a> {
    stack: Stack<'a>,
    server: &'a str,
    wall: &'a WallTime,
    config: SntpConfig,
    random: u64,
    /// Failures in a row.
    failures: u32,
}

impl<'a> Sntp<'a> {
    /// Asks `server`, a name or an address, and tells `wall`. `seed` makes questions that cannot be
    /// guessed: it must differ at each boot.
    #[must_use]
    pub const fn new(
        stack: Stack<'a>,
        server: &'a str,
        wall: &'a WallTime,
        seed: u64,
        config: SntpConfig,
    ) -> Self {
        Self { stack, server, wall, config, random: seed, failures: 0 }
    }

    /// Asks again and again, from when the network is up: after an hour if all is well, sooner after
    /// a failure. `told` is called with the result of each query. Returns only when the server refuses
    /// further queries. May be dropped at any time.
    pub async fn run(&mut self, mut told: impl FnMut(Result<Timestamp, SntpError>)) {
        loop {
            self.stack.wait_config_up().await;
            let answer = self.sync().await;
            told(answer);
            let pause = match answer {
                Err(SntpError::Denied) => return,
                // RFC 5905, section 7.4: ask less often.
                Ok(_) | Err(SntpError::Busy) => self.config.interval,
                Err(_) => self.config.pause(self.failures),
            };
            Timer::after(pause).await;
        }
    }

    /// Asks once, and sets the wall time. May be dropped at any time.
    ///
    /// # Errors
    /// When the time was not learned. The wall time is as before.
    pub async fn sync(&mut self) -> Result<Timestamp, SntpError> {
        let ahead = self.ask().await;
        match ahead {
            Ok(_) => debug!("the server told the time"),
            Err(error) => warning!("no time: {:?}", error),
        }
        self.failures = if ahead.is_ok() { 0 } else { self.failures.saturating_add(1) };
        let unix = ahead?.saturating_add_unsigned(Instant::now().as_micros()).cast_unsigned();
        let now = timestamp(unix);
        self.wall.set(now);
        Ok(now)
    }

    async fn ask(&mut self) -> Result<i64, SntpError> {
        let address = with_timeout(LOOK_UP, self.resolve()).await;
        let address = address.map_err(|_| SntpError::Resolve)??;
        let earliest = u64::try_from(self.config.earliest.seconds()).unwrap_or(0) * MICROS;
        let query = Query { earliest, nonce: self.nonce(), timeout: self.config.timeout };
        query.ask(self.stack, (address, self.config.port)).await
    }

    /// Of several addresses, the next one after each failure.
    async fn resolve(&self) -> Result<IpAddress, SntpError> {
        let found = look_up(self.stack, self.server, DnsQueryType::A).await;
        #[cfg(feature = "proto-ipv6")]
        let found = match found {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => look_up(self.stack, self.server, DnsQueryType::Aaaa).await,
        };
        let found = found.map_err(|_| SntpError::Resolve)?;
        let turn = (self.failures as usize).checked_rem(found.len());
        turn.and_then(|turn| found.get(turn).copied()).ok_or(SntpError::Resolve)
    }

    /// SplitMix64, as in Steele et al., "Fast splittable pseudorandom number generators".
    const fn nonce(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl core::fmt::Debug for Sntp<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sntp").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_interval_and_never_overflow() {
        let config = SntpConfig { interval: Duration::from_secs(60), ..SntpConfig::DEFAULT };
        let pauses =
            [1, 2, 3, 5, 6, 64, 65, u32::MAX].map(|failures| config.pause(failures).as_secs());
        assert_eq!(pauses, [2, 4, 8, 32, 60, 60, 60, 60]);
    }
}
