//! What is to be done so that a running daemon is as another configuration says.

use std::collections::{BTreeMap, BTreeSet};

use super::load::Declared;
use super::table::Settings;

/// Keys that say which events an endpoint gets.
const OF_FILTER: [&str; 3] = ["topics", "exclude", "nodes"];
/// Keys that say where to.
const OF_URL: [&str; 2] = ["url", "url_file"];
/// Keys about what is read at each reload anyway.
const READ_AGAIN: [&str; 6] =
    ["secret_file", "sign", "header", "header_file", "bearer_file", "basic_file"];

/// One thing that is to be done to the endpoint of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is new.
    Add(String),
    /// It gets another client, which the old one's place is given to.
    Replace(String),
    /// It gets other events.
    Filter(String),
    /// Its events go to another URL, by the client that it has.
    Url(String),
    /// It is gone.
    Remove(String),
}

/// What is to be done, in this order. Endpoints that are new come first and those that are gone last, so that between
/// them no event is without one. An endpoint that is as it was is in no change.
pub(crate) fn plan(old: &[Declared], new: &[Declared]) -> Vec<Change> {
    let before: BTreeMap<_, _> = old.iter().map(|it| (&it.args.name, it)).collect();
    let mut changes = Vec::new();
    for endpoint in new.iter().filter(|it| !before.contains_key(&it.args.name)) {
        changes.push(Change::Add(endpoint.args.name.clone()));
    }
    for endpoint in new {
        let name = &endpoint.args.name;
        let Some(old) = before.get(name) else { continue };
        if rest(&old.settings) != rest(&endpoint.settings) {
            changes.push(Change::Replace(name.clone()));
            continue;
        }
        if only(&old.settings, &OF_FILTER) != only(&endpoint.settings, &OF_FILTER) {
            changes.push(Change::Filter(name.clone()));
        }
        if old.url != endpoint.url {
            changes.push(Change::Url(name.clone()));
        }
    }
    let after: BTreeSet<_> = new.iter().map(|it| &it.args.name).collect();
    for endpoint in old.iter().filter(|it| !after.contains(&it.args.name)) {
        changes.push(Change::Remove(endpoint.args.name.clone()));
    }
    changes
}

/// The keys whose values are others: they count from the next start on.
pub(crate) fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let mut keys: Vec<_> = keys.filter(|key| old.get(*key) != new.get(*key)).cloned().collect();
    keys.sort_unstable();
    keys
}

fn only(settings: &Settings, keys: &[&str]) -> Settings {
    let of = settings.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    of.map(|(key, setting)| (key.clone(), setting.clone())).collect()
}

/// The settings that a client is built by, and cannot change.
fn rest(settings: &Settings) -> Settings {
    let is_live = |key: &str| [&OF_FILTER[..], &OF_URL, &READ_AGAIN].concat().contains(&key);
    let rest = settings.iter().filter(|(key, _)| !is_live(key));
    rest.map(|(key, setting)| (key.clone(), setting.clone())).collect()
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;
    use proptest::prelude::*;

    use super::super::keys::Keys;
    use super::super::problem::Problems;
    use super::super::table::{Given, Setting, Table};
    use super::*;
    use crate::delivery::EndpointArgs;

    fn setting(line: usize, value: &str) -> Setting {
        Setting { line: Some(line), given: Given::Values(vec![value.into()]) }
    }

    fn declared(base: &EndpointArgs, name: &str, url: &str, keys: &[(&str, &str)]) -> Declared {
        let keys = keys.iter().enumerate();
        let settings =
            keys.map(|(line, (key, value))| ((*key).to_owned(), setting(line, value))).collect();
        let args = EndpointArgs { name: name.to_owned(), ..base.clone() };
        Declared { args: args.into(), url: url.to_owned(), settings }
    }

    fn base() -> EndpointArgs {
        let settings = Settings::from([("name".to_owned(), setting(1, "a"))]);
        let mut table = Table::new(1, settings);
        let matches = Keys::endpoint().parse(&mut table, &mut Problems::default()).unwrap();
        EndpointArgs::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn keys_that_are_named_here_exist() {
        let keys = Keys::endpoint();
        for key in [&OF_FILTER[..], &OF_URL, &READ_AGAIN].concat() {
            assert!(keys.find(key).is_some(), "{key}");
        }
    }

    #[test]
    fn only_what_changed_is_done() {
        let base = base();
        let endpoint =
            |name: &str, url: &str, keys: &[(&str, &str)]| declared(&base, name, url, keys);
        let old = [
            endpoint("same", "u", &[("batch", "1"), ("topics", "a")]),
            endpoint("url", "u", &[("url", "u")]),
            endpoint("filter", "u", &[("topics", "a")]),
            endpoint("both", "u", &[("topics", "a")]),
            endpoint("batch", "u", &[("batch", "1"), ("topics", "a")]),
            endpoint("default", "u", &[("batch", "1")]),
            endpoint("key", "u", &[("secret_file", "a")]),
            endpoint("gone", "u", &[]),
        ];
        let new = [
            endpoint("new", "u", &[]),
            // Other lines, and another order.
            endpoint("same", "u", &[("topics", "a"), ("batch", "1")]),
            endpoint("url", "v", &[("url", "v")]),
            endpoint("filter", "u", &[("exclude", "a")]),
            endpoint("both", "v", &[("topics", "b")]),
            endpoint("batch", "v", &[("batch", "2"), ("topics", "b")]),
            endpoint("default", "u", &[]),
            endpoint("key", "u", &[("secret_file", "b"), ("sign", "pilot")]),
        ];
        let name = str::to_owned;
        assert_eq!(
            plan(&old, &new),
            [
                Change::Add(name("new")),
                Change::Url(name("url")),
                Change::Filter(name("filter")),
                Change::Filter(name("both")),
                Change::Url(name("both")),
                Change::Replace(name("batch")),
                Change::Replace(name("default")),
                Change::Remove(name("gone")),
            ]
        );
        let settings = |keys| endpoint("a", "u", keys).settings;
        let (old, new) = (
            settings(&[("a", "1"), ("b", "1"), ("c", "1")]),
            settings(&[("b", "2"), ("c", "1"), ("d", "1")]),
        );
        assert_eq!(differences(&old, &new), ["a", "b", "d"]);
    }

    /// What matters of an endpoint: its URL, its filter, the rest.
    type Model = BTreeMap<String, (String, Settings, Settings)>;

    fn model(endpoints: &[Declared]) -> Model {
        let model =
            |it: &Declared| (it.url.clone(), only(&it.settings, &OF_FILTER), rest(&it.settings));
        endpoints.iter().map(|it| (it.args.name.clone(), model(it))).collect()
    }

    proptest! {
        /// Whoever does what the plan says has what the new file says; without a difference there is nothing to do.
        #[test]
        fn what_is_planned_leads_there(
            old in proptest::collection::btree_map(0_u8..6, (0_u8..3, 0_u8..3, 0_u8..3), 0..6),
            new in proptest::collection::btree_map(0_u8..6, (0_u8..3, 0_u8..3, 0_u8..3), 0..6),
        ) {
            let base = base();
            let make = |endpoints: &BTreeMap<u8, (u8, u8, u8)>| -> Vec<Declared> {
                let make = |(name, (url, topics, batch)): (&u8, &(u8, u8, u8))| {
                    let (topics, batch) = (topics.to_string(), batch.to_string());
                    declared(&base, &name.to_string(), &url.to_string(), &[("topics", &topics), ("batch", &batch)])
                };
                endpoints.iter().map(make).collect()
            };
            let (before, after) = (make(&old), make(&new));
            let (mut world, goal) = (model(&before), model(&after));
            for change in plan(&before, &after) {
                match change {
                    Change::Add(name) => {
                        let added = world.insert(name.clone(), goal[&name].clone());
                        prop_assert!(added.is_none());
                    }
                    Change::Replace(name) => {
                        let replaced = world.insert(name.clone(), goal[&name].clone());
                        prop_assert!(replaced.is_some());
                    }
                    Change::Filter(name) => world.get_mut(&name).unwrap().1 = goal[&name].1.clone(),
                    Change::Url(name) => world.get_mut(&name).unwrap().0 = goal[&name].0.clone(),
                    Change::Remove(name) => prop_assert!(world.remove(&name).is_some()),
                }
            }
            prop_assert_eq!(world, goal);
            prop_assert_eq!(plan(&after, &after), []);
        }
    }
}
