//! Symmetry operations as lists of x, y and z: `-x+1/2, y, z-x`.

/// One operation on fractional coordinates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operation {
    rotation: [[f64; 3]; 3],
    translation: [f64; 3],
}

impl Operation {
    pub(super) fn identity() -> Self {
        Operation { rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], translation: [0.0; 3] }
    }

    /// Reads one.
    ///
    /// # Errors
    /// Fails with the problem, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // Some programs number their operations: `1 x,y,z`.
        let text = text.trim();
        let text = match text.split_once(char::is_whitespace) {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => text,
        };
        let parts: Vec<&str> = text.split(',').collect();
        let [x, y, z] = parts[..] else {
            return Err(format!("a symmetry operation is three terms, as `x,y,z`, not `{text}`"));
        };
        let mut operation = Operation { rotation: [[0.0; 3]; 3], translation: [0.0; 3] };
        for (axis, part) in [x, y, z].into_iter().enumerate() {
            (operation.rotation[axis], operation.translation[axis]) =
                term(part).map_err(|why| format!("symmetry operation `{text}`: {why}"))?;
        }
        let [a, b, c] = operation.rotation;
        let determinant = a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0]);
        if (determinant.abs() - 1.0).abs() > 1e-6 {
            return Err(format!("symmetry operation `{text}` keeps no volume"));
        }
        Ok(operation)
    }

    pub(super) fn apply(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|axis| {
            let [a, b, c] = self.rotation[axis];
            a * x + b * y + c * z + self.translation[axis]
        })
    }
}

/// Parses one term: the factors of x, y and z, and the constant.
fn term(text: &str) -> Result<([f64; 3], f64), String> {
    let mut factors = [0.0; 3];
    let mut constant = 0.0;
    let mut chars = text.chars().filter(|c| !c.is_whitespace()).peekable();
    if chars.peek().is_none() {
        return Err("a term is empty".to_owned());
    }
    let mut sign = 1.0;
    let mut number: Option<f64> = None;
    // A sign must be followed by something.
    let mut is_open = true;
    while let Some(c) = chars.next() {
        match c {
            '+' | '-' => {
                constant += sign * number.take().unwrap_or_default();
                sign = if c == '-' { -1.0 } else { 1.0 };
                is_open = true;
            }
            '0'..='9' | '.' => {
                let mut digits = String::from(c);
                while let Some(next) = chars.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | '/')) {
                    digits.push(next);
                }
                if number.replace(fraction(&digits)?).is_some() {
                    return Err(format!("`{digits}` follows a number"));
                }
                is_open = false;
            }
            '*' if number.is_some() => {}
            _ => {
                let axis =
                    "xyz".find(c.to_ascii_lowercase()).ok_or_else(|| format!("`{c}` has no meaning"))?;
                factors[axis] += sign * number.take().unwrap_or(1.0);
                sign = 1.0;
                is_open = false;
            }
        }
    }
    if is_open {
        return Err("a term ends with a sign".to_owned());
    }
    Ok((factors, constant + sign * number.unwrap_or_default()))
}

fn fraction(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is no number"));
    match text.split_once('/') {
        Some((above, below)) => match number(below)? {
            0.0 => Err(format!("`{text}` divides by 0")),
            below => Ok(number(above)? / below),
        },
        None => number(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read_as_people_write_them() {
        let at = |text: &str| Operation::parse(text).unwrap().apply([0.1, 0.2, 0.3]);
        let near = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert_eq!(Operation::parse("x,y,z"), Ok(Operation::identity()));
        assert!(near(at("-x+1/2, y, -z"), [0.4, 0.2, -0.3]));
        assert!(near(at("1/2+X,0.5-Y,Z"), [0.6, 0.3, 0.3]));
        assert!(near(at("-y,x-y,z+2/3"), [-0.2, -0.1, 0.3 + 2.0 / 3.0]));
        assert!(near(at("12 y,x,z"), [0.2, 0.1, 0.3]));
        assert!(near(at("+x,+y,1*z-.25"), [0.1, 0.2, 0.05]));
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, part) in [
            ("x,y", "three terms"),
            ("x,y,w", "`w` has no meaning"),
            ("x,x,z", "keeps no volume"),
            ("x,,z", "a term is empty"),
            ("x,y,z+", "ends with a sign"),
            ("x,y,z+1/0", "divides by 0"),
            ("x,y,1.2.3+z", "is no number"),
            ("", "three terms"),
        ] {
            let error = Operation::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
