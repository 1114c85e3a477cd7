//! Commands and arguments that do not exist: errors with a reason, never ignored.

use crate::node::run_sh;

/// They were ignored, or answered with the usage alone.
#[test]
fn the_script_says_what_it_does_not_know() {
    for (words, reason) in [
        (&["fly"][..], "no command fly"),
        (&["run"], "run needs the name of a program"),
        (&["run", "webhoook"], "no program webhoook"),
        (&["run", "--fast", "webhook"], "no option --fast"),
        (&["run", "--board", "pdp11", "webhook"], "no board named pdp11"),
        (&["run", "webhook", "bogus"], "bogus is not KEY=VALUE"),
        (&["run", "webhook", "secret=a b"], "secret=a b: no value may have a blank"),
        (
            &["run", "webhook", "url=http://10.0.2.2/", "bogus=1"],
            "webhook has no argument bogus; there are backoff_ms ca ",
        ),
        (&["run", "first", "url=http://10.0.2.2/"], "first takes no arguments"),
        (&["qemu", "an386", "no/such/webhook", "bogus=1"], "webhook has no argument bogus"),
        (
            &["cost", "ulr=http://10.0.2.2/"],
            "cost has no argument ulr; there are ca creds nkey token url",
        ),
        (&["sizes", "tcp+,hots=10.0.2.100"], "tcp has no argument hots; there are host line port"),
    ] {
        let output = run_sh().args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.starts_with(&format!("run.sh: {reason}")), "{words:?}: {said}");
    }
}
