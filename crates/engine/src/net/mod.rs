//! The network seams: they speak bytes, which no rule should.

pub mod guard;
