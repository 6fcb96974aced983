//! Advisories: taken in, looked up, forgotten.

use watchbell_domain::advisory::osv::Entry;
use watchbell_domain::advisory::{Advisory, Affected, Bound};
use watchbell_domain::port::Imported;
use watchbell_wire::Severity;

use super::World;
use super::world::at;

fn advisory(id: &str, ecosystem: &str, name: &str, seconds: i64) -> Advisory {
    Advisory {
        id: id.to_owned(),
        modified: at(seconds),
        aliases: vec!["CVE-2026-0001".to_owned()],
        summary: "a \"summary\" 🦀".to_owned(),
        severity: Severity::High,
        cvss_score: Some(7.5),
        affected: vec![Affected {
            ecosystem: ecosystem.to_owned(),
            name: name.to_owned(),
            ranges: vec![vec![Bound::Introduced("0".to_owned()), Bound::Fixed("1.2.3".to_owned())]],
            ..Affected::default()
        }],
        ..Advisory::default()
    }
}

fn entry(advisory: &Advisory) -> Entry {
    Entry::Advisory(Box::new(advisory.clone()))
}

/// What is new or newer is kept, what is older is not, what was withdrawn goes.
pub async fn newer_ones_win(world: World) {
    let first = advisory("A-1", "PyPI", "pyyaml", 5);
    let second = advisory("A-2", "npm", "lodash", 5);
    let put = async |entries: Vec<Entry>| world.store.put_advisories(entries, None).await.unwrap();
    let both = vec![entry(&first), entry(&second)];
    assert_eq!(put(both.clone()).await, Imported { added: 2, ..Imported::default() });
    assert_eq!(put(both).await, Imported { unchanged: 2, ..Imported::default() });
    assert_eq!(world.store.advisory("A-1".into()).await.unwrap(), Some(first.clone()));

    let newer = advisory("A-1", "PyPI", "ruamel", 6);
    assert_eq!(
        put(vec![entry(&newer), entry(&first)]).await,
        Imported { changed: 1, unchanged: 1, ..Imported::default() }
    );
    let about = async |ecosystem: &str, name: &str| {
        let packages = vec![(ecosystem.to_owned(), name.to_owned())];
        world.store.advisories_about(packages).await.unwrap()
    };
    assert_eq!(about("PyPI", "ruamel").await, std::slice::from_ref(&newer));
    assert!(about("PyPI", "pyyaml").await.is_empty() && about("npm", "ruamel").await.is_empty());

    let withdrawn = |seconds| Entry::Withdrawn { id: "A-1".to_owned(), modified: at(seconds) };
    assert_eq!(put(vec![withdrawn(5)]).await, Imported { unchanged: 1, ..Imported::default() });
    assert_eq!(put(vec![withdrawn(7)]).await, Imported { withdrawn: 1, ..Imported::default() });
    assert_eq!(world.store.advisory("A-1".into()).await.unwrap(), None);
    assert!(about("PyPI", "ruamel").await.is_empty());
}

/// Each once, however many of the packages it is about; pages in the order of ids.
pub async fn counted_and_listed(world: World) {
    let mut both = advisory("B", "PyPI", "one", 1);
    both.affected.extend(advisory("B", "PyPI", "two", 1).affected);
    let all = [advisory("A", "npm", "one", 3), both, advisory("C", "PyPI", "one", 2)];
    world.store.put_advisories(all.iter().map(entry).collect(), None).await.unwrap();
    let packages = vec![("PyPI".to_owned(), "one".to_owned()), ("PyPI".to_owned(), "two".to_owned())];
    let found = world.store.advisories_about(packages).await.unwrap();
    assert_eq!(found, all[1..]);
    let page = world.store.advisories(None, None, 2).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&all[..2], true));
    let page = world.store.advisories(None, Some("B".into()), 2).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&all[2..], false));
    let page = world.store.advisories(Some("PyPI".into()), None, 9).await.unwrap();
    assert_eq!(page.items, all[1..]);
    let stats = world.store.advisory_stats().await.unwrap();
    assert_eq!((stats.advisories, stats.modified), (3, Some(at(3))));
    assert_eq!(stats.ecosystems, [("PyPI".to_owned(), 2), ("npm".to_owned(), 1)]);
}
