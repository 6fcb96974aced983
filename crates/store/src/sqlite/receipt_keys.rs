//! Names of requests: by what a request is known again.
//!
//! ```text
//!  remember ─▶ log: one row a commit ─┐
//!           └▶ gathered, sorted ──────┴─▶ index, a slice of neighbours at a time ─▶ forgotten by age
//! ```
//!
//! A name is a digest, so that its place in an index is anywhere: written one by one, each would change a page of its own,
//! and that page is most of what a request costs here. So the newest names are gathered in memory, and a log that grows at
//! its end keeps them for the next start. When there are many, those that lie side by side are moved into the index
//! together, slice after slice through all digests, round and round. A row of the log goes once a whole round has ended that
//! began behind it.
//!
//! Only the writer changes them; what a failed unit or commit did is forgotten, and the log is read again.

use std::collections::BTreeMap;
use std::ops::Bound;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;
use watchbell_domain::id::ReceiptId;
use watchbell_domain::receipt::DedupKey;

use super::error::Result;
use super::row::{Columns, micros};

const LOG: &str = "INSERT INTO receipt_key_log (number, newest_at, names) VALUES (?1, ?2, ?3)";
const ALL_LOGGED: &str = "SELECT number, names FROM receipt_key_log ORDER BY number";
const FIND: &str = "SELECT receipt_id FROM receipt_key WHERE digest = ?1 AND taken_at > ?2";
const HAS_INDEX: &str = "SELECT EXISTS (SELECT 1 FROM receipt_key)";
const MOVE: &str = "INSERT OR REPLACE INTO receipt_key (digest, receipt_id, taken_at) VALUES (?1, ?2, ?3)";
const NOTE_SLICE: &str = "INSERT INTO receipt_key_slice (newest_at, first_digest, last_digest) VALUES (?1, ?2, ?3)";
const ROUND: &str = "SELECT after, began_at, moved_up_to FROM receipt_key_round";
const KEEP_ROUND: &str =
    "INSERT OR REPLACE INTO receipt_key_round (only, after, began_at, moved_up_to) VALUES (1, ?1, ?2, ?3)";
const CUT_LOG: &str = "DELETE FROM receipt_key_log WHERE number IN \
    (SELECT number FROM receipt_key_log WHERE number <= ?1 ORDER BY number LIMIT ?2)";

// Numbers rise with time: what is behind the first young one is younger.
const OLDEST_SLICE: &str = "DELETE FROM receipt_key_slice WHERE number = (SELECT min(number) FROM receipt_key_slice) \
    AND newest_at < ?1 RETURNING first_digest, last_digest";
const FORGET: &str = "DELETE FROM receipt_key WHERE digest BETWEEN ?1 AND ?2 AND taken_at < ?3";
const FORGET_LOGGED: &str = "DELETE FROM receipt_key_log WHERE number IN \
    (SELECT number FROM receipt_key_log ORDER BY number LIMIT ?2) AND newest_at < ?1 RETURNING names";
const HAS_OLD: &str = "SELECT ifnull((SELECT newest_at FROM receipt_key_slice ORDER BY number LIMIT 1) < ?1, 0) \
    OR ifnull((SELECT newest_at FROM receipt_key_log ORDER BY number LIMIT 1) < ?1, 0)";

/// Names in memory, of some 60 bytes each. The more there are, the more of a slice share a page of the index.
const GATHERED_MAX: usize = 32 * 1024;
/// Names that are moved at once: whoever waits for the commit waits for them too.
const SLICE: u16 = 1024;
/// Rows that a slice takes from the log at most, for each of its names: more than come in meanwhile, so that the log ends.
const CUT_FACTOR: u32 = 2;

/// Slices that a commit goes through at most. Often an older one has taken its names along.
const SLICES_FORGOTTEN_MAX: u32 = 8;

/// What the writer knows of them.
#[derive(Debug)]
pub(super) struct ReceiptKeys {
    gathered_max: usize,
    slice: u16,
    /// `None`: not read yet, or not to be relied on.
    gathered: Option<Gathered>,
    /// The group's names, which the log has with its commit.
    unlogged: Vec<(DedupKey, Name)>,
    /// How many of them are of the units before the running one.
    of_units_before: usize,
    /// The running unit has forgotten something.
    has_forgotten: bool,
}

/// Names that the index has not, or not yet as new.
#[derive(Debug, Default)]
struct Gathered {
    names: BTreeMap<DedupKey, Name>,
    /// The log's newest row. Numbers are not given twice, however many rows go.
    last: i64,
    round: Round,
    /// Whether anything was moved into the index: as long as few call, it has nothing to be asked for.
    has_index: bool,
}

/// How far moving has come.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    /// The digest before the next slice; `None`: a round begins.
    after: Option<DedupKey>,
    /// The newest row of the log when it began.
    began_at: i64,
    /// Rows up to this one were moved by the rounds before.
    moved_up_to: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    receipt: ReceiptId,
    /// In microseconds.
    taken_at: i64,
}

impl Default for ReceiptKeys {
    fn default() -> Self {
        Self {
            gathered_max: GATHERED_MAX,
            slice: SLICE,
            gathered: None,
            unlogged: Vec::new(),
            of_units_before: 0,
            has_forgotten: false,
        }
    }
}

impl ReceiptKeys {
    /// The receipt of the request that was taken by this name, if that was after `forgotten`.
    pub(super) fn find(&mut self, conn: &Connection, key: DedupKey, forgotten: Timestamp) -> Result<Option<ReceiptId>> {
        let forgotten = micros(forgotten);
        let gathered = self.gathered(conn)?;
        if let Some(name) = gathered.names.get(&key).filter(|name| name.taken_at > forgotten) {
            return Ok(Some(name.receipt));
        }
        if !gathered.has_index {
            return Ok(None);
        }
        let found = conn.prepare_cached(FIND)?.query_row(params![key.0, forgotten], |row| row.get(0)).optional()?;
        Ok(found.map(|id| ReceiptId(Uuid::from_bytes(id))))
    }

    /// From now on the name stands for this receipt.
    pub(super) fn remember(
        &mut self,
        conn: &Connection,
        key: DedupKey,
        receipt: ReceiptId,
        taken_at: Timestamp,
    ) -> Result<()> {
        let name = Name { receipt, taken_at: micros(taken_at) };
        let (gathered_max, slice) = (self.gathered_max, self.slice);
        // First of all, so that what fails from here on is seen to have changed something.
        self.unlogged.push((key, name));
        let gathered = self.gathered(conn)?;
        gathered.names.insert(key, name);
        if gathered.names.len() > gathered_max {
            gathered.move_slice(conn, slice)?;
        }
        Ok(())
    }

    /// Forgets names that were taken before `before`: in the index where the oldest slices were put, until there are
    /// `limit`; in the log those of at most `limit` commits.
    pub(super) fn forget(&mut self, conn: &Connection, before: Timestamp, limit: u32) -> Result<u64> {
        self.has_forgotten = true;
        let before = micros(before);
        let mut forgotten = 0;
        for _ in 0..SLICES_FORGOTTEN_MAX {
            let slice = conn.prepare_cached(OLDEST_SLICE)?.query_row([before], |row| Ok((row.get(0)?, row.get(1)?)));
            let Some(slice): Option<([u8; 16], [u8; 16])> = slice.optional()? else { break };
            forgotten += conn.prepare_cached(FORGET)?.execute(params![slice.0, slice.1, before])?;
            if forgotten >= usize::try_from(limit).unwrap_or(usize::MAX) {
                break;
            }
        }
        let gathered = self.gathered(conn)?;
        let mut query = conn.prepare_cached(FORGET_LOGGED)?;
        let mut rows = query.query(params![before, limit])?;
        while let Some(row) = rows.next()? {
            for (key, name) in unpacked(&Columns::of("receipt_key_log", row))? {
                // It may have been taken anew since.
                if gathered.names.get(&key) == Some(&name) {
                    gathered.names.remove(&key);
                }
                forgotten += 1;
            }
        }
        Ok(u64::try_from(forgotten).unwrap_or_default())
    }

    pub(super) fn unit_ended(&mut self, done: bool) {
        let is_touched = std::mem::take(&mut self.has_forgotten) || self.unlogged.len() > self.of_units_before;
        if is_touched && !done {
            self.unlogged.truncate(self.of_units_before);
            self.gathered = None;
        }
        self.of_units_before = self.unlogged.len();
    }

    /// Writes the group's names down, the last thing before its commit.
    pub(super) fn log(&mut self, conn: &Connection) -> Result<()> {
        if self.unlogged.is_empty() {
            return Ok(());
        }
        let (names, newest_at) = (packed(&self.unlogged), self.unlogged.iter().map(|(_, name)| name.taken_at).max());
        let gathered = self.gathered(conn)?;
        gathered.last += 1;
        conn.prepare_cached(LOG)?.execute(params![gathered.last, newest_at, names])?;
        self.unlogged.clear();
        self.of_units_before = 0;
        Ok(())
    }

    /// The group was not committed.
    pub(super) fn abandoned(&mut self) {
        self.gathered = None;
        self.unlogged.clear();
        self.of_units_before = 0;
        self.has_forgotten = false;
    }

    fn gathered(&mut self, conn: &Connection) -> Result<&mut Gathered> {
        if self.gathered.is_none() {
            let mut gathered = Gathered::read(conn)?;
            gathered.names.extend(self.unlogged.iter().copied());
            self.gathered = Some(gathered);
        }
        Ok(self.gathered.get_or_insert_default())
    }
}

/// Whether [`ReceiptKeys::forget`] would forget anything.
pub(super) fn has_old(conn: &Connection, before: Timestamp) -> Result<bool> {
    Ok(conn.prepare_cached(HAS_OLD)?.query_row([micros(before)], |row| row.get(0))?)
}

impl Gathered {
    fn read(conn: &Connection) -> Result<Self> {
        let round = Round::read(conn)?;
        let has_index = conn.prepare_cached(HAS_INDEX)?.query_row([], |row| row.get(0))?;
        let mut all = Self { last: round.began_at, round, has_index, ..Self::default() };
        let mut query = conn.prepare_cached(ALL_LOGGED)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let columns = Columns::of("receipt_key_log", row);
            let number = columns.get("number")?;
            all.last = all.last.max(number);
            all.names.extend(unpacked(&columns)?.into_iter().filter(|(key, _)| !round.has_moved(number, *key)));
        }
        Ok(all)
    }

    /// Moves the next neighbours into the index, and takes from the log what is there whole.
    fn move_slice(&mut self, conn: &Connection, slice: u16) -> Result<()> {
        let after = self.round.after.map_or(Bound::Unbounded, Bound::Excluded);
        let neighbours = self.names.range((after, Bound::Unbounded)).take(slice.into());
        let neighbours: Vec<(DedupKey, Name)> = neighbours.map(|(key, name)| (*key, *name)).collect();
        self.has_index = true;
        let mut insert = conn.prepare_cached(MOVE)?;
        for (key, name) in &neighbours {
            insert.execute(params![key.0, name.receipt.0.as_bytes(), name.taken_at])?;
            self.names.remove(key);
        }
        // They go by age together, as they came: what is forgotten at once lies side by side too.
        if let (Some((first, _)), Some((last, _))) = (neighbours.first(), neighbours.last()) {
            let newest_at = neighbours.iter().map(|(_, name)| name.taken_at).max();
            conn.prepare_cached(NOTE_SLICE)?.execute(params![newest_at, first.0, last.0])?;
        }
        self.round = match neighbours.last() {
            Some((last, _)) if neighbours.len() == usize::from(slice) => Round { after: Some(*last), ..self.round },
            _ => Round { after: None, began_at: self.last, moved_up_to: self.round.began_at },
        };
        self.round.keep(conn)?;
        conn.prepare_cached(CUT_LOG)?.execute(params![self.round.moved_up_to, u32::from(slice) * CUT_FACTOR])?;
        Ok(())
    }
}

impl Round {
    fn read(conn: &Connection) -> Result<Self> {
        let mut query = conn.prepare_cached(ROUND)?;
        let mut rows = query.query([])?;
        let Some(row) = rows.next()? else { return Ok(Self::default()) };
        let columns = Columns::of("receipt_key_round", row);
        Ok(Self {
            after: columns.get::<Option<[u8; 16]>>("after")?.map(DedupKey),
            began_at: columns.get("began_at")?,
            moved_up_to: columns.get("moved_up_to")?,
        })
    }

    fn keep(self, conn: &Connection) -> Result<()> {
        let after = self.after.map(|key| key.0);
        conn.prepare_cached(KEEP_ROUND)?.execute(params![after, self.began_at, self.moved_up_to])?;
        Ok(())
    }

    /// Whether the index has what this row of the log says.
    fn has_moved(self, number: i64, key: DedupKey) -> bool {
        number <= self.moved_up_to || (number <= self.began_at && self.after.is_some_and(|after| key <= after))
    }
}

/// Bytes of a name in the log: digest, receipt, time.
const PACKED_BYTES: usize = 16 + 16 + 8;

fn packed(names: &[(DedupKey, Name)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(names.len() * PACKED_BYTES);
    for (key, name) in names {
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(name.receipt.0.as_bytes());
        bytes.extend_from_slice(&name.taken_at.to_be_bytes());
    }
    bytes
}

fn unpacked(columns: &Columns<'_, '_>) -> Result<Vec<(DedupKey, Name)>> {
    let bytes: Vec<u8> = columns.get("names")?;
    let (names, []) = bytes.as_chunks::<PACKED_BYTES>() else {
        return Err(columns.corrupt("names", "half a name"));
    };
    let name = |bytes: &[u8; PACKED_BYTES]| {
        let (key, rest) = bytes.split_first_chunk::<16>()?;
        let (receipt, taken_at) = rest.split_first_chunk::<16>()?;
        let taken_at = i64::from_be_bytes(taken_at.try_into().ok()?);
        Some((DedupKey(*key), Name { receipt: ReceiptId(Uuid::from_bytes(*receipt)), taken_at }))
    };
    Ok(names.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::open::migrate;
    use super::*;

    const WINDOW: i64 = 40;

    /// What the writer might do.
    #[derive(Debug, Clone)]
    enum Deed {
        Take(u8),
        /// A unit that fails once it has written.
        TakeInVain(u8),
        Commit,
        CommitInVain,
        Forget(u32),
        Crash,
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            12 => any::<u8>().prop_map(Deed::Take),
            1 => any::<u8>().prop_map(Deed::TakeInVain),
            4 => Just(Deed::Commit),
            1 => Just(Deed::CommitInVain),
            1 => (1_u32..20).prop_map(Deed::Forget),
            1 => Just(Deed::Crash),
        ]
    }

    fn key(number: u8) -> DedupKey {
        // Neighbours in number are none in the index.
        let mut digest = [number; 16];
        digest[0] = number.wrapping_mul(167);
        DedupKey(digest)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn receipt(seconds: i64) -> ReceiptId {
        ReceiptId(Uuid::from_u128(u128::try_from(seconds).unwrap()))
    }

    fn database() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, Path::new(":memory:")).unwrap();
        conn
    }

    fn small() -> ReceiptKeys {
        ReceiptKeys { gathered_max: 12, slice: 5, ..ReceiptKeys::default() }
    }

    fn run(conn: &Connection, statement: &str) {
        conn.execute(statement, []).unwrap();
    }

    fn count(conn: &Connection, table: &str) -> usize {
        let count: i64 = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }

    /// Takes a name unless it is known; `None`: it was new.
    fn take(keys: &mut ReceiptKeys, conn: &Connection, number: u8, now: i64) -> Option<ReceiptId> {
        let found = keys.find(conn, key(number), at(now - WINDOW)).unwrap();
        if found.is_none() {
            keys.remember(conn, key(number), receipt(now), at(now)).unwrap();
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever fails, and whenever it is moved, a name is known for the window and not for longer; and the log ends.
        #[test]
        fn known_for_the_window(deeds in vec(deed(), 1..300)) {
            let conn = database();
            let mut keys = small();
            let (mut known, mut committed) = (BTreeMap::<u8, i64>::new(), BTreeMap::new());
            run(&conn, "BEGIN");
            for (now, deed) in (WINDOW..).zip(deeds) {
                let first = |known: &BTreeMap<u8, i64>, number| {
                    known.get(&number).copied().filter(|first| *first > now - WINDOW)
                };
                match deed {
                    Deed::Take(number) => {
                        prop_assert_eq!(take(&mut keys, &conn, number, now), first(&known, number).map(receipt));
                        keys.unit_ended(true);
                        known.insert(number, first(&known, number).unwrap_or(now));
                    }
                    Deed::TakeInVain(number) => {
                        run(&conn, "SAVEPOINT unit");
                        take(&mut keys, &conn, number, now);
                        keys.unit_ended(false);
                        run(&conn, "ROLLBACK TO unit");
                    }
                    Deed::Commit => {
                        keys.log(&conn).unwrap();
                        run(&conn, "COMMIT");
                        run(&conn, "BEGIN");
                        committed.clone_from(&known);
                    }
                    Deed::CommitInVain | Deed::Crash => {
                        run(&conn, "ROLLBACK");
                        run(&conn, "BEGIN");
                        known.clone_from(&committed);
                        keys.abandoned();
                        if matches!(deed, Deed::Crash) {
                            keys = small();
                        }
                    }
                    Deed::Forget(limit) => {
                        keys.forget(&conn, at(now - WINDOW), limit).unwrap();
                        keys.unit_ended(true);
                    }
                }
                // A sixteenth of all that there may be, another with each deed.
                let sixteenth = u8::try_from(now % 16).unwrap();
                for number in (sixteenth..=u8::MAX).step_by(16) {
                    let found = keys.find(&conn, key(number), at(now - WINDOW)).unwrap();
                    prop_assert_eq!(found, first(&known, number).map(receipt));
                }
                prop_assert!(count(&conn, "receipt_key_log") <= 4 * 17);
            }
        }
    }

    /// The unit whose name was one too many, and the index out of order.
    #[test]
    fn a_slice_that_cannot_be_moved_leaves_nothing_behind() {
        let conn = database();
        let mut keys = small();
        for number in 0..12 {
            assert_eq!(take(&mut keys, &conn, number, 1), None);
            keys.unit_ended(true);
        }
        keys.log(&conn).unwrap();
        run(&conn, "ALTER TABLE receipt_key RENAME TO away");
        keys.remember(&conn, key(12), receipt(2), at(2)).unwrap_err();
        keys.unit_ended(false);
        run(&conn, "ALTER TABLE away RENAME TO receipt_key");
        for number in 0..12 {
            assert_eq!(keys.find(&conn, key(number), at(0)).unwrap(), Some(receipt(1)));
        }
        assert_eq!(keys.find(&conn, key(12), at(0)).unwrap(), None);
    }

    #[test]
    fn what_is_old_goes_from_log_and_index() {
        let conn = database();
        let mut keys = small();
        for number in 0..60 {
            assert_eq!(take(&mut keys, &conn, number, i64::from(number) + 1), None);
            keys.unit_ended(true);
            keys.log(&conn).unwrap();
        }
        assert!(count(&conn, "receipt_key") >= 40);
        let young = 55;
        while has_old(&conn, at(young)).unwrap() {
            keys.forget(&conn, at(young), 7).unwrap();
        }
        assert!(count(&conn, "receipt_key_log") <= 6);
        assert!(count(&conn, "receipt_key_slice") <= 2);
        // What was moved together stays as long as the youngest of it.
        assert!(count(&conn, "receipt_key") <= 10);
        for number in 54..60 {
            assert_eq!(keys.find(&conn, key(number), at(0)).unwrap(), Some(receipt(i64::from(number) + 1)));
        }
    }
}
