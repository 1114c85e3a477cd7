//! One query to an SNTP server, and its answer.

use core::net::SocketAddr;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpAddress, IpEndpoint, Stack};
use embassy_time::{Duration, Instant, with_timeout};
use sntpc::{
    NtpContext, NtpResult, NtpTimestampGenerator, NtpUdpSocket, SendRequestResult,
    sntp_process_response, sntp_send_request,
};

use super::error::SntpError;

const MICROS: u64 = 1_000_000;
/// How far a question's time is from the truth at most, in bits of microseconds: nine years. The
/// answer's era is the one nearest to the question's time, which must not be off by 68 years.
const NONCE_BITS: u32 = 48;

/// The parameters of a query.
pub(super) struct Query {
    /// Microseconds since 1970 that no right time is before.
    pub(super) earliest: u64,
    /// Unpredictable; it identifies the query.
    pub(super) nonce: u64,
    /// The longest the answer may take.
    pub(super) timeout: Duration,
}

impl Query {
    /// Asks `server`, and returns how far the Unix time is ahead of the time since boot, both in
    /// microseconds.
    pub(super) async fn ask(
        &self,
        stack: Stack<'_>,
        server: (IpAddress, u16),
    ) -> Result<i64, SntpError> {
        let (mut rx_meta, mut tx_meta) = ([PacketMetadata::EMPTY; 2], [PacketMetadata::EMPTY; 1]);
        let (mut rx, mut tx) = ([0; 128], [0; 48]);
        let mut socket = UdpSocket::new(stack, &mut rx_meta, &mut rx, &mut tx_meta, &mut tx);
        // A port that changes with each question.
        socket.bind(0).map_err(|_| SntpError::Network)?;
        let socket = Socket { socket, server: IpEndpoint::new(server.0, server.1) };
        let context = NtpContext::new(QueryClock::new(self.earliest, self.nonce));
        let server = SocketAddr::new(server.0.into(), server.1);

        let mut unasked = false;
        let answer = async {
            let sent = sntp_send_request(server, &socket, context).await?;
            loop {
                match self.answer(&socket, server, context, sent).await {
                    // Any host can send these; the answer may still come.
                    Err(SntpError::Unasked) => unasked = true,
                    answer => return answer,
                }
            }
        };
        match with_timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) if unasked => Err(SntpError::Unasked),
            Err(_) => Err(SntpError::Timeout),
        }
    }

    async fn answer(
        &self,
        socket: &Socket<'_>,
        server: SocketAddr,
        context: NtpContext<QueryClock>,
        sent: SendRequestResult,
    ) -> Result<i64, SntpError> {
        let answer = sntp_process_response(server, socket, context, sent).await?;
        let ahead = context.timestamp_gen.base.cast_signed().saturating_add(answer.offset());
        let unix = ahead.saturating_add_unsigned(Instant::now().as_micros());
        self.check(&answer, unix)?;
        Ok(ahead)
    }

    /// Checks the time that comes of the four stamps of question and answer.
    fn check(&self, answer: &NtpResult, unix: i64) -> Result<(), SntpError> {
        // It was between question and answer that the server looked at its clock, so its two
        // looks agree. Some leave the first one out.
        let slack = (self.timeout.as_micros() / MICROS).saturating_add(1);
        if answer.sec().abs_diff(unix.cast_unsigned() / MICROS) > slack {
            return Err(SntpError::Unfit);
        }
        if unix.cast_unsigned() < self.earliest {
            return Err(SntpError::TooEarly);
        }
        Ok(())
    }
}

/// The clock that a question and its answer are stamped with: right in its rate, and from a random
/// start. An answer must repeat the stamp of the query, so the stamp must be unpredictable; and it does not
/// reveal the node's time (draft-ietf-ntp-data-minimization).
#[derive(Clone, Copy)]
struct QueryClock {
    /// Its time when the node booted.
    base: u64,
    now: u64,
}

impl QueryClock {
    const fn new(earliest: u64, nonce: u64) -> Self {
        let base = earliest.saturating_add(nonce >> (u64::BITS - NONCE_BITS));
        Self { base, now: base }
    }
}

impl NtpTimestampGenerator for QueryClock {
    fn init(&mut self) {
        self.now = self.base.saturating_add(Instant::now().as_micros());
    }

    fn timestamp_sec(&self) -> u64 {
        self.now / MICROS
    }

    #[allow(clippy::cast_possible_truncation, reason = "a million fits")]
    fn timestamp_subsec_micros(&self) -> u32 {
        (self.now % MICROS) as u32
    }
}

/// embassy-net's socket as sntpc wants it.
struct Socket<'a> {
    socket: UdpSocket<'a>,
    server: IpEndpoint,
}

impl NtpUdpSocket for Socket<'_> {
    /// To the server, which is the only address that there is to send to.
    async fn send_to(&self, buf: &[u8], _server: SocketAddr) -> sntpc::Result<usize> {
        let sent = self.socket.send_to(buf, self.server).await;
        sent.map(|()| buf.len()).map_err(|_| sntpc::Error::Network)
    }

    async fn recv_from(&self, buf: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        // A longer datagram is no answer, as no extensions were asked for.
        let received = self.socket.recv_from(buf).await;
        let (length, meta) = received.map_err(|_| sntpc::Error::IncorrectPayload)?;
        Ok((length, meta.endpoint.into()))
    }
}
