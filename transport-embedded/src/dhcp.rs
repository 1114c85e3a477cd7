//! The pause between two attempts to get an address, which smoltcp's DHCP client does not make.

use core::task::Context;

use embassy_net::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken};
use embassy_time::{Duration, Instant};

/// So many rounds are begun one after the other. Arbitrary: a link that comes up makes a client begin two.
const AT_ONCE: u8 = 4;
/// The time between two rounds then: how often smoltcp asks when nobody answers.
const PAUSE: Duration = Duration::from_secs(10);
/// After this long without a round all is well. Arbitrary.
const CALM: Duration = Duration::from_secs(60);

/// A driver for an embassy-net stack with DHCP, around the driver of the port. It keeps a server that grants
/// nothing from being asked without a pause.
///
/// smoltcp's client starts over at once when its request is refused (NAK) or granted for no time (a lease of 0 s), and
/// the server's next offer makes it ask again: hundreds of packets a second, for as long as the server does so.
/// Behind this driver the stack hears the offers of four such rounds, and then of one in ten seconds, until there was
/// none for a minute. Everything else passes untouched. The cost is a look at the header of each frame.
///
/// ```
/// # use embassy_net::{Config, Runner, Stack, StackResources, driver::Driver};
/// use pilot_webhook_embassy::DhcpGuard;
///
/// fn start<D: Driver>(
///     port: D,
///     config: Config,
///     resources: &'static mut StackResources<3>,
///     seed: u64,
/// ) -> (Stack<'static>, Runner<'static, DhcpGuard<D>>) {
///     embassy_net::new(DhcpGuard::new(port), config, resources, seed)
/// }
/// ```
#[derive(Debug)]
pub struct DhcpGuard<D> {
    driver: D,
    offers: Offers,
}

impl<D> DhcpGuard<D> {
    /// Around `driver`.
    pub const fn new(driver: D) -> Self {
        Self { driver, offers: Offers { left: AT_ONCE, last: Instant::MIN, round: None } }
    }
}

impl<D: Driver> Driver for DhcpGuard<D> {
    type RxToken<'a>
        = Guarded<'a, D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = D::TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (token, transmit) = self.driver.receive(cx)?;
        Some((Guarded { token, offers: &mut self.offers }, transmit))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        self.driver.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.driver.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}

/// A received frame, which is empty for the stack if it should not be heard.
#[derive(Debug)]
pub struct Guarded<'a, T> {
    token: T,
    offers: &'a mut Offers,
}

impl<T: RxToken> RxToken for Guarded<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let Self { token, offers } = self;
        token.consume(|frame| {
            let is_heard = offer(frame).is_none_or(|round| offers.hear(round, Instant::now()));
            f(if is_heard { frame } else { &mut [] })
        })
    }
}

/// The rounds whose offers were heard.
#[derive(Debug)]
struct Offers {
    /// So many may follow at once.
    left: u8,
    /// When the last one began.
    last: Instant,
    /// Its transaction.
    round: Option<[u8; 4]>,
}

impl Offers {
    /// Whether an offer that comes now is heard. Several servers may make one, and the client takes the first.
    fn hear(&mut self, round: [u8; 4], now: Instant) -> bool {
        if Some(round) == self.round {
            return true;
        }
        let since = now.saturating_duration_since(self.last);
        if since >= CALM {
            self.left = AT_ONCE;
        }
        if self.left == 0 && since < PAUSE {
            return false;
        }
        *self = Self { left: self.left.saturating_sub(1), last: now, round: Some(round) };
        true
    }
}

/// The transaction of the DHCP offer (RFC 2131) in this Ethernet frame, if there is one.
fn offer(frame: &[u8]) -> Option<[u8; 4]> {
    const IPV4: [u8; 2] = [8, 0];
    const UDP: u8 = 17;
    /// From the server's port to the client's.
    const PORTS: [u8; 4] = [0, 67, 0, 68];
    /// Where the options begin: behind UDP's header, BOOTP's fields and the cookie.
    const OPTIONS: usize = 8 + 236 + 4;
    /// Where the transaction is: behind UDP's header and four bytes.
    const TRANSACTION: usize = 8 + 4;
    let ip = frame.get(14..).filter(|_| frame[12..14] == IPV4)?;
    let udp = ip.get(usize::from(ip.first()? & 15) * 4..).filter(|_| ip.get(9) == Some(&UDP))?;
    let options = udp.get(OPTIONS..).filter(|_| udp.starts_with(&PORTS))?;
    let transaction = udp.get(TRANSACTION..)?.first_chunk()?;
    is_offer(options).then_some(*transaction)
}

/// Whether these options say so (RFC 2132, section 9.6).
fn is_offer(mut options: &[u8]) -> bool {
    const PADDING: u8 = 0;
    const END: u8 = 255;
    const MESSAGE_TYPE: u8 = 53;
    const OFFER: u8 = 2;
    loop {
        options = match options {
            [] | [END, ..] | [_] => return false,
            [PADDING, rest @ ..] => rest,
            [MESSAGE_TYPE, 1, kind, ..] => return *kind == OFFER,
            [_, length, rest @ ..] => rest.get(usize::from(*length)..).unwrap_or_default(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1_000 + seconds)
    }

    #[test]
    fn four_rounds_are_heard_at_once_and_then_one_in_ten_seconds() {
        let mut offers = DhcpGuard::new(()).offers;
        let mut heard = Vec::new();
        for second in 0..40 {
            if offers.hear([second; 4], at(second.into())) {
                heard.push(second);
                assert!(offers.hear([second; 4], at(second.into())), "another server's");
            }
        }
        assert_eq!(heard, [0, 1, 2, 3, 13, 23, 33]);
    }

    #[test]
    fn a_minute_without_an_offer_is_the_end_of_it() {
        let mut offers = DhcpGuard::new(()).offers;
        let mut hear = |round, second| offers.hear([round; 4], at(second));
        assert!((1..5).all(|round| hear(round, 0)) && !hear(5, 0));
        assert!(!hear(6, 9) && hear(7, 59) && !hear(8, 60));
        assert!((9..13).all(|round| hear(round, 119)) && !hear(13, 119));
    }

    /// From a server to a client, with these options.
    fn frame(options: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 8 + 236 + 4];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        (frame[35], frame[37]) = (67, 68);
        frame[46..50].copy_from_slice(b"xids");
        frame.extend_from_slice(options);
        frame
    }

    #[test]
    fn offers_are_told_from_everything_else() {
        for (options, expected) in [
            (&[53, 1, 2, 255][..], true),
            (&[0, 0, 54, 4, 1, 2, 3, 4, 53, 1, 2], true),
            (&[53, 1, 5, 255], false),
            (&[53, 1, 6, 255], false),
            (&[255, 53, 1, 2], false),
            (&[53, 2, 2, 0], false),
            (&[61, 200, 53, 1, 2], false),
            (&[53], false),
            (&[53, 1], false),
            (&[0], false),
            (&[], false),
        ] {
            assert_eq!(offer(&frame(options)), expected.then_some(*b"xids"), "{options:?}");
        }
        let whole = frame(&[53, 1, 2, 255]);
        for (at, byte) in [(12, 0x86), (23, 6), (35, 53), (37, 67), (14, 0x4f)] {
            let mut other = whole.clone();
            other[at] = byte;
            assert_eq!(offer(&other), None, "{at}");
        }
        assert!((0..whole.len() - 1).all(|length| offer(&whole[..length]).is_none()));
    }
}
