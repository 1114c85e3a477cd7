//! The official library reads what is sent, from a real socket: every captured event, in each format.

use std::time::Duration;

use cloudevents::binding::http::to_event;
use cloudevents::{AttributesReader as _, Data, Event as CloudEvent};
use http::{HeaderMap, HeaderName, HeaderValue};
use pilot_webhook_core::{
    CloudEvents, CloudEventsBinaryFormat, CloudEventsFormat, Event, Format, Json,
};
use pilot_webhook_std::{Client, ClientBuilder, ClientError, HttpConfig, HttpConfigError, Rate};
use pilot_webhook_tests::Act::{Read, Send, Serve};
use pilot_webhook_tests::{Seen, Server};
use serde_json::Value;

const EVENTS: [&str; 3] = [
    include_str!("../../data/pilot-events.jsonl"),
    include_str!("../../data/pilot-events-1.18.jsonl"),
    // One that has all that a header encodes, and one without data.
    include_str!("../../data/odd-events.jsonl"),
];

fn events() -> Vec<Value> {
    let lines = EVENTS.iter().flat_map(|text| text.lines());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The requests that the events become.
async fn requests(format: impl Format + std::marker::Send + 'static, batch: u16) -> Vec<Seen> {
    let ok = vec![Serve(|_| vec![Send("HTTP/1.1 204 No Content\r\n\r\n".into())])];
    let server = Server::start(vec![ok], None).await;
    let url = format!("http://{}/hook", server.address());
    let client = Client::builder(url).format(format).batch(batch).build().unwrap();
    for event in events() {
        let time: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
        let nanos = time.subsec_nanosecond().try_into().unwrap();
        let time = pilot_webhook_core::Timestamp::new(time.as_second(), nanos);
        let node = event["node_id"].as_u64().unwrap().try_into().unwrap();
        let envelope = Event::new(event["topic"].as_str().unwrap(), node, time);
        client.emit_event(&envelope, &Json(&event["data"].to_string())).unwrap();
    }
    client.drained().await;
    client.close().await;
    assert_eq!(client.stats().delivered, events().len() as u64);
    server.requests()
}

/// As the library's own integrations do it.
fn parse(request: &Seen) -> CloudEvent {
    let mut headers = HeaderMap::new();
    for (name, value) in request.head.lines().filter_map(|line| line.split_once(": ")) {
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    to_event(&headers, request.body.clone()).unwrap()
}

#[track_caller]
fn expect(read: &CloudEvent, event: &Value, prefix: &str) {
    assert_eq!(read.ty(), format!("{prefix}{}", event["topic"].as_str().unwrap()));
    assert_eq!(read.source().as_str(), format!("urn:pilot:node:{}", event["node_id"]));
    assert!(read.id().starts_with(&format!("{}-", event["node_id"])));
    let time: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        read.time().unwrap().timestamp_nanos_opt(),
        i64::try_from(time.as_nanosecond()).ok()
    );
    let data = match read.data() {
        None => Value::Null,
        Some(Data::Json(value)) => value.clone(),
        Some(Data::Binary(bytes)) => serde_json::from_slice(bytes).unwrap(),
        Some(Data::String(text)) => serde_json::from_str(text).unwrap(),
    };
    assert_eq!(data, event["data"]);
    assert_eq!(read.datacontenttype().is_some(), !event["data"].is_null());
}

#[tokio::test]
async fn the_library_reads_structured_mode() {
    let prefixed = CloudEvents::new("", "network.pilot.").unwrap();
    for (format, prefix) in [(CloudEvents::DEFAULT, ""), (prefixed, "network.pilot.")] {
        let requests = requests(CloudEventsFormat(format), 1).await;
        assert_eq!(requests.len(), events().len());
        for (request, event) in requests.iter().zip(events()) {
            expect(&parse(request), &event, prefix);
        }
    }
}

#[tokio::test]
async fn the_library_reads_batches() {
    let mut read = Vec::new();
    for request in requests(CloudEventsFormat(CloudEvents::DEFAULT), 10).await {
        let content = request.header("Content-Type");
        assert_eq!(content, Some("application/cloudevents-batch+json"));
        read.extend(serde_json::from_slice::<Vec<CloudEvent>>(&request.body).unwrap());
    }
    assert_eq!(read.len(), events().len());
    for (read, event) in read.iter().zip(events()) {
        expect(read, &event, "");
    }
}

/// The library does not decode percent signs, so the type of one event is compared as it is in the header.
#[tokio::test]
async fn the_library_reads_binary_mode() {
    let prefixed = CloudEvents::new("", "network.pilot.").unwrap();
    for (format, prefix) in [(CloudEvents::DEFAULT, ""), (prefixed, "network.pilot.")] {
        let requests = requests(CloudEventsBinaryFormat(format), 1).await;
        assert_eq!(requests.len(), events().len());
        for (request, mut event) in requests.iter().zip(events()) {
            if event["topic"].as_str().unwrap().starts_with("a ") {
                event["topic"] = "a%20%22b%22%20100%25%20%C3%A9%F0%9F%98%80".into();
            }
            expect(&parse(request), &event, prefix);
        }
    }
}

/// A server that answers the first request of each connection so, and others with 204.
async fn asked(answer: &str) -> Server {
    let ok = Serve(|_| vec![Send("HTTP/1.1 204 No Content\r\n\r\n".into())]);
    Server::start(vec![vec![Read, Send(answer.into()), ok]; 9], None).await
}

fn client(server: &Server) -> ClientBuilder {
    let http = HttpConfig::new().handshake("pilot.example.org");
    let url = format!("http://{}/hook", server.address());
    Client::builder(url).http(http).retry_backoff(Duration::from_millis(1))
}

#[tokio::test]
async fn a_receiver_is_asked_once_before_the_first_event_and_its_rate_is_kept() {
    let server = asked(
        "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: pilot.example.org\r\nWebHook-Allowed-Rate: 600\r\n\
         Content-Length: 0\r\n\r\n",
    )
    .await;
    let client =
        client(&server).rate(Rate::new(100, Duration::from_secs(1)).unwrap()).build().unwrap();
    for _ in 0..3 {
        client.emit("x", &()).unwrap();
    }
    client.drained().await;
    client.close().await;
    let requests = server.requests();
    let methods = requests.iter().map(|seen| seen.head.split(' ').next().unwrap());
    assert_eq!(methods.collect::<Vec<_>>(), ["OPTIONS", "POST", "POST", "POST"]);
    assert_eq!(requests[0].header("WebHook-Request-Origin"), Some("pilot.example.org"));
    assert_eq!(requests[0].header("WebHook-Request-Rate"), Some("6000"));
    assert_eq!(requests[1].header("WebHook-Request-Origin"), None);
    assert_eq!(server.connections(), 1);
    // The first one goes with the question. 600 in a minute are 100 ms apart.
    let distance = requests[3].at - requests[2].at;
    assert!(distance >= Duration::from_millis(90), "{distance:?}");
}

#[tokio::test]
async fn without_consent_no_event_is_sent() {
    for answer in [
        "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nWebHook-Allowed-Origin: other.example.org\r\nContent-Length: 0\r\n\r\n",
    ] {
        let server = asked(answer).await;
        let client = client(&server).build().unwrap();
        client.emit("x", &()).unwrap();
        client.drained().await;
        client.close().await;
        assert_eq!((client.stats().exhausted, client.stats().attempts), (1, 3));
        let requests = server.requests();
        assert!(
            requests.len() == 3 && requests.iter().all(|seen| seen.head.starts_with("OPTIONS"))
        );
    }
}

#[tokio::test]
async fn an_origin_is_a_name() {
    for origin in ["", "a b", "a\r\nb"] {
        let client = Client::builder("").http(HttpConfig::new().handshake(origin)).build();
        assert!(matches!(client, Err(ClientError::Http(HttpConfigError::Origin))), "{origin:?}");
    }
}
