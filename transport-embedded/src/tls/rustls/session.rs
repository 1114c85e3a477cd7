//! The one connection over rustls: bytes between the socket, the two lent buffers and rustls, which
//! works in memory only.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use embassy_futures::poll_once;
use embedded_io_async::{ErrorKind as IoKind, Read, Write};
use pki_types::ServerName;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ClientConfig, HandshakeKind};

use super::explain::explain;
use super::tickets::Tickets;
use crate::tls::failure::{Limit, TlsFailure};
use crate::wire::Wire;

/// What a record adds to its text: header, content type and tag.
const OVERHEAD: usize = 5 + 1 + 16;

/// At most one connection, and the buffers of all of them.
pub(crate) struct Session<'b, S> {
    connection: Option<Connection<'b, S>>,
    buffers: Option<Buffers<'b>>,
    /// Why the connection became unusable.
    failure: Cell<Option<TlsFailure>>,
}

struct Buffers<'b> {
    /// What the server sent and rustls has not used up.
    rx: &'b mut [u8],
    received: usize,
    /// What is to be sent: `tx[sent..queued]`.
    tx: &'b mut [u8],
    sent: usize,
    queued: usize,
}

struct Connection<'b, S> {
    wire: Wire<'b, S>,
    tls: Box<UnbufferedClientConnection>,
    tickets: Arc<Tickets>,
    received: Received,
}

/// Where rustls has come to.
#[derive(PartialEq, Eq)]
enum Step {
    /// The queue is to be sent.
    Send,
    /// It needs more from the server; the handshake is not over.
    Handshake,
    /// The handshake is over. This many bytes of the given text were put into the queue.
    Traffic(usize),
    /// There is text to be read, or its end.
    Text,
}

impl<'b, S: Read + Write> Session<'b, S> {
    pub(crate) const fn new() -> Self {
        Self { connection: None, buffers: None, failure: Cell::new(None) }
    }

    /// Takes over the buffers, and closes the connection that used the ones before.
    pub(super) fn set_buffers(&mut self, rx: &'b mut [u8], tx: &'b mut [u8]) {
        self.close();
        self.buffers = Some(Buffers { rx, received: 0, tx, sent: 0, queued: 0 });
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Drops the connection, and what was found about it.
    pub(crate) fn close(&mut self) {
        self.connection = None;
        self.failure.set(None);
    }

    /// Whether a record has begun and not ended. No byte of it is lost when a read is dropped.
    pub(crate) const fn is_in_record(&self) -> bool {
        match &self.buffers {
            Some(buffers) => buffers.received > 0,
            None => false,
        }
    }

    /// Takes the TLS failure that made the connection unusable, if there is one.
    pub(crate) fn take_failure(&self) -> Option<TlsFailure> {
        self.failure.take()
    }

    /// Starts a new connection and does the handshake. Dropped before its end, it leaves a connection
    /// that must be closed.
    pub(super) async fn open(
        &mut self,
        wire: Wire<'b, S>,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        tickets: Arc<Tickets>,
    ) -> Result<HandshakeKind, TlsFailure> {
        self.close();
        let buffers = self.buffers.as_mut().ok_or(Limit::SendBuffer)?;
        (buffers.received, buffers.sent, buffers.queued) = (0, 0, 0);
        let meter = wire.meter();
        let begin = || match UnbufferedClientConnection::new(config.clone(), name.clone()) {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(explain(&error)),
        };
        let received = Received { text: Vec::new(), read: 0, is_ended: false };
        let connection = Connection { wire, tls: begin()?, tickets, received };
        let connection = self.connection.insert(connection);
        let mut step = connection.step(buffers, &[]);
        if step == Err(Limit::SendBuffer.into()) {
            // With a ticket the hello is too long. The ticket is used up by that.
            connection.tls = begin()?;
            step = connection.step(buffers, &[]);
        }
        let opened = loop {
            match step {
                Ok(Step::Traffic(_) | Step::Text) => {
                    break connection.tls.handshake_kind().ok_or(TlsFailure::Malformed);
                }
                Ok(Step::Send) => {
                    if connection.send(buffers).await.is_err() {
                        break Err(TlsFailure::Closed);
                    }
                }
                Ok(Step::Handshake) => match connection.receive(buffers).await {
                    Ok(1..) => {}
                    Err(Ended::Full(limit)) => break Err(limit.into()),
                    Ok(0) | Err(Ended::Io(_)) => break Err(TlsFailure::Closed),
                },
                Err(failure) => break Err(failure),
            }
            step = connection.step(buffers, &[]);
        };
        if opened.is_err() {
            connection.say_why(buffers);
        }
        opened.map_err(|failure| match failure {
            TlsFailure::Closed if meter.is_exhausted() => TlsFailure::TooLong,
            failure => failure,
        })
    }

    /// Reads text; 0 at its end. Cancel-safe.
    pub(crate) async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoKind> {
        let (connection, buffers) = parts(&mut self.connection, &mut self.buffers)?;
        let failure = loop {
            if let Some(length) = connection.received.read(buf) {
                return Ok(length);
            }
            match connection.step(buffers, &[]) {
                Ok(Step::Text) => {}
                Ok(Step::Send) => connection.send(buffers).await?,
                Ok(Step::Handshake | Step::Traffic(_)) => match connection.receive(buffers).await {
                    Ok(0) => return Ok(0),
                    Ok(_) => {}
                    Err(Ended::Io(kind)) => return Err(kind),
                    Err(Ended::Full(limit)) => break limit.into(),
                },
                Err(failure) => break failure,
            }
        };
        connection.say_why(buffers);
        self.failure.set(Some(failure));
        Err(IoKind::InvalidData)
    }

    /// Sends a part of `buf`, as much as the buffer holds; returns its length.
    pub(crate) async fn write(&mut self, buf: &[u8]) -> Result<usize, IoKind> {
        let (connection, buffers) = parts(&mut self.connection, &mut self.buffers)?;
        loop {
            match connection.step(buffers, buf) {
                Ok(Step::Traffic(length)) => {
                    connection.send(buffers).await?;
                    return Ok(length);
                }
                Ok(Step::Send) => connection.send(buffers).await?,
                Ok(Step::Text) => {}
                Ok(Step::Handshake) => return Err(IoKind::NotConnected),
                Err(failure) => {
                    self.failure.set(Some(failure));
                    return Err(IoKind::InvalidData);
                }
            }
        }
    }

    pub(crate) async fn flush(&mut self) -> Result<(), IoKind> {
        let (connection, _) = parts(&mut self.connection, &mut self.buffers)?;
        connection.wire.flush().await
    }
}

/// The connection and its buffers, if there is one.
fn parts<'s, 'b, S>(
    connection: &'s mut Option<Connection<'b, S>>,
    buffers: &'s mut Option<Buffers<'b>>,
) -> Result<(&'s mut Connection<'b, S>, &'s mut Buffers<'b>), IoKind> {
    connection.as_mut().zip(buffers.as_mut()).ok_or(IoKind::NotConnected)
}

/// Why nothing was received.
enum Ended {
    Io(IoKind),
    /// There is no room for the rest of a record or a message.
    Full(Limit),
}

impl<S: Read + Write> Connection<'_, S> {
    /// Lets rustls work on what was received, and on text to be sent, until it comes to something.
    fn step(&mut self, buffers: &mut Buffers<'_>, text: &[u8]) -> Result<Step, TlsFailure> {
        loop {
            if let Some(step) = self.advance(buffers, text)? {
                return Ok(step);
            }
        }
    }

    /// Lets rustls do one thing. `None`: there is more to do.
    fn advance(
        &mut self,
        buffers: &mut Buffers<'_>,
        text: &[u8],
    ) -> Result<Option<Step>, TlsFailure> {
        let Buffers { rx, received, tx, sent, queued } = buffers;
        self.tickets.reading(longest_record(rx.get(..*received).unwrap_or_default()) <= tx.len());
        let UnbufferedStatus { discard, state } =
            self.tls.process_tls_records(rx.get_mut(..*received).unwrap_or_default());
        let queue = Queue { tx, is_empty: sent == queued, end: queued };
        let step = match state {
            Ok(state) => self.received.take(state, queue, text),
            Err(error) => Err(explain(&error)),
        };
        rx.copy_within(discard..*received, 0);
        *received -= discard;
        step
    }

    /// Sends the queue. Cancel-safe.
    async fn send(&mut self, buffers: &mut Buffers<'_>) -> Result<(), IoKind> {
        while let Some(queue) = buffers.tx.get(buffers.sent..buffers.queued)
            && !queue.is_empty()
        {
            buffers.sent += self.wire.write(queue).await?;
        }
        (buffers.sent, buffers.queued) = (0, 0);
        self.wire.flush().await
    }

    /// Receives some bytes, or 0 at the end. Cancel-safe.
    async fn receive(&mut self, buffers: &mut Buffers<'_>) -> Result<usize, Ended> {
        let Buffers { rx, received, .. } = buffers;
        if *received == rx.len() {
            return Err(Ended::Full(too_large(rx)));
        }
        let room = rx.get_mut(*received..).unwrap_or_default();
        let length = self.wire.read(room).await.map_err(Ended::Io)?;
        *received += length;
        Ok(length)
    }

    /// Sends the alert that rustls has for a server that it gave up, if the socket takes it at once.
    fn say_why(&mut self, buffers: &mut Buffers<'_>) {
        // Once and no more: after the alert rustls would look at what it has refused again, and panic.
        if self.tls.wants_write() && self.advance(buffers, &[]).is_ok() {
            let _ = poll_once(self.send(buffers));
        }
    }
}

/// The end of the queue of what is to be sent.
struct Queue<'q> {
    tx: &'q mut [u8],
    is_empty: bool,
    end: &'q mut usize,
}

/// Text that was decrypted and not read yet.
struct Received {
    text: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// The server has said that it sends no more.
    is_ended: bool,
}

impl Received {
    fn rest(&self) -> &[u8] {
        self.text.get(self.read..).unwrap_or_default()
    }

    /// Reads text; `None` if there is none yet, 0 at its end.
    fn read(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = self.rest();
        if rest.is_empty() {
            return self.is_ended.then_some(0);
        }
        let length = rest.len().min(buf.len());
        buf.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
        self.read += length;
        if self.rest().is_empty() {
            (self.text, self.read) = (Vec::new(), 0);
        }
        Some(length)
    }

    /// Does what rustls is ready for. `None`: there is more to do.
    fn take(
        &mut self,
        state: ConnectionState<'_, '_, ClientConnectionData>,
        queue: Queue<'_>,
        text: &[u8],
    ) -> Result<Option<Step>, TlsFailure> {
        let Queue { tx, is_empty, end } = queue;
        let room = tx.get_mut(*end..).unwrap_or_default();
        Ok(Some(match state {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.map_err(|error| explain(&error))?;
                    self.text.reserve_exact(record.payload.len());
                    self.text.extend_from_slice(record.payload);
                }
                Step::Text
            }
            ConnectionState::EncodeTlsData(mut data) => {
                *end += data.encode(room).map_err(|_| Limit::SendBuffer)?;
                return Ok(None);
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                Step::Send
            }
            ConnectionState::PeerClosed | ConnectionState::Closed => {
                self.is_ended = true;
                Step::Text
            }
            ConnectionState::BlockedHandshake => Step::Handshake,
            ConnectionState::WriteTraffic(_) if !is_empty => Step::Send,
            ConnectionState::WriteTraffic(_) if text.is_empty() => Step::Traffic(0),
            ConnectionState::WriteTraffic(mut traffic) => {
                let length = text.len().min(room.len().saturating_sub(OVERHEAD));
                let part = text.get(..length).filter(|part| !part.is_empty());
                *end += traffic
                    .encrypt(part.ok_or(Limit::SendBuffer)?, room)
                    .map_err(|_| Limit::SendBuffer)?;
                Step::Traffic(length)
            }
            // Early data is for servers.
            _ => return Err(TlsFailure::Malformed),
        }))
    }
}

/// The length of the longest of these records.
fn longest_record(mut records: &[u8]) -> usize {
    let mut longest = 0;
    while let [_, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        longest = longest.max(length);
        records = rest.get(length..).unwrap_or_default();
    }
    longest
}

/// What does not fit into a full buffer: the record at its front, or a message in several records.
fn too_large(rx: &[u8]) -> Limit {
    let length = match rx {
        [_, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    if usize::from(length) + 5 > rx.len() {
        Limit::RecordTooLarge(length)
    } else {
        Limit::MessageTooLarge
    }
}
