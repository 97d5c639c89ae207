//! Locks: `flock` on a file, which the kernel releases however its holder ends. Only a live holder counts, not a
//! stale file. The owner has one lock, and the supervisor another; it never holds the owner's.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rustix::fs::FlockOperation;

use crate::error::{Error, ErrorKind, Result};
use crate::profile::child::Child;

/// The lock of the one program that steps, polls and writes. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or fails with its holder. `role` names the kind of holder in a word (`daemon`, `run`).
    ///
    /// # Errors
    /// Fails with `Owned`, naming the holder's pid and role, or with `NetworkFileSystem` where `flock` can't be
    /// trusted.
    pub fn take(path: &Path, role: &str) -> Result<Lock> {
        let failed = |source| Error::from_io("lock profile", path, source);
        // std opens with O_CLOEXEC, so no child inherits the lock.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        refuse_network_file_system(&file, path)?;
        match try_exclusive(&file) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(owned(&mut file)),
            Err(error) => return Err(failed(error.into())),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        let started = Child::me().map_or(0, |me| me.started);
        writeln!(file, "{} {role} {started}", std::process::id()).map_err(failed)?;
        Ok(Lock { _file: file })
    }

    /// Returns pid and role of a live holder, if there is one.
    pub fn holder(path: &Path) -> Option<(u32, String)> {
        Lock::holding(path).map(|(child, role)| (child.pid, role))
    }

    /// Returns the holder as [`Lock::holder`] does, with its start time. Use it to send signals: the start time
    /// tells the holder from a later process with the same pid.
    pub fn holding(path: &Path) -> Option<(Child, String)> {
        let mut file = OpenOptions::new().read(true).open(path).ok()?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => read_holder(&mut file),
            _ => None,
        }
    }
}

/// Tries to take the lock. [`Lock::holder`] holds it for an instant, so one refusal does not prove an owner.
fn try_exclusive(file: &File) -> rustix::io::Result<()> {
    for _ in 0..4 {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
            other => return other,
        }
    }
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

fn read_holder(file: &mut File) -> Option<(Child, String)> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    let mut words = text.split_whitespace();
    let (pid, role) = (words.next()?.parse().ok()?, words.next()?.to_owned());
    let started = words.next().and_then(|word| word.parse().ok());
    // A ferry before 0.2 wrote no start time. It holds the lock, so its pid is still its own.
    let started = started.or_else(|| Some(Child::of(pid)?.started)).unwrap_or(0);
    Some((Child { pid, started }, role))
}

fn owned(file: &mut File) -> Error {
    let who = read_holder(file)
        .map_or_else(|| "another ferry".into(), |(who, role)| format!("a ferry {role} (pid {})", who.pid));
    Error::new(ErrorKind::Owned, "lock profile").message(format!("the profile is in use by {who}")).later()
}

/// Magic numbers of `statfs(2)` for file systems on which `flock` or SQLite's WAL can't be trusted.
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x5346_414f, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0102_1997, "9P"),
    (0x1980_0202, "BeeGFS"),
];

fn refuse_network_file_system(file: &File, path: &Path) -> Result<()> {
    let Ok(info) = rustix::fs::fstatfs(file) else { return Ok(()) };
    match network_name(info.f_type as u64 & 0xffff_ffff) {
        None => Ok(()),
        Some(name) => Err(Error::new(ErrorKind::NetworkFileSystem, "lock profile")
            .message(format!("{name} is a network file system, which can't keep a store safe"))
            .with("path", path.display())
            .help("set FERRY_HOME to a directory on a local disk")),
    }
}

fn network_name(magic: u64) -> Option<&'static str> {
    NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses numbers from `man 2 statfs`.
    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0x0bd0_0bd0), Some("Lustre"));
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network_name(local), None, "{local:x}");
        }
    }

    #[test]
    fn a_second_taker_is_told_who_has_it_and_a_stale_file_is_no_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.lock");
        let lock = Lock::take(&path, "daemon").unwrap();
        let error = Lock::take(&path, "run").unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Owned);
        assert!(error.to_string().contains(&format!("daemon (pid {})", std::process::id())));
        assert_eq!(Lock::holder(&path).unwrap().0, std::process::id());
        drop(lock);
        assert_eq!(Lock::holder(&path), None);
        assert!(Lock::take(&path, "run").is_ok());
    }
}
