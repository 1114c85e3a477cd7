//! The receipt of an event that goes to several endpoints: it is told once, when the event has ended at each of them.

use std::sync::{Arc, Mutex, PoisonError};

use pilot_webhook_core::{EmitError, Fate};

use super::emit::Answer;
use crate::client::{Ending, Owed, Receipt, told};

/// The receipt of an event, for the endpoints that it is for.
pub(super) enum Shares {
    Nobody,
    /// There is one endpoint.
    Whole(Option<Owed>),
    Shared(Arc<Fan>),
}

/// A receipt, and how the event ended where it has.
pub(super) struct Fan {
    receipt: Mutex<Option<Owed>>,
    worst: Mutex<Ending>,
}

/// The share of an endpoint.
struct Share(Arc<Fan>);

impl Shares {
    /// A receipt for so many endpoints.
    pub(super) fn new(receipt: Option<Owed>, endpoints: usize) -> Self {
        match receipt {
            None => Self::Nobody,
            Some(receipt) if endpoints > 1 => {
                // Where it is not taken, as there is no target, it is as if there were no endpoint. If that is so
                // everywhere, the event is the source's still.
                let worst = Mutex::new(Ending::NotTaken);
                Self::Shared(Arc::new(Fan { receipt: Mutex::new(Some(receipt)), worst }))
            }
            whole => Self::Whole(whole),
        }
    }

    /// That of another endpoint.
    pub(super) fn share(&mut self) -> Option<Owed> {
        match self {
            Self::Nobody => None,
            Self::Whole(receipt) => receipt.take(),
            Self::Shared(fan) => Some(Owed::new(Share(Arc::clone(fan)))),
        }
    }

    /// The receipt, when the event is handed to no endpoint after all. This was one share of it, the only one.
    pub(super) fn give_back(self, share: Option<Owed>) -> Option<Owed> {
        match self {
            Self::Nobody | Self::Whole(_) => share,
            Self::Shared(fan) => fan.receipt.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }

    /// Tells a share that is still there what the endpoint answered.
    pub(super) fn tell(&self, answer: Answer, share: Option<Owed>) -> Answer {
        match (self, answer) {
            // An endpoint that was closed meanwhile is one that did not get it.
            (Self::Shared(_), Err(EmitError::Closed)) => {
                if let Some(share) = share {
                    share.tell(Ending::Ended(Fate::Abandoned));
                }
                answer
            }
            _ => told(answer, share),
        }
    }
}

impl Receipt for Share {
    fn ended(self, ending: Ending) {
        let mut worst = self.0.worst.lock().unwrap_or_else(PoisonError::into_inner);
        if badness(ending) > badness(*worst) {
            *worst = ending;
        }
    }
}

/// The last share is gone.
impl Drop for Fan {
    fn drop(&mut self) {
        let worst = *self.worst.get_mut().unwrap_or_else(PoisonError::into_inner);
        let receipt = self.receipt.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(receipt) = receipt.take() {
            receipt.tell(worst);
        }
    }
}

/// The more an ending concerns the source, the worse it is.
const fn badness(ending: Ending) -> u8 {
    match ending {
        Ending::NotTaken | Ending::NoEndpoint => 0,
        Ending::Stored(_) => 1,
        Ending::Ended(fate) => match fate {
            Fate::Delivered => 2,
            Fate::Rejected => 3,
            Fate::Oversize => 4,
            Fate::Exhausted => 5,
            Fate::Skipped => 6,
            Fate::Dropped => 7,
            _ => 8,
        },
    }
}
