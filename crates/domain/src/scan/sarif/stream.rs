//! A log read as it comes, whatever its length: no more than one entry of a list is in memory at a time.
//!
//! ```text
//!  { "runs": [ { "tool": ─ value ─▶  "artifacts": [ ─ entry, entry … ─▶  "results": [ ─ entry, entry … ─▶
//! ```
//!
//! The order of members is free, so results may come before the rules that they are of. That is why a log is read twice:
//! once for what describes a run, once for its results.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan::error::ReportError;
use crate::scan::watched::{UNCOUNTED, Watched};

/// The members of a run that findings are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Tool,
    Invocations,
    Artifacts,
    Results,
}

impl Member {
    fn parse(key: &str) -> Option<Self> {
        match key {
            "tool" => Some(Self::Tool),
            "invocations" => Some(Self::Invocations),
            "artifacts" => Some(Self::Artifacts),
            "results" => Some(Self::Results),
            _ => None,
        }
    }

    const fn is_list(self) -> bool {
        match self {
            Self::Tool | Self::Invocations => false,
            Self::Artifacts | Self::Results => true,
        }
    }
}

/// Takes what is read.
pub(super) trait Handler {
    /// A run begins.
    fn run(&mut self);
    /// Whether the member's value, or the entries of its list, are to be read. Others are passed over.
    fn wants(&self, member: Member) -> bool;
    /// A member that is no list.
    fn value(&mut self, member: Member, raw: Box<RawValue>);
    /// The member is a list.
    fn list(&mut self, member: Member);
    /// One entry of it.
    fn entry(&mut self, member: Member, raw: &RawValue) -> Result<(), ReportError>;
}

/// What all parts of a walk share.
struct Walk<'h, H> {
    handler: RefCell<&'h mut H>,
    /// Why the handler ended the walk.
    ended: RefCell<Option<ReportError>>,
    /// Bytes since the last entry, counted by the reader.
    entry_bytes: Rc<Cell<u64>>,
}

impl<H> Walk<'_, H> {
    /// What comes is kept in memory, so its bytes count.
    fn kept(&self) {
        self.entry_bytes.set(0);
    }

    /// What comes is passed over.
    fn passed_over(&self) {
        self.entry_bytes.set(UNCOUNTED);
    }

    /// The next member's name.
    fn key<'de, A: MapAccess<'de>>(&self, map: &mut A) -> Result<Option<String>, A::Error> {
        self.kept();
        let key = map.next_key();
        self.passed_over();
        key
    }
}

/// Reads a log to its end. Answers whether it has a list of runs.
pub(super) fn walk<R: Read, H: Handler>(source: R, handler: &mut H) -> Result<bool, ReportError> {
    let entry_bytes = Rc::new(Cell::new(UNCOUNTED));
    let watched = Watched::new(source, Rc::clone(&entry_bytes));
    let walk = Walk { handler: RefCell::new(handler), ended: RefCell::new(None), entry_bytes };
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 * 1024, watched));
    let read = LogSeed(&walk).deserialize(&mut json).and_then(|has_runs| json.end().map(|()| has_runs));
    read.map_err(|error| walk.ended.take().unwrap_or_else(|| ReportError::of_stream(error)))
}

struct LogSeed<'w, 'h, H>(&'w Walk<'h, H>);

impl<'de, H: Handler> DeserializeSeed<'de> for LogSeed<'_, '_, H> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, H: Handler> Visitor<'de> for LogSeed<'_, '_, H> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut has_runs = false;
        while let Some(key) = self.0.key(&mut map)? {
            if key == "runs" {
                has_runs |= map.next_value_seed(Each { walk: self.0, of: None })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(has_runs)
    }
}

struct RunSeed<'w, 'h, H>(&'w Walk<'h, H>);

impl<'de, H: Handler> DeserializeSeed<'de> for RunSeed<'_, '_, H> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, H: Handler> Visitor<'de> for RunSeed<'_, '_, H> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.handler.borrow_mut().run();
        while let Some(key) = self.0.key(&mut map)? {
            match Member::parse(&key) {
                Some(member) if member.is_list() => {
                    map.next_value_seed(Each { walk: self.0, of: Some(member) })?;
                }
                Some(member) if self.0.handler.borrow().wants(member) => {
                    self.0.kept();
                    let raw = map.next_value::<Box<RawValue>>()?;
                    self.0.handler.borrow_mut().value(member, raw);
                }
                Some(_) | None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Every entry of an array: a run, or an entry of a member. Anything but an array is as good as absent.
struct Each<'w, 'h, H> {
    walk: &'w Walk<'h, H>,
    of: Option<Member>,
}

impl<'de, H: Handler> DeserializeSeed<'de> for Each<'_, '_, H> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, H: Handler> Visitor<'de> for Each<'_, '_, H> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let Some(member) = self.of else {
            while list.next_element_seed(RunSeed(self.walk))?.is_some() {}
            return Ok(true);
        };
        self.walk.handler.borrow_mut().list(member);
        if !self.walk.handler.borrow().wants(member) {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(true);
        }
        self.walk.kept();
        while let Some(raw) = list.next_element::<Box<RawValue>>()? {
            self.walk.kept();
            let taken = self.walk.handler.borrow_mut().entry(member, &raw);
            if let Err(error) = taken {
                self.walk.ended.replace(Some(error));
                return Err(A::Error::custom("ended"));
            }
        }
        self.walk.passed_over();
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }
}
