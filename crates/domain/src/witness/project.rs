//! Which project a vendor means. Every vendor has names of its own: `acme/pay` is GitHub's, `acme/pay(main):pom.xml` Snyk's.
//!
//! | first of these | |
//! |---|---|
//! | the source's `project` | it is about this one, whatever it says |
//! | the source's `project_match` | the first pattern that fits one of the names |
//! | the id of a project of ours | said by another Watchbell, or by whoever knows ours |
//! | the name, in one spelling ([`match_name`]) | a project of the same name in one spelling |

use serde_json::{Map, Value};

use crate::id::ProjectId;

/// Most entries of `project_match`.
pub const MATCHES_MAX: usize = 200;
/// Longest name or pattern, in characters.
const NAME_MAX: usize = 200;

/// How a source says its projects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Names, the most telling first, as the source spells them.
    pub names: Vec<String>,
    /// Its id of the project, which may be one of ours.
    pub id: Option<String>,
}

impl Named {
    pub(super) fn of(members: &Map<String, Value>) -> Self {
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::trim);
        let repository = match members.get("repository") {
            Some(Value::Object(repository)) => repository.get("full_name").and_then(Value::as_str),
            Some(_) | None => text("repository"),
        };
        let names = [repository, text("repository_url"), text("project_name"), text("project")];
        let names = names.into_iter().flatten().filter(|name| is_name(name)).map(str::to_owned);
        Self { names: names.collect(), id: text("project_id").filter(|id| is_name(id)).map(str::to_owned) }
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control)
}

/// A project that is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// By its id.
    Id(ProjectId),
    /// By its name, in one spelling.
    Name(String),
}

/// How a source's projects are found among ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placing {
    /// Everything is about this one.
    pub project: Option<Wanted>,
    /// What is about which, by pattern.
    pub matches: Vec<Match>,
    /// Whether a project that is not there is made.
    pub makes: bool,
}

impl Default for Placing {
    fn default() -> Self {
        Self { project: None, matches: Vec::new(), makes: true }
    }
}

/// One line of `project_match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// A name or an id, `*` stands for any text; without regard to case.
    pub pattern: String,
    /// Our project.
    pub project: Wanted,
}

/// A setting does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Which, as a JSON pointer into the settings.
    pub pointer: String,
    /// What is wanted.
    pub wanted: &'static str,
}

const PROJECT: &str = "project";
const MATCH: &str = "project_match";
const MAKES: &str = "make_projects";

impl Placing {
    /// Takes its members out of a source's settings; what is left is the dialect's.
    ///
    /// # Errors
    /// The first member that does not do.
    pub fn take_from(settings: &mut Map<String, Value>) -> Result<Self, Unfit> {
        let unfit = |pointer: String, wanted| Unfit { pointer, wanted };
        let mut placing = Self::default();
        if let Some(value) = settings.remove(PROJECT).filter(|value| !value.is_null()) {
            let wanted = value.as_str().and_then(wanted);
            placing.project = Some(wanted.ok_or_else(|| unfit(format!("/{PROJECT}"), "the name or id of a project"))?);
        }
        if let Some(value) = settings.remove(MAKES).filter(|value| !value.is_null()) {
            placing.makes = value.as_bool().ok_or_else(|| unfit(format!("/{MAKES}"), "true or false"))?;
        }
        if let Some(value) = settings.remove(MATCH).filter(|value| !value.is_null()) {
            let lines = value.as_array().filter(|lines| lines.len() <= MATCHES_MAX);
            let lines = lines.ok_or_else(|| unfit(format!("/{MATCH}"), "a list of at most 200 entries"))?;
            for (index, line) in lines.iter().enumerate() {
                let member = |name: &str| line.get(name).and_then(Value::as_str).filter(|text| is_name(text));
                let at = |name: &str| format!("/{MATCH}/{index}/{name}");
                let pattern =
                    member("name").ok_or_else(|| unfit(at("name"), "a name, in which * stands for any text"))?;
                let project = member(PROJECT).and_then(wanted);
                let project = project.ok_or_else(|| unfit(at(PROJECT), "the name or id of a project"))?;
                if line.as_object().is_some_and(|line| line.len() > 2) {
                    return Err(unfit(
                        format!("/{MATCH}/{index}"),
                        "an object with name and project, and nothing else",
                    ));
                }
                placing.matches.push(Match { pattern: pattern.to_lowercase(), project });
            }
        }
        Ok(placing)
    }

    /// Where to look, the best first. A project that is not there is called by the first name.
    pub fn wanted(&self, named: &Named) -> Vec<Wanted> {
        if let Some(project) = &self.project {
            return vec![project.clone()];
        }
        let spellings = named.names.iter().flat_map(|name| [name.to_lowercase(), match_name(name)]);
        let known: Vec<String> = spellings.chain(named.id.iter().map(|id| id.to_lowercase())).collect();
        let fits = |line: &&Match| known.iter().any(|name| is_like(name, &line.pattern));
        if let Some(line) = self.matches.iter().find(fits) {
            return vec![line.project.clone()];
        }
        let by_id = named.id.as_deref().and_then(|id| id.parse().ok()).map(Wanted::Id);
        let mut wanted: Vec<Wanted> = by_id.into_iter().collect();
        for name in named.names.iter().map(|name| plain(name)).filter(|name| !name.is_empty()) {
            let name = Wanted::Name(name.to_owned());
            if !wanted.contains(&name) {
                wanted.push(name);
            }
        }
        wanted
    }
}

fn wanted(text: &str) -> Option<Wanted> {
    let by_name = || is_name(text).then(|| Wanted::Name(text.trim().to_owned()));
    text.parse().ok().map(Wanted::Id).or_else(by_name)
}

/// A project's name in one spelling, by which projects of several vendors are one: lower case, without the server of a
/// repository's address, `.git`, the branch and the file that Snyk adds, and an image's tag.
pub fn match_name(name: &str) -> String {
    plain(name).to_lowercase()
}

/// The name without what vendors add to it.
fn plain(name: &str) -> &str {
    let mut name = name.trim();
    if let Some((_, rest)) = name.split_once("://") {
        // `https://user@host/acme/pay`
        name = rest.split_once('/').map_or("", |(_, path)| path);
    } else if let Some((user, rest)) = name.split_once('@')
        && !user.contains('/')
        && let Some((_, path)) = rest.split_once(':')
    {
        // `git@host:acme/pay`
        name = path;
    }
    // A file or tag stands behind a path alone: `com.acme:pay` is a name of its own.
    let end = name.char_indices().find(|(at, character)| {
        let has_path = name.get(..*at).is_some_and(|before| before.contains('/'));
        matches!(character, '(' | '?' | '#') || (has_path && matches!(character, ':' | '@'))
    });
    let name = end.and_then(|(at, _)| name.get(..at)).unwrap_or(name).trim().trim_matches('/');
    name.strip_suffix(".git").unwrap_or(name)
}

/// Whether a text fits a pattern in which `*` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("acme/pay", "acme/pay")]
    #[case("Acme/Pay", "acme/pay")]
    #[case("acme/pay:pom.xml", "acme/pay")]
    #[case("acme/pay(main):services/api/package-lock.json", "acme/pay")]
    #[case("https://github.com/acme/pay.git", "acme/pay")]
    #[case("http://token@github.com/acme/pay", "acme/pay")]
    #[case("git@github.com:acme/pay.git", "acme/pay")]
    #[case("library/node:14-slim", "library/node")]
    #[case("library/node@sha256:abc", "library/node")]
    #[case("group/sub/project", "group/sub/project")]
    #[case("com.acme:pay", "com.acme:pay")]
    #[case(" pay ", "pay")]
    #[case("https://github.com", "")]
    fn names_of_one_project_have_one_spelling(#[case] name: &str, #[case] expected: &str) {
        assert_eq!(match_name(name), expected);
        assert_eq!(match_name(&match_name(name)), expected);
    }

    #[rstest]
    #[case("acme/pay", "acme/pay", true)]
    #[case("acme/pay", "acme/*", true)]
    #[case("acme/pay", "*/pay", true)]
    #[case("acme/pay", "*", true)]
    #[case("acme/pay/api", "a*/pay*i", true)]
    #[case("acme/pay", "acme/pay*pay", false)]
    #[case("acme/payment", "acme/pay", false)]
    #[case("", "*", true)]
    fn patterns(#[case] text: &str, #[case] pattern: &str, #[case] fits: bool) {
        assert_eq!(is_like(text, pattern), fits);
    }

    fn placing(settings: Value) -> Result<Placing, Unfit> {
        let mut settings = settings.as_object().unwrap().clone();
        let placing = Placing::take_from(&mut settings);
        assert!(settings.keys().all(|key| key == "theirs"));
        placing
    }

    #[test]
    fn what_is_said_last_is_the_vendors_name() {
        let name = |text: &str| Wanted::Name(text.to_owned());
        let snyk = Named { names: vec!["acme/pay:pom.xml".to_owned()], id: Some("331e7d5d".to_owned()) };
        assert_eq!(Placing::default().wanted(&snyk), [name("acme/pay")]);
        let fixed = placing(json!({"project": "Payments", "theirs": 1})).unwrap();
        assert_eq!(fixed.wanted(&snyk), [name("Payments")]);
        let table = json!([{"name": "acme/shop*", "project": "Shop"}, {"name": "331E*", "project": "By id"}]);
        let table = placing(json!({"project_match": table})).unwrap();
        assert_eq!(table.wanted(&snyk), [name("By id")]);
        let shop = Named { names: vec!["ACME/shop-api".to_owned()], id: None };
        assert_eq!(table.wanted(&shop), [name("Shop")]);
        let id: ProjectId = "prj_0192f0c1-0000-7000-8000-000000000001".parse().unwrap();
        let ours = Named { names: vec!["acme/pay".to_owned()], id: Some(id.bare()) };
        assert_eq!(Placing::default().wanted(&ours), [Wanted::Id(id), name("acme/pay")]);
    }

    #[rstest]
    #[case(json!({"project": ""}), "/project")]
    #[case(json!({"project": 7}), "/project")]
    #[case(json!({"make_projects": "yes"}), "/make_projects")]
    #[case(json!({"project_match": {}}), "/project_match")]
    #[case(json!({"project_match": [{"name": "a", "project": "b"}, {"project": "b"}]}), "/project_match/1/name")]
    #[case(json!({"project_match": [{"name": "a"}]}), "/project_match/0/project")]
    #[case(json!({"project_match": [{"name": "a", "project": "b", "c": 1}]}), "/project_match/0")]
    fn a_setting_that_does_not_do_is_pointed_at(#[case] settings: Value, #[case] pointer: &str) {
        assert_eq!(placing(settings).unwrap_err().pointer, pointer);
    }
}
