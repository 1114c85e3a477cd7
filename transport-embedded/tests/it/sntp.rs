//! The SNTP client over a real embassy-net stack, against servers that tell the time and others.

use std::cell::RefCell;
use std::time::Duration as StdDuration;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::udp::UdpMetadata;
use embassy_time::Duration;
use pilot_webhook_core::Timestamp;
use pilot_webhook_embassy::{Sntp, SntpConfig, SntpError, WallTime};
use pilot_webhook_tests::time_server::{LENGTH, reply, stamp};

use crate::cable::{udp, while_served, wired};

/// 2026-11-24T00:00:00.5Z, when this was written.
const NOW: StdDuration = StdDuration::from_millis(1_795_478_400_500);
const PORT: u16 = 123;
/// As long as a loaded machine may take, which is less than any error tested here.
const SLACK: StdDuration = StdDuration::from_secs(20);

type Reply = [u8; LENGTH];

/// What is asked quickly, with waits that a test can bear.
const FAST: SntpConfig = SntpConfig {
    timeout: Duration::from_millis(100),
    retry: Duration::from_millis(1),
    interval: Duration::from_millis(4),
    ..SntpConfig::DEFAULT
};
/// For what must be answered, however loaded the machine.
const PATIENT: SntpConfig = SntpConfig { timeout: Duration::from_secs(30), ..FAST };

fn sntp(stack: Stack<'static>, config: SntpConfig) -> (Sntp<'static>, &'static WallTime) {
    let wall = Box::leak(Box::new(WallTime::new()));
    (Sntp::new(stack, "10.0.0.2", wall, 7, config), wall)
}

/// Answers each question with the datagrams that `answer` makes of the right one, for ever.
async fn serve(stack: Stack<'static>, mut answer: impl FnMut(usize, Reply) -> Vec<Vec<u8>>) {
    let mut socket = udp(stack, PORT);
    let mut question = [0; 64];
    for count in 0.. {
        let (length, client): (usize, UdpMetadata) = socket.recv_from(&mut question).await.unwrap();
        for datagram in answer(count, reply(&question[..length], NOW)) {
            socket.send_to(&datagram, client.endpoint).await.unwrap();
            // The node keeps a few at a time.
            socket.flush().await;
        }
    }
}

/// How a question ends, and what time it is then, when the server answers like this.
async fn ask(
    config: SntpConfig,
    answer: impl FnMut(usize, Reply) -> Vec<Vec<u8>>,
) -> (Result<Timestamp, SntpError>, Option<Timestamp>) {
    wired(|node, server| async move {
        let (mut sntp, wall) = sntp(node, config);
        (while_served(sntp.sync(), serve(server, answer)).await, wall.get())
    })
    .await
}

/// With an answer that was changed like this, no time is learned.
#[track_caller]
fn refused(error: SntpError, change: impl Fn(&mut Reply)) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let answer = |_, mut reply: Reply| {
            change(&mut reply);
            vec![reply.to_vec()]
        };
        assert_eq!(ask(PATIENT, answer).await, (Err(error), None), "{caller}");
    }
}

/// An answer that was changed like this is none: the right one still counts, which comes after it.
#[track_caller]
fn passed_over(change: impl Fn(&mut Reply)) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let answer = |_, reply: Reply| {
            let mut forged = reply;
            let later = stamp(NOW + StdDuration::from_secs(365 * 86_400));
            forged[32..40].copy_from_slice(&later);
            forged[40..48].copy_from_slice(&later);
            change(&mut forged);
            vec![forged.to_vec(), reply.to_vec()]
        };
        let (told, _) = ask(PATIENT, answer).await;
        expect_time(told.unwrap_or_else(|error| panic!("{error}: {caller}")), NOW);
    }
}

#[track_caller]
fn expect_time(told: Timestamp, expected: StdDuration) {
    let told = StdDuration::new(told.seconds().try_into().unwrap(), told.nanos());
    // The stamp has 2⁻³² s, and the client a microsecond.
    let late = (told + StdDuration::from_micros(2)).checked_sub(expected);
    assert!(late.is_some_and(|late| late < SLACK), "{told:?} for {expected:?}");
}

#[tokio::test]
async fn the_time_is_learned_and_set() {
    let (told, wall) = ask(PATIENT, |_, reply| vec![reply.to_vec()]).await;
    expect_time(told.unwrap(), NOW);
    expect_time(wall.unwrap(), NOW);
    assert!(wall.unwrap() >= told.unwrap());
}

/// The server's seconds begin anew on 2036-02-07.
#[tokio::test]
async fn the_time_is_right_after_the_rollover() {
    for year in [10, 25, 50] {
        let then = NOW + StdDuration::from_secs(year * 365 * 86_400);
        let answer = |_, mut reply: Reply| {
            reply[16..24].copy_from_slice(&[0; 8]);
            reply[32..40].copy_from_slice(&stamp(then));
            reply[40..48].copy_from_slice(&stamp(then));
            vec![reply.to_vec()]
        };
        expect_time(ask(PATIENT, answer).await.0.unwrap(), then);
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    for byte in 24..32 {
        passed_over(|reply| reply[byte] ^= 1).await;
    }
    passed_over(|reply| reply[24..32].fill(0)).await;
}

#[tokio::test]
async fn what_is_not_a_servers_answer_is_none() {
    // A question, an announcement, a private message.
    for mode in [0, 1, 2, 3, 5, 6, 7] {
        passed_over(|reply| reply[0] = 0b00_100_000 | mode).await;
    }
    for length in [0, 1, 47, 49, 68, 128, 500] {
        let answer = |_, reply: Reply| vec![vec![0x24; length], reply.to_vec()];
        expect_time(ask(PATIENT, answer).await.0.unwrap(), NOW);
    }
}

#[tokio::test]
async fn a_server_without_the_time_is_not_believed() {
    refused(SntpError::Unfit, |reply| reply[0] |= 0b11_000_000).await;
    for stratum in [16, 17, 255] {
        refused(SntpError::Unfit, |reply| reply[1] = stratum).await;
    }
    for version in [0, 5, 7] {
        refused(SntpError::Unfit, |reply| reply[0] = version << 3 | 4).await;
    }
    // Twenty seconds from the root; set after now; not set.
    refused(SntpError::Unfit, |reply| reply[4..8].copy_from_slice(&[0, 40, 0, 0])).await;
    let later = stamp(NOW + StdDuration::from_secs(1));
    refused(SntpError::Unfit, |reply| reply[16..24].copy_from_slice(&later)).await;
    refused(SntpError::Unfit, |reply| reply[40..48].fill(0)).await;
}

/// The offset is made of both, so one of them alone must not move it.
#[tokio::test]
async fn a_server_whose_two_stamps_differ_is_not_believed() {
    refused(SntpError::Unfit, |reply| reply[32..40].fill(0)).await;
    for seconds in [120, 86_400, 365 * 86_400] {
        let earlier = stamp(NOW - StdDuration::from_secs(seconds));
        refused(SntpError::Unfit, |reply| reply[32..40].copy_from_slice(&earlier)).await;
    }
}

#[tokio::test]
async fn a_time_in_the_past_is_not_believed() {
    for year in [1, 10, 30, 55] {
        let earlier = stamp(NOW - StdDuration::from_secs(year * 365 * 86_400));
        refused(SntpError::TooEarly, |reply| {
            reply[16..24].fill(0);
            reply[32..40].copy_from_slice(&earlier);
            reply[40..48].copy_from_slice(&earlier);
        })
        .await;
    }
}

#[tokio::test]
async fn a_kiss_of_death_is_no_time() {
    for (code, error) in [
        (b"DENY", SntpError::Denied),
        (b"RSTR", SntpError::Denied),
        (b"RATE", SntpError::Busy),
        (b"INIT", SntpError::Busy),
        (b"\0\0\0\0", SntpError::Busy),
    ] {
        let kiss = |reply: &mut Reply| {
            reply[1] = 0;
            reply[12..16].copy_from_slice(code);
        };
        refused(error, kiss).await;
        // One that anybody can send forbids nothing.
        passed_over(|reply| {
            kiss(reply);
            reply[24] ^= 1;
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_from_another_port_is_none() {
    wired(|node, server| async move {
        let (mut sntp, wall) = sntp(node, FAST);
        let (mut listener, mut other) = (udp(server, PORT), udp(server, PORT + 1));
        let serving = async {
            let mut question = [0; LENGTH];
            for honest in [false, true] {
                let (_, client) = listener.recv_from(&mut question).await.unwrap();
                let later = NOW + StdDuration::from_secs(1_000);
                other.send_to(&reply(&question, later), client.endpoint).await.unwrap();
                other.flush().await;
                if honest {
                    listener.send_to(&reply(&question, NOW), client.endpoint).await.unwrap();
                    listener.flush().await;
                }
            }
            std::future::pending::<()>().await;
        };
        while_served(
            async {
                // Slow as it may be, a time that is learned is of the right one.
                let wrong = [Err(SntpError::Unasked), Err(SntpError::Timeout)];
                assert!(wrong.contains(&sntp.sync().await));
                assert_eq!(wall.get(), None);
                let (mut sntp, _) = self::sntp(node, PATIENT);
                expect_time(sntp.sync().await.unwrap(), NOW);
            },
            serving,
        )
        .await;
    })
    .await;
}

/// The operator hears that something is there, but no time server.
#[tokio::test]
async fn a_server_that_only_talks_nonsense_is_told_apart_from_a_mute_one() {
    let config = SntpConfig { timeout: Duration::from_secs(1), ..FAST };
    let answer = |_, _| vec![b"hello".to_vec()];
    assert_eq!(ask(config, answer).await, (Err(SntpError::Unasked), None));
}

#[tokio::test]
async fn a_mute_server_costs_the_time_limit_and_leaves_the_time_as_it_was() {
    wired(|node, server| async move {
        let (mut sntp, wall) = sntp(node, FAST);
        wall.set(Timestamp::new(1_800_000_000, 0));
        let told = while_served(sntp.sync(), serve(server, |_, _| vec![])).await;
        assert_eq!(told, Err(SntpError::Timeout));
        assert!(wall.get().unwrap().seconds() >= 1_800_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_apart() {
    wired(|node, _server| async move {
        let wall = WallTime::new();
        let mut sntp = Sntp::new(node, "time.test", &wall, 7, FAST);
        assert_eq!(sntp.sync().await, Err(SntpError::Resolve));
    })
    .await;
}

/// What can be guessed can be forged.
#[tokio::test]
async fn no_two_questions_are_alike_and_none_tells_the_nodes_time() {
    wired(|node, server| async move {
        let seen = RefCell::new(Vec::new());
        let answering = async {
            let socket = udp(server, PORT);
            let mut question = [0; LENGTH];
            loop {
                let (_, client) = socket.recv_from(&mut question).await.unwrap();
                let stamp = u64::from_be_bytes(question[40..48].try_into().unwrap());
                assert_eq!(question[1..40], [0; 39]);
                seen.borrow_mut().push((stamp, client.endpoint.port));
                socket.send_to(&reply(&question, NOW), client.endpoint).await.unwrap();
            }
        };
        let asking = async {
            for seed in 0..50 {
                let wall = WallTime::new();
                let mut sntp = Sntp::new(node, "10.0.0.2", &wall, seed, PATIENT);
                for _ in 0..2 {
                    expect_time(sntp.sync().await.unwrap(), NOW);
                }
            }
        };
        while_served(asking, answering).await;
        let mut seen = seen.into_inner();
        seen.sort_unstable();
        // Of the top 28 bits that are random, more than half differ between neighbours in order.
        let seconds = seen.iter().map(|(stamp, _)| stamp >> 32).collect::<Vec<_>>();
        assert_eq!(seconds.len(), 100);
        assert!(seconds.is_sorted_by(|a, b| a < b), "{seconds:?}");
        let span = seconds[99] - seconds[0];
        assert!((1 << 27..1 << 29).contains(&span), "{span}");
        let mut ports = seen.iter().map(|(_, port)| port).collect::<Vec<_>>();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
    })
    .await;
}

/// Three failures, then an answer at each question.
#[tokio::test]
async fn it_is_asked_again_after_a_failure_and_after_an_answer() {
    wired(|node, server| async move {
        let (mut sntp, wall) = sntp(node, PATIENT);
        let told = RefCell::new(Vec::new());
        let done = async {
            while told.borrow().len() < 6 {
                tokio::task::yield_now().await;
            }
        };
        let asking = select(sntp.run(|answer| told.borrow_mut().push(answer)), done);
        let serving = serve(server, |count, mut reply| {
            // No stratum, as of a server that has just been started.
            reply[1] = if count < 3 { 16 } else { 1 };
            vec![reply.to_vec()]
        });
        assert!(matches!(while_served(asking, serving).await, Either::Second(())));
        let told = told.into_inner();
        assert_eq!(told[..3], [Err(SntpError::Unfit); 3]);
        told[3..].iter().for_each(|answer| expect_time(answer.unwrap(), NOW));
        expect_time(wall.get().unwrap(), NOW);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_forbids_it_is_never_asked_again() {
    wired(|node, server| async move {
        let (mut sntp, wall) = sntp(node, PATIENT);
        let asked = RefCell::new(0);
        let serving = serve(server, |count, mut reply| {
            *asked.borrow_mut() = count + 1;
            if count == 1 {
                reply[1] = 0;
                reply[12..16].copy_from_slice(b"DENY");
            }
            vec![reply.to_vec()]
        });
        let mut told = Vec::new();
        while_served(sntp.run(|answer| told.push(answer.map(|_| ()))), serving).await;
        assert_eq!(told, [Ok(()), Err(SntpError::Denied)]);
        assert_eq!(*asked.borrow(), 2);
        // The time that it told before stays.
        expect_time(wall.get().unwrap(), NOW);
    })
    .await;
}

/// RFC 5905, section 7.4: a client that is told to ask less often does so.
#[tokio::test]
async fn a_server_that_is_busy_is_left_alone_for_the_whole_interval() {
    wired(|node, server| async move {
        let interval = Duration::from_millis(150);
        let (mut sntp, _) = sntp(node, SntpConfig { interval, ..PATIENT });
        let times = RefCell::new(Vec::new());
        let serving = serve(server, |count, mut reply| {
            times.borrow_mut().push(std::time::Instant::now());
            reply[1] = 0;
            reply[12..16].copy_from_slice(if count < 2 { b"RATE" } else { b"DENY" });
            vec![reply.to_vec()]
        });
        while_served(sntp.run(|_| ()), serving).await;
        let times = times.into_inner();
        assert_eq!(times.len(), 3);
        // A little less, as the wait began before the server looked at its clock.
        let waits = times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        let least = StdDuration::from_millis(140);
        assert!(waits.iter().all(|wait| *wait >= least), "{waits:?}");
    })
    .await;
}

/// A socket that stays behind would soon be one too many for the stack, which has four.
#[tokio::test]
async fn questions_that_are_dropped_leave_nothing_behind() {
    wired(|node, server| async move {
        let (mut sntp, _) = sntp(node, PATIENT);
        for _ in 0..50 {
            let once = async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            };
            assert!(matches!(select(sntp.sync(), once).await, Either::Second(())));
        }
        let serving = serve(server, |_, reply| vec![reply.to_vec()]);
        while_served(sntp.sync(), serving).await.unwrap();
    })
    .await;
}
