//! Extended XYZ, as ASE, QUIP and OVITO write it, and plain XYZ: frames of a number of atoms, a comment line that
//! may hold `key=value` pairs, and a line for each atom.
//!
//! ```text
//! 2
//! Lattice="5.43 0 0 0 5.43 0 0 0 5.43" Properties=species:S:1:pos:R:3 pbc="T T T"
//! Si 0 0 0
//! Si 1.36 1.36 1.36
//! ```
//! Read are the lattice, the kinds and the places. Other columns are passed over.

use std::fmt::Write;

use crate::{ELEMENTS, Kind, Site, Structure, element::leading};

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    pub(crate) structure: Structure,
    /// `time=` of the comment line.
    pub(crate) time: Option<f64>,
}

/// Positions, in a line, of the fields that are read.
#[derive(Debug, PartialEq)]
struct Columns {
    species: Species,
    position: usize,
    /// Minimum number of words in a line.
    width: usize,
}

#[derive(Debug, PartialEq)]
enum Species {
    Symbol(usize),
    Number(usize),
}

/// Reads all frames of a file.
///
/// # Errors
/// Fails with the line, and the problem there.
pub(crate) fn frames(text: &str) -> Result<Vec<Frame>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut frames = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim().is_empty() {
            at += 1;
            continue;
        }
        let count: usize = lines[at].trim().parse().map_err(|_| {
            format!(
                "line {}: a frame begins with its number of atoms, not with `{}`",
                at + 1,
                short(lines[at])
            )
        })?;
        let comment = lines
            .get(at + 1)
            .ok_or_else(|| format!("line {}: the file ends after the number of atoms", at + 1))?;
        let rows = lines.get(at + 2..).unwrap_or_default();
        if rows.len() < count {
            return Err(format!(
                "line {}: {count} atoms are announced, and {} lines follow",
                at + 1,
                rows.len()
            ));
        }
        frames.push(frame(comment, &rows[..count], at + 2)?);
        at += 2 + count;
    }
    if frames.is_empty() { Err("the file has no frame: it is empty".to_owned()) } else { Ok(frames) }
}

/// Reads one frame; `line` is the number of its comment line.
fn frame(comment: &str, rows: &[&str], line: usize) -> Result<Frame, String> {
    let wrong = |message: String| format!("line {line}: {message}");
    let pairs = pairs(comment).map_err(wrong)?;
    let value = |key: &str| {
        pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    };
    let lattice = value("Lattice").map(lattice).transpose().map_err(wrong)?;
    let pbc = value("pbc").map(truths).transpose().map_err(wrong)?;
    let columns = columns(value("Properties").unwrap_or("species:S:1:pos:R:3")).map_err(wrong)?;
    let mut structure = Structure {
        cell: lattice.unwrap_or_default(),
        pbc: pbc.unwrap_or([lattice.is_some(); 3]),
        ..Structure::default()
    };
    for (number, row) in (line + 1..).zip(rows) {
        atom(&mut structure, row, &columns).map_err(|message| format!("line {number}: {message}"))?;
    }
    structure.check().map_err(wrong)?;
    let time = value("time").and_then(|text| text.parse().ok()).filter(|time: &f64| time.is_finite());
    Ok(Frame { structure, time })
}

fn atom(structure: &mut Structure, row: &str, columns: &Columns) -> Result<(), String> {
    let words: Vec<&str> = row.split_whitespace().collect();
    if words.len() < columns.width {
        return Err(format!(
            "an atom has {} columns here, and `{}` has {}",
            columns.width,
            short(row),
            words.len()
        ));
    }
    let (name, symbol) = match columns.species {
        Species::Symbol(at) => (words[at], leading(words[at])?),
        Species::Number(at) => {
            let number: usize =
                words[at].parse().map_err(|_| format!("`{}` is no atomic number", short(words[at])))?;
            let symbol = number.checked_sub(1).and_then(|index| ELEMENTS.get(index));
            let symbol = symbol.ok_or_else(|| format!("there is no element of number {number}"))?;
            (*symbol, *symbol)
        }
    };
    let mut position = [0.0; 3];
    for (place, word) in position.iter_mut().zip(&words[columns.position..]) {
        *place = finite(word)?;
    }
    let kind = Kind { name: name.to_owned(), ..Kind::element(symbol) };
    structure.add_kind(kind, position);
    Ok(())
}

fn finite(word: &str) -> Result<f64, String> {
    // Fortran writes exponents with a D.
    let number = word.parse::<f64>().or_else(|_| word.replace(['d', 'D'], "e").parse());
    number.ok().filter(|number| number.is_finite()).ok_or_else(|| format!("`{}` is no number", short(word)))
}

fn lattice(text: &str) -> Result<[[f64; 3]; 3], String> {
    let numbers = text.split_whitespace().map(finite).collect::<Result<Vec<_>, _>>()?;
    let [a, b, c, d, e, f, g, h, i] = numbers[..] else {
        return Err(format!("a lattice is 9 numbers, and `{}` are {}", short(text), numbers.len()));
    };
    Ok([[a, b, c], [d, e, f], [g, h, i]])
}

fn truths(text: &str) -> Result<[bool; 3], String> {
    let truth = |word: &str| match word {
        "T" | "True" | "true" | "1" => Ok(true),
        "F" | "False" | "false" | "0" => Ok(false),
        _ => Err(format!("pbc is T or F, not `{}`", short(word))),
    };
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    let truths = words.map(truth).collect::<Result<Vec<_>, _>>()?;
    <[bool; 3]>::try_from(truths).map_err(|truths| format!("pbc is 3 words, not {}", truths.len()))
}

fn columns(properties: &str) -> Result<Columns, String> {
    let parts: Vec<&str> = properties.split(':').collect();
    let (mut species, mut number, mut position, mut width) = (None, None, None, 0_usize);
    let broken = || format!("Properties are `name:kind:columns`, and so on; `{}` are not", short(properties));
    for part in parts.chunks(3) {
        let [name, kind, count] = part else { return Err(broken()) };
        let count: usize =
            count.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(broken)?;
        match (name.to_ascii_lowercase().as_str(), *kind, count) {
            ("species" | "element" | "symbol", "S", 1) => species = Some(width),
            ("z" | "atomic_number" | "numbers", "I", 1) => number = Some(width),
            ("pos" | "position" | "positions", "R", 3) => position = Some(width),
            _ => {}
        }
        width += count;
    }
    let species = species.map(Species::Symbol).or(number.map(Species::Number));
    let species = species.ok_or("Properties name no column `species:S:1` or `Z:I:1`")?;
    let position = position.ok_or("Properties name no columns `pos:R:3`")?;
    Ok(Columns { species, position, width })
}

/// Returns the `key=value` pairs of a comment line. A value may stand in quotes, braces or brackets. Words
/// without `=` are skipped: plain XYZ has any text there.
fn pairs(comment: &str) -> Result<Vec<(String, String)>, String> {
    let chars: Vec<char> = comment.chars().collect();
    let (mut at, mut pairs) = (0, Vec::new());
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
            continue;
        }
        let key = word(&chars, &mut at, |c| c == '=' || c.is_whitespace())?;
        if chars.get(at) != Some(&'=') {
            // No pair; a lone quote in plain text must not hold up the reader.
            at += usize::from(key.is_empty());
            continue;
        }
        at += 1;
        pairs.push((key, word(&chars, &mut at, char::is_whitespace)?));
    }
    Ok(pairs)
}

/// Reads a word up to a character for which `ends` is true, or the text between quotes.
fn word(chars: &[char], at: &mut usize, ends: impl Fn(char) -> bool) -> Result<String, String> {
    let close = match chars.get(*at) {
        Some('"') => '"',
        Some('\'') => '\'',
        Some('{') => '}',
        Some('[') => ']',
        _ => {
            let start = *at;
            while chars.get(*at).is_some_and(|c| !ends(*c)) {
                *at += 1;
            }
            return Ok(chars[start..*at].iter().collect());
        }
    };
    let start = *at + 1;
    let length = chars[start..].iter().position(|c| *c == close);
    // Plain text may have an apostrophe in it; a value may not.
    let Some(length) = length else {
        if start > 1 && chars[start - 2] == '=' {
            return Err(format!("the value that begins with {} has no end", chars[*at]));
        }
        *at = start;
        return Ok(String::new());
    };
    *at = start + length + 1;
    Ok(chars[start..start + length].iter().collect())
}

/// Writes one frame, with more pairs for its comment line.
///
/// # Errors
/// Fails at a kind that XYZ can't express.
pub(crate) fn write(structure: &Structure, more: &[(&str, String)]) -> Result<String, String> {
    let mut text = format!("{}\n", structure.sites.len());
    if structure.volume() > 0.0 {
        let numbers: Vec<String> = structure.cell.iter().flatten().map(f64::to_string).collect();
        let _ = write!(text, "Lattice=\"{}\" ", numbers.join(" "));
    }
    let pbc = structure.pbc.map(|truth| if truth { "T" } else { "F" });
    let _ = write!(text, "Properties=species:S:1:pos:R:3 pbc=\"{}\"", pbc.join(" "));
    for (key, value) in more {
        let _ = write!(text, " {key}={value}");
    }
    text.push('\n');
    for (Site { position: [x, y, z], .. }, kind) in structure.kinds_of_sites() {
        if !kind.is_whole() {
            return Err(format!(
                "XYZ has one whole atom at a site, and kind `{}` is a part or a mixture: use cif",
                kind.name
            ));
        }
        // The kind's name, where what it is can be read off it again.
        let symbol = kind.symbols.first().map(String::as_str).unwrap_or_default();
        let is_word = !kind.name.contains(char::is_whitespace);
        let name =
            if is_word && leading(&kind.name).as_deref() == Ok(symbol) { kind.name.as_str() } else { symbol };
        let _ = writeln!(text, "{name} {x} {y} {z}");
    }
    Ok(text)
}

/// Returns the beginning of a text, for messages.
fn short(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() > 40 {
        text.chars().take(37).chain("...".chars()).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Structure {
        let mut frames = frames(text).unwrap();
        assert_eq!(frames.len(), 1);
        frames.remove(0).structure
    }

    #[track_caller]
    fn says(text: &str, part: &str) {
        let error = frames(text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn ases_file_is_read() {
        let silicon = one(
            "2\nLattice=\"5.43 0.0 0.0 0.0 5.43 0.0 0.0 0.0 5.43\" Properties=species:S:1:pos:R:3:forces:R:3 \
            energy=-10.5 config_type='bulk Si' pbc=\"T T F\"\nSi 0.0 0.0 0.0 0 0 0.1\nSi 1.36 1.36 1.36 0 0 -0.1\n\n",
        );
        assert_eq!((silicon.pbc, silicon.cell[1][1], silicon.sites.len()), ([true, true, false], 5.43, 2));
        assert_eq!(silicon.kinds, [Kind::element("Si")]);
    }

    #[test]
    fn plain_xyz_is_a_molecule_without_a_cell() {
        let water = one("3\nit's water, from J. Doe's \"notes\n O 0 0 0\nH1  0.96 0 0\nH2 -2.4D-1 .93 0");
        assert_eq!((water.pbc, water.formula().as_str()), ([false; 3], "H2O"));
        assert_eq!(water.kinds[1].name, "H1");
        assert_eq!(water.sites[2].position[0], -0.24);
    }

    #[test]
    fn other_orders_of_columns_and_atomic_numbers_are_read() {
        let iron = one("1\nProperties=pos:R:3:Z:I:1 Lattice={2.8 0 0 0 2.8 0 0 0 2.8}\n0 0 0.5 26\n");
        assert_eq!((iron.kinds[0].name.as_str(), iron.sites[0].position[2], iron.pbc[0]), ("Fe", 0.5, true));
    }

    #[test]
    fn errors_name_line_and_reason() {
        says("", "it is empty");
        says("two\n\n", "line 1: a frame begins with its number of atoms, not with `two`");
        says("2\n\nH 0 0 0\n", "line 1: 2 atoms are announced, and 1 lines follow");
        says("1\n\nH 0 zero 0\n", "line 3: `zero` is no number");
        says("1\n\nH 0 0\n", "line 3: an atom has 4 columns here, and `H 0 0` has 3");
        says("1\n\nH 0 0 NaN\n", "line 3: `NaN` is no number");
        says("1\n\nQ 0 0 0\n", "line 3: `Q` begins with no element's symbol");
        says("1\nLattice=\"1 2 3\"\nH 0 0 0\n", "line 2: a lattice is 9 numbers");
        says("1\nLattice=\"1 2 3\nH 0 0 0\n", "line 2: the value that begins with \" has no end");
        says("1\nProperties=species:S\nH 0 0 0\n", "line 2: Properties are");
        says("1\nProperties=species:S:1\nH 0 0 0\n", "line 2: Properties name no columns `pos:R:3`");
        says("1\npbc=\"T T T\"\nH 0 0 0\n", "line 2: the structure repeats, but its cell has no volume");
        says("1\n\nH 0 0 0\n1\n", "line 4: the file ends");
    }

    #[test]
    fn what_xyz_cannot_say_is_refused() {
        let mut alloy = Structure::default();
        let mixed =
            Kind { symbols: vec!["Fe".into(), "Ni".into()], weights: vec![0.5, 0.5], ..Kind::element("Fe") };
        alloy.add_kind(mixed, [0.0; 3]);
        assert!(write(&alloy, &[]).unwrap_err().contains("mixture"));
    }
}
