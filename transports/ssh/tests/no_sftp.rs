//! Servers without SFTP: files go by commands, and nothing else is taken for such a server.

mod support;

use std::{fs, path::Path, sync::Arc, time::Duration};

use ferry_engine_core::transport::{Command, ErrorKind, QUIET, Transport, Tree};
use support::{Options, Sshd};
use tokio::{io::AsyncReadExt, time::timeout};

const LIMIT: Duration = Duration::from_secs(60);

fn server(config: &str) -> Sshd {
    Sshd::with(Options { config: config.into(), no_sftp: true, ..Options::default() })
}

async fn open(sshd: &Sshd) -> Arc<dyn Transport> {
    ferry_transport_ssh::register().open(&sshd.computer()).await.expect("it opens")
}

/// Returns bytes that no piece repeats.
fn bytes(count: usize) -> Vec<u8> {
    (0..count.div_ceil(8) as u64).flat_map(|number| number.to_le_bytes()).take(count).collect()
}

async fn goes_to_and_fro(far: &dyn Transport, dir: &Path, content: &[u8]) {
    let file = dir.join("some file");
    far.write(&file, &mut &content[..], false).await.expect("it is written");
    let mut back = Vec::new();
    far.read(&file, 0).await.expect("it opens").read_to_end(&mut back).await.expect("it is read");
    assert!(back == content, "{} bytes, not {}", back.len(), content.len());
}

#[tokio::test]
async fn files_of_any_size_go_by_commands() {
    let sshd = server("");
    let far = open(&sshd).await;
    // Empty, one piece exactly, and some pieces with a rest.
    for size in [0, 1, 4 << 20, (9 << 20) + 5] {
        goes_to_and_fro(&*far, sshd.dir.path(), &bytes(size)).await;
    }
    assert!(far.capabilities().files_by_commands);
    let mut end = Vec::new();
    let file = sshd.path("some file");
    far.read(&file, 9 << 20).await.expect("it opens").read_to_end(&mut end).await.expect("it is read");
    assert_eq!(end, &bytes((9 << 20) + 5)[9 << 20..]);
    let error = far.read(&sshd.path("missing"), 0).await.map(drop).expect_err("it is not there");
    assert_eq!(*error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_program_for_sftp_that_is_not_there_is_none() {
    let sshd = server("Subsystem sftp /no/such/sftp-server");
    let far = open(&sshd).await;
    goes_to_and_fro(&*far, sshd.dir.path(), b"bytes").await;
    let tree = Tree::default().bytes("a", *b"a").bytes("b/c", *b"c");
    for _ in 0..2 {
        far.put_tree(&tree, &sshd.path("tree"), QUIET).await.expect("a tree goes, also over itself");
    }
    assert_eq!(fs::read(sshd.path("tree/b/c")).expect("it is there"), b"c");
}

#[tokio::test]
async fn one_session_is_enough() {
    let sshd = server("MaxSessions 1");
    let far = open(&sshd).await;
    goes_to_and_fro(&*far, sshd.dir.path(), &bytes(5 << 20)).await;
    let looks = (0..5).map(|_| {
        let (far, dir) = (far.clone(), sshd.dir.path().to_owned());
        tokio::spawn(async move { far.list(&dir).await.map(|entries| entries.len()) })
    });
    for look in looks.collect::<Vec<_>>() {
        assert!(timeout(LIMIT, look).await.expect("it ends").expect("it runs").expect("a listing") > 3);
    }
}

#[tokio::test]
async fn a_reader_that_pauses_holds_nobody_up() {
    let sshd = server("");
    let far = open(&sshd).await;
    let content = bytes(40 << 20);
    fs::write(sshd.path("large"), &content).expect("a file");
    let mut reader = far.read(&sshd.path("large"), 0).await.expect("it opens");
    let mut back = vec![0; 10];
    reader.read_exact(&mut back).await.expect("it is read");
    for _ in 0..5 {
        let output = timeout(LIMIT, far.exec(&Command::new(["echo", "on"]))).await.expect("it ends");
        assert_eq!(output.expect("it runs").text(), "on\n");
    }
    reader.read_to_end(&mut back).await.expect("it is read");
    assert!(back == content);
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_taken_for_a_server_without_sftp() {
    let sshd = server("Subsystem sftp kill -9 $PPID; sleep 5");
    let far = open(&sshd).await;
    let error = timeout(LIMIT, far.stat(Path::new("/"))).await.expect("it ends").expect_err("it is broken");
    assert_eq!(*error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(!far.capabilities().files_by_commands);
}

#[tokio::test]
async fn a_server_for_files_alone_is_told_from_one_for_commands_alone() {
    let sshd = server("ForceCommand internal-sftp\nSubsystem sftp internal-sftp");
    let far = open(&sshd).await;
    assert_eq!(far.bytes(&sshd.path("id.pub")).await, fs::read(sshd.path("id.pub")).expect("it is there"));
    assert!(!far.capabilities().files_by_commands);
}

#[tokio::test]
async fn a_server_for_neither_says_why() {
    let sshd = server("ForceCommand echo no entry; exit 7");
    let far = open(&sshd).await;
    let error = far.stat(Path::new("/")).await.expect_err("nothing is let in");
    assert!(error.to_string().contains("no entry"), "{error}");
}

/// Reads a whole file.
trait Whole {
    async fn bytes(&self, path: &Path) -> Vec<u8>;
}

impl Whole for Arc<dyn Transport> {
    async fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut back = Vec::new();
        self.read(path, 0).await.expect("it opens").read_to_end(&mut back).await.expect("it is read");
        back
    }
}
