//! A client that is closed outside of a tokio runtime, as from the main thread of a program that is not async.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pilot_webhook_std::Client;
use tokio::runtime::Runtime;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls on this thread, which is in no runtime.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn client(runtime: &Runtime, listener: &TcpListener, drain: Duration) -> Client {
    let _context = runtime.enter();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    Client::builder(url).drain_timeout(drain).build().unwrap()
}

/// It panicked: there was no timer.
#[test]
fn a_close_outside_of_a_runtime_drains() {
    let runtime = Runtime::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(&runtime, &listener, Duration::from_secs(60));
    client.emit("t", &1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let mut piece = [0; 512];
                let read = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..read]);
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        wait(client.close());
    });
    assert_eq!(client.stats().delivered, 1);
    // Again, and nothing is left to wait for.
    wait(client.close());
}

#[test]
fn a_close_after_the_end_of_the_runtime_ends() {
    let runtime = Runtime::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(&runtime, &listener, Duration::from_millis(50));
    client.emit("t", &1).unwrap();
    drop(runtime);
    let start = Instant::now();
    wait(client.close());
    assert!(start.elapsed() < Duration::from_secs(30));
    let stats = client.stats();
    assert!(stats.is_balanced(), "{stats:?}");
}
