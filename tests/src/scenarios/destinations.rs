//! Where a connection may go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pilot_webhook_core::{ErrorKind, Policy};

use super::{OK, answer};
use crate::Step::Post;
use crate::{Expect, Scenario, Step};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
const METADATA_MAPPED: IpAddr = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xa9fe, 0xa9fe));

pub(super) fn scenarios() -> Vec<Scenario> {
    let ok = || Post(Expect::status(200));
    let refused = || Post(Expect::Fails(&[ErrorKind::Refused]));
    let unresolved = || Post(Expect::Fails(&[ErrorKind::Resolve]));
    let private = |mut scenario: Scenario| {
        scenario.policy = Policy::DENY_PRIVATE;
        scenario
    };
    let refusing = |name| Scenario {
        server: None,
        ..Scenario::new(name, [], [Post(Expect::Fails(&[ErrorKind::Connect]))]).arrived([])
    };
    vec![
        refusing("a refused connection"),
        refusing("a refused connection, by name").resolved(&[("receiver.test", &[LOOPBACK])]),
        Scenario::new("a name", [answer(OK)], [ok()]).resolved(&[("receiver.test", &[LOOPBACK])]),
        Scenario::new("a name of which only the second address listens", [answer(OK)], [ok()])
            .resolved(&[("receiver.test", &[LOOPBACK_V6, LOOPBACK])]),
        untouched("a name that resolves to metadata", refused())
            .resolved(&[("receiver.test", &[METADATA])]),
        untouched("a name that resolves to metadata in disguise", refused())
            .resolved(&[("receiver.test", &[METADATA_MAPPED, METADATA])]),
        Scenario::new("refused addresses are skipped", [answer(OK)], [ok()])
            .resolved(&[("receiver.test", &[METADATA, LOOPBACK, METADATA_MAPPED])]),
        private(untouched("a name that resolves to loopback, with private refused", refused()))
            .resolved(&[("inside.test", &[LOOPBACK])]),
        private(untouched("localhost, with private refused", refused()))
            .resolved(&[("localhost", &[LOOPBACK])]),
        private(untouched("a loopback address, with private refused", refused())),
        Scenario {
            host: "unknown.test",
            ..untouched("a name nobody knows", unresolved())
                .resolved(&[("receiver.test", &[LOOPBACK])])
        },
        untouched("a name without addresses", unresolved()).resolved(&[("empty.test", &[])]),
    ]
}

/// Nobody connects.
fn untouched(name: &'static str, step: Step) -> Scenario {
    Scenario { keep_alive: false, ..Scenario::new(name, [], [step]).arrived([]) }
}
