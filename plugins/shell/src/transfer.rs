//! The calcjob `shell.transfer`: files from here to a computer, from one of its directories to another, and back, without
//! a job. AiiDA's `core.transfer`.

use std::collections::BTreeMap;

use ferry_plugin::{RemotePath, prelude::*, relative_path};

/// Inputs of [`Transfer`].
#[derive(Inputs, Debug, Clone, Default)]
pub struct TransferInputs {
    /// Files and folders to bring to the computer, and directories there to copy from or link to, by the names that
    /// `copy` and `link` use
    pub sources: BTreeMap<String, AnyNode>,
    /// What is copied: a list of [source, path inside it, target]; an empty path is all of it
    pub copy: Option<Json<Vec<Item>>>,
    /// What is linked on the computer: a list of the same
    pub link: Option<Json<Vec<Item>>>,
    /// Paths and globs of what is brought home afterwards, under their whole paths
    pub retrieve: Option<Vec<String>>,
}

/// Source, path inside it, target.
type Item = (String, String, String);

/// Outputs of [`Transfer`]: the engine's own, the directory on the computer and what was brought home.
#[derive(Outputs)]
pub struct TransferOutputs {}

/// Exit codes of [`Transfer`].
#[derive(ExitCodes, Debug)]
pub enum TransferExit {
    /// It was asked for, and not there.
    #[exit(303, "asked for in `retrieve` but not there: {missing}", label = "ERROR_OUTPUT_FILEPATHS_MISSING")]
    FilepathsMissing {
        /// The paths and globs.
        missing: String,
    },
}

/// The calcjob `shell.transfer`.
#[derive(Debug)]
pub struct Transfer;

/// Moves files to a computer, on it, and home again, without a job.
#[calcjob(name = "shell.transfer", alias = "core.transfer", cache_version = 1)]
impl CalcJob for Transfer {
    type Inputs = TransferInputs;
    type Outputs = TransferOutputs;
    type Exit = TransferExit;

    fn validate(inputs: &TransferInputs, bad: &mut Problems) {
        for (port, items) in [("copy", &inputs.copy), ("link", &inputs.link)] {
            for item in items.iter().flat_map(|items| items.iter()) {
                if let Err(message) = check(inputs, item, port == "link") {
                    bad.at(port, message);
                }
            }
        }
        for pattern in inputs.retrieve.iter().flatten() {
            if let Err(message) = relative_path(pattern) {
                bad.at("retrieve", message);
            }
        }
        if inputs.copy.is_none() && inputs.link.is_none() {
            bad.together("nothing to do: give `copy` or `link`, or both");
        }
    }

    fn prepare(inputs: &TransferInputs, job: &mut Job) -> Result {
        for (name, path, target) in inputs.copy.iter().flat_map(|items| items.iter()) {
            let node = inputs.sources.get(name).ok_or_else(|| unknown(inputs, name))?;
            match &*node.data_type {
                "file" => job.copy(&node.get::<SingleFile>()?, target),
                "folder" => job.copy_from(&node.get()?, path, target),
                _ => job.copy_remote(place(node, path)?, target),
            }
        }
        for (name, path, target) in inputs.link.iter().flat_map(|items| items.iter()) {
            let node = inputs.sources.get(name).ok_or_else(|| unknown(inputs, name))?;
            job.symlink(place(node, path)?, target);
        }
        job.retrieve(inputs.retrieve.iter().flatten().map(|pattern| Pattern::from(pattern).whole_path()));
        job.skip_submit();
        Ok(())
    }

    fn parse(inputs: &TransferInputs, run: &Finished, _: &mut TransferOutputsDraft) -> Result {
        let mut missing = Vec::new();
        for pattern in inputs.retrieve.iter().flatten() {
            if run.glob(pattern)?.is_empty() {
                missing.push(pattern.as_str());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(TransferExit::FilepathsMissing { missing: missing.join(", ") })?
    }
}

fn unknown(inputs: &TransferInputs, name: &str) -> String {
    let known: Vec<&str> = inputs.sources.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        format!("they are: {}", known.join(", "))
    };
    format!("`{name}` is not among the sources; {known}")
}

fn check(inputs: &TransferInputs, (name, path, target): &Item, is_link: bool) -> Result<(), String> {
    let node = inputs.sources.get(name).ok_or_else(|| unknown(inputs, name))?;
    match &*node.data_type {
        "remote_folder" => {}
        "file" | "folder" if is_link => {
            return Err(format!(
                "`{name}` is a {}: only what is on the computer can be linked",
                node.data_type
            ));
        }
        "file" | "folder" => {}
        other => return Err(format!("`{name}` is of type `{other}`: give a file, folder or remote_folder")),
    }
    for path in [path, target].into_iter().filter(|path| !matches!(path.as_str(), "" | ".")) {
        relative_path(path)?;
    }
    if target.is_empty() {
        Err(format!("`{name}` has no target; `.` is the directory itself"))
    } else {
        Ok(())
    }
}

/// Returns a directory of the computer, or something in it.
fn place(node: &AnyNode, path: &str) -> Result<RemotePath> {
    let folder: RemoteFolder = node.get()?;
    Ok(folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_plugin::{FileRef, PortType};

    fn node(value: impl PortType) -> AnyNode {
        testing::inputs().with("x", value).into_nodes().remove("x").unwrap().into()
    }

    fn inputs(copy: &[(&str, &str, &str)], link: &[(&str, &str, &str)]) -> TransferInputs {
        let mut folder = Folder::default();
        for name in ["sub/a", "b"] {
            folder.add(name, FileRef::from_bytes(name)).unwrap();
        }
        let items = |items: &[(&str, &str, &str)]| {
            let owned = |(a, b, c): &(&str, &str, &str)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned());
            (!items.is_empty()).then(|| Json(items.iter().map(owned).collect()))
        };
        let sources = [
            ("there", node(testing::remote_folder("/data"))),
            ("folder", node(folder)),
            ("file", node(SingleFile::from_bytes("f.txt", "f").unwrap())),
            ("number", node(1_i64)),
        ];
        TransferInputs {
            sources: sources.map(|(name, node)| (name.to_owned(), node)).into(),
            copy: items(copy),
            link: items(link),
            retrieve: Some(vec!["out/*".into()]),
        }
    }

    #[test]
    fn everything_goes_where_it_was_told() {
        let copy =
            [("folder", "sub", "in"), ("file", "", "f"), ("there", "x/*", "copied"), ("folder", "b", "c")];
        let job = testing::prepare::<Transfer>(inputs(&copy, &[("there", "", "parent")])).description;
        let targets: Vec<&str> = job.files.iter().map(|file| &*file.target).collect();
        assert_eq!(targets, ["in/a", "f", "c"]);
        assert_eq!((&*job.remote_copies[0].path, &*job.remote_copies[0].target), ("x/*", "copied"));
        assert_eq!((&*job.remote_symlinks[0].path, &*job.remote_symlinks[0].target), ("", "parent"));
        assert!(job.skip_submit && job.runs.is_empty());
    }

    #[test]
    fn what_can_t_be_moved_is_told() {
        let said = |copy: &[(&str, &str, &str)], link: &[(&str, &str, &str)]| {
            testing::validate::<Transfer>(&inputs(copy, link)).to_string()
        };
        assert_eq!(said(&[("there", "", ".")], &[]), "");
        assert!(said(&[], &[]).contains("nothing to do"));
        assert!(
            said(&[("gone", "", "x")], &[]).contains("copy: `gone` is not among the sources; they are: file")
        );
        assert!(said(&[], &[("file", "", "x")]).contains("link: `file` is a file"));
        assert!(said(&[("number", "", "x")], &[]).contains("of type `int`"));
        assert!(said(&[("there", "", "../x")], &[]).contains("`../x` is not allowed"));
        assert!(said(&[("there", "", "")], &[]).contains("no target"));
    }
}
