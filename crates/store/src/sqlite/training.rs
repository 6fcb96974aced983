//! Completed lessons.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::id::{OrgId, TrainingId};
use watchbell_domain::port::{Acceptance, Once, Page, PageRequest, Pending, StoreError, TrainingStore, Written};
use watchbell_domain::training::{Lesson, Training, User};

use super::error::Result;
use super::once::once;
use super::page;
use super::row::{Columns, micros};
use super::writer::Tx;
use super::{SqliteStore, event};

const INSERT: &str = "INSERT INTO training (org_id, id, user_email, user_name, lesson, lesson_id, score, started_at, \
    completed_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

// Ids may be the caller's own, which say nothing of time.
const NEWEST: &str = "SELECT * FROM training WHERE org_id = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2";
const BEFORE: &str = "SELECT * FROM training WHERE org_id = ?1 AND (created_at, id) < \
    (SELECT created_at, id FROM training WHERE org_id = ?1 AND id = ?3) ORDER BY created_at DESC, id DESC LIMIT ?2";

impl TrainingStore for SqliteStore {
    fn add_training(&self, training: Training, told: Acceptance, key: Option<Once>) -> Pending<'_, Written<Training>> {
        self.add(move |tx| once(tx, training.org_id, training.created_at, key.as_ref(), |tx| add(tx, &training, &told)))
    }

    fn training(&self, org: OrgId, id: TrainingId) -> Pending<'_, Option<Training>> {
        self.read(move |read| find(read.conn, org, id))
    }

    fn trainings(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Training>> {
        self.read(move |read| {
            let (org, fetch) = (org.0.as_bytes(), page::fetch(page));
            match page.before {
                None => page::collect(page, read.conn.prepare_cached(NEWEST)?.query(params![org, fetch])?, training),
                Some(id) => {
                    let mut query = read.conn.prepare_cached(BEFORE)?;
                    page::collect(page, query.query(params![org, fetch, id.as_bytes()])?, training)
                }
            }
        })
    }
}

fn add(tx: &mut Tx<'_>, training: &Training, told: &Acceptance) -> Result<Training> {
    if let Some(known) = find(tx.conn, training.org_id, training.id)? {
        if known.says_the_same(training) {
            return Ok(known);
        }
        return Err(StoreError::Conflict("another training was reported under this id").into());
    }
    tx.conn.prepare_cached(INSERT)?.execute(params![
        training.org_id.0.as_bytes(),
        training.id.0.as_bytes(),
        training.user.email,
        training.user.name,
        training.lesson.name,
        training.lesson.id,
        training.score,
        micros(training.started_at),
        micros(training.completed_at),
        micros(training.created_at),
    ])?;
    event::accept(tx, told)?;
    Ok(training.clone())
}

fn find(conn: &Connection, org: OrgId, id: TrainingId) -> Result<Option<Training>> {
    let mut query = conn.prepare_cached("SELECT * FROM training WHERE org_id = ?1 AND id = ?2")?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(training(row)));
    found.optional()?.transpose()
}

fn training(row: &Row<'_>) -> Result<Training> {
    let columns = Columns::of("training", row);
    Ok(Training {
        id: TrainingId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        user: User { email: columns.get("user_email")?, name: columns.get("user_name")? },
        lesson: Lesson { name: columns.get("lesson")?, id: columns.get("lesson_id")? },
        score: columns.get("score")?,
        started_at: columns.time("started_at")?,
        completed_at: columns.time("completed_at")?,
        created_at: columns.time("created_at")?,
    })
}
