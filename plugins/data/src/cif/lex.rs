//! Words of a CIF file: values, quoted, bare or over several lines, and the reserved words between them.

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// `data_NAME`.
    Data(String),
    /// `loop_`.
    Loop,
    /// `save_`, which ends a frame or, with a name, begins one.
    Save,
    /// `_name` of an item, in small letters; mmCIF's dots are underscores.
    Name(String),
    /// A value. A quoted `?` or `.` is text; a bare one means that there is no value.
    Value { text: String, bare: bool },
}

/// A word with the number of its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) line: usize,
}

/// Splits a file into words.
///
/// # Errors
/// Fails with the line of a quote or a text that has no end.
pub(super) fn words(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((line, content)) = lines.next() {
        match content.strip_prefix(';') {
            Some(first) => {
                let text = field(line, first, &mut lines)?;
                tokens.push(Token { word: Word::Value { text, bare: false }, line });
            }
            None => of_line(content, line, &mut tokens)?,
        }
    }
    Ok(tokens)
}

/// Reads a text between two lines that begin with a semicolon. The rest of the second line is read as a line
/// of its own.
fn field<'a>(
    start: usize,
    first: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, String> {
    let mut text = first.trim_end_matches('\r').to_owned();
    for (_, content) in lines {
        if content.starts_with(';') {
            return Ok(text);
        }
        text.push('\n');
        text.push_str(content);
    }
    Err(format!("line {start}: the text that begins with `;` has no end"))
}

fn of_line(content: &str, line: usize, tokens: &mut Vec<Token>) -> Result<(), String> {
    let mut rest = content.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let (word, after) = match first {
            '\'' | '"' => quoted(rest, first)
                .ok_or_else(|| format!("line {line}: the text that begins with {first} has no end"))?,
            _ => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (bare(&rest[..end]), &rest[end..])
            }
        };
        tokens.push(Token { word, line });
        rest = after.trim_start();
    }
    Ok(())
}

/// Splits off a quoted word. The quote ends where white space follows its second mark: `'a dog's life'`.
fn quoted(text: &str, mark: char) -> Option<(Word, &str)> {
    let inner = &text[1..];
    let ends = inner.match_indices(mark).map(|(at, _)| at);
    let end = ends.into_iter().find(|at| inner[at + 1..].chars().next().is_none_or(char::is_whitespace))?;
    Some((Word::Value { text: inner[..end].to_owned(), bare: false }, &inner[end + 1..]))
}

fn bare(text: &str) -> Word {
    let small = text.to_ascii_lowercase();
    if let Some(name) = small.strip_prefix("data_") {
        return Word::Data(text[text.len() - name.len()..].to_owned());
    }
    match small.as_str() {
        "loop_" => Word::Loop,
        _ if small.starts_with("save_") => Word::Save,
        _ if small.starts_with('_') => Word::Name(small.replace('.', "_")),
        _ => Word::Value { text: text.to_owned(), bare: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, String)> {
        let show = |token: Token| match token.word {
            Word::Value { text, bare } => (token.line, if bare { text } else { format!("<{text}>") }),
            other => (token.line, format!("{other:?}")),
        };
        words(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn values_are_bare_quoted_or_of_many_lines() {
        assert_eq!(
            texts(
                "data_Si # what\n_a 'it's so' \"x # y\"\n_b\n;one\n two\n;\nloop_\n_Atom_site.Fract_x 0.1(2) '?' ?"
            ),
            [
                (1, "Data(\"Si\")".to_owned()),
                (2, "Name(\"_a\")".to_owned()),
                (2, "<it's so>".to_owned()),
                (2, "<x # y>".to_owned()),
                (3, "Name(\"_b\")".to_owned()),
                (4, "<one\n two>".to_owned()),
                (7, "Loop".to_owned()),
                (8, "Name(\"_atom_site_fract_x\")".to_owned()),
                (8, "0.1(2)".to_owned()),
                (8, "<?>".to_owned()),
                (8, "?".to_owned()),
            ]
        );
    }

    #[test]
    fn what_has_no_end_is_told_by_its_line() {
        assert_eq!(words("_a\n'open\n").unwrap_err(), "line 2: the text that begins with ' has no end");
        assert_eq!(words("_a\n;open\nx").unwrap_err(), "line 2: the text that begins with `;` has no end");
    }
}
