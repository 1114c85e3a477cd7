//! What machines are told.

use super::world::{HOSTILE, World};

#[tokio::test]
async fn machines_are_told_without_the_token_and_only_at_this_host() {
    let world = World::new(&[]).await;
    world.fail("a", &HOSTILE).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = world.get(path, &[]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(!answer.body().contains("secret"), "{path}");
        let elsewhere = world.get(path, &["host: evil.example"]).await;
        assert_eq!(elsewhere.status(), 421, "{path}");
    }
    let plain = world.get("/metrics", &[]).await;
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let sample = "pilot_webhook_attempts_total{endpoint=\"pilot\",class=\"4xx\"} 1\n";
    assert!(plain.body().contains(sample), "{}", plain.body());
    let open = world.get("/metrics", &["accept: application/openmetrics-text;q=0.9"]).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("content-type"), Some(kind));
    assert!(open.body().contains(sample) && open.body().ends_with("# EOF\n"));
}

#[tokio::test]
async fn who_takes_no_events_says_why() {
    let world = World::new(&[]).await;
    let ready = world.get("/readyz", &[]).await;
    assert_eq!((ready.status(), ready.body()), (200, "{\"ready\":true,\"reasons\":[]}\n"));
    world.client.clear();
    world.watch.stopping();
    let not = world.get("/readyz", &[]).await;
    let expected = "{\"ready\":false,\"reasons\":[\"stopping\",\"no-webhook\"]}\n";
    assert_eq!((not.status(), not.body()), (503, expected));
}
