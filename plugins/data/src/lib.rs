//! Data types that plugins share, so that what one makes another can take: [`Structure`], [`Kpoints`], [`Bands`],
//! [`Trajectory`] and [`ArrayData`].
//!
//! An ordinary library: a plugin that names one of them in its ports declares it, reads it and writes it by
//! itself. The bundled plugin `data` does the same for whoever has no such plugin, so that `structure=file:si.cif` is
//! understood wherever a port takes a `core.structure`.
//!
//! ```
//! use ferry_data::Structure;
//! let silicon = Structure::from_extxyz(
//!     "2\nLattice=\"0 2.715 2.715 2.715 0 2.715 2.715 2.715 0\" Properties=species:S:1:pos:R:3\n\
//!      Si 0 0 0\nSi 1.3575 1.3575 1.3575\n",
//! )?;
//! assert_eq!((silicon.sites.len(), silicon.formula().as_str()), (2, "Si2"));
//! assert!((silicon.volume() - 2.0 * 20.0113).abs() < 0.01);
//! # Ok::<(), String>(())
//! ```

mod array;
mod bands;
mod cif;
mod element;
mod functions;
mod kpoints;
mod structure;
mod trajectory;
mod xyz;

pub use array::ArrayData;
pub use bands::Bands;
pub use element::{ELEMENTS, is_element};
pub use functions::rescale;
pub use kpoints::{Kpoint, Kpoints, Mesh};
pub use structure::{Kind, Site, Structure};
pub use trajectory::Trajectory;
