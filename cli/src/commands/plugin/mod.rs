//! `ferry plugin`: the files that bring process types, and what the types take and give.

mod data;
mod interface;
mod spec;

use std::path::Path;

use clap::Subcommand;
use ferry_engine::{
    process::find_type,
    rpc::{Request, Response},
    store::{PluginRow, Reader},
};
use ferry_plugin_proto::MonitorType;
use serde_json::{Value, json};

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    words::suggestion,
};

/// The words of `ferry plugin`.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List the process types and the plugins they come from
    List {
        /// Also plugins that were replaced or removed
        #[arg(short, long)]
        all: bool,
    },
    /// List the data types that plugins declare, and the files that they are read from and written to
    Types,
    /// Show what a process type takes and gives, how a data type looks, or the facts of a plugin
    Show {
        /// A process type, a data type or a plugin
        #[arg(value_name = "TYPE|PLUGIN")]
        name: String,
    },
    /// Write what a process type takes and gives, for plugins that call it without its crate
    #[command(after_help = "The author of such a plugin keeps the file in their crate:\n  \
        ferry plugin interface qe.pw > interfaces/qe.pw.json\n  \
        ferry_plugin::interface!(\"interfaces/qe.pw.json\");")]
    Interface {
        /// The process type
        #[arg(value_name = "TYPE")]
        name: String,
    },
    /// Check a plugin file, keep a copy of it, and offer its types
    Install {
        /// The file (lib*.so)
        path: std::path::PathBuf,
    },
    /// Offer the types of an installed plugin no more
    Remove {
        /// Its name
        name: String,
    },
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: PluginCommand) -> Result {
    match command {
        PluginCommand::List { all } => list(session, all).await,
        PluginCommand::Types => data::list(session).await,
        PluginCommand::Show { name } => show(session, &name).await,
        PluginCommand::Interface { name } => interface::write(session, &name).await,
        PluginCommand::Install { path } => install(session, &path).await,
        PluginCommand::Remove { name } => remove(session, name).await,
    }
}

async fn list(session: &Session, all: bool) -> Result {
    let plugins = session.reader().await?.plugins()?;
    let shown: Vec<_> = plugins.iter().filter(|plugin| all || is_offered(plugin, &plugins)).collect();
    if session.format == Format::Json {
        return output::json(&shown.iter().map(|plugin| to_json(plugin, &plugins)).collect());
    }
    let rows = shown.iter().flat_map(|plugin| {
        let types = plugin.manifest.types.iter();
        let types = types.map(|offered| (&offered.name, offered.kind.as_str(), &offered.doc));
        let monitors = plugin.manifest.monitors.iter();
        let monitors = monitors.map(|monitor| (&monitor.name, "monitor", &monitor.doc));
        types.chain(monitors).map(|(name, kind, doc)| {
            vec![
                name.clone(),
                kind.to_owned(),
                format!("{} {}", plugin.name, plugin.version),
                standing(plugin, &plugins).to_owned(),
                short(&plugin.digest).to_owned(),
                summary(doc).to_owned(),
            ]
        })
    });
    output::table(&["type", "kind", "plugin", "from", "digest", "summary"], rows)
}

/// Returns whether the plugin is offered. An installed plugin takes precedence over the bundled one of its
/// name.
fn is_offered(plugin: &PluginRow, all: &[PluginRow]) -> bool {
    let replaced =
        plugin.bundled && all.iter().any(|other| other.active && !other.bundled && other.name == plugin.name);
    plugin.active && !replaced
}

fn standing(plugin: &PluginRow, all: &[PluginRow]) -> &'static str {
    match (is_offered(plugin, all), plugin.bundled) {
        (true, true) => "bundled",
        (true, false) => "installed",
        (false, true) => "replaced",
        (false, false) => "removed",
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn summary(doc: &str) -> &str {
    doc.lines().next().unwrap_or_default()
}

fn to_json(plugin: &PluginRow, all: &[PluginRow]) -> Value {
    let types = plugin.manifest.types.iter();
    json!({
        "name": plugin.name,
        "version": plugin.version,
        "description": plugin.manifest.description,
        "digest": plugin.digest,
        "from": standing(plugin, all),
        "bundled": plugin.bundled,
        "active": is_offered(plugin, all),
        "origin": plugin.origin,
        "installed": plugin.installed.to_string(),
        "facts": plugin.facts,
        "calls": plugin.manifest.interfaces.iter().map(|needed| json!({
            "name": needed.process_type.name,
            "plugin": needed.plugin,
            "version": needed.version,
        })).collect::<Value>(),
        "types": types.map(|offered| json!({
            "name": offered.name,
            "kind": offered.kind.as_str(),
            "summary": summary(&offered.doc),
            "aliases": offered.aliases,
        })).collect::<Value>(),
        "data_types": data_types(plugin),
    })
}

/// Returns name and version of the data types that it declares.
fn data_types(plugin: &PluginRow) -> Vec<String> {
    plugin
        .manifest
        .data_types
        .iter()
        .map(|each| format!("{} (version {})", each.name, each.version))
        .collect()
}

async fn show(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    match find_type(&reader, name) {
        Ok((plugin, offered)) => spec::show(session, &plugin, &offered),
        Err(problem) => match (find_plugin(&reader, name)?, find_monitor(&reader, name)?) {
            (Some(plugin), _) => show_plugin(session, &plugin, &reader.plugins()?),
            (None, Some((plugin, monitor))) => spec::show_monitor(session, &plugin, &monitor),
            (None, None) => match data::find(&reader, name)?.as_slice() {
                [] => Err(unknown(&reader, name, problem)?),
                declared => data::show(session, declared),
            },
        },
    }
}

/// Finds a monitor by its name or an alias.
fn find_monitor(reader: &Reader, name: &str) -> Result<Option<(PluginRow, MonitorType)>> {
    let plugins = reader.plugins()?;
    let fits =
        |monitor: &&MonitorType| monitor.name == name || monitor.aliases.iter().any(|alias| alias == name);
    let offered = plugins.iter().filter(|plugin| is_offered(plugin, &plugins));
    let found = offered.filter_map(|plugin| Some((plugin, plugin.manifest.monitors.iter().find(fits)?)));
    Ok(found.map(|(plugin, monitor)| (plugin.clone(), monitor.clone())).next())
}

/// Finds a plugin by name, or by the beginning of its digest.
fn find_plugin(reader: &Reader, name: &str) -> Result<Option<PluginRow>> {
    let plugins = reader.plugins()?;
    let by_name = plugins.iter().find(|plugin| plugin.name == name && is_offered(plugin, &plugins));
    let named = by_name.or_else(|| plugins.iter().find(|plugin| plugin.name == name));
    let by_digest = || plugins.iter().find(|plugin| name.len() >= 6 && plugin.digest.starts_with(name));
    Ok(named.or_else(by_digest).cloned())
}

fn unknown(reader: &Reader, name: &str, problem: String) -> Result<Failure> {
    let plugins = reader.plugins()?;
    if name.contains('.') || plugins.is_empty() {
        return Ok(Failure::new(problem));
    }
    let hint = suggestion(name, plugins.iter().map(|plugin| plugin.name.as_str()));
    Ok(Failure::new(format!("no process type or plugin is called `{name}`")).help(hint))
}

fn show_plugin(session: &Session, plugin: &PluginRow, all: &[PluginRow]) -> Result {
    let shown = to_json(plugin, all);
    if session.format == Format::Json {
        return output::json(&shown);
    }
    let types: Vec<_> = plugin
        .manifest
        .types
        .iter()
        .map(|offered| format!("{} ({})", offered.name, offered.kind.as_str()))
        .collect();
    let calls: Vec<_> = plugin
        .manifest
        .interfaces
        .iter()
        .map(|needed| format!("{} (as of {} {})", needed.process_type.name, needed.plugin, needed.version))
        .collect();
    // Facts that are no text are for programs.
    let facts = plugin.facts.as_object().into_iter().flatten();
    let facts = facts.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?.to_owned())));
    let fields = [
        ("name", plugin.name.clone()),
        ("version", plugin.version.clone()),
        ("description", plugin.manifest.description.clone()),
        ("from", standing(plugin, all).to_owned()),
        ("origin", plugin.origin.clone()),
        ("digest", plugin.digest.clone()),
        ("installed", plugin.installed.to_string()),
        ("types", types.join("\n")),
        ("data types", data_types(plugin).join("\n")),
        ("calls", calls.join("\n")),
    ];
    let is_rare = |name: &str| ["data types", "calls"].contains(&name);
    let fields = fields.into_iter().filter(|(name, text)| !is_rare(name) || !text.is_empty());
    output::details(fields.chain(facts))
}

async fn install(session: &Session, path: &Path) -> Result {
    let absolute = path.canonicalize().map_err(|error| {
        Failure::new(format!("{}: {error}", path.display())).help("give the path of a plugin file (lib*.so)")
    })?;
    let path = absolute.to_str().ok_or_else(|| {
        Failure::usage(format!("{}: the path is not UTF-8", absolute.display()))
            .help("copy the file elsewhere")
    })?;
    let (response, _) = session.call(Request::InstallPlugin { path: path.to_owned() }).await?;
    let Response::Plugin { digest, name, version, types, unchanged } = response else {
        return Err(Failure::new(format!("unexpected answer: {response:?}")));
    };
    if session.format == Format::Json {
        let shown = json!({
            "name": name, "version": version, "digest": digest, "types": types, "unchanged": unchanged,
        });
        return output::json(&shown);
    }
    let done = if unchanged { "is installed already, unchanged" } else { "installed" };
    output::line(format!("{name} {version} {done} ({})", short(&digest)))?;
    types.iter().try_for_each(|offered| output::line(format!("  {offered}")))
}

async fn remove(session: &Session, name: String) -> Result {
    session.call(Request::RemovePlugin { name: name.clone() }).await?;
    if session.format == Format::Json {
        return output::json(&json!({"name": name, "removed": true}));
    }
    output::line(format!("{name} removed; processes that run on it go on"))
}
