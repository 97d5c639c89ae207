//! `core.ssh_openssh`: the user's own `ssh` as the way to a computer, with a real sshd.

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use ferry_engine_core::{
    computer::Computer,
    transport::{Command, Error, ErrorKind, Transport},
};
use support::{Options, Sshd, signal, user};
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(60);

async fn open(computer: &Computer) -> Result<Arc<dyn Transport>, Error> {
    timeout(LIMIT, ferry_transport_ssh::register_openssh().open(computer)).await.expect("opening must end")
}

async fn works(far: &dyn Transport) {
    let output = timeout(LIMIT, far.exec(&Command::new(["echo", "fine"]))).await.expect("it ends");
    assert_eq!(output.expect("it runs").text(), "fine\n");
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await
        }
    };
    assert!(timeout(LIMIT, wait).await.is_ok(), "{what} did not come");
}

#[tokio::test]
async fn all_sessions_go_over_one_connection_of_our_own() {
    let sshd = Sshd::start();
    let far = open(&sshd.computer()).await.expect("it opens");
    let runs = (0..12).map(|_| {
        let far = far.clone();
        tokio::spawn(async move { works(&*far).await })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.expect("it works");
    }
    assert_eq!(sshd.connections().len(), 1);
    // A status of `ssh` itself is no different from the command's own.
    let output = far.exec(&Command::sh("exit 255")).await.expect("it runs");
    assert_eq!(output.status, 255);
    far.close().await;
    drop(far);
    until("the connection's end", || sshd.connections().is_empty()).await;
}

#[tokio::test]
async fn the_master_of_the_user_is_used_and_left_alone() {
    let sshd = Sshd::start();
    let socket = sshd.path("user-master");
    let config = format!(
        "Host *\n  ControlPath {}\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
        socket.display(),
        sshd.port,
        user(),
        sshd.path("id").display(),
        sshd.path("known_hosts").display()
    );
    fs::write(sshd.path("config"), config).expect("a configuration");
    let mut master = Process::new("ssh");
    master.arg("-F").arg(sshd.path("config")).args(["-M", "-N", "127.0.0.1"]).stdin(Stdio::null());
    let mut master: Child = master.spawn().expect("ssh is there");
    until("the user's master", || socket.exists()).await;
    let mut computer = Computer { hostname: "127.0.0.1".into(), ..Computer::default() };
    computer.connection.insert("config_file".into(), sshd.path("config").display().to_string().into());
    // The key is of no use any more: the connection is there already.
    fs::remove_file(sshd.path("authorized_keys")).expect("no keys");
    let far = open(&computer).await.expect("it opens");
    works(&*far).await;
    assert_eq!(sshd.connections().len(), 1);
    far.close().await;
    drop(far);
    assert!(socket.exists() && master.try_wait().expect("our child").is_none(), "the master lives on");
    master.kill().expect("our child");
    master.wait().expect("our child");
}

#[tokio::test]
async fn a_lost_connection_is_told_and_never_dialled_again() {
    let sshd = Sshd::start();
    let far = open(&sshd.computer()).await.expect("it opens");
    let running = {
        let far = far.clone();
        tokio::spawn(async move { far.exec(&Command::new(["sleep", "60"])).await })
    };
    until("the command", || sshd.descendants().len() > 2).await;
    for pid in sshd.connections() {
        signal(pid, "KILL");
    }
    let error = timeout(LIMIT, running).await.expect("it ends").expect("it runs").expect_err("it is lost");
    assert_eq!(*error.kind(), ErrorKind::Unreachable, "{error}");
    let error = timeout(LIMIT, far.stat(Path::new("/"))).await.expect("it ends").expect_err("it is lost");
    assert_eq!(*error.kind(), ErrorKind::Unreachable, "{error}");
    assert_eq!(sshd.connections().len(), 0);
}

#[tokio::test]
async fn what_ssh_refuses_has_its_kind() {
    let sshd = Sshd::start();
    let refused = async |computer: &Computer, kind: ErrorKind, word: &str| {
        let error = open(computer).await.map(drop).expect_err("it must not open");
        let text = format!("{error} {}", error.help_text().unwrap_or("(no help)"));
        assert!(*error.kind() == kind && text.contains(word), "{kind:?} {word}: {text}");
    };
    let unknown = Sshd::start();
    let mut computer = sshd.computer();
    computer
        .connection
        .insert("known_hosts".into(), unknown.path("known_hosts").display().to_string().into());
    refused(&computer, ErrorKind::Authentication, "Host key verification failed").await;
    let mut computer = sshd.computer();
    computer.connection.insert("key_filename".into(), unknown.path("id").display().to_string().into());
    refused(&computer, ErrorKind::Authentication, "Permission denied").await;
    let mut computer = sshd.computer();
    computer.connection.insert("port".into(), 1.into());
    refused(&computer, ErrorKind::Unreachable, "refused").await;
}

#[tokio::test]
async fn login_files_that_print_do_no_harm() {
    let sshd = Sshd::with(Options { bashrc: "echo noise\necho noise >&2\n".into(), ..Options::default() });
    let far = open(&sshd.computer()).await.expect("it opens");
    works(&*far).await;
    assert!(far.stat(Path::new("/")).await.is_ok());
    assert_eq!(far.shell_command(Path::new("/tmp"))[0], "ssh");
}
