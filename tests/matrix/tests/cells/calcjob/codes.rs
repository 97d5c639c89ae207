//! Several codes in one job, and the kinds of code.

use ferry_matrix::{Result, check, text};
use serde_json::{Value, json};

use super::{Bench, in_order, sh};
use crate::Case;

pub(super) const CASES: &[Case] = &[
    ("several_codes_run_with_and_without_mpi", several_codes_run_with_and_without_mpi),
    ("wishes_about_mpi_that_differ_are_refused", wishes_about_mpi_that_differ_are_refused),
    ("the_mpirun_command_is_a_template", the_mpirun_command_is_a_template),
    ("double_quotes_are_the_computers_and_the_codes", double_quotes_are_the_computers_and_the_codes),
    ("serial_codes_each_have_their_files", serial_codes_each_have_their_files),
    ("parallel_codes_run_at_once", parallel_codes_run_at_once),
    ("texts_around_the_commands_have_aiidas_order", texts_around_the_commands_have_aiidas_order),
    ("a_portable_code_comes_with_the_job", a_portable_code_comes_with_the_job),
    ("a_containerized_code_runs_in_its_engine", a_containerized_code_runs_in_its_engine),
    ("codes_that_lack_something_are_refused", codes_that_lack_something_are_refused),
];

/// Sets up two codes, `one` with more keys and `two` plain.
fn two_codes(bench: &Bench, more: &[&str]) -> Result {
    bench.code(
        "core.code.installed",
        &[&["--label", "one", "--filepath-executable", "/bin/echo"], more].concat(),
    )?;
    bench.code("installed", &["--label", "two", "--filepath-executable", "/bin/cat"])
}

const BOTH: [&str; 2] = ["codes.one=one@localhost", "codes.two=two@localhost"];

fn two_runs(first: &Value, second: &Value) -> Value {
    let mut runs = [json!({"code": "one", "args": ["1"]}), json!({"code": "two", "args": ["2"]})];
    for (run, more) in runs.iter_mut().zip([first, second]) {
        for (key, value) in more.as_object().into_iter().flatten() {
            run[key] = value.clone();
        }
    }
    json!({ "run": runs })
}

fn several_codes_run_with_and_without_mpi() -> Result {
    let bench = Bench::without_daemon()?;
    bench.configure(&["--mpirun-command", "mpirun -np {tot_num_mpiprocs}"])?;
    two_codes(&bench, &[])?;
    let plain = two_runs(&json!({}), &json!({}));
    let script = bench.script(&plain, &BOTH)?;
    in_order(&script, &["\n/bin/echo 1\n", "\n/bin/cat 2\n"])?;
    check(!script.contains("mpirun"), || script.clone())?;
    // The plugin decides for each; the option for all.
    let one = two_runs(&json!({"mpi": true}), &json!({"mpi": false}));
    in_order(&bench.script(&one, &BOTH)?, &["\nmpirun -np 1 /bin/echo 1\n", "\n/bin/cat 2\n"])?;
    let all = ["--option", "withmpi=true", "--option", "resources.tot_num_mpiprocs=4"];
    let script = bench.script(&plain, &[&BOTH[..], &all].concat())?;
    in_order(&script, &["\nmpirun -np 4 /bin/echo 1\n", "\nmpirun -np 4 /bin/cat 2\n"])
}

fn wishes_about_mpi_that_differ_are_refused() -> Result {
    let bench = Bench::new()?;
    bench.configure(&["--mpirun-command", "mpirun"])?;
    two_codes(&bench, &["--with-mpi"])?;
    let plugin = two_runs(&json!({"mpi": false}), &json!({}));
    let plain = two_runs(&json!({}), &json!({}));
    let option = [&BOTH[..], &["--option", "withmpi=false"]].concat();
    let others = [
        (&plugin, BOTH.to_vec(), "the plugin says false about MPI, but the code's `with_mpi` says true"),
        (&plain, option, "the option `withmpi` says false about MPI, but the code's `with_mpi` says true"),
    ];
    for (job, words, expect) in others {
        let shown = bench.run(job, &words)?;
        let said = shown["exit_message"].as_str().unwrap_or_default();
        let fine = shown["state"] == "excepted" && said.contains("code `one`") && said.contains(expect);
        check(fine && shown["job_id"].is_null(), || format!("{shown:#}"))?;
    }
    // The code's own setting applies, and not to the other one.
    in_order(&bench.script(&plain, &BOTH)?, &["\nmpirun /bin/echo 1\n", "\n/bin/cat 2\n"])
}

fn the_mpirun_command_is_a_template() -> Result {
    let bench = Bench::without_daemon()?;
    let command = "run -n {tot_num_mpiprocs} -N {num_machines} -p {num_mpiprocs_per_machine} -c {num_cores_per_mpiproc}";
    bench.configure(&["--mpirun-command", command])?;
    let options = [
        "withmpi=true",
        "resources.num_machines=1",
        "resources.num_mpiprocs_per_machine=4",
        "resources.num_cores_per_mpiproc=2",
        r#"mpirun_extra_params=["--bind", "to core"]"#,
    ];
    let words: Vec<&str> = options.iter().flat_map(|option| ["--option", *option]).collect();
    let script = bench.script(&json!({"run": [{"command": "date"}]}), &words)?;
    in_order(&script, &["\nrun -n 4 -N 1 -p 4 -c 2 --bind 'to core' date\n"])
}

fn double_quotes_are_the_computers_and_the_codes() -> Result {
    let bench = Bench::without_daemon()?;
    let job = json!({"run": [{"code": "one", "args": ["$A b"], "mpi": true}]});
    let command = "mpirun -x $HOST";
    bench.configure(&["--mpirun-command", command])?;
    two_codes(&bench, &[])?;
    bench.code(
        "installed",
        &["--label", "open", "--filepath-executable", "/bin/echo", "--use-double-quotes"],
    )?;
    let closed = bench.script(&job, &["codes.one=one@localhost"])?;
    in_order(&closed, &["\nmpirun -x '$HOST' /bin/echo '$A b'\n"])?;
    let open = bench.script(&job, &["codes.one=open@localhost"])?;
    in_order(&open, &["\nmpirun -x '$HOST' \"/bin/echo\" \"$A b\"\n"])?;
    bench.configure(&["--use-double-quotes"])?;
    let outer = bench.script(&job, &["codes.one=one@localhost"])?;
    in_order(&outer, &["\n\"mpirun\" \"-x\" \"$HOST\" /bin/echo '$A b'\n"])?;
    let both = bench.script(&job, &["codes.one=open@localhost"])?;
    in_order(&both, &["\n\"mpirun\" \"-x\" \"$HOST\" \"/bin/echo\" \"$A b\"\n"])
}

fn serial_codes_each_have_their_files() -> Result {
    let bench = Bench::new()?;
    let job = json!({
        "sandbox": {"in.txt": "from stdin"},
        "run": [
            {"command": "cat", "stdin": "in.txt", "stdout": "first.out"},
            {"command": "sh", "args": ["-c", "echo bad >&2; exit 3"], "stderr": "second.err"},
            {"command": "sh", "args": ["-c", "echo both; echo too >&2"], "stdout": "third.out", "join": true},
            {"command": "sh", "args": ["-c", "exit 4"]},
        ],
        "retrieve": [["*.out", "", 0], ["*.err", "", 0]],
    });
    let shown = bench.fine(&job, &[])?;
    for (file, expect) in [("first.out", "from stdin"), ("second.err", "bad"), ("third.out", "both\ntoo")] {
        let found = bench.cat(&shown, file)?;
        check(found == expect, || format!("{file}: {found}"))?;
    }
    Ok(())
}

fn parallel_codes_run_at_once() -> Result {
    let bench = Bench::new()?;
    // Each waits for the other: one after the other they would never end.
    let meet = |mine: &str, other: &str, then: &str| {
        sh(&format!(
            "touch {mine}; while ! [ -e {other} ]; do sleep 0.05; done; echo {mine} > {mine}.out; {then}"
        ))
    };
    let job = json!({
        "run": [meet("a", "b", "true"), meet("b", "a", "exit 7")],
        "append": "echo after",
        "parallel": true,
        "retrieve": [["*.out", "", 0]],
    });
    let shown = bench.run(&job, &["--option", "max_wallclock_seconds=60"])?;
    check(bench.cat(&shown, "a.out")? == "a" && bench.cat(&shown, "b.out")? == "b", || "not both".into())?;
    check(bench.cat(&shown, "_scheduler-stdout.txt")? == "after", || "not after both".into())?;
    let marker = super::work_dir(&shown).join(".ferry/exit");
    let marker = std::fs::read_to_string(&marker).map_err(|error| error.to_string())?;
    check(marker.lines().last().is_some_and(|line| line.starts_with("7 ")), || marker)
}

fn texts_around_the_commands_have_aiidas_order() -> Result {
    let bench = Bench::without_daemon()?;
    bench.configure(&["--prepend-text", "echo P-computer", "--append-text", "echo A-computer"])?;
    two_codes(&bench, &["--prepend-text", "echo P-code", "--append-text", "echo A-code"])?;
    let mut job = two_runs(&json!({}), &json!({}));
    job["prepend"] = "echo P-plugin".into();
    job["append"] = "echo A-plugin".into();
    let options = ["--option", "prepend_text=echo P-option", "--option", "append_text=echo A-option"];
    let script = bench.script(&job, &[&BOTH[..], &options].concat())?;
    let order = ["P-computer", "P-code", "P-plugin", "P-option", "/bin/echo 1", "/bin/cat 2"];
    in_order(&script, &order)?;
    in_order(&script, &["/bin/cat 2", "A-option", "A-plugin", "A-code", "A-computer"])
}

fn a_portable_code_comes_with_the_job() -> Result {
    let bench = Bench::new()?;
    let dir = bench.files(
        "code",
        &[
            ("bin/run.sh", "#!/bin/sh\ncat \"$(dirname \"$0\")/../sub/some-file\"\n"),
            ("sub/some-file", "dummy"),
        ],
    )?;
    let files = ["--label", "carry", "--filepath-files", text(&dir), "--filepath-executable", "bin/run.sh"];
    bench.code("core.code.portable", &files)?;
    let run = json!({"run": [{"code": "one", "stdout": "out"}], "retrieve": [["out", "", 0]]});
    let shown = bench.fine(&run, &["codes.one=carry"])?;
    check(shown["computer"] == "localhost" && bench.cat(&shown, "out")? == "dummy", || format!("{shown:#}"))?;
    // A job that overwrites the program is refused, and does not run.
    let mut over = run.clone();
    over["sandbox"] = json!({"bin/run.sh": "other"});
    let shown = bench.run(&over, &["codes.one=carry"])?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    check(shown["state"] == "excepted" && said.contains("the program of a portable code"), || {
        format!("{shown:#}")
    })
}

fn a_containerized_code_runs_in_its_engine() -> Result {
    let bench = Bench::new()?;
    let engine = |label: &str, command: &str, more: &[&str]| {
        let words = ["--label", label, "--filepath-executable", "/bin/sh", "--image-name", "my image"];
        bench.code("core.code.containerized", &[&words[..], &["--engine-command", command], more].concat())
    };
    // `env` replaces the engine: like one it starts the program that follows, where it can see the image's
    // name.
    engine("plain", "env IMAGE={image_name}", &[])?;
    engine("wrapped", "env IMAGE={image_name} sh -c", &["--wrap-cmdline-params"])?;
    let job = json!({
        "run": [{"code": "one", "args": ["-c", "echo \"$IMAGE: it's $0\"", "me"], "stdout": "out"}],
        "retrieve": [["out", "", 0]],
    });
    for label in ["plain", "wrapped"] {
        let shown = bench.fine(&job, &[&format!("codes.one={label}@localhost")])?;
        let found = bench.cat(&shown, "out")?;
        check(found == "my image: it's me", || format!("{label}: {found}"))?;
    }
    let script = bench.script(&job, &["codes.one=wrapped@localhost"])?;
    in_order(&script, &["env 'IMAGE=my image' sh -c '/bin/sh -c ", " > ./out'\n"])?;
    // MPI starts the engine, which starts the program.
    bench.configure(&["--mpirun-command", "mpirun"])?;
    let script = bench.script(&job, &["codes.one=plain@localhost", "--option", "withmpi=true"])?;
    in_order(&script, &["\nmpirun env 'IMAGE=my image' /bin/sh -c "])
}

fn codes_that_lack_something_are_refused() -> Result {
    let bench = Bench::without_daemon()?;
    let dir = bench.files("code", &[("run.sh", "")])?;
    let refused = |words: &[&str], says: &[&str]| {
        let answer = bench.ferry.ferry(&[&["code", "create"], words, &["-n", "--label", "x"]].concat())?;
        answer.expect(2)?.says(says).map(drop)
    };
    refused(&["core.code.other"], &["core.code.other", "core.code.containerized"])?;
    refused(&["portable", "--filepath-executable", "run.sh"], &["filepath_files"])?;
    let files = ["--filepath-files", text(&dir)];
    refused(
        &[&["portable", "--filepath-executable", "gone.sh"][..], &files].concat(),
        &["`gone.sh` is not in", "run.sh"],
    )?;
    refused(&[&["portable", "--filepath-executable", "/abs"][..], &files].concat(), &["no path among"])?;
    refused(&[&["installed", "--filepath-executable", "/bin/a"][..], &files].concat(), &["filepath_files"])?;
    let engine = ["--image-name", "i", "--engine-command", "docker run"];
    refused(&[&["containerized", "--filepath-executable", "/a"][..], &engine].concat(), &["{image_name}"])
}
