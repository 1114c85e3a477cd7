//! The dead letters, as they come and go while somebody looks at them.

use serde_json::json;
use tempfile::TempDir;

use super::browser::Browser;
use super::world::{Daemon, Receiver};
use super::{ENTER, QUICK, log_in, tab_to};
use crate::support;

/// The ids of the letters that are shown.
const SHOWN: &str =
    "Array.from(document.querySelectorAll('[data-letter]'), it => it.dataset.letter).join(' ')";
/// That of the letter that has the focus.
const FOCUSED: &str = "document.activeElement.closest('[data-letter]')?.dataset.letter";

/// A daemon with an outbox in this home, whose receiver refuses all.
fn with_letters(home: &TempDir) -> (Receiver, Daemon) {
    let receiver = Receiver::start(400, "no");
    let outbox = home.path().join("events.db");
    let arguments = [&QUICK[..], &["--outbox", outbox.to_str().unwrap()]].concat();
    let daemon = Daemon::start(&receiver.url, home, &arguments);
    (receiver, daemon)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_come_and_go_without_a_load_and_nobody_loses_his_place() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let outbox = home.path().join("events.db");
    let (receiver, mut daemon) = with_letters(&home);
    let shown = |ids: &str| format!("{SHOWN} === '{ids}'");
    let count =
        |n: u8| format!("document.querySelector('[data-field=dead]').textContent === '{n}'");
    let is_hidden = "document.getElementById('all-letters').hidden";

    log_in(&browser, &daemon, "/endpoints/pilot").await;
    browser.value("window.isTheSame = true").await;
    assert_eq!(browser.value(is_hidden).await, true);
    daemon.event("file.received", &json!({"name": "a.txt"}));
    browser.until(&shown("1")).await;
    browser.until(&count(1)).await;
    assert_eq!(browser.value(is_hidden).await, false);
    let letter = browser.value("document.querySelector('[data-letter]').innerText").await;
    let letter = letter.as_str().unwrap();
    for there in ["rejected, answered 400", "file.received", "event 1", "1 attempt"] {
        assert!(letter.contains(there), "{there}: {letter}");
    }

    // Whoever reads a letter goes on reading while others come.
    tab_to(&browser, "document.activeElement?.matches('[data-letter] summary')").await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('[data-letter] details[open]')").await;
    browser
        .value("getSelection().selectAllChildren(document.querySelector('[data-letter] pre'))")
        .await;
    let text = browser.value("getSelection().toString()").await;
    assert_eq!(text, r#"{"name":"a.txt"}"#);
    daemon.event("file.received", &json!({"name": "b.txt"}));
    daemon.event("file.received", &json!({"name": "c.txt"}));
    browser.until(&shown("1 2 3")).await;
    assert_eq!(browser.value(FOCUSED).await, "1");
    assert_eq!(browser.value("getSelection().toString()").await, text);
    assert_eq!(
        browser.value("document.querySelectorAll('[data-letter] details[open]').length").await,
        1
    );

    // When the letter goes, somebody else having replayed it, the focus goes to the next one, and to the heading at last.
    receiver.answer(204);
    let replay = |which: &[&str]| {
        let mut command = support::bare();
        command.args(["outbox", "replay", "--outbox"]).arg(&outbox).args(which);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    replay(&["1"]);
    browser.until(&shown("2 3")).await;
    browser.until(&count(2)).await;
    assert_eq!(browser.value(FOCUSED).await, "2");
    replay(&["--all"]);
    browser.until(&shown("")).await;
    browser.until(&count(0)).await;
    assert_eq!(browser.value("document.activeElement.id").await, "dead");
    assert_eq!(browser.value(is_hidden).await, true);

    // A letter that the script has brought is replayed and discarded as any other.
    receiver.answer(400);
    daemon.event("file.received", &json!({"name": "d.txt"}));
    browser.until("document.querySelector('[data-letter]')").await;
    assert_eq!(browser.value("window.isTheSame").await, true, "it was never loaded again");
    browser.click("[data-letter] summary").await;
    browser.click("[data-letter] button[aria-label='Discard event 7']").await;
    browser.until("document.querySelector('.said')?.textContent.startsWith('Discarded')").await;
    browser.until(&count(0)).await;
    assert_eq!(browser.console().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_letters_than_a_page_has_are_on_the_next_one() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let (_receiver, mut daemon) = with_letters(&home);
    log_in(&browser, &daemon, "/endpoints/pilot").await;
    assert_eq!(browser.value("document.getElementById('more').hidden").await, true);
    for number in 1..=51 {
        daemon.event("file.received", &json!({"number": number}));
    }
    browser.until("document.querySelector('[data-field=dead]').textContent === '51'").await;
    let all: Vec<_> = (1..=50).map(|id| id.to_string()).collect();
    browser.until(&format!("{SHOWN} === '{}'", all.join(" "))).await;
    browser.click("#more").await;
    browser.until(&format!("{SHOWN} === '51'")).await;
    daemon.event("file.received", &json!({"number": 52}));
    browser.until(&format!("{SHOWN} === '51 52'")).await;
    assert_eq!(browser.console().await, [""; 0]);
    browser.end().await;
}
