//! Options: that each reaches the job script of both schedulers, and that wrong ones are refused.

use ferry_matrix::{Answer, Result, check};
use serde_json::json;

use super::{Bench, in_order, sh};
use crate::Case;

pub(super) const CASES: &[Case] = &[
    ("options_reach_the_script_of_a_direct_job", options_reach_the_script_of_a_direct_job),
    ("options_reach_the_script_of_slurm", options_reach_the_script_of_slurm),
    ("directives_at_the_top_of_prepend_texts_reach_the_header", directives_reach_the_header),
    ("what_makes_no_job_or_many_is_refused_at_set_up_and_launch", what_makes_no_job_or_many_is_refused),
    ("directives_that_nobody_reads_are_told", directives_that_nobody_reads_are_told),
    ("environment_variables_are_set_in_the_job", environment_variables_are_set_in_the_job),
    ("wrong_options_and_resources_are_refused", wrong_options_and_resources_are_refused),
    ("names_of_files_are_options_with_the_types_defaults", names_of_files_are_options),
    (
        "the_computer_is_the_codes_or_the_one_that_is_named",
        the_computer_is_the_codes_or_the_one_that_is_named,
    ),
    ("parser_name_chooses_another_types_parser", parser_name_chooses_another_types_parser),
    ("an_unknown_parser_is_refused", an_unknown_parser_is_refused),
];

fn options<'a>(options: &[&'a str]) -> Vec<&'a str> {
    options.iter().flat_map(|option| ["--option", *option]).collect()
}

const COMMON: [&str; 7] = [
    "submit_script_filename=my.sh",
    "custom_scheduler_commands=#SBATCH --custom",
    r#"environment_variables={"A": "$HOME x", "B": "2"}"#,
    "environment_variables_double_quotes=true",
    "prepend_text=echo before",
    "append_text=echo after",
    "import_sys_environment=false",
];

fn options_reach_the_script_of_a_direct_job() -> Result {
    let bench = Bench::without_daemon()?;
    let script = bench.script(&json!({"run": [sh("true")]}), &options(&COMMON))?;
    in_order(
        &script,
        &[
            "#!/bin/bash\n",
            "env -i ",
            "\n#SBATCH --custom\n",
            "start gate",
            "\n# What the job runs is a child of this shell",
        ],
    )?;
    in_order(
        &script,
        &["\nexport A=\"$HOME x\"\nexport B=\"2\"\n", "echo before\n", "sh -c true\n", "\necho after\n"],
    )?;
    // Without a setting, the login's environment stays, and a shell expands nothing.
    let plain = bench
        .script(&json!({"run": [sh("true")]}), &options(&[r#"environment_variables={"A": "$HOME"}"#]))?;
    in_order(&plain, &["\nexport A='$HOME'\n"])?;
    check(!plain.contains("env -i"), || plain)
}

/// Sets up a computer with Slurm, which need not be there.
fn set_up_slurm(bench: &Bench, label: &str, words: &[&str]) -> Result<Answer> {
    let work = bench.ferry.scratch().join("work").display().to_string();
    let slurm =
        ["computer", "setup", "-n", "--scheduler", "core.slurm", "--label", label, "--hostname", "localhost"];
    bench.ferry.ferry(&[&slurm, &["--transport", "core.local", "--work-dir", &work][..], words].concat())
}

fn options_reach_the_script_of_slurm() -> Result {
    let bench = Bench::without_daemon()?;
    set_up_slurm(&bench, "cluster", &[])?.expect(0)?;
    let own = [
        "resources.num_machines=2",
        "resources.num_mpiprocs_per_machine=4",
        "resources.num_cores_per_mpiproc=3",
        "max_wallclock_seconds=90061",
        "max_memory_kb=2048",
        "queue_name=debug",
        "account=sci",
        "qos=high",
        "priority=100",
        "rerunnable=true",
    ];
    let words = [&["--computer", "cluster"][..], &options(&COMMON), &options(&own)].concat();
    let script = bench.script(&json!({"run": [sh("true")]}), &words)?;
    let header = "nodes=2 ntasks-per-node=4 cpus-per-task=3 time=1-01:01:01 mem=2M partition=debug account=sci qos=high \
                  nice=100 export=NONE custom";
    let lines: Vec<String> = header.split(' ').map(|line| format!("#SBATCH --{line}\n")).collect();
    in_order(&script, &lines.iter().map(String::as_str).collect::<Vec<_>>())?;
    in_order(
        &script,
        &["--custom\n", "start gate", "export A=\"$HOME x\"", "echo before", "sh -c true", "echo after"],
    )?;
    let plain = bench.script(&json!({"run": [sh("true")]}), &["--computer", "cluster"])?;
    in_order(&plain, &["#SBATCH --export=ALL\n"])
}

fn directives_reach_the_header() -> Result {
    let bench = Bench::without_daemon()?;
    let of_computer = "# the site's\n#SBATCH -A computer\nmodule load c";
    set_up_slurm(&bench, "cluster", &["--prepend-text", of_computer])?.expect(0)?;
    let code = ["--label", "x", "--filepath-executable", "/bin/true", "--computer", "cluster"];
    bench.code("installed", &[&code[..], &["--prepend-text", "#SBATCH -A code\nmodule load d"]].concat())?;
    let job = json!({"run": [{"code": "x"}], "prepend": "#SBATCH -A plugin"});
    let mine = ["custom_scheduler_commands=#SBATCH -A raw", "prepend_text=#SBATCH -A option\nmodule load e"];
    let words = [&["codes.x=x@cluster"][..], &options(&mine)].concat();
    let script = bench.script(&job, &words)?;
    in_order(
        &script,
        &[
            "#!/bin/bash\n",
            "--export=ALL\n",
            "#SBATCH -A raw\n# the site's\n#SBATCH -A computer\n#SBATCH -A code\n#SBATCH -A plugin\n#SBATCH -A option\n",
            "start gate",
            "\n# What the job runs is a child of this shell",
            "\nmodule load c\nmodule load d\nmodule load e\n",
        ],
    )?;
    check(script.matches("#SBATCH -A").count() == 5, || script)?;
    // A direct job has no header that anybody reads: nothing moves.
    let script = bench.script(&json!({"run": [sh("true")]}), &options(&mine[1..]))?;
    in_order(
        &script,
        &["\n# What the job runs is a child of this shell", "#SBATCH -A option\nmodule load e\n"],
    )
}

fn what_makes_no_job_or_many_is_refused() -> Result {
    let bench = Bench::without_daemon()?;
    const ARRAY: &str = "#SBATCH -a 1-3\nmodule load c";
    const WHY: &[&str] = &["`#SBATCH -a 1-3`", "one submission into many jobs"];
    set_up_slurm(&bench, "cluster", &["--prepend-text", ARRAY])?.expect(2)?.says(WHY)?;
    set_up_slurm(&bench, "cluster", &[])?.expect(0)?;
    let configure = ["computer", "configure", "cluster", "-n", "--prepend-text", ARRAY];
    bench.ferry.ferry(&configure)?.expect(2)?.says(WHY)?;
    let code = ["--label", "x", "--filepath-executable", "/bin/true", "--computer", "cluster"];
    let create = [&["code", "create", "-n"], &code[..], &["--prepend-text", ARRAY]].concat();
    bench.ferry.ferry(&create)?.expect(2)?.says(WHY)?;
    let refused = |option: &str, says: &[&str]| {
        let job = format!("job={}", json!({"run": [sh("true")]}));
        let words = ["submit", "script.job", &job, "--computer", "cluster", "--option", option];
        bench.ferry.ferry(&words)?.expect(2)?.says(says).map(drop)
    };
    refused(&format!("prepend_text={ARRAY}"), &[&["metadata.options.prepend_text"], WHY].concat())?;
    for line in ["--array=1-3", "-W", "--wait", "--test-only", "hetjob"] {
        let option = format!("custom_scheduler_commands=#SBATCH {line}");
        refused(&option, &["metadata.options.custom_scheduler_commands", &format!("`#SBATCH {line}`")])?;
    }
    // A plugin's text is seen when the job is prepared.
    let job = json!({"run": [sh("true")], "prepend": ARRAY});
    let job = format!("job={job}");
    let words = ["run", "--dry-run", "script.job", &job, "--computer", "cluster"];
    let answer = bench.ferry.ferry(&words)?;
    check(answer.status != 0, || answer.stdout.clone())?;
    answer.says(WHY).map(drop)
}

fn directives_that_nobody_reads_are_told() -> Result {
    let bench = Bench::without_daemon()?;
    const LATE: &str = "module load c\n#SBATCH -p debug";
    const WHY: &[&str] = &["prepend_text: `#SBATCH -p debug` comes after a command"];
    set_up_slurm(&bench, "cluster", &["--prepend-text", LATE])?.expect(0)?.says(WHY)?;
    bench
        .ferry
        .ferry(&["computer", "configure", "cluster", "-n", "--description", "x"])?
        .expect(0)?
        .says(WHY)?;
    let code = ["--label", "x", "--filepath-executable", "/bin/true", "--computer", "cluster"];
    let create = [&["code", "create", "-n"], &code[..], &["--prepend-text", LATE]].concat();
    bench.ferry.ferry(&create)?.expect(0)?.says(WHY)?;
    // A job's report has it, whichever scheduler reads the script.
    bench.ferry.ok(&["daemon", "start"])?;
    let job = json!({"run": [sh("true")]});
    let append = options(&["append_text=#SBATCH -t 1", "custom_scheduler_commands=#SBATCH --nosuchoption"]);
    let id = bench.submit(&job, &[&["--computer", "cluster"], &append[..]].concat())?;
    let begun = std::time::Instant::now();
    loop {
        let report = bench.ferry.ok(&["process", "report", &id])?;
        if report.contains(WHY[0]) && report.contains("append_text: `#SBATCH -t 1` comes after a command") {
            return Ok(());
        }
        check(begun.elapsed() < super::LIMIT, || report)?;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn environment_variables_are_set_in_the_job() -> Result {
    let bench = Bench::new()?;
    let job = json!({"run": [{"command": "sh", "args": ["-c", "echo \"$A|$B\""], "stdout": "out"}], "retrieve": [["out", "", 0]]});
    let variables = r#"environment_variables={"A": "it's \"$B\"", "B": "b `x`"}"#;
    let shown = bench.fine(&job, &["--option", variables])?;
    check(bench.cat(&shown, "out")? == "it's \"$B\"|b `x`", || "single quotes".into())?;
    let variables = r#"environment_variables={"A": "$HOME", "B": "b"}"#;
    let double = ["--option", variables, "--option", "environment_variables_double_quotes=true"];
    let shown = bench.fine(&job, &double)?;
    let found = bench.cat(&shown, "out")?;
    check(found.starts_with('/') && found.ends_with("|b"), || found)
}

fn wrong_options_and_resources_are_refused() -> Result {
    let bench = Bench::without_daemon()?;
    let refused = |option: &str, says: &[&str]| {
        let answer = bench.ferry.ferry(&["submit", "script.job", "job={}", "--option", option])?;
        answer.expect(2)?.says(says).map(drop)
    };
    refused("max_wallclock_second=5", &["did you mean `max_wallclock_seconds`"])?;
    refused("scheduler_stdout=", &["metadata.options.scheduler_stdout", "not a file name"])?;
    refused("scheduler_stderr=a/b", &["metadata.options.scheduler_stderr", "not a file name"])?;
    refused("resources.num_machines=0", &["metadata.options.resources", "at least 1"])?;
    refused("resources.num_machine=1", &["metadata.options.resources.num_machine", "num_machines"])?;
    refused("max_memory_kb=much", &["metadata.options.max_memory_kb"])?;
    refused("input_filename=../in", &["metadata.options.input_filename", "inside the work directory"])
}

fn names_of_files_are_options() -> Result {
    let bench = Bench::new()?;
    let run = |words: &[&str]| {
        let id = bench.ferry.submit(&[&["arithmetic.add_job", "x=2", "y=3"], words].concat())?;
        bench.ended(&id)
    };
    let told = bench.ferry.ok(&["plugin", "show", "arithmetic.add_job"])?;
    check(told.contains("output_filename") && told.contains("\"add.out\""), || told)?;
    // `inputcat` and `outputcat` find them without a name.
    let show =
        |shown: &serde_json::Value, what: &str| bench.ferry.ok(&["calcjob", what, &shown["id"].to_string()]);
    let shown = run(&[])?;
    check(show(&shown, "inputcat")?.contains("usage: add.sh"), || "not the input".into())?;
    check(show(&shown, "outputcat")? == "5", || "not the output".into())?;
    let shown = run(&["--option", "input_filename=in/my.sh", "--option", "output_filename=my.out"])?;
    check(shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))?;
    let listed = bench.ferry.ok(&["calcjob", "inputls", &shown["id"].to_string()])?;
    check(listed.contains("in/my.sh") && !listed.contains("add.sh"), || listed)?;
    check(show(&shown, "outputcat")? == "5", || "not my.out".into())
}

fn the_computer_is_the_codes_or_the_one_that_is_named() -> Result {
    let bench = Bench::without_daemon()?;
    let far = [
        "--label",
        "far",
        "--hostname",
        "localhost",
        "--transport",
        "core.local",
        "--work-dir",
        "/tmp/ferry-x",
    ];
    bench.ferry.ok(&[&["computer", "setup", "-n"][..], &far].concat())?;
    bench
        .code("installed", &["--label", "echo", "--filepath-executable", "/bin/echo", "--computer", "far"])?;
    let job = format!("job={}", json!({"run": [{"code": "one"}]}));
    let submitted = |words: &[&str]| -> Result<serde_json::Value> {
        let id = bench.ferry.submit(&[&["script.job", &job, "codes.one=echo@far"], words].concat())?;
        bench.ferry.json(&["process", "show", &id])
    };
    check(submitted(&[])?["computer"] == "far", || "implicit".into())?;
    check(submitted(&["--computer", "far"])?["computer"] == "far", || "explicit".into())?;
    let answer = bench.ferry.ferry(&[
        "submit",
        "script.job",
        &job,
        "codes.one=echo@far",
        "--computer",
        "localhost",
    ])?;
    answer.expect(2)?.says(&["metadata.computer", "far"])?;
    let answer = bench.ferry.ferry(&["submit", "script.job", &job, "--computer", "nowhere"])?;
    answer.expect(2)?.says(&["metadata.computer", "nowhere"]).map(drop)
}

fn parser_name_chooses_another_types_parser() -> Result {
    let bench = Bench::new()?;
    let words = ["arithmetic.add_job", "x=2", "y=3", "--option", "parser_name=shell.run"];
    let shown = bench.ended(&bench.ferry.submit(&words)?)?;
    let said = shown["exit_message"].as_str().unwrap_or_default();
    // The other type's parser looked for what it would have kept itself, and gave its own exit code.
    check(shown["exit_code"] == 302 && said.contains("ERROR_OUTPUT_STDOUT_MISSING"), || {
        format!("{shown:#}")
    })?;
    check(shown["outputs"]["sum"].is_null(), || format!("{shown:#}"))?;
    // Its own name, or an alias of it, is no other parser.
    let words = ["arithmetic.add_job", "x=2", "y=3", "--option", "parser_name=core.arithmetic.add"];
    let shown = bench.ended(&bench.ferry.submit(&words)?)?;
    check(shown["outputs"]["sum"]["value"] == 5, || format!("{shown:#}"))
}

fn an_unknown_parser_is_refused() -> Result {
    let bench = Bench::without_daemon()?;
    let refused = |name: &str, says: &[&str]| {
        let option = format!("parser_name={name}");
        let answer = bench.ferry.ferry(&["submit", "shell.run", "command=date", "--option", &option])?;
        answer.expect(2)?.says(&[&["metadata.options.parser_name"], says].concat()).map(drop)
    };
    refused("shell.rum", &["did you mean `shell.run`"])?;
    refused("arithmetic.add", &["only a calcjob has a parser"])?;
    refused("arithmetic.add_job", &["needs the input `x`"])
}
