//! From DOT text to a picture, by Graphviz where it is installed.

use std::{path::Path, process::Stdio};

use clap::ValueEnum;
use tokio::io::AsyncWriteExt;

use crate::error::{Failure, Result};

const PROGRAM: &str = "dot";

/// Formats of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Picture {
    /// The text that Graphviz reads.
    Dot,
    /// Scalable.
    Svg,
    /// Pixels.
    Png,
    /// For print.
    Pdf,
    /// A page to look around in.
    Html,
}

impl Picture {
    /// Returns the word of the format, which is its extension too.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Picture::Dot => "dot",
            Picture::Svg => "svg",
            Picture::Png => "png",
            Picture::Pdf => "pdf",
            Picture::Html => "html",
        }
    }

    /// Returns the format of files with this extension.
    pub(super) fn from_extension(extension: &str) -> Option<Picture> {
        let extension = extension.to_ascii_lowercase();
        if extension == "gv" {
            return Some(Picture::Dot);
        }
        Picture::value_variants().iter().copied().find(|picture| picture.as_str() == extension)
    }
}

/// Returns whether Graphviz is installed.
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| Path::new(&dir).join(PROGRAM).is_file())
}

/// Draws a DOT text, and returns the picture's bytes.
///
/// # Errors
/// Fails if Graphviz is missing, or reports an error.
pub(super) async fn render(text: &str, picture: Picture, engine: &str) -> Result<Vec<u8>> {
    if picture == Picture::Dot {
        return Ok(text.as_bytes().to_vec());
    }
    let mut child = tokio::process::Command::new(PROGRAM)
        .arg(format!("-K{engine}"))
        .arg(format!("-T{}", picture.as_str()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| not_started(&error, picture))?;
    let stdin = child.stdin.take();
    let input = text.as_bytes().to_vec();
    // Fed by a task of its own: both sides may wait for room in their pipes.
    let feed = tokio::spawn(async move {
        match stdin {
            Some(mut stdin) => stdin.write_all(&input).await,
            None => Ok(()),
        }
    });
    let output = child.wait_with_output().await?;
    // A Graphviz that stopped reading reports the reason on stderr.
    let _ = feed.await;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::new(format!("Graphviz could not draw the graph ({}): {words}", output.status))
        .help("`-e` chooses another layout engine; `-f dot` writes the text alone"))
}

fn not_started(error: &std::io::Error, picture: Picture) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        let format = picture.as_str().to_uppercase();
        return Failure::new(format!("{format} needs Graphviz, and there is no `{PROGRAM}` here"))
            .help("install the package graphviz; `-f html` and `-f dot` need nothing");
    }
    Failure::new(format!("`{PROGRAM}`: {error}")).help("`-f html` and `-f dot` do without it")
}

#[cfg(test)]
mod tests {
    use super::Picture;

    #[test]
    fn a_files_name_says_its_format() {
        assert_eq!(Picture::from_extension("SVG"), Some(Picture::Svg));
        assert_eq!(Picture::from_extension("gv"), Some(Picture::Dot));
        assert_eq!(Picture::from_extension("html"), Some(Picture::Html));
        assert_eq!(Picture::from_extension("jpg"), None);
    }
}
