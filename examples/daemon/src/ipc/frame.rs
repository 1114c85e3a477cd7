//! The wire format: a big-endian u32 length, then that many bytes, the first of them the command.
//!
//! Empty frames hold no command and are ignored, as pilot does. Memory grows with the bytes received, never
//! with an announced length.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// The longest frame, without its length. Pilot's own limit.
pub const FRAME_MAX: usize = 1024 * 1024;
/// How much room is made at a time. Arbitrary: every frame that makes sense is shorter.
const STEP: usize = 4 * 1024;

/// One message. Its Debug form shows no payload: URLs are often secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The command byte.
    pub command: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, payload } = self;
        write!(f, "Frame({command:#04X}, {} bytes)", payload.len())
    }
}

/// Why no frame was read or written. The connection is unusable then, since the beginning of the next
/// frame is unknown.
#[derive(Debug)]
pub enum FrameError {
    /// More than [`FRAME_MAX`] bytes.
    TooLong(usize),
    /// The end of the stream came inside a frame.
    Cut,
    /// The peer stalled inside a frame.
    Stalled,
    /// The stream failed.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "a frame of {length} bytes: the most is {FRAME_MAX}")
            }
            Self::Cut => f.write_str("the connection ended inside a frame"),
            Self::Stalled => f.write_str("the other side stalled inside a frame"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Frame {
    /// The bytes on the wire.
    ///
    /// # Errors
    /// When it is too long.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let body = 1 + self.payload.len();
        let length = u32::try_from(body).ok().filter(|_| body <= FRAME_MAX);
        let length = length.ok_or(FrameError::TooLong(body))?;
        let mut bytes = Vec::with_capacity(4 + body);
        bytes.extend(length.to_be_bytes());
        bytes.push(self.command);
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }

    /// Writes the frame whole, in at most `limit`.
    ///
    /// # Errors
    /// When it is too long, or the other side takes it too slowly or not at all.
    pub async fn write(
        &self,
        sink: &mut (impl AsyncWrite + Unpin),
        limit: Duration,
    ) -> Result<(), FrameError> {
        let bytes = self.encode()?;
        let written = async {
            sink.write_all(&bytes).await?;
            sink.flush().await
        };
        Ok(timeout(limit, written).await.map_err(|_| FrameError::Stalled)??)
    }
}

/// Reads frames, whether they arrive in pieces or several at once.
pub struct Frames<R> {
    source: R,
    stall: Duration,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// `stall` is the longest wait for the next byte inside a frame. Between frames there is no
    /// limit.
    pub const fn new(source: R, stall: Duration) -> Self {
        Self { source, stall }
    }

    /// The next frame that holds a command; `None` when the stream ended between two frames.
    ///
    /// # Errors
    /// When the bytes are no frame, or do not come; there is no frame after that.
    pub async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some(length) = self.length().await? else { return Ok(None) };
            if length > FRAME_MAX {
                return Err(FrameError::TooLong(length));
            }
            if length > 0 {
                let mut command = [0];
                self.fill(&mut command).await?;
                let payload = self.payload(length - 1).await?;
                return Ok(Some(Frame { command: command[0], payload }));
            }
        }
    }

    async fn length(&mut self) -> Result<Option<usize>, FrameError> {
        let mut length = [0; 4];
        // The one place where waiting is free.
        let first = self.source.read(&mut length).await?;
        if first == 0 {
            return Ok(None);
        }
        self.fill(&mut length[first..]).await?;
        let length = u32::from_be_bytes(length);
        Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
    }

    async fn payload(&mut self, length: usize) -> Result<Vec<u8>, FrameError> {
        let mut payload = Vec::new();
        while payload.len() < length {
            let start = payload.len();
            payload.resize(length.min(start + STEP), 0);
            self.fill(&mut payload[start..]).await?;
        }
        Ok(payload)
    }

    async fn fill(&mut self, mut room: &mut [u8]) -> Result<(), FrameError> {
        while !room.is_empty() {
            let read = timeout(self.stall, self.source.read(room)).await;
            match read.map_err(|_| FrameError::Stalled)?? {
                0 => return Err(FrameError::Cut),
                count => room = &mut room[count..],
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
