//! Writing a tree below a directory without ever following a link there.
//!
//! A few entries are written one by one over SFTP. Many are sent as one tar stream into a fresh hidden directory
//! inside the target. From there they are moved into place, a whole directory at a time where the target has none
//! of that name. SFTP has no open directories. So a link is noticed if it existed before, but not if it is made
//! between check and move.

use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_engine_core::transport::{
    Error, ErrorKind, FileKind, Progress, Result, Tree, TreeEntry, fresh_name,
};
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::{
    draft::{FarDraft, mode},
    exec::Runner,
    fault::{explain, fault, is},
    files,
    remote::Leftover,
    script::Job,
    sftp::{LSTAT, MKDIR, RENAME, RMDIR, Request, Sftp},
    tar, write,
};

const PUT_TREE: &str = "put_tree";
/// Number of entries from which on a stream is quicker than their round trips.
const STREAM_FROM: usize = 8;
/// Moves in flight.
const AHEAD: usize = 64;
/// Bytes of a stream's pieces, and number of pieces that wait to be sent.
const PIECE: usize = 256 << 10;
const PIECES: usize = 4;
/// Most time that unpacking may take.
const UNPACKING: Duration = Duration::from_secs(6 * 60 * 60);

/// Writes a tree whose names were checked.
pub(crate) async fn put(runner: &Runner, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
    let sftp = runner.sftp.get(&runner.connection, PUT_TREE).await?;
    files::mkdirs(&sftp, PUT_TREE, to).await?;
    if tree.entries.len() < STREAM_FROM {
        return one_by_one(&sftp, tree, to, progress).await;
    }
    // The stream's session may be the only one.
    drop(sftp);
    let stage = to.join(fresh_name());
    let leftover = Leftover { runner: runner.clone(), path: Some(stage.clone()) };
    let is_unpacked = unpack(runner, tree, &stage, progress).await?;
    let sftp = runner.sftp.get(&runner.connection, PUT_TREE).await?;
    if !is_unpacked {
        drop(leftover);
        return one_by_one(&sftp, tree, to, progress).await;
    }
    Merge { sftp: &sftp, stage: &stage, to }.all(tree).await?;
    if sftp.act(PUT_TREE, Request::new(RMDIR).path(&stage)).await?.is_ok() {
        leftover.keep();
    }
    Ok(())
}

/// Returns all directories of a tree, parents first.
fn directories(tree: &Tree) -> BTreeSet<&Path> {
    let own = tree.entries.iter().filter(|(_, entry)| matches!(entry, TreeEntry::Dir));
    let own = own.map(|(name, _)| name.as_path());
    let above = tree.entries.keys().flat_map(|name| name.ancestors().skip(1));
    own.chain(above).filter(|path| !path.as_os_str().is_empty()).collect()
}

async fn one_by_one(sftp: &Arc<Sftp>, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<()> {
    for dir in directories(tree) {
        let dir = to.join(dir);
        if let Err(status) = sftp.act(PUT_TREE, Request::new(MKDIR).path(&dir).mode(None)).await? {
            match sftp.facts(PUT_TREE, LSTAT, &dir).await? {
                Ok(facts) if facts.kind == FileKind::Dir => {}
                Ok(_) => return Err(is(ErrorKind::NotADirectory, PUT_TREE, &dir)),
                Err(_) => return Err(fault(PUT_TREE, &dir, status)),
            }
        }
    }
    for (name, entry) in &tree.entries {
        put_entry(sftp, entry, &to.join(name), progress).await?;
    }
    Ok(())
}

async fn put_entry(sftp: &Arc<Sftp>, entry: &TreeEntry, to: &Path, progress: Progress<'_>) -> Result<()> {
    match entry {
        TreeEntry::Dir => {}
        TreeEntry::Symlink(target) => {
            let draft = FarDraft::of(sftp, to);
            let link = files::link_request(target, draft.path());
            sftp.act(PUT_TREE, link).await?.map_err(|status| fault(PUT_TREE, to, status))?;
            draft.replace(PUT_TREE, to).await?;
        }
        TreeEntry::Bytes { bytes, executable } => {
            write::write(sftp, PUT_TREE, to, &mut &bytes[..], *executable, progress).await?;
        }
        TreeEntry::File { from, executable } => {
            let (mut file, _) = open_local(from).await?;
            write::write(sftp, PUT_TREE, to, &mut file, *executable, progress).await?;
        }
    }
    Ok(())
}

/// Opens a regular local file.
async fn open_local(path: &Path) -> Result<(tokio::fs::File, u64)> {
    let at = |error| Error::from_io(PUT_TREE, path, error);
    // Checked before it is opened: opening a pipe would wait for its writer.
    let facts = tokio::fs::metadata(path).await.map_err(at)?;
    if facts.is_dir() {
        return Err(at(io::ErrorKind::IsADirectory.into()));
    }
    if !facts.is_file() {
        let special =
            Error::new(ErrorKind::Unsupported, PUT_TREE).message("a pipe, socket or device, not a file");
        return Err(special.with("path", path.display()));
    }
    Ok((tokio::fs::File::open(path).await.map_err(at)?, facts.len()))
}

/// Streams the tree into a new directory; returns false if there is no `tar` to unpack it.
async fn unpack(runner: &Runner, tree: &Tree, stage: &Path, progress: Progress<'_>) -> Result<bool> {
    let script = r#"command -v tar >/dev/null||exit 127;mkdir -- "$1"&&cd -- "$1"&&exec tar -xomf -"#;
    let words = ["env", "LC_ALL=C", "sh", "-c", script, "sh"].map(std::ffi::OsStr::new);
    let job = Job::new(words.into_iter().chain([stage.as_os_str()]), UNPACKING);
    let (sender, receiver) = mpsc::channel(PIECES);
    let streaming = async {
        let mut stream = Stream { sender, piece: Vec::new(), progress };
        match stream.tree(tree).await {
            // `tar` has ended before its input: its message comes with its status.
            Err(Cut::Ended) | Ok(()) => Ok(()),
            Err(Cut::Failed(error)) => Err(error),
        }
    };
    let (output, ()) = tokio::try_join!(runner.feed(&job, receiver), streaming)?;
    match output.status {
        0 => Ok(true),
        127 => Ok(false),
        _ => Err(crate::remote::said(PUT_TREE, stage, &output)),
    }
}

/// The reason why a stream was cut.
enum Cut {
    /// Its reader has gone.
    Ended,
    /// A local file could not be read.
    Failed(Error),
}

impl From<Error> for Cut {
    fn from(error: Error) -> Self {
        Cut::Failed(error)
    }
}

/// A tar stream in pieces.
struct Stream<'a> {
    sender: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
    progress: Progress<'a>,
}

impl Stream<'_> {
    async fn tree(&mut self, tree: &Tree) -> Result<(), Cut> {
        for dir in directories(tree) {
            self.put(&tar::header(dir, tar::Kind::Dir)).await?;
        }
        for (name, entry) in &tree.entries {
            self.entry(name, entry).await?;
        }
        self.put(&tar::END).await?;
        self.flush().await
    }

    async fn entry(&mut self, name: &Path, entry: &TreeEntry) -> Result<(), Cut> {
        match entry {
            TreeEntry::Dir => Ok(()),
            TreeEntry::Symlink(target) => self.put(&tar::header(name, tar::Kind::Symlink(target))).await,
            TreeEntry::Bytes { bytes, executable } => {
                let size = bytes.len() as u64;
                self.put(&tar::header(name, tar::Kind::File { size, mode: mode(*executable) })).await?;
                for chunk in bytes.chunks(PIECE) {
                    self.put(chunk).await?;
                    (self.progress)(chunk.len() as u64);
                }
                self.put(tar::padding(size)).await
            }
            TreeEntry::File { from, executable } => self.file(name, from, mode(*executable)).await,
        }
    }

    async fn file(&mut self, name: &Path, from: &Path, mode: u32) -> Result<(), Cut> {
        let (mut file, size) = open_local(from).await?;
        self.put(&tar::header(name, tar::Kind::File { size, mode })).await?;
        let mut left = size;
        let mut chunk = Vec::with_capacity(PIECE);
        while left > 0 {
            chunk.clear();
            let wanted = left.min(PIECE as u64);
            let at = |error| Error::from_io(PUT_TREE, from, error);
            let read = (&mut file).take(wanted).read_to_end(&mut chunk).await.map_err(at)?;
            if read == 0 {
                return Err(at(io::Error::other("it became shorter while it was read")).into());
            }
            self.put(&chunk).await?;
            (self.progress)(read as u64);
            left -= read as u64;
        }
        self.put(tar::padding(size)).await
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Cut> {
        let piece = std::mem::take(&mut self.piece);
        self.sender.send(piece.into()).await.map_err(|_| Cut::Ended)
    }
}

/// Moves the unpacked entries into place.
struct Merge<'a> {
    sftp: &'a Arc<Sftp>,
    stage: &'a Path,
    to: &'a Path,
}

impl Merge<'_> {
    async fn all(&self, tree: &Tree) -> Result<()> {
        let mut moved: Vec<&Path> = Vec::new();
        for dir in directories(tree) {
            if !is_below(dir, &moved) && self.dir(dir).await? {
                moved.push(dir);
            }
        }
        let leaves: Vec<&Path> = tree
            .entries
            .iter()
            .filter(|(name, entry)| !matches!(entry, TreeEntry::Dir) && !is_below(name, &moved))
            .map(|(name, _)| name.as_path())
            .collect();
        for some in leaves.chunks(AHEAD) {
            self.leaves(some).await?;
        }
        Ok(())
    }

    /// Moves a whole directory if the target does not exist. Returns false if it does; then its entries are moved
    /// one by one.
    async fn dir(&self, dir: &Path) -> Result<bool> {
        let (from, to) = (self.stage.join(dir), self.to.join(dir));
        let Err(status) = self.sftp.act(PUT_TREE, Request::new(RENAME).path(&from).path(&to)).await? else {
            return Ok(true);
        };
        match self.sftp.facts(PUT_TREE, LSTAT, &to).await? {
            Ok(facts) if facts.kind == FileKind::Dir => Ok(false),
            _ => explain(self.sftp, PUT_TREE, &to, status, |_| Some(ErrorKind::NotADirectory)).await,
        }
    }

    async fn leaves(&self, names: &[&Path]) -> Result<()> {
        let paths = names.iter().map(|name| (self.stage.join(name), self.to.join(name)));
        let asked: Vec<_> = paths
            .map(|(from, to)| {
                let asked = self.sftp.ask(PUT_TREE, files::replace_request(self.sftp, &from, &to));
                (from, to, asked)
            })
            .collect();
        for (from, to, asked) in asked {
            if let Err(status) = asked.done().await? {
                files::not_replaced(self.sftp, PUT_TREE, &from, &to, status).await?;
            }
        }
        Ok(())
    }
}

fn is_below(path: &Path, dirs: &[&Path]) -> bool {
    // They are sorted, with none below another: only the nearest before it can contain it.
    let index = dirs.partition_point(|dir| *dir <= path);
    index > 0 && path.starts_with(dirs[index - 1])
}
