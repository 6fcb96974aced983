//! The files: who may have them, what is in them, what is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use watchbell_domain::endpoint::{Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Transport};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{Answer, EndpointCreation, EndpointStore, KeyStore, Once, OrgStore, Terms, Written};
use watchbell_store::conformance::dialects;
use watchbell_store::seal::{SealingKey, SealingKeys};
use watchbell_store::sqlite::{DATABASE_FILE, OpenError, OpenOptions, SqliteStore};
use watchbell_wire::Secret;

use crate::sqlite::options;

const HUSH: [&str; 5] =
    ["whsec_hush_hush_1234", "token-value-5678", "answer-secret-9012", "wb_api_key_3456", "rotated-7890"];

fn endpoint(org: OrgId, entropy: &SeededEntropy) -> Endpoint {
    let now = options(Path::new("")).clock.now();
    let secret = |text: &str| EndpointSecret { text: Secret::new(text), created_at: now, expires_at: None };
    Endpoint {
        id: EndpointId::make(now, entropy),
        org_id: org,
        url: "https://example.test/hook".into(),
        dialect: &dialects::ALL,
        description: None,
        events: None,
        state: EndpointState::Active,
        secrets: vec![secret(HUSH[0]), secret(HUSH[4])],
        headers: vec![("Authorization".into(), Secret::new(HUSH[1]))],
        settings: watchbell_wire::Settings::default(),
        transport: Transport::default(),
        policy: EndpointPolicy::default(),
        not_before: None,
        created_at: now,
        updated_at: now,
    }
}

/// Puts every kind of secret into the store.
async fn fill(store: &SqliteStore) -> Endpoint {
    let entropy = SeededEntropy::new(9);
    let now = options(Path::new("")).clock.now();
    let org = OrgId::make(now, &entropy);
    let row = Org { id: org, slug: "acme".into(), name: "Acme".into(), weight: 1, created_at: now };
    assert_eq!(store.create_org(row, Terms::default()).await.unwrap(), Written::Fresh(()));
    let endpoint = endpoint(org, &entropy);
    let answer = Answer { status: 201, body: format!("{{\"secret\":\"{}\"}}", HUSH[2]).into_bytes() };
    let once = Once { key: "k".into(), request: [1; 32], answer };
    let creation = EndpointCreation { endpoint: endpoint.clone(), greeting: None };
    assert_eq!(store.create_endpoint(creation.clone(), Some(once.clone()).into()).await.unwrap(), Written::Fresh(()));
    let repeated = store.create_endpoint(creation, Some(once.clone()).into()).await.unwrap();
    assert_eq!(repeated, Written::Repeated(once.answer));
    let key = watchbell_domain::access::ApiKey {
        id: watchbell_domain::id::KeyId::make(now, &entropy),
        org_id: Some(org),
        name: "name".into(),
        scopes: [].into(),
        hash: watchbell_domain::access::KeyHash::of(HUSH[3]),
        created_at: now,
        expires_at: None,
        revoked_at: None,
        group_id: None,
        member: None,
        last_used_at: None,
    };
    assert_eq!(store.create_key(org, key, Terms::default()).await.unwrap(), Written::Fresh(()));
    endpoint
}

#[tokio::test]
async fn no_secret_is_readable_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path())).unwrap();
    fill(&store).await;
    let search = || {
        for file in fs::read_dir(directory.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            for hush in HUSH {
                let found = bytes.windows(hush.len()).any(|window| window == hush.as_bytes());
                assert!(!found, "{hush} in {}", path.display());
            }
        }
    };
    let log = fs::metadata(directory.path().join("watchbell.db-wal")).unwrap();
    assert!(log.len() > 0, "the log is searched while it holds the writes");
    search();
    drop(store);
    search();
}

#[tokio::test]
async fn ciphertext_opens_in_its_own_row_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path())).unwrap();
    let first = fill(&store).await;
    let second = endpoint(first.org_id, &SeededEntropy::new(10));
    let creation = EndpointCreation { endpoint: second.clone(), greeting: None };
    assert_eq!(store.create_endpoint(creation, Terms::default()).await.unwrap(), Written::Fresh(()));
    let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    let moved = conn.execute(
        "UPDATE endpoint SET secrets = (SELECT secrets FROM endpoint WHERE id = ?1) WHERE id = ?2",
        [first.id.0.as_bytes(), second.id.0.as_bytes()],
    );
    assert_eq!(moved.unwrap(), 1);
    assert!(store.endpoint(second.org_id, second.id).await.is_err());
    assert!(store.endpoint(first.org_id, first.id).await.is_ok());
}

#[tokio::test]
async fn one_process_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path())).unwrap();
    let second = SqliteStore::open(options(directory.path()));
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    drop(store);
    SqliteStore::open(options(directory.path())).unwrap();
}

#[tokio::test]
async fn settings_are_what_was_promised() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(options(directory.path())).unwrap());
    let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    let text = |name: &str| conn.pragma_query_value::<String, _>(None, name, |row| row.get(0)).unwrap();
    let number = |name: &str| conn.pragma_query_value::<i64, _>(None, name, |row| row.get(0)).unwrap();
    assert_eq!((text("journal_mode").as_str(), number("auto_vacuum")), ("wal", 2));
    let loose: i64 = conn
        .query_row(
            "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0 \
             AND name NOT LIKE 'sqlite_%' AND name <> 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(loose, 0, "every table of ours is STRICT");
}

#[tokio::test]
async fn refused_without_the_key_that_sealed_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path())).unwrap();
    let endpoint = fill(&store).await;
    drop(store);
    let old = options(directory.path()).keys;
    let new = SealingKey::make(&SeededEntropy::new(77));
    let with = |keys| OpenOptions { keys, ..options(directory.path()) };
    let refused = SqliteStore::open(with(SealingKeys::new(new.clone(), Vec::new())));
    assert!(matches!(refused, Err(OpenError::UnknownKey(id)) if Some(id) == old.ids().next()), "{refused:?}");
    // Rotated: the new key seals, the old one still opens; afterwards both are needed.
    let first = SealingKey::make(&SeededEntropy::new(1));
    let store = SqliteStore::open(with(SealingKeys::new(new, vec![first]))).unwrap();
    let found = store.endpoint(endpoint.org_id, endpoint.id).await.unwrap().unwrap();
    assert_eq!(found.secrets, endpoint.secrets);
    drop(store);
    let refused = SqliteStore::open(with(old));
    assert!(matches!(refused, Err(OpenError::UnknownKey(_))), "{refused:?}");
}

#[test]
fn left_as_they_are_when_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE_FILE);
    for bytes in [b"not a database, but quite long text, more than a header of a hundred bytes has. ".repeat(60), {
        drop(SqliteStore::open(options(directory.path())).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        bytes[100..4000].fill(0x5a);
        bytes
    }] {
        fs::write(&path, &bytes).unwrap();
        let refused = SqliteStore::open(options(directory.path()));
        assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "{refused:?}");
        assert!(fs::read(&path).unwrap() == bytes, "the file was changed");
        fs::remove_file(&path).unwrap();
    }
    fs::write(directory.path().join("watchbell.db-wal"), "commits").unwrap();
    let refused = SqliteStore::open(options(directory.path()));
    assert!(matches!(refused, Err(OpenError::Corrupt { .. })), "a log without its database: {refused:?}");
    assert_eq!(fs::read(directory.path().join("watchbell.db-wal")).unwrap(), b"commits");
}

#[test]
fn refused_when_a_newer_version_wrote_them() {
    let directory = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(options(directory.path())).unwrap());
    let conn = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    let newer = "INSERT INTO refinery_schema_history SELECT 9999, 'future', applied_on, checksum \
                 FROM refinery_schema_history LIMIT 1";
    conn.execute(newer, []).unwrap();
    drop(conn);
    let refused = SqliteStore::open(options(directory.path()));
    assert!(matches!(refused, Err(OpenError::NewerSchema { found: 9999, .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_shared() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(directory.path())).unwrap());
    let before = store.stats();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1000_u64 {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            let now = options(Path::new("")).clock.now();
            let id = OrgId::make(now, &SeededEntropy::new(number));
            store
                .create_org(
                    Org { id, slug: id.bare(), name: String::new(), weight: 1, created_at: now },
                    Terms::default(),
                )
                .await
                .unwrap()
        });
    }
    assert_eq!(calls.join_all().await, vec![Written::Fresh(()); 1000]);
    let (commits, units) = (store.stats().commits - before.commits, store.stats().units - before.units);
    assert_eq!(units, 1000);
    assert!(commits * 5 < units, "{commits} commits for {units} writes");
}
