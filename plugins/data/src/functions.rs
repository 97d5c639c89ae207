//! `data.rescale`: AiiDA's first example of a calcfunction, and half of every equation of state.

use ferry_plugin::prelude::*;

use crate::Structure;

/// Makes a structure longer by a factor in all directions, its cell and what stands in it.
#[calcfunction(name = "data.rescale")]
pub fn rescale(
    /// What is rescaled
    structure: Structure,
    /// How much longer every length becomes
    #[port(range(0.0..))]
    factor: f64,
) -> Result<Structure> {
    if factor == 0.0 {
        return Err("a factor of 0 leaves nothing of a structure".into());
    }
    Ok(structure.scaled(factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_is_rescaled_all_the_way_through_the_protocol() {
        let mut atom = Structure::in_cell([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        atom.add("H", [0.5, 0.5, 0.5]);
        let given = testing::inputs().with("structure", atom).with("factor", 2.0);
        let done = testing::call_by_name("ferry_data", "data.rescale", given);
        let stored = testing::stored("core.structure", done.value("result").clone());
        let scaled: Structure = stored.get().unwrap();
        assert_eq!((scaled.cell[2], scaled.sites[0].position), ([0.0, 0.0, 2.0], [1.0, 1.0, 1.0]));
        assert!(rescale(scaled, 0.0).is_err());
    }
}
