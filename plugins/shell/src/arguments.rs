//! The arguments of a command: where they come from, and the nodes that they name in braces.

use ferry_plugin::{
    PortType, Value,
    proto::{Node, to_value},
    testing::Lender,
};

use crate::words;

/// Arguments: a `str` that is split like a shell's line, or a `list` with one argument an item.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments(Vec<String>);

/// A piece of an argument.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// The label of a node.
    Name(String),
}

impl Arguments {
    /// Splits a line by the quoting rules of a shell.
    ///
    /// # Errors
    /// Fails if a quote is not closed, or at a word that only a shell understands.
    pub fn line(line: &str) -> Result<Self, String> {
        words::split(line).map(Arguments)
    }

    /// Makes arguments of items, one each.
    pub fn list<A: Into<String>>(items: impl IntoIterator<Item = A>) -> Self {
        Arguments(items.into_iter().map(Into::into).collect())
    }

    /// Returns the arguments, each in pieces.
    ///
    /// # Errors
    /// Fails if a brace has no partner.
    pub(crate) fn pieces(&self) -> Result<Vec<Vec<Piece>>, String> {
        self.0.iter().map(|argument| pieces(argument)).collect()
    }
}

impl PortType for Arguments {
    fn types() -> Vec<String> {
        vec!["str".to_owned(), "list".to_owned()]
    }

    fn from_node(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Str(line) => Arguments::line(line),
            Value::List(items) => items.iter().enumerate().map(item).collect::<Result<_, _>>().map(Arguments),
            _ => Err(format!("expected a str or a list, found a node of type `{}`", node.data_type)),
        }
    }

    fn lend(&self, lender: &mut Lender) -> Node {
        lender.lend_as("list", to_value(&self.0).unwrap_or_default())
    }
}

/// Numbers in a list are as good as text; what is neither has no one way to be written.
fn item((at, item): (usize, &Value)) -> Result<String, String> {
    match item {
        Value::Str(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(format!("{number:?}")),
        _ => Err(format!("item {} is neither text nor a number: write it as text", at + 1)),
    }
}

fn pieces(argument: &str) -> Result<Vec<Piece>, String> {
    let alone = |brace: char| {
        format!(
            "`{argument}` has a `{brace}` that stands alone: write `{brace}{brace}` for a brace, `{{name}}` for a node"
        )
    };
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from_brace) = rest.split_at(at);
        text.push_str(before);
        if let Some(brace) = ["{{", "}}"].into_iter().find(|double| from_brace.starts_with(double)) {
            text.push_str(&brace[1..]);
            rest = &from_brace[2..];
            continue;
        }
        let inside = from_brace.strip_prefix('{').ok_or_else(|| alone('}'))?;
        let (name, after) = inside.split_once('}').ok_or_else(|| alone('{'))?;
        pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Name(name.to_owned())]);
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn name(name: &str) -> Piece {
        Piece::Name(name.to_owned())
    }

    #[test]
    fn braces_name_nodes() {
        assert_eq!(pieces("--in={a}.{b.c}"), Ok(vec![text("--in="), name("a"), text("."), name("b.c")]));
        assert_eq!(pieces("{{print $1}}"), Ok(vec![text("{print $1}")]));
        assert_eq!(pieces("{{{a}}}"), Ok(vec![text("{"), name("a"), text("}")]));
        assert_eq!(pieces("{}"), Ok(vec![name("")]));
        assert_eq!(pieces(""), Ok(vec![]));
        for wrong in ["{a", "a}", "{a}}", "{{}", "{a} {a"] {
            assert!(pieces(wrong).unwrap_err().contains("stands alone"), "{wrong}");
        }
    }

    #[test]
    fn a_list_takes_numbers_too() {
        let list =
            |items: Vec<Value>| Node { data_type: "list".into(), value: items.into(), ..Node::default() };
        let read = Arguments::from_node(&list(vec!["a b".into(), 3i64.into(), 1.0.into()]));
        assert_eq!(read, Ok(Arguments::list(["a b", "3", "1.0"])));
        let wrong = Arguments::from_node(&list(vec!["a".into(), true.into()]));
        assert!(wrong.unwrap_err().starts_with("item 2 is neither"));
    }
}
