//! Cases about the origin of results.

use std::{fs, time::Duration};

use ferry_matrix::{Profile, Result, check, text};

use crate::Case;

pub(crate) const CASES: &[Case] =
    &[("a_million_sorted_lines_have_an_origin", a_million_sorted_lines_have_an_origin)];

/// Numbers in an order that is not sorted, the same each time.
fn lines(count: u64) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut out = String::with_capacity(count as usize * 12);
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out += &format!("{:010}\n", state % 10_000_000_000);
    }
    out
}

fn a_million_sorted_lines_have_an_origin() -> Result {
    let ferry = Profile::new()?;
    let input = lines(1_000_000);
    let file = ferry.scratch().join("numbers.txt");
    fs::write(&file, &input).map_err(|error| error.to_string())?;
    ferry.ok(&["daemon", "start"])?;
    let node = format!("nodes.numbers=file:{}", file.display());
    let id = ferry.submit(&["shell.run", "command=sort", "arguments={numbers}", &node])?;
    let shown = ferry.ended(&id, Duration::from_secs(240))?;
    check(shown["exit_code"] == 0, || format!("{shown:#}"))?;

    let mut expected: Vec<&str> = input.lines().collect();
    expected.sort_unstable();
    let sorted = ferry.ferry(&["calcjob", "outputcat", &id, "stdout"])?.expect(0)?.stdout;
    check(sorted.lines().eq(expected), || "the lines are not sorted".into())?;

    let result = shown["outputs"]["stdout"]["id"].to_string();
    let dot = ferry.scratch().join("origin.dot");
    ferry.ok(&["node", "graph", "generate", &result, "-f", "dot", "-O", text(&dot)])?;
    let graph = fs::read_to_string(&dot).map_err(|error| error.to_string())?;
    for word in ["digraph", "shell.run", "numbers.txt", "stdout"] {
        check(graph.contains(word), || format!("`{word}` is not in {graph}"))?;
    }
    let input_node = shown["inputs"]["nodes.numbers"]["id"].to_string();
    let shown = ferry.json(&["node", "show", &input_node])?;
    check(shown["type"] == "file", || format!("{shown:#}"))
}
