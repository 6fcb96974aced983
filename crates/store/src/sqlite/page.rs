//! Pages of a list: by key, newest first, never by offset.

use rusqlite::{Row, Rows};
use watchbell_domain::port::{Page, PageRequest};

use super::error::Result;

/// Most entries a page has, whatever was asked.
const LIMIT_MAX: u16 = 250;

/// The id that the page's entries are older than. The first page is older than every UUIDv7 there will be.
pub(super) fn before(page: PageRequest) -> [u8; 16] {
    page.before.map_or([0xff; 16], uuid::Uuid::into_bytes)
}

/// How many entries the page has at most.
pub(super) fn limit(page: PageRequest) -> usize {
    usize::from(page.limit.min(LIMIT_MAX))
}

/// How many rows to fetch: one more than are shown tells whether more follow.
pub(super) fn fetch(page: PageRequest) -> u16 {
    page.limit.min(LIMIT_MAX) + 1
}

/// Makes a page of rows.
pub(super) fn collect<T>(
    page: PageRequest,
    mut rows: Rows<'_>,
    read: impl Fn(&Row<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let limit = limit(page);
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            return Ok(Page { items, more: true });
        }
        items.push(read(row)?);
    }
    Ok(Page { items, more: false })
}
