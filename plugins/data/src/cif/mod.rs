//! CIF, the format of crystallography: `core.structure` read from it and written to it.
//!
//! The reader takes the cell, the symmetry operations and the sites from the only block of the file that has
//! sites. It skips everything else, and guesses nothing. A file that names a space group and lists no
//! operations is refused, since its sites are only a part of the crystal.
//!
//! Sources: the grammar is that of CIF 1.1 (Hall, Allen and Brown 1991;
//! <https://www.iucr.org/resources/cif/spec/version1.1>); names of items are of the core dictionary, also as
//! mmCIF writes them, with a dot.

mod block;
mod lex;
mod symmetry;
mod write;

pub(crate) use write::write;

use block::{Block, Loop};

use crate::{
    Kind, Structure,
    element::leading,
    structure::{length, times},
};
use symmetry::Operation;

/// Sites nearer to one another are one, Å. Coordinates of three digits in a large cell are off by this much.
const SAME_PLACE: f64 = 0.02;
/// Shares of a site that differ by less are the same.
const SHARE_SLACK: f64 = 1e-3;
/// More sites than this in a cell are a mistake.
const SITES_MAX: usize = 1_000_000;

/// Reads the one structure of a file.
///
/// # Errors
/// Fails with the line, and the problem there.
pub(crate) fn read(text: &str) -> Result<Structure, String> {
    let blocks = block::read(text)?;
    let mut with_sites = blocks.iter().filter(|block| sites_of(block).is_some());
    let (first, second) = (with_sites.next(), with_sites.next());
    match (first, second) {
        (Some(block), None) => structure(block),
        (Some(first), Some(second)) => Err(format!(
            "line {}: the file has several structures, `{}` and `{}` among them; keep one",
            second.line, first.name, second.name
        )),
        (None, _) => Err("the file has no loop of sites (`_atom_site_fract_x` and so on)".to_owned()),
    }
}

fn sites_of(block: &Block) -> Option<&Loop> {
    let has = |name: &str| block.loop_with(name);
    has("_atom_site_fract_x").or_else(|| has("_atom_site_cartn_x"))
}

fn structure(block: &Block) -> Result<Structure, String> {
    let cell = cell(block)?;
    let operations = operations(block)?;
    let sites = sites_of(block).ok_or("the block has no sites")?;
    let listed = listed_sites(sites, cell)?;
    let mut places: Vec<Place> = Vec::new();
    for site in &listed {
        for operation in &operations {
            if places.len() > SITES_MAX {
                return Err(format!("line {}: there are more than {SITES_MAX} sites in a cell", site.line));
            }
            add(&mut places, site, operation.apply(site.fractional).map(wrapped), cell)?;
        }
    }
    let mut structure = Structure::in_cell(cell);
    for place in places {
        let kind = kind_of(&place, &structure);
        structure.add_kind(kind, times(place.fractional, cell));
    }
    structure.check()?;
    Ok(structure)
}

/// Returns the cell's vectors: the first along x, the second in the plane of x and y.
fn cell(block: &Block) -> Result<[[f64; 3]; 3], String> {
    let number = |name: &str| -> Result<f64, String> {
        let value =
            block.value(name).ok_or_else(|| format!("line {}: the block has no `{name}`", block.line))?;
        value.number()
    };
    let length = |axis: &str| -> Result<f64, String> {
        let name = format!("_cell_length_{axis}");
        let length = number(&name)?;
        let line = block.value(&name).map_or(block.line, |value| value.line);
        if length > 0.0 {
            Ok(length)
        } else {
            Err(format!("line {line}: `{name}` is {length}: a length is above 0"))
        }
    };
    let (a, b, c) = (length("a")?, length("b")?, length("c")?);
    let angle = |name: &str| {
        let degrees = number(&format!("_cell_angle_{name}"))?;
        let is_angle = degrees > 0.0 && degrees < 180.0;
        is_angle.then(|| cosine_sine(degrees)).ok_or_else(|| {
            format!("line {}: {name} is {degrees}: an angle of a cell is between 0 and 180", block.line)
        })
    };
    let ((cos_alpha, _), (cos_beta, _), (cos_gamma, sin_gamma)) =
        (angle("alpha")?, angle("beta")?, angle("gamma")?);
    let y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma;
    let z = 1.0 - cos_beta * cos_beta - y * y;
    if !z.is_finite() || z <= 1e-9 || sin_gamma <= 1e-9 {
        return Err(format!("line {}: no cell has these angles", block.line));
    }
    Ok([[a, 0.0, 0.0], [b * cos_gamma, b * sin_gamma, 0.0], [c * cos_beta, c * y, c * z.sqrt()]])
}

/// Returns cosine and sine. Right angles are exact, so that the zeros of a cell are zeros.
fn cosine_sine(degrees: f64) -> (f64, f64) {
    match degrees {
        90.0 => (0.0, 1.0),
        60.0 => (0.5, 60_f64.to_radians().sin()),
        120.0 => (-0.5, 120_f64.to_radians().sin()),
        _ => (degrees.to_radians().cos(), degrees.to_radians().sin()),
    }
}

/// Returns the symmetry operations, the identity among them.
fn operations(block: &Block) -> Result<Vec<Operation>, String> {
    const NAMES: [&str; 2] = ["_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz"];
    let listed = NAMES.iter().flat_map(|name| block.all(name)).collect::<Vec<_>>();
    let mut operations = vec![Operation::identity()];
    for value in &listed {
        let operation =
            Operation::parse(&value.text).map_err(|message| format!("line {}: {message}", value.line))?;
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    match group(block) {
        Some((line, group)) if listed.is_empty() => Err(format!(
            "line {line}: the space group is {group}, and its symmetry operations are not listed \
             (`_space_group_symop_operation_xyz`); write them into the file, or all sites and the group P 1"
        )),
        _ => Ok(operations),
    }
}

/// Returns the space group that the block names; `None` if it is P1.
fn group(block: &Block) -> Option<(usize, String)> {
    const NAMES: [&str; 6] = [
        "_space_group_name_h-m_alt",
        "_symmetry_space_group_name_h-m",
        "_space_group_name_hall",
        "_symmetry_space_group_name_hall",
        "_space_group_it_number",
        "_symmetry_int_tables_number",
    ];
    let is_p1 = |text: &str| {
        let text: String =
            text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
        matches!(text.as_str(), "p1" | "1")
    };
    let named = NAMES.iter().filter_map(|name| block.value(name)).filter(|value| !value.is_unknown());
    named.filter(|value| !is_p1(&value.text)).map(|value| (value.line, value.text.clone())).next()
}

/// A site as the file lists it.
struct Listed {
    line: usize,
    label: String,
    symbol: &'static str,
    occupancy: f64,
    fractional: [f64; 3],
}

fn listed_sites(sites: &Loop, cell: [[f64; 3]; 3]) -> Result<Vec<Listed>, String> {
    let inverse = crate::structure::inverse(cell).ok_or("the cell has no volume")?;
    let is_fractional = sites.column("_atom_site_fract_x").is_some();
    let prefix = if is_fractional { "fract" } else { "cartn" };
    let columns = ["x", "y", "z"].map(|axis| format!("_atom_site_{prefix}_{axis}"));
    let mut listed = Vec::new();
    for row in sites.rows() {
        let line = row.line();
        let mut place = [0.0; 3];
        for (coordinate, name) in place.iter_mut().zip(&columns) {
            let value = row
                .get(name)
                .ok_or_else(|| format!("line {}: the loop of sites has no `{name}`", sites.line))?;
            if value.is_unknown() {
                return Err(format!(
                    "line {}: where this site is is not known (`{}`)",
                    value.line, value.text
                ));
            }
            *coordinate = value.number()?;
        }
        let label = row.get("_atom_site_label").filter(|value| !value.is_unknown());
        let symbol = row.get("_atom_site_type_symbol").filter(|value| !value.is_unknown());
        let named = symbol
            .or(label)
            .ok_or_else(|| format!("line {line}: the site has neither a type symbol nor a label"))?;
        let symbol = leading(&named.text).map_err(|message| {
            let hint = if symbol.is_none() { "; say which by a column `_atom_site_type_symbol`" } else { "" };
            format!("line {line}: {message}{hint}")
        })?;
        let occupancy = match row.get("_atom_site_occupancy").filter(|value| !value.is_unknown()) {
            Some(value) => value.number()?,
            None => 1.0,
        };
        if !(0.0..=1.0 + SHARE_SLACK).contains(&occupancy) {
            return Err(format!(
                "line {line}: a site's occupancy lies between 0 and 1, and this is {occupancy}"
            ));
        }
        let label = label.map_or_else(|| symbol.to_owned(), |value| value.text.clone());
        let fractional = if is_fractional { place } else { times(place, inverse) };
        // Some programs list empty sites.
        if occupancy > 0.0 {
            listed.push(Listed { line, label, symbol, occupancy: occupancy.min(1.0), fractional });
        }
    }
    if listed.is_empty() {
        return Err(format!("line {}: no site is listed", sites.line));
    }
    Ok(listed)
}

/// A place in the cell, with what shares it.
struct Place {
    fractional: [f64; 3],
    shares: Vec<(String, &'static str, f64)>,
}

/// Adds a site's image, unless an operation has put the same site there before.
fn add(
    places: &mut Vec<Place>,
    site: &Listed,
    fractional: [f64; 3],
    cell: [[f64; 3]; 3],
) -> Result<(), String> {
    let Some(place) = places.iter_mut().find(|place| is_near(place.fractional, fractional, cell)) else {
        let shares = vec![(site.label.clone(), site.symbol, site.occupancy)];
        places.push(Place { fractional, shares });
        return Ok(());
    };
    if place.shares.iter().any(|(label, symbol, _)| *label == site.label && *symbol == site.symbol) {
        return Ok(());
    }
    let taken: f64 = place.shares.iter().map(|(_, _, share)| share).sum();
    if taken + site.occupancy > 1.0 + SHARE_SLACK {
        return Err(format!(
            "line {}: site `{}` is where `{}` is already, and together they are more than one atom",
            site.line, site.label, place.shares[0].0
        ));
    }
    place.shares.push((site.label.clone(), site.symbol, site.occupancy));
    Ok(())
}

/// Returns whether two places are the same, whatever cells they are in.
fn is_near(a: [f64; 3], b: [f64; 3], cell: [[f64; 3]; 3]) -> bool {
    let apart = [0, 1, 2].map(|axis| {
        let apart: f64 = a[axis] - b[axis];
        apart - apart.round()
    });
    length(times(apart, cell)) < SAME_PLACE
}

/// Moves a coordinate into the cell. One that is only just below 1 becomes 0.
fn wrapped(coordinate: f64) -> f64 {
    let inside = coordinate - coordinate.floor();
    if inside > 1.0 - 1e-9 { 0.0 } else { inside }
}

/// Returns the kind of a place. Its name is its symbol if that is enough; several kinds of one name get a
/// number.
fn kind_of(place: &Place, structure: &Structure) -> Kind {
    let mut parts: Vec<(&str, f64)> = Vec::new();
    for (_, symbol, share) in &place.shares {
        match parts.iter_mut().find(|(known, _)| known == symbol) {
            Some((_, sum)) => *sum += share,
            None => parts.push((symbol, *share)),
        }
    }
    let total: f64 = parts.iter().map(|(_, share)| share).sum();
    // Thirds that are written as 0.333 make one, not a hair less.
    let scale = if (total - 1.0).abs() < SHARE_SLACK { 1.0 / total } else { 1.0 };
    let kind = Kind {
        name: parts.iter().map(|(symbol, _)| *symbol).collect(),
        symbols: parts.iter().map(|(symbol, _)| (*symbol).to_owned()).collect(),
        weights: parts.iter().map(|(_, share)| share * scale).collect(),
        mass: None,
    };
    let alike = |known: &&Kind| known.symbols == kind.symbols && known.weights == kind.weights;
    if let Some(known) = structure.kinds.iter().find(alike) {
        return known.clone();
    }
    let is_free = |name: &str| structure.kind(name).is_none();
    let mut names =
        std::iter::once(kind.name.clone()).chain((2..).map(|number| format!("{}{number}", kind.name)));
    let name = names.find(|name| is_free(name)).unwrap_or_default();
    Kind { name, ..kind }
}

#[cfg(test)]
mod tests;
