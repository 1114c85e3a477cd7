//! An observer that keeps what it is told.

use std::cell::RefCell;

use pilot_webhook_core::{Notice, Observer};

use super::receiver::SAID;
use super::{Core, WALL};

/// What it was told, a line each.
#[derive(Default)]
pub(super) struct Notices(RefCell<Vec<String>>, pub(super) RefCell<Vec<Told>>);

/// Of an attempt: how long it took and when it ended, in seconds; the attempt by its message, the ids in it, the length
/// of its body, and the answer.
pub(super) type Told = (u64, i64, u8, Vec<u64>, usize, &'static [u8]);

impl Observer for Notices {
    fn notice(&self, notice: Notice<'_>) {
        let line = match notice {
            Notice::Attempt {
                event_id,
                attempt,
                is_probe,
                result,
                message,
                contents,
                took,
                ended,
                answer,
                ..
            } => {
                let ids = contents.iter().map(|event| event.id).collect();
                let answer = if answer.is_empty() { &[] } else { SAID };
                let (took, ended) = (took.as_secs(), ended.seconds() - WALL);
                let told = (took, ended, message.attempt, ids, message.body.len(), answer);
                self.1.borrow_mut().push(told);
                let result =
                    result.map_or_else(|error| error.to_string(), |answer| answer.code.to_string());
                format!("{event_id}.{attempt}{}: {result}", if is_probe { " probe" } else { "" })
            }
            Notice::Settled { event_id, fate, message, attempt } => {
                assert!(attempt == 0 || message.is_some());
                let last = if attempt > 1 { format!(" after {attempt}") } else { String::new() };
                format!("{event_id} {fate:?}{last}")
            }
            Notice::Retry { event_id, wait, .. } => format!("{event_id} again in {wait:?}"),
            Notice::Breaker(state) => format!("{state:?}"),
            _ => panic!("an unknown notice"),
        };
        self.0.borrow_mut().push(line);
    }
}

pub(super) fn notices(core: &Core) -> Vec<String> {
    core.observer().0.borrow().clone()
}
