//! `ferry code`: programs on computers. A code is a data node, immutable as any other.

use clap::Subcommand;
use ferry_engine::{
    process::find_type,
    runner::{Request, Response},
    store::{Node, Reader},
};
use ferry_plugin_proto::{Value, to_value};
use serde_json::json;

use crate::{
    config_file::{Accepted, Flags, Key, Keys, Shape, Values, Wanted, complete},
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
};

/// The words of `ferry code`.
#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Make a code known, from a file, flags or answers
    Create {
        /// AiiDA's word for the kind of code; ferry knows `core.code.installed`
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
            "Absolute path there, or a name in PATH",
        )
        .short('X'),
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
    ("on_computer", "every code is on a computer"),
    ("hidden", "ferry hides no codes"),
    ("wrap_cmdline_params", "arguments are quoted as they are"),
    ("user", "a profile has one user"),
    ("uuid", "a code gets a uuid of its own"),
];

/// Runs a command of this group.
///
/// # Errors
/// What the command can't do.
pub(crate) async fn run(session: &Session, command: CodeCommand) -> Result {
    match command {
        CodeCommand::Create { kind, flags } => create(session, kind.as_deref(), &flags).await,
        CodeCommand::List => list(session).await,
        CodeCommand::Show { name } => show(session, &name).await,
    }
}

async fn create(session: &Session, kind: Option<&str>, flags: &Flags<CodeKeys>) -> Result {
    if let Some(kind) = kind.filter(|kind| !matches!(*kind, "core.code.installed" | "installed")) {
        return Err(Failure::usage(format!("there are no codes of the kind `{kind}`"))
            .help("leave the word away, or write core.code.installed"));
    }
    let names: Vec<_> = CodeKeys::KEYS.iter().map(|key| key.name).collect();
    let mut values = flags.values(&Accepted { names: &names, unused: UNUSED }).await?;
    complete(&mut values, &wanted(), flags.ask(session))?;
    let reader = session.reader().await?;
    check(&reader, &values)?;
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (label, computer) = (text("label"), text("computer"));
    let request = Request::Data {
        data_type: "code".into(),
        label: label.clone(),
        description: text("description"),
        value: to_value(&values).map_err(Failure::new)?,
        files: Vec::new(),
        computer: Some(computer.clone()),
    };
    match session.call(request).await?.0 {
        Response::Node(node) if session.format == Format::Json => {
            output::json(&json!({"id": node.id, "uuid": node.uuid}))
        }
        Response::Node(node) => output::line(format!("code `{label}@{computer}` is node {}", node.id)),
        other => Err(Failure::new(format!("unexpected answer: {other:?}"))),
    }
}

fn wanted() -> Vec<Wanted> {
    let want = |key: &Key| match key.name {
        "label" | "filepath_executable" => Some(Wanted { key: *key, default: None, required: true }),
        "computer" => Some(Wanted { key: *key, default: Some("localhost".into()), required: true }),
        "description" | "default_calc_job_plugin" => {
            Some(Wanted { key: *key, default: None, required: false })
        }
        _ => None,
    };
    CodeKeys::KEYS.iter().filter_map(want).collect()
}

fn check(reader: &Reader, values: &Values) -> Result {
    let text = |name: &str| values.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let (label, computer) = (text("label"), text("computer"));
    reader.computer(computer).map_err(|error| Failure { status: 2, ..error.into() })?;
    if label.is_empty() || label.contains(|c: char| c.is_whitespace() || c == '@') {
        return Err(Failure::usage(format!("label: `{label}` is empty or has a blank or an `@` in it")));
    }
    check_executable(text("filepath_executable"))?;
    let same = |code: &Node| code.label == label && code.computer.as_deref() == Some(computer);
    if let Some(code) = reader.codes()?.into_iter().find(same) {
        return Err(Failure::new(format!("there is a code `{label}@{computer}` already: node {}", code.id))
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
    let names = ["id", "uuid", "created"].into_iter().chain(CodeKeys::KEYS.iter().map(|key| key.name));
    let said = |name: &'static str| match shown.get(name)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => (!text.is_empty()).then(|| (name, text.clone())),
        other => Some((name, other.to_string())),
    };
    output::details(names.filter_map(said))
}

fn full_label(code: &Node) -> String {
    format!("{}@{}", code.label, code.computer.as_deref().unwrap_or_default())
}

fn body(code: &Node, key: &str) -> String {
    code.body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Everything about a code, its settings under the names that files use.
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
