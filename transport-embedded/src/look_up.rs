//! A look-up that goes on when the attempt that asked for it is over.

use core::cell::RefCell;
use core::convert::Infallible;
use core::net::{IpAddr, SocketAddr};

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use heapless::String;
use pilot_webhook_core::http::AGE_MAX;

/// The longest name that is kept, in bytes; a longer one's look-up ends with the attempt. Arbitrary: the names
/// of public services are at most half as long.
const NAME: usize = 100;
/// How old an address may be that is kept for the next attempt: as old as a connection may get.
const KEPT_FOR: Duration = Duration::from_secs(AGE_MAX.as_secs());

/// A network whose look-ups are made by [`run`](Self::run), which is polled beside those who ask.
///
/// A look-up does not end with the future that asked: whoever asks the same next waits for the same
/// look-up, or gets the address that it found meanwhile. So one that takes longer than an attempt may costs
/// the attempts until it ends, and not each. There is one look-up at a time: another question ends it.
pub(crate) struct LookUps<'n, N: Dns> {
    net: &'n N,
    /// The question asked last, until somebody gets its answer.
    asked: RefCell<Option<Asked<N::Error>>>,
    is_asked: Signal<NoopRawMutex, ()>,
    is_answered: Signal<NoopRawMutex, ()>,
}

struct Asked<E> {
    question: Question,
    /// The answer, and when it came.
    answer: Option<(Result<IpAddr, E>, Instant)>,
}

#[derive(Clone)]
struct Question {
    name: String<NAME>,
    kind: AddrType,
}

impl<E> Asked<E> {
    /// Whether this is the same question, and its answer, if there is one, still of use.
    fn serves(&self, name: &str, kind: &AddrType, now: Instant) -> bool {
        let is_current = match &self.answer {
            None => true,
            Some((Ok(_), since)) => now.saturating_duration_since(*since) <= KEPT_FOR,
            Some((Err(_), _)) => false,
        };
        is_current && self.question.name == name && self.question.kind == *kind
    }
}

impl<'n, N: Dns> LookUps<'n, N> {
    pub(crate) const fn over(net: &'n N) -> Self {
        let asked = RefCell::new(None);
        Self { net, asked, is_asked: Signal::new(), is_answered: Signal::new() }
    }

    /// Makes the look-ups, for ever.
    pub(crate) async fn run(&self) -> Infallible {
        loop {
            self.is_asked.wait().await;
            let question = self.asked.borrow().as_ref().map(|asked| asked.question.clone());
            let Some(Question { name, kind }) = question else { continue };
            let look_up = self.net.get_host_by_name(&name, kind);
            // In this order: an answer must not be taken for that to another question.
            match select(self.is_asked.wait(), look_up).await {
                Either::First(()) => self.is_asked.signal(()),
                Either::Second(answer) => {
                    if let Some(asked) = &mut *self.asked.borrow_mut() {
                        asked.answer = Some((answer, Instant::now()));
                    }
                    self.is_answered.signal(());
                }
            }
        }
    }

    /// Whether there will be an answer: not to a name that is too long to be kept.
    fn ask(&self, name: &str, kind: AddrType) -> bool {
        let mut asked = self.asked.borrow_mut();
        let now = Instant::now();
        if !asked.as_ref().is_some_and(|asked| asked.serves(name, &kind, now)) {
            let Ok(name) = String::try_from(name) else { return false };
            *asked = Some(Asked { question: Question { name, kind }, answer: None });
            self.is_asked.signal(());
        }
        true
    }

    fn take_answer(&self) -> Option<Result<IpAddr, N::Error>> {
        let asked = self.asked.borrow_mut().take_if(|asked| asked.answer.is_some())?;
        asked.answer.map(|(answer, _)| answer)
    }
}

impl<N: Dns> Dns for LookUps<'_, N> {
    type Error = N::Error;

    async fn get_host_by_name(&self, name: &str, kind: AddrType) -> Result<IpAddr, N::Error> {
        if !self.ask(name, kind.clone()) {
            return self.net.get_host_by_name(name, kind).await;
        }
        loop {
            if let Some(answer) = self.take_answer() {
                return answer;
            }
            self.is_answered.wait().await;
        }
    }

    async fn get_host_by_address(
        &self,
        address: IpAddr,
        name: &mut [u8],
    ) -> Result<usize, N::Error> {
        self.net.get_host_by_address(address, name).await
    }
}

/// Connections are the network's own.
impl<N: Dns + TcpConnect> TcpConnect for LookUps<'_, N> {
    type Error = <N as TcpConnect>::Error;
    type Connection<'a>
        = N::Connection<'a>
    where
        Self: 'a;

    async fn connect<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> Result<Self::Connection<'a>, <N as TcpConnect>::Error> {
        self.net.connect(remote).await
    }
}

#[cfg(test)]
#[path = "look_up_tests.rs"]
mod tests;
