//! Arguments that do not exist, to `run.sh` and to the program: errors with a reason, never ignored.

use crate::node::{Image, Node, run_sh};

#[test]
fn the_script_says_what_it_does_not_know() {
    for (words, reason) in [
        (&["fly"][..], "no command fly"),
        (&["run"], "run needs the name of a program"),
        (&["run", "--fast", "webhook"], "no option --fast"),
        (&["run", "--board", "pdp11", "webhook"], "no board named pdp11"),
        (&["run", "webhook", "bogus"], "bogus is not KEY=VALUE"),
        (&["run", "webhook", "secret=a b"], "secret=a b: no value may have a blank"),
        (&["run", "first", "url=http://10.0.2.2/"], "first takes no arguments"),
    ] {
        let output = run_sh().args(words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.starts_with(&format!("run.sh: {reason}")), "{words:?}: {said}");
    }
}

/// They were ignored.
#[tokio::test]
async fn the_program_refuses_arguments_that_do_not_exist() {
    if !Image::An386.is_there() {
        return;
    }
    let words = ["url=http://10.0.2.2:9/".into(), "bogus=1".into()];
    let said = Node::start(Image::An386, &words).await.refusal().await;
    assert!(said.contains("bogus=1 is none of these:\n  url=..."), "{said}");
    assert!(said.contains("failed: there is no such argument"), "{said}");
}
