//! Host names: their spelling, and which of them are names of an internal network.

const LABEL_LEN_MAX: usize = 63;
const NAME_LEN_MAX: usize = 253;

/// Names that mean something inside a machine, cluster or cloud only.
const REFUSED: [&str; 6] =
    ["localhost6", "ip6-localhost", "ip6-loopback", "kubernetes.default", "metadata.goog", "localdomain"];

/// Endings of such names.
const REFUSED_BELOW: [&str; 9] = [
    ".localdomain",
    ".local",
    ".internal",
    ".home.arpa",
    ".svc",
    ".cluster.local",
    ".onion",
    ".invalid",
    ".kubernetes.default",
];

/// The normal form of a name that the URL parser has already mapped to lower-case ASCII: without its trailing dot.
pub(super) fn normal(name: &str) -> Result<String, &'static str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > NAME_LEN_MAX {
        return Err("the host name has no or more than 253 characters");
    }
    for label in name.split('.') {
        check_label(label)?;
    }
    // The URL parser is lenient about what stands behind `xn--`; here it must be a name that needs it.
    if name.split('.').any(|label| label.starts_with("xn--")) {
        let (unicode, outcome) = idna::domain_to_unicode(name);
        let back = idna::domain_to_ascii_strict(&unicode);
        if outcome.is_err() || !back.is_ok_and(|back| back == name) {
            return Err("the host name is no international name");
        }
    }
    Ok(name.to_owned())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("the host name has an empty part");
    }
    if label.len() > LABEL_LEN_MAX {
        return Err("a part of the host name has more than 63 characters");
    }
    if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err("the host name holds a character that host names do not have");
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a part of the host name begins or ends with a hyphen");
    }
    Ok(())
}

pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

pub(super) fn is_refused(name: &str) -> bool {
    is_localhost(name)
        || !name.contains('.')
        || REFUSED.contains(&name)
        || REFUSED_BELOW.iter().any(|ending| name.ends_with(ending))
}

/// Whether a configured name is the same host.
pub(super) fn is_same(configured: &str, name: &str) -> bool {
    match idna::domain_to_ascii(configured.strip_suffix('.').unwrap_or(configured)) {
        Ok(configured) => configured == name,
        Err(_) => configured.eq_ignore_ascii_case(name),
    }
}
