//! Trees as they change, until all of them have ended. They are read from the store again and again, which
//! disturbs no other program.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ferry_engine::store::{Lock, NodeId, Process, Reader};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{Tree, read, rows, screen::Screen};
use crate::{
    commands::process::watch,
    error::Result,
    output::{self, Format},
    session::Session,
    view::{self, Explainer},
};

/// Minimum interval between two looks at the store.
const LOOK: Duration = Duration::from_millis(200);
/// Divisor of the time that may be spent on reading. Large trees take a while to read.
const SHARE: u32 = 5;

/// Follows trees to their end.
pub(super) async fn follow(session: &Session, reader: &Reader, mut roots: Vec<Process>) -> Result {
    if roots.iter().any(|root| !root.state.is_terminal()) && Lock::holder(&session.paths().lock()).is_none() {
        output::note("no daemon is running, so nothing changes until `ferry daemon start`");
    }
    let mut shown = match (session.format, Screen::new()) {
        (Format::Table, Some(screen)) => Shown::Screen(screen),
        (format, _) => Shown::Lines { format, told: BTreeMap::new() },
    };
    loop {
        let begun = Instant::now();
        let trees: Vec<Tree> = roots.iter().map(|root| read(reader, root.clone())).collect::<Result<_>>()?;
        let has_ended = trees.iter().all(Tree::has_ended);
        shown.show(reader, &trees, has_ended)?;
        if has_ended {
            return Ok(());
        }
        sleep(LOOK.max(begun.elapsed() * SHARE)).await;
        output::check_reader();
        for root in &mut roots {
            *root = reader.process(root.id)?;
        }
    }
}

/// The place where the trees are shown.
enum Shown {
    /// Drawn over, again and again.
    Screen(Screen),
    /// A line for each change. `told` has the last printed line of each process.
    Lines { format: Format, told: BTreeMap<NodeId, String> },
}

impl Shown {
    fn show(&mut self, reader: &Reader, trees: &[Tree], has_ended: bool) -> Result {
        let explainer = Explainer::new(reader)?;
        match self {
            Shown::Screen(screen) if has_ended => screen.end(&rows(&explainer, trees, usize::MAX).concat()),
            Shown::Screen(screen) => screen.draw(|most| rows(&explainer, trees, most)),
            Shown::Lines { format, told } => {
                trees.iter().try_for_each(|tree| tell(&explainer, *format, tree, None, told))
            }
        }
    }
}

/// Prints the changes of a tree: callers before the processes they called.
fn tell(
    explainer: &Explainer,
    format: Format,
    tree: &Tree,
    caller: Option<NodeId>,
    told: &mut BTreeMap<NodeId, String>,
) -> Result {
    let process = &tree.process;
    let status = explainer.status(process);
    let facts = format!("{} {:?} {:?}", view::state(process), status, process.scheduler_state());
    if told.get(&process.id) != Some(&facts) {
        match format {
            Format::Json => {
                let mut value = watch::json(process, status);
                value["process_type"] = process.process_type.as_str().into();
                value["label"] = process.label.as_str().into();
                value["caller"] = caller.map_or(serde_json::Value::Null, |caller| caller.0.into());
                output::json_line(&value)?;
            }
            Format::Table => {
                output::line(format!(
                    "{} {}",
                    view::time(Timestamp::now()),
                    super::told(explainer, process)
                ))?;
            }
        }
        told.insert(process.id, facts);
    }
    tree.called.iter().try_for_each(|child| tell(explainer, format, child, Some(process.id), told))
}
