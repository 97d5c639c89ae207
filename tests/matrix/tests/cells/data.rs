//! Data types that plugins declare: files that become nodes, versions, types whose plugin is gone, and export.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_matrix::{Profile, Result, check, plugin, text};
use serde_json::{Value, json};

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    ("a_structure_is_read_from_a_cif_file_and_rescaled", a_structure_is_read_from_a_cif_file_and_rescaled),
    (
        "files_that_are_not_right_are_told_by_line_and_reason",
        files_that_are_not_right_are_told_by_line_and_reason,
    ),
    ("bodies_are_judged_before_anything_runs", bodies_are_judged_before_anything_runs),
    ("every_kind_of_process_takes_and_gives_structures", every_kind_of_process_takes_and_gives_structures),
    ("arrays_may_hold_nan_and_bodies_may_not", arrays_may_hold_nan_and_bodies_may_not),
    (
        "a_node_of_an_older_version_is_read_and_stays_as_it_is",
        a_node_of_an_older_version_is_read_and_stays_as_it_is,
    ),
    (
        "two_plugins_declare_one_type_if_they_mean_the_same",
        two_plugins_declare_one_type_if_they_mean_the_same,
    ),
    (
        "a_type_without_its_plugin_is_listed_drawn_queried_and_exported",
        a_type_without_its_plugin_is_listed_drawn_queried_and_exported,
    ),
    (
        "data_of_equal_content_is_taken_over_from_the_cache",
        data_of_equal_content_is_taken_over_from_the_cache,
    ),
];

const LIMIT: Duration = Duration::from_secs(240);

/// Two atoms in a cell whose other two come by symmetry.
const CIF: &str = "data_salt\n_cell_length_a 4.0(1)\n_cell_length_b 4.0\n_cell_length_c 5.0\n_cell_angle_alpha 90\n\
    _cell_angle_beta 90\n_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'P -1'\nloop_\n\
    _symmetry_equiv_pos_as_xyz\n'x, y, z'\n'-x, -y, -z'\nloop_\n_atom_site_label\n_atom_site_fract_x\n\
    _atom_site_fract_y\n_atom_site_fract_z\nNa1 0.1 0.2 0.3\nCl1 0.25 0.25 0.25\n";

fn write(ferry: &Profile, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
    let path = ferry.scratch().join(name);
    fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn file(port: &str, path: &Path) -> String {
    format!("{port}=file:{}", path.display())
}

fn started() -> Result<Profile> {
    let ferry = Profile::new()?;
    ferry.ok(&["daemon", "start"])?;
    Ok(ferry)
}

fn with_plugin(name: &str) -> Result<Profile> {
    let ferry = started()?;
    ferry.ok(&["plugin", "install", text(&plugin(name)?)])?;
    Ok(ferry)
}

/// Runs a process to its good end.
fn done(ferry: &Profile, words: &[&str]) -> Result<Value> {
    let id = ferry.submit(words)?;
    let shown = ferry.ended(&id, LIMIT)?;
    check(shown["exit_code"] == 0, || format!("{words:?}: {shown:#}"))?;
    Ok(shown)
}

fn id(node: &Value) -> String {
    node["id"].to_string()
}

fn a_structure_is_read_from_a_cif_file_and_rescaled() -> Result {
    let ferry = started()?;
    let cif = write(&ferry, "salt.cif", CIF)?;
    let shown = done(&ferry, &["data.rescale", &file("structure", &cif), "factor=2"])?;
    let scaled = &shown["outputs"]["result"];
    check(scaled["type"] == "core.structure" && scaled["value"]["_version"] == 1, || format!("{scaled:#}"))?;
    check(scaled["value"]["cell"] == json!([[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 10.0]]), || {
        format!("{scaled:#}")
    })?;
    check(scaled["value"]["sites"].as_array().map(Vec::len) == Some(4), || format!("{scaled:#}"))?;
    // Back to files, and from one of them in again.
    let node = id(scaled);
    let exported = ferry.ok(&["node", "export", &node, "--format", "cif"])?;
    check(exported.contains("_cell_length_a 8\n"), || exported.clone())?;
    let xyz = ferry.scratch().join("salt.xyz");
    ferry.ok(&["node", "export", &node, "-o", text(&xyz)])?;
    check(read(&xyz)?.starts_with("4\nLattice=\"8 0 0 0 8 0 0 0 10\""), || read(&xyz).unwrap_or_default())?;
    let again = done(&ferry, &["data.rescale", &file("structure", &xyz), "factor=0.5"])?;
    check(again["outputs"]["result"]["value"]["cell"][2][2] == 5.0, || format!("{again:#}"))?;
    // A name without a known extension, in a file of inputs, relative to that file's directory.
    write(&ferry, "salt.txt", CIF)?;
    let inputs = write(&ferry, "inputs.yaml", "structure: cif:salt.txt\nfactor: 1.0\n")?;
    let third = done(&ferry, &["data.rescale", "--inputs", text(&inputs)])?;
    check(third["outputs"]["result"]["value"]["cell"][2][2] == 5.0, || format!("{third:#}"))?;
    ferry
        .ferry(&["node", "export", &node, "-o", text(&xyz)])?
        .expect(1)?
        .says(&["is there already", "--force"])?;
    ferry
        .ferry(&["node", "export", &node, "--format", "poscar"])?
        .expect(2)?
        .says(&["poscar", "cif", "xyz", "json"])
        .map(drop)
}

fn files_that_are_not_right_are_told_by_line_and_reason() -> Result {
    let ferry = started()?;
    let rescale = |name: &str, content: &str, says: &[&str]| -> Result {
        let path = write(&ferry, name, content)?;
        let answer =
            ferry.ferry(&["submit", "data.rescale", &file("structure", &path), "factor=two"])?.expect(2)?;
        // All problems are reported at once.
        answer.says(&["factor: expected float"])?.says(says).map(drop)
    };
    rescale(
        "a.cif",
        &CIF.replace("0.25 0.25 0.25", "0.25 here 0.25"),
        &["a.cif: line 19: expected a number, found `here`"],
    )?;
    rescale("b.cif", "", &["b.cif", "no loop of sites"])?;
    rescale("c.xyz", "2\n\nH 0 0 0\n", &["c.xyz: line 1: 2 atoms are announced"])?;
    rescale("d.xyz", "1\n\nH 0 0 0\n1\n\nH 0 0 0\n", &["has 2 frames"])?;
    rescale("e.poscar", "", &["format `poscar`", "cif, xyz, extxyz, json, yaml"])?;
    rescale("f", "", &["known are: cif", "cif:"])?;
    let none = ferry.ferry(&["submit", "data.rescale", "structure=file:/none.cif", "factor=1"])?.expect(2)?;
    none.says(&["can't read /none.cif"])?;
    let listed = ferry.json(&["process", "list", "-a"])?;
    check(listed == json!([]), || format!("{listed:#}"))
}

fn bodies_are_judged_before_anything_runs() -> Result {
    let ferry = with_plugin("twin_file")?;
    let good = json!({"cell": [[3, 0, 0], [0, 3, 0], [0, 0, 3]], "pbc": [true, true, true],
        "kinds": [{"name": "He", "symbols": ["He"], "weights": [1.0]}], "sites": [{"kind": "He", "position": [0, 0, 0]}]});
    let submit = |process: &str, port: &str, change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        let path = write(&ferry, "body.json", json!({port: body, "factor": 1.0}).to_string())?;
        ferry.ferry(&["submit", process, "--inputs", text(&path)])
    };
    submit("types.grow", "structure", &|_| ())?.expect(0)?;
    submit("types.grow", "structure", &|body| body["pbc"] = json!([true]))?
        .expect(2)?
        .says(&["structure: ", "`pbc`: expected a list of 3, got a list of 1"])?;
    submit("types.grow", "structure", &|body| body["sites"][0]["kind"] = json!("Ne"))?
        .expect(2)?
        .says(&["structure: site 0 is of kind `Ne`"])?;
    submit("types.grow", "structure", &|body| body["_version"] = json!(7))?
        .expect(2)?
        .says(&["version 7 of `core.structure`", "install a newer one"])?;
    // For a port that takes anything, only plugins that declare the type read the value.
    let smuggle = |body: Value| -> Result<Value> {
        let path = write(&ferry, "body.json", body.to_string())?;
        let id = ferry.submit(&["types.smuggle", &file("structure", &path)])?;
        ferry.ended(&id, LIMIT)
    };
    let fine = smuggle(good.clone())?;
    check(fine["exit_code"] == 0, || format!("{fine:#}"))?;
    let mut empty = good.clone();
    empty["cell"] = json!([[0, 0, 0], [0, 3, 0], [0, 0, 3]]);
    let refused = smuggle(empty)?;
    check(refused["state"] == "excepted" && refused.to_string().contains("its cell has no volume"), || {
        format!("{refused:#}")
    })?;
    ferry.all_ended(LIMIT)
}

fn every_kind_of_process_takes_and_gives_structures() -> Result {
    let ferry = with_plugin("twin_file")?;
    let cif = write(&ferry, "salt.cif", CIF)?;
    let function = done(&ferry, &["types.grow", &file("structure", &cif), "factor=2"])?;
    let node = format!("@{}", id(&function["outputs"]["result"]));
    let job = done(&ferry, &["types.pass", &format!("structure={node}"), &file("more.a", &cif)])?;
    check(job["outputs"]["structure"]["value"]["cell"][0][0] == 8.0, || format!("{job:#}"))?;
    let flow = done(&ferry, &["types.twice", &format!("structure={node}"), "factor=0.5"])?;
    check(flow["outputs"]["result"]["value"]["cell"][0][0] == 2.0, || format!("{flow:#}"))?;
    let chain = done(&ferry, &["types.chain", &format!("structure={node}"), &format!("spare={node}")])?;
    let frames = &chain["outputs"]["frames"];
    check(frames["type"] == "core.trajectory", || format!("{chain:#}"))?;
    let many = done(
        &ferry,
        &[
            "types.together",
            &format!("structures.a={node}"),
            &file("structures.b", &cif),
            &file("spare", &cif),
        ],
    );
    // Frames with different cells are fine; frames with other atoms would not be.
    let many = many?;
    check(many["outputs"]["volumes.a"]["value"] == 640.0, || format!("{many:#}"))?;
    let xyz = ferry.ok(&["node", "export", &id(frames), "--format", "xyz"])?;
    check(xyz.matches("Lattice=").count() == 2, || xyz.clone())
}

fn arrays_may_hold_nan_and_bodies_may_not() -> Result {
    let ferry = with_plugin("twin_file")?;
    let mesh = write(&ferry, "mesh.json", r#"{"mesh": {"divisions": [2, 1, 1]}}"#)?;
    let bands = done(&ferry, &["types.flat_bands", &file("mesh", &mesh)])?;
    let node = id(&bands["outputs"]["result"]);
    let dir = ferry.scratch().join("bands");
    ferry.ok(&["node", "export", &node, "-o", text(&dir)])?;
    let npy = dir.join("bands.npy");
    let counted = done(&ferry, &["types.holes", &file("array", &npy)])?;
    check(counted["outputs"]["result"]["value"] == json!({"array": 4}), || format!("{counted:#}"))?;
    // The base type is written and read without any plugin.
    let array = counted["inputs"]["array"].clone();
    check(array["value"]["arrays"]["default"] == json!({"dtype": "<f8", "shape": [2, 2]}), || {
        format!("{array:#}")
    })?;
    let copy = ferry.scratch().join("copy.npy");
    ferry.ok(&["node", "export", &id(&array), "-o", text(&copy)])?;
    check(fs::read(&copy).ok() == fs::read(&npy).ok(), || "the array has changed".into())?;
    let broken = write(&ferry, "broken.npy", "no array")?;
    ferry
        .ferry(&["submit", "types.holes", &file("array", &broken)])?
        .expect(2)?
        .says(&["broken.npy", "no .npy file"])?;
    let nan = write(&ferry, "nan.yaml", "mesh: {mesh: {divisions: [1, 1, 1], offset: [.nan, 0, 0]}}")?;
    ferry
        .ferry(&["submit", "types.flat_bands", "--inputs", text(&nan)])?
        .expect(2)?
        .says(&["nan.yaml", "non-finite float"])
        .map(drop)
}

fn a_node_of_an_older_version_is_read_and_stays_as_it_is() -> Result {
    let ferry = with_plugin("molecules_v1")?;
    let made = done(&ferry, &["molecules.spell", "word=HOH"])?;
    let node = id(&made["outputs"]["result"]);
    let by_first = done(&ferry, &["molecules.tell", &format!("molecule=@{node}")])?;
    check(by_first["outputs"]["result"]["value"] == "HOH with 100000 bytes of notes", || {
        format!("{by_first:#}")
    })?;
    let stored = || ferry.json(&["node", "show", &node]);
    let before = stored()?;
    ferry.ok(&["plugin", "install", text(&plugin("molecules_v2")?)])?;
    let shown = ferry.ok(&["plugin", "show", "molecules.molecule"])?;
    check(shown.contains("version 2") && shown.contains("older versions  1"), || shown.clone())?;
    let by_second = done(&ferry, &["molecules.tell", &format!("molecule=@{node}")])?;
    check(by_second["outputs"]["result"]["value"] == "H2 O1, charge 0, with 100000 bytes of notes", || {
        format!("{by_second:#}")
    })?;
    check(ferry.ok(&["node", "export", &node, "--format", "mol"])? == "H2 O1", || "not upgraded".into())?;
    let after = stored()?;
    check(before["value"] == json!({"_version": 1, "atoms": ["H", "O", "H"]}), || format!("{before:#}"))?;
    check(before["value"] == after["value"] && before["files"] == after["files"], || format!("{after:#}"))?;
    // A handwritten body without a version is of the newest; one with an older version is upgraded.
    let tell = |body: &str| {
        let path = write(&ferry, "body.json", body)?;
        ferry.ferry(&["submit", "molecules.tell", &file("molecule", &path)])
    };
    tell(r#"{"counts": {"H": 1}}"#)?.expect(2)?.says(&["`charge` is missing"])?;
    tell(r#"{"counts": {"H": 0}, "charge": 0}"#)?.expect(2)?.says(&["no file `notes.txt`"])?;
    tell(r#"{"_version": 1, "molecules": []}"#)?.expect(2)?.says(&["from version 1"])?;
    // The first plugin does not know what the second one writes.
    let mol = write(&ferry, "water.mol", "H O H")?;
    let read = done(&ferry, &["molecules.tell", &file("molecule", &mol)])?;
    let newer = id(&read["inputs"]["molecule"]);
    ferry.ok(&["plugin", "install", text(&plugin("molecules_v1")?)])?;
    ferry
        .ferry(&["submit", "molecules.tell", &format!("molecule=@{newer}")])?
        .expect(2)?
        .says(&["molecule: ", "version 2 of `molecules.molecule`", "up to 1"])
        .map(drop)
}

fn two_plugins_declare_one_type_if_they_mean_the_same() -> Result {
    let ferry = started()?;
    let rival = || ferry.ferry(&["plugin", "install", text(&plugin("rival")?)])?.expect(1);
    let taken = "version 1 of the data type `core.structure`";
    rival()?.says(&[taken, "plugin data (", "plugin rival (", "a new `version`"])?;
    ferry.ok(&["plugin", "install", text(&plugin("twin_file")?)])?;
    rival()?.says(&[taken])?;
    let declared = ferry.json(&["plugin", "types"])?;
    let structures: Vec<&Value> =
        declared.as_array().into_iter().flatten().filter(|each| each["name"] == "core.structure").collect();
    check(structures.len() == 2, || format!("{declared:#}"))?;
    check(structures[0]["schema_digest"] == structures[1]["schema_digest"], || format!("{declared:#}"))?;
    let listed = ferry.json(&["plugin", "list"])?;
    check(!listed.to_string().contains("rival"), || format!("{listed:#}"))
}

fn a_type_without_its_plugin_is_listed_drawn_queried_and_exported() -> Result {
    let ferry = with_plugin("molecules_v1")?;
    let made = done(&ferry, &["molecules.spell", "word=CO"])?;
    let node = id(&made["outputs"]["result"]);
    ferry.ok(&["plugin", "remove", "molecules"])?;
    let shown = ferry.json(&["node", "show", &node])?;
    check(shown["value"]["atoms"] == json!(["C", "O"]), || format!("{shown:#}"))?;
    let list = [
        "node",
        "list",
        "-T",
        "molecules.*",
        "--where",
        "attributes.atoms.1=O",
        "-P",
        "id,attributes._version",
    ];
    let rows = ferry.json(&list)?;
    check(rows == json!([{"id": made["outputs"]["result"]["id"], "attributes._version": 1}]), || {
        format!("{rows:#}")
    })?;
    let dot = ferry.ok(&["node", "graph", "generate", &node, "-f", "dot", "--stdout"])?;
    check(dot.contains("molecules.molecule"), || dot.clone())?;
    // As JSON with its files it needs no plugin; in the plugin's own format it does, and the message mentions
    // it.
    ferry.ferry(&["node", "export", &node])?.expect(2)?.says(&["has files", "-o DIR"])?;
    let dir = ferry.scratch().join("out");
    ferry.ok(&["node", "export", &node, "-o", text(&dir)])?;
    let document: Value =
        serde_json::from_str(&read(&dir.join(format!("{node}.json")))?).map_err(|e| e.to_string())?;
    check(
        document["type"] == "molecules.molecule"
            && document["version"] == 1
            && document["value"]["atoms"] == json!(["C", "O"])
            && document["files"] == json!(["notes.txt"]),
        || format!("{document:#}"),
    )?;
    check(read(&dir.join("notes.txt"))?.len() == 100_000, || "the file is not whole".into())?;
    ferry
        .ferry(&["node", "export", &node, "--format", "mol"])?
        .expect(1)?
        .says(&["no plugin that is here knows `molecules.molecule`", "--format json"])?;
    // With the plugin back it is read again.
    ferry.ok(&["plugin", "install", text(&plugin("molecules_v1")?)])?;
    check(ferry.ok(&["node", "export", &node, "--format", "mol"])? == "C O", || "not written".into())
}

fn data_of_equal_content_is_taken_over_from_the_cache() -> Result {
    let ferry = started()?;
    ferry.ok(&["config", "set", "caching.default_enabled", "true"])?;
    let cif = write(&ferry, "salt.cif", CIF)?;
    let first = done(&ferry, &["data.rescale", &file("structure", &cif), "factor=2"])?;
    let second = done(&ferry, &["data.rescale", &file("structure", &cif), "factor=2"])?;
    check(second["cached_from"] == first["id"] || second["cached_from"] == first["uuid"], || {
        format!("{second:#}")
    })?;
    check(second["outputs"]["result"]["value"] == first["outputs"]["result"]["value"], || {
        format!("{second:#}")
    })
}
