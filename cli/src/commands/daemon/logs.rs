//! `ferry daemon logs`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use clap::Args;
use tokio::time::sleep;

use crate::{
    error::{Failure, Result},
    log_file::older,
    output,
    session::Session,
};

/// Number of bytes that are read at a time.
const CHUNK: u64 = 64 << 10;
/// Interval between two looks at a followed log.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `daemon logs`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Go on with what is added
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
    lines: usize,
}

/// Shows the end of the log.
pub(super) async fn show(session: &Session, args: LogArgs) -> Result {
    let path = session.paths().log();
    let mut log = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            output::note("there is no log: no daemon was started in this profile");
            return Ok(());
        }
        other => other.map_err(|error| Failure::new(format!("can't read {}: {error}", path.display())))?,
    };
    let (start, found) = last_lines(&mut log, args.lines)?;
    if let Ok(mut before) = File::open(older(&path, 1))
        && found < args.lines
    {
        // It was rotated a moment ago: the rest is in the one before.
        let (start, _) = last_lines(&mut before, args.lines - found)?;
        before.seek(SeekFrom::Start(start))?;
        copy(&mut before)?;
    }
    log.seek(SeekFrom::Start(start))?;
    copy(&mut log)?;
    if args.follow { follow(&path, log).await } else { Ok(()) }
}

/// Goes on with what is added, until the user has enough. A rotated log is read to its end before the next one.
async fn follow(path: &Path, mut log: File) -> Result {
    loop {
        sleep(LOOK).await;
        output::check_reader();
        let next = File::open(path).ok().filter(|next| !is_same(next, &log));
        if log.stream_position()? > log.metadata()?.size() {
            log.rewind()?;
        }
        copy(&mut log)?;
        if let Some(next) = next {
            log = next;
        }
    }
}

fn is_same(a: &File, b: &File) -> bool {
    let name = |file: &File| file.metadata().map(|found| (found.dev(), found.ino())).ok();
    name(a) == name(b)
}

fn copy(log: &mut File) -> Result {
    let mut buffer = vec![0; CHUNK as usize];
    let mut out = output::FileOutput::new();
    loop {
        match log.read(&mut buffer)? {
            0 => return out.end(),
            n => out.write(&buffer[..n])?,
        }
    }
}

/// Returns the offset of the last lines, and their number. It reads backwards, so the cost of a long log is
/// that of its end.
fn last_lines(log: &mut (impl Read + Seek), wanted: usize) -> io::Result<(u64, usize)> {
    let end = log.seek(SeekFrom::End(0))?;
    if wanted == 0 {
        return Ok((end, 0));
    }
    let mut at = end;
    let mut newlines = 0;
    while at > 0 {
        let from = at.saturating_sub(CHUNK);
        let mut chunk = vec![0; (at - from) as usize];
        log.seek(SeekFrom::Start(from))?;
        log.read_exact(&mut chunk)?;
        for (offset, byte) in chunk.iter().enumerate().rev() {
            let place = from + offset as u64;
            // The newline that ends the last line begins no further one.
            if *byte == b'\n' && place + 1 != end {
                newlines += 1;
                if newlines == wanted {
                    return Ok((place + 1, wanted));
                }
            }
        }
        at = from;
    }
    Ok((0, if end > 0 { newlines + 1 } else { 0 }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn check(text: &str, lines: usize, expect: &str) {
        let (start, found) = last_lines(&mut Cursor::new(text), lines).unwrap();
        assert_eq!(&text[start as usize..], expect);
        assert_eq!(found, expect.lines().count());
    }

    #[test]
    fn the_last_lines_are_found() {
        check("a\nb\nc\n", 2, "b\nc\n");
        check("a\nb\nc", 2, "b\nc");
        check("a\n", 5, "a\n");
        check("", 5, "");
        check("a\n", 0, "");
        let long = format!("{}\nlast\n", "x".repeat(200_000));
        check(&long, 1, "last\n");
    }
}
