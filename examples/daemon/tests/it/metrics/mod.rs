//! What the daemon tells machines at its admin address: the real binary, asked over HTTP.

mod counted;
mod names;
mod prometheus;
mod served;
