//! `core.trajectory`: the same atoms at several times.

use ferry_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Kind, Structure, structure::text_of, xyz};

/// The same atoms in several frames: at different times, or as an optimisation moves them
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, Data)]
#[data(
    name = "core.trajectory",
    read("xyz", "extxyz"),
    write("xyz", "extxyz"),
    check = Trajectory::check
)]
pub struct Trajectory {
    /// Kind of each site
    pub symbols: Vec<String>,
    /// Along which vectors of the cell it repeats
    pub pbc: [bool; 3],
    /// What stands at sites
    pub kinds: Vec<Kind>,
    /// Cartesian coordinates by frame and site, Å
    #[data(file)]
    #[serde(skip)]
    pub positions: Array,
    /// The cell's vectors by frame, Å
    #[data(file)]
    #[serde(skip)]
    pub cells: Option<Array>,
    /// Time of each frame, ps
    #[data(file)]
    #[serde(skip)]
    pub times: Option<Array>,
    /// Velocities by frame and site, Å/ps
    #[data(file)]
    #[serde(skip)]
    pub velocities: Option<Array>,
}

impl Trajectory {
    /// Makes a trajectory of structures that have the same sites.
    ///
    /// # Errors
    /// Fails with the first frame that has other sites.
    pub fn from_frames(frames: &[Structure]) -> Result<Self, String> {
        let first = frames.first().ok_or("a trajectory has a frame at least")?;
        let symbols =
            |frame: &Structure| frame.sites.iter().map(|site| site.kind.clone()).collect::<Vec<_>>();
        let (sites, count) = (symbols(first), frames.len());
        for (number, frame) in (1..).zip(frames) {
            if symbols(frame) != sites || frame.kinds != first.kinds {
                return Err(format!(
                    "frame {number} has other atoms than the first: {} and {}",
                    frame.formula(),
                    first.formula()
                ));
            }
            if frame.pbc != first.pbc {
                return Err(format!("frame {number} repeats in other directions than the first"));
            }
        }
        let positions = frames.iter().flat_map(|frame| &frame.sites).flat_map(|site| site.position);
        let cells: Vec<f64> = frames.iter().flat_map(|frame| frame.cell.into_iter().flatten()).collect();
        let has_cell = frames.iter().any(|frame| frame.volume() > 0.0);
        Ok(Trajectory {
            pbc: first.pbc,
            kinds: first.kinds.clone(),
            positions: Array::new([count, sites.len(), 3], positions.collect::<Vec<f64>>())?,
            cells: has_cell.then(|| Array::new([count, 3, 3], cells)).transpose()?,
            symbols: sites,
            ..Trajectory::default()
        })
    }

    /// Returns the number of frames.
    pub fn len(&self) -> usize {
        self.positions.shape().first().copied().unwrap_or_default()
    }

    /// Returns whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the frame of an index, counted from 0; `None` if there is none.
    pub fn frame(&self, index: usize) -> Option<Structure> {
        let rows = |array: &Array, count: usize| -> Option<Vec<[f64; 3]>> {
            Some(array.vectors()?.get(index * count..(index + 1) * count)?.to_vec())
        };
        let positions = rows(&self.positions, self.symbols.len())?;
        let cell = match &self.cells {
            Some(cells) => <[[f64; 3]; 3]>::try_from(rows(cells, 3)?).ok()?,
            None => [[0.0; 3]; 3],
        };
        let mut frame = Structure { cell, pbc: self.pbc, kinds: self.kinds.clone(), sites: Vec::new() };
        let site = |(kind, position): (&String, [f64; 3])| crate::Site { kind: kind.clone(), position };
        frame.sites = self.symbols.iter().zip(positions).map(site).collect();
        Some(frame)
    }

    /// Reads an XYZ file of any number of frames.
    ///
    /// # Errors
    /// Fails with the line, and the problem there. Fails also if a frame has other atoms.
    pub fn from_extxyz(text: &str) -> Result<Self, String> {
        let frames = xyz::frames(text)?;
        let times: Option<Vec<f64>> = frames.iter().map(|frame| frame.time).collect();
        let structures: Vec<Structure> = frames.into_iter().map(|frame| frame.structure).collect();
        Ok(Trajectory { times: times.map(Array::from), ..Trajectory::from_frames(&structures)? })
    }

    /// Writes an extended XYZ file.
    ///
    /// # Errors
    /// Fails if sites are shared or partly empty, which XYZ can't express.
    pub fn to_extxyz(&self) -> Result<String, String> {
        let times = self.times.as_ref().and_then(Array::floats).unwrap_or_default();
        let frame = |index: usize| {
            let frame = self.frame(index).ok_or("its arrays do not fit together")?;
            let time = times.get(index).map(|time| ("time", format!("{time:?}")));
            xyz::write(&frame, time.as_slice())
        };
        (0..self.len()).map(frame).collect()
    }

    /// Checks constraints that the schema does not express.
    ///
    /// # Errors
    /// Returns the first problem.
    pub fn check(&self) -> Result<(), String> {
        let (frames, sites) = (self.len(), self.symbols.len());
        let fits = |name: &str, array: &Array, shape: &[usize]| {
            if array.shape() == shape && array.floats().is_some() {
                return Ok(());
            }
            Err(format!(
                "`{name}` holds floats of shape {shape:?}, not an array of shape {:?}",
                array.shape()
            ))
        };
        if frames == 0 {
            return Err("a trajectory has a frame at least".to_owned());
        }
        fits("positions", &self.positions, &[frames, sites, 3])?;
        let others = [
            ("cells", &self.cells, vec![frames, 3, 3]),
            ("times", &self.times, vec![frames]),
            ("velocities", &self.velocities, vec![frames, sites, 3]),
        ];
        for (name, array, shape) in others {
            array.as_ref().map_or(Ok(()), |array| fits(name, array, &shape))?;
        }
        self.frame(0).ok_or("its arrays do not fit together")?.check()
    }
}

impl ReadFile for Trajectory {
    fn read_file(_: &str, file: &SingleFile) -> Result<Self> {
        Ok(Trajectory::from_extxyz(&text_of(file)?)?)
    }
}

impl WriteFile for Trajectory {
    fn write_file(&self, _: &str) -> Result<Vec<u8>> {
        Ok(self.to_extxyz()?.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATER: &str = "3\nPBC=\"F F F\" time=0.5\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n";

    #[test]
    fn frames_of_a_file_become_one_trajectory_and_a_file_again() {
        let moved = WATER.replace("0.5", "1.0").replace("0.96", "0.97");
        let trajectory = Trajectory::from_extxyz(&format!("{WATER}{moved}")).unwrap();
        assert_eq!((trajectory.len(), trajectory.check()), (2, Ok(())));
        assert_eq!(trajectory.times.as_ref().unwrap().floats(), Some(&[0.5, 1.0][..]));
        assert_eq!(trajectory.frame(1).unwrap().sites[1].position, [0.97, 0.0, 0.0]);
        assert_eq!(Trajectory::from_extxyz(&trajectory.to_extxyz().unwrap()).unwrap(), trajectory);
        assert!(trajectory.frame(2).is_none());
    }

    #[test]
    fn frames_have_the_same_atoms() {
        let other = WATER.replacen("O ", "S ", 1);
        let error = Trajectory::from_extxyz(&format!("{WATER}{other}")).unwrap_err();
        assert!(error.contains("frame 2 has other atoms"), "{error}");
        assert!(Structure::from_extxyz(&format!("{WATER}{WATER}")).unwrap_err().contains("has 2 frames"));
    }

    #[test]
    fn arrays_fit_together() {
        let mut trajectory = Trajectory::from_extxyz(WATER).unwrap();
        trajectory.velocities = Some(vec![[0.0; 3]].into());
        assert!(trajectory.check().unwrap_err().contains("`velocities`"));
    }
}
