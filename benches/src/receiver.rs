//! A receiver in this process: one thread that blocks in `read`, for one connection.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use pilot_webhook_benches::Result;

/// Answers 204 to everything. Tells `arrived` of each request's first byte, and ends when that says
/// so or the sender goes; then the thread gives the state back.
pub(crate) fn serve<S: Send + 'static>(
    mut state: S,
    arrived: fn(&mut S) -> bool,
) -> Result<(SocketAddr, JoinHandle<io::Result<S>>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut buffer = [0; 4_096];
        loop {
            let mut length = stream.read(&mut buffer)?;
            let goes_on = length > 0 && arrived(&mut state);
            // The body ends with the second brace.
            while length > 0 && buffer.get(..length).is_some_and(|read| !read.ends_with(b"}}")) {
                match stream.read(buffer.get_mut(length..).unwrap_or_default())? {
                    0 => return Ok(state),
                    more => length += more,
                }
            }
            if length > 0 {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
            }
            if !goes_on {
                return Ok(state);
            }
        }
    });
    Ok((address, receiver))
}
