//! Fetching many files: their metadata with all requests in flight, then the small ones as tar streams, and the
//! others one by one over SFTP.
//!
//! A file over SFTP takes a few round trips, a stream takes the same few for all of its files. The server's names
//! decide nothing: an entry counts only under a name that was asked for, and once. Whatever a stream leaves out, or
//! packs while it changes, is fetched over SFTP, whose errors tell of a single file.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use ferry_engine_core::transport::{
    Error, ErrorKind, FileKind, Metadata, Progress, Result, check_path, provided::replace_local,
    shell::script::Job,
};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    exec::Runner,
    sftp::{
        Request, STAT, Sftp,
        errors::{fault, named},
    },
};

const GET_FILES: &str = "get_files";
/// Number of files from which on a stream is quicker than their round trips.
const STREAM_FROM: usize = 2;
/// The largest file that travels in a stream, bytes.
const SMALL: u64 = 1 << 20;
/// Most bytes and files of one stream, which is kept in memory until its end.
const STREAM_BYTES: u64 = 24 << 20;
const STREAM_FILES: usize = 8192;
/// Questions in flight.
const AHEAD: usize = 1024;
/// Paths in one command.
const WORDS: usize = 500;
/// Most time that packing may take.
const PACKING: Duration = Duration::from_secs(60 * 60);
/// Packs the files that its standard input names. Only GNU's tar takes these words; another fails, and packs nothing.
const PACK: &str = "exec tar -b 1 -P -h -c -f - --no-recursion --hard-dereference --null -T -";

/// A remote file and its local place.
pub(crate) type Pair = (PathBuf, PathBuf);

/// Fetches what a stream carries best; without SFTP, the files are looked at by commands. Returns the pairs that are
/// left.
///
/// # Errors
/// Those of a look at the files, and of writing them here. A stream that fails leaves its files.
pub(crate) async fn streamed(
    runner: &Runner,
    sftp: Option<&Arc<Sftp>>,
    pairs: &[Pair],
    progress: Progress<'_>,
) -> Result<Vec<Pair>> {
    if pairs.len() < STREAM_FROM {
        return Ok(pairs.to_vec());
    }
    for (far, local) in pairs {
        check_path(GET_FILES, far)?;
        check_path(GET_FILES, local)?;
    }
    let sizes = match sftp {
        Some(sftp) => sizes(sftp, pairs).await?,
        None => match sizes_by_command(runner, pairs).await? {
            Some(sizes) => sizes,
            None => return Ok(pairs.to_vec()),
        },
    };
    let (mut left, mut batches) = (Vec::new(), Batches::default());
    let mut seen = HashSet::new();
    for (pair, size) in pairs.iter().zip(sizes) {
        // An archive has each file once.
        if size > SMALL || !seen.insert(&pair.0) {
            left.push(pair.clone());
        } else {
            batches.add(pair.clone(), size);
        }
    }
    let mut batches = batches.0.into_iter().map(|batch| batch.pairs);
    for batch in batches.by_ref() {
        let (rest, can_pack) = fetch(runner, batch, progress).await?;
        left.extend(rest);
        if !can_pack {
            break;
        }
    }
    left.extend(batches.flatten());
    Ok(left)
}

/// Returns the size of each file, links followed.
///
/// # Errors
/// `NotFound`; `IsADirectory`; `Unsupported` for what is no file.
async fn sizes(sftp: &Sftp, pairs: &[Pair]) -> Result<Vec<u64>> {
    let mut sizes = Vec::with_capacity(pairs.len());
    for some in pairs.chunks(AHEAD) {
        let asked: Vec<_> =
            some.iter().map(|(far, _)| (far, sftp.ask(GET_FILES, Request::new(STAT).path(far)))).collect();
        for (far, asked) in asked {
            let facts = asked
                .metadata()
                .await
                .map_err(|error| named(error, far))?
                .map_err(|status| fault(GET_FILES, far, status))?;
            sizes.push(size(far, &facts)?);
        }
    }
    Ok(sizes)
}

/// Returns the size of each file; `None` if one is no file, or is not there: the look at it alone says what it is.
async fn sizes_by_command(runner: &Runner, pairs: &[Pair]) -> Result<Option<Vec<u64>>> {
    let mut sizes = Vec::with_capacity(pairs.len());
    for some in pairs.chunks(WORDS) {
        let words = ["stat", "-L", "-c", "%F:%s", "--"].map(OsStr::new);
        let words = ["env", "LC_ALL=C"].map(OsStr::new).into_iter().chain(words);
        let files = some.iter().map(|(far, _)| far.as_os_str());
        let output = runner.run(&Job::new(words.chain(files), PACKING)).await?;
        let text = output.text();
        let size = |line: &str| line.strip_prefix("regular ")?.rsplit_once(':')?.1.parse().ok();
        let more: Option<Vec<u64>> = text.lines().map(size).collect();
        match more {
            Some(more) if output.status == 0 && more.len() == some.len() => sizes.extend(more),
            _ => return Ok(None),
        }
    }
    Ok(Some(sizes))
}

fn size(far: &Path, facts: &Metadata) -> Result<u64> {
    let is = |kind| Error::new(kind, GET_FILES).with("path", far.display());
    match facts.kind {
        FileKind::File => Ok(facts.size),
        FileKind::Dir => Err(is(ErrorKind::IsADirectory)),
        _ => Err(is(ErrorKind::Unsupported).message("a pipe, socket or device, not a file")),
    }
}

/// The streams that are asked for, one after the other.
#[derive(Default)]
struct Batches(Vec<Batch>);

#[derive(Default)]
struct Batch {
    pairs: Vec<Pair>,
    bytes: u64,
}

impl Batches {
    fn add(&mut self, pair: Pair, size: u64) {
        let has_room = |batch: &&mut Batch| {
            batch.pairs.len() < STREAM_FILES && batch.bytes.saturating_add(size) <= STREAM_BYTES
        };
        if self.0.last_mut().as_ref().is_none_or(|batch| !has_room(batch)) {
            self.0.push(Batch::default());
        }
        if let Some(batch) = self.0.last_mut() {
            batch.bytes += size;
            batch.pairs.push(pair);
        }
    }
}

/// Fetches one stream. Returns the pairs that are left, and whether the far side can pack at all.
async fn fetch(runner: &Runner, pairs: Vec<Pair>, progress: Progress<'_>) -> Result<(Vec<Pair>, bool)> {
    let names: Vec<u8> =
        pairs.iter().flat_map(|(far, _)| [far.as_os_str().as_bytes(), &[0]].concat()).collect();
    let (sender, receiver) = mpsc::channel(1);
    // The queue is empty and takes one.
    let _ = sender.try_send(Bytes::from(names));
    drop(sender);
    let job = Job::new(["env", "LC_ALL=C", "sh", "-c", PACK], PACKING);
    let output = match runner.feed(&job, receiver).await {
        Ok(output) => output,
        Err(error) if *error.kind() == ErrorKind::Unsupported => return Ok((pairs, false)),
        Err(error) => return Err(error.during(GET_FILES)),
    };
    if output.status != 0 {
        // It packs zeros for a file that shrinks meanwhile, and says so by its status alone. Nothing of it is taken.
        tracing::debug!(status = output.status, said = %output.error_text(), "a stream of files is left out");
        return Ok((pairs, !output.stdout.is_empty()));
    }
    let unpacking = spawn_blocking(move || unpack(&output.stdout, pairs));
    let lost = |error| Error::new(ErrorKind::Other, GET_FILES).message("unpacking was lost").source(error);
    let (left, bytes) = unpacking.await.map_err(lost)??;
    progress(bytes);
    Ok((left, true))
}

/// Writes the files of an archive to their places. Returns the pairs that it does not have, and the bytes written.
fn unpack(archive: &[u8], pairs: Vec<Pair>) -> Result<(Vec<Pair>, u64)> {
    let mut wanted: HashMap<&[u8], &Path> =
        pairs.iter().map(|(far, local)| (far.as_os_str().as_bytes(), local.as_path())).collect();
    let mut bytes = 0;
    let mut content = Vec::new();
    for entry in tar::Archive::new(archive).entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let Some(local) = wanted.remove(&*entry.path_bytes()) else { continue };
        content.clear();
        entry.read_to_end(&mut content).map_err(unreadable)?;
        if content.len() as u64 != entry.size() {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        replace_local(local, &content).map_err(|error| Error::from_io(GET_FILES, local, error))?;
        bytes += content.len() as u64;
    }
    let left = wanted.into_iter().map(|(far, local)| (OsStr::from_bytes(far).into(), local.to_owned()));
    Ok((left.collect(), bytes))
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Other, GET_FILES).message("the stream of files can't be read").source(error).later()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(name: &[u8], kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let padding = vec![0; (512 - content.len() % 512) % 512];
        [header.as_bytes(), content, &padding].concat()
    }

    #[test]
    fn an_entry_counts_only_under_a_name_that_was_asked_for() {
        use tar::EntryType as Type;
        let dir = tempfile::tempdir().unwrap();
        let pair = |name: &str| (PathBuf::from(format!("/far/{name}")), dir.path().join("home").join(name));
        let pairs = vec![pair("a"), pair("link"), pair("gone"), pair("twice")];
        let archive = [
            entry(b"/far/a", Type::Regular, b"one"),
            entry(b"/far/../../etc/passwd", Type::Regular, b"evil"),
            entry(b"../evil", Type::Regular, b"evil"),
            entry(b"/far/link", Type::Symlink, b""),
            entry(b"/far/twice", Type::Regular, b"first"),
            entry(b"/far/twice", Type::Regular, b"second"),
            vec![0; 1024],
        ]
        .concat();
        let (mut left, bytes) = unpack(&archive, pairs.clone()).unwrap();
        left.sort();
        assert_eq!(bytes, 8);
        // SFTP tells what became of these.
        assert_eq!(left, [pair("gone"), pair("link")]);
        assert_eq!(fs::read(dir.path().join("home/a")).unwrap(), b"one");
        assert_eq!(fs::read(dir.path().join("home/twice")).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A stream that was cut is an error, and no result.
        assert!(unpack(&archive[..700], pairs).is_err());
    }

    #[test]
    fn streams_are_bounded() {
        let pair = |i: u32| (PathBuf::from(format!("/f{i}")), PathBuf::from("/l"));
        let mut batches = Batches::default();
        (0..50).for_each(|i| batches.add(pair(i), SMALL));
        (0..10_000).for_each(|i| batches.add(pair(i), 0));
        let sizes: Vec<_> = batches.0.iter().map(|batch| batch.pairs.len()).collect();
        assert_eq!(sizes, [24, 24, 2 + 8190, 1810]);
    }
}
