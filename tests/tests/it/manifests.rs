//! What the manifests promise to those who depend on the crates.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The workspace with all crates below it on this kind of machine, as cargo sees them.
fn metadata() -> Value {
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("the compiler's programs run");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let version = String::from_utf8(run("rustc", &["-vV"])).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let cargo = env!("CARGO");
    let arguments = ["metadata", "--format-version=1", "--locked", "--filter-platform", host];
    serde_json::from_slice(&run(cargo, &arguments)).unwrap()
}

/// The crates of the workspace that are published.
fn published(metadata: &Value) -> Vec<&Value> {
    let members: HashSet<_> = array(&metadata["workspace_members"]).iter().map(text).collect();
    let packages = array(&metadata["packages"]).iter();
    // `publish = false` is an empty list of registries.
    packages.filter(|p| members.contains(text(&p["id"])) && p["publish"].is_null()).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// `1.88` and `1.88.0` are the same; without one, every compiler does.
fn rust_version(package: &Value) -> (u32, u32) {
    let mut parts = text(&package["rust_version"]).split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Of the compiler's library the same is checked by clippy (`incompatible_msrv`).
#[test]
fn no_dependency_wants_a_newer_compiler_than_the_crate() {
    let metadata = metadata();
    let packages: HashMap<_, _> =
        array(&metadata["packages"]).iter().map(|p| (text(&p["id"]), p)).collect();
    let nodes: HashMap<_, _> =
        array(&metadata["resolve"]["nodes"]).iter().map(|n| (text(&n["id"]), n)).collect();
    for package in published(&metadata) {
        let mut seen = HashSet::new();
        let mut waiting = vec![text(&package["id"])];
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            let (name, below) = (text(&package["name"]), packages[id]);
            assert!(
                rust_version(below) <= rust_version(package),
                "{name} promises {}, but {} {} wants {}",
                package["rust_version"],
                below["name"],
                below["version"],
                below["rust_version"],
            );
            let deps = array(&nodes[id]["deps"]).iter();
            // Those of the tests do not bind a user: their kind is "dev".
            let deps = deps.filter(|d| array(&d["dep_kinds"]).iter().any(|k| k["kind"] != "dev"));
            waiting.extend(deps.map(|d| text(&d["pkg"])));
        }
        assert!(seen.len() > 5, "nothing was looked at");
    }
}

/// What crates.io refuses is refused only when a crate is published.
#[test]
fn a_published_crate_carries_what_the_registry_and_a_user_ask_for() {
    let metadata = metadata();
    let published = published(&metadata);
    assert_eq!(published.len(), 3);
    for package in published {
        let name = text(&package["name"]);
        for field in ["description", "license", "documentation", "readme"] {
            assert!(!text(&package[field]).is_empty(), "{name} has no {field}");
        }
        let keywords = array(&package["keywords"]);
        assert!((1..=5).contains(&keywords.len()), "{name}: five keywords at most");
        assert!(keywords.iter().all(|word| text(word).len() <= 20), "{name}: 20 bytes at most");
        assert!((1..=5).contains(&array(&package["categories"]).len()), "{name}");
        let folder = Path::new(text(&package["manifest_path"])).parent().unwrap();
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            assert!(folder.join(file).is_file(), "{name} has no {file}");
        }
    }
}

/// On the page of a registry there are no files beside it.
#[test]
fn a_published_readme_leads_to_no_file_of_this_tree_and_its_crate_finds_its_siblings() {
    let metadata = metadata();
    let version = |name: &str| {
        let mut packages = array(&metadata["packages"]).iter();
        packages.find(|p| text(&p["name"]) == name).map(|p| text(&p["version"]).to_owned())
    };
    for package in published(&metadata) {
        let name = text(&package["name"]);
        let folder = Path::new(text(&package["manifest_path"])).parent().unwrap();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
        for (_, rest) in readme.match_indices("](").map(|(at, _)| readme.split_at(at + 2)) {
            let to = rest.split(')').next().unwrap_or_default();
            let is_there = to.starts_with("https://") || to.starts_with('#');
            assert!(is_there || to.contains("::"), "{name}: its README leads to {to}");
        }
        // A path alone is none on the registry.
        let own = array(&package["dependencies"]).iter();
        for own in own.filter(|d| d["kind"].is_null() && !d["path"].is_null()) {
            let sibling = text(&own["name"]);
            let expected = version(sibling).map(|version| format!("^{version}"));
            assert_eq!(Some(text(&own["req"])), expected.as_deref(), "{name}: {sibling}");
        }
    }
}
