//! The simulated receiver and the network before it: a transport like any other.

use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use pilot_webhook_core::http::Response;
use pilot_webhook_core::{
    Clock, EndpointBuf, ErrorKind, Message, Reply, RetryAfter, Timestamp, Transport,
};

use super::plan::Weather;
use super::rng::Rng;
use super::world::World;

/// What becomes of one post.
struct Script {
    /// Microseconds until it arrives, or does not.
    out: u64,
    /// It breaks before the receiver has it.
    before: Option<ErrorKind>,
    status: u16,
    retry_after: Option<Asked>,
    /// The answer never comes.
    hangs: bool,
    /// Microseconds until the answer arrives.
    back: u64,
    /// It breaks after the receiver has it, which the sender cannot know.
    after: Option<ErrorKind>,
}

#[derive(Clone, Copy)]
enum Asked {
    Seconds(u64),
    /// The date that is so many seconds from the answer, by the wall clock.
    Date(i64),
}

pub(crate) struct Network {
    rng: Rng,
    pub(crate) weather: Weather,
    /// The receiver takes no longer bodies.
    longest: usize,
}

impl Network {
    pub(crate) fn new(seed: u64, longest: usize) -> Self {
        Self { rng: Rng::new(seed, 2), weather: Weather::Healthy, longest }
    }

    fn script(&mut self, timeout: u64, length: usize) -> Script {
        const NEVER_SENT: [ErrorKind; 5] = [
            ErrorKind::Resolve,
            ErrorKind::Refused,
            ErrorKind::Connect,
            ErrorKind::Tls,
            ErrorKind::Local,
        ];
        const UNKNOWN: [ErrorKind; 2] = [ErrorKind::Disconnected, ErrorKind::Protocol];
        let rng = &mut self.rng;
        let fast = |rng: &mut Rng| rng.pick(&[0, 0, 100, 1_000]);
        let mut script = Script {
            out: fast(rng),
            before: None,
            status: rng.pick(&[200, 201, 204, 299]),
            retry_after: None,
            hangs: false,
            back: fast(rng),
            after: None,
        };
        let mut weather = self.weather;
        if weather == Weather::Mixed {
            use Weather::{Busy, Down, Failing, Hanging, Healthy, Mixed, Overloaded};
            weather = rng.pick(&[
                Healthy, Healthy, Healthy, Mixed, Mixed, Failing, Down, Hanging, Busy, Overloaded,
            ]);
        }
        if weather != Weather::Healthy {
            // A failure takes time: a loop without any would be the plan's fault, not core's.
            script.out += rng.pick(&[50, 1_000, 20_000]);
            script.back += rng.pick(&[0, 1_000, 300_000]);
        }
        match weather {
            Weather::Healthy => {}
            Weather::Mixed => {
                script.status = match rng.below(10) {
                    0..3 => rng.pick(&[100, 199, 0, 600, 999]),
                    3..6 => rng.pick(&[300, 302, 399, 400, 404, 410, 413, 422, 499]),
                    _ => 200,
                };
            }
            Weather::Failing => script.status = rng.pick(&[500, 502, 504, 599, 408, 425]),
            Weather::Down if rng.percent(50) => script.before = Some(rng.pick(&NEVER_SENT)),
            Weather::Down if rng.percent(50) => script.before = Some(ErrorKind::Disconnected),
            Weather::Down => script.after = Some(rng.pick(&UNKNOWN)),
            Weather::Hanging if rng.percent(50) => script.hangs = true,
            // To the microsecond of the timeout, around it, and at any time.
            Weather::Hanging => {
                let near = [timeout, timeout - 1, timeout + 1, rng.below(timeout * 2)];
                script.out = 0;
                script.back = rng.pick(&near);
            }
            Weather::Busy | Weather::Overloaded => {
                script.status = rng.pick(&[429, 503, 503, 500]);
                let most = if weather == Weather::Busy { 60 } else { 7_200 };
                let seconds = if rng.percent(50) { rng.below(4) } else { rng.below(most + 1) };
                script.retry_after = Some(if rng.percent(50) {
                    Asked::Seconds(seconds)
                } else {
                    // A date may be in the past.
                    Asked::Date(i64::try_from(seconds).unwrap() - 1)
                });
            }
        }
        if length > self.longest && matches!(script.status, 200..=299) {
            script.status = 413;
        }
        script
    }
}

fn retry_after(asked: Asked, wall: Timestamp) -> RetryAfter {
    match asked {
        Asked::Seconds(seconds) => RetryAfter::Delay(Duration::from_secs(seconds)),
        Asked::Date(seconds) => RetryAfter::At(Timestamp::new(wall.seconds() + seconds, 0)),
    }
}

/// One worker's way to the receiver.
pub(crate) struct SimTransport<const W: usize> {
    pub(crate) world: Rc<World<W>>,
    pub(crate) worker: usize,
}

/// A post under way. If it is dropped before its end, its result is unknown.
struct Post<'w, const W: usize> {
    world: &'w World<W>,
    ids: Vec<u64>,
    accepted: bool,
}

impl<const W: usize> Post<'_, W> {
    fn known(mut self) {
        self.accepted = false;
    }
}

impl<const W: usize> Drop for Post<'_, W> {
    fn drop(&mut self) {
        if self.accepted {
            self.world.ledger.borrow_mut().are_unsure(&self.ids);
        }
    }
}

impl<const W: usize> Transport<EndpointBuf<64>> for SimTransport<W> {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        to: &EndpointBuf<64>,
        message: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        let world = &*self.world;
        let stats = world.core.stats();
        let epoch = to.get().target().trim_start_matches('/').parse().unwrap();
        let ids = world.ledger.borrow_mut().attempt_begins(
            self.worker,
            epoch,
            message.body,
            world.clock.micros(),
            &stats,
        );
        let script = world.network.borrow_mut().script(world.http_timeout, message.body.len());
        let mut post = Post { world, ids, accepted: false };
        if script.out > 0 {
            world.clock.sleep(script.out).await;
        }
        let result = 'post: {
            if let Some(error) = script.before {
                break 'post Err(error);
            }
            if matches!(script.status, 200..=299) {
                post.accepted = true;
                world.ledger.borrow_mut().are_accepted(&post.ids);
            }
            if script.hangs {
                pending::<()>().await;
            }
            if script.back > 0 {
                world.clock.sleep(script.back).await;
            }
            if let Some(error) = script.after {
                break 'post Err(error);
            }
            let wall = world.clock.wall();
            let retry_after = script.retry_after.map(|asked| retry_after(asked, wall));
            Ok(Response { status: script.status, retry_after }.into())
        };
        if result.is_ok() {
            post.known();
        }
        world.ledger.borrow_mut().has_answer(self.worker, result);
        result
    }
}
