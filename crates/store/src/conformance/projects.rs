//! Projects, scans and findings.

use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::id::{GroupId, ProjectId, ScanId};
use watchbell_domain::org::{Group, Project};
use watchbell_domain::port::{Coverage, PageRequest, ScanOutcome, Stated, StoreError, Terms, Written};
use watchbell_domain::scan::{ScanStatus, Statement, VexStatus};

use super::World;
use super::world::{at, first, fresh, once};

/// What was stored comes back; a name belongs to one project of an organisation.
pub async fn found_and_listed(world: World) {
    let (org, other) = (world.org("acme").await, world.org("other").await);
    let one = world.project(org, "one").await;
    let two = world.project(org, "two").await;
    assert_eq!(world.store.project(org, one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(world.store.project_by_name(org, "one".into()).await.unwrap(), Some(one.clone()));
    assert_eq!(world.store.project_by_name(org, "One".into()).await.unwrap(), None);
    let same_name = Project { id: ProjectId(world.uuid(0)), ..one.clone() };
    let refused = world.store.create_project(same_name.clone(), Terms::default()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    fresh(world.store.create_project(Project { org_id: other, ..same_name }, Terms::default()).await.unwrap());
    let mut both = vec![one, two];
    both.sort_by_key(|project| std::cmp::Reverse(project.id));
    assert_eq!(world.store.projects(org, first(9)).await.unwrap().items, both);
    let page = world.store.projects(org, first(1)).await.unwrap();
    assert_eq!((page.items.as_slice(), page.more), (&both[..1], true));
}

/// Of two scans weighed against the same state, the second is refused.
pub async fn scans_apply_in_turn(world: World) {
    let org = world.org("acme").await;
    let endpoint = world.endpoint(org).await;
    let project = world.project(org, "api").await;
    let new = world.finding(&project, "a", 5);
    let applied = world.outcome(&project, vec![new.clone()], 5);
    let accepted = fresh(world.store.apply_scan(applied.clone(), once("scan", 1)).await.unwrap());
    assert_eq!((accepted.len(), accepted[0].deliveries.len()), (1, 1));
    assert!(matches!(world.store.apply_scan(applied.clone(), once("scan", 1)).await.unwrap(), Written::Repeated(_)));
    assert_eq!(world.store.scan(org, applied.scan.id).await.unwrap(), Some(applied.scan));
    let state = world.store.project_state(org, project.id).await.unwrap().unwrap();
    let now = state.project;
    assert_eq!((now.version, now.last_scan_at), (project.version + 1, Some(at(5))));
    assert_eq!(state.findings, [new]);

    let late = world.outcome(&project, vec![world.finding(&project, "b", 6)], 6);
    let refused = world.store.apply_scan(late.clone(), None).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert_eq!(world.store.scan(org, late.scan.id).await.unwrap(), None);
    assert_eq!(world.store.project_state(org, project.id).await.unwrap().unwrap().findings.len(), 1);
    assert_eq!(world.claim(&endpoint, 9, 9).await.deliveries.len(), 1);
    fresh(world.store.apply_scan(ScanOutcome { seen_version: now.version, ..late }, None).await.unwrap());
}

/// A finding keeps its id through its life.
pub async fn findings_change_and_are_listed(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let mut findings: Vec<_> =
        (0..5).map(|index| world.finding(&project, &format!("identity {index}"), index)).collect();
    fresh(world.store.apply_scan(world.outcome(&project, findings.clone(), 5), None).await.unwrap());
    findings[1].status = FindingStatus::Remediated;
    findings[1].remediated_at = Some(at(9));
    findings[3].status = FindingStatus::Suppressed;
    findings[3].observation.suppressed = true;
    findings[3].last_seen_at = at(9);
    let changed = vec![findings[1].clone(), findings[3].clone()];
    let project = world.store.project(org, project.id).await.unwrap().unwrap();
    fresh(world.store.apply_scan(world.outcome(&project, changed, 9), None).await.unwrap());

    findings.reverse();
    let list = async |status, before, limit| {
        world.store.findings(org, project.id, status, PageRequest { before, limit }).await.unwrap()
    };
    assert_eq!(list(None, None, 9).await.items, findings);
    assert_eq!(list(Some(FindingStatus::Remediated), None, 9).await.items, findings[3..4]);
    assert_eq!(list(Some(FindingStatus::Suppressed), None, 9).await.items, findings[1..2]);
    assert_eq!(list(Some(FindingStatus::Open), None, 9).await.items.len(), 3);
    let page = list(None, Some(findings[1].id.0), 2).await;
    assert_eq!((page.items.as_slice(), page.more), (&findings[2..4], true));
    for finding in findings {
        assert_eq!(world.store.finding(org, finding.id).await.unwrap(), Some(finding));
    }
}

/// A scan that cannot be written whole is not written at all.
pub async fn failed_whole(world: World) {
    let org = world.org("acme").await;
    let (project, other) = (world.project(org, "api").await, world.project(org, "web").await);
    let known = world.finding(&other, "a", 1);
    fresh(world.store.apply_scan(world.outcome(&other, vec![known.clone()], 1), None).await.unwrap());
    let same_identity = vec![world.finding(&project, "b", 2), world.finding(&project, "b", 2)];
    let of_another_project = vec![Finding { project_id: project.id, ..known.clone() }];
    for findings in [same_identity, of_another_project] {
        let refused = world.store.apply_scan(world.outcome(&project, findings, 3), None).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    }
    let state = world.store.project_state(org, project.id).await.unwrap().unwrap();
    assert_eq!((state.project, state.findings), (project, Vec::new()));
    assert_eq!(world.store.finding(org, known.id).await.unwrap(), Some(known));
}

/// What tools have looked at only grows; a failed scan is no test of the project.
pub async fn coverage_grows(world: World) {
    let org = world.org("acme").await;
    let project = world.project(org, "api").await;
    let covered = |target: Option<&str>, seconds| {
        Coverage([(("grype".to_owned(), target.map(str::to_owned)), at(seconds))].into())
    };
    let mut failed = world.outcome(&project, Vec::new(), 1);
    failed.scan.status = ScanStatus::Failed;
    fresh(world.store.apply_scan(failed, None).await.unwrap());
    for (target, seconds) in [(None, 5), (Some("a.lock"), 7), (None, 3)] {
        let project = world.store.project(org, project.id).await.unwrap().unwrap();
        assert_eq!(project.last_scan_at.is_some(), seconds != 5, "only the first was preceded by failures alone");
        let outcome = ScanOutcome { coverage: covered(target, seconds), ..world.outcome(&project, Vec::new(), 9) };
        fresh(world.store.apply_scan(outcome, None).await.unwrap());
    }
    let coverage = world.store.project_state(org, project.id).await.unwrap().unwrap().coverage;
    assert_eq!(coverage.at("grype", None), Some(at(5)));
    assert_eq!(coverage.at("grype", Some("a.lock")), Some(at(7)));
    assert_eq!(coverage.at("grype", Some("b.lock")), Some(at(5)));
    assert_eq!(coverage.at("trivy", None), None);
}

/// What documents state is kept, the newest of it, and a project knows the group of its organisation.
pub async fn statements_are_kept(world: World) {
    let org = world.org("acme").await;
    let (project, other) = (world.project(org, "api").await, world.project(org, "web").await);
    let group = Group { id: GroupId(world.uuid(1)), name: "all".into(), created_at: at(1) };
    fresh(world.store.create_group(group.clone(), Terms::default()).await.unwrap());
    assert!(fresh(world.store.place_org(org, Some(group.id), at(1), Terms::default()).await.unwrap()));
    let stated = |names: &[&str], status, seconds| Stated {
        statement: Statement {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            products: vec!["pkg:npm/lodash@4.17.11".into()],
            status,
            justification: "a \"reason\" 🦀".into(),
            author: String::new(),
        },
        scan_id: ScanId(world.uuid(seconds)),
        tool: "openvex".into(),
        at: at(seconds),
    };
    let [two, newer, older] = [
        stated(&["GHSA-1", "CVE-1"], VexStatus::NotAffected, 5),
        stated(&["CVE-1", "GHSA-1"], VexStatus::Fixed, 7),
        stated(&["CVE-1", "GHSA-1"], VexStatus::Affected, 3),
    ];
    let single = stated(&["CVE-1"], VexStatus::FalsePositive, 6);
    for document in [vec![two, single.clone()], vec![newer.clone()], vec![older]] {
        let project = world.store.project(org, project.id).await.unwrap().unwrap();
        let outcome = ScanOutcome { statements: document, ..world.outcome(&project, Vec::new(), 9) };
        fresh(world.store.apply_scan(outcome, None).await.unwrap());
    }
    let state = world.store.project_state(org, project.id).await.unwrap().unwrap();
    assert_eq!((state.statements, state.group), (vec![single, newer], Some(group)));
    assert_eq!(world.store.project_state(org, other.id).await.unwrap().unwrap().statements, []);
}
