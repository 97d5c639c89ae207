//! Failures of servers, networks, keys and people: one clear error each, in bounded time, and no leftovers.

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command as Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ferry_engine_core::{
    computer::Computer,
    error::{Effect, Retry},
    transport::{Command, Error, ErrorKind, Factory, QUIET, Transport, Tree},
};
use support::{Options, Sshd, keygen, run, signal};
use tokio::time::{sleep, timeout};

/// Most time that a test step may take.
const LIMIT: Duration = Duration::from_secs(40);

fn set(computer: &mut Computer, key: &str, value: impl Into<serde_json::Value>) {
    computer.connection.insert(key.into(), value.into());
}

async fn open(computer: &Computer) -> Result<Arc<dyn Transport>, Error> {
    let opening = ferry_transport_ssh::register();
    timeout(LIMIT, opening.open(computer)).await.expect("opening must end")
}

/// Opens a connection that can't be opened. The error must have a next step, and its text these words.
async fn refused(computer: &Computer, kind: ErrorKind, words: &[&str]) -> Error {
    let error = open(computer).await.map(drop).expect_err("it must not open");
    let text = format!("{error:?} {}", error.help_text().unwrap_or("(no help)"));
    assert_eq!(*error.kind(), kind, "{text}");
    assert!(error.help_text().is_some(), "no next step: {text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
    let retry = if kind == ErrorKind::Authentication { Retry::Never } else { error.retry() };
    assert_eq!(error.retry(), retry, "{text}");
    error
}

async fn works(transport: &Arc<dyn Transport>) {
    let output = timeout(LIMIT, transport.exec(&Command::new(["echo", "it's fine"]))).await;
    assert_eq!(output.expect("it must end").expect("it must work").text(), "it's fine\n");
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what} did not come");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Returns a port that refuses connections while the socket lives. The socket is bound, so that no other program
/// gets the port, and not listening.
fn closed_port() -> (tokio::net::TcpSocket, u16) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let port = socket.local_addr().expect("it is bound").port();
    (socket, port)
}

/// Returns a long-running command that differs from those of other runs.
fn long_sleep(number: u32) -> String {
    format!("sleep {number}.{}", std::process::id())
}

/// Returns the number of processes whose command line has this word.
fn running(word: &str) -> usize {
    let found = Child::new("pgrep").args(["-c", "-f", "--", word]).stderr(Stdio::null()).output();
    let text = String::from_utf8_lossy(&found.expect("pgrep is there").stdout).trim().to_owned();
    text.parse().unwrap_or(0)
}

mod hosts {
    use super::*;

    #[tokio::test]
    async fn a_refused_port_and_an_unknown_name() {
        let mut computer = Computer { hostname: "127.0.0.1".into(), ..Computer::default() };
        set(&mut computer, "config_file", "none");
        let (_taken, port) = closed_port();
        set(&mut computer, "port", port);
        let error = refused(&computer, ErrorKind::Unreachable, &["refused", "port"]).await;
        assert_eq!(error.retry(), Retry::Later);
        computer.hostname = "no-such-host.invalid".into();
        refused(&computer, ErrorKind::Unreachable, &["no-such-host.invalid", "hostname"]).await;
        computer.hostname = "-oProxyCommand=touch pwned".into();
        refused(&computer, ErrorKind::Config, &["hostname"]).await;
    }

    #[tokio::test]
    async fn a_listener_that_never_greets_and_one_that_speaks_something_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let mut computer = Computer { hostname: "127.0.0.1".into(), ..Computer::default() };
        set(&mut computer, "config_file", "none");
        set(&mut computer, "port", port);
        set(&mut computer, "timeout", 1.5);
        let start = Instant::now();
        let silent = refused(&computer, ErrorKind::Unreachable, &["no SSH greeting", "timeout"]);
        let accept = async {
            let _held = listener.accept().await;
            sleep(Duration::from_secs(60)).await;
        };
        tokio::select! {
            _ = silent => {}
            () = accept => {}
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_server_that_hangs_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut computer = Computer { hostname: "127.0.0.1".into(), ..Computer::default() };
        set(&mut computer, "config_file", "none");
        set(&mut computer, "port", listener.local_addr().expect("bound").port());
        let hang_up = async {
            loop {
                drop(listener.accept().await);
            }
        };
        tokio::select! {
            _ = refused(&computer, ErrorKind::Unreachable, &["closed the connection", "wait"]) => {}
            () = hang_up => {}
        }
    }
}

mod host_keys {
    use super::*;

    #[tokio::test]
    async fn an_unknown_key_is_refused_with_the_command_that_accepts_it() {
        let sshd = Sshd::start();
        let known = sshd.path("none_yet");
        let mut computer = sshd.computer();
        set(&mut computer, "known_hosts", known.display().to_string());
        let words = ["not known", "SHA256:", "ssh-keyscan -p", ">>", "none_yet"];
        let error = refused(&computer, ErrorKind::Authentication, &words).await;
        let help = error.help_text().expect("a next step").to_owned();
        let (_, command) = help.split_once("then: ").expect("a command");
        run(Child::new("sh").args(["-c", command]));
        works(&open(&computer).await.expect("it is known now")).await;
    }

    #[tokio::test]
    async fn accept_new_goes_on_where_the_key_cannot_be_saved() {
        let sshd = Sshd::start();
        fs::write(sshd.path("a_file"), "").expect("a file");
        for known in ["/dev/null".into(), sshd.path("a_file/below").display().to_string()] {
            let mut computer = sshd.computer();
            set(&mut computer, "known_hosts", known.clone());
            refused(&computer, ErrorKind::Authentication, &["not known"]).await;
            set(&mut computer, "key_policy", "accept-new");
            works(&open(&computer).await.expect("it is accepted")).await;
        }
    }

    #[tokio::test]
    async fn a_private_key_that_others_may_read_is_refused() {
        let sshd = Sshd::start();
        let computer = sshd.computer();
        let mode =
            |mode| fs::set_permissions(sshd.path("id"), fs::Permissions::from_mode(mode)).expect("a mode");
        for exposed in [0o644, 0o640, 0o602] {
            mode(exposed);
            refused(&computer, ErrorKind::Authentication, &["other users may open", "chmod 600"]).await;
        }
        mode(0o600);
        works(&open(&computer).await.expect("it is private again")).await;
    }

    #[tokio::test]
    async fn accept_new_writes_it_down_once_and_refuses_another() {
        let sshd = Sshd::start();
        let known = sshd.path("dir/known");
        let mut computer = sshd.computer();
        set(&mut computer, "known_hosts", known.display().to_string());
        set(&mut computer, "key_policy", "AutoAddPolicy");
        for _ in 0..2 {
            works(&open(&computer).await.expect("it is accepted")).await;
        }
        let text = fs::read_to_string(&known).expect("it was written");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(known.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
        keygen(&sshd.path("other_key"), &[]);
        let other = fs::read_to_string(sshd.path("other_key.pub")).expect("a key");
        fs::write(&known, format!("[127.0.0.1]:{} {other}", sshd.port)).expect("known hosts");
        let words = ["has changed", "known:1", "ssh-keygen -R", "ssh-keyscan"];
        let error = refused(&computer, ErrorKind::Authentication, &words).await;
        let help = error.help_text().expect("a next step").to_owned();
        let (_, command) = help.split_once("is right: ").expect("a command");
        run(Child::new("sh").args(["-c", command]));
        works(&open(&computer).await.expect("it is known now")).await;
    }

    #[tokio::test]
    async fn hashed_names_revoked_keys_and_certificates() {
        let sshd = Sshd::start();
        let mut computer = sshd.computer();
        run(Child::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(sshd.path("known_hosts")));
        works(&open(&computer).await.expect("a hashed name")).await;
        fs::write(sshd.path("known_hosts"), format!("{}@revoked {}", sshd.known_host(), sshd.known_host()))
            .expect("known hosts");
        refused(&computer, ErrorKind::Authentication, &["revoked"]).await;
        set(&mut computer, "key_policy", "accept-new");
        refused(&computer, ErrorKind::Authentication, &["revoked"]).await;
    }

    #[tokio::test]
    async fn a_host_certificate_by_a_known_authority() {
        let dir = tempfile::tempdir().expect("a directory");
        keygen(&dir.path().join("ca"), &[]);
        let ca = fs::read_to_string(dir.path().join("ca.pub")).expect("an authority");
        let with = |principal: &str| {
            let (ca, principal) = (dir.path().join("ca"), principal.to_owned());
            Sshd::prepared(
                Options::default(),
                move |at| {
                    let mut sign = Child::new("ssh-keygen");
                    sign.args(["-q", "-h", "-I", "host", "-n", &principal, "-s"]).arg(ca);
                    run(sign.arg(at.join("host_key.pub")));
                },
                "HostCertificate {dir}/host_key-cert.pub",
            )
        };
        for (principal, is_ours) in [("127.0.0.1", true), ("elsewhere", false)] {
            let sshd = with(principal);
            let line = format!("@cert-authority [127.0.0.1]:{} {ca}", sshd.port);
            fs::write(sshd.path("known_hosts"), line).expect("known hosts");
            if is_ours {
                works(&open(&sshd.computer()).await.expect("its certificate is good")).await;
            } else {
                refused(&sshd.computer(), ErrorKind::Authentication, &["for other hosts"]).await;
            }
        }
    }
}

mod credentials {
    use super::*;

    #[tokio::test]
    async fn a_wrong_key_and_a_missing_one() {
        let sshd = Sshd::start();
        keygen(&sshd.path("wrong"), &[]);
        let mut computer = sshd.computer();
        set(&mut computer, "key_filename", sshd.path("wrong").display().to_string());
        let words = ["wrong: refused", "server accepts: publickey", "ssh-copy-id -i"];
        refused(&computer, ErrorKind::Authentication, &words).await;
        set(&mut computer, "key_filename", "/no/such/key");
        refused(&computer, ErrorKind::Authentication, &["/no/such/key: no such file"]).await;
        fs::write(sshd.path("garbage"), "no key").expect("a file");
        set(&mut computer, "key_filename", sshd.path("garbage").display().to_string());
        refused(&computer, ErrorKind::Authentication, &["no private key"]).await;
    }

    #[tokio::test]
    async fn too_many_keys_are_a_credential_matter() {
        let sshd = Sshd::with(Options { config: "MaxAuthTries 2".into(), ..Options::default() });
        let keys: Vec<String> = (0..4)
            .map(|i| {
                let path = sshd.path(&format!("wrong{i}"));
                keygen(&path, &[]);
                path.display().to_string()
            })
            .collect();
        let mut computer = sshd.computer();
        set(&mut computer, "key_filename", keys);
        refused(&computer, ErrorKind::Authentication, &["wrong0: refused", "key_filename"]).await;
    }

    #[tokio::test]
    async fn a_protected_key_is_asked_for_only_where_somebody_is() {
        let sshd = Sshd::start();
        let key = sshd.path("id");
        run(Child::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"]).arg(&key));
        let error = refused(&sshd.computer(), ErrorKind::Authentication, &["passphrase", "ssh-add"]).await;
        assert!(!format!("{error:?}").contains("sesame"));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let factory = ferry_transport_ssh::register_with_prompt(Arc::new(move |question| {
            assert!(question.contains("id"), "{question}");
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            Some(if first { "wrong" } else { "open sesame" }.to_owned())
        }));
        works(&factory.open(&sshd.computer()).await.expect("the second passphrase is right")).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn an_agent_holds_the_key() {
        let sshd = Sshd::start();
        let agent = Agent::start(&sshd.path("agent"));
        agent.add(&sshd.path("id"));
        keygen(&sshd.path("another"), &[]);
        agent.add(&sshd.path("another"));
        let mut computer = sshd.computer();
        let config = format!("IdentityAgent {}\nIdentityFile none\n", sshd.path("agent").display());
        fs::write(sshd.path("agent_config"), config).expect("a configuration");
        set(&mut computer, "config_file", sshd.path("agent_config").display().to_string());
        computer.connection.remove("key_filename");
        set(&mut computer, "allow_agent", true);
        works(&open(&computer).await.expect("the agent signs")).await;
        set(&mut computer, "allow_agent", false);
        refused(&computer, ErrorKind::Authentication, &["nothing"]).await;
    }

    #[tokio::test]
    async fn a_user_certificate_and_an_expired_one() {
        let sshd = Sshd::with(Options::default());
        keygen(&sshd.path("ca"), &[]);
        keygen(&sshd.path("signed"), &[]);
        let ca = fs::read_to_string(sshd.path("ca.pub")).expect("an authority");
        fs::write(sshd.path("authorized_keys"), format!("cert-authority {ca}")).expect("keys");
        let sign = |validity: &str| {
            let mut sign = Child::new("ssh-keygen");
            sign.args(["-q", "-I", "ada", "-n", &support::user(), "-V", validity, "-s"]);
            run(sign.arg(sshd.path("ca")).arg(sshd.path("signed.pub")));
        };
        let mut computer = sshd.computer();
        set(&mut computer, "key_filename", sshd.path("signed").display().to_string());
        sign("+1h");
        works(&open(&computer).await.expect("the certificate is good")).await;
        sign("-2d:-1d");
        refused(&computer, ErrorKind::Authentication, &["certificate expired 24 h ago", "new certificate"])
            .await;
    }

    /// An ssh-agent of our own.
    struct Agent {
        child: std::process::Child,
        socket: std::path::PathBuf,
    }

    impl Agent {
        fn start(socket: &Path) -> Self {
            let mut command = Child::new("ssh-agent");
            command.arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().expect("ssh-agent is there");
            let deadline = Instant::now() + LIMIT;
            while !socket.exists() {
                assert!(Instant::now() < deadline, "the agent does not listen");
                std::thread::sleep(Duration::from_millis(20));
            }
            Agent { child, socket: socket.to_owned() }
        }

        fn add(&self, key: &Path) {
            run(Child::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
        }
    }

    impl Drop for Agent {
        fn drop(&mut self) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

mod servers {
    use super::*;

    #[tokio::test]
    async fn an_sftp_that_says_nothing_is_given_up_in_time() {
        let config = "Subsystem sftp /bin/sleep 600\n".into();
        let sshd = Sshd::with(Options { no_sftp: true, config, ..Options::default() });
        let mut computer = sshd.computer();
        set(&mut computer, "timeout", 1);
        let far = open(&computer).await.expect("it opens");
        // Far below the two minutes that an answer about a file may take.
        let soon = tokio::time::timeout(Duration::from_secs(60), far.stat("/".as_ref()));
        let error = soon.await.expect("it ends in time").expect_err("nothing answers");
        assert_eq!(*error.kind(), ErrorKind::TimedOut, "{error:?}");
        assert!(error.to_string().contains("SFTP does not start within 1s"), "{error}");
        works(&far).await;
    }

    #[tokio::test]
    async fn one_session_at_a_time_is_enough() {
        let sshd = Sshd::with(Options { config: "MaxSessions 1".into(), ..Options::default() });
        let far = open(&sshd.computer()).await.expect("it opens");
        let scratch = sshd.path("scratch");
        far.mkdirs(&scratch).await.expect("files work");
        let tasks: tokio::task::JoinSet<_> = (0..12)
            .map(|i| {
                let (far, path) = (far.clone(), scratch.join(i.to_string()));
                async move {
                    far.write(&path, &mut &b"x"[..], false).await?;
                    far.exec(&Command::new(["cat", &path.to_string_lossy()])).await
                }
            })
            .collect();
        for output in timeout(LIMIT, tasks.join_all()).await.expect("all must end") {
            assert_eq!(output.expect("all must work").text(), "x");
        }
        let tree = (0..20).fold(Tree::default(), |tree, i| tree.bytes(format!("d/{i}"), *b"x"));
        far.put_tree(&tree, &scratch.join("tree"), QUIET).await.expect("trees work");
        assert_eq!(far.list(&scratch.join("tree/d")).await.expect("files work").len(), 20);
        assert_eq!(sshd.connections().len(), 1, "one connection does");
    }

    #[tokio::test]
    async fn a_long_command_takes_no_session_that_others_need() {
        for (most, may) in [(1, false), (2, false), (3, true), (10, true)] {
            let config = format!("MaxSessions {most}");
            let sshd = Sshd::with(Options { config, ..Options::default() });
            let far = open(&sshd.computer()).await.expect("it opens");
            let sleeper = long_sleep(4720 + most);
            let long = Command::sh(format!("exec {sleeper}")).spare();
            let watch = tokio::spawn({
                let (far, long) = (far.clone(), long.clone());
                async move { far.exec(&long).await }
            });
            if may {
                eventually("the long command", async || running(&sleeper) == 1).await;
            } else {
                let refused = timeout(LIMIT, watch).await.expect("it is refused at once").expect("no panic");
                let error = refused.expect_err("no session is available");
                assert_eq!(
                    (*error.kind(), error.effect()),
                    (ErrorKind::Unsupported, Effect::None),
                    "{error:?}"
                );
                assert_eq!(running(&sleeper), 0);
                works(&far).await;
                continue;
            }
            // Beside it a command and files still work.
            works(&far).await;
            assert!(timeout(LIMIT, far.list("/".as_ref())).await.expect("in time").is_ok());
            watch.abort();
            eventually("its end with its caller", async || running(&sleeper) == 0).await;
            works(&far).await;
        }
    }

    #[tokio::test]
    async fn a_cancelled_command_at_one_session() {
        let sshd = Sshd::with(Options { config: "MaxSessions 1".into(), ..Options::default() });
        let far = open(&sshd.computer()).await.expect("it opens");
        let sleeper = long_sleep(4711);
        let command = Command::sh(format!("exec {sleeper}")).timeout(Duration::from_secs(1));
        let error = timeout(LIMIT, far.exec(&command)).await.expect("it must end").expect_err("too long");
        assert_eq!((*error.kind(), error.effect()), (ErrorKind::TimedOut, Effect::Unknown));
        eventually("the child's end", async || running(&sleeper) == 0).await;
        works(&far).await;
    }

    #[tokio::test]
    async fn login_files_that_print_are_not_part_of_the_output() {
        let bashrc = "echo welcome\nprintf 'no newline'\necho trouble >&2\n".to_owned();
        let sshd = Sshd::with(Options { bashrc, ..Options::default() });
        let far = open(&sshd.computer()).await.expect("it opens");
        let output = far.exec(&Command::sh("echo out; echo err >&2")).await.expect("it runs");
        assert_eq!((output.text().as_str(), output.error_text().as_str()), ("out\n", "err"));
        assert!(far.list("/".as_ref()).await.is_ok(), "internal-sftp reads no login files");
    }

    #[tokio::test]
    async fn an_account_that_runs_nothing() {
        let sshd = Sshd::with(Options { config: "ForceCommand echo closed".into(), ..Options::default() });
        let far = open(&sshd.computer()).await.expect("it opens");
        let error = far.exec(&Command::new(["true"])).await.expect_err("nothing runs");
        assert_eq!((*error.kind(), error.effect()), (ErrorKind::Other, Effect::None), "{error:?}");
        assert!(error.to_string().contains("closed") && error.help_text().is_some(), "{error}");
    }
}

mod lost {
    use super::*;

    #[tokio::test]
    async fn a_stopped_server_is_noticed() {
        let sshd = Sshd::start();
        let mut computer = sshd.computer();
        set(&mut computer, "keepalive", 0.5);
        set(&mut computer, "timeout", 2);
        let far = open(&computer).await.expect("it opens");
        works(&far).await;
        far.stat("/".as_ref()).await.expect("files work");
        let command = Command::new(["sleep", "30"]);
        let (exec, read, ()) = timeout(LIMIT, async {
            let stop = async {
                sleep(Duration::from_millis(500)).await;
                sshd.signal("STOP");
            };
            let read = async {
                sleep(Duration::from_millis(800)).await;
                far.stat("/".as_ref()).await
            };
            tokio::join!(far.exec(&command), read, stop)
        })
        .await
        .expect("it must be noticed");
        let error = exec.expect_err("the server is gone");
        assert_eq!((*error.kind(), error.effect()), (ErrorKind::Unreachable, Effect::Unknown), "{error:?}");
        let error = read.expect_err("the server is gone");
        assert_eq!((*error.kind(), error.effect()), (ErrorKind::Unreachable, Effect::None), "{error:?}");
        let start = Instant::now();
        assert!(far.exec(&Command::new(["true"])).await.is_err());
        far.close().await;
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        refused(&computer, ErrorKind::Unreachable, &["no SSH greeting"]).await;
        sshd.signal("CONT");
        works(&open(&computer).await.expect("it is back")).await;
    }

    #[tokio::test]
    async fn a_killed_connection_leaves_the_outcome_unknown() {
        let sshd = Sshd::start();
        let far = open(&sshd.computer()).await.expect("it opens");
        let kill = async {
            sleep(Duration::from_millis(500)).await;
            // One of sshd's processes carries the connection, and it need not be the first.
            sshd.descendants().into_iter().for_each(|pid| signal(pid, "KILL"));
        };
        let command = Command::new(["sleep", "3"]);
        let (exec, ()) =
            timeout(LIMIT, async { tokio::join!(far.exec(&command), kill) }).await.expect("it ends");
        let error = exec.expect_err("the connection is gone");
        let seen = (*error.kind(), error.effect(), error.retry());
        assert_eq!(seen, (ErrorKind::Unreachable, Effect::Unknown, Retry::Later), "{error:?}");
        let error = far.stat("/".as_ref()).await.expect_err("it stays gone");
        assert_eq!(*error.kind(), ErrorKind::Unreachable);
        works(&open(&sshd.computer()).await.expect("a new one opens")).await;
    }

    #[tokio::test]
    async fn a_cancelled_command_leaves_nothing_behind() {
        let sshd = Sshd::start();
        let far = open(&sshd.computer()).await.expect("it opens");
        let sleeper = long_sleep(4712);
        let command = Command::sh(format!("{sleeper} & {sleeper}"));
        for millis in [0, 1, 5, 10, 20, 40, 80, 200, 400] {
            assert!(timeout(Duration::from_millis(millis), far.exec(&command)).await.is_err());
        }
        eventually("the children's end", async || running(&sleeper) == 0).await;
        // No session was leaked either: all of them can be used at once.
        let tasks: tokio::task::JoinSet<_> = (0..20)
            .map(|_| {
                let far = far.clone();
                async move { works(&far).await }
            })
            .collect();
        timeout(LIMIT, tasks.join_all()).await.expect("all must end");
        drop(far);
        eventually("the connection's end", async || sshd.connections().is_empty()).await;
    }
}

mod ways {
    use super::*;

    #[tokio::test]
    async fn through_jump_hosts() {
        let sshd = Sshd::start();
        let mut computer = sshd.computer();
        let hop = format!("{}@127.0.0.1:{}", support::user(), sshd.port);
        set(&mut computer, "proxy_jump", format!("{hop},{hop}"));
        let far = open(&computer).await.expect("it opens");
        works(&far).await;
        far.stat("/".as_ref()).await.expect("files work");
        assert_eq!(sshd.connections().len(), 3);
        far.close().await;
        drop(far);
        eventually("the end of all hops", async || sshd.connections().is_empty()).await;
    }

    #[tokio::test]
    async fn a_jump_host_that_forbids_it_or_is_not_there() {
        let sshd = Sshd::with(Options { config: "AllowTcpForwarding no".into(), ..Options::default() });
        let mut computer = sshd.computer();
        set(&mut computer, "proxy_jump", format!("127.0.0.1:{}", sshd.port));
        refused(&computer, ErrorKind::Unreachable, &["jump host", "ssh -J"]).await;
        let (_taken, port) = closed_port();
        set(&mut computer, "proxy_jump", format!("127.0.0.1:{port}"));
        refused(&computer, ErrorKind::Unreachable, &["refused"]).await;
    }

    #[tokio::test]
    async fn through_a_command_that_ends_with_the_connection() {
        let sshd = Sshd::start();
        let mut computer = sshd.computer();
        let file = |name: &str| sshd.path(name).display().to_string();
        let command = format!(
            "ssh -F none -o UserKnownHostsFile={} -i {} -p {} -W %h:%p {}@127.0.0.1",
            file("known_hosts"),
            file("id"),
            sshd.port,
            support::user()
        );
        set(&mut computer, "proxy_command", command);
        let far = open(&computer).await.expect("it opens");
        works(&far).await;
        let word = format!("-W 127.0.0.1:{}", sshd.port);
        assert!(running(&word) > 0, "the command runs");
        far.close().await;
        drop(far);
        eventually("the command's end", async || running(&word) == 0).await;
        set(&mut computer, "proxy_command", "exit 3");
        refused(&computer, ErrorKind::Unreachable, &["closed the connection"]).await;
    }

    #[tokio::test]
    async fn openssh_configuration_is_followed() {
        let sshd = Sshd::start();
        let computer = sshd.computer();
        let file = |name: &str| sshd.path(name).display().to_string();
        let config = format!(
            "Match host cluster exec \"true\"\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n\
             UserKnownHostsFile {}\n",
            sshd.port,
            support::user(),
            file("id"),
            file("known_hosts")
        );
        fs::write(sshd.path("my_config"), config).expect("a configuration");
        let mut named = Computer { hostname: "cluster".into(), ..Computer::default() };
        set(&mut named, "config_file", file("my_config"));
        set(&mut named, "allow_agent", false);
        works(&open(&named).await.expect("the configuration says it all")).await;
        fs::write(sshd.path("my_config"), "Nonsense yes\n").expect("a configuration");
        refused(&named, ErrorKind::Config, &["nonsense", "ssh -G"]).await;
        drop(computer);
    }

    #[tokio::test]
    async fn the_shell_command_logs_in_there() {
        let sshd = Sshd::start();
        let far = open(&sshd.computer()).await.expect("it opens");
        let there = sshd.path("it's $(here)");
        fs::create_dir(&there).expect("a directory");
        let argv = far.shell_command(&there);
        let mut child = Child::new(&argv[0]);
        child.args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().expect("ssh is there");
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"touch opened\n")
            .expect("it reads");
        child.wait().expect("it ends");
        assert!(there.join("opened").exists(), "{argv:?}");
    }

    #[test]
    fn the_factory_checks_without_opening() {
        let factory = ferry_transport_ssh::register();
        let mut computer = Computer { hostname: "login1".into(), ..Computer::default() };
        assert!(factory.check(&computer).is_ok());
        set(&mut computer, "port", "22");
        assert_eq!(*factory.check(&computer).expect_err("a port is a number").kind(), ErrorKind::Config);
        assert!(Factory::settings(&*factory).iter().any(|setting| setting.key == "proxy_jump"));
    }
}
