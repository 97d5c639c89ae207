//! Sentences of a page in Markdown: none has more words than a reader can hold.

/// The most words of a sentence.
const LONGEST: usize = 40;
/// Words that end with a full stop inside a sentence.
const ABBREVIATED: &[&str] = &["e.g.", "i.e.", "etc."];

/// Returns a problem for each sentence that is too long. Code blocks and tables do not count.
pub(super) fn long(name: &str, page: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, text) in paragraphs(page) {
        for sentence in sentences(&text) {
            if sentence.len() > LONGEST {
                let start = sentence[..6].join(" ");
                problems.push(format!(
                    "{name}:{number}: a sentence of {} words, at most {LONGEST}: \"{start} ..\"",
                    sentence.len()
                ));
            }
        }
    }
    problems
}

/// Returns the paragraphs, list items and headings of a page, each with the number of its first line.
fn paragraphs(page: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut is_code, mut goes_on) = (false, false);
    for (number, line) in page.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("```") {
            is_code = !is_code;
            goes_on = false;
            continue;
        }
        if is_code || line.is_empty() || line.starts_with('|') {
            goes_on = false;
            continue;
        }
        let is_item = ["- ", "* ", "#", "> "].iter().any(|mark| line.starts_with(mark)) || is_numbered(line);
        match found.last_mut() {
            Some((_, text)) if goes_on && !is_item => {
                text.push(' ');
                text.push_str(line);
            }
            _ => found.push((number + 1, line.trim_start_matches(['-', '*', '#', '>', ' ']).to_owned())),
        }
        goes_on = !line.starts_with('#');
    }
    found
}

/// Returns whether a line is an item of a numbered list.
fn is_numbered(line: &str) -> bool {
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.len() && rest.starts_with(". ")
}

/// Returns the words of each sentence. A sentence ends where a word ends with a full stop and the next one does not
/// begin with a small letter.
fn sentences(text: &str) -> Vec<Vec<&str>> {
    let words: Vec<_> = text.split_whitespace().collect();
    let mut found = vec![Vec::new()];
    for (at, word) in words.iter().enumerate() {
        if let Some(sentence) = found.last_mut() {
            sentence.push(*word);
        }
        let next = words.get(at + 1);
        let goes_on = next.is_some_and(|next| next.starts_with(|c: char| c.is_lowercase()));
        if ends(word) && !goes_on {
            found.push(Vec::new());
        }
    }
    found.retain(|sentence| !sentence.is_empty());
    found
}

fn ends(word: &str) -> bool {
    !ABBREVIATED.contains(&word)
        && word.trim_end_matches(['*', '_', ')', '"', '`']).ends_with(['.', '!', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> String {
        vec!["word"; count].join(" ")
    }

    #[test]
    fn a_sentence_too_long_is_told_with_its_line() {
        assert_eq!(long("A.md", &format!("# Head\n\n{}.\n", words(40))).len(), 0);
        let problems = long("A.md", &format!("# Head\n\n{}.\n", words(41)));
        let wanted = "A.md:3: a sentence of 41 words, at most 40: \"word word word word word word ..\"";
        assert_eq!(problems, [wanted]);
    }

    #[test]
    fn a_sentence_goes_on_over_lines_and_ends_with_its_item() {
        let half = words(25);
        assert_eq!(long("A.md", &format!("{half}\n{half}.\n")).len(), 1);
        for apart in ["\n\n", "\n- ", "\n2. ", ". A ", "\n# "] {
            assert_eq!(long("A.md", &format!("{half}{apart}{half}\n")).len(), 0, "{apart:?}");
        }
        assert_eq!(long("A.md", &format!("{half}, e.g. {half}.")).len(), 1, "an abbreviation ends nothing");
        assert_eq!(long("A.md", &format!("{half} `a.rs` {half}.")).len(), 1, "nor does a file's name");
    }

    #[test]
    fn code_and_tables_are_no_sentences() {
        let long_line = words(50);
        assert_eq!(long("A.md", &format!("```text\n{long_line}\n```\n| {long_line} |\n")).len(), 0);
        assert_eq!(long("A.md", &format!("```text\n```\n{long_line}\n")).len(), 1);
    }
}
