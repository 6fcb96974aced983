//! Numbers as text: what they are, and how Python and JavaScript print them.
//!
//! All three print the shortest digits that read back as the same double, the closest of them; they differ in layout
//! alone. Digits and decimal exponent come from Rust's own printer, the layout is made here.

use std::fmt::Write as _;

/// No fraction and no exponent.
pub(super) fn is_integer(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E' | b'N' | b'I'))
}

/// Whether every reader can hold `number`: integers up to so many digits, all others within a double.
pub(super) fn fits(number: &str, integer_digits_max: usize) -> bool {
    if is_integer(number) {
        return number.trim_start_matches('-').len() <= integer_digits_max;
    }
    double(number).is_finite()
}

/// The double, correctly rounded; an infinity on overflow. Exponents of any length cost nothing.
pub(super) fn double(number: &str) -> f64 {
    number.parse().unwrap_or(f64::NAN)
}

/// Significant digits without leading or trailing zeros, and the exponent of the first of them.
fn shortest(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or_default())
}

/// `repr` of a Python float.
pub(super) fn write_python(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("NaN");
        return;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    let value = value.abs();
    if value.is_infinite() {
        out.push_str("Infinity");
        return;
    }
    let (digits, exponent) = shortest(value);
    if (-4..16).contains(&exponent) {
        let before = out.len();
        write_plain(&digits, exponent, out);
        if !out.get(before..).unwrap_or_default().contains('.') {
            out.push_str(".0");
        }
        return;
    }
    write_mantissa(&digits, out);
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a String cannot fail.
    let _infallible = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

/// `String(value)` of a JavaScript number, as `JSON.stringify` writes it: what is not finite is `null`.
pub(super) fn write_javascript(value: f64, out: &mut String) {
    if !value.is_finite() {
        out.push_str("null");
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    let (digits, exponent) = shortest(value.abs());
    if (-6..21).contains(&exponent) {
        write_plain(&digits, exponent, out);
        return;
    }
    write_mantissa(&digits, out);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _infallible = write!(out, "e{sign}{}", exponent.unsigned_abs());
}

fn write_mantissa(digits: &str, out: &mut String) {
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
}

fn write_plain(digits: &str, exponent: i32, out: &mut String) {
    let Ok(whole) = usize::try_from(exponent + 1) else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', usize::try_from(-exponent - 1).unwrap_or_default()));
        out.push_str(digits);
        return;
    };
    match digits.split_at_checked(whole) {
        None | Some((_, "")) => {
            out.push_str(digits);
            out.extend(std::iter::repeat_n('0', whole.saturating_sub(digits.len())));
        }
        Some(("", fraction)) => {
            out.push_str("0.");
            out.push_str(fraction);
        }
        Some((whole, fraction)) => {
            out.push_str(whole);
            out.push('.');
            out.push_str(fraction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(value: f64) -> String {
        let mut out = String::new();
        write_python(value, &mut out);
        out
    }

    fn javascript(value: f64) -> String {
        let mut out = String::new();
        write_javascript(value, &mut out);
        out
    }

    #[test]
    fn prints_as_python_does() {
        let known = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1e100, "1e+100"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in known {
            assert_eq!(python(value), text);
        }
    }

    #[test]
    fn prints_as_javascript_does() {
        let known = [
            (0.0, "0"),
            (-0.0, "0"),
            (10.0, "10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (-3.7, "-3.7"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::INFINITY, "null"),
        ];
        for (value, text) in known {
            assert_eq!(javascript(value), text);
        }
    }
}
