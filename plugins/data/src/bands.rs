//! `core.bands`: energies along k-points.

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Kpoint, Kpoints};

/// Energies of states at k-points
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Data)]
#[data(name = "core.bands", check = Bands::check)]
pub struct Bands {
    /// The points, in units of the reciprocal cell's vectors
    pub points: Vec<Kpoint>,
    /// The cell that they belong to, Å, where it is known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<[[f64; 3]; 3]>,
    /// Unit of the energies, as `eV`
    pub units: String,
    /// Fermi energy, in the same unit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fermi_energy: Option<f64>,
    /// Energies: by point and band, or by spin, point and band
    #[data(file)]
    #[serde(skip)]
    pub bands: Array,
    /// How full the states are, of the same shape
    #[data(file)]
    #[serde(skip)]
    pub occupations: Option<Array>,
}

impl Bands {
    /// Bands on a list of points: `energies` by point and band, or by spin, point and band.
    pub fn new(kpoints: &Kpoints, energies: Array, units: &str) -> Self {
        Bands {
            points: kpoints.points.clone(),
            cell: kpoints.cell,
            units: units.to_owned(),
            fermi_energy: None,
            bands: energies,
            occupations: None,
        }
    }

    /// Checks constraints that the schema does not express.
    ///
    /// # Errors
    /// Returns the first problem.
    pub fn check(&self) -> Result<(), String> {
        let points = match self.bands.shape() {
            [points, _] | [1 | 2, points, _] => *points,
            shape => {
                return Err(format!(
                    "energies are by point and band, or by spin, point and band, not of shape {shape:?}"
                ));
            }
        };
        if points != self.points.len() {
            return Err(format!("there are energies at {points} points, and {} points", self.points.len()));
        }
        if self.bands.floats().is_none() {
            return Err("energies are floats".to_owned());
        }
        match &self.occupations {
            Some(occupations) if occupations.shape() != self.bands.shape() => {
                let (found, wanted) = (occupations.shape(), self.bands.shape());
                Err(format!("occupations are of shape {found:?}, and the bands of {wanted:?}"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_have_an_energy_for_each_point() {
        let path = Kpoints::list([Kpoint::at([0.0; 3]).called("Γ"), Kpoint::at([0.5, 0.0, 0.5]).called("X")]);
        let energies = |shape: [usize; 2]| Array::new(shape, vec![-5.0; shape[0] * shape[1]]).unwrap();
        let bands = Bands::new(&path, energies([2, 4]), "eV");
        assert_eq!(bands.check(), Ok(()));
        assert!(
            Bands::new(&path, energies([3, 4]), "eV").check().unwrap_err().contains("at 3 points, and 2")
        );
        let flat = Bands { bands: vec![1.0].into(), ..bands.clone() };
        assert!(flat.check().unwrap_err().contains("not of shape [1]"));
        let occupied = Bands { occupations: Some(energies([1, 2])), ..bands };
        assert!(occupied.check().unwrap_err().contains("occupations"));
    }
}
