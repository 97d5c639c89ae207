//! Results on stdout: tables for people, JSON for scripts. Progress and warnings go to stderr.

use std::io::{IsTerminal, Write};

use clap::builder::{PossibleValue, TypedValueParser};
use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    error::Result,
    printable::{Stream, printable, printable_json},
};

/// The form of lists and details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

/// The form that was asked for. Not everything has every form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Wanted {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
    /// For spreadsheets: lists of processes and nodes alone.
    Csv,
    /// A file format: exported nodes alone.
    File(String),
}

/// Reads `--format`; any word may be a file format.
#[derive(Debug, Clone)]
pub(crate) struct WantedParser;

impl TypedValueParser for WantedParser {
    type Value = Wanted;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        word: &std::ffi::OsStr,
    ) -> std::result::Result<Wanted, clap::Error> {
        let word = clap::builder::NonEmptyStringValueParser::new().parse_ref(command, arg, word)?;
        Ok(match word.as_str() {
            "table" => Wanted::Table,
            "json" => Wanted::Json,
            "csv" => Wanted::Csv,
            _ => Wanted::File(word),
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["table", "json", "csv"].into_iter().map(PossibleValue::new)))
    }
}

/// Prints a line on stdout. A reader that went away (`| head`) ends the program quietly.
///
/// # Errors
/// Fails if stdout is a file, and the disk fails.
pub(crate) fn line(text: impl AsRef<str>) -> Result {
    bytes(format!("{}\n", printable(text.as_ref())).as_bytes())
}

/// Prints a whole file: text on a terminal, its bytes elsewhere.
///
/// # Errors
/// As [`line`].
pub(crate) fn file(content: &[u8]) -> Result {
    let mut file = FileOutput::new();
    file.write(content)?;
    file.end()
}

/// A file that is printed piece by piece: text on a terminal, which would obey the escapes in it; its bytes elsewhere.
#[derive(Debug)]
pub(crate) struct FileOutput {
    /// Stdout is a terminal.
    text: Option<Stream>,
}

impl FileOutput {
    /// Begins a file.
    pub(crate) fn new() -> FileOutput {
        FileOutput { text: std::io::stdout().is_terminal().then(Stream::default) }
    }

    /// Prints the next piece.
    ///
    /// # Errors
    /// As [`line`].
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result {
        match &mut self.text {
            Some(text) => bytes(text.next(piece).as_bytes()),
            None => bytes(piece),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// As [`line`].
    pub(crate) fn end(&mut self) -> Result {
        match &mut self.text {
            Some(text) => bytes(text.end().as_bytes()),
            None => Ok(()),
        }
    }
}

/// Writes bytes to stdout as they are. Use [`file`] for those that ferry did not make.
///
/// # Errors
/// As [`line`].
pub(crate) fn bytes(bytes: &[u8]) -> Result {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Ends the program quietly if its stdout has no reader any more. Use it in programs that wait before they
/// write: a write itself notices this.
pub(crate) fn check_reader() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = std::io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().contains(PollFlags::ERR) {
        std::process::exit(0);
    }
}

/// Prints a JSON value on stdout.
///
/// # Errors
/// As [`line`].
pub(crate) fn json(value: &serde_json::Value) -> Result {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    bytes(format!("{}\n", printable_json(&text)).as_bytes())
}

/// Prints a JSON value on stdout as one line, for streams of them.
///
/// # Errors
/// As [`line`].
pub(crate) fn json_line(value: &serde_json::Value) -> Result {
    bytes(format!("{}\n", printable_json(&value.to_string())).as_bytes())
}

/// Narrowest terminal to which tables are fitted, characters.
const WIDTH_MIN: u16 = 40;

/// Prints a table with a header; long cells are wrapped to the terminal's width, never when piped.
///
/// # Errors
/// As [`line`].
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result {
    let mut table = Table::new();
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    fill(table, rows)
}

/// Prints a table without a header.
///
/// # Errors
/// As [`line`].
pub(crate) fn bare_table(rows: impl IntoIterator<Item = Vec<String>>) -> Result {
    fill(Table::new(), rows)
}

fn fill(mut table: Table, rows: impl IntoIterator<Item = Vec<String>>) -> Result {
    table.load_style(presets::NOTHING);
    // Some terminals report no width.
    let wraps = std::io::stdout().is_terminal() && table.width().is_some_and(|width| width >= WIDTH_MIN);
    let arrange = if wraps { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.set_content_arrangement(arrange);
    table.add_rows(rows);
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    line(table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// Prints names and values, a line each, names in one column.
///
/// # Errors
/// As [`line`].
pub(crate) fn details<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Result {
    let pairs: Vec<_> = pairs.into_iter().collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        line(format!("{name:width$}  {value}").trim_end())?;
    }
    Ok(())
}

/// Prints a warning on stderr.
pub(crate) fn warn(text: impl AsRef<str>) {
    note(format!("warning: {}", text.as_ref()));
}

/// Prints a note about progress on stderr. One that can't be written, as on a full disk, is lost: nothing of
/// what the program does depends on it.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text.as_ref()));
}

/// Returns whether output on stdout is coloured: it is a terminal, and `NO_COLOR` is not set.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
