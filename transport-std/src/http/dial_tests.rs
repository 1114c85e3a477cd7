use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pilot_webhook_core::{EndpointBuf, Verdict};
use tokio::time::sleep;

use super::*;
use crate::http::config::{HttpConfig, HttpShared};
use crate::http::resolve::{Resolve, Resolving};

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn families_take_turns_beginning_with_the_resolvers_choice() {
    let order = |texts| in_order(addresses(texts), None);
    let mixed = order(&["::2", "::3", "::4", "1.1.1.1", "2.2.2.2"]);
    assert_eq!(mixed, addresses(&["::2", "1.1.1.1", "::3", "2.2.2.2", "::4"]));
    assert_eq!(order(&["1.1.1.1", "2.2.2.2"]), addresses(&["1.1.1.1", "2.2.2.2"]));
    assert_eq!(order(&["::2", "::2", "1.1.1.1", "::2"]), addresses(&["::2", "1.1.1.1"]));
    assert_eq!(order(&[]), addresses(&[]));
}

#[test]
fn what_is_known_to_work_comes_first_if_the_resolver_still_names_it() {
    let order = |known: &str| {
        in_order(addresses(&["::2", "::3", "1.1.1.1", "2.2.2.2"]), Some(known.parse().unwrap()))
    };
    assert_eq!(order("2.2.2.2"), addresses(&["2.2.2.2", "::2", "1.1.1.1", "::3"]));
    assert_eq!(order("3.3.3.3"), addresses(&["::2", "1.1.1.1", "::3", "2.2.2.2"]));
}

#[test]
fn a_hostile_answer_is_bounded() {
    let many = (0..100_000).map(|n| IpAddr::from(std::net::Ipv4Addr::from_bits(n))).collect();
    assert_eq!(in_order(many, None).len(), MAX_ADDRESSES);
}

#[test]
fn refused_addresses_are_skipped_and_only_refused_if_all_are() {
    let mixed = addresses(&["169.254.169.254", "127.0.0.1"]);
    assert_eq!(allowed(Policy::default(), &mixed).unwrap(), addresses(&["127.0.0.1"]));
    let refused = allowed(Policy::DENY_PRIVATE, &mixed);
    assert!(matches!(refused, Err(HttpError::Refused(_))));
    assert!(matches!(allowed(Policy::default(), &[]), Err(HttpError::NoAddress)));
}

/// Knows these addresses, whatever it is asked, after this time.
#[derive(Clone)]
struct Names {
    addresses: Vec<IpAddr>,
    after: Duration,
    asked: Arc<AtomicUsize>,
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolving<'a> {
        Box::pin(async {
            self.asked.fetch_add(1, Relaxed);
            sleep(self.after).await;
            Ok(self.addresses.clone())
        })
    }
}

type Reached = (Result<IpAddr, HttpError>, Duration, Vec<IpAddr>);

/// A network in virtual time.
struct Net {
    shared: HttpShared,
    names: Names,
    /// What becomes of attempts to connect; to any other address they never end.
    outcomes: Vec<(IpAddr, Duration, Option<io::ErrorKind>)>,
    tried: Mutex<Vec<IpAddr>>,
}

impl Net {
    fn new(names: &[&str], outcomes: &[(&str, u64, Option<io::ErrorKind>)]) -> Self {
        Self::with_look_ups_of(0, names, outcomes)
    }

    fn with_look_ups_of(
        millis: u64,
        names: &[&str],
        outcomes: &[(&str, u64, Option<io::ErrorKind>)],
    ) -> Self {
        let after = Duration::from_millis(millis);
        let names = Names { addresses: addresses(names), after, asked: Arc::default() };
        let http = HttpConfig::new().system_roots(false).resolver(names.clone());
        let outcomes = outcomes.iter().map(|(address, millis, error)| {
            (address.parse().unwrap(), Duration::from_millis(*millis), *error)
        });
        Self {
            shared: http.attempts_end_after(Duration::from_secs(5)).build().unwrap(),
            outcomes: outcomes.collect(),
            names,
            tried: Mutex::default(),
        }
    }

    /// Which address answered, how long that took, and which were tried.
    async fn reach(&self, fresh: bool) -> Reached {
        self.attempt(fresh, true).await
    }

    /// The same; whether the receiver that was reached then does what it should.
    async fn attempt(&self, fresh: bool, succeeds: bool) -> Reached {
        let began = Instant::now();
        let url = EndpointBuf::<64>::parse("http://receiver.test/", Policy::default()).unwrap();
        let open = async |address: SocketAddr| {
            let address = address.ip();
            self.tried.lock().unwrap().push(address);
            match self.outcomes.iter().find(|(known, ..)| *known == address) {
                None => pending().await,
                Some((_, after, error)) => {
                    sleep(*after).await;
                    error.map_or(Ok(address), |kind| Err(kind.into()))
                }
            }
        };
        let endpoint = url.get();
        let shared = self.shared.get();
        let mut attempt = Attempt::begin(shared, &endpoint, fresh);
        let reached = reach(shared, &endpoint, &mut attempt, open).await;
        let verdict = if succeeds { Verdict::Accepted } else { Verdict::Later(None) };
        attempt.end(reached.as_ref().map(|_| verdict));
        (reached, began.elapsed(), std::mem::take(&mut *self.tried.lock().unwrap()))
    }
}

fn about(elapsed: Duration, millis: u64) -> bool {
    // Tokio's timers have a resolution of one millisecond.
    elapsed.abs_diff(Duration::from_millis(millis)) <= Duration::from_millis(8)
}

const NO_ROUTE: Option<io::ErrorKind> = Some(io::ErrorKind::NetworkUnreachable);
const REFUSED: Option<io::ErrorKind> = Some(io::ErrorKind::ConnectionRefused);

/// The attempt over IPv4 was cut after 500 ms, as long as there was an address of IPv6.
#[tokio::test(start_paused = true)]
async fn a_family_without_a_route_costs_a_long_round_trip_nothing() {
    let outcomes = [("192.0.2.1", 700, None), ("2001:db8::1", 0, NO_ROUTE)];
    for names in [["192.0.2.1", "2001:db8::1"], ["2001:db8::1", "192.0.2.1"]] {
        let (reached, elapsed, _) = Net::new(&names, &outcomes).reach(false).await;
        assert_eq!(reached.unwrap(), addresses(&["192.0.2.1"])[0]);
        assert!(about(elapsed, 700), "{elapsed:?}");
    }
}

/// Nothing was ever delivered: the dead address had its 500 ms, the other one too.
#[tokio::test(start_paused = true)]
async fn a_dead_address_costs_one_connection_a_quarter_of_a_second() {
    let net = Net::new(&["192.0.2.1", "192.0.2.2"], &[("192.0.2.2", 600, None)]);
    let (reached, elapsed, tried) = net.reach(false).await;
    assert_eq!((reached.unwrap(), tried.len()), (addresses(&["192.0.2.2"])[0], 2));
    assert!(about(elapsed, 850), "{elapsed:?}");
    // In the time of a round trip the dead address gets its chance again, and takes none.
    let (reached, elapsed, tried) = net.reach(false).await;
    assert!(reached.is_ok() && about(elapsed, 600), "{elapsed:?}");
    assert_eq!(tried, addresses(&["192.0.2.2", "192.0.2.1"]));
    // What failed is no guide.
    let (_, elapsed, _) = net.reach(true).await;
    assert!(about(elapsed, 850), "{elapsed:?}");
    // The resolver's choice gets its chance every ten minutes.
    tokio::time::advance(Duration::from_secs(10 * 60)).await;
    let (_, elapsed, _) = net.reach(false).await;
    assert!(about(elapsed, 850), "{elapsed:?}");
}

/// Six addresses were tried, and never the seventh.
#[tokio::test(start_paused = true)]
async fn every_address_is_tried_within_the_timeout() {
    for addresses in [7, 32] {
        let names: Vec<_> = (1..=addresses).map(|n| format!("192.0.2.{n}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let net = Net::new(&names, &[(names[names.len() - 1], 600, None)]);
        let (reached, elapsed, tried) = net.reach(false).await;
        assert!(reached.is_ok() && tried.len() == addresses, "{tried:?} in {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_address_that_fails_is_forgotten() {
    let names = ["192.0.2.1", "192.0.2.2"];
    let mut net = Net::new(&names, &[("192.0.2.2", 1, None)]);
    assert!(net.reach(false).await.0.is_ok());
    net.outcomes[0].2 = REFUSED;
    assert!(net.reach(false).await.0.is_err());
    net.outcomes[0].2 = None;
    let (_, _, tried) = net.reach(false).await;
    assert_eq!(tried, addresses(&names));
}

/// The worker's timeout spoke of an answer that did not come.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_connects_to_nobody_ends_before_its_timeout_and_says_so() {
    let outcomes = [("2001:db8::1", 0, NO_ROUTE)];
    let (reached, elapsed, _) =
        Net::new(&["192.0.2.1", "2001:db8::1"], &outcomes).reach(false).await;
    assert!(elapsed < Duration::from_secs(5) && about(elapsed, 5_000), "{elapsed:?}");
    assert_eq!(reached.unwrap_err().to_string(), "no connection to 192.0.2.1:80: timed out");
}

/// The second server of names was never asked: the look-up began anew in each attempt.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_takes_longer_than_an_attempt_costs_one() {
    let net = Net::with_look_ups_of(5_005, &["192.0.2.1"], &[("192.0.2.1", 10, None)]);
    let (reached, elapsed, _) = net.reach(false).await;
    let error = reached.unwrap_err();
    assert!(elapsed < Duration::from_secs(5) && about(elapsed, 5_000), "{elapsed:?}");
    assert_eq!(error.to_string(), "the look-up of receiver.test did not end within the timeout");
    // The next attempt comes while the look-up runs, or after it.
    for (wait, takes) in [(0, 20), (1_000, 10)] {
        tokio::time::advance(Duration::from_millis(wait)).await;
        let (reached, elapsed, _) = net.reach(true).await;
        assert!(reached.is_ok() && about(elapsed, takes), "{elapsed:?}");
    }
    assert_eq!(net.names.asked.load(Relaxed), 1);
}

/// The look-up left too little time to connect, in each attempt.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_takes_most_of_an_attempt_costs_one() {
    let net = Net::with_look_ups_of(4_900, &["192.0.2.1"], &[("192.0.2.1", 200, None)]);
    assert!(matches!(net.reach(false).await.0, Err(HttpError::Connect { .. })));
    assert!(net.attempt(true, true).await.0.is_ok());
    // The receiver fails, with time enough.
    assert!(net.attempt(true, false).await.0.is_ok());
    assert_eq!(net.names.asked.load(Relaxed), 1);
    assert!(matches!(net.reach(true).await.0, Err(HttpError::Connect { .. })));
    assert_eq!(net.names.asked.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kept_result_does_not_outlast_a_failure_of_its_addresses() {
    let net = Net::with_look_ups_of(5_005, &["192.0.2.1"], &[("192.0.2.1", 10, None)]);
    assert!(net.reach(false).await.0.is_err());
    sleep(Duration::from_secs(1)).await;
    // The receiver is reached, but fails.
    assert!(net.attempt(true, false).await.0.is_ok());
    assert!(matches!(net.reach(true).await.0, Err(HttpError::LookUpTimedOut { .. })));
    assert_eq!(net.names.asked.load(Relaxed), 2);
}

/// What nobody missed is not kept: a new connection asks where the name leads.
#[tokio::test(start_paused = true)]
async fn every_connection_looks_its_name_up() {
    let net = Net::with_look_ups_of(1, &["192.0.2.1"], &[("192.0.2.1", 1, None)]);
    for looked_up in 1..=3 {
        assert!(net.reach(false).await.0.is_ok());
        assert_eq!(net.names.asked.load(Relaxed), looked_up);
    }
}
