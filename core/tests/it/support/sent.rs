//! What a transport is handed: the headers and the body of messages in a format.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use pilot_webhook_core::{
    Config, Dispatcher, Encoding, EndpointBuf, ErrorKind, Event, Format, Instant, Json, Message,
    Policy, Reply, Signer, Transport, Verdict, run,
};

use super::still::Still;

/// One message.
pub(crate) struct Sent {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Keeps messages and accepts all, and then waits for ever.
struct Recorder<'r>(&'r RefCell<Vec<Sent>>);

impl Transport<EndpointBuf<64>> for Recorder<'_> {
    type Error = ErrorKind;

    async fn send(
        &mut self,
        _: &EndpointBuf<64>,
        message: &Message<'_>,
    ) -> Result<Reply, ErrorKind> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = message.headers.iter().map(own).collect();
        let body = String::from_utf8(message.body.to_vec()).unwrap();
        self.0.borrow_mut().push(Sent { headers, body });
        Ok(Reply { verdict: Verdict::Accepted, code: 204 })
    }
}

/// The messages that these events become, with the seed 0x5eed, in batches of up to `batch`. The workers'
/// buffers are as long as the format's bound says, and no longer.
pub(crate) fn sent(
    format: &dyn Format,
    signer: &dyn Signer,
    batch: u16,
    events: &[(Event<'_>, &str)],
) -> Vec<Sent> {
    let texts = events.iter().map(|(event, data)| 6 * event.topic.len() + 2 + data.len());
    let longest = texts.clone().sum::<usize>().max(1);
    let config = Config { batch, max_event_bytes: longest, ..Config::DEFAULT };
    config.validate_for(format).unwrap();
    let room = vec![0; longest + 64 * events.len() + 64];
    let dispatcher = Dispatcher::<NoopRawMutex, _, EndpointBuf<64>>::new(config, room, 0x5eed);
    let url = EndpointBuf::parse("http://127.0.0.1/", Policy::default()).unwrap();
    dispatcher.swap(url).unwrap();
    let mut scratch = vec![0; longest];
    for (event, data) in events {
        dispatcher.emit(event, &Json(data), &mut scratch).unwrap();
    }
    let seen = RefCell::default();
    let mut transport = Recorder(&seen);
    let count = u32::try_from(events.len()).unwrap();
    let mut buffer = vec![0; format.bound().buffer(count, longest)];
    let clock = Still(Instant::default());
    {
        let encoding = Encoding { format, signer };
        let work = pin!(run(&dispatcher, &mut transport, &clock, encoding, &mut buffer));
        assert!(work.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let stats = dispatcher.stats();
    assert_eq!(stats.delivered, u64::from(count), "{stats:?}");
    seen.into_inner()
}
