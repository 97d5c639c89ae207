//! `computer setup` and `computer configure`.

use ferry_engine::{
    computer::Computer,
    rpc::Request,
    scheduler::{Scheduler, Texts},
    transport::{Setting, Transports},
};
use serde_json::Value;

use super::{
    keys::{self, ConfigureKeys, SetupKeys},
    known::Known,
};
use crate::{
    config_file::{Accepted, Ask, Flags, Values, Wanted, complete},
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    words::suggestion,
};

/// Sets up a new computer.
pub(super) async fn setup(session: &Session, flags: &Flags<SetupKeys>) -> Result {
    let known = Known::of(&session.builder);
    let names = known.names::<SetupKeys>();
    let mut values = flags.values(&Accepted { names: &names, unused: keys::UNUSED }).await?;
    let wanted = wanted(&values, &known.transports);
    complete(&mut values, &wanted, flags.ask(session))?;
    let computer = build(&known, &Computer::default(), values)?;
    store(session, computer, false).await
}

/// Changes settings of a computer.
pub(super) async fn configure(
    session: &Session,
    names: &[String],
    unset: &[String],
    flags: &Flags<ConfigureKeys>,
) -> Result {
    let known = Known::of(&session.builder);
    let label = names.last().map(String::as_str).unwrap_or_default();
    let mut computer = session.reader().await?.computer(label)?.config;
    if names.len() == 2 && bare(&names[0]) != computer.transport {
        return Err(Failure::usage(format!("computer `{label}` has the transport {}", computer.transport))
            .help(format!("ferry computer configure {} {label} ...", computer.transport)));
    }
    let names_of_keys = known.names::<ConfigureKeys>();
    let mut unused = keys::UNUSED.to_vec();
    unused.extend(["label", "transport"].map(|name| (name, "`computer configure` does not change it")));
    let mut values = flags.values(&Accepted { names: &names_of_keys, unused: &unused }).await?;
    if flags.is_empty() && unset.is_empty() {
        ask_connection(&mut values, &computer, &known.transports, flags.ask(session))?;
    }
    reset(&mut computer, unset, &names_of_keys)?;
    let computer = build(&known, &computer, values)?;
    store(session, computer, true).await
}

async fn store(session: &Session, computer: Computer, replace: bool) -> Result {
    let label = computer.label.clone();
    session.call(Request::Computer { config: Box::new(computer), replace }).await?;
    if session.format == Format::Json {
        return super::show(session, &label).await;
    }
    let done = if replace { "changed" } else { "set up" };
    output::line(format!("computer `{label}` {done}"))?;
    output::note(format!("test it: ferry computer test {label}"));
    Ok(())
}

fn bare(name: &str) -> &str {
    name.strip_prefix("core.").unwrap_or(name)
}

/// Returns the settings that a new computer should have, with ferry's defaults.
fn wanted(values: &Values, transports: &Transports) -> Vec<Wanted> {
    let defaults = Computer::default();
    let is_local = values.get("transport").is_none_or(|name| name.as_str().map(bare) == Some("local"));
    let only = transports.names().first().map(|name| (*name).to_owned());
    let want = |name, required, default| keys::key(name).map(|key| Wanted { key, default, required });
    let list = [
        want("label", true, None),
        want("transport", true, only),
        want("hostname", true, is_local.then(|| "localhost".to_owned())),
        want("description", false, None),
        want("scheduler", true, Some(defaults.scheduler)),
        want("shebang", false, Some(defaults.shebang)),
        want("work_dir", true, None),
        want("mpirun_command", false, None),
        want("mpiprocs_per_machine", false, None),
    ];
    list.into_iter().flatten().collect()
}

fn ask_connection(values: &mut Values, computer: &Computer, transports: &Transports, ask: Ask) -> Result {
    let settings = transports.factory(&computer.transport)?.settings();
    let keys = settings.iter().filter_map(|setting| keys::key(setting.key)).map(|key| Wanted {
        key,
        default: computer
            .connection
            .get(key.name)
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        required: false,
    });
    complete(values, &keys.collect::<Vec<_>>(), ask)?;
    if values.is_empty() {
        return Err(Failure::usage("nothing to change")
            .help("give the keys to change as flags (`--help` lists them), or a file with `--config`"));
    }
    Ok(())
}

fn reset(computer: &mut Computer, unset: &[String], known: &[&str]) -> Result {
    let defaults = serde_json::to_value(Computer::default()).unwrap_or_default();
    let mut values = Values::new();
    for name in unset {
        let name = name.replace('-', "_");
        if !known.contains(&name.as_str()) {
            let hint = suggestion(&name, known.iter().copied());
            return Err(Failure::usage(format!("--unset: no setting is called `{name}`; {hint}")));
        }
        computer.connection.remove(&name);
        computer.scheduler_settings.remove(&name);
        if keys::is_own(&name) {
            values.insert(name.clone(), defaults.get(&name).cloned().unwrap_or(Value::Null));
        }
    }
    *computer = keys::apply(computer, values, &[])?;
    Ok(())
}

/// Refuses what no job of the computer may have in its header. Warns about what looks like a directive and is none.
fn directives(computer: &Computer, scheduler: &dyn Scheduler) -> Option<String> {
    let texts = Texts { prepend: &computer.prepend_text, append: &computer.append_text, ..Texts::default() };
    texts.unread(scheduler).iter().for_each(output::warn);
    texts.check(scheduler).err().map(|error| format!("prepend_text: {}", error.explained()))
}

/// Makes the computer with these values, and checks it as a whole.
fn build(known: &Known, base: &Computer, mut values: Values) -> Result<Computer> {
    let named = |key: &str, base: &str| values.get(key).and_then(Value::as_str).unwrap_or(base).to_owned();
    let transport = named("transport", &base.transport);
    let scheduler = named("scheduler", &base.scheduler);
    let factory =
        known.transports.factory(&transport).map_err(|error| Failure { status: 2, ..error.into() })?;
    // A scheduler that is not known is a problem among the others.
    let scheduler = known.schedulers.factory(&scheduler).map(|scheduler| scheduler.settings());
    let keys = |settings: &[Setting]| settings.iter().map(|setting| setting.key).collect::<Vec<_>>();
    let (reads, of_scheduler) = (keys(factory.settings()), keys(scheduler.unwrap_or_default()));
    values.retain(|name, _| {
        let name = name.as_str();
        let used = keys::is_own(name) || reads.contains(&name) || of_scheduler.contains(&name);
        if !used {
            output::warn(format!("`{name}` is not used by the transport {}", factory.name()));
        }
        used
    });
    let mut computer = keys::apply(base, values, &of_scheduler)?;
    // Those of a scheduler that it had before mean nothing to this one. What both read, both get.
    computer.scheduler_settings.retain(|name, _| of_scheduler.contains(&name.as_str()));
    let shared = computer.scheduler_settings.iter().filter(|(name, _)| reads.contains(&name.as_str()));
    computer.connection.extend(shared.map(|(name, value)| (name.clone(), value.clone())));
    let mut problems = keys::problems(&computer);
    match known.schedulers.of(&computer) {
        Ok(scheduler) => problems.extend(directives(&computer, &*scheduler)),
        Err(error) => problems.push(match error.help_text() {
            Some(help) => format!("scheduler: {error}; {help}"),
            None => format!("scheduler: {error}"),
        }),
    }
    if let Some((first, others)) = problems.split_first() {
        let mut failure = Failure::usage(first);
        failure.lines.extend_from_slice(others);
        return Err(failure);
    }
    factory.check(&computer).map_err(|error| Failure { status: 2, ..error.into() })?;
    Ok(computer)
}
