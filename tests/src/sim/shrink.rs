//! Makes a failing run short: ops are left out as long as the same promise stays broken.

use super::ledger::Fault;
use super::plan::Plan;

/// Runs that are spent on it at most.
const BUDGET: usize = 3_000;

/// The shortest plan found that breaks the same promise as `plan` does.
pub(crate) fn shrink(plan: Plan, fault: &Fault, run: impl Fn(&Plan) -> Option<Fault>) -> Plan {
    let mut best = plan;
    let mut budget = BUDGET;
    let mut chunk = best.ops.len().div_ceil(2);
    while chunk > 0 && budget > 0 {
        let mut is_shorter = false;
        // From the end: what comes after the fault goes first.
        let mut end = best.ops.len();
        while end > 0 && budget > 0 {
            budget -= 1;
            let start = end.saturating_sub(chunk);
            let mut shorter = best.clone();
            // The time that the ops took stays.
            let pause: u64 = shorter.ops.drain(start..end).map(|op| op.0).sum();
            if let Some(next) = shorter.ops.get_mut(start) {
                next.0 += pause;
            }
            if run(&shorter).is_some_and(|found| found.rule == fault.rule) {
                best = shorter;
                is_shorter = true;
            }
            end = start;
        }
        if !is_shorter {
            chunk /= 2;
        }
    }
    best
}
