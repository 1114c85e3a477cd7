//! Every command of the README can be pasted and works, in the order in which they stand there.
//!
//! What takes a compiler for the node is in the firmware's tests, which know how to do without one. `shell.rs` says
//! what is done in another way than a reader would.

mod shell;

use shell::{Shell, blocks, is_firmware};

#[test]
fn every_command_works() {
    let shell = Shell::new();
    let blocks = blocks().into_iter().filter(|block| !is_firmware(block));
    let said: Vec<_> = blocks.map(|block| shell.paste(block)).collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[0].contains("every event is accounted for"), "{}", said[0]);
    for said in &said[2..] {
        assert!(said.contains(r#""delivered":54"#), "{said}");
        assert_eq!(said.matches("204 signed {").count(), 54, "{said}");
    }
}
