//! The crate's behaviour seen from outside. One binary, one module per subject.

#[cfg(test)]
mod vectors;
