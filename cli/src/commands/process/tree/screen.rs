//! A picture that is drawn over, line by line, on a terminal: cut to its width, and folded to its height.

use std::collections::BTreeMap;

use console::{Term, measure_text_width, style, truncate_str};
use ferry_engine::process::State;

use super::Row;
use crate::{error::Result, output};

/// A terminal, and what was drawn there.
pub(super) struct Screen {
    term: Term,
    /// Widths of the lines of the last picture.
    drawn: Vec<usize>,
    colour: bool,
}

impl Screen {
    /// Returns the terminal at stdout; `None` if there is none, or one that can't be drawn over.
    pub(super) fn new() -> Option<Screen> {
        let term = Term::stdout();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        (term.is_term() && !is_dumb).then(|| Screen { term, drawn: Vec::new(), colour: output::colour() })
    }

    /// Draws as much of some trees as there is room for. `picture` makes them, with more or fewer lines of what is over.
    pub(super) fn draw(&mut self, picture: impl Fn(usize) -> Vec<Vec<Row>>) -> Result {
        let (height, width) = self.term.size();
        // The cursor is below the picture.
        let room = usize::from(height).saturating_sub(1).max(1);
        self.put(&fitted(picture, room), usize::from(width))
    }

    /// Draws the last picture, which stays: all of it, with whole lines.
    pub(super) fn end(&mut self, rows: &[Row]) -> Result {
        self.put(rows, usize::MAX)
    }

    /// Draws a picture in one write, so that nothing flickers.
    fn put(&mut self, rows: &[Row], width: usize) -> Result {
        let now = usize::from(self.term.size().1).max(1);
        // A terminal that has become narrower since has wrapped what was drawn.
        let up: usize = self.drawn.iter().map(|drawn| drawn.div_ceil(now).max(1)).sum();
        let mut bytes = match up {
            0 => String::new(),
            up => format!("\x1b[{up}A\r"),
        };
        self.drawn.clear();
        for row in rows {
            let text = truncate_str(&row.text, width, "…");
            // Before the text: at the end of a full line the last character would go with it.
            bytes += "\x1b[2K";
            self.drawn.push(measure_text_width(&text));
            bytes += &if self.colour { coloured(row, &text) } else { text.into_owned() };
            bytes += "\n";
        }
        bytes += "\x1b[J";
        output::bytes(bytes.as_bytes())
    }
}

/// Returns the picture that fits: whole, or without most of the ended processes, or cut. Each tree that is
/// cut has a line that counts the rest.
fn fitted(picture: impl Fn(usize) -> Vec<Vec<Row>>, room: usize) -> Vec<Row> {
    const FEW: usize = 2;
    let lines = |trees: &[Vec<Row>]| trees.iter().map(Vec::len).sum::<usize>();
    let mut trees = picture(usize::MAX);
    if lines(&trees) > room {
        trees = picture(FEW);
    }
    if lines(&trees) > room {
        let most = share(&trees, room);
        trees.iter_mut().for_each(|tree| cut(tree, most));
    }
    let mut rows: Vec<Row> = trees.into_iter().flatten().collect();
    // More trees than lines.
    cut(&mut rows, room);
    rows
}

/// Returns the number of lines that each tree may have, so that small ones are whole and large ones have
/// equal shares.
fn share(trees: &[Vec<Row>], room: usize) -> usize {
    let mut sizes: Vec<usize> = trees.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    let (mut left, mut count) = (room, sizes.len());
    for size in sizes {
        if size * count > left {
            break;
        }
        (left, count) = (left - size, count - 1);
    }
    (left / count.max(1)).max(1)
}

fn cut(rows: &mut Vec<Row>, most: usize) {
    if rows.len() > most {
        let rest = rows.split_off(most.saturating_sub(1));
        rows.push(rest_of(&rest));
    }
}

fn rest_of(rest: &[Row]) -> Row {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rest.iter().filter(|row| row.id.is_some()) {
        *states.entry(row.state.as_str()).or_default() += 1;
    }
    let counted: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let is_fine = rest.iter().all(|row| row.is_fine);
    let text = format!("… {} more lines: {}", rest.len(), counted.join(", "));
    Row { text, id: None, state: State::Waiting, is_fine }
}

/// Colours a row: green for success, red for problems, yellow for waiting processes.
fn coloured(row: &Row, text: &str) -> String {
    let styled = style(text).force_styling(true);
    match row.state {
        _ if !row.is_fine => styled.red().to_string(),
        State::Finished => styled.green().to_string(),
        State::Waiting => styled.yellow().to_string(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ferry_engine::store::NodeId;

    use super::*;

    fn picture(over: usize, live: usize) -> impl Fn(usize) -> Vec<Vec<Row>> {
        let row = |text: String, state| Row { text, id: Some(NodeId(1)), state, is_fine: true };
        move |most| {
            let mut rows = vec![row("root".into(), State::Waiting)];
            let folds = over > most;
            let fine = if folds { 1 } else { over };
            rows.extend((0..fine).map(|at| row(format!("fine {at}"), State::Finished)));
            rows.extend((0..live).map(|at| row(format!("live {at}"), State::Running)));
            vec![rows]
        }
    }

    fn check(over: usize, live: usize, room: usize, lines: usize, last: &str) {
        let rows = fitted(picture(over, live), room);
        assert_eq!((rows.len(), rows.last().map(|row| row.text.as_str())), (lines, Some(last)));
    }

    #[test]
    fn a_picture_is_folded_before_it_is_cut() {
        check(20, 3, 30, 24, "live 2");
        check(20, 3, 10, 5, "live 2");
        check(20, 30, 10, 10, "… 23 more lines: 23 running");
        check(0, 30, 1, 1, "… 31 more lines: 30 running, 1 waiting");
    }

    #[test]
    fn trees_share_the_room() {
        let trees = |most| [picture(0, 30)(most), picture(0, 2)(most), picture(0, 30)(most)].concat();
        let rows = fitted(trees, 15);
        let lines: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(lines.len(), 15);
        assert_eq!(lines.iter().filter(|line| **line == "root").count(), 3);
        assert_eq!(lines[5..9], ["… 26 more lines: 26 running", "root", "live 0", "live 1"]);
        assert_eq!(fitted(trees, 2).len(), 2);
    }
}
