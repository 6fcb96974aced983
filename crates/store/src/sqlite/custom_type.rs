//! Definitions of an organisation's own event types.

use rusqlite::types::Value;
use rusqlite::{Row, params};
use watchbell_domain::audit::Deed;
use watchbell_domain::custom_type::{TYPES_MAX, TypeDefinition};
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{CustomTypeStore, Pending, StoreError, Terms, Written};
use watchbell_wire::EventType;

use super::error::{OrConflict, Result};
use super::row::{Columns, micros, signed};
use super::writer::Tx;
use super::{SqliteStore, audit};

const INSERT: &str = "INSERT INTO custom_type \
    (org_id, name, description, schema, example, version, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const UPDATE: &str = "UPDATE custom_type SET description = ?3, schema = ?4, example = ?5, version = ?6, \
    created_at = ?7, updated_at = ?8 WHERE org_id = ?1 AND name = ?2 AND version = ?9";

impl CustomTypeStore for SqliteStore {
    fn create_type(&self, definition: TypeDefinition, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            audit::on(tx, definition.org_id, definition.created_at, &terms, |tx| create(tx, &definition))
        })
    }

    fn types(&self, org: OrgId) -> Pending<'_, Vec<TypeDefinition>> {
        self.read(move |read| {
            let statement = "SELECT *, org_id AS id FROM custom_type WHERE org_id = ?1 ORDER BY name";
            let mut query = read.conn.prepare_cached(statement)?;
            let mut rows = query.query([org.0.as_bytes()])?;
            let mut types = Vec::new();
            while let Some(row) = rows.next()? {
                types.push(definition(row)?);
            }
            Ok(types)
        })
    }

    fn update_type(&self, seen: u64, changed: TypeDefinition, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| {
            audit::on(tx, changed.org_id, changed.updated_at, &terms, |tx| {
                let mut values = values(&changed).to_vec();
                values.push(signed(seen).into());
                match tx.conn.prepare_cached(UPDATE)?.execute(rusqlite::params_from_iter(values))? {
                    1 => Ok(()),
                    _ => Err(StoreError::Conflict("the event type was changed meanwhile").into()),
                }
            })
        })
    }

    fn delete_type(&self, org: OrgId, name: EventType, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let mut delete = tx.conn.prepare_cached("DELETE FROM custom_type WHERE org_id = ?1 AND name = ?2")?;
            let is_deleted = delete.execute(params![org.0.as_bytes(), name.as_str()])? == 1;
            audit::note(tx, org, deed.as_ref().filter(|_| is_deleted))?;
            Ok(is_deleted)
        })
    }
}

fn create(tx: &Tx<'_>, definition: &TypeDefinition) -> Result<()> {
    let mut count = tx.conn.prepare_cached("SELECT count(*) FROM custom_type WHERE org_id = ?1")?;
    let there: i64 = count.query_row([definition.org_id.0.as_bytes()], |row| row.get(0))?;
    if usize::try_from(there).unwrap_or(usize::MAX) >= TYPES_MAX {
        return Err(StoreError::Conflict("the organisation has as many event types as it may").into());
    }
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(rusqlite::params_from_iter(values(definition)));
    inserted.or_conflict("an event type of this name exists")?;
    Ok(())
}

fn values(definition: &TypeDefinition) -> [Value; 8] {
    let text = |json: &Option<serde_json::Value>| Value::from(json.as_ref().map(ToString::to_string));
    [
        definition.org_id.0.as_bytes().to_vec().into(),
        definition.name.as_str().to_owned().into(),
        definition.description.clone().into(),
        text(&definition.schema),
        text(&definition.example),
        signed(definition.version).into(),
        micros(definition.created_at).into(),
        micros(definition.updated_at).into(),
    ]
}

fn definition(row: &Row<'_>) -> Result<TypeDefinition> {
    let columns = Columns::of("custom_type", row);
    let json = |column| match columns.get::<Option<String>>(column)? {
        None => Ok(None),
        Some(_) => columns.json(column).map(Some),
    };
    Ok(TypeDefinition {
        org_id: OrgId(columns.uuid("org_id")?),
        name: columns.named("name", |text| text.parse().ok())?,
        description: columns.get("description")?,
        schema: json("schema")?,
        example: json("example")?,
        version: columns.count("version")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}
