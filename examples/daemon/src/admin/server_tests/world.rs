//! An admin address with one endpoint, asked over real connections.

use std::net::SocketAddr;
use std::time::Duration;

use pilot_webhook_std::{Client, Data};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::super::*;

pub(super) const TOKEN: &str = "0123456789abcdef";

/// An admin address, until the runtime of the test ends. It has one endpoint, whose events are answered with text that
/// would act on a page.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) client: Client,
    pub(super) watch: Arc<Watch>,
}

/// What a receiver says, and a topic is: text that acts where it is not escaped.
pub(super) const HOSTILE: &str =
    "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;";

/// A receiver that takes nothing.
async fn hostile_receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/secret-path?token=secret", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 8192]).await.unwrap();
            let head = "HTTP/1.1 400 Bad\r\nconnection: close\r\ncontent-length:";
            let answer = format!("{head} {}\r\n\r\n{HOSTILE}", HOSTILE.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

impl World {
    pub(super) async fn new(further: &[&str]) -> Self {
        Self::over(Hub::new(), further).await
    }

    /// With this hub, which has no endpoints.
    pub(super) async fn over(hub: Hub, further: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let further: Vec<_> = further.iter().map(|&name| name.to_owned()).collect();
        let watch = Arc::<Watch>::default();
        let client = Client::builder(hostile_receiver().await)
            .http(pilot_webhook_std::HttpConfig::new().answers(2048));
        let client = hub.add("pilot", watch.client("pilot", client).into()).unwrap();
        let admin = Admin {
            listener,
            watch: Arc::clone(&watch),
            hosts: Hosts::new(&further),
            gate: Gate::new(TOKEN.as_bytes(), address.port()).unwrap(),
        };
        tokio::spawn(admin.serve(hub, None));
        Self { address, client, watch }
    }

    /// The whole answer to a request whose lines these are.
    pub(super) async fn ask_raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(20), read).await.expect("it is answered").unwrap();
        answer
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            request += &format!("host: {}\r\n", self.address);
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if method == "POST" {
            request += "content-type: application/x-www-form-urlencoded\r\n";
            request += &format!("content-length: {}\r\n", body.len());
        }
        Answer(self.ask_raw(&format!("{request}\r\n{body}")).await)
    }

    pub(super) async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// Has an event fail.
    pub(super) async fn fail<D: Data>(&self, topic: &str, data: &D) {
        self.client.emit(topic, data).unwrap().unwrap();
        self.client.drained().await;
    }

    /// The cookie of a log-in.
    pub(super) async fn log_in(&self) -> String {
        let answer = self.ask("POST", "/login", &[], &format!("token={TOKEN}")).await;
        assert_eq!(answer.status(), 303, "{}", answer.0);
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

pub(super) struct Answer(pub(super) String);

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(super) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next().unwrap();
        let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
