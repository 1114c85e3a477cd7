//! The README's commands for a node.

use crate::node::Image;
use crate::shell::{Shell, blocks, is_firmware};

#[test]
fn every_command_of_the_readme_works() {
    if !Image::An386.is_there() {
        return;
    }
    let shell = Shell::new();
    let [install, node] = ["cargo install", "examples/firmware"].map(|what| {
        let found = blocks().into_iter().find(|block| block.contains(what));
        found.unwrap_or_else(|| panic!("no block with {what}"))
    });
    shell.paste(install);
    assert!(is_firmware(node));
    let said = shell.paste(node);
    assert_eq!(said.matches("204 {").count(), 20, "{said}");
    assert!(said.contains(r#""delivered":20"#), "{said}");
}
