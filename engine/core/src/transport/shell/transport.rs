//! [`ShellTransport`]: the trait's methods, each a text for the far side's shell.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::{io::AsyncRead, sync::mpsc};

use super::{
    Shell, pieces, read,
    script::Job,
    sessions::{SESSIONS, Sessions},
    text, write,
};
use crate::transport::{
    ByteStream, Capabilities, Command, Entry, Error, ErrorKind, FileKind, Metadata, Output, Result,
    Transport, check_path, provided,
};

/// Most time that work on single names may take, and on a whole tree.
const QUICK: Duration = Command::TIMEOUT;
const TREE: Duration = Duration::from_secs(60 * 60);
/// Most times that a directory is listed while names in it come and go.
const LISTINGS: u32 = 10;

/// A computer behind a [`Shell`].
#[derive(Debug)]
pub struct ShellTransport {
    sessions: Arc<Sessions>,
    use_login_shell: bool,
    reads_pieces: bool,
    user: provided::User,
}

impl ShellTransport {
    /// Makes the transport. With `use_login_shell`, commands see what the user's login files set.
    pub fn new(shell: impl Shell, use_login_shell: bool) -> Self {
        ShellTransport::with_sessions(shell, use_login_shell, SESSIONS, SESSIONS)
    }

    /// Makes the transport with so many sessions at a time, and so many open readers beside them. Use it where the far
    /// side bounds them. To end a command, one more session is started.
    pub fn with_sessions(shell: impl Shell, use_login_shell: bool, working: usize, reading: usize) -> Self {
        let sessions = Arc::new(Sessions::new(Arc::new(shell), working, reading));
        ShellTransport { sessions, use_login_shell, reads_pieces: false, user: provided::User::default() }
    }

    /// Reads files in pieces, each by a session that is drained without pause. Use it for a [`Shell`] whose sessions
    /// share a connection that a slow reader would hold up. The far side needs `head` with `-c`.
    #[must_use]
    pub fn reads_pieces(self) -> Self {
        ShellTransport { reads_pieces: true, ..self }
    }

    /// Runs a text that only looks, on one path.
    async fn look(&self, operation: &'static str, text: &'static str, path: &Path) -> Result<Output> {
        check_path(operation, path)?;
        self.sessions.act(operation, text, &[plain(path).as_ref()], QUICK).await
    }

    /// Runs a text that changes something, on one path or two.
    async fn change(&self, operation: &'static str, text: &'static str, paths: &[&Path]) -> Result<()> {
        for path in paths {
            check_path(operation, path)?;
        }
        let paths: Vec<PathBuf> = paths.iter().map(|path| plain(path)).collect();
        let words: Vec<&OsStr> = paths.iter().map(|path| path.as_ref()).collect();
        self.done(operation, text, &words, QUICK).await
    }

    async fn done(
        &self,
        operation: &'static str,
        text: &'static str,
        words: &[&OsStr],
        timeout: Duration,
    ) -> Result<()> {
        self.sessions.act(operation, text, words, timeout).await.map(drop).map_err(in_doubt)
    }
}

/// Returns a path without doubled and final slashes, of which the texts take the names apart.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Marks the effect as unknown where a session was lost, or ended by a time-out.
fn in_doubt(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unreachable | ErrorKind::TimedOut => error.effect_unknown(),
        _ => error,
    }
}

#[async_trait]
impl Transport for ShellTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities { any_bytes_in_names: true, ..Capabilities::default() }
    }

    async fn exec(&self, command: &Command) -> Result<Output> {
        const EXEC: &str = "exec";
        self.sessions.check(EXEC)?;
        if command.spare && !self.sessions.has_spare() {
            return Err(Error::new(ErrorKind::Unsupported, EXEC).message("no session is available"));
        }
        let (sender, receiver) = mpsc::channel(1);
        if !command.stdin.is_empty() {
            // The queue is empty and takes one.
            let _ = sender.try_send(command.stdin.clone());
        }
        drop(sender);
        let job = Job::of(command, self.use_login_shell);
        self.sessions.run(EXEC, &job, receiver).await.map_err(in_doubt)
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        facts("stat", path, &self.look("stat", text::STAT, path).await?)
    }

    async fn lstat(&self, path: &Path) -> Result<Metadata> {
        facts("lstat", path, &self.look("lstat", text::LSTAT, path).await?)
    }

    async fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let mut attempts = 1;
        loop {
            let listed = self.look("list", text::LIST, dir).await;
            match listed {
                // A `find` that misses a name that has just gone lists again.
                Err(error) if *error.kind() == ErrorKind::Other && attempts < LISTINGS => attempts += 1,
                listed => return entries(&listed?.stdout).ok_or_else(|| unclear("list", dir)),
            }
        }
    }

    async fn mkdir(&self, dir: &Path) -> Result<()> {
        self.change("mkdir", text::MKDIR, &[dir]).await
    }

    async fn remove_file(&self, path: &Path) -> Result<()> {
        self.change("remove_file", text::REMOVE_FILE, &[path]).await
    }

    async fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.change("remove_dir", text::REMOVE_DIR, &[dir]).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let renamed = self.change("rename", text::RENAME, &[from, to]).await;
        renamed.map_err(|error| error.with("target", to.display()))
    }

    async fn symlink(&self, target: &Path, link: &Path) -> Result<()> {
        let made = self.change("symlink", text::SYMLINK, &[target, link]).await;
        made.map_err(|error| error.with("link", link.display()))
    }

    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        check_path("chmod", path)?;
        // With five digits, programs clear the special bits of directories as well.
        let mode = format!("{:05o}", mode & 0o7777);
        self.done("chmod", text::CHMOD, &[plain(path).as_ref(), mode.as_ref()], QUICK).await
    }

    async fn read(&self, path: &Path, offset: u64) -> Result<ByteStream> {
        check_path("read", path)?;
        match self.reads_pieces {
            true => pieces::open(&self.sessions, &plain(path), offset).await,
            false => read::open(&self.sessions, &plain(path), offset).await,
        }
    }

    async fn write(
        &self,
        path: &Path,
        from: &mut (dyn AsyncRead + Send + Unpin),
        executable: bool,
    ) -> Result<u64> {
        check_path("write", path)?;
        self.sessions.check("write")?;
        write::write(&self.sessions, &plain(path), from, executable).await.map_err(in_doubt)
    }

    async fn mkdirs(&self, dir: &Path) -> Result<()> {
        self.change("mkdirs", text::MKDIRS, &[dir]).await
    }

    async fn remove_tree(&self, path: &Path) -> Result<()> {
        if path.parent().is_none() {
            // It refuses the root, and what is no path.
            return provided::remove_tree(self, path).await;
        }
        check_path("remove_tree", path)?;
        let removed = self.done("remove_tree", text::REMOVE_TREE, &[plain(path).as_ref()], TREE).await;
        removed.map_err(Error::effect_unknown)
    }

    async fn whoami(&self) -> Result<String> {
        self.sessions.check("whoami")?;
        self.user.name(self).await
    }

    fn shell_command(&self, dir: &Path) -> Vec<OsString> {
        self.sessions.shell.shell_in(dir)
    }

    async fn close(&self) {
        self.sessions.close();
        self.sessions.shell.close().await;
    }
}

fn unclear(operation: &'static str, path: &Path) -> Error {
    let unclear = Error::new(ErrorKind::Other, operation).message(
        "the output of the computer's `stat` is not \
         understood",
    );
    unclear.with("path", path.display())
}

fn facts(operation: &'static str, path: &Path, output: &Output) -> Result<Metadata> {
    let line = String::from_utf8_lossy(&output.stdout);
    metadata(line.trim_end()).ok_or_else(|| unclear(operation, path))
}

/// Reads `MODE SIZE UID GID TIME`, the mode in hexadecimal digits.
fn metadata(line: &str) -> Option<Metadata> {
    let mut words = line.split(' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let size = words.next()?.parse().ok()?;
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let seconds: i64 = words.next()?.parse().ok()?;
    let since = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let modified = if seconds < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) }?;
    let kind = match mode >> 12 {
        0o10 => FileKind::File,
        0o04 => FileKind::Dir,
        0o12 => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Some(Metadata { kind, size, mode: mode & 0o7777, uid, gid, modified })
}

/// Reads a listing: the directory's own line, then `FACTS ./NAME` and a newline for each name. A name may hold
/// newlines, but no slash. So the last newline before a slash is the end of the name before.
fn entries(listing: &[u8]) -> Option<Vec<Entry>> {
    let own = listing.iter().position(|byte| *byte == b'\n')?;
    let mut rest = &listing[own + 1..];
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let facts = std::str::from_utf8(&rest[..slash]).ok()?.strip_suffix(" .")?;
        let after = &rest[slash + 1..];
        let next = after.iter().position(|byte| *byte == b'/').unwrap_or(after.len());
        let end = after[..next].iter().rposition(|byte| *byte == b'\n')?;
        let name = OsString::from_vec(after[..end].to_vec());
        entries.push(Entry { name, metadata: metadata(facts)? });
        rest = &after[end + 1..];
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_taken_apart_whatever_the_names_are() {
        let listing = b"41ed 4096 0 0 1700000000\n\
            81a4 5 1 2 1700000000 ./a\n\
            a1ff 1 0 0 -1 ./two\nlines\n\n\
            41ed 0 0 0 0 ./81a4 5 0 0 1 .\n\
            11a4 0 0 0 0 ./\xff\n";
        let entries = entries(listing).unwrap();
        let names: Vec<&[u8]> = entries.iter().map(|entry| entry.name.as_encoded_bytes()).collect();
        assert_eq!(names, [&b"a"[..], b"two\nlines\n", b"81a4 5 0 0 1 .", b"\xff"]);
        let kinds: Vec<_> = entries.iter().map(|entry| entry.metadata.kind).collect();
        assert_eq!(kinds, [FileKind::File, FileKind::Symlink, FileKind::Dir, FileKind::Other]);
        assert_eq!(
            (entries[0].metadata.size, entries[0].metadata.mode, entries[0].metadata.gid),
            (5, 0o644, 2)
        );
        assert_eq!(super::entries(b"41ed 0 0 0 0\n"), Some(Vec::new()));
        assert_eq!(super::entries(b""), None);
    }
}
