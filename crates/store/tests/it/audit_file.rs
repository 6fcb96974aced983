//! The audit log in the file: it is only added to, and whoever changes it all the same is found out.

use rusqlite::Connection;
use watchbell_domain::audit::{Action, Broken, Chain, Deed, Head};
use watchbell_domain::id::OrgId;
use watchbell_domain::org::Org;
use watchbell_domain::port::testing::SeededEntropy;
use watchbell_domain::port::{AuditStore, OrgStore};
use watchbell_store::sqlite::{DATABASE_FILE, SqliteStore};

use crate::sqlite::options;

/// A store in whose operators' log four organisations were made, and another way to its file.
async fn logged() -> (tempfile::TempDir, SqliteStore, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let (now, entropy) = (options.clock.now(), SeededEntropy::new(3));
    let store = SqliteStore::open(options).unwrap();
    for slug in ["a", "b", "c", "d"] {
        let id = OrgId::make(now, &entropy);
        let org = Org { id, slug: slug.into(), name: slug.into(), weight: 1, created_at: now };
        let deed = Deed::of_system("test", Action::OrgCreate, id, now);
        drop(store.create_org(org, deed.into()).await.unwrap());
    }
    let file = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    (directory, store, file)
}

async fn walk(store: &SqliteStore) -> Result<u64, Broken> {
    let entries = store.audit_behind(Chain::Operator, 0, 100).await.unwrap();
    let walked = entries.iter().try_fold(Head::START, |head, entry| {
        entry.follows(head, Chain::Operator)?;
        Ok(entry.head())
    });
    walked.map(|head| head.number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_to_change_or_remove_entries() {
    let (_directory, store, file) = logged().await;
    for statement in [
        "UPDATE audit SET entry = replace(entry, 'org.create', 'org.delete') WHERE number = 2",
        "DELETE FROM audit WHERE number = 4",
        "DELETE FROM audit",
    ] {
        let refused = file.execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("only added to"), "{statement}: {refused}");
    }
    assert_eq!(walk(&store).await, Ok(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gets_around_that_is_found_out() {
    let (_directory, store, file) = logged().await;
    file.execute_batch("DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_dropped_by_age_alone").unwrap();
    file.execute(
        "UPDATE audit SET entry = replace(entry, '\"kind\":\"system\"', '\"kind\":\"key\"') WHERE number = 3",
        [],
    )
    .unwrap();
    assert_eq!(walk(&store).await.unwrap_err().number, 3);
    file.execute("DELETE FROM audit WHERE number IN (2, 3)", []).unwrap();
    assert_eq!(walk(&store).await.unwrap_err(), Broken { number: 2, problem: "the entry is missing" });
}
