//! Computers whose servers are out of the ordinary: an sshd of each case's own, with a subsystem that hangs, says
//! nothing, or lists without end, or with none at all.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ferry_matrix::{Profile, Result, check, kill};
use serde_json::Value;

use crate::cell::{Cell, CellCase};

pub(crate) const CASES: &[CellCase] = &[
    ("a_path_that_hangs_harms_its_own_process_alone", a_path_that_hangs_harms_its_own_process_alone),
    ("an_endless_listing_pauses_its_process", an_endless_listing_pauses_its_process),
    ("a_mute_sftp_is_named_in_time", a_mute_sftp_is_named_in_time),
    ("a_computer_without_sftp_runs_jobs", a_computer_without_sftp_runs_jobs),
    ("the_user_s_own_ssh_runs_jobs", the_user_s_own_ssh_runs_jobs),
    ("a_computer_that_asks_a_person_waits_for_a_log_in", a_computer_that_asks_a_person_waits_for_a_log_in),
];

/// Longer than the time after which a silent path is given up.
const LIMIT: Duration = Duration::from_secs(300);
/// A library for OpenSSH's server of files: paths with `LIEfile` in them hang, directories called `ENDLESS` have no end.
const LIES: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void lie(const char *path) { while (strstr(path, "LIEfile")) pause(); }
int stat(const char *path, struct stat *into) {
    int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "stat");
    lie(path);
    return real(path, into);
}
int lstat(const char *path, struct stat *into) {
    int (*real)(const char *, struct stat *) = dlsym(RTLD_NEXT, "lstat");
    lie(path);
    return real(path, into);
}
static DIR *endless;
DIR *opendir(const char *path) {
    DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");
    DIR *dir = real(path);
    if (strstr(path, "ENDLESS")) endless = dir;
    return dir;
}
struct dirent *readdir(DIR *dir) {
    struct dirent *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir");
    struct dirent *entry = real(dir);
    if (dir == endless && entry == NULL) { rewinddir(dir); entry = real(dir); }
    return entry;
}
"#;
/// Places of OpenSSH's server of files on Debian and elsewhere.
const SERVERS: &[&str] =
    &["/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server"];

/// A server of a case's own, stopped with this.
struct Site {
    sshd: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Site {
    /// Starts a server with more lines of configuration, in which `{dir}` stands for its directory.
    fn start(lines: &str) -> Result<Site> {
        Site::start_by(Path::new("/usr/sbin/sshd"), lines)
    }

    /// Starts one by another name of the program, which is then the name of its PAM service.
    fn start_by(program: &Path, lines: &str) -> Result<Site> {
        let dir =
            tempfile::Builder::new().prefix("ferry-site-").tempdir().map_err(|error| error.to_string())?;
        let path = |name: &str| dir.path().join(name);
        for key in ["host_key", "id"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key));
            Profile::run(keygen)?.expect(0)?;
        }
        let put = |name: &str, text: String| fs::write(path(name), text).map_err(|error| error.to_string());
        put("authorized_keys", read(&path("id.pub"))?)?;
        for made in ["home", "work"] {
            fs::create_dir(path(made)).map_err(|error| error.to_string())?;
        }
        put("lies.c", LIES.to_owned())?;
        let mut compile = Command::new("gcc");
        compile.args(["-shared", "-fPIC", "-w", "-o"]).arg(path("lies.so")).arg(path("lies.c")).arg("-ldl");
        Profile::run(compile)?.expect(0)?;
        let place = dir.path().display().to_string();
        let lines = lines.replace("{dir}", &place);
        let pam = if lines.contains("UsePAM") { "" } else { "UsePAM no\n" };
        let public = read(&path("host_key.pub"))?;
        // Another test's server may take the port before ours does: then it is started with another.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            let port = port.map_err(|error| error.to_string())?.port();
            let own = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host_key\nPidFile none\n\
                 AuthorizedKeysFile {place}/authorized_keys\nStrictModes no\nPermitRootLogin yes\n\
                 SetEnv HOME={place}/home\n"
            );
            put("sshd_config", format!("{pam}{lines}\n{own}"))?;
            put("known_hosts", format!("[127.0.0.1]:{port} {public}"))?;
            let log = fs::File::create(path("log")).map_err(|error| error.to_string())?;
            let mut sshd = Command::new(program);
            sshd.args(["-D", "-e", "-f"]).arg(path("sshd_config"));
            sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            let mut sshd = sshd.spawn().map_err(|error| format!("sshd: {error}"))?;
            if listens(&mut sshd, &path("log"))? {
                return Ok(Site { sshd, dir, port });
            }
        }
        Err(format!("sshd does not listen: {}", read(&path("log"))?))
    }

    /// Returns the line of a subsystem that lies.
    fn liar() -> Result<String> {
        let server = SERVERS.iter().find(|path| Path::new(path).exists()).ok_or("there is no sftp-server")?;
        Ok(format!("Subsystem sftp /usr/bin/env LD_PRELOAD={{dir}}/lies.so {server}"))
    }

    /// Returns the number of its connections: sshd's children.
    fn connections(&self) -> Result<usize> {
        let mut pgrep = Command::new("pgrep");
        pgrep.args(["-c", "-P", &self.sshd.id().to_string()]);
        let count = Profile::run(pgrep)?.stdout;
        count.trim().parse().map_err(|_| format!("`{count}` is no number"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a profile that knows it as `site`, with more settings.
    fn profile(&self, settings: &str) -> Result<Profile> {
        self.profile_by("core.ssh", settings)
    }

    fn profile_by(&self, transport: &str, settings: &str) -> Result<Profile> {
        let place = self.dir.path().display();
        let user = Profile::run({
            let mut id = Command::new("id");
            id.arg("-un");
            id
        })?;
        let text = format!(
            "label: site\nhostname: 127.0.0.1\ntransport: {transport}\nscheduler: core.direct\n\
             work_dir: {place}/work\nusername: {}\nport: {}\nkey_filename: {place}/id\n\
             known_hosts: {place}/known_hosts\nallow_agent: false\nsafe_interval: 0\nnum_cores: unlimited\n\
             {settings}\n",
            user.stdout.trim(),
            self.port
        );
        let file = self.path("computer.yaml");
        fs::write(&file, text).map_err(|error| error.to_string())?;
        let ferry = Profile::new()?;
        ferry.ok(&["computer", "setup", "-n", "--config", ferry_matrix::text(&file)])?;
        ferry.ok(&["computer", "configure", "site", "-n", "--poll-interval", "0.3"])?;
        Ok(ferry)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The servers of its sessions end with their connections, which the profile has closed.
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

/// Waits until a server listens; returns false if it ends instead.
fn listens(sshd: &mut Child, log: &Path) -> Result<bool> {
    let begun = Instant::now();
    while !read(log)?.contains("Server listening") {
        if sshd.try_wait().map_err(|error| error.to_string())?.is_some() {
            return Ok(false);
        }
        check(begun.elapsed() < LIMIT, || "sshd says nothing".into())?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Waits until `process show` meets a condition.
fn until(ferry: &Profile, id: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = ferry.json(&["process", "show", id])?;
        if is_so(&shown) {
            return Ok(shown);
        }
        check(begun.elapsed() < LIMIT, || format!("{shown:#}\n{}", ferry.log_tail()))?;
        thread::sleep(Duration::from_millis(300));
    }
}

fn a_path_that_hangs_harms_its_own_process_alone(_: &Cell) -> Result {
    let site = Site::start(&Site::liar()?)?;
    let ferry = site.profile("")?;
    ferry.ok(&["daemon", "start"])?;
    let on_site = |words: &[&str]| ferry.submit(&[words, &["--computer", "site"]].concat());
    let liar = on_site(&["shell.run", "command=touch", "arguments=LIEfile", "outputs=[\"LIEfile\"]"])?;
    let others = (0..4).map(|_| on_site(&["shell.run", "command=date"])).collect::<Result<Vec<String>>>()?;
    for id in &others {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    }
    // Its own process is charged, and the computer is not.
    let told = |shown: &Value| shown.to_string().contains("did not answer");
    let shown = until(&ferry, &liar, told)?;
    check(shown["last_error"].to_string().contains("the computer answers otherwise"), || {
        format!("{shown:#}")
    })?;
    let computer = ferry.ok(&["computer", "list"])?;
    check(!computer.contains("unreachable"), || computer)?;
    // A second look hangs too, and still nobody else does.
    let late = on_site(&["shell.run", "command=date"])?;
    let shown = ferry.ended(&late, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}

fn an_endless_listing_pauses_its_process(_: &Cell) -> Result {
    let site = Site::start(&Site::liar()?)?;
    let ferry = site.profile("")?;
    ferry.ok(&["daemon", "start"])?;
    // One repeats a name, the other gives none.
    let makes =
        [["command=install", "arguments=-D /dev/null ENDLESS/file"], ["command=mkdir", "arguments=ENDLESS"]];
    for make in makes {
        let words = ["shell.run", make[0], make[1], "outputs=[\"ENDLESS\"]", "--computer", "site"];
        let id = ferry.submit(&words)?;
        let shown = until(&ferry, &id, |shown| shown["paused"] == true)?;
        check(shown.to_string().contains("its listing does not end"), || format!("{shown:#}"))?;
    }
    ferry.ok(&["daemon", "stop"]).map(drop)
}

fn a_mute_sftp_is_named_in_time(_: &Cell) -> Result {
    let site = Site::start("Subsystem sftp /bin/sleep 600")?;
    let ferry = site.profile("timeout: 5")?;
    let answer = ferry.ferry(&["computer", "test", "site"])?.expect(1)?;
    let failed = answer.stdout.lines().filter(|line| line.starts_with("FAILED")).count();
    check(failed == 1 && answer.stdout.contains("SFTP does not start"), || answer.stdout.clone())?;
    // A job says what it waits for, and is none the worse.
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["shell.run", "command=date", "--computer", "site"])?;
    let shown = until(&ferry, &id, |shown| shown.to_string().contains("SFTP does not start"))?;
    check(shown["state"] == "waiting" || shown["state"] == "running", || format!("{shown:#}"))?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}

fn a_computer_without_sftp_runs_jobs(_: &Cell) -> Result {
    let site = Site::start("Subsystem sftp /no/such/server")?;
    let ferry = site.profile("")?;
    let tested = ferry.ok(&["computer", "test", "site", "--job"])?;
    check(tested.contains("by commands: the server has no SFTP"), || tested)?;
    ferry.ok(&["daemon", "start"])?;
    let script = "mkdir out; for i in $(seq 300); do echo $i > \"out/file $i\"; done; cat";
    let input = site.path("input.txt");
    fs::write(&input, "from here\n").map_err(|error| error.to_string())?;
    let node = format!("nodes.input={}", input.display());
    let script_file = site.path("job.sh");
    fs::write(&script_file, format!("{script} \"$1\"\n")).map_err(|error| error.to_string())?;
    let job = format!("nodes.job={}", script_file.display());
    let words = ["shell.run", "command=sh", "arguments={job} {input}", "outputs=[\"out\"]", &node, &job];
    let id = ferry.submit(&[&words[..], &["--computer", "site"]].concat())?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let said = ferry.ok(&["calcjob", "outputcat", &id, "stdout"])?;
    check(said == "from here", || said)?;
    let last = ferry.ok(&["calcjob", "outputcat", &id, "out/file 300"])?;
    check(last == "300", || last)?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}

fn the_user_s_own_ssh_runs_jobs(_: &Cell) -> Result {
    let site = Site::start("Subsystem sftp internal-sftp")?;
    let ferry = site.profile_by("core.ssh_openssh", "")?;
    let tested = ferry.ok(&["computer", "test", "site", "--job"])?;
    check(!tested.contains("FAILED"), || tested)?;
    ferry.ok(&["daemon", "start"])?;
    let submit = || ferry.submit(&["shell.run", "command=sleep", "arguments=3", "--computer", "site"]);
    let ids = (0..8).map(|_| submit()).collect::<Result<Vec<String>>>()?;
    until(&ferry, &ids[0], |shown| shown["job_id"].is_string())?;
    // The master connection of a daemon that is killed ends too; the next one makes its own.
    let (worker, _) = ferry.daemon()?;
    kill(worker, 9);
    for id in &ids {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    }
    ferry.ok(&["daemon", "stop"])?;
    let begun = Instant::now();
    while site.connections()? > 0 {
        check(begun.elapsed() < LIMIT, || "a connection lives on".into())?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// A second factor: a PAM service of our own, whose question a script judges. It is removed with this.
struct SecondFactor {
    dir: tempfile::TempDir,
    service: PathBuf,
}

impl SecondFactor {
    fn new(secret: &str) -> Result<SecondFactor> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let name = format!("ferry-{}", std::process::id());
        let judge = dir.path().join("judge");
        let words = format!("#!/bin/sh\n[ \"$(tr -d '\\000')\" = {secret} ]\n");
        let put = |path: &Path, text: &str| {
            fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        put(&judge, &words)?;
        let run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&judge, run).map_err(|error| error.to_string())?;
        let service = Path::new("/etc/pam.d").join(&name);
        let rules = format!(
            "auth required pam_exec.so expose_authtok quiet {}\nauth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
            judge.display()
        );
        put(&service, &rules)?;
        std::os::unix::fs::symlink("/usr/sbin/sshd", dir.path().join(&name))
            .map_err(|error| error.to_string())?;
        Ok(SecondFactor { dir, service })
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join(self.service.file_name().unwrap_or_default())
    }
}

impl Drop for SecondFactor {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.service);
    }
}

/// Runs `ferry computer login` on a terminal of its own, where somebody answers each question once it is there.
fn log_in(ferry: &Profile, answers: &[&str]) -> Result<String> {
    let command = ferry.command(&["computer", "login", "site"]);
    let program = command.get_program().to_string_lossy().into_owned();
    let shown = ferry.scratch().join("shown");
    fs::write(&shown, "").map_err(|error| error.to_string())?;
    let shown = shown.display();
    let typed: String = answers
        .iter()
        .enumerate()
        .map(|(before, answer)| {
            format!(
                "for i in $(seq 600); do [ $(grep -ao 'assword' {shown} | wc -l) -gt {before} ] && break; sleep 0.2; \
                 done; sleep 1; echo {answer}; "
            )
        })
        .collect();
    // It stays at the keys until the program has ended.
    let ended =
        format!("for i in $(seq 600); do grep -aq 'COMMAND_EXIT_CODE' {shown} && break; sleep 0.2; done");
    let mut script = Command::new("sh");
    let line = format!("({{ {typed} {ended}; }}) | script -qfec '{program} computer login site' {shown}");
    script.args(["-c", &line]).stdin(Stdio::null());
    script.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ok(Profile::run(script)?.stdout)
}

fn a_computer_that_asks_a_person_waits_for_a_log_in(_: &Cell) -> Result {
    let factor = SecondFactor::new("123456")?;
    let lines = "AuthenticationMethods publickey,keyboard-interactive\nUsePAM yes\nKbdInteractiveAuthentication yes\n\
                 Subsystem sftp internal-sftp";
    let site = Site::start_by(&factor.program(), lines)?;
    let ferry = site.profile("timeout: 30")?;
    ferry.ferry(&["computer", "login", "site"])?.expect(1)?.says(&["needs a terminal"])?;
    let said = log_in(&ferry, &[])?;
    check(said.contains("no daemon runs"), || said.clone())?;
    ferry.ok(&["daemon", "start"])?;
    let id = ferry.submit(&["shell.run", "command=date", "--computer", "site"])?;
    let shown = until(&ferry, &id, |shown| shown.to_string().contains("needs login"))?;
    check(shown["state"] != "excepted" && shown["attempt"] == 0, || format!("{shown:#}"))?;
    check(shown.to_string().contains("ferry computer login site"), || format!("{shown:#}"))?;
    let listed = ferry.ok(&["computer", "list"])?;
    check(listed.contains("needs login"), || listed)?;
    // The server asks again after a wrong answer.
    let said = log_in(&ferry, &["wrong", "123456"])?;
    check(said.contains("logged in") && !said.contains("123456"), || said.clone())?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;
    let log = fs::read_to_string(ferry.root().join("daemon.log")).map_err(|error| error.to_string())?;
    check(!log.contains("123456") && !log.contains("wrong"), || log.clone())?;
    ferry.ok(&["daemon", "stop"]).map(drop)
}
