//! The string literals of a file's code, without tests, attributes, and what `expect` says of bugs.

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};

use super::code;

/// Returns the string literals of code that is not a test's, as they are written, in their order.
///
/// # Errors
/// Fails if the text is not Rust.
pub(super) fn of(source: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(code::of(source)?, &mut found);
    Ok(found)
}

fn collect(tokens: TokenStream, found: &mut Vec<String>) {
    let mut is_expect = false;
    for tree in tokens {
        match &tree {
            TokenTree::Literal(literal) => found.extend(text(&literal.to_string())),
            TokenTree::Group(group) => {
                let is_reason = |inner: &TokenTree| is_expect && matches!(inner, TokenTree::Literal(_));
                let mut inner = group.stream().into_iter().peekable();
                inner.next_if(is_reason);
                collect(inner.collect(), found);
            }
            _ => {}
        }
        is_expect = matches!(&tree, TokenTree::Ident(ident) if ident == "expect");
    }
}

/// Returns the text of a string literal, on one line; `None` for other literals. A backslash at the end of a line
/// joins it with the next one. Other escapes stay as they are.
fn text(literal: &str) -> Option<String> {
    let (prefix, rest) = literal.split_once('"')?;
    if prefix.contains('\'') {
        return None;
    }
    let (body, _) = rest.rsplit_once('"')?;
    if prefix.contains('r') {
        return Some(body.replace('\n', "\\n"));
    }
    let mut lines = body.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let joined = lines.fold(first, |text, line| text + line.trim_start());
    Some(joined.replace("\\\"", "\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_as_they_are_written() {
        let code = "fn f<'a>(x: &'a str) { let a = \"one \\\"two\\\" \\\n        three\\n\"; // \"not this\"\n\
                    let b = br#\"raw \"x\" {}\"#; let c = ('\"', '\\'', '\\u{41}', b'\"', 7); g(\"four\") }\
                    /* \"no\" /* */ \"no\" */";
        assert_eq!(of(code).unwrap(), ["one \"two\" three\\n", "raw \"x\" {}", "four"]);
        assert_eq!(of("let for_r = f(\"x\"); let r#fn = r#\"y \"z\"\"#;").unwrap(), ["x", "y \"z\""]);
    }

    #[test]
    fn words_on_bugs_are_left_out() {
        let code = "#[allow(x, reason = \"c\")]\nfn g() { h.expect(\"d\"); i.expect(&j(\"e\")); }";
        assert_eq!(of(code).unwrap(), ["e"]);
    }
}
