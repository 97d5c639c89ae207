//! Plugin files from elsewhere: good ones run in the running daemon, bad ones harm only their own process.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("an_outside_plugin_runs_in_the_running_daemon", an_outside_plugin_runs_in_the_running_daemon),
    ("files_that_are_no_plugins_are_refused", files_that_are_no_plugins_are_refused),
    ("truncated_anywhere", truncated_anywhere),
    ("changed_bytes", changed_bytes),
    ("death_at_load_is_a_refusal", death_at_load_is_a_refusal),
    ("misdeeds_in_prepare_and_parse", misdeeds_in_prepare_and_parse),
    ("a_loop_ends_at_its_deadline", a_loop_ends_at_its_deadline),
    ("paths_that_escape_are_refused", paths_that_escape_are_refused),
    ("a_process_keeps_the_file_it_began_with", a_process_keeps_the_file_it_began_with),
];

const LIMIT: Duration = Duration::from_secs(240);

fn an_outside_plugin_runs_in_the_running_daemon() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let file = plugin("outside_file")?;
    let said = ferry.ok(&["plugin", "install", text(&file)])?;
    check(said.contains("outside.power"), || said.clone())?;
    let again = ferry.ok(&["plugin", "install", text(&file)])?;
    check(again != said, || "a second install must say that nothing changed".into())?;
    let id = ferry.submit(&["outside.power", "base=2", "exponent=10"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["power"]["value"] == 1024, || format!("{shown:#}"))?;
    ferry.ok(&["plugin", "remove", "outside"])?;
    ferry
        .ferry(&["submit", "outside.power", "base=2", "exponent=10"])?
        .expect(2)?
        .says(&["outside.power"])
        .map(drop)
}

fn files_that_are_no_plugins_are_refused() -> Result {
    let ferry = Profile::new()?;
    let place = ferry.scratch().join("text.so");
    fs::write(&place, "not a library\n").map_err(|error| error.to_string())?;
    ferry.ferry(&["plugin", "install", text(&place)])?.expect(1)?.says(&["text.so", "ELF"])?;
    let libc = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6"];
    if let Some(libm) = libc.iter().find(|path| std::path::Path::new(path).exists()) {
        ferry.ferry(&["plugin", "install", libm])?.expect(1)?.says(&["not a ferry plugin"])?;
    }
    ferry
        .ferry(&["plugin", "install", text(&plugin("other_abi")?)])?
        .expect(1)?
        .says(&["ABI 2", "speaks 1"])?;
    ferry.ferry(&["plugin", "install", text(&plugin("bad_names")?)])?.expect(1)?.says(&["name"])?;
    let impostor = ferry.ferry(&["plugin", "install", text(&plugin("impostor")?)])?.expect(1)?;
    impostor.says(&["arithmetic.add", "impostor"])?;
    let listed = ferry.json(&["plugin", "list"])?;
    check(listed.as_array().map(Vec::len) == Some(3), || format!("{listed:#}"))
}

fn truncated_anywhere() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let whole = fs::read(plugin("escape")?).map_err(|error| error.to_string())?;
    let place = ferry.scratch().join("cut.so");
    for i in 0..24 {
        let length = whole.len() * i / 24;
        fs::write(&place, &whole[..length]).map_err(|error| error.to_string())?;
        ferry
            .ferry(&["plugin", "install", text(&place)])?
            .expect(1)?
            .says(&["cut.so"])
            .map_err(|error| format!("{length}: {error}"))?;
    }
    ferry.daemon().map(drop)
}

fn changed_bytes() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let pid = ferry.daemon()?.0;
    let whole = fs::read(plugin("escape")?).map_err(|error| error.to_string())?;
    let place = ferry.scratch().join("changed.so");
    for i in 0..20_u64 {
        let mut bytes = whole.clone();
        for k in 0..64_u64 {
            let at = (i * 7919 + k * 104_729 + 17 * k * k) as usize % bytes.len();
            bytes[at] ^= 0x5a;
        }
        fs::write(&place, &bytes).map_err(|error| error.to_string())?;
        let answer = ferry.ferry(&["plugin", "install", text(&place)])?;
        // The damaged code's own output in its child is quoted as evidence, panics included; ferry itself
        // answers in its own words.
        let refused = answer.status == 1 && answer.stderr.starts_with("error: ");
        check(answer.status == 0 || refused, || format!("{answer:?}"))?;
    }
    check(ferry.daemon()?.0 == pid, || "the daemon died".into())?;
    // A private copy that changes under the daemon is noticed before it is used in a new one.
    let copies = fs::read_dir(ferry.root().join("plugins")).map_err(|error| error.to_string())?;
    for copy in copies.flatten().filter(|copy| copy.path().extension().is_some_and(|e| e == "so")) {
        let mut bytes = fs::read(copy.path()).map_err(|error| error.to_string())?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(copy.path())
            .and_then(|()| fs::write(copy.path(), bytes))
            .map_err(|error| error.to_string())?;
    }
    ferry.ok(&["daemon", "restart"])?;
    let answer = ferry.ferry(&["run", "arithmetic.add", "x=1", "y=1"])?;
    let excepted = answer.status == 1 && answer.stderr.contains("error: ");
    check(excepted && !answer.stderr.contains("panicked"), || format!("{answer:?}"))
}

fn death_at_load_is_a_refusal() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    let pid = ferry.daemon()?.0;
    ferry.ferry(&["plugin", "install", text(&plugin("abort_at_load")?)])?.expect(1)?.says(&["SIGABRT"])?;
    ferry.ferry(&["plugin", "install", text(&plugin("hang_at_load")?)])?.expect(1)?.says(&["s"])?;
    check(ferry.daemon()?.0 == pid, || "the daemon died".into())
}

fn hostile(ferry: &Profile) -> Result {
    ferry.ok(&["plugin", "install", text(&plugin("hostile_file")?)]).map(drop)
}

fn misdeeds_in_prepare_and_parse() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    hostile(&ferry)?;
    let pid = ferry.daemon()?.0;
    let deeds = [
        ("panic", "panic"),
        ("exit", "exit"),
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("overflow", "SIG"),
        ("panic_twice", "SIGABRT"),
        ("error", ""),
    ];
    let mut running = Vec::new();
    for (deed, word) in deeds {
        for place in ["prepare", "parse"] {
            running.push((deed, place, word, ferry.submit(&["hostile.job", &format!("{place}={deed}")])?));
        }
        running.push((deed, "call", word, ferry.submit(&["hostile.call", &format!("deed={deed}")])?));
    }
    let good = ferry.submit(&["arithmetic.add_job", "x=1", "y=1"])?;
    for (deed, place, word, id) in &running {
        let shown = ferry.ended(id, LIMIT)?;
        let why = shown["exit_message"].as_str().unwrap_or_default();
        check(shown["state"] == "excepted" && why.contains(word), || format!("{place}={deed}: {shown:#}"))?;
        let kept =
            *place != "parse" || deed == &"exit" || deed_dies(deed) || shown["outputs"]["before"].is_object();
        check(kept, || format!("{place}={deed} lost an output: {shown:#}"))?;
    }
    check(ferry.ended(&good, LIMIT)?["exit_code"] == 0, || "a good process was harmed".into())?;
    let nan = ferry.ended(&ferry.submit(&["hostile.nan"])?, LIMIT)?;
    check(nan["state"] == "excepted" || nan["exit_code"] == 10, || format!("{nan:#}"))?;
    let leak = ferry.ended(&ferry.submit(&["hostile.leak"])?, LIMIT)?;
    check(
        leak["state"] == "excepted" && leak["exit_message"].as_str().unwrap_or_default().contains("link"),
        || format!("{leak:#}"),
    )?;
    check(ferry.daemon()?.0 == pid, || "the daemon died".into())
}

/// Returns whether the deed kills the host. Outputs set before the host's death are lost.
fn deed_dies(deed: &str) -> bool {
    matches!(deed, "exit" | "segfault" | "abort" | "overflow" | "panic" | "panic_twice")
}

fn a_loop_ends_at_its_deadline() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["config", "set", "plugin.timeout", "3"])?;
    ferry.ok(&["daemon", "start"])?;
    hostile(&ferry)?;
    let ids = [
        ferry.submit(&["hostile.job", "prepare=loop"])?,
        ferry.submit(&["hostile.job", "parse=loop"])?,
        ferry.submit(&["hostile.call", "deed=loop"])?,
    ];
    for id in &ids {
        let shown = ferry.ended(id, LIMIT)?;
        check(shown["state"] == "excepted", || format!("{shown:#}"))?;
        check(shown["exit_message"].as_str().unwrap_or_default().contains('3'), || format!("{shown:#}"))?;
    }
    let looping = ferry.submit(&["hostile.call", "deed=loop"])?;
    std::thread::sleep(Duration::from_millis(300));
    let stop = std::time::Instant::now();
    ferry.ok(&["daemon", "stop"])?;
    check(stop.elapsed() < Duration::from_secs(15), || "stopping took too long".into())?;
    let shown: Value = ferry.json(&["process", "show", &looping])?;
    check(shown["state"] != "finished", || format!("{shown:#}"))
}

fn paths_that_escape_are_refused() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    ferry.ok(&["plugin", "install", text(&plugin("escape")?)])?;
    for case in ["target", "absolute_target", "source", "retrieve", "stdout", "markers"] {
        let shown = ferry.ended(&ferry.submit(&[&format!("escape.{case}")])?, LIMIT)?;
        check(shown["state"] == "excepted" && shown["job_id"].is_null(), || format!("{case}: {shown:#}"))?;
    }
    Ok(())
}

fn a_process_keeps_the_file_it_began_with() -> Result {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    ferry.ok(&["plugin", "install", text(&plugin("outside_file")?)])?;
    let id = ferry.submit(&["outside.power", "base=3", "exponent=3"])?;
    ferry.ok(&["plugin", "remove", "outside"])?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["outputs"]["power"]["value"] == 27, || format!("{shown:#}"))
}
