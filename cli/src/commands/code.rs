//! `ferry code`: programs on computers. A code is a data node, immutable as any other.

use std::path::Path;

use clap::Subcommand;
use ferry_engine::{
    node::code,
    node::lend::is_inside,
    process::find_type,
    rpc::{Request, Response},
    scheduler::{Schedulers, Texts},
    store::{FileContent, Node, Reader},
};
use ferry_plugin_proto::{Value, to_value};
use serde_json::json;

use crate::{
    commands::computer::keys::is_label,
    config_file::{Accepted, Flags, Key, Keys, Shape, Values, Wanted, complete},
    error::{Failure, Result},
    inputs,
    output::{self, Format},
    session::Session,
};

/// The words of `ferry code`.
#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Make a code known, from a file, flags or answers
    Create {
        /// AiiDA's word for the kind of code: core.code.installed, core.code.portable or core.code.containerized
        #[arg(value_name = "KIND")]
        kind: Option<String>,
        #[command(flatten)]
        flags: Flags<CodeKeys>,
    },
    /// List the codes
    List,
    /// Show a code
    Show {
        /// LABEL or LABEL@COMPUTER, or the node's id or uuid
        #[arg(value_name = "CODE")]
        name: String,
    },
}

/// Keys of `code create`.
#[derive(Debug, Clone)]
pub(crate) struct CodeKeys;

impl Keys for CodeKeys {
    const KEYS: &'static [Key] = &[
        Key::new("label", "label", Shape::Text, "Name; with the computer's it names the code").short('L'),
        Key::new("description", "description", Shape::Text, "A few words for people").short('D'),
        Key::new("computer", "computer", Shape::Text, "Computer it is on").short('Y'),
        Key::new(
            "filepath_executable",
            "filepath-executable",
            Shape::Text,
            "Absolute path there or a name in PATH; of a portable code, its path among the files",
        )
        .short('X'),
        Key::new("filepath_files", "filepath-files", Shape::Text, "Portable: directory of its files, here"),
        Key::new("image_name", "image-name", Shape::Text, "Containerized: name of the image"),
        Key::new(
            "engine_command",
            "engine-command",
            Shape::Words,
            "Containerized: command in front of the program; {image_name} is the image",
        ),
        Key::new(
            "wrap_cmdline_params",
            "wrap-cmdline-params",
            Shape::Truth,
            "Containerized: the program's line is one argument, for an engine command that ends in `sh -c`",
        ),
        Key::new("default_calc_job_plugin", "default-calc-job-plugin", Shape::Text, "Calcjob it is made for")
            .short('P'),
        Key::new("prepend_text", "prepend-text", Shape::Text, "Shell text before the commands of its jobs"),
        Key::new("append_text", "append-text", Shape::Text, "Shell text after the commands of its jobs"),
        Key::new("with_mpi", "with-mpi", Shape::Truth, "Start it with the computer's mpirun_command"),
        Key::new(
            "use_double_quotes",
            "use-double-quotes",
            Shape::Truth,
            "Let the shell expand variables in its arguments",
        ),
    ];
}

/// Keys that AiiDA has and ferry has no use for, with the reason.
const UNUSED: &[(&str, &str)] = &[
    ("input_plugin", "write `default_calc_job_plugin`"),
    ("remote_abs_path", "write `filepath_executable`"),
    ("remote_computer_exec", "write `computer` and `filepath_executable`"),
    ("on_computer", "write `core.code.portable` or `core.code.installed` as the kind"),
    ("code_folder", "write `filepath_files`"),
    ("code_rel_path", "write `filepath_executable`"),
    ("hidden", "ferry hides no codes"),
    ("user", "a profile has one user"),
    ("uuid", "a code gets a uuid of its own"),
];

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: CodeCommand) -> Result {
    match command {
        CodeCommand::Create { kind, flags } => create(session, kind.as_deref(), &flags).await,
        CodeCommand::List => list(session).await,
        CodeCommand::Show { name } => show(session, &name).await,
    }
}

async fn create(session: &Session, kind: Option<&str>, flags: &Flags<CodeKeys>) -> Result {
    let kind = Kind::read(kind)?;
    let names: Vec<_> = CodeKeys::KEYS.iter().map(|key| key.name).collect();
    let mut values = flags.values(&Accepted { names: &names, unused: UNUSED }).await?;
    complete(&mut values, &kind.wanted(), flags.ask(session))?;
    kind.check_keys(&values)?;
    let reader = session.reader().await?;
    check(&reader, kind, &values)?;
    check_directives(session, &reader, kind, &values)?;
    let files = match values.remove("filepath_files") {
        Some(path) => files(&reader, path.as_str().unwrap_or_default(), &values)?,
        None => Vec::new(),
    };
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (label, computer) = (text("label"), kind.computer(&values));
    let description = text("description");
    if kind != Kind::Installed {
        values.insert("kind".into(), kind.word().into());
    }
    let request = Request::Data {
        data_type: "code".into(),
        label: label.clone(),
        description,
        value: to_value(&values).map_err(Failure::new)?,
        files,
        computer: computer.clone(),
    };
    match session.call(request).await?.0 {
        Response::Node(node) if session.format == Format::Json => {
            output::json(&json!({"id": node.id, "uuid": node.uuid}))
        }
        Response::Node(node) => {
            output::line(format!("code `{}` is node {}", name_of(&label, computer.as_deref()), node.id))
        }
        other => Err(Failure::new(format!("unexpected answer: {other:?}"))),
    }
}

/// Refuses what no job of the code's computer may have in its header, and warns about what looks like a directive and
/// is none. The jobs of a portable code are judged when they are launched.
fn check_directives(session: &Session, reader: &Reader, kind: Kind, values: &Values) -> Result {
    let Some(label) = kind.computer(values) else { return Ok(()) };
    let computer = reader.computer(&label)?.config;
    let known = Schedulers::new(session.builder.schedulers.iter().cloned());
    let Ok(scheduler) = known.of(&computer) else { return Ok(()) };
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let texts = Texts { prepend: text("prepend_text"), append: text("append_text"), ..Texts::default() };
    texts.unread(&*scheduler).iter().for_each(output::warn);
    texts.check(&*scheduler).map_err(|error| Failure::usage(format!("prepend_text: {}", error.explained())))
}

/// The kinds of code, by AiiDA's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Installed,
    Portable,
    Containerized,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Installed, Kind::Portable, Kind::Containerized];

    fn word(self) -> &'static str {
        match self {
            Kind::Installed => code::INSTALLED,
            Kind::Portable => code::PORTABLE,
            Kind::Containerized => code::CONTAINERIZED,
        }
    }

    fn read(word: Option<&str>) -> Result<Kind> {
        let Some(word) = word else { return Ok(Kind::Installed) };
        let bare = word.strip_prefix("core.code.").unwrap_or(word);
        Kind::ALL.into_iter().find(|kind| kind.word() == bare).ok_or_else(|| {
            Failure::usage(format!("there are no codes of the kind `{word}`"))
                .help("there are core.code.installed, core.code.portable and core.code.containerized")
        })
    }

    /// Returns the keys that only this kind has.
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Kind::Installed => &["computer"],
            Kind::Portable => &["filepath_files"],
            Kind::Containerized => &["computer", "image_name", "engine_command", "wrap_cmdline_params"],
        }
    }

    fn check_keys(self, values: &Values) -> Result {
        let of_others = Kind::ALL.iter().flat_map(|kind| kind.own_keys());
        let mut wrong = of_others.filter(|key| !self.own_keys().contains(key) && values.contains_key(**key));
        match wrong.next() {
            Some(key) => Err(Failure::usage(format!("{key}: a code of the kind `{}` has none", self.word()))),
            None => Ok(()),
        }
    }

    fn wanted(self) -> Vec<Wanted> {
        let need = |key: &Key, default: Option<&str>| {
            Some(Wanted { key: *key, default: default.map(str::to_owned), required: true })
        };
        let want = |key: &Key| match key.name {
            "label" | "filepath_executable" => need(key, None),
            "computer" if self.own_keys().contains(&key.name) => need(key, Some("localhost")),
            "filepath_files" | "image_name" | "engine_command" if self.own_keys().contains(&key.name) => {
                need(key, None)
            }
            "description" | "default_calc_job_plugin" => {
                Some(Wanted { key: *key, default: None, required: false })
            }
            _ => None,
        };
        CodeKeys::KEYS.iter().filter_map(want).collect()
    }

    /// Returns the computer that it is on; `None` for a portable one.
    fn computer(self, values: &Values) -> Option<String> {
        let label = values.get("computer").and_then(|value| value.as_str()).map(str::to_owned);
        label.filter(|_| self != Kind::Portable)
    }
}

/// Returns the files of a portable code, its program among them.
fn files(reader: &Reader, dir: &str, values: &Values) -> Result<Vec<FileContent>> {
    let mut files = inputs::directory(reader.objects(), Path::new(dir))?;
    let program = values.get("filepath_executable").and_then(|value| value.as_str()).unwrap_or_default();
    match files.iter_mut().find(|file| file.path == program) {
        Some(file) => file.executable = true,
        None => {
            let mut failure =
                Failure::usage(format!("filepath_executable: `{program}` is not in {dir}; there are:"));
            failure.lines.extend(files.iter().map(|file| file.path.clone()));
            return Err(failure);
        }
    }
    Ok(files)
}

fn check(reader: &Reader, kind: Kind, values: &Values) -> Result {
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let (label, computer) = (text("label"), kind.computer(values));
    if let Some(computer) = &computer {
        reader.computer(computer).map_err(|error| Failure { status: 2, ..error.into() })?;
    }
    if !is_label(label) {
        return Err(Failure::usage(format!(
            "label: `{label}` is empty, begins with `-`, or has a blank or an `@` in it"
        )));
    }
    match kind {
        Kind::Portable => check_inside(text("filepath_executable"))?,
        _ => check_executable(text("filepath_executable"))?,
    }
    if kind == Kind::Containerized && !text("engine_command").contains("{image_name}") {
        return Err(Failure::usage(
            "engine_command: it does not say where the image's name goes: `{image_name}`",
        )
        .help("for instance: singularity exec --bind $PWD:$PWD {image_name}"));
    }
    let same = |code: &Node| code.label == label && code.computer == computer;
    if let Some(code) = reader.codes()?.into_iter().find(same) {
        let name = name_of(label, computer.as_deref());
        return Err(Failure::new(format!("there is a code `{name}` already: node {}", code.id))
            .help("codes can't be changed: choose another label"));
    }
    let plugin = text("default_calc_job_plugin");
    if !plugin.is_empty()
        && let Err(problem) = find_type(reader, plugin)
    {
        output::warn(format!("default_calc_job_plugin: {problem}"));
    }
    Ok(())
}

fn check_executable(path: &str) -> Result {
    let bare_name = !path.is_empty() && !path.contains(['/', '\n']);
    if bare_name || (path.starts_with('/') && !path.ends_with('/')) {
        return Ok(());
    }
    Err(Failure::usage(format!("filepath_executable: `{path}` is neither an absolute path nor a bare name"))
        .help("write the whole path as it is on the computer, or a name that is found in its PATH"))
}

fn check_inside(path: &str) -> Result {
    match is_inside(path) {
        true => Ok(()),
        false => {
            Err(Failure::usage(format!("filepath_executable: `{path}` is no path among the code's files"))
                .help("write it relative to `filepath_files`"))
        }
    }
}

/// Returns the name of a code: `LABEL@COMPUTER`, or the label alone for a portable one, which is on no
/// computer.
fn name_of(label: &str, computer: Option<&str>) -> String {
    computer.map_or_else(|| label.to_owned(), |computer| format!("{label}@{computer}"))
}

async fn list(session: &Session) -> Result {
    let codes = session.reader().await?.codes()?;
    if session.format == Format::Json {
        return output::json(&codes.iter().map(to_json).collect());
    }
    let row = |code: &Node| {
        vec![
            code.id.to_string(),
            full_label(code),
            body(code, "filepath_executable"),
            code.description.clone(),
        ]
    };
    output::table(&["id", "code", "executable", "description"], codes.iter().map(row))
}

async fn show(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let code = match reader.find_code(name) {
        Ok(code) => code,
        Err(error) => match reader.find_node(name) {
            Ok(node) if node.node_type == "code" => node,
            _ => return Err(error.into()),
        },
    };
    let shown = to_json(&code);
    if session.format == Format::Json {
        return output::json(&shown);
    }
    let names =
        ["id", "uuid", "created", "kind"].into_iter().chain(CodeKeys::KEYS.iter().map(|key| key.name));
    let said = |name: &'static str| match shown.get(name)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => (!text.is_empty()).then(|| (name, text.clone())),
        other => Some((name, other.to_string())),
    };
    output::details(names.filter_map(said))
}

fn full_label(code: &Node) -> String {
    name_of(&code.label, code.computer.as_deref())
}

fn body(code: &Node, key: &str) -> String {
    code.body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Returns all facts about a code, its settings under the names that files use.
fn to_json(code: &Node) -> serde_json::Value {
    let mut shown = json!({
        "id": code.id,
        "uuid": code.uuid.to_string(),
        "label": code.label,
        "description": code.description,
        "computer": code.computer,
        "full_label": full_label(code),
        "created": code.created.to_string(),
    });
    if let (Some(fields), Ok(serde_json::Value::Object(body))) =
        (shown.as_object_mut(), serde_json::to_value(&code.body))
    {
        for (name, value) in body {
            fields.entry(name).or_insert(value);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::check_executable;

    #[test]
    fn an_executable_is_an_absolute_path_or_a_bare_name() {
        for (path, fits) in
            [("/bin/cat", true), ("cat", true), ("bin/cat", false), ("", false), ("/bin/", false)]
        {
            assert_eq!(check_executable(path).is_ok(), fits, "{path}");
        }
    }
}
