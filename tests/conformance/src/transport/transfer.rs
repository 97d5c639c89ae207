//! Single files over the wire: reading, writing, fetching.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
};

use ferry_engine_core::transport::{ErrorKind, FileKind, QUIET};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::{
    case::{Case, Outcome, cases},
    site::{Site, refused},
};

const LARGE: usize = 64 << 20;

pub(super) fn cases() -> Vec<Case> {
    cases![
        write_then_read,
        write_of_nothing_makes_an_empty_file,
        write_replaces_a_file,
        write_makes_programs,
        write_leaves_no_other_name,
        write_replaces_a_link_and_spares_its_target,
        write_refuses_a_directory,
        write_needs_a_parent,
        write_that_fails_half_way_keeps_the_old_file,
        write_takes_a_stream_in_small_pieces,
        write_is_atomic_for_readers,
        read_begins_at_an_offset,
        read_beyond_the_end_is_empty,
        read_follows_links,
        read_of_nothing_is_not_found,
        read_of_a_directory_is_refused,
        read_of_a_pipe_does_not_hang,
        large_file_there_and_back,
        get_files_makes_parents_and_replaces,
        get_files_follows_far_links_and_writes_files,
        get_files_replaces_a_local_link,
        get_files_of_nothing_is_not_found,
        get_files_refuses_directories,
        get_files_of_no_pairs_is_fine,
        get_files_fetches_many,
        get_files_reports_every_byte,
    ]
}

async fn write_then_read(site: Site) -> Outcome {
    let bytes: Vec<u8> = (0..=255).cycle().take(300_001).collect();
    let written = site.write(&site.path("file"), &mut &bytes[..], false).await?;
    assert_eq!(written, 300_001);
    assert!(site.bytes(&site.path("file")).await? == bytes);
    Ok(())
}

async fn write_of_nothing_makes_an_empty_file(site: Site) -> Outcome {
    assert_eq!(site.write(&site.path("file"), &mut tokio::io::empty(), false).await?, 0);
    assert_eq!(site.stat(&site.path("file")).await?.size, 0);
    Ok(())
}

async fn write_replaces_a_file(site: Site) -> Outcome {
    let path = site.make_file("file", "a longer old one").await?;
    site.make_file("file", "new").await?;
    assert_eq!(site.bytes(&path).await?, b"new");
    Ok(())
}

async fn write_makes_programs(site: Site) -> Outcome {
    site.write(&site.path("program"), &mut &b""[..], true).await?;
    site.write(&site.path("file"), &mut &b""[..], false).await?;
    assert_eq!(site.stat(&site.path("program")).await?.mode & 0o700, 0o700);
    assert_eq!(site.stat(&site.path("file")).await?.mode & 0o711, 0o600);
    Ok(())
}

async fn write_leaves_no_other_name(site: Site) -> Outcome {
    site.make_file("file", "1").await?;
    site.make_file("file", "2").await?;
    assert_eq!(site.names(site.dir()).await?, ["file"]);
    Ok(())
}

async fn write_replaces_a_link_and_spares_its_target(site: Site) -> Outcome {
    let target = site.make_file("target", "kept").await?;
    let link = site.make_link("link", "target").await?;
    site.make_file("link", "new").await?;
    assert_eq!(site.kind(&link).await, Some(FileKind::File));
    assert_eq!(site.bytes(&link).await?, b"new");
    assert_eq!(site.bytes(&target).await?, b"kept");
    Ok(())
}

async fn write_refuses_a_directory(site: Site) -> Outcome {
    site.make_dir("dir").await?;
    refused(site.make_file("dir", "x").await, &[ErrorKind::IsADirectory]);
    assert_eq!(site.names(&site.path("dir")).await?, [""; 0]);
    assert_eq!(site.names(site.dir()).await?, ["dir"]);
    Ok(())
}

async fn write_needs_a_parent(site: Site) -> Outcome {
    refused(site.make_file("no/file", "x").await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn write_that_fails_half_way_keeps_the_old_file(site: Site) -> Outcome {
    let path = site.make_file("file", "old").await?;
    let mut stream = (&[b'x'; 500_000][..]).chain(Broken);
    refused(site.write(&path, &mut stream, false).await, &[ErrorKind::Other]);
    assert_eq!(site.bytes(&path).await?, b"old");
    assert_eq!(site.names(site.dir()).await?, ["file"]);
    Ok(())
}

async fn write_takes_a_stream_in_small_pieces(site: Site) -> Outcome {
    let mut stream = Pieces(1000);
    assert_eq!(site.write(&site.path("file"), &mut stream, false).await?, 1000);
    assert_eq!(site.bytes(&site.path("file")).await?, [b'x'; 1000]);
    Ok(())
}

async fn write_is_atomic_for_readers(site: Site) -> Outcome {
    let path = site.make_file("file", vec![b'a'; 1_000_000]).await?;
    let writing = async {
        for byte in (b'a'..=b'z').cycle().take(40) {
            site.make_file("file", vec![byte; 1_000_000]).await?;
        }
        Ok::<_, ferry_engine_core::transport::Error>(())
    };
    let reading = async {
        for _ in 0..40 {
            let bytes = site.bytes(&path).await?;
            let is_whole = bytes.len() == 1_000_000 && bytes.iter().all(|byte| *byte == bytes[0]);
            assert!(is_whole, "a reader saw {} bytes, not all alike", bytes.len());
        }
        Ok(())
    };
    tokio::try_join!(writing, reading)?;
    Ok(())
}

async fn read_begins_at_an_offset(site: Site) -> Outcome {
    let path = site.make_file("file", "0123456789").await?;
    assert_eq!(site.bytes_from(&path, 0).await?, b"0123456789");
    assert_eq!(site.bytes_from(&path, 7).await?, b"789");
    Ok(())
}

async fn read_beyond_the_end_is_empty(site: Site) -> Outcome {
    let path = site.make_file("file", "0123456789").await?;
    for offset in [10, 11, 1 << 40, u64::MAX] {
        assert_eq!(site.bytes_from(&path, offset).await?, b"", "{offset}");
    }
    Ok(())
}

async fn read_follows_links(site: Site) -> Outcome {
    site.make_file("file", "bytes").await?;
    let link = site.make_link("link", "file").await?;
    assert_eq!(site.bytes(&link).await?, b"bytes");
    Ok(())
}

async fn read_of_nothing_is_not_found(site: Site) -> Outcome {
    refused(site.bytes(&site.path("no")).await, &[ErrorKind::NotFound]);
    Ok(())
}

async fn read_of_a_directory_is_refused(site: Site) -> Outcome {
    refused(site.bytes(site.dir()).await, &[ErrorKind::IsADirectory]);
    Ok(())
}

async fn read_of_a_pipe_does_not_hang(site: Site) -> Outcome {
    let made = site.sh("mkfifo pipe").await?;
    assert_eq!(made.status, 0, "{}", made.error_text());
    refused(site.read(&site.path("pipe"), 0).await.map(drop), &[ErrorKind::Unsupported]);
    Ok(())
}

async fn large_file_there_and_back(site: Site) -> Outcome {
    let bytes: Vec<u8> = (0..LARGE).map(|i| (i >> 9) as u8 ^ i as u8).collect();
    let path = site.path("large");
    assert_eq!(site.write(&path, &mut &bytes[..], false).await?, LARGE as u64);
    assert_eq!(site.stat(&path).await?.size, LARGE as u64);
    assert!(site.bytes(&path).await? == bytes, "all of it");
    let offset = LARGE - 4_000_001;
    assert!(site.bytes_from(&path, offset as u64).await? == bytes[offset..], "the end of it");
    Ok(())
}

async fn get_files_makes_parents_and_replaces(site: Site) -> Outcome {
    let (one, empty) = (site.make_file("one", "bytes").await?, site.make_file("empty", "").await?);
    let local = tempfile::tempdir()?;
    let to = |name: &str| local.path().join(name);
    fs::write(to("old"), "a longer old one")?;
    let pairs = [(one.clone(), to("a/b/one")), (empty, to("empty")), (one, to("old"))];
    site.get_files(&pairs, QUIET).await?;
    assert_eq!(fs::read(to("a/b/one"))?, b"bytes");
    assert_eq!(fs::read(to("empty"))?, b"");
    assert_eq!(fs::read(to("old"))?, b"bytes");
    assert_eq!(local_names(local.path())?, ["a", "empty", "old"]);
    Ok(())
}

async fn get_files_follows_far_links_and_writes_files(site: Site) -> Outcome {
    site.make_file("file", "bytes").await?;
    let link = site.make_link("link", "file").await?;
    let local = tempfile::tempdir()?;
    let to = local.path().join("to");
    site.get_files(&[(link, to.clone())], QUIET).await?;
    assert!(fs::symlink_metadata(&to)?.is_file());
    assert_eq!(fs::read(to)?, b"bytes");
    Ok(())
}

async fn get_files_replaces_a_local_link(site: Site) -> Outcome {
    let far = site.make_file("file", "bytes").await?;
    let local = tempfile::tempdir()?;
    let (outside, link) = (local.path().join("outside"), local.path().join("link"));
    fs::write(&outside, "kept")?;
    std::os::unix::fs::symlink(&outside, &link)?;
    site.get_files(&[(far, link.clone())], QUIET).await?;
    assert_eq!(fs::read(outside)?, b"kept");
    assert!(fs::symlink_metadata(link)?.is_file());
    Ok(())
}

async fn get_files_of_nothing_is_not_found(site: Site) -> Outcome {
    let local = tempfile::tempdir()?;
    let pairs = [(site.path("no"), local.path().join("to"))];
    refused(site.get_files(&pairs, QUIET).await, &[ErrorKind::NotFound]);
    assert_eq!(local_names(local.path())?, [""; 0]);
    Ok(())
}

async fn get_files_refuses_directories(site: Site) -> Outcome {
    let file = site.make_file("file", "").await?;
    let local = tempfile::tempdir()?;
    let pairs = [(site.dir().to_owned(), local.path().join("to"))];
    refused(site.get_files(&pairs, QUIET).await, &[ErrorKind::IsADirectory]);
    let pairs = [(file, local.path().to_owned())];
    refused(site.get_files(&pairs, QUIET).await, &[ErrorKind::IsADirectory]);
    assert_eq!(local_names(local.path())?, [""; 0]);
    Ok(())
}

async fn get_files_of_no_pairs_is_fine(site: Site) -> Outcome {
    site.get_files(&[], QUIET).await?;
    Ok(())
}

async fn get_files_fetches_many(site: Site) -> Outcome {
    site.sh("i=0; while [ $i -lt 500 ]; do echo $i > $i; i=$((i+1)); done").await?;
    let local = tempfile::tempdir()?;
    let pair = |i: usize| (site.path(i.to_string()), local.path().join(format!("{}/{i}", i % 7)));
    let pairs: Vec<(PathBuf, PathBuf)> = (0..500).map(pair).collect();
    site.get_files(&pairs, QUIET).await?;
    for (i, (_, to)) in pairs.iter().enumerate() {
        assert_eq!(fs::read_to_string(to)?, format!("{i}\n"));
    }
    Ok(())
}

async fn get_files_reports_every_byte(site: Site) -> Outcome {
    let sizes = [0, 1, 70_000, 3_000_000];
    let local = tempfile::tempdir()?;
    let mut pairs = Vec::new();
    for size in sizes {
        let far = site.make_file(&size.to_string(), vec![b'x'; size]).await?;
        pairs.push((far, local.path().join(size.to_string())));
    }
    let sum = AtomicU64::new(0);
    site.get_files(&pairs, &|bytes| _ = sum.fetch_add(bytes, Ordering::Relaxed)).await?;
    assert_eq!(sum.into_inner(), sizes.iter().sum::<usize>() as u64);
    Ok(())
}

fn local_names(dir: &Path) -> io::Result<Vec<String>> {
    let names = dir.read_dir()?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// A stream that fails.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("the disk is on fire")))
    }
}

/// A stream that gives one byte at a time, this many times.
struct Pieces(usize);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 > 0 {
            self.0 -= 1;
            buffer.put_slice(b"x");
        }
        Poll::Ready(Ok(()))
    }
}
