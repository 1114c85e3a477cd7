//! Ports for servers that have to be told one.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that systems hand out themselves: from 32,768 on Linux, and 49,152 elsewhere.
const FIRST: u16 = 10_240;
const LAST: u16 = 32_767;

/// A port of 127.0.0.1 that nobody listens at. No other test is given it as long as this lives: neither by this, nor by the
/// system, when it asks for any port.
#[derive(Debug)]
pub struct FreePort {
    number: u16,
    /// What other tests see that it is taken by: the port of the same number for datagrams.
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
            let number = FIRST + u16::try_from(place).unwrap_or_default();
            let address = (Ipv4Addr::LOCALHOST, number);
            match UdpSocket::bind(address)
                .and_then(|taken| Ok((taken, TcpListener::bind(address)?)))
            {
                Ok((taken, _)) => return Ok(Self { number, _taken: taken }),
                Err(reason) => error = reason,
            }
        }
        Err(error)
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_at_a_time_and_not_while_somebody_listens() {
        let ports: Vec<_> = (0..50).map(|_| FreePort::take().unwrap()).collect();
        for (n, port) in ports.iter().enumerate() {
            assert!((FIRST..=LAST).contains(&port.number()));
            assert!(ports[n + 1..].iter().all(|other| other.number() != port.number()));
            // A server can listen there.
            TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).unwrap();
        }
    }
}
