//! `core.kpoints`: where in reciprocal space something is computed.

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// Points in reciprocal space: a mesh, or a list
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Data)]
#[data(name = "core.kpoints", check = Kpoints::check)]
pub struct Kpoints {
    /// A regular mesh
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    /// Points one by one, in units of the reciprocal cell's vectors
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Kpoint>,
    /// The cell that the points belong to, Å, where it is known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<[[f64; 3]; 3]>,
}

/// A regular mesh of points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct Mesh {
    /// How many along each reciprocal vector
    pub divisions: [u32; 3],
    /// How far it is moved, in steps of the mesh; 0 or 0.5 as a rule
    #[serde(default)]
    pub offset: [f64; 3],
}

/// One point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct Kpoint {
    /// Where it is
    pub k: [f64; 3],
    /// How much it counts; all points have a weight, or none has
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// What it is called, as `X`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Kpoints {
    /// Makes a mesh with these numbers of points along each reciprocal vector.
    pub fn mesh(divisions: [u32; 3], offset: [f64; 3]) -> Self {
        Kpoints { mesh: Some(Mesh { divisions, offset }), ..Kpoints::default() }
    }

    /// Makes a list of points, in units of the reciprocal cell's vectors.
    pub fn list(points: impl IntoIterator<Item = Kpoint>) -> Self {
        Kpoints { points: points.into_iter().collect(), ..Kpoints::default() }
    }

    /// Returns the number of points.
    pub fn count(&self) -> usize {
        match &self.mesh {
            Some(mesh) => mesh.divisions.iter().map(|count| *count as usize).product(),
            None => self.points.len(),
        }
    }

    /// Returns the points that have a name, with their place in the list.
    pub fn labels(&self) -> impl Iterator<Item = (usize, &str)> {
        self.points.iter().enumerate().filter_map(|(index, point)| Some((index, point.label.as_deref()?)))
    }

    /// Checks constraints that the schema does not express.
    ///
    /// # Errors
    /// Returns the first problem.
    pub fn check(&self) -> Result<(), String> {
        match &self.mesh {
            Some(_) if !self.points.is_empty() => {
                return Err("k-points are a mesh or a list, and these are both".to_owned());
            }
            Some(mesh) if mesh.divisions.contains(&0) => {
                return Err("a mesh has at least one point along each direction".to_owned());
            }
            Some(_) => return Ok(()),
            None if self.points.is_empty() => {
                return Err("k-points are a `mesh` or a list of `points`, and there is neither".to_owned());
            }
            None => {}
        }
        let weighted = self.points.iter().filter(|point| point.weight.is_some()).count();
        if weighted != 0 && weighted != self.points.len() {
            return Err(format!(
                "{weighted} of {} points have a weight: give one to all or none",
                self.points.len()
            ));
        }
        let negative = self.points.iter().position(|point| point.weight.is_some_and(|weight| weight < 0.0));
        negative.map_or(Ok(()), |index| Err(format!("the weight of point {index} is negative")))
    }
}

impl Kpoint {
    /// Makes a point without weight or name.
    pub fn at(k: [f64; 3]) -> Self {
        Kpoint { k, weight: None, label: None }
    }

    /// Returns the same point under a name.
    #[must_use]
    pub fn called(self, label: &str) -> Self {
        Kpoint { label: Some(label.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_points_are_a_mesh_or_a_list() {
        let mesh = Kpoints::mesh([2, 2, 3], [0.5, 0.5, 0.5]);
        assert_eq!((mesh.count(), mesh.check()), (12, Ok(())));
        let path = Kpoints::list([Kpoint::at([0.0; 3]).called("Γ"), Kpoint::at([0.5, 0.0, 0.5])]);
        assert_eq!((path.check(), path.labels().collect::<Vec<_>>()), (Ok(()), vec![(0, "Γ")]));
        let both = Kpoints { points: path.points.clone(), ..mesh };
        assert!(both.check().unwrap_err().contains("both"));
        assert!(Kpoints::default().check().unwrap_err().contains("neither"));
        let mut some = path;
        some.points[0].weight = Some(1.0);
        assert!(some.check().unwrap_err().contains("1 of 2 points"));
    }
}
