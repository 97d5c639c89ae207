//! The picture as a page: one HTML file that opens from disk, asks no network for anything and needs no Graphviz.
//! The graph is data in it, which the page's own script (`page/`) lays out and lets people look around in.
//!
//! **What users wrote stays text.** The data is JSON with `<`, `>` and `&` escaped, so that no text ends its
//! element. The script writes by `textContent` alone. The policy in the head allows no other script, and no
//! requests.

use ferry_engine::store::Reader;
use serde_json::{Value, json};
use uuid::Uuid;

use super::draw::{Drawing, Drawn, line};
use crate::{error::Result, view};

const FRAME: &str = include_str!("page/frame.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 4] = [
    include_str!("page/layout.js"),
    include_str!("page/fold.js"),
    include_str!("page/picture.js"),
    include_str!("page/page.js"),
];

/// Returns the whole page.
///
/// # Errors
/// Returns the store's errors.
pub(super) fn page(reader: &Reader, drawing: &Drawing) -> Result<String> {
    let nodes: Result<Vec<_>> = drawing.nodes.iter().map(|drawn| node(reader, drawn)).collect();
    let links = drawing.links.iter().map(|link| {
        json!({
            "source": link.source,
            "target": link.target,
            "type": link.link_type.as_str(),
            "label": link.label,
            "line": line(link.link_type),
        })
    });
    let data = json!({"nodes": nodes?, "links": links.collect::<Value>()});
    Ok(fill(&[
        ("STYLE", STYLE),
        ("SCRIPT", &SCRIPTS.concat()),
        ("NONCE", &Uuid::new_v4().simple().to_string()),
        ("TITLE", &title(drawing)),
        // Last, because its contents are not substituted again.
        ("DATA", &harmless(&data)),
    ]))
}

fn fill(parts: &[(&str, &str)]) -> String {
    parts.iter().fold(FRAME.to_owned(), |page, (name, text)| page.replace(&format!("{{{{{name}}}}}"), text))
}

/// Numbers alone, so that nothing in it has to be escaped.
fn title(drawing: &Drawing) -> String {
    let origins = drawing.nodes.iter().filter(|drawn| drawn.is_origin).map(|drawn| drawn.node.id.to_string());
    let named: Vec<_> = origins.take(8).collect();
    format!("the origin of {}", named.join(", "))
}

/// Returns JSON that can stand inside an element, whatever its texts contain. U+2028 and U+2029 end lines in
/// some readers.
fn harmless(data: &Value) -> String {
    let text = data.to_string();
    [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")]
        .into_iter()
        .fold(text, |text, (sign, escaped)| text.replace(sign, escaped))
}

fn node(reader: &Reader, drawn: &Drawn) -> Result<Value> {
    Ok(json!({
        "id": drawn.node.id,
        "lines": drawn.lines,
        "process": drawn.process.is_some(),
        "fill": drawn.fill,
        "origin": drawn.is_origin,
        "facts": facts(reader, drawn)?,
    }))
}

/// Returns the facts that a click shows, in order, without the empty ones.
fn facts(reader: &Reader, drawn: &Drawn) -> Result<Value> {
    let node = &drawn.node;
    let mut facts = vec![
        ("id", json!(node.id)),
        ("uuid", json!(node.uuid)),
        ("type", json!(node.node_type)),
        ("label", json!(node.label)),
        ("description", json!(node.description)),
        ("created", json!(view::time(node.created))),
        ("modified", json!(view::time(node.modified))),
        ("computer", json!(node.computer)),
    ];
    match &drawn.process {
        Some(process) => facts.extend([
            ("kind", json!(process.kind.as_str())),
            ("state", json!(view::state(process))),
            ("exit code", json!(process.end.status)),
            ("exit message", json!(process.end.message)),
            ("status", json!(process.status)),
            ("job id", json!(process.job_id())),
            ("work directory", json!(process.work_dir())),
            ("metadata", json!(node.body)),
        ]),
        None => {
            let shown = view::node_json(reader, node)?;
            let taken = |name: &'static str| (name, shown.get(name).cloned().unwrap_or_default());
            facts.extend(["value", "size", "files"].map(taken));
        }
    }
    facts.retain(|(_, value)| !is_empty(value));
    Ok(facts.into_iter().map(|(name, value)| json!([name, value])).collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_element_that_holds_it() {
        let evil = "</script><script>alert(1)</script><!-- & \u{2028}";
        let text = harmless(&json!({ "label": evil }));
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["label"], evil);
    }

    #[test]
    fn what_users_wrote_fills_no_place_of_the_frame() {
        let page = fill(&[("NONCE", "n"), ("DATA", "{{NONCE}} {{TITLE}}")]);
        assert!(page.contains("{{NONCE}} {{TITLE}}"));
    }

    #[test]
    fn the_page_fetches_nothing() {
        let page = FRAME.to_owned() + STYLE + &SCRIPTS.concat();
        // A name and an element of the page itself.
        let known = page.replace("http://www.w3.org/2000/svg", "").replace("url(#arrow)", "");
        for word in
            ["http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML"]
        {
            assert!(!known.contains(word), "the page has `{word}`");
        }
        assert!(page.contains("default-src 'none'"));
    }
}
