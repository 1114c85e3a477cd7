//! Bodies that are compressed, as a format around another one: so what is signed is the body as it is sent.

use std::cell::RefCell;
use std::io::Write as _;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use flate2::Compression;
use flate2::write::GzEncoder;
use pilot_webhook_core::{Bound, EncodeError, Events, Format, Headers, Writer};

use crate::http::GZIP;

/// Compresses the bodies of another format that are longer than `over` bytes, where that makes them shorter. The transport
/// knows them by how they begin, and adds `Content-Encoding`.
pub(crate) struct GzipFormat {
    pub(crate) inner: Arc<dyn Format + Send>,
    pub(crate) over: usize,
    /// The endpoint does not take such bodies.
    pub(crate) refused: Arc<AtomicBool>,
}

thread_local! {
    /// The body as it is, and compressed. Kept for their memory.
    static KEPT: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

impl Format for GzipFormat {
    /// What does not get shorter is sent as it is.
    fn bound(&self) -> Bound {
        self.inner.bound()
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        let bound = self.bound();
        let (mut count, mut texts) = (0, 0);
        for event in events.iter() {
            count += 1;
            texts +=
                event.topic.as_bytes().len() + event.data.map_or(0, |data| data.as_bytes().len());
        }
        let longest = bound.body(count, texts);
        if longest <= self.over || self.refused.load(Relaxed) {
            return self.inner.encode(events, out);
        }
        KEPT.with_borrow_mut(|(plain, packed)| {
            plain.resize(plain.len().max(longest), 0);
            let mut body = Writer::new(&mut plain[..longest]);
            self.inner.encode(events, &mut body)?;
            let body = body.finish();
            if body.len() > self.over && pack(body, packed) && packed.len() < body.len() {
                return out.push(packed);
            }
            out.push(body)
        })
    }

    fn headers<'h>(&'h self, events: &Events<'h>, headers: &mut Headers<'h>) {
        self.inner.headers(events, headers);
    }

    fn has_batches(&self) -> bool {
        self.inner.has_batches()
    }
}

/// Writes `body` to `packed`, compressed; whether that worked.
fn pack(body: &[u8], packed: &mut Vec<u8>) -> bool {
    packed.clear();
    let mut encoder = GzEncoder::new(mem::take(packed), Compression::fast());
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.is_ok_and(|whole| {
        *packed = whole;
        packed.starts_with(&GZIP)
    })
}
