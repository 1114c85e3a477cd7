//! Plays the list to transports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use pilot_webhook_core::{Config, ErrorKind, Event, Json, Policy, Timestamp, Transport};
use tokio::runtime::Runtime;

use super::{Ends, Hostile, Over, hostiles};
use crate::Act::{Read, Send};
use crate::deliver::{CONFIG, Delivered, Memory, deliver};
use crate::{Abilities, Authority, Names, Server, Setup, Url};

/// The HTTP timeout, where an attempt ends by it.
const HTTP_TIMEOUT: Duration = Duration::from_millis(500);
/// The HTTP timeout where an attempt ends by itself: so long that a busy host does not decide how it ends.
const NO_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after the timeout an attempt may end.
const GRACE: Duration = Duration::from_secs(1);
/// And so many times the measured scheduling delay of this host: that many waits are in an attempt.
const LATE: u32 = 4;
/// How often a receiver is played if an attempt takes too long: a busy host can make one attempt slow.
const TRIES: usize = 3;
/// The most bytes a server can send before the client is gone. A transport reads 64 KiB at
/// most; the rest is in the buffers of both kernels.
const SENT_MAX: usize = 1024 * 1024;
/// What a transport allocates for an attempt, in bytes, beside copies of the event.
const MEMORY_MAX: usize = 256 * 1024;
/// More than fits into the buffers of both ends, after their largest growth on loopback.
const LARGE: usize = 16 * 1024 * 1024;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NAMES: Names = &[("receiver.test", &[std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)])];

/// What was measured over a whole list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Receivers met.
    pub count: usize,
    /// The longest that an event took to its end.
    pub longest: Duration,
    /// The most that a server got rid of, in bytes.
    pub sent: usize,
    /// The most that an attempt allocated, in bytes, for an event of usual size.
    pub memory: usize,
}

/// Plays each hostile receiver that fits the abilities to a transport by `make`. If the environment variable
/// `SCENARIO` is set, only those whose name contains its value.
///
/// The servers run on threads of their own, so that `memory` counts what the transport does on this
/// one.
///
/// # Panics
/// When a receiver costs more than it may, or an event ends otherwise than it must; with all such failures.
pub fn meet_all<T: Transport<Url>>(
    abilities: Abilities,
    memory: Memory,
    make: impl Fn(&Setup) -> T,
) -> Measured {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = Bench { authority: Authority::new(), memory, late: Lateness::watch(), servers };
    let mut measured = Measured::default();
    let mut failures = Vec::new();
    for hostile in hostiles() {
        let fits = match hostile.over {
            Over::Plain => true,
            Over::NoTls | Over::Tls13 => abilities.tls,
            Over::Tls12 => abilities.tls && abilities.tls12,
            Over::Tls12Unknown => abilities.tls && !abilities.tls12,
        };
        if fits && hostile.name.contains(&wanted) {
            measured.count += 1;
            if let Err(failure) = bench.meet_in_time(&own, &hostile, &make, &mut measured) {
                failures.push(format!("{}: {failure}", hostile.name));
            }
        }
    }
    println!("{measured:?}, {} failed", failures.len());
    assert!(measured.count > 0, "no receiver is called {wanted:?}");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    measured
}

/// What a receiver achieved that it must not.
enum Escape {
    Wrong(String),
    /// It took too long.
    Late(String),
}

impl From<String> for Escape {
    fn from(failure: String) -> Self {
        Self::Wrong(failure)
    }
}

struct Bench {
    authority: Authority,
    memory: Memory,
    late: Lateness,
    servers: Runtime,
}

impl Bench {
    fn meet_in_time<T: Transport<Url>>(
        &self,
        own: &Runtime,
        hostile: &Hostile,
        make: &impl Fn(&Setup) -> T,
        measured: &mut Measured,
    ) -> Result<(), String> {
        let mut late = String::new();
        for _ in 0..TRIES {
            match self.meet(own, hostile, make, measured) {
                Ok(()) => return Ok(()),
                Err(Escape::Wrong(failure)) => return Err(failure),
                Err(Escape::Late(failure)) => late = failure,
            }
        }
        Err(late)
    }

    fn meet<T: Transport<Url>>(
        &self,
        own: &Runtime,
        hostile: &Hostile,
        make: &impl Fn(&Setup) -> T,
        measured: &mut Measured,
    ) -> Result<(), Escape> {
        let tls = match hostile.over {
            Over::Plain | Over::NoTls => None,
            Over::Tls13 => Some(self.authority.sealing_server(&rustls::version::TLS13)),
            Over::Tls12 | Over::Tls12Unknown => {
                Some(self.authority.sealing_server(&rustls::version::TLS12))
            }
        };
        let good = vec![Read, Send(OK.into())];
        let scripts = vec![hostile.script.clone(), good];
        let server = self.servers.block_on(Server::start_narrow(scripts, tls));
        let (policy, ca_pem) = (Policy::default(), self.authority.pem());
        let mut transport = make(&Setup { policy, ca_pem, names: NAMES });
        self.late.forget();

        let times_out =
            matches!(hostile.ends, Ends::Fails(kinds) if kinds.contains(&ErrorKind::Timeout));
        let timeout = if times_out { HTTP_TIMEOUT } else { NO_TIMEOUT };
        let post = |transport: &mut T, large, timeout| {
            own.block_on(self.post(transport, &server, hostile.over, large, timeout))
        };
        let met = post(&mut transport, hostile.large, timeout)?;
        check_end(&met, hostile.ends)?;
        // What ends by itself does not need the timeout.
        let grace = if times_out || hostile.large { GRACE } else { Duration::ZERO };
        self.check_time(met.took, HTTP_TIMEOUT + grace)?;
        measured.longest = measured.longest.max(met.took);
        let event = if hostile.large { LARGE } else { 0 };
        // One copy is the transport's own, and one may be under way.
        if met.memory > MEMORY_MAX + 2 * event {
            return Err(format!("it allocated {} bytes", met.memory).into());
        }
        if event == 0 {
            measured.memory = measured.memory.max(met.memory);
        }
        if !matches!(hostile.over, Over::NoTls | Over::Tls12Unknown) {
            let next = post(&mut transport, false, NO_TIMEOUT)?;
            check_end(&next, Ends::Delivered).map_err(|error| format!("and then: {error}"))?;
            if server.connections() != 2 {
                let connections = server.connections();
                return Err(format!("and then, over {connections} connections").into());
            }
        }
        // The transport may keep a connection open, but reads no more of it. What TLS reads and throws
        // away (rustls: tickets without end) ends with the timeout: how much that is, is a question of
        // the host's speed. Memory is bounded all the same, and the node's reads are counted apart.
        let ended_by_time = matches!(met.attempts[..], [Err(ErrorKind::Timeout)]);
        if ended_by_time {
            return Ok(());
        }
        measured.sent = measured.sent.max(server.sent());
        if server.sent() > SENT_MAX {
            return Err(format!("it took in {} bytes", server.sent()).into());
        }
        Ok(())
    }

    fn check_time(&self, took: Duration, limit: Duration) -> Result<(), Escape> {
        if took > limit {
            // A nap that has not ended yet counts, too.
            thread::sleep(NAP * 5);
            let limit = limit + LATE * self.late.most();
            if took > limit {
                return Err(Escape::Late(format!("it took {took:?}, not {limit:?}")));
            }
        }
        Ok(())
    }

    async fn post<T: Transport<Url>>(
        &self,
        transport: &mut T,
        server: &Server,
        over: Over,
        large: bool,
        http_timeout: Duration,
    ) -> Result<Delivered, String> {
        let port = server.address().port();
        let url = match over {
            Over::Plain => format!("http://127.0.0.1:{port}/hook"),
            _ => format!("https://receiver.test:{port}/hook"),
        };
        let url = Url::parse(&url, Policy::default()).unwrap();
        let length = if large { LARGE } else { 100 };
        let config =
            Config { max_attempts: 1, http_timeout, max_event_bytes: length + 1_024, ..CONFIG };
        let event = Event::new("hostile", 1, Timestamp::new(0, 0));
        let data = format!("\"{}\"", "x".repeat(length));
        deliver(transport, url, config, None, &event, &Json(&data), self.memory).await
    }
}

fn check_end(met: &Delivered, ends: Ends) -> Result<(), String> {
    let stats = &met.stats;
    let counters = (stats.attempts, stats.delivered, stats.rejected, stats.exhausted);
    let is_right = match (&met.attempts[..], ends) {
        ([Ok(answer)], Ends::Delivered) => answer.code == 200 && counters == (1, 1, 0, 0),
        ([Ok(answer)], Ends::Rejected(status)) => answer.code == status && counters == (1, 0, 1, 0),
        ([Err(kind)], Ends::Fails(kinds)) => kinds.contains(kind) && counters == (1, 0, 0, 1),
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("{:?} {stats:?}, not {ends:?}", met.attempts)) }
}

const NAP: Duration = Duration::from_millis(10);

/// Measures how late this host wakes a sleeping thread, so that its load is not blamed on a transport.
struct Lateness {
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Lateness {
    fn watch() -> Self {
        let (most, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let watch = Self { most: Arc::clone(&most), over: Arc::clone(&over) };
        thread::spawn(move || {
            while !over.load(Relaxed) {
                let before = Instant::now();
                thread::sleep(NAP);
                let late = before.elapsed().saturating_sub(NAP).as_micros();
                most.fetch_max(late.try_into().unwrap_or(u64::MAX), Relaxed);
            }
        });
        watch
    }

    fn forget(&self) {
        self.most.store(0, Relaxed);
    }

    fn most(&self) -> Duration {
        Duration::from_micros(self.most.load(Relaxed))
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}
