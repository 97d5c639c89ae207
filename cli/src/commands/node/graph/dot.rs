//! DOT text: statements with every name and text quoted.
//!
//! The language: <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write as _;

/// Attributes of a node or an edge, in order.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A directed graph that is being written.
#[derive(Debug)]
pub(super) struct Dot {
    text: String,
}

impl Dot {
    /// Makes an empty graph.
    pub(super) fn new() -> Dot {
        Dot { text: "digraph ferry {\n    rankdir=TB;\n".into() }
    }

    /// Adds a node.
    pub(super) fn node(&mut self, name: &str, attributes: Attributes<'_>) {
        let _ = writeln!(self.text, "    {}{};", quote(name), list(attributes));
    }

    /// Adds an edge.
    pub(super) fn edge(&mut self, from: &str, to: &str, attributes: Attributes<'_>) {
        let _ = writeln!(self.text, "    {} -> {}{};", quote(from), quote(to), list(attributes));
    }

    /// Returns the whole text.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("}\n");
        self.text
    }
}

fn list(attributes: Attributes<'_>) -> String {
    let pairs: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    if pairs.is_empty() { String::new() } else { format!(" [{}]", pairs.join(", ")) }
}

/// Quotes a string. A line break is `\n`; a backslash is doubled, so that no escape of DOT's labels (`\N`,
/// `\G`) acts; control characters, which XML can't hold, become blanks.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_string() {
        let mut dot = Dot::new();
        dot.node("1", &[("label", "a \"b\"\n\\N \u{7}x]; evil")]);
        dot.edge("1", "2", &[]);
        let expect = "digraph ferry {\n    rankdir=TB;\n    \"1\" [label=\"a \\\"b\\\"\\n\\\\N  x]; evil\"];\n    \"1\" -> \"2\";\n}\n";
        assert_eq!(dot.finish(), expect);
    }
}
