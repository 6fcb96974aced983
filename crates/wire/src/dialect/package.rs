//! Package URLs of what vendors name by an ecosystem and a name: by them two vendors' words are of one package.

use crate::percent;

/// The URL of a package without a version, from a type of package URLs and the name in the ecosystem's spelling.
pub(super) fn purl(kind: &str, name: &str) -> String {
    let path = match kind {
        "maven" => name.replace(':', "/"),
        "pypi" => name.to_ascii_lowercase().replace('_', "-"),
        _ => name.to_owned(),
    };
    let plain = |character: char| character.is_ascii_alphanumeric() || "-._~/".contains(character);
    format!("pkg:{kind}/{}", percent::encode(&path, plain))
}

/// The type of package URLs for Snyk's word for a package manager; `None` for those of operating systems, whose packages
/// are told apart by more than their names.
pub(super) fn of_manager(manager: &str) -> Option<&'static str> {
    Some(match manager {
        "npm" | "yarn" | "yarn-workspace" | "pnpm" => "npm",
        "pip" | "poetry" | "pipenv" | "uv" => "pypi",
        "maven" | "gradle" | "sbt" => "maven",
        "rubygems" => "gem",
        "gomodules" | "golangdep" | "govendor" => "golang",
        "nuget" | "paket" => "nuget",
        "composer" => "composer",
        "hex" => "hex",
        "cargo" => "cargo",
        "cocoapods" => "cocoapods",
        "swift" => "swift",
        _ => return None,
    })
}

/// The same for its word for a language.
pub(super) fn of_language(language: &str) -> Option<&'static str> {
    Some(match language {
        "js" | "javascript" => "npm",
        "python" => "pypi",
        "java" | "scala" => "maven",
        "ruby" => "gem",
        "golang" | "go" => "golang",
        "dotnet" => "nuget",
        "php" => "composer",
        "elixir" => "hex",
        "rust" => "cargo",
        _ => return None,
    })
}
