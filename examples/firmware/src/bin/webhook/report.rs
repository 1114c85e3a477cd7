//! Console lines about failures. Deliveries print nothing: the receiver shows them.

use firmware::println;
use pilot_webhook_core::{BreakerState, Notice, Observer};

pub(crate) struct Report;

impl Observer for Report {
    fn notice(&self, notice: Notice<'_>) {
        match notice {
            Notice::Attempt { event_id, attempt, result, .. } => match result {
                Ok(reply) if (200..300).contains(&reply.code) => {}
                Ok(reply) => {
                    println!("event {event_id} attempt {attempt}: status {}", reply.code);
                }
                Err(error) => println!("event {event_id} attempt {attempt}: {error}"),
            },
            Notice::Breaker(state) => breaker(state),
            _ => {}
        }
    }
}

fn breaker(state: BreakerState) {
    let state = match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
        BreakerState::Gone => "gone",
    };
    println!("breaker: {state}");
}
