//! The crate's behaviour seen from outside. One binary, one module per subject.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod custom;
#[cfg(test)]
mod destinations;
#[cfg(test)]
mod digests;
#[cfg(test)]
mod filters;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod oracles;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod siem;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod vectors;
