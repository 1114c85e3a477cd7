//! How an endpoint is, in one word: the same on the page and for `/healthz`.

use pilot_webhook_std::{BreakerState, HubEndpoint};
use serde::Serialize;

use super::history::History;

/// How an endpoint is, which its colour on the page goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Condition {
    Well,
    /// It delivers, and somebody must decide about what it did not take.
    Letters,
    Failing,
    Stopped,
    Paused,
    Gone,
    Idle,
}

/// What a condition is made of.
#[derive(Clone, Copy, Debug)]
struct Signs {
    has_target: bool,
    is_paused: bool,
    breaker: BreakerState,
    /// None of the last attempts brought a success.
    has_failed: bool,
    /// Dead letters that are there.
    dead: u64,
}

impl Condition {
    pub(super) fn of(endpoint: &HubEndpoint, history: &History) -> Self {
        let client = endpoint.client();
        Self::by(Signs {
            has_target: client.target().is_some(),
            is_paused: endpoint.is_paused(),
            breaker: client.stats().breaker,
            has_failed: history.has_failed(),
            dead: endpoint.dead(),
        })
    }

    /// The first that is so: what nothing is sent for, before how what is sent ends.
    const fn by(signs: Signs) -> Self {
        match signs {
            Signs { has_target: false, .. } => Self::Idle,
            Signs { breaker: BreakerState::Gone, .. } => Self::Gone,
            Signs { is_paused: true, .. } => Self::Paused,
            Signs { breaker: BreakerState::Open | BreakerState::HalfOpen, .. } => Self::Stopped,
            Signs { has_failed: true, .. } => Self::Failing,
            Signs { dead: 1.., .. } => Self::Letters,
            Signs { breaker: BreakerState::Closed, .. } => Self::Well,
        }
    }

    /// The word that its colour goes by.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Letters => "letters",
            Self::Failing => "failing",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
            Self::Gone => "gone",
            Self::Idle => "idle",
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Well => "delivering",
            Self::Letters => "delivering, with dead letters",
            Self::Failing => "failing: the last attempts failed",
            Self::Stopped => "stopped: breaker open",
            Self::Paused => "paused",
            Self::Gone => "gone: answered 410",
            Self::Idle => "no webhook is set",
        }
    }

    /// Whether somebody should look at it.
    pub(super) const fn is_trouble(self) -> bool {
        matches!(self, Self::Letters | Self::Failing | Self::Stopped | Self::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Signs = Signs {
        has_target: true,
        is_paused: false,
        breaker: BreakerState::Closed,
        has_failed: false,
        dead: 0,
    };

    #[test]
    fn only_what_delivers_and_has_no_dead_letters_is_well() {
        let open = Signs { breaker: BreakerState::Open, ..GOOD };
        let gone = Signs { breaker: BreakerState::Gone, ..GOOD };
        let failed = Signs { has_failed: true, ..GOOD };
        for (signs, condition) in [
            (GOOD, Condition::Well),
            (Signs { dead: 1, ..GOOD }, Condition::Letters),
            (failed, Condition::Failing),
            (Signs { dead: 1, ..failed }, Condition::Failing),
            (open, Condition::Stopped),
            (Signs { has_failed: true, dead: 9, ..open }, Condition::Stopped),
            (Signs { breaker: BreakerState::HalfOpen, ..GOOD }, Condition::Stopped),
            (Signs { is_paused: true, ..open }, Condition::Paused),
            (gone, Condition::Gone),
            (Signs { is_paused: true, ..gone }, Condition::Gone),
            (Signs { has_target: false, ..gone }, Condition::Idle),
        ] {
            assert_eq!(Condition::by(signs), condition, "{signs:?}");
        }
    }
}
