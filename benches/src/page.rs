//! The tables, and their place in `docs/performance.md`.

use std::fmt;
use std::fs;
use std::path::Path;

use pilot_webhook_benches::Result;

const BEGIN: &str = "<!-- written by benches/run: begin -->\n";
const END: &str = "<!-- written by benches/run: end -->\n";

/// A table under a heading, with what is to be known of it.
pub(crate) struct Section {
    title: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Section {
    pub(crate) fn new(title: &'static str, head: &[&'static str]) -> Self {
        Self { title, head: head.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.head.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\n{note}"))
    }
}

/// Puts the tables between the marks of the page; what is written by hand around them stays.
pub(crate) fn write(machine: &str, sections: &[Section]) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page.split_once(BEGIN).ok_or("docs/performance.md has lost a mark")?;
    let (_, after) = rest.split_once(END).ok_or("docs/performance.md has lost a mark")?;
    let tables: Vec<String> = sections.iter().map(Section::to_string).collect();
    let tables = tables.join("\n");
    fs::write(&path, format!("{before}{BEGIN}\n{machine}\n\n{tables}\n{END}{after}"))?;
    eprintln!("written to docs/performance.md");
    Ok(())
}
