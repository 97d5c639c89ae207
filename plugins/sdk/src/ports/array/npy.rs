//! Items of `.npy` files, of any width, byte order and order of indices.

use super::Items;

/// Returns, for each item of a C-ordered array, its index in a Fortran-ordered one (first index fastest).
pub(super) fn fortran_order(shape: &[usize]) -> Vec<usize> {
    let count = shape.iter().product();
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, length| {
            let this = *stride;
            *stride *= length;
            Some(this)
        })
        .collect();
    let place = |index: usize| {
        let mut rest = index;
        shape.iter().zip(&strides).rev().fold(0, |sum, (length, stride)| {
            let here = rest % length;
            rest /= length;
            sum + here * stride
        })
    };
    (0..count).map(place).collect()
}

pub(super) fn items_of(dtype: &str, bytes: &[u8]) -> Result<Items, String> {
    let unknown = || {
        format!(
            "the .npy file holds items of type `{dtype}`; ferry reads integers, floats, complex numbers and truth"
        )
    };
    let (order, kind) = dtype.split_at_checked(1).ok_or_else(unknown)?;
    let big = match order {
        "<" | "|" | "=" => false,
        ">" => true,
        _ => return Err(unknown()),
    };
    macro_rules! each {
        ($number:ty) => {
            chunks::<{ size_of::<$number>() }>(bytes, big)?.map(<$number>::from_le_bytes)
        };
    }
    let pairs = |numbers: Vec<f64>| {
        if !numbers.len().is_multiple_of(2) {
            return Err("the .npy file ends inside a complex number".to_owned());
        }
        Ok(numbers.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect::<Vec<_>>())
    };
    Ok(match kind {
        "f8" => Items::Float(each!(f64).collect()),
        "f4" => Items::Float(each!(f32).map(f64::from).collect()),
        "i8" => Items::Int(each!(i64).collect()),
        "i4" => Items::Int(each!(i32).map(i64::from).collect()),
        "i2" => Items::Int(each!(i16).map(i64::from).collect()),
        "i1" => Items::Int(each!(i8).map(i64::from).collect()),
        "u4" => Items::Int(each!(u32).map(i64::from).collect()),
        "u2" => Items::Int(each!(u16).map(i64::from).collect()),
        "u1" => Items::Int(each!(u8).map(i64::from).collect()),
        "u8" => Items::Int(
            each!(u64)
                .map(|number| {
                    i64::try_from(number)
                        .map_err(|_| format!("{number} does not fit into 64 bits with a sign"))
                })
                .collect::<Result<_, _>>()?,
        ),
        "b1" => Items::Bool(bytes.iter().map(|byte| *byte != 0).collect()),
        "c16" => Items::Complex(pairs(each!(f64).collect())?),
        "c8" => Items::Complex(pairs(each!(f32).map(f64::from).collect())?),
        _ => return Err(unknown()),
    })
}

/// Items of `N` bytes, the lowest byte first.
fn chunks<const N: usize>(bytes: &[u8], big: bool) -> Result<impl Iterator<Item = [u8; N]>, String> {
    let (chunks, []) = bytes.as_chunks::<N>() else {
        return Err("the .npy file ends inside an item".to_owned());
    };
    Ok(chunks.iter().map(move |chunk| {
        let mut chunk = *chunk;
        if big {
            chunk.reverse();
        }
        chunk
    }))
}
