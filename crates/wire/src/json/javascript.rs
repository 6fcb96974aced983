//! The text that JavaScript's `JSON.stringify(JSON.parse(text))` would write, and that survives it unchanged.
//!
//! Snyk's older verification example hashes that text and not the bytes received, so a body that goes to Snyk's
//! consumers must be its own re-serialisation. Two things differ from plain compact JSON:
//!
//! - numbers are doubles and printed as JavaScript prints them (`10`, `1e+21`, `1e-7`); one beyond a double is `null`;
//! - keys that are array indices (`0` to `4294967294`) come first, ascending. JavaScript moves them there itself, so a
//!   text that has them there already survives, and no member needs to be left out.

use super::Error;
use super::number;
use super::tree::{Object, Value, write_string};

/// Reads `text` and writes it as JavaScript would. Lone surrogates become U+FFFD.
///
/// ```
/// let text = watchbell_wire::json::javascript::restringify(r#"{"b": 10.0, "1": "\u00e9"}"#)?;
/// assert_eq!(text, r#"{"1":"é","b":10}"#);
/// # Ok::<(), watchbell_wire::json::Error>(())
/// ```
///
/// # Errors
/// When `text` is not JSON or is nested too deep.
pub fn restringify(text: &str) -> Result<String, Error> {
    Ok(stringify(&Value::read(text.as_bytes())?))
}

/// Writes `value` as JavaScript would.
pub(crate) fn stringify(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(text) => number::write_javascript(number::double(text), out),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (place, (key, value)) in in_order(object).into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn in_order(object: &Object) -> Vec<(&str, &Value)> {
    let mut members: Vec<_> = object.iter().collect();
    // Stable, so that members without an index stay as they are.
    members.sort_by_key(|(key, _)| array_index(key).map_or(u64::MAX, u64::from));
    members
}

/// `0` to `4294967294` without leading zeros: what ECMAScript calls an array index.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || (!key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { key.parse().ok().filter(|&index| index != u32::MAX) } else { None }
}
