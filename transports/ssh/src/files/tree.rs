//! Writing a tree below a directory without ever following a link there.
//!
//! A single entry is written as every transport does it. More are sent as one tar stream into a fresh hidden
//! directory: beside a target that does not exist yet, and then renamed to it; else inside the target. From there
//! they are moved into place, a whole directory at a time where the target has none of that name. SFTP has no open directories. So a link is noticed if it existed before, but not if it is made
//! between check and move.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_engine_core::transport::{
    Error, ErrorKind, FileKind, Progress, Result, Tree, TreeEntry, fresh_name, provided::open_local,
    shell::script::Job,
};
use tokio::{io::AsyncReadExt, sync::mpsc};

use crate::{
    exec::{
        Runner,
        remote::{Leftover, remove_tree},
    },
    files::{self, tar, temp_file::mode},
    sftp::{LSTAT, RENAME, RMDIR, Request, Sftp, errors::explain},
};

const PUT_TREE: &str = "put_tree";
/// Number of entries from which on a stream is quicker than their round trips.
const STREAM_FROM: usize = 2;
/// Moves in flight.
const AHEAD: usize = 64;
/// Bytes of a stream's pieces, and number of pieces that wait to be sent.
const PIECE: usize = 256 << 10;
const PIECES: usize = 4;
/// Most time that unpacking may take.
const UNPACKING: Duration = Duration::from_secs(6 * 60 * 60);

/// Returns whether a stream is quicker than the round trips of single entries.
pub(crate) fn is_worth_a_stream(tree: &Tree) -> bool {
    tree.entries.len() >= STREAM_FROM
}

/// Unpacks into the directory `$2` in `$1`, or beside it in `$3`, which is then renamed. That prints a word. The
/// status 100 leaves it to others to say what is in the way.
const UNPACK: &str = concat!(
    "command -v tar >/dev/null||exit 127;",
    r#"if [ -e "$1" ]||[ -L "$1" ];then mkdir -- "$2"&&cd -- "$2"&&exec tar -xomf -;exit 100;fi;"#,
    r#"{ mkdir -p -- "${1%/*}/"&&mkdir -- "$3"; }||exit 100;"#,
    r#"(cd -- "$3"&&exec tar -xomf -)||exit;mv -T -- "$3" "$1"||{ rm -rf -- "$3";exit 100; };printf renamed"#,
);

/// The state of a tree that was sent.
enum Unpacked {
    /// It is in its place.
    Whole,
    /// It is in the stage, and must be moved.
    Staged,
    /// Nothing was written: there is no `tar`, or something is in the way.
    No,
}

/// Streams a tree whose names were checked; returns false, and has done nothing, where a stream can't be unpacked.
pub(crate) async fn stream(runner: &Runner, tree: &Tree, to: &Path, progress: Progress<'_>) -> Result<bool> {
    let name = fresh_name();
    let (inside, beside) = (to.join(&name), to.with_file_name(&name));
    let leftover = |path: &Path| Leftover { runner: runner.clone(), path: Some(path.to_owned()) };
    let (in_it, at_its_side) = (leftover(&inside), leftover(&beside));
    match unpack(runner, tree, [to, &inside, &beside], progress).await? {
        Unpacked::Staged => at_its_side.keep(),
        state => {
            in_it.keep();
            at_its_side.keep();
            return Ok(matches!(state, Unpacked::Whole));
        }
    }
    let sftp = runner.sftp.get(&runner.connection, PUT_TREE).await?;
    if let Err(error) = (Merge { sftp: &sftp, stage: &inside, to }).all(tree).await {
        if remove_tree(runner, &inside).await.is_ok() {
            in_it.keep();
        }
        return Err(error);
    }
    if sftp.act(PUT_TREE, Request::new(RMDIR).path(&inside)).await?.is_ok() {
        in_it.keep();
    }
    Ok(true)
}

/// Streams the tree to one of the stages, see [`UNPACK`].
async fn unpack(
    runner: &Runner,
    tree: &Tree,
    places: [&Path; 3],
    progress: Progress<'_>,
) -> Result<Unpacked> {
    let words = ["env", "LC_ALL=C", "sh", "-c", UNPACK, "sh"].map(std::ffi::OsStr::new);
    let job = Job::new(words.into_iter().chain(places.map(Path::as_os_str)), UNPACKING);
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
        0 if output.stdout == b"renamed" => Ok(Unpacked::Whole),
        0 => Ok(Unpacked::Staged),
        100 | 127 => Ok(Unpacked::No),
        _ => Err(crate::exec::remote::said(PUT_TREE, places[0], &output)),
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
        for dir in tree.directories() {
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
        let (mut file, size) = open_local(PUT_TREE, from).await?;
        self.put(&tar::header(name, tar::Kind::File { size, mode })).await?;
        let mut left = size;
        let mut chunk = Vec::with_capacity(PIECE);
        while left > 0 {
            chunk.clear();
            let wanted = left.min(PIECE as u64);
            let at = |error| Error::from_io(PUT_TREE, from, error);
            let read = (&mut file).take(wanted).read_to_end(&mut chunk).await.map_err(at)?;
            if read == 0 {
                return Err(at(io::Error::other("it shrank while it was being read")).into());
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
        for dir in tree.directories() {
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
