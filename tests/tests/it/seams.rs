//! A format, a signer and a transport of the user's own, which have nothing to do with HTTP: events go as
//! datagrams over loopback, and each is answered with a byte.

use std::net::SocketAddr;
use std::time::Duration;

use pilot_webhook_core::{
    Bound, EncodeError, ErrorKind, Events, Format, Headers, Json, Message, Reply, SendTransport,
    Signer, Stats, Text, ToSign, Verdict, Writer,
};
use pilot_webhook_std::{Client, ClientBuilder};
use tokio::net::UdpSocket;

/// `id topic "data as a JSON string"`, a line for each event.
struct Lines;

impl Format for Lines {
    fn bound(&self) -> Bound {
        // An id, two spaces, quotes and the line's end. A byte of data may need a backslash.
        Bound { message: 0, event: 20 + 2 + 2 + 1, factor: 2 }
    }

    fn encode(&self, events: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        for event in events.iter() {
            out.integer(event.id)?;
            out.push(b" ")?;
            out.push(event.topic.as_bytes())?;
            out.push(b" ")?;
            out.string(event.data.map_or("", Text::as_str))?;
            out.push(b"\n")?;
        }
        Ok(())
    }

    fn headers<'h>(&'h self, events: &Events<'_>, headers: &mut Headers<'h>) {
        headers.push("kind", "lines");
        headers.format("count", events.iter().count());
    }
}

/// Says when it signed, and over how many bytes.
struct Clerk;

impl Signer for Clerk {
    fn sign(&self, message: &ToSign<'_>, headers: &mut Headers<'_>) {
        assert!(message.time().seconds() > 0);
        headers.format("signed", format_args!("{} {}", message.id, message.body.len()));
    }
}

/// A datagram with the topic, the headers and the body. `+` is yes.
#[derive(Default)]
struct Datagrams(Option<UdpSocket>);

impl SendTransport<SocketAddr> for Datagrams {
    type Error = ErrorKind;

    async fn send(&mut self, to: &SocketAddr, message: &Message<'_>) -> Result<Reply, ErrorKind> {
        let failed = |_| ErrorKind::Connect;
        let socket = match self.0.take() {
            Some(socket) if !message.fresh => socket,
            _ => UdpSocket::bind("127.0.0.1:0").await.map_err(failed)?,
        };
        let headers = message.headers.iter().map(|(name, value)| format!("{name}={value}\n"));
        let mut text = format!("to {}, attempt {}\n", message.topic.as_str(), message.attempt);
        text.extend(headers);
        let datagram = [text.as_bytes(), message.body].concat();
        socket.send_to(&datagram, to).await.map_err(failed)?;
        let mut answer = [0];
        socket.recv_from(&mut answer).await.map_err(failed)?;
        self.0 = Some(socket);
        let verdict = if answer == *b"+" { Verdict::Accepted } else { Verdict::Later(None) };
        Ok(Reply { verdict, code: answer[0].into() })
    }
}

/// Takes so many datagrams, and says no to the first.
async fn receive(socket: &UdpSocket, count: usize) -> Vec<String> {
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; 65_536];
    while datagrams.len() < count {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let answer = if datagrams.is_empty() { b"-" } else { b"+" };
        datagrams.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        socket.send_to(answer, from).await.unwrap();
    }
    datagrams
}

async fn delivered(batch: u16, emit: impl Fn(&Client<SocketAddr>)) -> (Vec<String>, Stats) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = ClientBuilder::with_transport(Datagrams::default, socket.local_addr().ok())
        .node_id(7)
        .format(Lines)
        .signer(Clerk)
        .secret(b"key")
        .batch(batch)
        .batch_delay(Duration::from_millis(if batch > 1 { 200 } else { 0 }))
        .max_event_bytes(1_000)
        .retry_backoff(Duration::from_millis(1))
        .build()
        .unwrap();
    emit(&client);
    let datagrams = receive(&socket, 2).await;
    client.drained().await;
    client.close().await;
    (datagrams, client.stats())
}

#[tokio::test]
async fn an_event_goes_out_in_a_format_of_ones_own_signed_twice() {
    let data = Json(r#"{"a":"\"\\"}"#);
    let (datagrams, stats) = delivered(1, |client| {
        client.emit("x.y", &data).unwrap();
    })
    .await;
    assert!(stats.is_balanced());
    assert_eq!((stats.delivered, stats.attempts), (1, 2));
    let [first, second] = &datagrams[..] else { panic!("{datagrams:?}") };
    assert!(first.starts_with("to x.y, attempt 1\nkind=lines\ncount=1\nX-Pilot-Signature-256="));
    assert!(second.starts_with("to x.y, attempt 2\n"), "{second}");
    let body = format!("1 \"x.y\" {}\n", serde_json::to_string(data.0).unwrap());
    assert!(first.ends_with(&body), "{first}");
    let signed = first.lines().find_map(|line| line.strip_prefix("signed=")).unwrap();
    let (id, length) = signed.split_once(' ').unwrap();
    assert!(id.starts_with("7-") && id.ends_with("-1"), "{id}");
    assert_eq!(length.parse(), Ok(body.len()));
}

#[tokio::test]
async fn a_batch_goes_out_in_a_format_of_ones_own() {
    let (datagrams, stats) = delivered(2, |client| {
        client.emit("x", &()).unwrap();
        client.emit("y", &2).unwrap();
    })
    .await;
    assert_eq!((stats.delivered, stats.attempts), (2, 2));
    assert!(datagrams[1].ends_with("1 \"x\" \"\"\n2 \"y\" \"2\"\n"), "{datagrams:?}");
}

/// What its author got wrong is neither sent short nor kept for ever.
#[tokio::test]
async fn a_format_that_breaks_its_bound_is_told_so() {
    struct Liar;
    impl Format for Liar {
        fn bound(&self) -> Bound {
            Bound { message: 0, event: 0, factor: 0 }
        }

        fn encode(&self, _: &Events<'_>, out: &mut Writer<'_>) -> Result<(), EncodeError> {
            out.push(&[b'x'; 100])
        }

        fn headers<'h>(&'h self, _: &Events<'_>, _: &mut Headers<'h>) {}
    }
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let client = ClientBuilder::with_transport(Datagrams::default, Some(nowhere))
        .format(Liar)
        .max_event_bytes(50)
        .build()
        .unwrap();
    client.emit("x", &()).unwrap();
    client.drained().await;
    let stats = client.stats();
    assert_eq!((stats.oversize, stats.attempts), (1, 0));
    assert!(stats.is_balanced());
    client.close().await;
}

/// A header that is too long for its room ends the message in the same way.
#[tokio::test]
async fn headers_that_do_not_fit_are_told() {
    struct Long;
    impl Signer for Long {
        fn sign(&self, _: &ToSign<'_>, headers: &mut Headers<'_>) {
            headers.format("long", "x".repeat(10_000));
        }
    }
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let client = ClientBuilder::with_transport(Datagrams::default, Some(nowhere))
        .signer(Long)
        .build()
        .unwrap();
    client.emit("x", &()).unwrap();
    client.drained().await;
    assert_eq!((client.stats().oversize, client.stats().attempts), (1, 0));
    client.close().await;
}
