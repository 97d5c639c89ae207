//! The head of a `.npy` file, as NumPy defines it (`numpy.lib.format`, versions 1.0 to 3.0): the type of the
//! items, their order, and the shape. It is read and written here; items are whoever's who holds them.
//!
//! ```
//! use ferry_plugin_proto::npy::Header;
//! let header = Header { dtype: "<f8".into(), fortran: false, shape: vec![2, 3] };
//! let bytes = header.write();
//! assert_eq!(Header::read(&bytes), Ok((header, bytes.len())));
//! ```

/// The first bytes of every file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest head that is read.
const HEAD_MAX: usize = 1 << 16;

/// The header of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// NumPy's word for the items' type, as `<f8`.
    pub dtype: String,
    /// True if the first index runs fastest.
    pub fortran: bool,
    /// Length along each axis; empty: one item.
    pub shape: Vec<usize>,
}

impl Header {
    /// Reads a head; gives it with its length in bytes, behind which the items begin.
    ///
    /// # Errors
    /// Fails with the problem, in words.
    pub fn read(bytes: &[u8]) -> Result<(Header, usize), String> {
        let rest = bytes.strip_prefix(MAGIC).ok_or("no .npy file: it does not begin with \\x93NUMPY")?;
        let (length, head) = match rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            [version, ..] if *version > 3 => {
                return Err(format!("a .npy file of version {version}, which is not known"));
            }
            _ => return Err("the .npy file ends inside its head".into()),
        };
        if length > HEAD_MAX {
            return Err(format!("the .npy file's head is {length} bytes long, more than {HEAD_MAX}"));
        }
        let text = bytes.get(head..head + length).ok_or("the .npy file ends inside its head")?;
        let text = std::str::from_utf8(text).map_err(|_| "the .npy file's head is no text")?;
        Ok((parse(text)?, head + length))
    }

    /// Returns the header as bytes, padded so that the items behind it are aligned as NumPy aligns them.
    pub fn write(&self) -> Vec<u8> {
        let (fortran, shape) = (if self.fortran { "True" } else { "False" }, tuple(&self.shape));
        let mut text =
            format!("{{'descr': '{}', 'fortran_order': {fortran}, 'shape': {shape}, }}", self.dtype);
        let padding = 63 - (10 + text.len()) % 64;
        text.extend(std::iter::repeat_n(' ', padding));
        text.push('\n');
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
        [MAGIC, &[1, 0], &length, text.as_bytes()].concat()
    }

    /// Returns the number of items; `None` if it does not fit a `usize`.
    pub fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length))
    }
}

fn tuple(shape: &[usize]) -> String {
    let lengths: Vec<String> = shape.iter().map(usize::to_string).collect();
    if lengths.len() == 1 { format!("({},)", lengths[0]) } else { format!("({})", lengths.join(", ")) }
}

/// Reads the Python literal of the head: a dict of three known keys.
fn parse(text: &str) -> Result<Header, String> {
    let entry = |key: &str| {
        let quoted = [format!("'{key}'"), format!("\"{key}\"")];
        let start = quoted.iter().find_map(|quoted| Some(text.find(quoted.as_str())? + quoted.len()));
        let rest = start.and_then(|start| text[start..].trim_start().strip_prefix(':'));
        rest.map(str::trim_start).ok_or_else(|| format!("the .npy file's head has no `{key}`"))
    };
    let descr = entry("descr")?;
    let quote = descr.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let quote = quote.ok_or("the .npy file holds records, of which ferry knows nothing")?;
    let dtype = descr[1..].split(quote).next().unwrap_or_default();
    let order = entry("fortran_order")?;
    let fortran = match order {
        _ if order.starts_with("True") => true,
        _ if order.starts_with("False") => false,
        _ => return Err("the .npy file's `fortran_order` is neither True nor False".into()),
    };
    let shape = entry("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or("the .npy file's `shape` is no tuple")?;
    let lengths = shape.split(',').map(str::trim).filter(|length| !length.is_empty());
    // Python 2 wrote long integers with an `L`.
    let lengths = lengths.map(|length| length.trim_end_matches('L').parse::<usize>());
    let shape: Result<Vec<usize>, _> = lengths.collect();
    let shape = shape.map_err(|_| "the .npy file's `shape` holds something that is no length")?;
    Ok(Header { dtype: dtype.to_owned(), fortran, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, head: &str) -> Vec<u8> {
        let length = head.len() as u16;
        let length: &[u8] =
            if version == 1 { &length.to_le_bytes() } else { &u32::from(length).to_le_bytes() };
        [MAGIC, &[version, 0], length, head.as_bytes()].concat()
    }

    #[test]
    fn heads_of_numpy_are_read() {
        let head = "{'descr': '<f8', 'fortran_order': True, 'shape': (3,), }   \n";
        for version in [1, 2, 3] {
            let (header, _) = Header::read(&file(version, head)).unwrap();
            assert_eq!(header, Header { dtype: "<f8".into(), fortran: true, shape: vec![3] });
        }
        let scalar = "{\"descr\": \"|b1\", \"fortran_order\": False, \"shape\": ()}";
        assert_eq!(Header::read(&file(1, scalar)).unwrap().0.count(), Some(1));
    }

    #[test]
    fn what_is_wrong_with_a_head_is_said() {
        let says = |bytes: &[u8], part: &str| {
            let error = Header::read(bytes).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        says(b"PK\x03\x04", "no .npy file");
        says(&file(1, "{}"), "no `descr`");
        says(&file(1, "{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,)}"), "records");
        says(&file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "no length");
        says(&file(9, ""), "version 9");
        let whole = Header::default().write();
        (0..whole.len()).for_each(|end| assert!(Header::read(&whole[..end]).is_err(), "{end}"));
    }

    #[test]
    fn a_head_is_a_multiple_of_64_bytes_long() {
        for shape in [vec![], vec![1], vec![100, 200, 300], vec![1; 30]] {
            let header = Header { dtype: "<f8".into(), fortran: false, shape };
            assert_eq!(header.write().len() % 64, 0);
            assert_eq!(Header::read(&header.write()).unwrap().0, header);
        }
        assert_eq!(Header { shape: vec![usize::MAX, 2], ..Header::default() }.count(), None);
    }
}
