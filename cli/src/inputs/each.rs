//! `--each FILE.jsonl`: a launch for each line, which is a map of inputs as in a file of inputs. Either all
//! lines are right, or all problems are reported with their line numbers.

use std::{fs, path::Path};

use ferry_engine::process::Launch;
use ferry_plugin_proto::{Problem, Value};

use super::{Reading, Template, Wish, problem};
use crate::error::{Failure, Result};

/// A launch and the line that it came from, counted from 1.
pub(crate) struct Line {
    /// Its number.
    pub(crate) number: usize,
    /// The launch that it describes.
    pub(crate) launch: Launch,
}

/// Makes a launch of each line. The wish holds the inputs that all of them share.
///
/// # Errors
/// Fails if the file can't be read or has no lines, and with all problems of its lines (exit status 2).
pub(crate) async fn each(reading: &Reading<'_>, wish: Wish, file: &Path) -> Result<Vec<Line>> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("can't read {}: {error}", file.display())))?;
    let template = Template::new(reading.reader(), wish)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for (number, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        match launch(&template, reading, text, base).await? {
            Ok(launch) => lines.push(Line { number, launch }),
            Err(problems) => wrong.push((number, problems)),
        }
    }
    if !wrong.is_empty() {
        return Err(problems_by_line(file, &wrong).help(template.help()));
    }
    if lines.is_empty() {
        return Err(Failure::usage(format!("{} has no lines", file.display()))
            .help("each line is a JSON map of inputs, as {\"x\": 1}"));
    }
    Ok(lines)
}

async fn launch(
    template: &Template,
    reading: &Reading<'_>,
    text: &str,
    base: &Path,
) -> Result<std::result::Result<Launch, Vec<Problem>>> {
    match serde_json::from_str::<Value>(text) {
        Ok(own @ Value::Map(_)) => template.launch(reading, Some((&own, base))).await,
        Ok(_) => Ok(Err(vec![problem("", "not a map of inputs")])),
        Err(error) => Ok(Err(vec![problem("", format!("no JSON: {error}"))])),
    }
}

/// Makes the failure with all problems of a file's lines; nothing of the file was started.
pub(crate) fn problems_by_line(file: &Path, wrong: &[(usize, Vec<Problem>)]) -> Failure {
    let all = wrong.iter().flat_map(|(number, problems)| {
        problems.iter().map(move |found| match found.port.as_str() {
            "" => problem("", format!("line {number}: {}", found.message)),
            port => problem("", format!("line {number}, {port}: {}", found.message)),
        })
    });
    let lines = if wrong.len() == 1 { "1 line".to_owned() } else { format!("{} lines", wrong.len()) };
    let headline = format!("{}: {lines} can't be started, so none is", file.display());
    Failure::problems(headline, &all.collect::<Vec<_>>())
}
