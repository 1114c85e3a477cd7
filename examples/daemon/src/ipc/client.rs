//! The client's end: sends one command to a daemon and prints the answer.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::frame::Frames;
use super::message::{NoAnswer, Request, without_credentials};
use crate::delivery::PILOT;
use crate::{Failure, print};

/// The longest a command may take. Arbitrary: a daemon usually answers in a millisecond.
const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn set_webhook(socket: &Path, url: String, json: bool) -> Result<(), Failure> {
    let text = format!("webhook set: {}", without_credentials(&url));
    let answer = ask(socket, &Request::SetWebhook(url)).await?;
    print(&if json { answer.to_string() } else { text })
}

pub(crate) async fn clear_webhook(socket: &Path, json: bool) -> Result<(), Failure> {
    let answer = ask(socket, &Request::SetWebhook(String::new())).await?;
    print(&if json { answer.to_string() } else { "webhook cleared".to_owned() })
}

pub(crate) async fn info(socket: &Path, json: bool) -> Result<(), Failure> {
    let answer = ask(socket, &Request::Info).await?;
    print(&if json { answer.to_string() } else { for_people(&answer) })
}

pub(crate) async fn reload(socket: &Path, json: bool) -> Result<(), Failure> {
    let answer = ask(socket, &Request::Reload).await?;
    let lines = answer["done"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lines: Vec<_> = lines.map(|line| line.replace(char::is_control, " ")).collect();
    print(&if json { answer.to_string() } else { lines.join("\n") })
}

async fn ask(socket: &Path, request: &Request) -> Result<Value, Failure> {
    let answer = timeout(LIMIT, exchange(socket, request)).await;
    let answer =
        answer.unwrap_or_else(|_| Err(format!("did not answer within {} s", LIMIT.as_secs())));
    answer.map_err(|what| {
        // One line, whatever the other side says, but for all that is wrong with a configuration.
        let has_lines = matches!(request, Request::Reload);
        let is_bad = |letter: char| letter.is_control() && !(has_lines && letter == '\n');
        let what = what.replace(is_bad, " ");
        Failure::runtime(format!("the daemon at {} {what}", socket.display()))
    })
}

/// The answer, or what the daemon did instead.
async fn exchange(socket: &Path, request: &Request) -> Result<Value, String> {
    let mut stream =
        UnixStream::connect(socket).await.map_err(|error| format!("cannot be reached: {error}"))?;
    if let Request::SetWebhook(_) = request {
        check_peer(&stream)?;
    }
    let (reader, mut writer) = stream.split();
    let written = request.frame().write(&mut writer, LIMIT).await;
    // Read even when writing failed: a server that refuses a client sends the reason first.
    let reply = Frames::new(reader, LIMIT).next().await;
    match (reply, written) {
        (Ok(Some(reply)), _) => request.read_reply(&reply).map_err(|no| match no {
            NoAnswer::Refused(why) if *request == Request::Reload => format!("refused:\n{why}"),
            NoAnswer::Refused(why) => format!("refused: {why}"),
            NoAnswer::Garbled => "does not speak pilot's language".to_owned(),
        }),
        (Ok(None), Ok(())) => Err("closed the connection without an answer".to_owned()),
        (_, Err(error)) | (Err(error), Ok(())) => Err(format!("broke off: {error}")),
    }
}

/// Checks that this user or root listens there. In a directory that others may write to, any user can listen, and
/// would get the URL.
fn check_peer(stream: &UnixStream) -> Result<(), String> {
    let peer = stream.peer_cred().map_err(|error| format!("cannot be known: {error}"))?.uid();
    if peer == 0 || peer == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(format!("belongs to another user ({peer}), who is not told the URL"))
}

/// The keys that say something about a webhook, one a line. Missing keys are skipped:
/// pilot's own daemon reports fewer.
fn for_people(info: &Value) -> String {
    let webhook = &info["webhook"];
    let rows = [
        ("node", &info["node_id"]),
        ("address", &info["address"]),
        ("hostname", &info["hostname"]),
        ("uptime", &info["uptime_secs"]),
        ("webhook", &webhook["url"]),
        ("breaker", &webhook["breaker"]),
        ("emitted", &webhook["emitted"]),
        ("delivered", &webhook["delivered"]),
        ("rejected", &webhook["rejected"]),
        ("exhausted", &webhook["exhausted"]),
        ("skipped", &info["webhook_circuit_skips"]),
        ("dropped", &info["webhook_queue_dropped"]),
        ("oversize", &webhook["oversize"]),
        ("abandoned", &webhook["abandoned"]),
        ("queued", &webhook["queued"]),
        ("in flight", &webhook["in_flight"]),
        ("attempts", &webhook["attempts"]),
        ("last status", &webhook["last_status"]),
    ];
    let none = Map::new();
    let endpoints = info["endpoints"].as_object().unwrap_or(&none);
    // Where there are others only, it is none of them.
    let has_webhook = endpoints.is_empty() || endpoints.contains_key(PILOT);
    let mut lines = Vec::new();
    for (name, value) in rows {
        let text = match value {
            Value::Null => continue,
            _ if !has_webhook && ["webhook", "breaker"].contains(&name) => continue,
            Value::String(text) if text.is_empty() && name == "webhook" => "none".to_owned(),
            Value::String(text) if text.is_empty() => continue,
            Value::String(text) => text.replace(char::is_control, " "),
            seconds if name == "uptime" => clock(seconds.as_f64().unwrap_or_default()),
            value => value.to_string(),
        };
        lines.push(format!("{name:<12} {text}"));
    }
    if endpoints.len() > 1 || !has_webhook {
        lines.extend(endpoints.iter().map(|(name, about)| of_endpoint(name, about)));
    }
    lines.join("\n")
}

/// An endpoint in a line.
fn of_endpoint(name: &str, about: &Value) -> String {
    let text = |key: &str| about[key].as_str().unwrap_or("nowhere").replace(char::is_control, " ");
    let count = |key: &str| about[key].as_u64().unwrap_or_default();
    let lost = ["rejected", "exhausted", "skipped", "dropped", "oversize", "abandoned"];
    let lost: u64 = lost.into_iter().map(count).sum();
    format!(
        "endpoint     {}: {}, breaker {}, delivered {}, not delivered {lost}, waiting {}",
        name.replace(char::is_control, " "),
        text("to"),
        text("breaker"),
        count("delivered"),
        count("queued") + count("in_flight")
    )
}

/// `1:02:03`.
fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn info_is_shown_a_key_a_line() {
        let shown = for_people(&json!({
            "node_id": 7,
            "address": "0:0000.0000.0007",
            "hostname": "",
            "uptime_secs": 3_723.9,
            "webhook_circuit_skips": 2,
            "webhook": {"url": "", "breaker": "closed", "delivered": 5},
        }));
        assert_eq!(
            shown,
            "node         7\n\
             address      0:0000.0000.0007\n\
             uptime       1:02:03\n\
             webhook      none\n\
             breaker      closed\n\
             delivered    5\n\
             skipped      2"
        );
    }

    #[test]
    fn endpoints_of_a_configuration_are_shown() {
        let shown = for_people(&json!({
            "node_id": 7,
            "webhook": {"url": "", "breaker": "closed", "delivered": 5},
            "endpoints": {"all": {"to": "https://h.example", "breaker": "open", "delivered": 5, "dropped": 1, "queued": 2}},
        }));
        assert_eq!(
            shown,
            "node         7\n\
             delivered    5\n\
             endpoint     all: https://h.example, breaker open, delivered 5, not delivered 1, waiting 2"
        );
    }

    #[test]
    fn what_pilots_own_daemon_leaves_out_is_left_out() {
        let shown = for_people(&json!({"node_id": 7, "uptime_secs": 1e300}));
        assert_eq!(shown, "node         7\nuptime       0:00:00");
        assert_eq!(for_people(&json!([])), "");
    }
}
