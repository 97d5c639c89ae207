//! A server that lies about its files: nothing of it counts as a result, and nothing of it fills the memory.

mod support;

use std::{path::Path, sync::Arc};

use ferry_engine_core::transport::{ErrorKind, QUIET, Transport};
use support::{Options, Sshd};
use tokio::io::AsyncReadExt;

async fn open(sshd: &Sshd) -> Arc<dyn Transport> {
    ferry_transport_ssh::register().open(&sshd.computer()).await.expect("it opens")
}

fn liar() -> Sshd {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/lying_sftp.py");
    let config = format!("Subsystem sftp /usr/bin/env python3 '{server}'\n");
    Sshd::with(Options { config, no_sftp: true, ..Options::default() })
}

#[tokio::test]
async fn a_listing_that_begins_with_dots_is_read_to_its_end() {
    let sshd = liar();
    let entries = open(&sshd).await.list(Path::new("/begins")).await.expect("a listing");
    assert_eq!(entries.iter().map(|entry| entry.name.to_str()).collect::<Vec<_>>(), [Some("a")]);
}

#[tokio::test]
async fn a_listing_without_an_end_is_given_up() {
    let sshd = liar();
    let error = open(&sshd).await.list(Path::new("/endless")).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("more than 1000000 names"), "{error}");
}

#[tokio::test]
async fn a_file_that_ends_too_early_is_no_result() {
    let sshd = liar();
    let via = open(&sshd).await;
    let mut text = String::new();
    let mut file = via.read(Path::new("/short"), 0).await.expect("it opens");
    let error = file.read_to_string(&mut text).await.unwrap_err();
    assert!(error.to_string().contains("ends at byte 4, but has 10 bytes"), "{error}");
    let local = sshd.path("short");
    let pairs = [("/short".into(), local.clone())];
    via.get_files(&pairs, QUIET).await.unwrap_err();
    assert!(!local.exists());
}
