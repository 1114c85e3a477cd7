//! `pilot-webhookd outbox`, as people and scripts call it: the real binary on real files.

mod change;
mod export;
mod look;
mod operator;
mod place;
mod read_only;
mod wrong;
