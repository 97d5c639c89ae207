//! Blocks of a CIF file: items by name, and loops, which are tables.

use std::collections::BTreeMap;

use super::lex::{Token, Word, words};

/// One data block.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) name: String,
    pub(super) line: usize,
    items: BTreeMap<String, Value>,
    loops: Vec<Loop>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) line: usize,
    bare: bool,
}

/// One loop: names, and rows of as many values.
#[derive(Debug, Default)]
pub(super) struct Loop {
    pub(super) line: usize,
    names: Vec<String>,
    values: Vec<Value>,
}

/// One row of a loop.
pub(super) struct Row<'a> {
    of: &'a Loop,
    values: &'a [Value],
}

impl Value {
    /// Returns whether the value means "none" (`.`) or "not known" (`?`).
    pub(super) fn is_unknown(&self) -> bool {
        self.bare && matches!(self.text.as_str(), "?" | ".")
    }

    /// Returns the number, without the uncertainty that may follow it in parentheses.
    ///
    /// # Errors
    /// Fails with the line, and the text there.
    pub(super) fn number(&self) -> Result<f64, String> {
        let text = self.text.trim();
        let number = match text.split_once('(') {
            Some((number, rest))
                if rest
                    .strip_suffix(')')
                    .is_some_and(|u| !u.is_empty() && u.bytes().all(|b| b.is_ascii_digit() || b == b'.')) =>
            {
                number
            }
            _ => text,
        };
        // Rust reads `inf` and `nan`, which CIF has not.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        let parsed = number.parse::<f64>().ok().filter(|number| is_number && number.is_finite());
        parsed.ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            format!("line {}: expected a number, found `{shown}`", self.line)
        })
    }
}

impl Block {
    /// Returns the value of an item, or that in the only row of a loop.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.items.get(name).or_else(|| match self.all(name)[..] {
            [only] => Some(only),
            _ => None,
        })
    }

    /// Returns all values under a name: an item's, or a column of a loop.
    pub(super) fn all(&self, name: &str) -> Vec<&Value> {
        match (self.items.get(name), self.loop_with(name)) {
            (Some(item), _) => vec![item],
            (None, Some(found)) => found.rows().filter_map(|row| row.get(name)).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// Returns the loop that has a column of this name.
    pub(super) fn loop_with(&self, name: &str) -> Option<&Loop> {
        self.loops.iter().find(|found| found.column(name).is_some())
    }
}

impl Loop {
    /// Returns the index of the column with this name.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Returns its rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.values.chunks_exact(self.names.len().max(1)).map(|values| Row { of: self, values })
    }
}

impl<'a> Row<'a> {
    /// Returns the value in the column of a name.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.values.get(self.of.column(name)?)
    }

    /// Returns the line that the row begins in.
    pub(super) fn line(&self) -> usize {
        self.values.first().map_or(self.of.line, |value| value.line)
    }
}

/// Reads the blocks of a file.
///
/// # Errors
/// Fails with the line, and the text that does not belong there.
pub(super) fn read(text: &str) -> Result<Vec<Block>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut tokens = words(text)?.into_iter().peekable();
    let mut blocks: Vec<Block> = Vec::new();
    while let Some(Token { word, line }) = tokens.next() {
        if let Word::Data(name) = word {
            blocks.push(Block { name, line, ..Block::default() });
            continue;
        }
        let block = blocks
            .last_mut()
            .ok_or_else(|| format!("line {line}: a CIF file begins with `data_`, and this does not"))?;
        match word {
            Word::Name(name) => {
                let value = tokens.next_if(|next| matches!(next.word, Word::Value { .. })).and_then(value_of);
                let value = value.ok_or_else(|| format!("line {line}: `{name}` has no value"))?;
                block.items.insert(name, value);
            }
            Word::Loop => block.loops.push(table(&mut tokens, line)?),
            Word::Value { text, .. } => {
                let shown: String = text.chars().take(40).collect();
                return Err(format!("line {line}: the value `{shown}` belongs to no name"));
            }
            // Frames are for dictionaries.
            Word::Save | Word::Data(_) => {}
        }
    }
    Ok(blocks)
}

fn value_of(token: Token) -> Option<Value> {
    match token.word {
        Word::Value { text, bare } => Some(Value { text, line: token.line, bare }),
        _ => None,
    }
}

fn table(tokens: &mut std::iter::Peekable<impl Iterator<Item = Token>>, line: usize) -> Result<Loop, String> {
    let mut found = Loop { line, ..Loop::default() };
    while let Some(Token { word: Word::Name(name), .. }) =
        tokens.next_if(|next| matches!(next.word, Word::Name(_)))
    {
        found.names.push(name);
    }
    while let Some(token) = tokens.next_if(|next| matches!(next.word, Word::Value { .. })) {
        found.values.extend(value_of(token));
    }
    if found.names.is_empty() {
        return Err(format!("line {line}: the loop has no names"));
    }
    let left = found.values.len() % found.names.len();
    if left != 0 {
        let last = found.values.last().map_or(line, |value| value.line);
        return Err(format!(
            "line {last}: the last row of the loop that begins in line {line} has {left} of {} values",
            found.names.len()
        ));
    }
    Ok(found)
}
