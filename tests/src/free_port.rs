//! Ports for servers that have to be told one.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Below those that Linux hands out itself unless it is told others (32,768 and up), and macOS and Windows (49,152 and up).
const FIRST: u16 = 10_240;
const LAST: u16 = 32_767;
/// How long a listener may take to be noticed. Arbitrary: on loopback a port answers at once, or refuses.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A port of 127.0.0.1 that nobody listens at. As long as this lives, no other test is given it, in no process: the system does
/// not hand it out, and others that ask here see that it is taken.
#[derive(Debug)]
pub struct FreePort {
    number: u16,
    /// By which they see it: the port of the same number for datagrams.
    _taken: UdpSocket,
}

impl FreePort {
    /// Takes one.
    ///
    /// # Errors
    /// When all are taken.
    pub fn take() -> io::Result<Self> {
        // Each process begins somewhere else, and goes on from there.
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let all = u32::from(LAST - FIRST) + 1;
        let mut error = io::ErrorKind::AddrInUse.into();
        for _ in 0..all {
            let count = TAKEN.fetch_add(1, Ordering::Relaxed);
            let place = id().wrapping_mul(7_919).wrapping_add(count) % all;
            match Self::at(FIRST + u16::try_from(place).unwrap_or_default()) {
                Ok(port) => return Ok(port),
                Err(reason) => error = reason,
            }
        }
        Err(error)
    }

    fn at(number: u16) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
        let taken = UdpSocket::bind(address)?;
        // Nobody is to listen here, not even for a moment: a server could not, then.
        match TcpStream::connect_timeout(&address, ANSWER_MAX) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Ok(Self { number, _taken: taken })
            }
            _ => Err(io::ErrorKind::AddrInUse.into()),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_given_once_at_a_time_and_not_while_somebody_listens() {
        let ports: Vec<_> = (0..50).map(|_| FreePort::take().unwrap()).collect();
        for (n, port) in ports.iter().enumerate() {
            assert!((FIRST..=LAST).contains(&port.number()));
            assert!(ports[n + 1..].iter().all(|other| other.number() != port.number()));
            assert!(FreePort::at(port.number()).is_err());
        }
        let number = ports[0].number();
        let _server = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        let numbers: Vec<_> = ports.iter().map(FreePort::number).collect();
        drop(ports);
        assert!(FreePort::at(number).is_err());
        // Others may have taken some of them meanwhile, and not all.
        assert!(numbers[1..].iter().any(|number| FreePort::at(*number).is_ok()));
    }
}
