//! Splits a line into words as a shell quotes them, and does nothing else that a shell does.

/// Words that a shell would act on. They have no effect here, so a line with one of them is a
/// misunderstanding.
const OPERATORS: [&str; 13] = ["|", "||", "&", "&&", ";", "<", "<<", ">", ">>", "2>", "2>>", "&>", "2>&1"];

/// One word, as it grows.
#[derive(Default)]
struct Word {
    text: String,
    quoted: bool,
}

/// Splits `line` into words. Blanks separate them; `'..'` keeps everything, `".."` all but a backslash before
/// `"`, `\`, `$` and a backtick; a backslash keeps the next character.
///
/// # Errors
/// Fails if a quote is not closed, or at a word that only a shell understands.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take().map(finish).transpose()?),
            '\'' => quote(word.get_or_insert_default(), &mut rest, '\'')?,
            '"' => quote(word.get_or_insert_default(), &mut rest, '"')?,
            '\\' => {
                let word = word.get_or_insert_default();
                word.quoted = true;
                word.text.push(
                    rest.next()
                        .ok_or("ends in a backslash, which keeps the next character, and there is none")?,
                );
            }
            c => word.get_or_insert_default().text.push(c),
        }
    }
    words.extend(word.map(finish).transpose()?);
    Ok(words)
}

fn quote(word: &mut Word, rest: &mut std::str::Chars<'_>, mark: char) -> Result<(), String> {
    word.quoted = true;
    while let Some(c) = rest.next() {
        match c {
            c if c == mark => return Ok(()),
            '\\' if mark == '"' => match rest.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.text.push(c),
                Some(c) => word.text.extend(['\\', c]),
                None => break,
            },
            c => word.text.push(c),
        }
    }
    Err(format!("has a {mark} that is not closed"))
}

fn finish(word: Word) -> Result<String, String> {
    if !word.quoted && OPERATORS.contains(&&*word.text) {
        let operator = word.text;
        return Err(format!(
            "has `{operator}`, but no shell reads the arguments: use `command=sh` with `-c` and the whole line as one \
             argument, or quote it (`'{operator}'`) if the command itself wants it"
        ));
    }
    Ok(word.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_quotes_them() {
        for (line, expected) in [
            ("", vec![]),
            ("  a   b\tc\n", vec!["a", "b", "c"]),
            ("'a b' \"c d\" e\\ f", vec!["a b", "c d", "e f"]),
            ("pre'in'\"mid\"post", vec!["preinmidpost"]),
            ("'' \"\"", vec!["", ""]),
            (r#"'\n' "\n" "\"\\\$\`" \'"#, vec![r"\n", r"\n", r#""\$`"#, "'"]),
            ("$HOME * ~ `x`", vec!["$HOME", "*", "~", "`x`"]),
            ("'|' \\> a|b", vec!["|", ">", "a|b"]),
            ("ä 'ö ü'", vec!["ä", "ö ü"]),
        ] {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_told() {
        assert!(split("a 'b").unwrap_err().contains("' that is not closed"));
        assert!(split("a \"b\\").unwrap_err().contains("\" that is not closed"));
        assert!(split("a\\").unwrap_err().contains("backslash"));
        for line in ["a | b", "x > y", "2>&1", "a && b"] {
            assert!(split(line).unwrap_err().contains("no shell reads the arguments"), "{line}");
        }
    }
}
