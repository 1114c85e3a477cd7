//! Whether a consumer that somebody else made loses nothing.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Config};

/// How long the server waits for a word about a message before it gives it to another gateway: that is how long the
/// messages of a gateway that died take to come again. Arbitrary: far longer than a pause of a busy machine.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(10);

/// Whether a consumer hands out each message until a gateway says that it has ended; those of a partition one by one.
///
/// # Errors
/// What it must be instead.
pub(super) fn fit(config: &Config, is_partition: bool) -> Result<(), String> {
    // The waits for acknowledgements, which gateways prolong while a message is in their hands.
    let waits = config.backoff.iter().chain([&config.ack_wait]);
    let shortest = waits.min().copied().unwrap_or(Duration::ZERO);
    if config.ack_policy != AckPolicy::Explicit {
        return Err("its ack_policy must be explicit, or messages are lost".to_owned());
    }
    if config.max_deliver > 0 {
        return Err("it must have no max_deliver, or messages are lost".to_owned());
    }
    if shortest < ACK_WAIT {
        let seconds = ACK_WAIT.as_secs();
        return Err(format!("its ack_wait and backoff must be {seconds} s or more"));
    }
    if is_partition && config.max_ack_pending != 1 {
        return Err("its max_ack_pending must be 1, or there is no order".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Config {
        Config {
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: 1,
            ..Config::default()
        }
    }

    #[test]
    fn what_could_lose_a_message_or_its_order_is_refused() {
        let short = ACK_WAIT - Duration::from_millis(1);
        for (config, word) in [
            (Config { ack_policy: AckPolicy::None, ..ours() }, "ack_policy"),
            (Config { ack_policy: AckPolicy::All, ..ours() }, "ack_policy"),
            (Config { max_deliver: 1, ..ours() }, "max_deliver"),
            (Config { ack_wait: short, ..ours() }, "ack_wait"),
            (Config { backoff: vec![short, ACK_WAIT], ..ours() }, "backoff"),
            (Config { max_ack_pending: 2, ..ours() }, "max_ack_pending"),
        ] {
            assert!(fit(&config, true).unwrap_err().contains(word), "{word}");
        }
        let longer = Config { ack_wait: ACK_WAIT * 2, max_deliver: 0, ..ours() };
        assert_eq!(fit(&longer, true), Ok(()));
        assert_eq!(fit(&Config { max_ack_pending: 2, ..ours() }, false), Ok(()));
    }
}
