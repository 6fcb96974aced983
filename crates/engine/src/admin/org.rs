//! Organisations and projects: names that can stand in URLs and lists.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchbell_domain::id::{OrgId, ProjectId};
use watchbell_domain::org::{Org, Project, WEIGHT_DEFAULT};
use watchbell_domain::port::Entropy;

/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 200;
/// Longest slug, in characters.
pub const SLUG_LENGTH_MAX: usize = 63;

/// Most labels of a project.
pub const LABELS_MAX: usize = 50;
/// Longest name and longest value of a label, in bytes.
pub const LABEL_LENGTH_MAX: usize = 200;

/// A name or slug cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Empty, too long, or with control characters.
    #[error("a name has 1 to 200 characters and no control characters")]
    Name,
    /// Not a slug.
    #[error("a slug has 1 to 63 characters of a-z, 0-9 and -, begins and ends with a letter or digit and is no id")]
    Slug,
    /// No owner's name.
    #[error("an owner has 1 to 200 characters and no control characters; null for none")]
    Owner,
    /// Too many labels, or one that is none.
    #[error(
        "a project has at most 50 labels: names of A-Z, a-z, 0-9, _, -, . and /, values without control characters, 200 bytes each"
    )]
    Label,
}

/// A new organisation. Without a slug one is made of the name.
///
/// # Errors
/// [`Refused`]
pub fn create(name: &str, slug: Option<&str>, now: Timestamp, entropy: &dyn Entropy) -> Result<Org, Refused> {
    check_name(name)?;
    let slug = match slug {
        Some(slug) => slug.to_owned(),
        None => slug_of(name),
    };
    check_slug(&slug)?;
    Ok(Org { id: OrgId::make(now, entropy), slug, name: name.to_owned(), weight: WEIGHT_DEFAULT, created_at: now })
}

/// An organisation under another name.
///
/// # Errors
/// [`Refused`]
pub fn rename(org: &Org, name: Option<String>, slug: Option<String>) -> Result<Org, Refused> {
    let name = name.unwrap_or_else(|| org.name.clone());
    let slug = slug.unwrap_or_else(|| org.slug.clone());
    check_name(&name)?;
    check_slug(&slug)?;
    Ok(Org { name, slug, ..org.clone() })
}

/// An id in the place of a slug would name two organisations at once.
fn check_slug(slug: &str) -> Result<(), Refused> {
    if is_slug(slug) && slug.parse::<OrgId>().is_err() { Ok(()) } else { Err(Refused::Slug) }
}

/// A new project.
///
/// # Errors
/// [`Refused::Name`]
pub fn create_project(org_id: OrgId, name: &str, now: Timestamp, entropy: &dyn Entropy) -> Result<Project, Refused> {
    check_name(name)?;
    Ok(Project {
        id: ProjectId::make(now, entropy),
        org_id,
        name: name.to_owned(),
        created_at: now,
        version: 0,
        last_scan_at: None,
        owner: None,
        labels: BTreeMap::new(),
    })
}

/// What is to be said of a project. Outer `None`: leave as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: Option<String>,
    /// Who answers for it; `Some(None)` takes the owner away.
    pub owner: Option<Option<String>>,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
}

/// A project with another description.
///
/// # Errors
/// [`Refused::Name`], [`Refused::Owner`], [`Refused::Label`]
pub fn describe_project(project: &Project, said: Description) -> Result<Project, Refused> {
    let name = said.name.unwrap_or_else(|| project.name.clone());
    check_name(&name)?;
    let owner = said.owner.unwrap_or_else(|| project.owner.clone());
    if owner.as_deref().is_some_and(|owner| check_name(owner).is_err()) {
        return Err(Refused::Owner);
    }
    let labels = said.labels.unwrap_or_else(|| project.labels.clone());
    let fits = |(name, value): (&String, &String)| {
        is_label(name) && value.len() <= LABEL_LENGTH_MAX && !value.contains(char::is_control)
    };
    if labels.len() > LABELS_MAX || !labels.iter().all(fits) {
        return Err(Refused::Label);
    }
    Ok(Project { name, owner, labels, ..project.clone() })
}

/// A label's name can be written in a filter as it is: `project.labels.team`.
fn is_label(name: &str) -> bool {
    let well_formed = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    !name.is_empty() && name.len() <= LABEL_LENGTH_MAX && well_formed
}

/// Whether a text may be the name of something.
///
/// # Errors
/// [`Refused::Name`]
pub fn check_name(name: &str) -> Result<(), Refused> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
        return Err(Refused::Name);
    }
    Ok(())
}

fn is_slug(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let edge = |c: char| inner(c) && c != '-';
    text.len() <= SLUG_LENGTH_MAX && text.starts_with(edge) && text.ends_with(edge) && text.chars().all(inner)
}

fn slug_of(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    let cut: String = slug.chars().take(SLUG_LENGTH_MAX).collect();
    cut.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use watchbell_domain::port::testing::SeededEntropy;

    use super::*;

    fn slug(name: &str, slug: Option<&str>) -> Result<String, Refused> {
        create(name, slug, Timestamp::UNIX_EPOCH, &SeededEntropy::new(1)).map(|org| org.slug)
    }

    #[test]
    fn slugs_are_made_of_names() {
        assert_eq!(slug("Acme & Sons, Ltd.", None).unwrap(), "acme-sons-ltd");
        assert_eq!(slug("Acme", Some("a-1")).unwrap(), "a-1");
        assert_eq!(slug("本社", None), Err(Refused::Slug));
    }

    #[test]
    fn what_is_no_slug_is_refused() {
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "ä", "0192f0c1-0000-7000-8000-000000000000"] {
            assert_eq!(slug("Acme", Some(bad)), Err(Refused::Slug), "{bad:?}");
        }
        assert!(slug("Acme", Some(&"a".repeat(63))).is_ok());
        assert_eq!(slug("Acme", Some(&"a".repeat(64))), Err(Refused::Slug));
    }

    #[test]
    fn names_are_bounded() {
        assert!(slug(&"n".repeat(200), Some("n")).is_ok());
        for bad in ["", "  ", "a\nb", &"n".repeat(201)] {
            assert_eq!(slug(bad, Some("n")), Err(Refused::Name), "{bad:?}");
        }
    }
}
