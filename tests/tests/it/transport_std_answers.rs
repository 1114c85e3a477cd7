//! What the std transports keep of a receiver's answer, for people.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use pilot_webhook_core::EndpointBuf;
use pilot_webhook_std::{
    Client, HttpConfig, HttpTransport, Message, Notice, Policy, ReqwestTransport, SendTransport,
};
use pilot_webhook_tests::{Act, Server};

type To = EndpointBuf<128>;

/// What each transport has of the answer to a request, of at most so many bytes.
async fn answers(wanted: usize, answer: &[Act]) -> [String; 2] {
    let shared = HttpConfig::new().system_roots(false).answers(wanted).build().unwrap();
    let own = answer_over(HttpTransport::new(&shared), answer).await;
    let reqwest = answer_over(ReqwestTransport::new(&shared), answer).await;
    [own, reqwest]
}

async fn answer_over(mut transport: impl SendTransport<To>, answer: &[Act]) -> String {
    let script = [&[Act::Read], answer].concat();
    let server = Server::start(vec![script], None).await;
    let url = format!("http://{}/", server.address());
    let endpoint = To::parse(&url, Policy::default()).unwrap();
    assert!(transport.send(&endpoint, &Message::new(&[], b"{}")).await.is_ok());
    String::from_utf8_lossy(transport.answer()).into_owned()
}

fn send(text: &str) -> Act {
    Act::Send(text.into())
}

/// Sends the first part at once, and the other one after it, byte by byte.
fn late(first: &str, then: &str) -> Vec<Act> {
    vec![send(first), Act::Drip(then.into(), Duration::from_millis(1))]
}

#[tokio::test]
async fn the_beginning_of_a_failure_s_body_is_kept_however_it_comes() {
    let whole = send("HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\nbad luck");
    let chunked = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad";
    let ended = "HTTP/1.0 404 No\r\nConnection: close\r\n\r\nbad ";
    for script in [
        vec![whole],
        late("HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\n", "bad luck"),
        late(chunked, "\r\n5\r\n luck\r\n0\r\n\r\n"),
        [late(ended, "luck"), vec![Act::Close]].concat(),
        // Longer than what is read of a body.
        vec![send("HTTP/1.1 500 No\r\nContent-Length: 99999\r\n\r\nbad luck"), Act::Close],
    ] {
        assert_eq!(answers(2_048, &script).await, ["bad luck"; 2], "{script:?}");
        assert_eq!(answers(3, &script).await, ["bad"; 2], "{script:?}");
        assert_eq!(answers(0, &script).await, [""; 2], "{script:?}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_and_not_for_long() {
    let script = [send("HTTP/1.1 500 No\r\nContent-Length: 8\r\n\r\nbad"), Act::Hold];
    let begin = Instant::now();
    assert_eq!(answers(2_048, &script).await, ["bad"; 2]);
    assert!(begin.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_client_tells_each_attempt_with_its_answer() {
    let script = [
        Act::Read,
        send("HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad"),
        Act::Read,
        send("HTTP/1.1 204 OK\r\n\r\n"),
    ];
    let (first, second) = script.split_at(2);
    let server = Server::start(vec![first.into(), [second, second].concat()], None).await;
    let (tell, told) = mpsc::channel();
    let client = Client::builder(format!("http://{}/", server.address()))
        .answers(2_048)
        .retry_backoff(Duration::from_millis(1))
        .on_notice(move |notice| {
            if let Notice::Attempt { attempt, message, contents, took, ended, answer, .. } = notice
            {
                let first = contents.iter().next().unwrap();
                let topic = first.topic.as_str().to_owned();
                let body = String::from_utf8_lossy(message.body).into_owned();
                let age = ended.seconds() - first.timestamp.seconds();
                tell.send((*attempt, topic, body, age, *took, answer.to_vec())).unwrap();
            }
        })
        .build()
        .unwrap();
    client.emit("a.b", &7).unwrap();
    client.drained().await;
    let connections = client.connections();
    assert_eq!((connections.made, connections.reused, connections.open), (2, 0, 1));
    client.emit("a.b", &8).unwrap();
    assert!(client.backlog().bytes > 32 && client.backlog().oldest.is_some());
    client.drained().await;
    assert_eq!((client.backlog().bytes, client.backlog().oldest), (0, None));
    client.close().await;
    let connections = client.connections();
    assert_eq!((connections.made, connections.reused, connections.open), (2, 1, 0));
    let [first, second, _] = told.try_iter().collect::<Vec<_>>().try_into().unwrap();
    let (attempt, topic, body, age, took, answer) = first;
    assert_eq!((attempt, &*topic, &*answer), (1, "\"a.b\"", &b"bad"[..]));
    assert!(body.ends_with(r#""data":7}"#) && (0..5).contains(&age));
    assert!(took > Duration::ZERO && took < Duration::from_secs(5), "{took:?}");
    assert_eq!((second.0, second.2 == body, second.5), (2, true, vec![]));
}
