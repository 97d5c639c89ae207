//! Looking at what is stored: pictures of the graph, lists and what can be done to many at once. Where there is a
//! Chromium, it opens the page of a graph and clicks through it.

use std::{fs, path::Path, process::Command};

use ferry_matrix::{Answer, Profile, Result, check, text};
use serde_json::Value;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("the_origin_is_marked_and_only_wanted_classes_have_colour", the_origin_is_marked),
    ("an_unknown_class_is_an_error_that_lists_the_ones_there", an_unknown_class_lists_the_ones_there),
    ("a_picture_without_graphviz_names_its_package", a_picture_without_graphviz_names_its_package),
    ("every_format_is_written", every_format_is_written),
    ("every_option_of_the_graph_does_its_work", every_option_of_the_graph_does_its_work),
    ("the_page_works_in_a_browser", the_page_works_in_a_browser),
];

/// Text that every page must treat as text only.
const EVIL: &str = "</script><img src=x onerror=document.title='broken'> \"&amp;' <b>";

/// Makes a profile with a sum of a sum. Returns the number of the second process.
fn sums() -> Result<(Profile, String)> {
    let ferry = Profile::new()?;
    let first = ferry.json(&["run", "arithmetic.add", "x=2", "y=3", "--label", EVIL])?;
    let sum = first["outputs"]["result"]["id"].as_i64().ok_or_else(|| format!("{first:#}"))?;
    let second = ferry.json(&["run", "arithmetic.add", &format!("x=@{sum}"), "y=7725"])?;
    let id = second["id"].as_i64().ok_or_else(|| format!("{second:#}"))?;
    Ok((ferry, id.to_string()))
}

fn generate(ferry: &Profile, words: &[&str]) -> Result<Answer> {
    ferry.ferry(&[&["node", "graph", "generate"], words].concat())
}

/// Returns the line of a node in DOT text.
fn line<'a>(dot: &'a str, id: &str) -> Result<&'a str> {
    let start = format!("    \"{id}\" [");
    dot.lines().find(|line| line.starts_with(&start)).ok_or_else(|| format!("no node {id} in {dot}"))
}

fn the_origin_is_marked() -> Result {
    let (ferry, id) = sums()?;
    let white = |line: &str| line.contains("fillcolor=\"#ffffff\"");
    let all = generate(&ferry, &[&id, "--stdout", "-f", "dot"])?.expect(0)?.stdout;
    check(!white(&all), || all.clone())?;
    for option in ["--highlight-classes", "--target-cls", "-c"] {
        for class in ["int", "Int"] {
            let dot = generate(&ferry, &[&id, "--stdout", "-f", "dot", option, class])?.expect(0)?.stdout;
            let origin = line(&dot, &id)?;
            check(white(origin) && origin.contains("penwidth=\"4\""), || format!("the origin: {origin}"))?;
            let (ints, others): (Vec<&str>, Vec<&str>) = dot
                .lines()
                .filter(|line| line.contains("fillcolor"))
                .partition(|line| line.contains("\"int ("));
            check(!ints.is_empty() && !ints.iter().any(|line| white(line)), || dot.clone())?;
            check(others.len() == 2 && others.iter().all(|line| white(line)), || dot.clone())?;
        }
    }
    let dot = generate(&ferry, &[&id, "--stdout", "-f", "dot", "-c", "calcfunction"])?.expect(0)?.stdout;
    check(!white(line(&dot, &id)?), || format!("a kind is a class: {dot}"))
}

fn an_unknown_class_lists_the_ones_there() -> Result {
    let (ferry, id) = sums()?;
    let answer = generate(&ferry, &[&id, "-f", "dot", "--target-cls", "imt", "-c", "dict"])?.expect(2)?;
    answer.says(&["imt", "dict", "did you mean `int`", "arithmetic.add", "calcfunction"])?;
    check(!ferry.scratch().join(format!("{id}.dot")).exists(), || "a file was written".into())
}

fn a_picture_without_graphviz_names_its_package() -> Result {
    let (ferry, id) = sums()?;
    let without = |format: &str| {
        let mut command = ferry.command(&["node", "graph", "generate", &id, "-f", format]);
        command.env("PATH", "/nowhere");
        Profile::run(command)
    };
    without("svg")?.expect(1)?.says(&["SVG needs Graphviz", "the package graphviz", "-f html"])?;
    without("html")?.expect(0)?;
    without("dot")?.expect(0).map(drop)
}

fn every_format_is_written() -> Result {
    let (ferry, id) = sums()?;
    for (format, start) in [
        ("dot", "digraph"),
        ("svg", "<?xml"),
        ("png", "\u{fffd}PNG"),
        ("pdf", "%PDF"),
        ("html", "<!DOCTYPE html>"),
    ] {
        let file = ferry.scratch().join(format!("graph.{format}"));
        generate(&ferry, &[&id, "-O", text(&file)])?.expect(0)?;
        let bytes = fs::read(&file).map_err(|error| error.to_string())?;
        let read = String::from_utf8_lossy(&bytes);
        check(read.starts_with(start), || format!("{format}: {}", &read[..read.len().min(80)]))?;
    }
    Ok(())
}

fn every_option_of_the_graph_does_its_work() -> Result {
    let (ferry, id) = sums()?;
    // x 2, y 3 -> 1 -> 4 -> 5 <- 6 and 5 -> 7, as AiiDA counts: a link is a step.
    let shows = |words: &[&str], expected: &[u32]| -> Result<String> {
        let dot = generate(&ferry, &[words, &["--stdout", "-f", "dot"]].concat())?.expect(0)?.stdout;
        let is_node = |line: &&str| line.contains("fillcolor");
        let number = |line: &str| line.split('"').nth(1).and_then(|number| number.parse::<u32>().ok());
        let found: Vec<u32> = dot.lines().filter(is_node).filter_map(number).collect();
        check(found == expected, || format!("{words:?}: {found:?}, expected {expected:?}"))?;
        Ok(dot)
    };
    shows(&[&id], &[1, 2, 3, 4, 5, 6, 7])?;
    shows(&[&id, "-a", "1", "-d", "0"], &[4, 5, 6])?;
    shows(&[&id, "--ancestor-depth", "0", "--descendant-depth", "1"], &[5, 7])?;
    shows(&["4", "-a", "0"], &[4, 5, 7])?;
    shows(&["4", "-a", "0", "--process-in"], &[4, 5, 6, 7])?;
    shows(&["7", "-a", "1", "-d", "0"], &[5, 7])?;
    shows(&["1", "-a", "0", "-d", "0", "--process-out"], &[1, 4])?;
    shows(&["2", "6", "-a", "0", "-d", "0"], &[2, 6])?;
    shows(&[&id, "-l", "data"], &[1, 2, 3, 4, 5, 6, 7])?;
    shows(&[&id, "--link-types", "logic"], &[5])?;
    let uuid = ferry.json(&["node", "show", &id])?["uuid"].as_str().unwrap_or_default().to_owned();
    let named = shows(&["1", "-a", "0", "-d", "0", "--identifier", "label", "--identifier", "uuid"], &[1])?;
    check(named.contains("</script>") && !named.contains(&uuid), || named.clone())?;
    let named = shows(&[&uuid, "-a", "0", "-d", "0", "--identifier", "uuid"], &[5])?;
    check(named.contains(&uuid), || named.clone())?;

    check(
        generate(&ferry, &[&id, "-e", "neato", "-f", "svg"])?.expect(0)?.stdout.trim() == "5.neato.svg",
        || "its name".into(),
    )?;
    generate(&ferry, &[&id, "-e", "nosuch", "-f", "svg"])?
        .expect(1)?
        .says(&["nosuch", "another layout engine"])?;
    generate(&ferry, &["nosuch"])?.expect(1)?.says(&["nosuch"])?;
    // A desktop that opens what it is given.
    let bin = ferry.scratch().join("bin");
    let opened = ferry.scratch().join("opened");
    fs::create_dir(&bin).map_err(|error| error.to_string())?;
    let script = format!("#!/bin/sh\necho \"$1\" > {0}.new && mv {0}.new {0}\n", opened.display());
    let opener = bin.join("xdg-open");
    fs::write(&opener, script).map_err(|error| error.to_string())?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&opener, mode).map_err(|error| error.to_string())?;
    let show = |path: &str| {
        let mut command = ferry.command(&["node", "graph", "generate", &id, "-f", "html", "--show"]);
        command.env("PATH", path);
        Profile::run(command)
    };
    show("/nowhere")?.expect(1)?.says(&["5.html is written", "xdg-utils"])?;
    show(&format!("{}:/usr/bin:/bin", bin.display()))?.expect(0)?;
    for _ in 0..100 {
        if opened.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let seen = fs::read_to_string(&opened).map_err(|error| format!("nothing was opened: {error}"))?;
    check(seen.trim() == "5.html", || seen.clone())
}

/// Script that acts in the page as a person would. Each step records what it saw.
const HANDS: &str = r##"
window.addEventListener("load", () => {
  const $ = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
  const click = (element) => element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const point = (type, x, y) => $("#picture").dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: x, clientY: y }));
  const seen = {};
  const search = (text) => { $("#search").value = text; $("#search").dispatchEvent(new Event("input")); };
  const origin = $(".node.origin"), place = () => $("#all").getAttribute("transform");
  seen.nodes = all(".node").length;
  seen.links = all(".link").length;
  seen.origin = Number(origin.dataset.id);
  seen.labels = all(".node text").map((text) => text.textContent);
  const boxes = all(".node .shape").map((shape) => shape.getBoundingClientRect());
  seen.overlaps = boxes.filter((a, i) => boxes.some((b, j) => i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)).length;
  search("7725");
  seen.found = all(".node.hit").length;
  click($("#next"));
  seen.chosen = Number($("#facts").dataset.id);
  search("");
  click(origin);
  seen.facts = $("#facts").textContent;
  click($(".node.origin .handle[data-fold=in]"));
  seen.folded = all(".node").length;
  click($("#unfold"));
  seen.unfolded = all(".node").length;
  let before = place();
  $("#picture").dispatchEvent(new WheelEvent("wheel", { deltaY: -200, clientX: 300, clientY: 300, cancelable: true }));
  seen.zoomed = before !== place();
  before = place();
  point("pointerdown", 10, 10); point("pointermove", 60, 40); point("pointerup", 60, 40);
  seen.panned = before !== place();
  click($("#fit"));
  seen.images = all("img").length;
  seen.title = document.title;
  document.body.dataset.seen = encodeURIComponent(JSON.stringify(seen));
});
"##;

fn chromium() -> Option<&'static str> {
    let there =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(there)
}

fn browse(program: &str, home: &Path, words: &[&str]) -> Result<String> {
    let profile = format!("--user-data-dir={}", home.join("browser").display());
    let fixed =
        ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,900"];
    let output = Command::new(program)
        .args(fixed)
        .args(["--virtual-time-budget=3000", "--timeout=60000", &profile])
        .args(words)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    check(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Adds the script to the page, whose policy allows it by the nonce alone.
fn with_hands(page: &str) -> Result<String> {
    let nonce = page.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).ok_or("no nonce")?;
    Ok(page.replace("</body>", &format!("<script nonce=\"{nonce}\">{HANDS}</script></body>")))
}

fn decoded(dom: &str) -> Result<Value> {
    let seen = dom.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    let seen = seen.ok_or_else(|| format!("the page's script did not come to its end: {dom}"))?;
    let mut bytes = Vec::new();
    let mut rest = seen.bytes();
    while let Some(byte) = rest.next() {
        let hex = (byte == b'%').then(|| rest.by_ref().take(2).map(char::from).collect::<String>());
        bytes.push(hex.and_then(|hex| u8::from_str_radix(&hex, 16).ok()).unwrap_or(byte));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn the_page_works_in_a_browser() -> Result {
    let Some(program) = chromium() else {
        println!("SKIPPED: the page in a browser: no chromium here (apt-get install chromium)");
        return Ok(());
    };
    let (ferry, id) = sums()?;
    let [page, hands] = ["graph.html", "hands.html"].map(|name| ferry.scratch().join(name));
    generate(&ferry, &[&id, "-O", text(&page)])?.expect(0)?;
    let written = fs::read_to_string(&page).map_err(|error| error.to_string())?;
    fs::write(&hands, with_hands(&written)?).map_err(|error| error.to_string())?;

    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("graph.png");
    let shot = format!("--screenshot={}", picture.display());
    browse(program, ferry.scratch(), &[&shot, &format!("file://{}?q=add&node={id}", page.display())])?;
    println!("the page in a browser: {}", picture.display());
    check(fs::metadata(&picture).is_ok_and(|found| found.len() > 5000), || "no picture of the page".into())?;

    let seen =
        decoded(&browse(program, ferry.scratch(), &["--dump-dom", &format!("file://{}", hands.display())])?)?;
    let wrong = || format!("{seen:#}");
    check(seen["nodes"] == 7 && seen["links"] == 6 && seen["overlaps"] == 0, wrong)?;
    check(seen["origin"].as_i64() == id.parse().ok(), wrong)?;
    check(seen["labels"].to_string().contains("</script><img"), wrong)?;
    check(
        seen["images"] == 0 && seen["title"].as_str().is_some_and(|title| !title.contains("broken")),
        wrong,
    )?;
    check(seen["found"] == 1 && seen["chosen"] != seen["origin"], wrong)?;
    check(seen["facts"].as_str().is_some_and(|facts| facts.contains("finished [0]")), wrong)?;
    check(seen["folded"].as_i64() < seen["nodes"].as_i64() && seen["unfolded"] == seen["nodes"], wrong)?;
    check(seen["zoomed"] == true && seen["panned"] == true, wrong)
}
