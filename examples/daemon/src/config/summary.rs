//! What a configuration says, in a few lines.

use std::path::Path;

use pilot_webhook_std::Destination;

use super::load::Declared;

/// How many endpoints there are, and a line each: where it delivers what. Of URLs only the origin is shown. Then a line for
/// each warning.
pub(crate) fn summary(path: &Path, endpoints: &[Declared], warnings: &[&str]) -> String {
    let count = match endpoints.len() {
        1 => "1 endpoint".to_owned(),
        count => format!("{count} endpoints"),
    };
    let mut text = format!("{}: good, {count}", path.display());
    let width = endpoints.iter().map(|it| it.args.name.len()).max().unwrap_or_default();
    for Declared { args, url, .. } in endpoints {
        let to = Destination::parse(url, args.delivery.endpoint.policy());
        let to = to.map_or_else(|_| "nowhere until a webhook is set".to_owned(), |to| to.origin());
        text.push_str(&format!("\n  {:<width$}  {to}", args.name));
        let nodes: Vec<_> = args.nodes.iter().map(u32::to_string).collect();
        for (what, list) in [("", &args.topics), ("but ", &args.exclude), ("of node ", &nodes)] {
            if !list.is_empty() {
                text.push_str(&format!(", {what}{}", list.join(" ")));
            }
        }
    }
    for warning in warnings {
        text.push_str(&format!("\nwarning: {warning}"));
    }
    text
}
