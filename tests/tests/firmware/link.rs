//! Deliveries while the node's cable is pulled and plugged in again.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use pilot_webhook_tests::Server;

use crate::node::{Image, Node};
use crate::receiver::{answers, ids, url};

/// How long the link is silent.
const SILENCE: Duration = Duration::from_secs(20);

/// QEMU's control socket (QMP): one JSON line each way.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut monitor = Self(BufReader::new(stream));
        assert!(monitor.hear().contains("QMP"));
        monitor.tell(r#"{"execute":"qmp_capabilities"}"#);
        monitor
    }

    fn set_link(&mut self, up: bool) {
        let arguments = format!(r#"{{"name":"cable","up":{up}}}"#);
        self.tell(&format!(r#"{{"execute":"set_link","arguments":{arguments}}}"#));
    }

    fn tell(&mut self, command: &str) {
        self.0.get_mut().write_all(command.as_bytes()).unwrap();
        loop {
            let answer = self.hear();
            assert!(!answer.contains("\"error\""), "{command}: {answer}");
            // Events come in between.
            if answer.contains("\"return\"") {
                return;
            }
        }
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "QEMU is gone");
        line
    }
}

/// The driver notices, and the stack has no address until DHCP is done once more. Meanwhile no attempt is
/// made, so that none is used up: nothing is skipped, with the breaker's usual policy. The node goes on by
/// itself when the link is back.
#[tokio::test]
async fn nothing_is_lost_while_the_link_is_silent() {
    if !Image::An386.is_there() {
        return;
    }
    let server = Server::start(vec![answers(200, 30); 20], None).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let mut words = vec![url("http", &server)];
    words.extend(["events=30", "pace_ms=400", "drain_s=90", "timeout_ms=2000"].map(String::from));
    let variables = [
        ("QEMU_ARGS", format!("-qmp unix:{},server=on,wait=off", socket.display())),
        ("NIC_ARGS", ",id=cable".to_owned()),
    ];
    let node = Node::start_with(Image::An386, &words, &variables).await;
    server.read(5).await;
    let mut monitor = Monitor::connect(&socket);
    monitor.set_link(false);
    let before = server.requests().len();
    // What is tested is the time itself.
    tokio::time::sleep(SILENCE).await;
    let during = server.requests().len();
    monitor.set_link(true);
    let report = node.end().await;

    // One may have been on its way when the link went down.
    assert!(during <= before + 1, "{before} and then {during} requests");
    assert_eq!(report.count("delivered"), 30);
    // The answer of one was lost, and it waited for the link with the others.
    assert!(report.count("attempts") <= 31, "{:?}", report.story());
    // Each arrived, in order; the one whose answer was lost twice, as there is no way to know.
    let mut ids = ids(&server);
    assert!(ids.len() <= 31, "{ids:?}");
    ids.dedup();
    assert_eq!(ids, Vec::from_iter(1..=30));
}
