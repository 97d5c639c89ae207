//! A file's code as trees of tokens, without comments, attributes and what only its tests have.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Returns the code of a file.
///
/// # Errors
/// Fails if the text is not Rust.
pub(super) fn of(source: &str) -> Result<TokenStream> {
    let tokens = source.parse().map_err(|error| anyhow!("can't be read as Rust: {error}"))?;
    Ok(without_tests(tokens))
}

fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut rest = tokens.into_iter().peekable();
    let mut kept = Vec::new();
    while let Some(tree) = rest.next() {
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                rest.next_if(|next| is_punct(next, '!'));
                let attribute = rest.next_if(|next| is_group(next, Delimiter::Bracket));
                if attribute.is_some_and(|attribute| is_for_tests(&attribute)) {
                    // The item ends with its braces, or with its semicolon.
                    rest.by_ref().find(|next| is_group(next, Delimiter::Brace) || is_punct(next, ';'));
                }
            }
            TokenTree::Group(group) => {
                kept.push(Group::new(group.delimiter(), without_tests(group.stream())).into());
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

fn is_for_tests(attribute: &TokenTree) -> bool {
    attribute.to_string().replace(' ', "") == "[cfg(test)]"
}

/// Returns whether a token is this sign.
pub(super) fn is_punct(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn is_group(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_attributes_and_tests_are_left_out() {
        let source = "#![a = \"1\"]\n//! b\n#[cfg(test)]\nmod tests { fn f() { } }\n#[cfg(test)]\nuse x;\n\
                      #[cfg(test)]\n#[c]\nfn k(x: [u8; 3]) { g() }\n/* d */ fn h() { #[e] i(); }\n\
                      #[cfg(any(test, f))]\nfn j() {}";
        assert_eq!(of(source).unwrap().to_string(), "fn h () { i () ; } fn j () { }");
    }

    #[test]
    fn what_is_no_code_is_an_error() {
        let error = of("fn f( {").unwrap_err().to_string();
        assert!(error.starts_with("can't be read as Rust"), "{error}");
    }
}
