//! `core.structure`: atoms in a cell.

use std::collections::BTreeMap;

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{cif, is_element, xyz};

/// Atoms in a cell that may repeat
///
/// What stands at the sites are kinds, so that two atoms of one element may differ (`Fe1` and `Fe2`), and so that a site
/// may be shared by several elements or stand partly empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Data)]
#[data(
    name = "core.structure",
    read("cif", "xyz", "extxyz"),
    write("cif", "xyz", "extxyz"),
    check = Structure::check
)]
pub struct Structure {
    /// The three vectors of the cell, Å; all zero where nothing repeats and there is none
    pub cell: [[f64; 3]; 3],
    /// Along which of them it repeats
    pub pbc: [bool; 3],
    /// What stands at sites
    pub kinds: Vec<Kind>,
    /// Where something stands
    pub sites: Vec<Site>,
}

/// What stands at a site: an element, or several that share it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Kind {
    /// Unique among the kinds of a structure, as `Fe1`
    pub name: String,
    /// Symbols of its elements
    pub symbols: Vec<String>,
    /// How much of the site each takes; together at most 1, the rest is empty
    pub weights: Vec<f64>,
    /// Mass of one atom, u, where it is not the usual one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mass: Option<f64>,
}

/// A place in the cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Schema)]
pub struct Site {
    /// Name of the kind that stands there
    pub kind: String,
    /// Cartesian coordinates, Å
    pub position: [f64; 3],
}

/// Two weights are the same if they differ by less.
const WEIGHT_SLACK: f64 = 1e-4;

impl Kind {
    /// Makes a kind of one element that takes the whole site, under its symbol.
    pub fn element(symbol: &str) -> Self {
        Kind { name: symbol.to_owned(), symbols: vec![symbol.to_owned()], weights: vec![1.0], mass: None }
    }

    /// Returns whether one element takes the whole site.
    pub fn is_whole(&self) -> bool {
        matches!(self.weights.as_slice(), [weight] if *weight > 1.0 - WEIGHT_SLACK)
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if let Some(symbol) = self.symbols.iter().find(|symbol| !is_element(symbol)) {
            return Err(format!("kind `{name}`: `{symbol}` is no element's symbol"));
        }
        if self.symbols.is_empty() || self.symbols.len() != self.weights.len() {
            return Err(format!(
                "kind `{name}` needs a weight for each of its symbols, and one of each at least"
            ));
        }
        let sum: f64 = self.weights.iter().sum();
        if self.weights.iter().any(|weight| *weight <= 0.0) || sum > 1.0 + WEIGHT_SLACK {
            return Err(format!("kind `{name}`: weights are above 0, and together at most 1, not {sum}"));
        }
        Ok(())
    }
}

impl Structure {
    /// Makes a cell that repeats along all its vectors, with nothing in it.
    pub fn in_cell(cell: [[f64; 3]; 3]) -> Self {
        Structure { cell, pbc: [true; 3], ..Structure::default() }
    }

    /// Puts an atom of an element at a place, Å.
    pub fn add(&mut self, symbol: &str, position: [f64; 3]) -> &mut Self {
        self.add_kind(Kind::element(symbol), position)
    }

    /// Puts a kind at a place, Å; the kind is added if there is none of its name.
    pub fn add_kind(&mut self, kind: Kind, position: [f64; 3]) -> &mut Self {
        self.sites.push(Site { kind: kind.name.clone(), position });
        if self.kind(&kind.name).is_none() {
            self.kinds.push(kind);
        }
        self
    }

    /// Returns the kind of this name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Returns the kinds of the sites, in order.
    pub fn kinds_of_sites(&self) -> impl Iterator<Item = (&Site, &Kind)> {
        self.sites.iter().filter_map(|site| Some((site, self.kind(&site.kind)?)))
    }

    /// Returns the volume of the cell in Å³; 0 where there is none.
    pub fn volume(&self) -> f64 {
        let [a, b, c] = self.cell;
        dot(a, cross(b, c)).abs()
    }

    /// Returns the number of atoms of each element, by symbol. Parts of atoms count in part.
    pub fn composition(&self) -> BTreeMap<String, f64> {
        let mut composition = BTreeMap::new();
        for (_, kind) in self.kinds_of_sites() {
            for (symbol, weight) in kind.symbols.iter().zip(&kind.weights) {
                *composition.entry(symbol.clone()).or_insert(0.0) += weight;
            }
        }
        composition
    }

    /// Returns the formula in Hill's order, such as `C2H6O`: carbon first, then hydrogen, then the others by
    /// letter; without carbon, all by letter.
    pub fn formula(&self) -> String {
        let composition = self.composition();
        let has_carbon = composition.contains_key("C");
        let rank = |symbol: &str| match symbol {
            "C" => 0,
            "H" if has_carbon => 1,
            _ => 2,
        };
        let mut parts: Vec<_> = composition.into_iter().collect();
        parts.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
        let part = |(symbol, count): (String, f64)| match (count * 1000.0).round() / 1000.0 {
            1.0 => symbol,
            count => format!("{symbol}{count}"),
        };
        parts.into_iter().map(part).collect()
    }

    /// Returns the fractional coordinates of the sites; `None` where there is no cell.
    pub fn fractional(&self) -> Option<Vec<[f64; 3]>> {
        let inverse = inverse(self.cell)?;
        Some(self.sites.iter().map(|site| times(site.position, inverse)).collect())
    }

    /// Returns the same structure, with cell and positions scaled by a factor.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        scaled.cell.iter_mut().flatten().for_each(|length| *length *= factor);
        let positions = scaled.sites.iter_mut().flat_map(|site| &mut site.position);
        positions.for_each(|length| *length *= factor);
        scaled
    }

    /// Reads the one structure of a CIF file.
    ///
    /// # Errors
    /// Fails with the line, and the problem there.
    pub fn from_cif(text: &str) -> Result<Self, String> {
        cif::read(text)
    }

    /// Writes a CIF file, all sites listed.
    ///
    /// # Errors
    /// Fails if it does not repeat in all directions, as a CIF file always does.
    pub fn to_cif(&self) -> Result<String, String> {
        cif::write(self)
    }

    /// Reads an XYZ file of one frame, extended or plain.
    ///
    /// # Errors
    /// Fails with the line, and the problem there.
    pub fn from_extxyz(text: &str) -> Result<Self, String> {
        let mut frames = xyz::frames(text)?;
        match (frames.len(), frames.pop()) {
            (1, Some(frame)) => Ok(frame.structure),
            (count, _) => {
                Err(format!("the file has {count} frames; a structure is one, a core.trajectory takes all"))
            }
        }
    }

    /// Writes an extended XYZ file of one frame.
    ///
    /// # Errors
    /// Fails if sites are shared or partly empty, which XYZ can't express.
    pub fn to_extxyz(&self) -> Result<String, String> {
        xyz::write(self, &[])
    }

    /// Checks constraints that the schema does not express.
    ///
    /// # Errors
    /// Returns the first problem.
    pub fn check(&self) -> Result<(), String> {
        self.kinds.iter().try_for_each(Kind::check)?;
        for (index, kind) in self.kinds.iter().enumerate() {
            if self.kinds[..index].iter().any(|other| other.name == kind.name) {
                return Err(format!("two kinds are called `{}`", kind.name));
            }
        }
        if let Some((index, site)) =
            self.sites.iter().enumerate().find(|(_, site)| self.kind(&site.kind).is_none())
        {
            return Err(format!("site {index} is of kind `{}`, which is not among the kinds", site.kind));
        }
        if self.pbc.contains(&true) && self.volume() < 1e-6 {
            return Err("the structure repeats, but its cell has no volume".to_owned());
        }
        Ok(())
    }
}

impl ReadFile for Structure {
    fn read_file(format: &str, file: &SingleFile) -> Result<Self> {
        let text = text_of(file)?;
        Ok(if format == "cif" { Structure::from_cif(&text)? } else { Structure::from_extxyz(&text)? })
    }
}

impl WriteFile for Structure {
    fn write_file(&self, format: &str) -> Result<Vec<u8>> {
        Ok(if format == "cif" { self.to_cif()? } else { self.to_extxyz()? }.into_bytes())
    }
}

/// Returns the text of a file. Old files have names of people in Latin-1; nothing that is read here is
/// affected.
pub(crate) fn text_of(file: &SingleFile) -> Result<String> {
    let bytes = file.read()?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// Returns the product of a row vector and a matrix of rows.
pub(crate) fn times(v: [f64; 3], m: [[f64; 3]; 3]) -> [f64; 3] {
    [0, 1, 2].map(|j| v[0] * m[0][j] + v[1] * m[1][j] + v[2] * m[2][j])
}

/// Returns the length of a vector.
pub(crate) fn length(v: [f64; 3]) -> f64 {
    dot(v, v).sqrt()
}

/// Returns the angle between two vectors in degrees.
pub(crate) fn angle(a: [f64; 3], b: [f64; 3]) -> f64 {
    (dot(a, b) / (length(a) * length(b))).clamp(-1.0, 1.0).acos().to_degrees()
}

/// Returns the inverse of a matrix; `None` if it has none.
pub(crate) fn inverse(m: [[f64; 3]; 3]) -> Option<[[f64; 3]; 3]> {
    let [a, b, c] = m;
    let determinant = dot(a, cross(b, c));
    if determinant.abs() < 1e-9 || !determinant.is_finite() {
        return None;
    }
    let columns = [cross(b, c), cross(c, a), cross(a, b)];
    Some([0, 1, 2].map(|i| [0, 1, 2].map(|j| columns[j][i] / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt() -> Structure {
        let mut salt = Structure::in_cell([[0.0, 2.82, 2.82], [2.82, 0.0, 2.82], [2.82, 2.82, 0.0]]);
        salt.add("Na", [0.0; 3]).add("Cl", [2.82, 0.0, 0.0]);
        salt
    }

    #[test]
    fn a_structure_knows_what_it_is_made_of() {
        assert_eq!(salt().formula(), "ClNa");
        assert!((salt().volume() - 44.852).abs() < 1e-3);
        let fractional = salt().fractional().unwrap();
        assert!(
            fractional[1].iter().zip([-0.5, 0.5, 0.5]).all(|(a, b)| (a - b).abs() < 1e-12),
            "{fractional:?}"
        );
        assert!((salt().scaled(2.0).volume() - 8.0 * salt().volume()).abs() < 1e-9);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let says = |change: fn(&mut Structure), part: &str| {
            let mut structure = salt();
            change(&mut structure);
            let error = structure.check().unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        assert_eq!(salt().check(), Ok(()));
        says(|s| s.kinds[0].symbols[0] = "Xx".into(), "`Xx` is no element's symbol");
        says(|s| s.kinds[0].weights = vec![0.7, 0.6], "a weight for each");
        says(|s| s.kinds[0].weights = vec![1.2], "together at most 1");
        says(|s| s.sites[1].kind = "K".into(), "site 1 is of kind `K`");
        says(|s| s.kinds[1].name = "Na".into(), "two kinds are called `Na`");
        says(|s| s.cell[0] = [0.0; 3], "no volume");
    }
}
