//! Numbers in rows and columns, kept as `.npy` files: they may be large, and they may hold NaN, which no body may.

mod npy;
mod port;

pub use port::{Arrays, DEFAULT_ARRAY};

use ferry_plugin_proto::npy::Header;

use npy::{fortran_order, items_of};

/// An array of any number of dimensions, the last index fastest. As a port it is a node of the base type `array` that
/// holds nothing else; as a field of a data type it is a file of it.
///
/// ```
/// use ferry_plugin::Array;
/// let forces = Array::new([2, 3], vec![0.0, 0.1, f64::NAN, 0.0, 0.0, 0.0])?;
/// let file = forces.to_npy();
/// let again = Array::from_npy(&file)?;
/// assert_eq!((again.shape(), again.floats().unwrap()[1]), (&[2, 3][..], 0.1));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    items: Items,
}

/// The items of an array, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Items {
    /// Floats, `<f8` in the file.
    Float(Vec<f64>),
    /// Integers, `<i8`.
    Int(Vec<i64>),
    /// Truth, `|b1`.
    Bool(Vec<bool>),
    /// Complex numbers, real and imaginary part, `<c16`.
    Complex(Vec<[f64; 2]>),
}

macro_rules! items {
    ($($type:ty => $arm:ident),+) => {$(
        impl From<Vec<$type>> for Items {
            fn from(items: Vec<$type>) -> Self {
                Items::$arm(items)
            }
        }

        /// One row.
        impl From<Vec<$type>> for Array {
            fn from(items: Vec<$type>) -> Self {
                Array { shape: vec![items.len()], items: Items::$arm(items) }
            }
        }
    )+};
}
items! { f64 => Float, i64 => Int, bool => Bool, [f64; 2] => Complex }

/// Nothing.
impl Default for Array {
    fn default() -> Self {
        Vec::<f64>::new().into()
    }
}

/// A row for each vector.
impl From<Vec<[f64; 3]>> for Array {
    fn from(rows: Vec<[f64; 3]>) -> Self {
        Array { shape: vec![rows.len(), 3], items: Items::Float(rows.into_iter().flatten().collect()) }
    }
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Items::Float(items) => items.len(),
            Items::Int(items) => items.len(),
            Items::Bool(items) => items.len(),
            Items::Complex(items) => items.len(),
        }
    }

    fn dtype(&self) -> &'static str {
        match self {
            Items::Float(_) => "<f8",
            Items::Int(_) => "<i8",
            Items::Bool(_) => "|b1",
            Items::Complex(_) => "<c16",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Items::Float(items) => items.iter().flat_map(|item| item.to_le_bytes()).collect(),
            Items::Int(items) => items.iter().flat_map(|item| item.to_le_bytes()).collect(),
            Items::Bool(items) => items.iter().map(|item| u8::from(*item)).collect(),
            Items::Complex(items) => items.iter().flatten().flat_map(|part| part.to_le_bytes()).collect(),
        }
    }

    fn permuted(self, order: &[usize]) -> Items {
        fn pick<T: Copy>(items: &[T], order: &[usize]) -> Vec<T> {
            order.iter().filter_map(|index| items.get(*index).copied()).collect()
        }
        match self {
            Items::Float(items) => Items::Float(pick(&items, order)),
            Items::Int(items) => Items::Int(pick(&items, order)),
            Items::Bool(items) => Items::Bool(pick(&items, order)),
            Items::Complex(items) => Items::Complex(pick(&items, order)),
        }
    }
}

impl Array {
    /// Makes an array of this shape.
    ///
    /// # Errors
    /// Fails if the number of items is not that of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, items: impl Into<Items>) -> Result<Self, String> {
        let (shape, items) = (shape.into(), items.into());
        let header = Header { shape, ..Header::default() };
        if header.count() != Some(items.len()) {
            return Err(format!("{} items do not make an array of shape {:?}", items.len(), header.shape));
        }
        Ok(Array { shape: header.shape, items })
    }

    /// Returns the length along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the items, with the last index varying fastest.
    pub fn items(&self) -> &Items {
        &self.items
    }

    /// Returns the items; `None` if they are not floats.
    pub fn floats(&self) -> Option<&[f64]> {
        if let Items::Float(items) = &self.items { Some(items) } else { None }
    }

    /// Returns the rows; `None` if they are not three floats each.
    pub fn vectors(&self) -> Option<Vec<[f64; 3]>> {
        let floats = self.floats().filter(|_| self.shape.last() == Some(&3))?;
        Some(floats.chunks_exact(3).map(|row| [row[0], row[1], row[2]]).collect())
    }

    /// Reads a `.npy` file. Smaller numbers are widened.
    ///
    /// # Errors
    /// Fails with the problem, in words.
    pub fn from_npy(bytes: &[u8]) -> Result<Self, String> {
        let (header, start) = Header::read(bytes)?;
        let items = items_of(&header.dtype, &bytes[start..])?;
        if header.count() != Some(items.len()) {
            return Err(format!(
                "the .npy file holds {} items, and its shape {:?} asks for another number",
                items.len(),
                header.shape
            ));
        }
        let items = if header.fortran { items.permuted(&fortran_order(&header.shape)) } else { items };
        Ok(Array { shape: header.shape, items })
    }

    /// Returns the array as a `.npy` file.
    pub fn to_npy(&self) -> Vec<u8> {
        let mut bytes = self.header().write();
        bytes.extend(self.items.bytes());
        bytes
    }

    fn header(&self) -> Header {
        Header { dtype: self.items.dtype().to_owned(), fortran: false, shape: self.shape.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ports::{input::PortType, lender::Lender},
        testing::Scratch,
    };

    fn npy(dtype: &str, fortran: bool, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
        let mut file = Header { dtype: dtype.into(), fortran, shape: shape.into() }.write();
        file.extend(bytes);
        file
    }

    #[test]
    fn every_item_survives_a_file_nan_too() {
        for array in [
            Array::new([2, 2], vec![f64::NAN, f64::INFINITY, -0.0, 5e-324]).unwrap(),
            Array::from(vec![i64::MIN, 0, i64::MAX]),
            Array::from(vec![true, false]),
            Array::from(vec![[1.0, -1.0]]),
            Array::new(Vec::new(), vec![7_i64]).unwrap(),
            Array::new([0, 3], Vec::<f64>::new()).unwrap(),
        ] {
            let again = Array::from_npy(&array.to_npy()).unwrap();
            assert_eq!(again.to_npy(), array.to_npy());
            assert_eq!(again.shape(), array.shape());
        }
    }

    #[test]
    fn numpys_other_types_and_orders_are_read() {
        let small = Array::from_npy(&npy(">i2", false, &[2], &[0, 1, 255, 255])).unwrap();
        assert_eq!(small.items(), &Items::Int(vec![1, -1]));
        let columns = Array::from_npy(&npy("|u1", true, &[2, 3], &[0, 3, 1, 4, 2, 5])).unwrap();
        assert_eq!(columns.items(), &Items::Int(vec![0, 1, 2, 3, 4, 5]));
        let single = Array::from_npy(&npy("<f4", false, &[1], &1.5_f32.to_le_bytes())).unwrap();
        assert_eq!(single.floats(), Some(&[1.5][..]));
    }

    #[test]
    fn broken_files_are_told() {
        let says = |bytes: Vec<u8>, part: &str| {
            let error = Array::from_npy(&bytes).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        says(npy("<f8", false, &[2], &[0; 8]), "asks for another number");
        says(npy("<f8", false, &[1], &[0; 7]), "ends inside an item");
        says(npy("<U4", false, &[1], &[0; 16]), "items of type `<U4`");
        says(npy("", false, &[1], &[0; 16]), "items of type");
        says(npy("<u8", false, &[1], &[255; 8]), "does not fit");
        assert!(Array::new([2], vec![1.0]).is_err());
    }

    #[test]
    fn a_port_holds_one_array_or_several() {
        let scratch = Scratch::new();
        let mut lender = Lender::at(scratch.path());
        let one = Array::from(vec![1.0, f64::NAN]);
        let node = one.lend(&mut lender);
        assert_eq!(node.files.keys().collect::<Vec<_>>(), ["default.npy"]);
        assert_eq!(node.value.find_non_finite(), None);
        assert_eq!(Array::from_node(&node).unwrap().to_npy(), one.to_npy());
        let two = Arrays([("a".to_owned(), vec![1_i64].into()), ("b".to_owned(), one)].into());
        let node = two.lend(&mut lender);
        assert_eq!(Arrays::from_node(&node).unwrap().0.len(), 2);
        assert_eq!(Array::from_node(&node).unwrap_err(), "expected one array, found a node of 2");
    }
}
