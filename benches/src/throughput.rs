//! Events per second: the daemon against wrk and a reqwest loop, in turn, round by round.

use std::path::Path;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::page::Section;
use crate::server::Nginx;
use crate::summary::{Summary, thousands};
use crate::user::User;
use crate::wrk::Wrk;
use pilot_webhook_benches::Result;

/// One measurement. Some thousand events are enough, and a round is short.
const TIME: Duration = Duration::from_secs(1);

/// The rates of all rounds, over HTTP or HTTPS.
#[derive(Default)]
struct Rates {
    wrk: Vec<f64>,
    ordered: Vec<f64>,
    user: Vec<f64>,
    wrk8: Vec<f64>,
    eight: Vec<f64>,
    many: Vec<f64>,
    batched: Vec<f64>,
}

pub(crate) fn measure(program: &Path, rounds: usize) -> Result<Section> {
    let nginx = Nginx::start()?;
    let wrk = Wrk::new()?;
    let user = User::new(&nginx)?;
    let certificate = nginx.certificate();
    let certificate = certificate.to_str().ok_or("a temporary path is not text")?;
    let ours = |url: &str, how: [&str; 2]| -> Result<f64> {
        let options = ["--block-when-full", "--ca-file", certificate, how[0], how[1]];
        Ok(Daemon::start(program, url, &options)?.deliver_for(TIME)?.rate)
    };
    let mut all = [Rates::default(), Rates::default()];
    for round in 1..=rounds {
        for (rates, tls) in all.iter_mut().zip([false, true]) {
            let url = nginx.url(tls);
            rates.wrk.push(wrk.rate(&url, 1)?);
            rates.ordered.push(ours(&url, ["--max-in-flight", "1"])?);
            rates.user.push(user.rate(&url, TIME)?);
            rates.wrk8.push(wrk.rate(&url, 8)?);
            rates.eight.push(ours(&url, ["--max-in-flight", "8"])?);
            rates.many.push(ours(&url, ["--max-in-flight", "32"])?);
            rates.batched.push(ours(&url, ["--batch", "64"])?);
        }
        eprintln!("round {round} of {rounds}");
    }
    Ok(section(&all, rounds))
}

fn section(all: &[Rates; 2], rounds: usize) -> Section {
    let mut section = Section::new(
        "Events per second",
        &["what", "events/s", "against", "events/s", "ratio (least..greatest)", "goal"],
    );
    for (rates, scheme, goal) in [(&all[0], "HTTP", 0.95), (&all[1], "HTTPS", 0.9)] {
        let rows = [
            ("in order", &rates.ordered, "wrk -c1", &rates.wrk, Some(goal)),
            ("in order", &rates.ordered, "a reqwest loop", &rates.user, None),
            ("8 in flight", &rates.eight, "wrk -c8", &rates.wrk8, Some(0.6)),
            ("32 in flight", &rates.many, "wrk -c8", &rates.wrk8, None),
            ("8 in flight", &rates.eight, "in order", &rates.ordered, None),
            ("in order, in batches of 64", &rates.batched, "in order", &rates.ordered, Some(10.0)),
        ];
        for (what, of, against, to, goal) in rows {
            let ratio = Summary::ratio(of, to);
            section.row([
                format!("{scheme}, {what}"),
                thousands(Summary::of(of.iter().copied()).median),
                against.to_owned(),
                thousands(Summary::of(to.iter().copied()).median),
                ratio.to_string(),
                goal.map_or_else(String::new, |goal| verdict(ratio.median >= goal, goal)),
            ]);
        }
    }
    section.note(format!(
        "{rounds} rounds of a second each in turn. Rates are medians; a ratio is of the two rates \
         of one round."
    ));
    section
}

fn verdict(is_met: bool, goal: f64) -> String {
    format!("{goal}: {}", if is_met { "met" } else { "**missed**" })
}
