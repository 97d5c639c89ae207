//! A structure as a CIF file: all sites listed, space group P 1.

use std::fmt::Write;

use crate::{
    Structure,
    structure::{angle, length},
};

/// Writes it.
///
/// # Errors
/// Fails if it does not repeat in all directions.
pub(crate) fn write(structure: &Structure) -> Result<String, String> {
    let fractional = structure.fractional().filter(|_| structure.pbc == [true; 3]);
    let fractional = fractional
        .ok_or("a CIF file speaks of crystals, and this does not repeat in all directions: use xyz")?;
    let [a, b, c] = structure.cell;
    let numbers = [
        ("_cell_length_a", length(a)),
        ("_cell_length_b", length(b)),
        ("_cell_length_c", length(c)),
        ("_cell_angle_alpha", angle(b, c)),
        ("_cell_angle_beta", angle(a, c)),
        ("_cell_angle_gamma", angle(a, b)),
    ];
    let mut text =
        format!("data_{}\n_chemical_formula_sum '{}'\n", name(&structure.formula()), spaced(structure));
    for (name, number) in numbers {
        let _ = writeln!(text, "{name} {}", tidy(number));
    }
    text.push_str("_space_group_name_H-M_alt 'P 1'\n_space_group_IT_number 1\n");
    text.push_str("loop_\n_space_group_symop_operation_xyz\n'x, y, z'\n");
    text.push_str("loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_occupancy\n");
    text.push_str("_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n");
    for (number, ((_, kind), place)) in (1..).zip(structure.kinds_of_sites().zip(fractional)) {
        let [x, y, z] = place.map(tidy);
        for (symbol, weight) in kind.symbols.iter().zip(&kind.weights) {
            let _ = writeln!(text, "{symbol}{number} {symbol} {weight} {x} {y} {z}");
        }
    }
    Ok(text)
}

/// Removes the noise that the conversion of a cell into angles makes in the last digits.
fn tidy(number: f64) -> f64 {
    let rounded = (number * 1e10).round() / 1e10;
    // No -0.
    if rounded == 0.0 { 0.0 } else { rounded }
}

fn name(formula: &str) -> String {
    if formula.is_empty() { "structure".to_owned() } else { formula.replace('.', "_") }
}

fn spaced(structure: &Structure) -> String {
    let part = |(symbol, count): (String, f64)| format!("{symbol}{}", tidy(count));
    structure.composition().into_iter().map(part).collect::<Vec<_>>().join(" ")
}
