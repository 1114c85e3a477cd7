//! The ways in which events come, each with a life that a fault ends, and lives without one until all is settled.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use pilot_webhook_std::Timestamp;
use pilot_webhook_std::outbox::{
    DeadFate, DeadReason, End, NewEvent, Outbox, OutboxFile, OutboxOptions, Which,
};

use crate::client;
use crate::life::{Ended, Life};
use crate::place::{EVENTS, Place, topic};
use crate::post::{PATIENCE, post};
use crate::shim::{self, Fault};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Lines from a pipe. Nothing is promised before it is stored.
    Pipe,
    /// `emit` and `emit_durable` of a client, in a program that is no daemon.
    Client,
    /// A file that is followed.
    Follow,
    /// POSTs.
    Ingress,
    /// Dead letters that are put back.
    Replay,
}

/// A source with its place, through several lives.
pub(crate) struct Story {
    source: Source,
    pub(crate) place: Place,
    /// The events up to this one were acknowledged.
    acknowledged: u64,
}

impl Story {
    /// At a new place.
    pub(crate) fn new(source: Source) -> Self {
        let story = Self { source, place: Place::new(), acknowledged: 0 };
        if source == Source::Follow {
            fs::write(story.place.path("events.jsonl"), Place::lines()).unwrap();
        }
        // The others make the file, or die of it.
        if matches!(source, Source::Follow | Source::Ingress | Source::Replay) {
            make(&story.place.outbox(), source == Source::Replay);
        }
        story
    }

    fn daemon(&self) -> Command {
        let mut command = self.place.daemon();
        match self.source {
            Source::Pipe => command.args(["--events", "-"]),
            Source::Follow => {
                command.arg("--events").arg(self.place.path("events.jsonl")).arg("--follow")
            }
            _ => command.args(["--listen", "0"]),
        };
        command
    }

    /// A life with a fault, which it may survive.
    #[track_caller]
    pub(crate) fn live(&mut self, fault: Fault) -> Ended {
        let mut command = match self.source {
            Source::Client => client::command(&self.place.outbox(), &self.place.receiver.url, 1),
            _ => self.daemon(),
        };
        shim::preload(&mut command, fault, &self.place.path("log"));
        let mut life = Life::start(&mut command);
        match self.source {
            Source::Pipe => {
                // One that has died reads nothing.
                let _ = life.child().stdin.take().unwrap().write_all(Place::lines().as_bytes());
            }
            Source::Client => {}
            Source::Follow | Source::Ingress | Source::Replay => {
                if self.source == Source::Ingress {
                    self.post(&mut life);
                }
                let receiver = &self.place.receiver;
                life.until(|| receiver.first_arrivals().len() as u64 == EVENTS);
                life.terminate();
            }
        }
        let ended = life.end();
        let stored = ended.stdout.lines().filter_map(|line| line.strip_prefix("stored "));
        self.acknowledged = stored.fold(self.acknowledged, |_, number| number.parse().unwrap());
        ended
    }

    /// A life without a fault, at whose end all is delivered. What was not acknowledged is sent again, and what
    /// nobody promised is gone: returns how many events there are.
    #[track_caller]
    pub(crate) fn settle(&mut self, story: &str) -> u64 {
        match self.source {
            Source::Pipe => {
                let ended = Life::start(&mut self.daemon()).end();
                // 3: the receiver refused one in this life.
                assert!(matches!(ended.status.code(), Some(0 | 3)), "{story}: {}", ended.stderr);
            }
            Source::Client => {
                let (file, url) = (self.place.outbox(), &self.place.receiver.url);
                let ended = Life::start(&mut client::command(&file, url, EVENTS + 1)).end();
                assert!(ended.status.success(), "{story}: {}", ended.stderr);
            }
            Source::Follow | Source::Ingress | Source::Replay => {
                let mut life = Life::start(&mut self.daemon());
                if self.source == Source::Ingress {
                    self.post(&mut life);
                }
                let place = &self.place;
                life.until(|| {
                    place.status().is_some_and(|status| {
                        // Live: it takes signals.
                        let is_settled = status.ledger.stored == 0 && status.replays == 0;
                        status.is_live && status.ledger.accepted == EVENTS && is_settled
                    })
                });
                life.terminate();
                let ended = life.end();
                assert!(ended.status.success(), "{story}: {}", ended.stderr);
            }
        }
        let accepted = self.place.check(story);
        assert!(accepted >= self.acknowledged, "{accepted} of {}; {story}", self.acknowledged);
        if !matches!(self.source, Source::Pipe | Source::Client) {
            // Their sender knows what is not stored.
            assert_eq!(accepted, EVENTS, "{story}");
        }
        accepted
    }

    /// Posts what is not acknowledged, one after the other, each until it is, or until the daemon is no more.
    fn post(&mut self, life: &mut Life) {
        let Some(address) = life.address() else { return };
        while self.acknowledged < EVENTS {
            let number = self.acknowledged + 1;
            let post = || post(address, number, PATIENCE).map(|answer| answer.status);
            if !life.until(|| post() == Some(204)) {
                return;
            }
            self.acknowledged = number;
        }
    }
}

/// Makes a file: empty, or all events are dead letters in it that are to be put back.
fn make(file: &Path, has_replays: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let outbox = Outbox::open(file, OutboxOptions::default()).unwrap();
        for number in (1..=EVENTS).filter(|_| has_replays) {
            let data = number.to_string();
            let event = NewEvent::new(topic(number), 5, Timestamp::UNIX_EPOCH).with_data(&data);
            let id = outbox.put(event).unwrap().await.unwrap();
            let reason = DeadReason {
                fate: DeadFate::Exhausted,
                attempts: 1,
                status: None,
                error: Some("earlier".to_owned()),
                url: String::new(),
            };
            outbox.pilot().end(id, End::Dead(Box::new(reason)));
        }
        outbox.close().await.unwrap();
    });
    let asked = OutboxFile::open(file).unwrap().replay(Which::All, None).unwrap();
    assert_eq!(asked, if has_replays { EVENTS } else { 0 });
}
