//! The string literals of a file's code, as a scanner finds them: without comments, tests, attributes, and what
//! `expect` says of bugs.

use std::iter::Peekable;
use std::str::Chars;

/// A piece of code.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A string literal as it is written, with its continued lines joined.
    Text(String),
    /// One character of other code. Blanks are left out.
    Code(char),
}

/// Returns the string literals of code that is not a test's, as they are written, in their order.
pub(super) fn of(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    let mut before = String::new();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            Token::Code('#') => {
                let (end, attribute) = attribute(&tokens, at);
                at = if attribute == "#[cfg(test)]" { item(&tokens, end) } else { end };
                continue;
            }
            Token::Code(c) => before.push(*c),
            Token::Text(text) => {
                if !before.ends_with("expect(") {
                    found.push(text.clone());
                }
                before.clear();
            }
        }
        at += 1;
    }
    found
}

/// Returns the end of the attribute that begins at `start`, and its code. A `#` alone is one, too.
fn attribute(tokens: &[Token], start: usize) -> (usize, String) {
    let mut code = String::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let Token::Code(c) = token else { continue };
        if depth == 0 && !matches!(c, '#' | '!' | '[') {
            return (at, code);
        }
        code.push(*c);
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return (at + 1, code),
            ']' => depth -= 1,
            _ => {}
        }
    }
    (tokens.len(), code)
}

/// Returns the end of the item that begins at `start`: behind its braces, or behind its semicolon.
fn item(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_u32;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Code('{' | '(' | '[') => depth += 1,
            Token::Code('}') if depth == 1 => return at + 1,
            Token::Code('}' | ')' | ']') => depth = depth.saturating_sub(1),
            Token::Code(';') if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn tokens(source: &str) -> Vec<Token> {
    let mut chars = source.chars().peekable();
    let mut tokens = Vec::new();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        let begins = last == 'b' || !(last.is_alphanumeric() || last == '_');
        match c {
            '/' if chars.peek() == Some(&'/') => chars.by_ref().take_while(|c| *c != '\n').for_each(drop),
            '/' if chars.peek() == Some(&'*') => block_comment(&mut chars),
            '"' => tokens.push(Token::Text(text(&mut chars))),
            'r' if begins => tokens.push(raw(&mut chars)),
            '\'' => character(&mut chars),
            c if c.is_whitespace() => {}
            c => tokens.push(Token::Code(c)),
        }
        last = c;
    }
    tokens
}

fn block_comment(chars: &mut Peekable<Chars<'_>>) {
    let mut depth = 0;
    let mut last = '/';
    for c in chars.by_ref() {
        match (last, c) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                last = c;
                continue;
            }
        }
        last = ' ';
        if depth == 0 {
            return;
        }
    }
}

/// Reads a literal up to its closing quote. A backslash at the end of a line joins it with the next one.
fn text(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                Some('"') => text.push('"'),
                Some(c) => text.extend(['\\', c]),
                None => {}
            },
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text
}

/// Reads a raw literal behind its `r`, or only that letter.
fn raw(chars: &mut Peekable<Chars<'_>>) -> Token {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        // A word that begins with `r`, or a raw identifier.
        return Token::Code('r');
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let mut text = String::new();
    for c in chars.by_ref() {
        text.push(c);
        if text.ends_with(&end) {
            text.truncate(text.len() - end.len());
            break;
        }
    }
    Token::Text(text.replace('\n', "\\n"))
}

/// Reads over a character behind its first quote. Of a lifetime nothing but the quote is left out.
fn character(chars: &mut Peekable<Chars<'_>>) {
    let mut ahead = chars.clone();
    match (ahead.next(), ahead.next()) {
        (Some('\\'), _) => {
            chars.nth(1);
            chars.by_ref().take_while(|c| *c != '\'').for_each(drop);
        }
        (Some(_), Some('\'')) => {
            chars.nth(1);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_found_as_they_are_written() {
        let code = "let a = \"one \\\"two\\\" \\\n        three\\n\"; // \"not this\"\nlet b = br#\"raw \"x\" {}\"#; \
                    let c = ('\"', '\\'', '\\u{41}', b'\"'); fn f<'a>(x: &'a str) { g(\"four\") } /* \"no\" /* */ \"no\" */";
        assert_eq!(of(code), ["one \"two\" three\\n", "raw \"x\" {}", "four"]);
        assert_eq!(of("let for_r = f(\"x\"); let r#fn = 1; return r#\"y \"z\"\"#;"), ["x", "y \"z\""]);
    }

    #[test]
    fn tests_attributes_and_words_on_bugs_are_left_out() {
        let code = "#![doc = \"a\"]\n#[cfg(test)]\nmod tests { fn f() { g(\"b }\"); } }\n#[cfg(test)]\nuse x;\n\
                    #[allow(x, reason = \"c\")]\nfn g() { h.expect(\"d\"); i(\"e\"); }\n#[cfg(any(test, feature = \"f\"))]\n\
                    fn j() { \"g\" }\n#[cfg(test)]\nfn k(x: [u8; 3]) { \"h\" }";
        assert_eq!(of(code), ["e", "g"]);
    }
}
