//! Lists as Relay connections.
//!
//! A page is REST's page: newest first, at most 250, and a cursor that only we can make. Every edge has one.

use async_graphql::connection::{Connection, Edge};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::operation::{Path, Session};
use crate::problem::{Problem, Result};

/// Entries of a page, where `first` is left out.
const FIRST: u16 = 50;
/// Most entries of a page.
const FIRST_MAX: i32 = 250;

/// A page as it is answered.
pub(super) type Page<T> = Connection<String, T>;

/// Something of an organisation.
pub(super) trait Node: DeserializeOwned + async_graphql::OutputType {
    /// Its id.
    fn key(&self) -> &str;

    /// Where it stands in its list.
    fn place(&self) -> Option<Uuid> {
        bare(self.key())
    }

    /// Whose it is: from there its own fields look further, where it has any that do.
    fn within(self, org: &str) -> Self {
        let _ = org;
        self
    }
}

/// A [`Node`] with an `id` that keeps in `org` whose it is.
macro_rules! node_of_org {
    ($node:ident) => {
        impl Node for $node {
            fn key(&self) -> &str {
                &self.id
            }

            fn within(mut self, org: &str) -> Self {
                org.clone_into(&mut self.org);
                self
            }
        }
    };
}

pub(super) use node_of_org;

/// Which page is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
}

#[derive(Deserialize)]
struct Answered<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl Session {
    /// A page of the list `path`, whose cursors REST makes for `scope` below the organisation.
    pub(super) async fn list<T: Node>(&self, org: &str, path: Path, scope: &str, wanted: Wanted) -> Result<Page<T>> {
        let first = first(wanted.first)?;
        let has_previous = wanted.after.is_some();
        let path = path.with("limit", Some(first)).with("cursor", wanted.after);
        let answered: Answered<T> = self.get(path).await?;
        let mut page = Page::new(has_previous, answered.next_cursor.is_some());
        let scope = if org.is_empty() { scope.to_owned() } else { format!("{org}/{scope}") };
        page.edges.extend(answered.items.into_iter().map(|item| {
            let cursor = item.place().map(|id| self.cursors.make(&scope, id)).unwrap_or_default();
            Edge::new(cursor, item.within(org))
        }));
        Ok(page)
    }
}

/// How many entries are wanted.
pub(super) fn first(given: Option<i32>) -> Result<u16> {
    match given {
        None => Ok(FIRST),
        Some(first @ 1..=FIRST_MAX) => Ok(u16::try_from(first).unwrap_or(FIRST)),
        Some(_) => Err(Problem::QueryInvalid("first is a number from 1 to 250".to_owned())),
    }
}

/// The UUID of an id of any kind.
fn bare(id: &str) -> Option<Uuid> {
    let bare = id.rsplit('_').next()?;
    Uuid::try_parse(bare).ok()
}
