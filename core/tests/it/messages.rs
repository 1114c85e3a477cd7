//! What is printed, and what a config is checked for.

use std::collections::HashSet;
use std::fmt::Display;
use std::time::Duration;

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::http::{Failure, Malformed};
use pilot_webhook_core::standard::KeyError;
use pilot_webhook_core::{
    Backoff, CloudEventsError, Config, ConfigError, Dispatcher, EmitError, EncodeError,
    EndpointBuf, EndpointError, ErrorKind, Event, Fate, Instant, Message, Policy, Refusal, Scheme,
    Secret, Timestamp, TransportError, VerifyError,
};

#[track_caller]
fn all_differ<E: Display>(errors: impl IntoIterator<Item = E>) {
    let mut texts = HashSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 10 && text.contains(' '), "no sentence: {text:?}");
        assert!(texts.insert(text.clone()), "said of two errors: {text:?}");
    }
}

#[test]
fn every_error_has_words_of_its_own() {
    all_differ([
        ConfigError::MaxAttempts,
        ConfigError::HttpTimeout,
        ConfigError::CircuitThreshold,
        ConfigError::Capacity,
        ConfigError::MaxEventBytes,
        ConfigError::Jitter,
        ConfigError::Batch,
        ConfigError::MaxInFlight,
        ConfigError::NoBatches,
    ]);
    all_differ([
        KeyError::Prefix,
        KeyError::Base64,
        KeyError::Length,
        KeyError::Public,
        KeyError::Ed25519,
        KeyError::TooMany,
    ]);
    all_differ([
        VerifyError::Missing("webhook-id"),
        VerifyError::Missing("webhook-timestamp"),
        VerifyError::Malformed("webhook-id"),
        VerifyError::TooOld,
        VerifyError::TooNew,
        VerifyError::NoneForTheKeys,
        VerifyError::Wrong,
    ]);
    all_differ([CloudEventsError::Source, CloudEventsError::TypePrefix]);
    let encode = [
        EncodeError::TooLong,
        EncodeError::NotFinite,
        EncodeError::Key,
        EncodeError::Json,
        EncodeError::TooDeep,
        EncodeError::Custom,
    ];
    all_differ(
        [EmitError::Full, EmitError::Closed].into_iter().chain(encode.map(EmitError::Payload)),
    );
    let refusals = [
        Refusal::LinkLocal,
        Refusal::Metadata,
        Refusal::Unspecified,
        Refusal::Multicast,
        Refusal::Private,
    ];
    let endpoint = [
        EndpointError::TooLong,
        EndpointError::Scheme,
        EndpointError::Userinfo,
        EndpointError::Host,
        EndpointError::Port,
        EndpointError::Character,
        EndpointError::Login,
        EndpointError::Subject,
    ];
    all_differ(endpoint.into_iter().chain(refusals.map(EndpointError::Refused)));
    all_differ([
        ErrorKind::Resolve,
        ErrorKind::Refused,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Timeout,
        ErrorKind::Disconnected,
        ErrorKind::Protocol,
    ]);
    assert_eq!(ErrorKind::Tls.kind(), ErrorKind::Tls);
    let malformed = [Malformed::StatusLine, Malformed::Upgrade, Malformed::TooLarge];
    let malformed = malformed.map(Failure::Malformed);
    all_differ([Failure::Unsent, Failure::Broken].into_iter().chain(malformed));
}

/// They are in logs and in outboxes: they stay.
#[test]
fn fates_are_named_as_counters_are() {
    for fate in [
        Fate::Delivered,
        Fate::Rejected,
        Fate::Exhausted,
        Fate::Skipped,
        Fate::Dropped,
        Fate::Oversize,
        Fate::Abandoned,
    ] {
        assert_eq!(fate.name(), format!("{fate:?}").to_lowercase());
    }
}

#[test]
fn each_rule_of_a_config_is_checked() {
    let good = Config::default();
    assert_eq!((good, good.validate()), (Config::DEFAULT, Ok(())));
    let jitter = |jitter_percent| Backoff { jitter_percent, ..good.backoff };
    for (bad, error) in [
        (Config { max_attempts: 0, ..good }, ConfigError::MaxAttempts),
        (Config { http_timeout: Duration::ZERO, ..good }, ConfigError::HttpTimeout),
        (Config { circuit_threshold: 0, ..good }, ConfigError::CircuitThreshold),
        (Config { capacity: 0, ..good }, ConfigError::Capacity),
        (Config { max_event_bytes: 0, ..good }, ConfigError::MaxEventBytes),
        (Config { backoff: jitter(101), ..good }, ConfigError::Jitter),
        (Config { batch: 0, ..good }, ConfigError::Batch),
        (Config { max_in_flight: 0, ..good }, ConfigError::MaxInFlight),
    ] {
        assert_eq!(bad.validate(), Err(error));
    }
    let edge = Config {
        max_attempts: 1,
        http_timeout: Duration::from_nanos(1),
        circuit_threshold: 1,
        capacity: 1,
        max_event_bytes: 1,
        backoff: jitter(100),
        batch: 1,
        ..good
    };
    assert_eq!(edge.validate(), Ok(()));
}

#[test]
fn a_message_shows_neither_headers_nor_payload_and_a_secret_not_itself() {
    let message = Message::new(&[("x", "hush")], b"hush");
    assert_eq!(format!("{message:?}"), "message 0-0000000000000000-0, attempt 1 (4 bytes)");
    assert_eq!(format!("{:?}", Secret::new(b"hush")), "Some(Secret(..))");
}

#[test]
fn what_was_put_in_comes_out() {
    for (url, scheme, port) in [("http://h/", Scheme::Http, 80), ("https://h/", Scheme::Https, 443)]
    {
        let endpoint = EndpointBuf::<32>::parse(url, Policy::default()).unwrap();
        assert_eq!((endpoint.get().scheme(), endpoint.get().port()), (scheme, port));
        assert_eq!(scheme.default_port(), port);
    }
    let time = Timestamp::new(5, 7);
    assert_eq!((time.seconds(), time.nanos()), (5, 7));
    assert_eq!(Instant::from_micros(9).as_micros(), 9);
    assert_eq!(Instant::from_micros(9).saturating_since(Instant::from_micros(4)).as_micros(), 5);
}

#[test]
fn a_dispatcher_says_what_it_was_given() {
    let config = Config { max_attempts: 9, ..Config::DEFAULT };
    let core = Dispatcher::<NoopRawMutex, [u8; 256], EndpointBuf<32>>::new(config, [0; 256], 1);
    assert_eq!((core.config(), core.destination(), core.endpoint()), (config, None, None));
    let endpoint = EndpointBuf::parse("http://h/", Policy::default()).unwrap();
    core.swap(endpoint.clone()).unwrap();
    assert_eq!(core.destination().as_ref(), Some(&endpoint));
    let (first, current) = core.endpoint().unwrap();
    assert_eq!(current, endpoint);
    core.swap(endpoint.clone()).unwrap();
    assert_ne!(core.endpoint().unwrap().0, first);

    // A clear ends it as a destination at once, and what is queued goes there still.
    let event = Event::new("t", 1, Timestamp::UNIX_EPOCH);
    core.emit(&event, &(), &mut [0; 128]).unwrap();
    core.clear(Instant::default());
    assert_eq!(core.destination(), None);
    assert_eq!(core.endpoint().unwrap().1, endpoint);
    core.swap(endpoint.clone()).unwrap();
    core.close(Instant::default());
    assert_eq!(core.destination(), Some(endpoint));
}
