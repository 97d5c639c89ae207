//! Writes a tar archive of entries with known names and sizes: ustar headers, and GNU's long names. Pure.
//!
//! See tar(5), FreeBSD 14, and the GNU tar manual 1.35, "Basic Tar Format". Owners are left out: the files belong
//! to the user who unpacks.

use std::{os::unix::ffi::OsStrExt, path::Path, time::SystemTime};

const BLOCK: usize = 512;
const NAME: usize = 100;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A file of this size; its bytes follow, then [`padding`].
    File {
        size: u64,
        mode: u32,
    },
    Dir,
    Symlink(&'a Path),
}

/// Returns the header of an entry.
pub(crate) fn header(name: &Path, kind: Kind<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK);
    let name = name.as_os_str().as_bytes();
    if name.len() > NAME {
        long(&mut bytes, b'L', name);
    }
    let (flag, size, mode, target): (_, _, _, &[u8]) = match kind {
        Kind::File { size, mode } => (b'0', size, mode, b""),
        Kind::Dir => (b'5', 0, 0o755, b""),
        Kind::Symlink(target) => (b'2', 0, 0o777, target.as_os_str().as_bytes()),
    };
    if target.len() > NAME {
        long(&mut bytes, b'K', target);
    }
    block(&mut bytes, name, flag, size, mode, target);
    bytes
}

/// Returns the zeros that fill a file's last block.
pub(crate) fn padding(size: u64) -> &'static [u8] {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    &ZEROS[..(BLOCK - (size % BLOCK as u64) as usize) % BLOCK]
}

/// The end of an archive, behind the last entry.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Writes a name that does not fit its field, as an entry of its own in front.
fn long(bytes: &mut Vec<u8>, flag: u8, name: &[u8]) {
    let size = name.len() as u64 + 1;
    block(bytes, b"././@LongLink", flag, size, 0, b"");
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.extend_from_slice(padding(size));
}

fn block(bytes: &mut Vec<u8>, name: &[u8], flag: u8, size: u64, mode: u32, target: &[u8]) {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let mut block = [0; BLOCK];
    let mut put = |at: usize, value: &[u8]| block[at..at + value.len()].copy_from_slice(value);
    put(0, &name[..name.len().min(NAME)]);
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, &number(size));
    put(136, &number(now));
    put(148, b"        ");
    put(156, &[flag]);
    put(157, &target[..target.len().min(NAME)]);
    put(257, b"ustar  ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    bytes.extend_from_slice(&block);
}

/// Returns octal digits, or for sizes from 8 GiB on big-endian bytes behind a flag.
fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    let digits = format!("{value:011o}");
    if digits.len() == 11 {
        field[..11].copy_from_slice(digits.as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    }
    field
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        path::PathBuf,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn the_systems_tar_understands_it() {
        let long = PathBuf::from(format!("{}/{}", "d".repeat(120), "n".repeat(200)));
        let target = PathBuf::from(format!("/{}", "t".repeat(150)));
        let mut archive = header(Path::new("-odd\nname"), Kind::File { size: 5, mode: 0o755 });
        archive.extend_from_slice(b"bytes");
        archive.extend_from_slice(padding(5));
        archive.extend(header(long.parent().unwrap(), Kind::Dir));
        archive.extend(header(&long, Kind::File { size: 0, mode: 0o644 }));
        archive.extend(header(Path::new("link"), Kind::Symlink(&target)));
        archive.extend_from_slice(&END);
        let dir = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        let mut child = tar.args(["-xomf", "-", "-C"]).arg(dir.path()).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&archive).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read(dir.path().join("-odd\nname")).unwrap(), b"bytes");
        assert_eq!(fs::read(dir.path().join(&long)).unwrap(), b"");
        assert_eq!(fs::read_link(dir.path().join("link")).unwrap(), target);
    }

    #[test]
    fn sizes_beyond_eight_gib_are_binary() {
        assert_eq!(&number(8 << 30)[..], b"\x80\0\0\0\0\0\0\x02\0\0\0\0");
        assert_eq!(&number((8 << 30) - 1)[..], b"77777777777\0");
    }
}
