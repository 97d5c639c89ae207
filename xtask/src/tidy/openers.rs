//! The first words of doc comments. A reader who skims wants a noun or a verb, as in Rust's own docs, and not half a
//! question: `Returns the next suspect`, not `What is stepped next`.

/// First words that no doc comment has.
const QUESTIONS: &[&str] = &["What", "Who", "Whether", "How"];
/// Files whose doc comments are texts that users read: help of ports, and what tests make of such help.
const HELP: &[&str] = &[
    "tests/plugins/",
    "plugins/arithmetic/",
    "plugins/data/",
    "plugins/shell/",
    "plugins/sdk/src/workflow/restart/inputs.rs",
    "plugins/sdk/tests/",
];
/// Derives that make help of the doc comments of fields and variants: those of clap, and those of ports.
const DERIVES: &[&str] =
    &["Args", "Parser", "Subcommand", "ValueEnum", "Inputs", "Outputs", "Schema", "Data"];
/// Attributes behind a doc comment that make help of it.
const ATTRIBUTES: &[&str] = &["#[arg", "#[command", "#[clap", "#[value"];

/// Returns a problem for each doc comment of a file that opens with a question and is not help.
pub(super) fn problems(name: &str, text: &str) -> Vec<String> {
    if HELP.iter().any(|prefix| name.starts_with(prefix)) {
        return Vec::new();
    }
    let lines: Vec<_> = text.lines().collect();
    let mut problems = Vec::new();
    // The line that ends the item of which the doc comments are help.
    let mut helps: Option<String> = None;
    let mut derives = false;
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if helps.as_deref() == Some(line) {
            helps = None;
        }
        if is_derive_of_help(code) {
            derives = true;
        } else if derives && code.ends_with('{') && !code.starts_with("#[") {
            helps = helps.or_else(|| Some(format!("{}}}", &line[..line.len() - code.len()])));
            derives = false;
        } else if derives && (code.ends_with(';') || code.ends_with("{}")) {
            derives = false;
        }
        let before = at.checked_sub(1).and_then(|at| doc(lines[at]));
        let Some((kind, opener)) = doc(line).filter(|(kind, _)| before.is_none_or(|(of, _)| of != *kind))
        else {
            continue;
        };
        let is_help = kind == "///" && (helps.is_some() || is_followed_by_help(&lines[at..]));
        if !is_help && QUESTIONS.contains(&opener) {
            problems.push(format!("{name}:{}: a doc comment opens with `{opener}`", at + 1));
        }
    }
    problems
}

/// Returns the kind of a line's doc comment, and its first word.
fn doc(line: &str) -> Option<(&'static str, &str)> {
    let code = line.trim_start();
    let kind = ["///", "//!"].into_iter().find(|kind| code.starts_with(kind) && !code.starts_with("////"))?;
    let words = code[kind.len()..].trim_start();
    let end = words.find(|c: char| !c.is_alphanumeric()).unwrap_or(words.len());
    Some((kind, &words[..end]))
}

fn is_derive_of_help(code: &str) -> bool {
    let Some((_, list)) = code.split_once("#[derive(") else { return false };
    let list = list.split(')').next().unwrap_or_default();
    let names = list.split(',').filter_map(|name| name.trim().rsplit("::").next());
    names.into_iter().any(|name| DERIVES.contains(&name))
}

/// Returns whether the doc comment that these lines begin with has an attribute that makes help of it.
fn is_followed_by_help(lines: &[&str]) -> bool {
    let behind = lines.iter().map(|line| line.trim_start()).skip_while(|line| line.starts_with("///"));
    behind
        .take_while(|line| line.starts_with("#["))
        .any(|line| ATTRIBUTES.iter().any(|attribute| line.starts_with(attribute)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doc_comment_that_opens_with_a_question_is_told_with_its_line() {
        let text =
            "//! Good.\n\n/// What it is.\nfn a() {}\n/// Returns what it is.\n/// How so.\nfn b() {}\n";
        assert_eq!(problems("a.rs", text), ["a.rs:3: a doc comment opens with `What`"]);
        for bad in ["//! Whether so.", "    /// How.", "/// Who's there?", "x\n//! What.\n/// How.\n"] {
            assert!(!problems("a.rs", bad).is_empty(), "{bad}");
        }
        for good in ["/// However it be.", "// What is next.", "//// What", "/// `How` is a word."] {
            assert_eq!(problems("a.rs", good).len(), 0, "{good}");
        }
    }

    #[test]
    fn help_for_users_may_ask() {
        for help in [
            "/// How long\n#[arg(long)]\nwait: u32,\n",
            "/// What to do\n#[serde(default)]\n#[command(subcommand)]\nverb: Verb,\n",
            "#[derive(Debug, Args)]\nstruct A {\n    /// How long\n    wait: u32,\n}\n",
            "#[derive(clap::Subcommand)]\n#[command(x)]\nenum A {\n    /// How\n    B {\n        /// What\n        c: u32,\n    },\n}\n",
        ] {
            assert_eq!(problems("cli/src/a.rs", help).len(), 0, "{help}");
        }
        assert_eq!(problems("tests/plugins/x/src/lib.rs", "/// What is added\nx: i64,\n").len(), 0);
    }

    #[test]
    fn help_ends_with_its_item() {
        let text = "#[derive(Args)]\nstruct A {\n    /// How long\n    a: u32,\n}\n\n/// How.\nfn f() {}\n";
        assert_eq!(problems("a.rs", text), ["a.rs:7: a doc comment opens with `How`"]);
        let other = "#[derive(Debug)]\nstruct A {\n    /// How long.\n    a: u32,\n}\n";
        assert_eq!(problems("a.rs", other).len(), 1);
        for unit in ["struct A;", "struct A {}", "struct A(u32);"] {
            let text = format!("#[derive(Args)]\n{unit}\nstruct B {{\n    /// How long.\n    b: u32,\n}}\n");
            assert_eq!(problems("a.rs", &text).len(), 1, "{unit}");
        }
    }
}
