//! `kill -9` of the daemon, its plugin hosts, or both, while jobs run: everything finishes, and each payload
//! runs exactly once. The jobs themselves are the witnesses: each appends a line to a file of its own.

use std::{fs, path::PathBuf, time::Duration};

use ferry_matrix::{Profile, Result, check, kill};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_hundred_jobs_survive_a_dozen_kills", a_hundred_jobs_survive_a_dozen_kills),
    ("a_burst_survives_kills_while_it_is_submitted", a_burst_survives_kills_while_it_is_submitted),
];

const JOBS: usize = 100;
const KILLS: usize = 12;

/// Returns a seed, which a failure prints so that its run can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("FERRY_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()) * 2_654_435_761 % 1_000_003)
}

/// Numbers that a seed decides.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn a_hundred_jobs_survive_a_dozen_kills() -> Result {
    let seed = seed();
    trial(seed).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

/// All jobs wait when the daemon starts, so its first moments, in which the kills fall, are all uploads and
/// submissions.
fn a_burst_survives_kills_while_it_is_submitted() -> Result {
    let seed = seed();
    burst(seed).map_err(|error| format!("FERRY_SEED={seed}: {error}"))
}

fn burst(seed: u64) -> Result {
    let mut random = Random(seed);
    let ferry = Profile::unbounded()?;
    let mut jobs = Vec::new();
    for i in 0..JOBS {
        let marker = ferry.scratch().join(format!("marker-{i}"));
        let words = [format!("x={i}"), format!("marker={}", marker.display())];
        let id = submit(&ferry, &["arithmetic.add_job", &words[0], "y=1", "sleep=0.5", &words[1]])?;
        jobs.push((id, marker));
    }
    for _ in 0..KILLS {
        ferry.ok(&["daemon", "start"])?;
        let (daemon, hosts) = ferry.daemon()?;
        std::thread::sleep(Duration::from_millis(random.below(120)));
        for pid in hosts.into_iter().chain([daemon]) {
            kill(pid, 9);
        }
    }
    ferry.ok(&["daemon", "start"])?;
    ferry.all_ended(Duration::from_secs(400))?;
    jobs.iter().enumerate().try_for_each(|(i, (id, marker))| judge(&ferry, i, id, marker))
}

fn trial(seed: u64) -> Result {
    let mut random = Random(seed);
    let ferry = Profile::unbounded()?;
    ferry.ok(&["daemon", "start"])?;
    let mut jobs = Vec::new();
    let mut kills = 0;
    for i in 0..JOBS {
        let marker = ferry.scratch().join(format!("marker-{i}"));
        let words = [
            "arithmetic.add_job".to_owned(),
            format!("x={i}"),
            "y=1".to_owned(),
            format!("sleep={}.{}", random.below(2), random.below(10)),
            format!("marker={}", marker.display()),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        jobs.push((submit(&ferry, &words)?, marker));
        // Kills begin while jobs are still coming in.
        if i % 12 == 11 && kills < KILLS {
            crash(&ferry, &mut random)?;
            kills += 1;
        }
    }
    while kills < KILLS {
        std::thread::sleep(Duration::from_millis(random.below(700)));
        crash(&ferry, &mut random)?;
        kills += 1;
    }
    ferry.all_ended(Duration::from_secs(400))?;
    for (i, (id, marker)) in jobs.iter().enumerate() {
        judge(&ferry, i, id, marker)?;
    }
    let stored = ferry.json(&["process", "list", "-a"])?;
    let stored = stored.as_array().map_or(0, Vec::len);
    check(stored == JOBS, || format!("{stored} processes, {JOBS} acknowledged"))
}

/// Submits a process. A submission that meets a dying daemon may be refused, with nothing stored; it is then
/// repeated.
fn submit(ferry: &Profile, words: &[&str]) -> Result<String> {
    let answer = ferry.ferry(&[&["submit"], words].concat())?.expect(0)?;
    Ok(answer.stdout.trim().to_owned())
}

fn crash(ferry: &Profile, random: &mut Random) -> Result {
    std::thread::sleep(Duration::from_millis(random.below(200)));
    let (daemon, hosts) = ferry.daemon()?;
    let victims = match random.below(3) {
        0 => vec![daemon],
        1 => hosts,
        _ => hosts.into_iter().chain([daemon]).collect(),
    };
    for pid in victims {
        kill(pid, 9);
    }
    std::thread::sleep(Duration::from_millis(random.below(300)));
    ferry.ok(&["daemon", "start"]).map(drop)
}

fn judge(ferry: &Profile, i: usize, id: &str, marker: &PathBuf) -> Result {
    let shown = ferry.json(&["process", "show", id])?;
    let good = shown["exit_code"] == 0 && shown["outputs"]["sum"]["value"] == i + 1;
    check(good, || {
        format!("process {id}: {shown:#}\n{}", ferry.ok(&["process", "report", id]).unwrap_or_default())
    })?;
    let lines = fs::read_to_string(marker).map_err(|error| format!("{}: {error}", marker.display()))?;
    check(lines.lines().count() == 1, || format!("process {id} ran {} times: {lines}", lines.lines().count()))
}
