//! The page in a real browser. Without chromedriver it is skipped loudly, or fails if `PILOT_REQUIRE_CHROMIUM=1`, which
//! CI sets. `PILOT_SCREENSHOTS=1` writes the screenshots of the documentation.

mod browser;
mod letters;
mod world;

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use self::browser::Browser;
use self::world::{Daemon, Receiver};

/// What fails soon, and comes back soon.
const QUICK: [&str; 6] =
    ["--retry-backoff", "10ms", "--circuit-threshold", "1", "--circuit-cooldown", "1s"];
/// Text that acts in a page that does not escape it.
const HOSTILE: &str = "</pre></script><script>alert(1);window.pwned=1</script>\
    <img src=x onerror=\"window.pwned=2\"><svg/onload=window.pwned=3>'\"><a href=javascript:pwned()>x</a>${pwned}{{pwned}}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

async fn log_in(browser: &Browser, daemon: &Daemon, path: &str) {
    browser.open(&format!("{}{path}", daemon.page)).await;
    browser.until("document.activeElement?.id === 'token'").await;
    browser.keys(&daemon.token).await;
    browser.keys(ENTER).await;
    browser.until("document.getElementById('attempts')").await;
}

/// The state that the card shows.
fn state_is(words: &str) -> String {
    format!("document.querySelector('.card .state')?.textContent === {}", json!(words))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_fails_is_seen_mended_and_its_dead_letter_replayed() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let outbox = home.path().join("events.db");
    let receiver = Receiver::start(204, "closed for maintenance until noon\n");
    let arguments = [&QUICK[..], &["--outbox", outbox.to_str().unwrap()]].concat();
    let mut daemon = Daemon::start(&receiver.url, &home, &arguments);

    daemon.event("conn.established", &json!({"peer_node_id": 2}));
    log_in(&browser, &daemon, "/endpoints/pilot").await;
    browser
        .until("document.querySelector('#attempts [data-field=outcome]')?.textContent === '204'")
        .await;
    browser.until(&state_is("delivering")).await;

    // It refuses an event, which becomes a dead letter, and then it fails.
    receiver.answer(400);
    daemon.event("file.received", &json!({"name": "a.txt"}));
    browser.until("document.querySelector('[data-field=dead]')?.textContent === '1'").await;
    receiver.answer(503);
    daemon.event("trust.revoked", &json!({"peer_node_id": 3}));
    browser.until(&state_is("stopped: breaker open")).await;

    // It is mended, and the breaker's probe finds out.
    receiver.answer(204);
    browser.until(&state_is("delivering, with dead letters")).await;
    browser.until("document.querySelector('dd [data-field=letters]')?.textContent === '1'").await;
    browser.until("document.querySelector('[data-letter]')").await;
    let letter = browser.value("document.querySelector('[data-letter]').textContent").await;
    assert!(letter.as_str().unwrap().contains("rejected, answered 400"), "{letter}");
    browser.click("[data-letter] summary").await;
    browser.click("[data-letter] button[aria-label^='Replay']").await;
    browser.until("document.querySelector('.said')?.textContent.startsWith('Replayed')").await;
    browser.until("document.querySelector('[data-field=dead]')?.textContent === '0'").await;
    browser.until("document.querySelector('#attempts [data-field=topic]')?.textContent === 'file.received'").await;
    let topics: Vec<_> = receiver.taken().iter().map(|body| body["event"].clone()).collect();
    assert_eq!(topics, ["conn.established", "trust.revoked", "file.received"]);
    browser.click("#attempts li:nth-child(3) summary").await;
    screenshot(&browser, "light", 800, "page-light.png").await;

    // Discarded: all of them, when it is said twice.
    receiver.answer(400);
    daemon.event("file.received", &json!({"name": "b.txt"}));
    browser.until("document.querySelector('[data-field=dead]')?.textContent === '1'").await;
    browser.click("form[action$=discard] input[name=sure]").await;
    browser.click("form.actions[action$=discard] button").await;
    browser.until("document.querySelector('.said')?.textContent.startsWith('Discarded')").await;
    browser.until("document.querySelector('[data-field=dead]')?.textContent === '0'").await;
    assert_eq!(browser.console().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_endpoints_the_one_in_trouble_is_seen_at_a_glance() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let (archive, alerts) = (Receiver::start(204, ""), Receiver::start(204, ""));
    let config = format!(
        "outbox = \"events.db\"
         circuit_threshold = 1
         circuit_cooldown = \"1s\"
         retry_backoff = \"10ms\"
         [[endpoint]]
         name = \"archive\"
         url = \"{}\"
         [[endpoint]]
         name = \"alerts\"
         url = \"{}\"
         topics = [\"security.*\"]
         ",
        archive.url, alerts.url
    );
    let path = home.path().join("pilot.toml");
    fs::write(&path, config).unwrap();
    let mut daemon = Daemon::start_with(&home, &["--config", path.to_str().unwrap()]);
    let letters = |count: &str| {
        format!("document.querySelector('[data-field=dead]')?.textContent === '{count}'")
    };

    let state = |name: &str, state: &str| {
        format!("document.querySelector('[data-endpoint={name}][data-state={state}]')")
    };
    let summary = |text: &str| {
        format!("document.querySelector('[data-field=summary]').textContent === {}", json!(text))
    };
    browser.open(&daemon.page).await;
    browser.until(&summary("2 delivering.")).await;
    alerts.answer(503);
    for _ in 0..20 {
        daemon.event("conn.established", &json!({"peer_node_id": 2}));
    }
    daemon.event("security.refused", &json!({"peer_node_id": 3}));
    browser.until(&state("alerts", "stopped")).await;
    browser.until(&state("archive", "well")).await;
    browser.until(&summary("1 delivering, 1 in trouble: alerts.")).await;
    let delivered = |name: &str| {
        format!(
            "document.querySelector('[data-endpoint={name}] dd[data-field=delivered]').textContent"
        )
    };
    browser.until(&format!("{} === '21'", delivered("archive"))).await;
    assert_eq!(browser.value(&delivered("alerts")).await, "0");
    screenshot(&browser, "dark", 350, "page-dark.png").await;

    alerts.answer(204);
    browser.until(&summary("2 delivering.")).await;
    browser.until(&format!("{} === '1'", delivered("alerts"))).await;
    assert_eq!(alerts.taken().len(), 1);

    // A dead letter is one endpoint's, and so is its replay.
    alerts.answer(400);
    daemon.event("security.refused", &json!({"peer_node_id": 4}));
    log_in(&browser, &daemon, "/endpoints/archive").await;
    browser.until(&format!("{} === '22'", delivered("archive"))).await;
    browser.until(&letters("0")).await;
    browser.open(&format!("{}/endpoints/alerts", daemon.page)).await;
    browser.until(&letters("1")).await;
    alerts.answer(204);
    browser.click("form[action$=replay] button").await;
    browser.until(&letters("0")).await;
    browser.until(&format!("{} === '2'", delivered("alerts"))).await;
    let nodes: Vec<_> =
        alerts.taken().iter().map(|it| it["data"]["peer_node_id"].clone()).collect();
    assert_eq!(nodes, [3, 4]);

    // A test event is for the one that it is asked for, whatever its topics are.
    browser.click("form.test button").await;
    browser.until(&format!("{} === '3'", delivered("alerts"))).await;
    assert_eq!(alerts.taken()[2]["event"], "webhook.test");
    assert_eq!(archive.taken().len(), 22);
    assert_eq!(browser.console().await, [""; 0]);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_hostile_executes_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let outbox = home.path().join("events.db");
    let receiver = Receiver::start(400, HOSTILE);
    let arguments = [&QUICK[..], &["--outbox", outbox.to_str().unwrap()]].concat();
    let mut daemon = Daemon::start(&receiver.url, &home, &arguments);

    // Brought by the script, and then by the templates.
    log_in(&browser, &daemon, "/endpoints/pilot").await;
    daemon.event(HOSTILE, &json!({"key": HOSTILE}));
    browser.until("document.querySelector('[data-field=dead]')?.textContent === '1'").await;
    for is_loaded_again in [false, true] {
        if is_loaded_again {
            browser.client.refresh().await.unwrap();
        }
        browser.until("document.querySelector('#attempts details')").await;
        browser.click("#attempts summary").await;
        browser.until("document.querySelector('[data-letter]')").await;
        browser.click("[data-letter] summary").await;
        let letter = browser.value("document.querySelector('[data-letter] bdi').textContent").await;
        assert_eq!(letter, HOSTILE);
        let text = |field: &str| {
            format!("document.querySelector('#attempts [data-field={field}]').textContent")
        };
        assert_eq!(browser.value(&text("answer")).await, HOSTILE);
        let body = browser.value(&text("body")).await;
        let body: serde_json::Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
        assert_eq!((&body["event"], &body["data"]["key"]), (&json!(HOSTILE), &json!(HOSTILE)));
        assert!(browser.value(&text("topic")).await.as_str().unwrap().contains("<img src=x"));
        for (what, count) in [("script", 1), ("img", 0), ("iframe", 0), ("[onerror], [onload]", 0)]
        {
            let found = browser.value(&format!("document.querySelectorAll('{what}').length")).await;
            assert_eq!(found, count, "{what}");
        }
        assert_eq!(browser.value("typeof window.pwned").await, "undefined");
    }
    assert!(browser.client.get_alert_text().await.is_err(), "there is no dialog");
    // The policy refused nothing, as nothing was tried.
    assert_eq!(browser.console().await, [""; 0]);

    // And if something were tried, the policy would refuse it.
    let tried = "(() => { try { document.body.innerHTML = '<img src=x onerror=\"window.pwned=4\">'; return 'done' } \
                 catch (error) { return error.name } })()";
    assert_eq!(browser.value(tried).await, "TypeError");
    assert_eq!(browser.value("typeof window.pwned").await, "undefined");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_by_keyboard_and_on_a_phone() {
    let Some(browser) = Browser::start().await else { return };
    let home = TempDir::new().unwrap();
    let receiver = Receiver::start(400, "no");
    let mut daemon = Daemon::start(&receiver.url, &home, &QUICK);
    daemon.event(&"long-topic-".repeat(20), &json!({"long": "x".repeat(2_000)}));

    browser.size(360, 740, true).await;
    browser.open(&daemon.page).await;
    browser.until("document.getElementById('link').textContent === 'live'").await;
    fits(&browser).await;
    tab_to(&browser, "document.activeElement?.matches('.card a')").await;
    browser.keys(ENTER).await;
    browser.until("document.activeElement?.id === 'token'").await;
    fits(&browser).await;
    browser.keys("wrong").await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('[role=alert]')").await;
    browser.keys(&daemon.token).await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('#attempts details')").await;
    fits(&browser).await;

    tab_to(&browser, "document.activeElement?.textContent === 'Pause'").await;
    browser.keys(ENTER).await;
    browser.until(&state_is("paused")).await;
    tab_to(&browser, "document.activeElement?.textContent === 'Resume'").await;
    browser.keys(ENTER).await;
    browser.until(&state_is("failing: the last attempts failed")).await;
    tab_to(&browser, "document.activeElement?.textContent === 'Send a test event'").await;
    browser.keys(ENTER).await;
    browser.until("document.querySelectorAll('#attempts details').length === 2").await;
    tab_to(&browser, "document.activeElement?.matches('#attempts summary')").await;
    browser.keys(ENTER).await;
    browser.until("document.querySelector('#attempts details[open]')").await;
    fits(&browser).await;

    // Both colours are there.
    let colour = "getComputedStyle(document.body).backgroundColor";
    browser.scheme("dark").await;
    let dark = browser.value(colour).await;
    browser.scheme("light").await;
    assert_ne!(browser.value(colour).await, dark);
    assert_eq!(browser.console().await, [""; 0]);

    tab_to(&browser, "document.activeElement?.textContent === 'Log out'").await;
    browser.keys(ENTER).await;
    browser.until("!document.querySelector('form[action=\"/logout\"]')").await;
    browser.end().await;
}

/// Goes on with the tabulator, as long as there is something new. What has the focus is seen to have it.
async fn tab_to(browser: &Browser, wanted: &str) {
    for _ in 0..60 {
        browser.keys(TAB).await;
        let is_seen = "document.activeElement === document.body || \
                       getComputedStyle(document.activeElement).outlineStyle === 'solid'";
        assert_eq!(browser.value(is_seen).await, true);
        if browser.value(wanted).await == true {
            return;
        }
    }
    panic!("the tabulator never comes to it: {wanted}");
}

/// Nothing is wider than the window.
async fn fits(browser: &Browser) {
    let widths = browser.value("[document.documentElement.scrollWidth, window.innerWidth]").await;
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "{widths}");
    assert_eq!(widths[1], 360);
}

/// Writes a picture into the documentation, when it is asked for.
async fn screenshot(browser: &Browser, scheme: &str, height: u32, name: &str) {
    if std::env::var("PILOT_SCREENSHOTS").is_ok_and(|it| it == "1") {
        browser.scheme(scheme).await;
        browser.size(900, height, false).await;
        let picture = browser.client.screenshot().await.unwrap();
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        fs::write(docs.join(name), picture).unwrap();
    }
}
