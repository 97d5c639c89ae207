//! `ferry storage`: what the profile's store holds, whether it is whole, backups and tidying.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ferry_engine::{
    rpc::{Request, Response},
    store::{Count, Finding, Info, Objects, SqliteReader, Stage, Tidied},
};
use serde_json::json;

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// The words of `ferry storage`.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Show how large the store is, and what it holds
    Info,
    /// Look for damage: in the database, in links, in files
    ///
    /// Changes nothing, and may run beside the daemon. Exit status 1 if anything is wrong.
    Check {
        /// Read every file and compare its bytes with those that were stored; every index too
        #[arg(long)]
        full: bool,
    },
    /// Copy the store while the daemon goes on
    ///
    /// DEST becomes a home of its own: `FERRY_HOME=DEST ferry process list` looks into it. To restore, stop the
    /// daemon and put DEST/profiles/NAME in the place of the profile's directory. Live processes are paused in
    /// the copy: `ferry process play` lets them go on, once the original is out of use. Large files that never
    /// change are hard links if DEST is on the same file system: for a copy of your own bytes name another disk.
    Backup {
        /// Directory to make; it must not exist, or be empty
        #[arg(value_name = "DEST")]
        dest: PathBuf,
    },
    /// Tidy: pack small files together, remove what nothing names, give free space back
    ///
    /// Spares what is younger than a day. Done by the daemon, if one runs.
    Maintain,
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails, or if the store is damaged.
pub(crate) async fn run(session: &Session, command: StorageCommand) -> Result {
    match command {
        StorageCommand::Info => info(session, &set_up(session).await?),
        // A damaged store may not be able to show whether it is set up.
        StorageCommand::Check { full } => check(session, &open(session)?, full),
        StorageCommand::Backup { dest } => backup(session, &set_up(session).await?, &dest),
        StorageCommand::Maintain => maintain(session).await,
    }
}

/// Opens the store as it is.
fn open(session: &Session) -> Result<SqliteReader> {
    Ok(SqliteReader::open(&session.paths().store(), Objects::new(session.paths().objects()))?)
}

/// Opens the store; creates it if it does not exist yet, and upgrades it.
async fn set_up(session: &Session) -> Result<SqliteReader> {
    session.reader().await?;
    open(session)
}

fn info(session: &Session, store: &SqliteReader) -> Result {
    let info = store.info()?;
    if session.format == Format::Json {
        return output::json(&serde_json::to_value(&info).unwrap_or_default());
    }
    let Info { format, epoch, nodes, processes, links, log_lines, .. } = info;
    let objects = |objects: Count| format!("{} in {} objects", size(objects.size), objects.count);
    output::details([
        ("format", format.to_string()),
        ("owners so far", epoch.to_string()),
        ("database", format!("{} ({} free)", size(info.database), size(info.free))),
        ("its log", size(info.log)),
        ("nodes", format!("{nodes} ({processes} processes)")),
        ("links", links.to_string()),
        ("report lines", log_lines.to_string()),
        ("small objects", objects(info.small_objects)),
        ("files", objects(info.files)),
        (
            "packed",
            format!("{}, {} in {} packs", objects(info.packed), size(info.packs.size), info.packs.count),
        ),
    ])
}

fn check(session: &Session, store: &SqliteReader, full: bool) -> Result {
    let findings = store.check(full)?;
    match session.format {
        Format::Json => {
            let line = |finding: &Finding| json!({ "rule": finding.rule, "what": finding.what });
            output::json(&findings.iter().map(line).collect())?;
        }
        Format::Table if findings.is_empty() => {
            output::line(if full {
                "the store is whole"
            } else {
                "nothing is wrong; --full reads every file too"
            })?;
        }
        Format::Table => {
            let row = |finding: &Finding| vec![finding.rule.to_owned(), finding.what.clone()];
            output::table(&["rule", "what is wrong"], findings.iter().map(row))?;
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the store has {} faults", findings.len()))
        .help("restore a backup; what is not named above can still be read"))
}

fn backup(session: &Session, store: &SqliteReader, dest: &Path) -> Result {
    let dest = std::path::absolute(dest)?;
    let made = store.backup(session.paths(), &dest)?;
    if session.format == Format::Json {
        let value = json!({ "path": dest, "files": made.files, "linked": made.linked, "size": made.size });
        return output::json(&value);
    }
    output::line(format!(
        "copied {} to {}: the database and {} files, {} of them as hard links",
        size(made.size),
        dest.display(),
        made.files,
        made.linked
    ))
}

async fn maintain(session: &Session) -> Result {
    let mut total = Tidied::default();
    let mut stage = Some(Stage::FIRST);
    while let Some(now) = stage {
        let (response, _) = session.call(Request::Maintain(now)).await?;
        let Response::Tidied { tidied, next } = response else {
            return Err(Failure::new("the owner of the profile does not know how to tidy")
                .help("`ferry daemon restart` replaces it"));
        };
        total += tidied;
        stage = next;
    }
    if session.format == Format::Json {
        return output::json(&serde_json::to_value(total).unwrap_or_default());
    }
    output::line(format!(
        "packed {} files into {} packs, removed {} that nothing names and {} doubles, freed {}",
        total.packed,
        total.packs,
        total.collected,
        total.doubles,
        size(total.freed)
    ))?;
    if total.damaged > 0 {
        output::warn(format!(
            "{} objects are damaged; `ferry storage check --full` names them",
            total.damaged
        ));
    }
    Ok(())
}

/// Formats a size for people: `3.4 MiB`.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_short() {
        let shown = [0, 1023, 1024, 1_500_000, 1 << 50].map(size);
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "1.4 MiB", "1024.0 TiB"]);
    }
}
